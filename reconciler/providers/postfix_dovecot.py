"""Postfix and Dovecot reading one SQL database: PostfixAdmin 3.3's tables, and side tables for what they lack.

SQLite, PostgreSQL or MariaDB/MySQL. Works in an empty database and in one that PostfixAdmin made; rows and columns
that it does not know stay as they are. Passwords belong to their owners: no stored hash is ever read.

    table                  what it is here
    domain                 a row, active and not backupmx, per domain; also one for each twin
    alias_domain           alias_domain is the twin of target_domain
    mailbox                quota in bytes (0: unlimited); a new one has the password `{CRYPT}*`, which nothing matches
    alias                  aliases; also a *self alias* for each mailbox (address = mailbox; goto = itself if it keeps
                           a copy, and copies_to). Without it a catch-all would swallow the mailbox's mail
    quota2                 Dovecot's quota dictionary; its row goes with the mailbox
    reconciler_mailbox     domain, username, login_enabled, shared, blocked, name_taken (0 or 1). No row: 1, 0, 0, 0
    reconciler_member      domain, mailbox, member, access ('full', 'read'), acl (what Dovecot was last told)
    reconciler_dkim_key    id (`s1._domainkey.a.example`), domain, selector, private_key (PEM), public, type, bits
    reconciler_dkim_signing  author (the bare domain), dkim_id: one row per selector

active: mailbox and self alias active. paused: both inactive, so that mail is refused at RCPT. blocked, and every
shared mailbox: mail arrives, nobody logs in. `login_block` says how: `side_table` (default) sets login_enabled = 0,
which Dovecot's password_query must ask for; `lock_hash` puts `{CRYPT}!` before the stored hash, which no password
matches and which comes off again (for the stock queries of a PostfixAdmin server).

A self alias that is missing, or active when its mailbox is not (or the other way round), reads as `keep_copy: false`,
a difference that writing the mailbox mends. An inactive alias or domain reads as not there; making it takes the row
over. name_taken = 1 says that the alias on a (retired) mailbox's name is one of its own: both are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.errors import Conflict, ProviderError, Refused
from reconciler.kinds import dkim_key
from reconciler.model import MISSING, Address
from reconciler.providers import _dkim
from reconciler.providers._doveadm import Doveadm
from reconciler.providers._postfixadmin import LOCK, TABLES, How, Rows, Side, read
from reconciler.providers._sql import Database, Session, Statements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.changes import Batch, Change
    from reconciler.model import Resource, Scope, Value
    from reconciler.providers._dkim import KeyPair

    Things = dict[Address, Resource]
    Right = tuple[str, str, str]  # mailbox, member, right or ""

SIDE = "mail"
REQUIRED = frozenset({"database"})
OPTIONAL = frozenset({"doveadm", "login_block", "password", "read_only"})
BLOCKS = ("side_table", "lock_hash")
NO_PASSWORD = "{CRYPT}*"  # noqa: S105 - a text that no password matches
MARK = f"UPDATE mailbox SET password = '{LOCK}' || password WHERE username = :username"  # noqa: S608
UNMARK = f"UPDATE mailbox SET password = SUBSTR(password, {len(LOCK) + 1}) WHERE username = :username"  # noqa: S608
STAMPED = {"domain", "alias_domain", "mailbox", "alias"}  # have columns created and modified


NO_ACL = (
    "Members are written to the table reconciler_member, but no ACL gives them access: this provider has no `doveadm`"
    " setting. Set it (docs/servers.md), or let your own Dovecot configuration read that table."
)


RSA_ONLY = (
    "opendkim signs with RSA keys; told to sign with an ed25519 key it defers all mail (451). Publish the key, and"
    " keep its selector out of `sign`."
)


def connect(name: str, settings: Mapping[str, Any], root: str) -> PostfixDovecot:
    """The mail system whose database `settings` name. Raises Refused for a `login_block` that there is not."""
    block, api = settings.get("login_block", BLOCKS[0]), settings.get("doveadm")
    if block not in BLOCKS:
        raise Refused(f"{name}: `login_block` is one of {', '.join(BLOCKS)}")
    database = Database(name, settings["database"], root, settings.get("password", ""))
    doveadm = Doveadm(name, api["url"], api["api_key"]) if api else None
    return PostfixDovecot(name, database, doveadm, lock_hash=block == "lock_hash")


class PostfixDovecot:
    """The provider. Members of shared mailboxes become Dovecot ACLs where `doveadm` is set."""

    kinds: Mapping[str, frozenset[str]] = {
        "domain": frozenset({"alias_of"}),
        "mailbox": frozenset({"state", "login", "members", "copies_to", "keep_copy", "quota", "name"}),
        "alias": frozenset({"to"}),
        "dkim_key": frozenset({"type", "bits", "public"}),
        "dkim_signing": frozenset({"selectors"}),
    }

    def __init__(self, name: str, database: Database, doveadm: Doveadm | None, *, lock_hash: bool) -> None:
        self._database, self._doveadm = database, doveadm
        self._how = How(name, lock_hash=lock_hash, by_acl=doveadm is not None)

    @property
    def cautions(self) -> Mapping[str, str]:
        """Without doveadm the members stand in the database and nowhere else."""
        acl = {} if self._doveadm is not None else {"mailbox.members": NO_ACL}
        return {**acl, "dkim_signing.ed25519": RSA_ONLY}

    def read(self, scopes: Sequence[Scope]) -> Mapping[str, tuple[Resource, ...] | ProviderError]:
        """Every domain asked, in one query per table and 500 domains."""
        domains = list(dict.fromkeys(scope.domain for scope in scopes))
        with self._database.session(write=False) as session:
            session.begin(write=False)
            found = read(session, domains, self._how)
        return {
            domain: rows if isinstance(rows, ProviderError) else tuple(rows.things.values())
            for domain, rows in found.items()
        }

    def apply(self, batch: Batch) -> Mapping[Address, Mapping[str, Value]]:
        """One transaction: it locks the domain's rows, looks at them again and writes what changes."""
        made = {change.address: _key_pair(change) for change in batch.changes if _makes_key(change)}
        domain = batch.scope.domain
        with self._database.session(write=True) as session:
            session.make(TABLES)
            session.begin(write=True)
            rows = read(session, [domain], self._how, locked=True)[domain]
            if isinstance(rows, ProviderError):
                raise rows
            rights = _Writing(session, rows, self._how, made).write(batch.changes)
            session.commit()
            if self._doveadm is not None:
                self._doveadm.share(rights)
                _told(session, rights)
        return {address: {"public": pair.public} for address, pair in made.items()}

    def close(self) -> None:
        """Nothing is held open."""


def _makes_key(change: Change) -> bool:
    return change.kind.name == "dkim_key" and change.live is None and change.aim is not None


def _key_pair(change: Change) -> KeyPair:
    assert change.aim is not None
    return _dkim.make(change.aim.get("type"), change.aim.get("bits"))


def _after(change: Change, there: Resource | None) -> Resource | None:
    """What the change makes of what is there: only what it changes. Raises Conflict."""
    live, aim = change.live, change.aim
    if there is not None and live is not None:
        compared = [row.name for row in change.kind.compared if row.name in live.attributes]
        names = list(change.fields) if aim is not None else compared
        if all(there.get(name) == live.get(name) for name in names):
            return aim and there.having(**{name: aim.get(name) for name in names})
    elif there is live:
        return aim
    raise Conflict(f"{change.address} is no longer as it was read; nothing was written")


def _told(session: Session, rights: Sequence[Right]) -> None:
    """Note which rights Dovecot has; until here the old ones are read."""
    rows = [{"mailbox": mailbox, "member": member, "access": right} for mailbox, member, right in rights]
    this = "reconciler_member SET acl = :access WHERE mailbox = :mailbox AND member = :member AND access = :access"
    session.begin(write=True)
    session.write(f"UPDATE {this}", rows)
    session.write("DELETE FROM reconciler_member WHERE mailbox = :mailbox AND member = :member AND access = ''", rows)
    session.commit()


class _Writing:
    """One batch on its way: what becomes of the domain's rows, as statements that are run together at the end."""

    def __init__(self, session: Session, rows: Rows, how: How, made: Mapping[Address, KeyPair]) -> None:
        self._session, self._rows, self._how, self._made = session, rows, how, made
        self._after: Things = dict(rows.things)
        self._statements = Statements(STAMPED)
        self._rights: list[Right] = []

    def write(self, changes: Sequence[Change]) -> list[Right]:
        """Foresee all changes, then write name by name (a mailbox and an alias may share one). Gives rights to give."""
        for change in changes:
            thing = _after(change, self._after.pop(change.address, None))
            if thing is not None:
                self._after[change.address] = thing
        writers = {"domain": self._domain, "dkim_key": self._key, "dkim_signing": self._signing}
        for namespace, name in dict.fromkeys((change.kind.namespace, change.address.name) for change in changes):
            writers.get(namespace, self._address)(name)
        self._statements.run(self._session)
        return self._rights

    def _thing(self, kind: str, name: str) -> Resource | None:
        return self._after.get(Address(self._how.provider, kind, name))

    def _before(self, kind: str, name: str) -> Resource | None:
        return self._rows.things.get(Address(self._how.provider, kind, name))

    def _domain(self, name: str) -> None:
        domain, row, twin = self._thing("domain", name), self._rows.domain, self._rows.twin
        if domain is None:
            self._drop_domain(name)
            return
        fresh = {"domain": name, "description": "", "transport": "virtual", "backupmx": False}
        if row is None or not row.active:
            self._put("domain", row and {"domain": row.domain}, {"active": True}, fresh)
        target = domain.get("alias_of")
        if target is not None:
            values = {"target_domain": target, "active": True}
            self._put("alias_domain", twin and {"alias_domain": twin.alias_domain}, values, {"alias_domain": name})
        elif twin is not None and twin.active:
            self._statements.delete("alias_domain", alias_domain=twin.alias_domain)

    def _drop_domain(self, name: str) -> None:
        visible = {address.name for address in self._rows.things}
        hidden = [address for address in self._rows.aliases if address not in visible]
        twins = self._session.select("SELECT alias_domain FROM alias_domain WHERE target_domain IN (…)", [name])
        left = [*map(str, self._after), *hidden, *(row[0] for row in twins)]
        if left:
            raise Conflict(f"{name} is not empty, {left[0]} is still there; nothing was written")
        self._statements.delete("alias_domain", alias_domain=name)
        self._statements.delete("domain", domain=self._rows.domain.domain if self._rows.domain else name)

    def _address(self, name: str) -> None:
        box, alias = self._thing("mailbox", name), self._thing("alias", name)
        if box is not None:
            self._mailbox(name, box, taken=alias is not None)
        elif name in self._rows.boxes:
            self._purge(self._rows.boxes[name].username)
        if _flow(box, alias) != _flow(self._before("mailbox", name), self._before("alias", name)):
            self._alias(name, box, alias)

    def _alias(self, name: str, box: Resource | None, alias: Resource | None) -> None:
        row = self._rows.aliases.get(name)
        key = row and {"address": row.address}
        if alias is not None:
            goto, active = set(alias.get("to")), True
        elif box is not None:
            goto, active = set(box.get("copies_to")), box.get("state") != "paused"
            goto |= {name} if box.get("keep_copy") or not goto else set()
        elif key is not None:
            self._statements.delete("alias", **key)
            return
        else:
            return
        fresh = {"address": name, "domain": self._rows.name}
        self._put("alias", key, {"goto": ",".join(sorted(goto)), "active": active}, fresh)

    def _mailbox(self, name: str, box: Resource, *, taken: bool) -> None:
        row, state, login = self._rows.boxes.get(name), box.get("state"), bool(box.get("login"))
        locked = state == "blocked" or not login
        values = {
            "name": box.attributes.get("name", ""),
            "quota": _quota(box.get("quota")),
            "active": state != "paused",
        }
        mark = LOCK if locked and self._how.lock_hash else ""
        fresh = {
            "username": name,
            "domain": self._rows.name,
            "local_part": name.rpartition("@")[0],
            "maildir": f"{self._rows.name}/{name.rpartition('@')[0]}/",
            "password": mark + NO_PASSWORD,
        }
        key = row and {"username": row.username}
        if row is None or (row.name or "", int(row.quota), bool(row.active)) != tuple(values.values()):
            self._put("mailbox", key, values, fresh)
        if row and key and self._how.lock_hash and bool(row.marked) != bool(mark):
            self._statements.add(MARK if mark else UNMARK, key)
        self._side(Side(self._rows.name, name, int(not locked), int(not login), int(state == "blocked"), int(taken)))
        self._members(name, box.get("members"), told=self._how.by_acl and state != "paused")

    def _side(self, side: Side) -> None:
        row = self._rows.sides.get(side.username)
        if self._rows.side(side.username)[2:] != side[2:]:
            fresh = {"domain": side.domain, "username": side.username}
            values = {name: value for name, value in side._asdict().items() if name not in fresh}
            self._put("reconciler_mailbox", row and {"username": row.username}, values, fresh)

    def _members(self, mailbox: str, members: Mapping[str, str], *, told: bool) -> None:
        rows = self._rows.members.get(mailbox, {})
        for member in sorted({*rows, *members}):
            row, right = rows.get(member), members.get(member, "")
            acl = row.acl if row else ""
            key = {"mailbox": row.mailbox, "member": row.member} if row else {"mailbox": mailbox, "member": member}
            if not right and not (self._how.by_acl and acl):
                self._statements.delete("reconciler_member", **key)
            elif row is None or row.access != right:
                fresh = {**key, "domain": self._rows.name, "acl": ""}
                self._put("reconciler_member", row and key, {"access": right}, fresh)
            if told and acl != right:
                self._rights.append((key["mailbox"], key["member"], right))

    def _purge(self, username: str) -> None:
        for table in ("mailbox", "reconciler_mailbox", "quota2"):
            self._statements.delete(table, username=username)
        self._statements.delete("reconciler_member", mailbox=username)

    def _key(self, name: str) -> None:
        key = self._thing("dkim_key", name)
        pair = self._made.get(Address(self._how.provider, "dkim_key", name))
        if key is None:
            self._statements.delete("reconciler_dkim_key", id=name)
        elif pair is not None:
            values = {"type": key.get("type"), "bits": key.get("bits"), **pair._asdict()}
            place = {"domain": self._rows.name, "selector": name.partition("._domainkey.")[0]}
            self._statements.insert("reconciler_dkim_key", {"id": name, **place, **values})

    def _signing(self, name: str) -> None:
        signing = self._thing("dkim_signing", name)
        keys = {dkim_key.name(selector, name) for selector in signing.get("selectors")} if signing else set()
        there = {row.dkim_id for row in self._rows.signing}
        for gone in sorted(there - keys):
            self._statements.delete("reconciler_dkim_signing", author=name, dkim_id=gone)
        for new in sorted(keys - there):
            self._statements.insert("reconciler_dkim_signing", {"author": name, "dkim_id": new})

    def _put(
        self, table: str, key: Mapping[str, Any] | None, values: Mapping[str, Any], fresh: Mapping[str, Any]
    ) -> None:
        """Give the row under `key` these values, or make one with `fresh` ones besides."""
        if key is None:
            self._statements.insert(table, {**fresh, **values})
        else:
            self._statements.update(table, key, values)


def _flow(box: Resource | None, alias: Resource | None) -> tuple[Value, ...]:
    """What the alias row of a name depends on."""
    parts = [(box, "state"), (box, "keep_copy"), (box, "copies_to"), (alias, "to")]
    return tuple(thing and thing.get(part) for thing, part in parts)


def _quota(quota: Value) -> int:
    return 0 if quota in {MISSING, canonical.UNLIMITED} else int(quota)
