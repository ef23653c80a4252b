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
    reconciler_purged      domain, username, maildir: what purged mailboxes leave on disk. A mailbox made later under
                           such a name gets a folder of its own: nobody reads the mail of whoever had it before
    reconciler_identity    part ('system'), identity: one row, by which a ledger knows the database again

active: mailbox and self alias active. paused: both inactive, so that mail is refused at RCPT. blocked, and every
shared mailbox: mail arrives, nobody logs in. `login_block` says how: `side_table` (default) sets login_enabled = 0,
which Dovecot's password_query must ask for; `lock_hash` puts `{CRYPT}!` before the stored hash, which no password
matches and which comes off again (for the stock queries of a PostfixAdmin server). What a login finds is asked at
`auth_socket`, which shows no mark.

A self alias that is missing, or active when its mailbox is not (or the other way round), reads as `keep_copy: false`,
a difference that writing the mailbox mends. An inactive alias, alias_domain or domain reads as not there. Making it
switches the row on again where it says the same; where an alias has other targets it is somebody's data that no plan
showed, and the batch is refused: activate the row or remove it by hand. A mark before a hash counts in both modes, so
that who was blocked by the one is unblocked by the other; only `lock_hash` sets it. name_taken = 1 says that the alias
on a (retired) mailbox's name is one of its own: both are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.answers import Login
from reconciler.errors import Conflict, ProviderError
from reconciler.providers import _auth, _dkim, _doveadm, _shapes, _sql
from reconciler.providers._postfixadmin import IDENTITY, TABLES, How, identity_of, read
from reconciler.providers._writing import Writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.changes import Batch, Change
    from reconciler.model import Address, Resource, Scope, Value
    from reconciler.providers._dkim import KeyPair
    from reconciler.providers._session import Session
    from reconciler.providers._shapes import Problem
    from reconciler.providers._writing import Right

SIDE = "mail"
REQUIRED = frozenset({"database"})
OPTIONAL = frozenset({"auth_socket", "doveadm", "login_block", "password", "read_only"})
BLOCKS = ("side_table", "lock_hash")
NO_ACL = (
    "Members are written to the table reconciler_member, but no ACL gives them access: this provider has no `doveadm`"
    " setting. Set it (docs/servers.md), or let your own Dovecot configuration read that table."
)
NO_SOCKET = "the provider has no `auth_socket`"
NO_LOOKUP = "with `login_block: lock_hash` what a login finds does not show the mark"
RSA_ONLY = (
    "opendkim signs with RSA keys; told to sign with an ed25519 key it defers all mail (451). Publish the key, and"
    " keep its selector out of `sign`."
)


def problems(settings: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the settings: where, and why."""
    yield from _sql.problems(settings)
    yield from _shapes.choice(settings, "login_block", BLOCKS)
    yield from _shapes.texts(settings, "auth_socket")
    if "doveadm" in settings:
        yield from _doveadm.problems(settings["doveadm"])


def connect(name: str, settings: Mapping[str, Any], root: str) -> PostfixDovecot:
    """The mail system whose database `settings` name. Raises Refused for settings that cannot be."""
    _shapes.refuse(name, problems(settings))
    block, api = settings.get("login_block", BLOCKS[0]), settings.get("doveadm")
    database = _sql.Database(name, settings["database"], root, settings.get("password", ""))
    doveadm = _doveadm.Doveadm(name, api["url"], api["api_key"]) if api else None
    socket = settings.get("auth_socket", "")
    return PostfixDovecot(name, database, doveadm, lock_hash=block == "lock_hash", auth_socket=socket)


class PostfixDovecot:
    """The provider. Members of shared mailboxes become Dovecot ACLs where `doveadm` is set."""

    kinds: Mapping[str, frozenset[str]] = {
        "domain": frozenset({"alias_of"}),
        "mailbox": frozenset({"state", "login", "members", "copies_to", "keep_copy", "quota", "name"}),
        "alias": frozenset({"to"}),
        "dkim_key": frozenset({"type", "bits", "public"}),
        "dkim_signing": frozenset({"selectors"}),
    }

    def __init__(
        self, name: str, database: _sql.Database, doveadm: _doveadm.Doveadm | None, *, lock_hash: bool,
        auth_socket: str = "",
    ) -> None:  # fmt: skip
        self._database, self._doveadm = database, doveadm
        self._how = How(name, lock_hash=lock_hash, by_acl=doveadm is not None)
        self._auth_socket = auth_socket
        self._made = False  # whether its tables were looked for: once in a run

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
            if not self._made:
                session.make(TABLES)
                self._made = True
            session.begin(write=True)
            rows = read(session, [domain], self._how, locked=True)[domain]
            if isinstance(rows, ProviderError):
                raise rows
            rights = Writing(session, rows, self._how, made).write(batch.changes)
            session.commit()
            if self._doveadm is not None:
                self._doveadm.share(rights)
                _told(session, rights)
        return {address: {"public": pair.public} for address, pair in made.items()}

    def logins(self, mailboxes: Sequence[str]) -> Mapping[str, Login]:
        """What Dovecot itself finds for a login; the database alone does not show whether its query asks our table."""
        if self._how.lock_hash or not self._auth_socket:
            problem = NO_LOOKUP if self._how.lock_hash else NO_SOCKET
            return dict.fromkeys(mailboxes, Login(problem=problem))
        return _auth.lookup(self._auth_socket, mailboxes)

    def identity(self) -> str | None:
        """The one row of its table, which is made when it gets one."""
        with self._database.session(write=False) as session:
            return None if session.missing(IDENTITY) else identity_of(session)

    def identify(self, identity: str) -> None:
        """One row: its key lets nobody else make another."""
        with self._database.session(write=True) as session:
            session.make(IDENTITY)
            session.begin(write=True)
            there = identity_of(session)
            if there is None:
                row = {"part": "system", "identity": identity}
                session.write("INSERT INTO reconciler_identity (part, identity) VALUES (:part, :identity)", [row])
                session.commit()
            elif there != identity:
                raise Conflict(f"{self._how.provider}: the database has another identity")

    def close(self) -> None:
        """Nothing is held open."""


def _makes_key(change: Change) -> bool:
    return change.kind.name == "dkim_key" and change.live is None and change.aim is not None


def _key_pair(change: Change) -> KeyPair:
    assert change.aim is not None
    return _dkim.make(change.aim.get("type"), change.aim.get("bits"))


def _told(session: Session, rights: Sequence[Right]) -> None:
    """Note which rights Dovecot has; until here the old ones are read."""
    rows = [{"mailbox": mailbox, "member": member, "access": right} for mailbox, member, right in rights]
    this = "reconciler_member SET acl = :access WHERE mailbox = :mailbox AND member = :member AND access = :access"
    session.begin(write=True)
    session.write(f"UPDATE {this}", rows)
    session.write("DELETE FROM reconciler_member WHERE mailbox = :mailbox AND member = :member AND access = ''", rows)
    session.commit()
