"""The mail provider on real SQLite, PostgreSQL and MariaDB, in its own layout and in one that PostfixAdmin made."""

from __future__ import annotations

import base64
import json
import os
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from reconciler.errors import Conflict, ProviderError, Refused, Unreachable
from reconciler.kinds import kinds
from reconciler.model import Scope
from reconciler.providers import _doveadm, _postfixadmin, _sql, postfix_dovecot
from tests.providers.contract import (
    NAME,
    OURS,
    MailContract,
    World,
    apply,
    assert_live,
    change,
    create,
    make,
    read,
    texts,
)
from tests.providers.sql_servers import PASSWORD, Server, Sql, dump, install_postfixadmin, mariadb, postgresql
from tests.servers import free_port, need
from tests.servers.postfixadmin import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reconciler.model import Resource

HASH = "$6$salt$0123456789abcdef"
DOMAIN = make("domain", "a.example", "a.example")
JANE = make("mailbox", "jane@a.example", "a.example")
DESK = make("mailbox", "desk@a.example", "a.example", login=False, members={"jane@a.example": "full"})
INFO = make("alias", "info@a.example", "a.example", to=["jane@a.example"])

SERVERS: dict[str, Callable[..., Any]] = {"postgresql": postgresql, "mariadb": mariadb}
MARKS = {
    "sqlite": [],
    "postgresql": [need("initdb", "pg_ctl")],
    "mariadb": [need("mariadbd", "mariadb-install-db")],
    "postfixadmin": [
        need("php"),
        pytest.mark.skipif(
            not PROGRAM.exists(), reason="NOT PROVEN HERE: tests/servers/install.sh fetches PostfixAdmin"
        ),
    ],
}
SYSTEMS = [
    pytest.param((engine, maker, block), id=f"{engine}-{maker}-{block}", marks=[*MARKS[engine], *MARKS.get(maker, [])])
    for engine in ("sqlite", "postgresql", "mariadb")
    for maker, block in (("own", "side_table"), ("postfixadmin", "lock_hash"))
]


@dataclass
class System:
    """A mail system under test: how to reach it, and its database as others see it."""

    settings: dict[str, Any]
    root: str
    engine: str
    opened: list[Sql]

    @property
    def block(self) -> str:
        return self.settings["login_block"]

    @property
    def sql(self) -> Sql:
        if not self.opened:
            self.opened.append(Sql(self.settings["database"]))
        return self.opened[0]

    def connect(self, **settings: Any) -> postfix_dovecot.PostfixDovecot:
        return postfix_dovecot.connect(NAME, {**self.settings, **settings}, self.root)

    @property
    def on(self) -> str:
        return "TRUE" if self.engine == "postgresql" else "1"

    @property
    def off(self) -> str:
        return "FALSE" if self.engine == "postgresql" else "0"

    def set_hash(self, address: str, text: str = HASH) -> None:
        self.sql(f"UPDATE mailbox SET password = '{text}' WHERE username = '{address}'")

    def hash(self, address: str) -> str:
        return self.sql(f"SELECT password FROM mailbox WHERE username = '{address}'")[0][0]

    def alias(self, address: str) -> list[tuple[Any, ...]]:
        rows = self.sql(f"SELECT goto, active FROM alias WHERE address = '{address}'")
        return [(goto, bool(active)) for goto, active in rows]


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[[str], Server]]:
    """Each server is started when it is first asked for."""
    running: dict[str, tuple[Any, Server]] = {}

    def get(engine: str) -> Server:
        if engine not in running:
            context = SERVERS[engine]()
            running[engine] = context, context.__enter__()
        return running[engine][1]

    yield get
    for context, _ in running.values():
        context.__exit__(None, None, None)


@pytest.fixture(scope="module")
def postfixadmin(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], None]:
    """Fills an empty database with the tables that PostfixAdmin's own code makes; it is run once for each engine."""
    made: dict[str, list[str]] = {}

    def fill(url: str) -> None:
        engine = url.partition(":")[0]
        with closing(Sql(url)) as sql:
            if engine in made:
                for text in made[engine]:
                    sql(text)
                return
            install_postfixadmin(url, tmp_path_factory.mktemp("postfixadmin") / "program")
            made[engine] = dump(url, sql)

    return fill


@pytest.fixture(params=SYSTEMS)
def system(request, tmp_path: Path, servers: Callable[[str], Server], postfixadmin) -> Iterator[System]:
    """One of the databases, empty but for PostfixAdmin's tables where it made them."""
    engine, maker, block = request.param
    url = f"sqlite:///{tmp_path}/mail.sqlite" if engine == "sqlite" else servers(engine).fresh()
    if maker == "postfixadmin":
        postfixadmin(url)
    system = System({"database": url, "login_block": block}, str(tmp_path), engine, [])
    yield system
    for sql in system.opened:
        sql.close()


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[System]:
    """SQLite in our own layout: for what is the same everywhere."""
    settings = {"database": f"sqlite:///{tmp_path}/mail.sqlite", "login_block": "side_table"}
    system = System(settings, str(tmp_path), "sqlite", [])
    yield system
    for sql in system.opened:
        sql.close()


def world_of(system: System) -> World:
    """What the contract does to a system from outside."""

    def plant() -> Callable[[], object]:
        sql, yes = system.sql, system.on
        for domain in ("z.example", "never.example"):
            sql(f"INSERT INTO domain (domain, description, transport, backupmx, active) VALUES "
                f"('{domain}', 'theirs', 'smtp:[x]', {system.off}, {yes})")  # fmt: skip
        sql(f"INSERT INTO mailbox (username, password, name, maildir, quota, local_part, domain, active) VALUES "
            f"('bob@z.example', '{HASH}', 'Bob', 'elsewhere/', 7, 'bob', 'z.example', {yes})")  # fmt: skip
        for row in ("'bob@z.example', 'bob@z.example', 'z.example'", "'fax@a.example', 'x@y.test', 'a.example'"):
            sql(f"INSERT INTO alias (address, goto, domain, active) VALUES ({row}, {yes})")
        sql("CREATE TABLE wiki (page varchar(20))")
        sql("INSERT INTO wiki VALUES ('home')")
        sql("ALTER TABLE mailbox ADD COLUMN their_note varchar(20) DEFAULT 'keep'")
        return look

    def look() -> object:
        foreign = {"domain": "domain", "mailbox": "domain", "alias": "domain"}
        theirs = [
            system.sql(f"SELECT * FROM {t} WHERE {c} IN ('z.example', 'never.example')") for t, c in foreign.items()
        ]
        fax = system.sql("SELECT * FROM alias WHERE address = 'fax@a.example'")
        notes = {row[0] for row in system.sql("SELECT their_note FROM mailbox")}
        return theirs, fax, notes, system.sql("SELECT page FROM wiki")

    def tamper(thing: Resource) -> None:
        goto = ",".join(thing.get("to"))
        system.sql(f"UPDATE alias SET goto = '{goto}' WHERE address = '{thing.address.name}'")

    def sever() -> None:
        wrong = f"{system.engine}://admin:{PASSWORD.split('@')[0]}@127.0.0.1:{free_port()}/mail"
        if system.engine == "sqlite":
            Path(system.settings["database"].removeprefix("sqlite:///")).write_text("no database", encoding="utf-8")
        else:
            system.settings["database"] = wrong

    return World(system.connect, plant, tamper, sever, secrets=(PASSWORD, PASSWORD.split("@")[0], HASH))


class TestContract(MailContract):
    @pytest.fixture
    def world(self, system: System) -> World:
        return world_of(system)


@pytest.fixture
def provider(system: System) -> postfix_dovecot.PostfixDovecot:
    """A provider whose domain holds Jane, the desk she reads, and an alias; Jane and the desk have passwords."""
    provider = system.connect()
    create(provider, OURS, [DOMAIN, JANE, DESK, INFO])
    system.set_hash("jane@a.example")
    return provider


def move(provider: postfix_dovecot.PostfixDovecot, name: str, **attributes: Any) -> Resource:
    """Set attributes of a mailbox, as a declared change from what is live."""
    live = next(thing for address, thing in read(provider).items() if address[1:] == ("mailbox", name))
    aim = live.having(**attributes)
    apply(provider, OURS, change(live, aim))
    assert read(provider)[aim.address] == aim
    return aim


def test_a_password_outlives_every_state(system: System, provider) -> None:
    """Blocked, paused, shared, retired and back: the owner's hash is the one it was, and read by nobody on the way."""
    steps = [
        ({"state": "blocked"}, True),
        ({"state": "paused"}, False),
        ({"state": "active", "login": False, "members": {"desk@a.example": "read"}}, True),
        ({"state": "blocked", "quota": 1}, True),
        (dict(kinds()["mailbox"].retired), True),
        ({"state": "active", "login": True, "members": {}}, False),
    ]
    for attributes, locked in steps:
        move(provider, "jane@a.example", **attributes)
        marked = locked and system.block == "lock_hash"
        assert system.hash("jane@a.example") == ("{CRYPT}!" if marked else "") + HASH
        if system.block == "side_table":
            rows = system.sql("SELECT login_enabled FROM reconciler_mailbox WHERE username = 'jane@a.example'")
            assert [row[0] for row in rows] == [int(not locked)]


def test_somebody_who_lets_a_blocked_person_in_is_seen(system: System, provider) -> None:
    """When the block is lifted by hand the mailbox reads as active, a shared one as having a login."""
    move(provider, "jane@a.example", state="blocked")
    for name in ("jane@a.example", "desk@a.example"):
        if system.block == "lock_hash":
            system.set_hash(name)
        else:
            system.sql(f"UPDATE reconciler_mailbox SET login_enabled = 1 WHERE username = '{name}'")
    live = read(provider)
    assert (live[JANE.address].get("state"), live[JANE.address].get("login")) == ("active", True)
    assert (live[DESK.address].get("state"), live[DESK.address].get("login")) == ("active", True)


def test_a_self_alias_follows_its_mailbox(system: System, provider) -> None:
    """It names the mailbox while a copy is kept, the outside while not, and is off only while mail is refused."""
    assert system.alias("jane@a.example") == [("jane@a.example", True)]
    move(provider, "jane@a.example", copies_to=("x@y.test",))
    assert system.alias("jane@a.example") == [("jane@a.example,x@y.test", True)]
    move(provider, "jane@a.example", keep_copy=False, state="blocked")
    assert system.alias("jane@a.example") == [("x@y.test", True)]
    move(provider, "jane@a.example", state="paused")
    assert system.alias("jane@a.example") == [("x@y.test", False)]


@pytest.mark.parametrize("damage", ["gone", "off", "on"])
def test_a_broken_self_alias_shows_and_is_mended(system: System, provider, damage: str) -> None:
    """Missing, off beside an active mailbox or on beside a paused one: keep_copy differs, and writing it mends it."""
    if damage == "on":
        move(provider, "jane@a.example", state="paused")
    statement = {"gone": "DELETE FROM alias", "off": f"UPDATE alias SET active = {system.off}"}
    action = statement.get(damage, f"UPDATE alias SET active = {system.on}")
    whole = read(provider)[JANE.address]
    system.sql(f"{action} WHERE address = 'jane@a.example'")
    live = read(provider)[JANE.address]
    assert live == whole.having(keep_copy=False)
    apply(provider, OURS, change(live, live.having(quota=5)))
    assert read(provider)[JANE.address] == live.having(quota=5)
    apply(provider, OURS, change(live, whole))
    assert read(provider)[JANE.address] == whole.having(quota=5)
    assert system.alias("jane@a.example") == [("jane@a.example", damage != "on")]


def test_inactive_rows_are_not_there_and_are_switched_on_again(system: System, provider) -> None:
    """An alias or domain that somebody switched off is missing; making it switches the row that says the same on."""
    system.sql(f"UPDATE alias SET active = {system.off} WHERE address = 'info@a.example'")
    system.sql(f"UPDATE domain SET active = {system.off}, description = 'kept' WHERE domain = 'a.example'")
    assert {DOMAIN.address, INFO.address}.isdisjoint(read(provider))
    create(provider, OURS, [DOMAIN, INFO])
    assert_live(provider, OURS, [DOMAIN, JANE, DESK, INFO])
    assert system.sql("SELECT description FROM domain WHERE domain = 'a.example'") == [("kept",)]


def test_what_is_switched_off_and_says_something_else_is_not_overwritten(system: System, provider) -> None:
    """No plan shows where an inactive row leads, so an alias, a mailbox or a twin over it is refused, and it stays."""
    system.sql(f"UPDATE alias SET active = {system.off}, goto = 'old@x.test' WHERE address = 'info@a.example'")
    box = make("mailbox", "info@a.example", "a.example")
    for thing in (INFO, box):
        with pytest.raises(Refused, match=r"alias info@a\.example is switched off .* remove it by hand"):
            create(provider, OURS, [make("alias", "new@a.example", "a.example", to=["x@y.test"]), thing])
        assert system.alias("info@a.example") == [("old@x.test", False)]
        assert system.alias("new@a.example") == []
    system.sql(f"UPDATE alias SET active = {system.off}, goto = 'jane@a.example,boss@x.test' WHERE goto LIKE 'jane@%'")
    live = read(provider)[JANE.address]
    with pytest.raises(Refused, match=r"alias jane@a\.example is switched off"):
        apply(provider, OURS, change(live, live.having(copies_to=("else@x.test",))))
    apply(provider, OURS, change(live, live.having(keep_copy=True, copies_to=("boss@x.test",))))
    assert system.alias("jane@a.example") == [("boss@x.test,jane@a.example", True)]


def test_a_twin_that_is_switched_off_and_leads_elsewhere_stays(system: System, provider) -> None:
    """The row of an alias domain is somebody's data too."""
    scopes = [Scope(name, name) for name in ("b.example", "c.example")]
    for scope in scopes:
        create(provider, scope, [make("domain", scope.domain, scope.domain, alias_of="a.example")])
    system.sql(
        f"UPDATE alias_domain SET active = {system.off}, target_domain = 'c.example' WHERE alias_domain LIKE 'b%'"
    )
    live = make("domain", "b.example", "b.example")
    assert_live(provider, scopes[0], [live])
    with pytest.raises(Refused, match=r"alias domain b\.example is switched off"):
        apply(provider, scopes[0], change(live, live.having(alias_of="a.example")))
    apply(provider, scopes[0], change(live, live.having(alias_of="c.example")))
    assert_live(provider, scopes[0], [live.having(alias_of="c.example")])


def test_who_was_blocked_the_other_way_is_unblocked(system: System, provider) -> None:
    """A mark that `lock_hash` set is seen and taken off by `side_table` too, which never sets one."""
    marking, plain = system.connect(login_block="lock_hash"), system.connect(login_block="side_table")
    for name in ("jane@a.example", "desk@a.example"):
        system.set_hash(name)
    move(plain, "desk@a.example", members={})
    move(marking, "jane@a.example", state="blocked")
    assert system.hash("jane@a.example") == "{CRYPT}!" + HASH
    system.sql("UPDATE reconciler_mailbox SET login_enabled = 1 WHERE username = 'jane@a.example'")
    assert read(plain)[JANE.address].get("state") == "blocked"
    move(plain, "jane@a.example", quota=7)
    assert system.hash("jane@a.example") == "{CRYPT}!" + HASH
    move(plain, "jane@a.example", state="active")
    assert system.hash("jane@a.example") == HASH
    move(plain, "jane@a.example", state="blocked")
    assert system.hash("jane@a.example") == HASH
    assert read(marking)[JANE.address].get("state") == "active"


def test_a_domain_goes_only_when_empty(system: System, provider) -> None:
    """While a mailbox, an alias (even one switched off) or a twin is left, removing the domain is a conflict."""
    twin = make("domain", "b.example", "b.example", alias_of="a.example")
    there = Scope("b.example", "b.example")
    create(provider, there, [twin])
    with pytest.raises(Conflict, match=r"mailbox/(jane|desk)@a\.example"):
        apply(provider, OURS, change(DOMAIN, None))
    live = read(provider)
    apply(provider, OURS, *(change(live[thing.address], None) for thing in (JANE, DESK)))
    system.sql(f"UPDATE alias SET active = {system.off} WHERE address = 'info@a.example'")
    with pytest.raises(Conflict, match=r"info@a\.example"):
        apply(provider, OURS, change(DOMAIN, None))
    system.sql("DELETE FROM alias")
    with pytest.raises(Conflict, match=r"b\.example"):
        apply(provider, OURS, change(DOMAIN, None))
    apply(provider, there, change(twin, None))
    apply(provider, OURS, change(DOMAIN, None))
    assert system.sql("SELECT domain FROM domain") + system.sql("SELECT alias_domain FROM alias_domain") == []


def test_a_purge_leaves_nothing(system: System, provider) -> None:
    """With a mailbox go its self alias, side rows, members and Dovecot's quota row."""
    system.sql("INSERT INTO quota2 (username, bytes, messages) VALUES ('desk@a.example', 5, 1)")
    apply(provider, OURS, change(read(provider)[DESK.address], None))
    tables = {"mailbox": "username", "alias": "address", "quota2": "username", "reconciler_mailbox": "username"}
    tables |= {"reconciler_member": "mailbox"}
    left = [system.sql(f"SELECT * FROM {table} WHERE {key} = 'desk@a.example'") for table, key in tables.items()]
    assert left == [[]] * 5


def test_a_purged_name_stays_with_its_alias(system: System, provider) -> None:
    """When a retired mailbox is purged whose name an alias took, the alias stays."""
    taker = make("alias", "jane@a.example", "a.example", to=["desk@a.example"])
    retired = move(provider, "jane@a.example", state="blocked")
    create(provider, OURS, [taker])
    assert read(provider)[JANE.address] == retired
    apply(provider, OURS, change(retired, None))
    assert_live(provider, OURS, [DOMAIN, DESK, INFO, taker])


def test_only_what_changes_is_written(system: System, provider) -> None:
    """A change of the name leaves a quota alone that somebody set after it was planned."""
    live = read(provider)[JANE.address]
    system.sql("UPDATE mailbox SET quota = 77 WHERE username = 'jane@a.example'")
    apply(provider, OURS, change(live, live.having(name="Jane")))
    assert read(provider)[JANE.address] == live.having(name="Jane", quota=77)


def test_batches_of_many_domains_at_once(system: System) -> None:
    """Eight threads meet in an empty database and none hinders another."""

    def fill(number: int) -> int:
        scope = Scope(f"d{number}.example", f"d{number}.example")
        boxes = [make("mailbox", f"u{i}@{scope.domain}", scope.domain) for i in range(10)]
        provider = system.connect()
        create(provider, scope, [make("domain", scope.domain, scope.domain), *boxes])
        apply(provider, scope, *(change(box, box.having(state="blocked", login=True)) for box in boxes[:5]))
        apply(provider, scope, *(change(box, None) for box in boxes[5:]))
        return len(read(provider, scope))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(fill, range(8))) == [6] * 8


def test_rows_written_in_capitals_are_the_same_thing(system: System, provider) -> None:
    """A mailbox that somebody spelt with capitals is found by its canonical name and changed where it lies."""
    for table, key in (("mailbox", "username"), ("alias", "address")):
        system.sql(f"UPDATE {table} SET {key} = 'Jane@a.example' WHERE {key} = 'jane@a.example'")
    move(provider, "jane@a.example", state="blocked", quota=9)
    assert system.sql("SELECT username, quota FROM mailbox WHERE local_part = 'jane'") == [("Jane@a.example", 9)]
    assert system.hash("Jane@a.example").endswith(HASH)


def test_a_backup_mx_domain_is_left_alone(system: System, provider) -> None:
    """Its mail is kept elsewhere; it is no domain to put mailboxes in, and not one that is missing."""
    system.sql(f"UPDATE domain SET backupmx = {system.on}")
    assert isinstance(provider.read([OURS])["a.example"], Refused)
    with pytest.raises(Refused, match="backup MX"):
        apply(provider, OURS, change(INFO, None))


def test_a_new_password_is_one_that_nothing_matches(system: System, provider) -> None:
    """A new mailbox has no password until its owner sets one; a new shared one is blocked as `login_block` says."""
    assert system.hash("desk@a.example") == ("{CRYPT}!" if system.block == "lock_hash" else "") + "{CRYPT}*"
    move(provider, "desk@a.example", login=True, members={})
    assert system.hash("desk@a.example") == "{CRYPT}*"


@need("doveadm")
@pytest.mark.parametrize("stored", ["{CRYPT}*", "{CRYPT}!{CRYPT}*", "{CRYPT}!{PLAIN}x", "{CRYPT}!$6$salt$hash"])
def test_dovecot_lets_nobody_in_by_such_a_password(stored: str) -> None:
    """Dovecot itself says that the texts for `none yet` and `blocked` match no password."""
    for tried in ("x", "*", "", stored, stored.removeprefix("{CRYPT}!")):
        done = subprocess.run(["doveadm", "pw", "-t", stored, "-p", tried], capture_output=True, check=False)
        assert done.returncode != 0


# The DKIM keys


@pytest.mark.parametrize(("type_", "bits"), [("rsa", 2048), ("ed25519", 256)])
def test_a_key_pair_belongs_together(lite: System, type_: str, bits: int) -> None:
    """The private half lies in the signer's table as PEM; its public half is what apply answers and read says."""
    provider = lite.connect()
    key = make("dkim_key", "k._domainkey.a.example", "a.example", type=type_, bits=bits)
    answer = apply(provider, OURS, change(None, DOMAIN), change(None, key))
    rows = lite.sql("SELECT id, domain, selector, private_key, public FROM reconciler_dkim_key")
    (name, domain, selector, pem, public), private = rows[0], load_pem_private_key(rows[0][3].encode(), None)
    assert (name, domain, selector) == ("k._domainkey.a.example", "a.example", "k")
    assert answer[key.address] == {"public": public} == {"public": read(provider)[key.address].get("public")}
    assert public == f"v=DKIM1; k={type_}; p={_public_text(private)}"
    assert ("RSA PRIVATE KEY" in pem) == (type_ == "rsa")


def _public_text(private: Any) -> str:
    raw = hasattr(private, "sign") and not hasattr(private, "decrypt")
    forms = (Encoding.Raw, PublicFormat.Raw) if raw else (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(private.public_key().public_bytes(*forms)).decode()


def test_a_rotation_keeps_the_old_key(lite: System) -> None:
    """Signing moves from one selector to another; both keys are there until one is removed."""
    provider = lite.connect()
    keys = [make("dkim_key", f"{s}._domainkey.a.example", "a.example", type="rsa", bits=1024) for s in ("s1", "s2")]
    signing = make("dkim_signing", "a.example", "a.example", selectors=["s1"])
    create(provider, OURS, [DOMAIN, *keys, signing])
    both, new = (signing.having(selectors=selectors) for selectors in (("s1", "s2"), ("s2",)))
    for live, aim in ((signing, both), (both, new)):
        apply(provider, OURS, change(live, aim))
        assert_live(provider, OURS, [DOMAIN, *keys, aim])
    assert lite.sql("SELECT author, dkim_id FROM reconciler_dkim_signing") == [("a.example", "s2._domainkey.a.example")]


# What is asked of the database


@pytest.fixture
def statements(monkeypatch) -> list[str]:
    """Every statement SQLite is given, with its parameters filled in."""
    seen: list[str] = []

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = sqlite3.connect(*arguments, **options)
        connection.set_trace_callback(seen.append)
        return connection

    patched = type("sqlite3", (), {**vars(sqlite3), "connect": staticmethod(connect)})
    monkeypatch.setattr(_sql, "sqlite3", patched)
    return seen


def test_a_read_is_a_query_per_table(lite: System, statements: list[str]) -> None:
    """However many domains and mailboxes there are."""
    provider = lite.connect()
    scopes = [Scope(f"d{number}.example", f"d{number}.example") for number in range(60)]
    for scope in scopes[:3]:
        boxes = [make("mailbox", f"u{i}@{scope.domain}", scope.domain) for i in range(30)]
        create(provider, scope, [make("domain", scope.domain, scope.domain), *boxes])
    statements.clear()
    found = provider.read(scopes)
    assert [len(things) for things in found.values()] == [31] * 3 + [0] * 57
    assert len(statements) == 2 + len(_postfixadmin.ROWS)  # BEGIN, which tables there are, one for each


def test_a_batch_asks_as_often_as_a_read(lite: System, statements: list[str]) -> None:
    """It looks at its domain again in one query per table; only rows that change are written one by one."""
    provider = lite.connect()
    create(provider, OURS, [DOMAIN, *(make("mailbox", f"u{i}@a.example", "a.example") for i in range(30))])
    live = [thing for thing in read(provider).values() if thing.address.kind == "mailbox"]
    statements.clear()
    apply(provider, OURS, *(change(thing, thing.having(quota=5)) for thing in live))
    selects = [text for text in statements if text.startswith("SELECT")]
    assert len(selects) == len(_postfixadmin.ROWS)  # which tables there are is asked once in a run
    assert len(statements) == len(selects) + 30 + len(["BEGIN", "COMMIT"])


def test_every_query_uses_an_index(lite: System, statements: list[str]) -> None:
    """No query looks at the rows of domains that were not asked for."""
    provider = lite.connect()
    create(provider, OURS, [DOMAIN, JANE])
    statements.clear()
    read(provider)
    apply(provider, OURS, change(JANE, JANE.having(state="paused")))
    apply(provider, OURS, change(JANE.having(state="paused"), None), change(DOMAIN, None))
    ours = [
        text for text in statements if text.startswith(("SELECT", "UPDATE", "DELETE")) and "sqlite_master" not in text
    ]
    assert len(ours) > 20
    plans = [(text, [row[3] for row in lite.sql(f"EXPLAIN QUERY PLAN {text}")]) for text in ours]
    assert [(text, plan) for text, plan in plans if any(step.startswith("SCAN") for step in plan)] == []


@pytest.mark.parametrize("block", ["side_table", "lock_hash"])
def test_no_password_is_read(lite: System, statements: list[str], block: str) -> None:
    """The column is written for a new mailbox, marked in place, and otherwise only asked whether it is marked."""
    provider = lite.connect(login_block=block)
    create(provider, OURS, [DOMAIN, JANE, DESK])
    move(provider, "jane@a.example", state="blocked")
    move(provider, "jane@a.example", state="active")
    apply(provider, OURS, change(JANE, None))
    assert not [text for text in statements if "*" in text.replace("{CRYPT}*", "")]
    asked = {text.partition(" FROM ")[0] for text in statements if text.startswith("SELECT") and "password" in text}
    marked = "CASE WHEN SUBSTR(password, 1, 8) = '{CRYPT}!' THEN 1 ELSE 0 END"
    assert asked == {f"SELECT domain, username, name, quota, active, {marked}"}


def test_the_journal_mode_stays(lite: System, statements: list[str]) -> None:
    """Postfix cannot read a SQLite file in WAL mode, so nobody is to switch to it."""
    create(lite.connect(), OURS, [DOMAIN])
    assert lite.sql("PRAGMA journal_mode") == [("delete",)]
    assert not [text for text in statements if "PRAGMA" in text.upper()]


# What can go wrong


def test_a_missing_file_is_an_empty_database(tmp_path: Path) -> None:
    """Reading does not make it; applying does, with its folders, and with the mode that the umask leaves."""
    provider = postfix_dovecot.connect(NAME, {"database": "sqlite:///var/deep/mail 1%.sqlite"}, str(tmp_path))
    assert provider.read([OURS]) == {"a.example": ()}
    assert list(tmp_path.iterdir()) == []
    before = os.umask(0o027)
    try:
        create(provider, OURS, [DOMAIN])
    finally:
        os.umask(before)
    file = next((tmp_path / "var" / "deep").iterdir())
    assert (stat.S_IMODE(file.stat().st_mode), read(provider)) == (0o640, {DOMAIN.address: DOMAIN})


def test_a_locked_database_is_unreachable(lite: System, monkeypatch) -> None:
    """Who waited in vain for another writer says so and has written nothing; the next try succeeds."""
    monkeypatch.setattr(_sql, "PATIENCE", 0.1)
    provider = lite.connect()
    create(provider, OURS, [DOMAIN])
    lite.sql("BEGIN EXCLUSIVE")
    with pytest.raises(Unreachable, match="locked by another program"):
        create(provider, OURS, [JANE])
    with pytest.raises(Unreachable, match="locked by another program"):
        read(provider)
    lite.sql("ROLLBACK")
    create(provider, OURS, [JANE])


def test_a_locked_row_is_unreachable(system: System, provider, monkeypatch) -> None:
    """On a server it is the rows of the domain that are locked; others can be written meanwhile."""
    monkeypatch.setattr(_sql, "PATIENCE", 1)
    if system.engine == "sqlite":
        pytest.skip("SQLite locks the whole file: test_a_locked_database_is_unreachable")
    there = Scope("b.example", "b.example")
    system.sql("BEGIN")
    system.sql("UPDATE alias SET goto = 'x@y.test' WHERE address = 'info@a.example'")
    create(provider, there, [make("domain", "b.example", "b.example")])
    with pytest.raises(Unreachable):
        apply(provider, OURS, change(INFO, None))
    system.sql("COMMIT")
    with pytest.raises(Conflict):
        apply(provider, OURS, change(INFO, None))


def test_a_killed_writer_leaves_a_readable_database(lite: System) -> None:
    """Who died in the middle of a transaction is as if it had never begun it, already for the next read."""
    provider = lite.connect()
    create(provider, OURS, [DOMAIN])
    file = lite.settings["database"].removeprefix("sqlite:///")
    spill = "INSERT INTO alias (address, goto, domain, active) VALUES (?, ?, 'a.example', 1)"
    program = (
        "import os, sqlite3\n"
        f"db = sqlite3.connect({file!r}, isolation_level=None)\n"
        "db.execute('PRAGMA cache_size = 5')\n"
        "db.execute('BEGIN')\n"
        f"db.executemany({spill!r}, [(f'n{{i}}@a.example', 'x' * 1000) for i in range(3000)])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert Path(f"{file}-journal").stat().st_size > 0
    assert_live(provider, OURS, [DOMAIN])


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    """A text file, a folder, and a place where no file can be made are not taken for an empty database."""
    (tmp_path / "notes.txt").write_text("no database " * 100)
    for place in ("notes.txt", "", "/proc/nowhere/mail.sqlite", "a%00b"):
        with pytest.raises(Refused):
            create(postfix_dovecot.connect(NAME, {"database": f"sqlite:///{place}"}, str(tmp_path)), OURS, [DOMAIN])
    for place in ("notes.txt", "."):
        with pytest.raises(Refused):
            read(postfix_dovecot.connect(NAME, {"database": f"sqlite:///{place}"}, str(tmp_path)))


@pytest.mark.parametrize("place", ["pipe", "/dev/zero"])
def test_a_pipe_or_device_is_not_opened(tmp_path: Path, place: str) -> None:
    """What is no regular file would never answer, or act; it is refused for reading and writing."""
    os.mkfifo(tmp_path / "pipe")
    provider = postfix_dovecot.connect(NAME, {"database": f"sqlite:///{place}"}, str(tmp_path))
    for act in (lambda: read(provider), lambda: create(provider, OURS, [DOMAIN])):
        with pytest.raises(Refused, match="no regular file"):
            act()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://admin:geheim/x@127.0.0.1/mail", "postgresql://admin:geheim#1@127.0.0.1/mail", "oracle://geheim@x/y",
        "mysql://admin:geheim@127.0.0.1:99999/mail", "sqlite://geheim/x", "geheim", "mysql://admin:geheim@127.0.0.1",
        "mysql://admin:geheim@127.0.0.1:1/mail?geheim=1", "postgresql://admin:geheim@127.0.0.1:1/mail?geheim=1",
        "mysql://admin:geheim@127.0.0.1:1/mail", "postgresql://admin:geheim@127.0.0.1:1/mail",
    ],
)  # fmt: skip
def test_no_password_of_a_wrong_url_is_told(url: str) -> None:
    """A URL that cannot be used, or leads nowhere, is an error that does not quote it."""
    with pytest.raises(ProviderError) as raised:
        read(postfix_dovecot.connect(NAME, {"database": url}, "/"))
    assert "geheim" not in "".join(text for text in texts(raised.value)).replace('option "geheim"', "")


@pytest.mark.parametrize("engine", [pytest.param(name, marks=MARKS[name]) for name in SERVERS])
def test_a_wrong_password_is_refused(servers: Callable[[str], Server], engine: str) -> None:
    """The server's no is told without the password; `password` takes the place of the URL's."""
    server = servers(engine)
    url = server.fresh().replace("s3cret", "geheim")
    with pytest.raises(Refused) as raised:
        read(postfix_dovecot.connect(NAME, {"database": url}, "/"))
    assert "geheim" not in "".join(texts(raised.value))
    assert read(postfix_dovecot.connect(NAME, {"database": url, "password": PASSWORD}, "/")) == {}


def test_a_row_that_makes_no_sense_stops_its_domain_only(lite: System) -> None:
    """Live data is taken as hostile: one domain's nonsense is that domain's error."""
    provider = lite.connect()
    there = Scope("b.example", "b.example")
    create(provider, OURS, [DOMAIN, JANE])
    create(provider, there, [make("domain", "b.example", "b.example")])
    lite.sql("UPDATE mailbox SET quota = 'a lot'")
    found = provider.read([OURS, there])
    assert isinstance(found["a.example"], Refused)
    assert len(found["b.example"]) == 1
    lite.sql("UPDATE mailbox SET quota = 0")
    lite.sql("UPDATE alias SET goto = ' JANE@A.example , ,|sh,\"x y\"@b.test,' WHERE address = 'jane@a.example'")
    assert len(read(provider)[JANE.address].get("copies_to")) == 2


ODD_ROWS = {
    "a quota beyond all numbers": ("UPDATE mailbox SET quota = 9e999", "mailbox.quota"),
    "a quota of half a byte": ("UPDATE mailbox SET quota = 0.5", "mailbox.quota"),
    "bits beyond all numbers": ("UPDATE reconciler_dkim_key SET bits = 9e999", "reconciler_dkim_key.bits"),
    "a name of bytes": ("UPDATE mailbox SET name = x'ff'", "mailbox.name"),
    "a name that is no UTF-8": ("UPDATE mailbox SET name = CAST(x'4aff' AS TEXT)", "mailbox.name"),
    "targets that are no UTF-8": ("UPDATE alias SET goto = CAST(x'4aff' AS TEXT)", "alias.goto"),
    "targets of bytes": ("UPDATE alias SET goto = x'6140'", "alias.goto"),
    "a flag that is text": ("UPDATE mailbox SET active = 'perhaps'", "mailbox.active"),
    "a member of bytes": ("UPDATE reconciler_member SET access = x'00'", "reconciler_member.access"),
    "a signer that is no UTF-8": (
        "UPDATE reconciler_dkim_signing SET dkim_id = CAST(x'ff' AS TEXT)", "reconciler_dkim_signing.dkim_id",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD_ROWS)
def test_an_odd_value_stops_its_domain_only(lite: System, case: str) -> None:
    """Values too big or of another type are that domain's error, which names table, column and domain, and no hash."""
    provider, there = lite.connect(), Scope("b.example", "b.example")
    key = make("dkim_key", "s1._domainkey.a.example", "a.example", type="ed25519", bits=256)
    signing = make("dkim_signing", "a.example", "a.example", selectors=["s1"])
    create(provider, OURS, [DOMAIN, JANE, DESK, INFO, key, signing])
    lite.set_hash("jane@a.example")
    create(provider, there, [make("domain", "b.example", "b.example")])
    statement, column = ODD_ROWS[case]
    lite.sql(statement)
    found = provider.read([OURS, there])
    assert len(found["b.example"]) == 1
    error = found["a.example"]
    assert isinstance(error, Refused)
    assert column in str(error)
    assert "a.example" in str(error)
    assert HASH not in str(error)
    with pytest.raises(Refused, match=column):
        apply(provider, OURS, change(INFO, None))


def test_a_null_stops_its_domain_only(lite: System) -> None:
    """In a database without NOT NULL a flag that nobody set is no answer; a name that nobody set is none."""
    lite.sql("CREATE TABLE mailbox (domain, username, name, quota, active, password)")
    lite.sql("INSERT INTO mailbox VALUES ('a.example', 'jane@a.example', NULL, 0, NULL, 'x')")
    lite.sql("INSERT INTO mailbox VALUES ('b.example', 'bob@b.example', NULL, 0, 1, 'x')")
    found = lite.connect().read([OURS, Scope("b.example", "b.example")])
    assert isinstance(found["a.example"], Refused)
    assert [thing.address.name for thing in found["b.example"]] == ["bob@b.example"]


def test_a_value_that_cannot_be_bound_is_refused(system: System, provider) -> None:
    """A quota beyond 64 bits and a name that no encoding can write are refused, and nothing is written."""
    live = read(provider)[JANE.address]
    for odd in ({"quota": 2**70}, {"name": "\udcff"}):
        with pytest.raises(Refused):
            apply(provider, OURS, change(INFO, None), change(live, live.having(**odd)))
        assert read(provider)[JANE.address] == live
        assert INFO.address in read(provider)


@MARKS["postgresql"][0]
def test_a_postgresql_that_knows_no_encoding(servers: Callable[[str], Server]) -> None:
    """In a SQL_ASCII database text is read as UTF-8; where it is none only its domain is an error."""
    url = servers("postgresql").fresh()
    with closing(Sql(url)) as sql:
        sql("CREATE DATABASE odd ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    url = f"{url.rpartition('/')[0]}/odd"
    provider, there = postfix_dovecot.connect(NAME, {"database": url}, "/"), Scope("b.example", "b.example")
    create(provider, OURS, [DOMAIN, JANE.having(name="Jané"), INFO])
    create(provider, there, [make("domain", "b.example", "b.example")])
    assert_live(provider, OURS, [DOMAIN, JANE.having(name="Jané"), INFO])
    with closing(Sql(url)) as sql:
        sql("UPDATE mailbox SET name = E'J\\xff'")
    found = provider.read([OURS, there])
    assert isinstance(found["a.example"], Refused)
    assert len(found["b.example"]) == 1


@MARKS["mariadb"][0]
def test_binary_columns_are_not_an_empty_domain(servers: Callable[[str], Server]) -> None:
    """Columns that give bytes are an error of their domain, never a domain without rows."""
    url = servers("mariadb").fresh()
    provider = postfix_dovecot.connect(NAME, {"database": url}, "/")
    create(provider, OURS, [DOMAIN])
    with closing(Sql(url)) as sql:
        sql("ALTER TABLE domain MODIFY domain varbinary(255)")
    assert isinstance(provider.read([OURS])["a.example"], Refused)


@MARKS["mariadb"][0]
@pytest.mark.parametrize("storage", ["MyISAM", "Aria"])
def test_tables_without_transactions_are_read_and_never_written(servers: Callable[[str], Server], storage: str) -> None:
    """Where half a batch could stay written nothing is, not even a missing table; the error says what to do."""
    url = servers("mariadb").fresh()
    provider = postfix_dovecot.connect(NAME, {"database": url}, "/")
    create(provider, OURS, [DOMAIN, INFO.having(to=("x@y.test",))])
    with closing(Sql(url)) as sql:
        sql(f"ALTER TABLE alias CONVERT TO CHARACTER SET latin1, ENGINE={storage}")
        sql("DROP TABLE quota2")
        provider = postfix_dovecot.connect(NAME, {"database": url}, "/")  # another run
        with pytest.raises(Refused, match="ALTER TABLE alias ENGINE=InnoDB"):
            create(provider, OURS, [JANE])
        assert sql("SHOW TABLES LIKE 'quota2'") == []
        assert len(read(provider)) == 2
        sql("ALTER TABLE alias CONVERT TO CHARACTER SET utf8mb4, ENGINE=InnoDB")
    create(provider, OURS, [JANE])


def test_an_address_in_a_foreign_domain_is_not_ours(lite: System) -> None:
    """A row whose address and domain do not agree belongs to neither."""
    provider = lite.connect()
    create(provider, OURS, [DOMAIN, JANE, INFO])
    lite.sql("UPDATE alias SET domain = 'b.example' WHERE address = 'info@a.example'")
    assert set(read(provider)) == {DOMAIN.address, JANE.address}
    assert read(provider, Scope("b.example", "b.example")) == {}


def test_settings_that_are_not_known_are_refused() -> None:
    """There are two ways to block a login."""
    with pytest.raises(Refused, match="side_table, lock_hash"):
        postfix_dovecot.connect(NAME, {"database": "sqlite:///x", "login_block": "hope"}, "/")


# Shared mailboxes as Dovecot ACLs (with a real Dovecot: tests/test_mail.py)


class Answers(HTTPServer):
    """An HTTP server in doveadm's place, for what the real one does seldom: fail."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", free_port()), Answer)
        self.asked: list[Any] = []
        self.answer: tuple[int, str] | None = None
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: Answers

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked += [[name, what["user"], what["id"], tuple(what.get("right", ()))] for name, what, _ in asked]
        fine = 200, json.dumps([["doveadmResponse", [], tag] for _, _, tag in asked])
        status, body = self.server.answer or fine
        self.send_response(status)
        self.send_header("Location", self.server.url)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        """Not to stderr."""


@pytest.fixture
def doveadm() -> Iterator[Answers]:
    with Answers() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


def test_members_are_told_to_dovecot(lite: System, doveadm: Answers) -> None:
    """Each right that changes is given or taken once; what Dovecot was told is what is read."""
    provider = lite.connect(doveadm={"url": doveadm.url, "api_key": "geheim"})
    assert "mailbox.members" not in provider.cautions
    assert "no ACL" in lite.connect().cautions["mailbox.members"]
    create(provider, OURS, [DOMAIN, JANE, DESK])
    move(provider, "desk@a.example", members={"jane@a.example": "read", "tom@a.example": "full"})
    move(provider, "desk@a.example", members={"tom@a.example": "full"}, quota=7)
    told = [(name, id_, len(rights)) for name, _, id_, rights in doveadm.asked]
    jane, tom = "user=jane@a.example", "user=tom@a.example"
    assert told == [("aclSet", jane, 10), ("aclSet", jane, 2), ("aclSet", tom, 10), ("aclDelete", jane, 0)]
    assert lite.sql("SELECT member, access, acl FROM reconciler_member") == [("tom@a.example", "full", "full")]


@pytest.mark.parametrize(
    "answer",
    [
        (401, ""),
        (500, ""),
        (302, ""),
        (200, "no JSON"),
        (200, "[" * 100_000),
        (200, "[]"),
        (200, "{}"),
        (200, '[["doveadmResponse", [], "7"]]'),
        (200, f'["{"x" * 9_000_000}"]'),
        (200, '[["error", {"type": "exitCode", "exitCode": 67}, "0"]]'),
    ],
)
def test_a_right_that_was_not_taken_away_is_still_read(lite: System, doveadm: Answers, answer: tuple[int, str]) -> None:
    """When doveadm fails the member reads as before, so the next plan shows the difference and applying repeats it."""
    provider = lite.connect(doveadm={"url": doveadm.url, "api_key": "geheim"})
    create(provider, OURS, [DOMAIN, JANE, DESK])
    alone = DESK.having(members={})
    doveadm.answer = answer
    with pytest.raises(ProviderError) as raised:
        apply(provider, OURS, change(DESK, alone))
    assert "geheim" not in "".join(texts(raised.value))
    assert read(provider)[DESK.address].get("members") == {"jane@a.example": "full"}
    doveadm.answer = None
    apply(provider, OURS, change(DESK, alone))
    assert read(provider)[DESK.address].get("members") == {}
    assert lite.sql("SELECT * FROM reconciler_member") == []


def test_doveadm_that_is_not_there(lite: System) -> None:
    """A refused connection and a silent port are errors that keep the key."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
    provider = lite.connect(doveadm={"url": f"http://127.0.0.1:{port}/", "api_key": "geheim"})
    with pytest.raises(ProviderError) as raised:
        create(provider, OURS, [DOMAIN, DESK])
    assert "geheim" not in "".join(texts(raised.value))


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1", 8080, "/doveadm/v1"),
        ("http://[::1]", "::1", 80, "/doveadm/v1"),
        ("https://[2001:db8::1]:8443/", "2001:db8::1", 8443, "/doveadm/v1"),
        ("https://mail.example/behind/", "mail.example", 443, "/behind/doveadm/v1"),
    ],
)
def test_where_doveadm_is(url: str, host: str, port: int, path: str) -> None:
    """An IPv6 address stands in brackets and needs no port."""
    place = _doveadm.place(url)
    assert (place.host, place.port, place.path) == (host, port, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example",
        "ftp://x",
        "http://",
        "http://[::1",
        "http://x:99999",
        "http://x:0",
        "http://x:y",
        "http://x?q",
    ],
)
def test_a_doveadm_url_that_cannot_be_is_refused(url: str) -> None:
    """When connecting, not in the middle of an apply."""
    with pytest.raises(Refused, match=r"`doveadm\.url`"):
        postfix_dovecot.connect(NAME, {"database": "sqlite:///x", "doveadm": {"url": url, "api_key": "geheim"}}, "/")


def test_a_host_that_cannot_be_asked_is_a_provider_error(lite: System) -> None:
    """A name that no resolver takes is an answer of the network, not a crash."""
    for url in (f"http://{'a' * 70}.example", "http://ho\u2028st", "http://a\x7fb"):
        provider = lite.connect(doveadm={"url": url, "api_key": "geheim"})
        with pytest.raises(ProviderError):
            create(provider, OURS, [DOMAIN, DESK])
        lite.sql("DELETE FROM mailbox")
        lite.sql("DELETE FROM alias")
        lite.sql("DELETE FROM domain")
        lite.sql("DELETE FROM reconciler_mailbox")
        lite.sql("DELETE FROM reconciler_member")
