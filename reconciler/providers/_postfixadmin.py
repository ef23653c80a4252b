"""The tables of PostfixAdmin 3.3 and ours beside them: how they are made, read and understood.

What each table and column means stands in `postfix_dovecot.py`. `read` takes the rows of many domains in a query per
table; `Rows` then says which resources one domain's rows are. Nothing here writes.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import canonical
from reconciler.errors import ProviderError, Refused
from reconciler.kinds import kinds
from reconciler.providers._session import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from reconciler.model import Address, Resource, Value
    from reconciler.providers._session import Session

    Native = tuple[str, str, dict[str, Value]]  # kind, name, attributes

REMEMBER = (
    "INSERT INTO reconciler_purged (domain, username, maildir) SELECT domain, username, maildir FROM mailbox"
    " WHERE username = :username"
)
LOCK = "{CRYPT}!"  # before a stored hash: no password matches, and it comes off again

_TIMES = "created {stamp} DEFAULT CURRENT_TIMESTAMP, modified {stamp} DEFAULT CURRENT_TIMESTAMP"
_ACTIVE = f"{_TIMES}, active {{flag}} NOT NULL"
_LIMIT = "{number} NOT NULL DEFAULT 0"
TABLES = {
    "domain": Table(
        f"domain {{name}} PRIMARY KEY, description {{name}} NOT NULL, aliases {_LIMIT}, mailboxes {_LIMIT}, "
        f"maxquota {_LIMIT}, quota {_LIMIT}, transport {{name}} NOT NULL, backupmx {{flag}} NOT NULL, {_ACTIVE}"
    ),
    "alias_domain": Table(
        f"alias_domain {{name}} PRIMARY KEY, target_domain {{name}} NOT NULL, {_ACTIVE}", "target_domain"
    ),
    "mailbox": Table(
        "username {name} PRIMARY KEY, password {name} NOT NULL, name {name} NOT NULL, maildir {name} NOT NULL, "
        f"quota {_LIMIT}, local_part {{name}} NOT NULL, domain {{name}} NOT NULL, {_ACTIVE}",
        "domain",
    ),
    "alias": Table(
        f"address {{name}} PRIMARY KEY, goto {{text}} NOT NULL, domain {{name}} NOT NULL, {_ACTIVE}", "domain"
    ),
    "quota2": Table(f"username {{name}} PRIMARY KEY, bytes {_LIMIT}, messages {_LIMIT}"),
    "reconciler_mailbox": Table(
        "username {name} PRIMARY KEY, domain {name} NOT NULL, login_enabled smallint NOT NULL, "
        "shared smallint NOT NULL, blocked smallint NOT NULL, name_taken smallint NOT NULL",
        "domain",
    ),
    "reconciler_member": Table(
        "mailbox {name}, member {name}, domain {name} NOT NULL, access {name} NOT NULL, acl {name} NOT NULL, "
        "PRIMARY KEY (mailbox, member)",
        "domain",
    ),
    "reconciler_dkim_key": Table(
        "id {name} PRIMARY KEY, domain {name} NOT NULL, selector {name} NOT NULL, private_key {text} NOT NULL, "
        "public {text} NOT NULL, type {name} NOT NULL, bits {number} NOT NULL",
        "domain",
    ),
    "reconciler_purged": Table("domain {name} NOT NULL, username {name} NOT NULL, maildir {name} NOT NULL", "domain"),
    "reconciler_dkim_signing": Table("author {name}, dkim_id {name}, PRIMARY KEY (author, dkim_id)"),
}
IDENTITY = {"reconciler_identity": Table("part {name} PRIMARY KEY, identity {name} NOT NULL")}


class DomainRow(NamedTuple):
    """Of `domain`."""

    domain: str
    active: Any
    backupmx: Any


class Twin(NamedTuple):
    """Of `alias_domain`."""

    alias_domain: str
    target_domain: str
    active: Any


class Box(NamedTuple):
    """Of `mailbox`; `marked` says whether LOCK stands before the hash, which itself is not read."""

    domain: str
    username: str
    name: str | None
    quota: Any
    active: Any
    marked: Any


class Alias(NamedTuple):
    """Of `alias`."""

    domain: str
    address: str
    goto: str
    active: Any


class Side(NamedTuple):
    """Of `reconciler_mailbox`; a mailbox without such a row has the defaults."""

    domain: str
    username: str
    login_enabled: Any = 1
    shared: Any = 0
    blocked: Any = 0
    name_taken: Any = 0


class Member(NamedTuple):
    """Of `reconciler_member`."""

    domain: str
    mailbox: str
    member: str
    access: str
    acl: str


class Key(NamedTuple):
    """Of `reconciler_dkim_key`; the private half is not read."""

    domain: str
    id: str
    type: str
    bits: Any
    public: str


class Signing(NamedTuple):
    """Of `reconciler_dkim_signing`."""

    author: str
    dkim_id: str


# The first column is the domain a row is read for.
ROWS: Mapping[str, Any] = {
    "domain": DomainRow,
    "alias_domain": Twin,
    "mailbox": Box,
    "alias": Alias,
    "reconciler_mailbox": Side,
    "reconciler_member": Member,
    "reconciler_dkim_key": Key,
    "reconciler_dkim_signing": Signing,
}
NUMBERS = frozenset(
    ("active", "backupmx", "quota", "marked", "login_enabled", "shared", "blocked", "name_taken", "bits")
)


class How(NamedTuple):
    """What rows mean: whose resources they are; whether blocking marks hashes, and members as Dovecot was told."""

    provider: str
    lock_hash: bool
    by_acl: bool


def read(
    session: Session, domains: Sequence[str], how: How, *, locked: bool = False
) -> dict[str, Rows | ProviderError]:
    """The rows of each domain, or why they cannot be understood. `locked`: for a change; the tables are there."""
    found: dict[str, dict[str, list[Any]]] = {domain: defaultdict(list) for domain in domains}
    absent = () if locked else session.missing(ROWS)
    for table, row in ROWS.items():
        if table in absent:
            continue
        for values in session.select(_query(table, row), domains, locked=locked):
            rows = found.get(_home(values[0]))
            if rows is not None:  # a collation may find more than was asked for
                rows[table].append(row._make(values))
    return {domain: _understood(domain, rows, how) for domain, rows in found.items()}


def identity_of(session: Session) -> str | None:
    """Of `reconciler_identity`, which is there."""
    rows = session.select("SELECT identity FROM reconciler_identity WHERE part IN (…)", ["system"])
    return rows[0][0] if rows else None


@lru_cache(maxsize=1024)  # rows come domain by domain
def _home(value: Any) -> str:
    """The domain a row was found by; of a binary column, bytes, which `_check` refuses afterwards."""
    return canonical.domain(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))


def _query(table: str, row: Any) -> str:
    mark = f"CASE WHEN SUBSTR(password, 1, {len(LOCK)}) = '{LOCK}' THEN 1 ELSE 0 END"
    columns = ", ".join(mark if column == "marked" else column for column in row._fields)
    return f"SELECT {columns} FROM {table} WHERE {row._fields[0]} IN (…)"  # noqa: S608 - names from above


def _understood(domain: str, tables: Mapping[str, list[Any]], how: How) -> Rows | ProviderError:
    try:
        for table, rows in tables.items():
            _check(table, rows)
        return Rows(domain, tables, how)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        return Refused(f"{how.provider}: {domain}: a row of the mail database holds what it should not: {error}")
    except ProviderError as error:
        return error


def _check(table: str, rows: Sequence[Any]) -> None:
    """Raises TypeError and ValueError for a value of another type than its column's, which SQLite lets pass."""
    columns = zip(*rows, strict=True)  # few columns of many rows
    for column, values in zip(rows[0]._fields if rows else (), columns, strict=True):
        if column in NUMBERS:
            if not {int, bool}.issuperset(map(type, values)):
                raise TypeError(f"{table}.{column} is no whole number")
        elif column == "name":
            _check_text(table, column, [value for value in values if value is not None])
        else:
            _check_text(table, column, values)


def _check_text(table: str, column: str, values: Sequence[Any]) -> None:
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        raise ValueError(f"{table}.{column} is no UTF-8 text") from None
    except TypeError:
        raise TypeError(f"{table}.{column} is no text") from None


class Rows:
    """One domain's rows by canonical name, and the resources that they are."""

    def __init__(self, domain: str, tables: Mapping[str, list[Any]], how: How) -> None:
        self.name, self._how = domain, how
        self.domain: DomainRow | None = next(iter(tables["domain"]), None)
        self.twin: Twin | None = next(iter(tables["alias_domain"]), None)
        self.boxes: dict[str, Box] = self._keyed(tables["mailbox"], lambda row: row.username)
        self.aliases: dict[str, Alias] = self._keyed(tables["alias"], lambda row: row.address)
        self.sides: dict[str, Side] = self._keyed(tables["reconciler_mailbox"], lambda row: row.username)
        self.members: dict[str, dict[str, Member]] = defaultdict(dict)
        for member in tables["reconciler_member"]:
            self.members[canonical.address(member.mailbox)][canonical.address(member.member)] = member
        self.keys: list[Key] = tables["reconciler_dkim_key"]
        self.signing: list[Signing] = tables["reconciler_dkim_signing"]
        if self.domain is not None and self.domain.backupmx:
            raise Refused(f"{how.provider}: {domain} is a backup MX domain in this database; it holds no mailboxes")
        self.things: dict[Address, Resource] = {}
        for kind, name, attributes in (*self._domains(), *self._addresses(), *self._dkim()):
            thing = kinds()[kind].resource(how.provider, name, attributes, domain=domain)
            self.things[thing.address] = thing

    def side(self, name: str) -> Side:
        """The side row of a mailbox, or what no row means."""
        return self.sides.get(name) or Side(self.name, name)

    def taken(self, name: str) -> bool:
        """Whether the alias row on a mailbox's name is an alias of its own."""
        alias, side = self.aliases.get(name), self.sides.get(name)
        return bool(alias and alias.active and side and side.name_taken)

    def hidden(self, name: str) -> Alias | None:
        """The alias row of a name where it is switched off and no resource shows what it says."""
        alias, box = self.aliases.get(name), self.boxes.get(name)
        return None if alias is None or alias.active or (box and not box.active) else alias

    def _keyed(self, rows: Iterable[Any], column: Callable[[Any], str]) -> dict[str, Any]:
        """Rows whose address is in this domain. Of two with one canonical name the one written so counts."""
        keyed: dict[str, Any] = {}
        for row in rows:
            written = column(row)
            name = canonical.address(written)
            if name.endswith(f"@{self.name}") and (name not in keyed or name == written):
                keyed[name] = row
        return keyed

    def _domains(self) -> Iterator[Native]:
        if self.domain is not None and self.domain.active:
            target = self.twin.target_domain if self.twin and self.twin.active else None
            yield "domain", self.name, {"alias_of": target}

    def _addresses(self) -> Iterator[Native]:
        for name, box in self.boxes.items():
            yield "mailbox", name, self._mailbox(name, box)
        for name, alias in self.aliases.items():
            if alias.active and (name not in self.boxes or self.taken(name)):
                yield "alias", name, {"to": targets(alias)}

    def _mailbox(self, name: str, box: Box) -> dict[str, Value]:
        side, members = self.side(name), self.members.get(name, {})
        locked = bool(box.marked) or not (self._how.lock_hash or side.login_enabled)
        kept, copies = self._route(name, box)
        told = self._how.by_acl and box.active  # Dovecot knows no mailbox that is not active
        rights = {member: row.acl if told else row.access for member, row in members.items()}
        return {
            "state": self._state(name, box, blocked=bool(side.blocked) if side.shared else locked),
            "login": not (side.shared and locked),
            "members": {member: right for member, right in rights.items() if right},
            "copies_to": copies,
            "keep_copy": kept,
            "quota": int(box.quota) or canonical.UNLIMITED,
            **({"name": box.name} if box.name else {}),
        }

    def _state(self, name: str, box: Box, *, blocked: bool) -> str:
        if box.active:
            return "blocked" if blocked else "active"
        alias = self.aliases.get(name)
        forwarding = alias is not None and alias.active and name not in targets(alias)
        return "blocked" if forwarding and not self.taken(name) else "paused"

    def _route(self, name: str, box: Box) -> tuple[bool, set[str]]:
        """(keep_copy, copies_to) of what really happens to a mailbox's mail."""
        alias = self.aliases.get(name)
        if self.taken(name):
            return True, set()
        if alias is None or (box.active and not alias.active):
            return False, set()
        goto = targets(alias)
        return name in goto and bool(alias.active) == bool(box.active), goto - {name}

    def _dkim(self) -> Iterator[Native]:
        for key in self.keys:
            yield "dkim_key", key.id, {"type": key.type, "bits": int(key.bits), "public": key.public}
        selectors = [row.dkim_id.partition("._domainkey.")[0] for row in self.signing]
        if selectors:
            yield "dkim_signing", self.name, {"selectors": selectors}


def targets(alias: Alias) -> set[str]:
    """The canonical addresses of a `goto` list."""
    return {canonical.address(part.strip()) for part in alias.goto.split(",") if part.strip()}
