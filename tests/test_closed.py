"""A login that was blocked is refused: Dovecot itself says so, with the very configuration of docs/servers.md."""

from __future__ import annotations

import imaplib
import json
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from reconciler.answers import Login
from reconciler.providers import _auth
from tests.estates import AGENCY, mail, make, northwind
from tests.servers.mail import MailStack
from tests.test_mail import STOCK_QUERY, needs_mail, open_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.estates import Estate

JANE, TOM = "jane@northwind.example", "tom@northwind.example"
BLOCKED = mail(
    {"jane": "{owner: jane}", "tom": "{owner: tom, quota: 2 GiB, state: blocked}"}, "aliases: {info: [jane]}\n"
)
RETIRED = mail({"jane": "{owner: jane}"}, "aliases: {info: [jane]}\n")


@contextmanager
def running(*, query: str = "", **settings: str) -> Iterator[Estate]:
    """An estate that was applied, and its servers. `settings` are further ones of the provider."""
    with open_folder() as folder:
        database = folder / "estate" / "var" / "mail.sqlite"
        database.parent.mkdir(parents=True)
        with MailStack(database, folder / "mail", own_login_query=query) as stack:
            said = {"auth_socket": str(folder / "mail" / "run" / "auth-master"), **settings}
            more = "".join(f", {key}: '{value}'" for key, value in said.items() if value)
            agency = AGENCY.replace('var/mail.sqlite"', f'var/mail.sqlite"{more}')
            estate = make(folder / "estate", northwind(), agency=agency).applied()
            stack.set_password(TOM, "open sesame")
            assert stack.messages(TOM, "open sesame") == []
            yield estate
            with pytest.raises(imaplib.IMAP4.error) if not query else open_folder():
                stack.messages(TOM, "open sesame")


def proofs(estate: Estate) -> dict[str, tuple[str, str]]:
    """{mailbox: (why, note)} of the last run, as the journal has it."""
    kept = json.loads(estate.git("show", "refs/reconciler/tenants/northwind:run.json"))["proofs"]
    found = {proof["address"].partition(":")[2]: (proof["why"], proof["note"]) for proof in kept}
    return {name.removeprefix("mailbox/"): said for name, said in found.items() if name.startswith("mailbox/")}


@needs_mail
@pytest.mark.parametrize("files", [BLOCKED, RETIRED], ids=["blocked", "retired"])
def test_a_blocked_login_is_shown_to_be_refused(files: dict[str, str]) -> None:
    """Dovecot finds nothing for it any more; a mailbox that was not touched is not asked about."""
    with running() as estate:
        estate.write(files)
        run = estate.run("apply", "--yes")
        assert (run.code, "login asked of 1 mailbox: 1 refused\n" in run.out) == (0, True)
        assert proofs(estate) == {TOM: ("", "refused")}


@needs_mail
def test_a_login_that_is_let_in_fails_the_run() -> None:
    """The server's query does not ask who is blocked: the database is right, and Tom still reads his mail."""
    with running(query=STOCK_QUERY) as estate:
        estate.write(BLOCKED)
        run = estate.run("apply", "--yes")
        assert run.code == 1
        assert "error LV004" in run.out
        assert "to undo what was made: reconciler rollback " in run.out
        assert proofs(estate) == {TOM: ("a login is let in", "open")}
        newest, *_ = estate.run("log", "--format", "json").json["runs"]
        assert newest["tenants"][0]["result"] == "failed"


@needs_mail
@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"auth_socket": ""}, "the provider has no `auth_socket`"),
        ({"auth_socket": "/nowhere/auth-master"}, "Dovecot's auth service gives no answer (FileNotFoundError)"),
        ({"login_block": "lock_hash"}, "with `login_block: lock_hash` what a login finds does not show the mark"),
    ],
)
def test_where_nobody_can_be_asked_it_is_unverified(settings: dict[str, str], problem: str) -> None:
    """It fails nothing, and is not called fine."""
    with running(**settings) as estate:
        estate.write(BLOCKED)
        run = estate.run("apply", "--yes")
        assert (run.code, f"login asked of 1 mailbox: 1 unverified: {problem}\n" in run.out) == (0, True)
        assert proofs(estate) == {TOM: ("", f"unverified: {problem}")}


def test_three_of_a_tenants_are_enough(tmp_path: Path) -> None:
    """A query that lets one in lets all in; a mailbox that nobody could log in to before is not asked about."""
    boxes = {"jane": "{owner: jane}", **{f"box{number}": "{owner: tom}" for number in range(5)}}
    estate = make(tmp_path / "estate", northwind({**boxes, "shut": "{owner: tom, state: blocked}"})).applied()
    paused = dict.fromkeys([*boxes, "shut", "new"], "{owner: tom, state: paused}")
    estate.write(mail({**paused, "jane": "{owner: jane}"}, "aliases: {info: [jane]}\n"))
    assert estate.run("apply", "--yes").code == 0
    assert sorted(proofs(estate)) == [f"box{number}@northwind.example" for number in range(3)]


def answered(folder: Path, text: bytes, *names: str) -> tuple[dict[str, Login], bytes]:
    """(what is made of this answer of an auth service, what it was sent) for some mailboxes."""
    path, heard = str(folder / "auth"), list[bytes]()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()

        def serve() -> None:
            with server.accept()[0] as client:
                heard.append(client.recv(4096))
                client.sendall(text)

        thread = threading.Thread(target=serve)
        thread.start()
        found = _auth.lookup(path, names)
        thread.join(5)
    return found, heard[0]


@pytest.mark.parametrize(
    ("said", "jane"),
    [
        (b"PASS\t1\tuser=jane\tnologin\n", Login(refused=True)),
        (b"PASS\t1\tuser=jane\tnologin\thost=192.0.2.1\n", Login()),
        (b"PASS\t1\tuser=nologin\n", Login()),
        (b"FAIL\t1\n", Login(problem="Dovecot cannot say")),
        (b"FAIL\nPASS\n\xff\xfe\n", Login(problem="Dovecot cannot say")),
        (b"", Login(problem="Dovecot cannot say")),
    ],
)
def test_what_dovecot_says_is_told_apart(tmp_path: Path, said: bytes, jane: Login) -> None:
    """`nologin` refuses, unless the client is sent to another host; what fails, or is no answer, says nothing."""
    found, _ = answered(tmp_path, b"VERSION\t1\t2\nSPID\t1\n" + said, JANE, TOM)
    assert (found[JANE], found[TOM]) == (jane, Login(problem="Dovecot cannot say"))


def test_another_protocol_says_nothing(tmp_path: Path) -> None:
    """A later version may mean something else by the same words."""
    found, _ = answered(tmp_path, b"VERSION\t2\t0\nNOTFOUND\t1\n", TOM)
    assert found[TOM].problem.endswith("(ValueError)")


def test_a_name_cannot_say_more_than_a_name(tmp_path: Path) -> None:
    """Blanks and line ends of a hostile name are escaped: no second request comes of it."""
    _, heard = answered(tmp_path, b"", "a\tb\nPASS\t9\tc\1\0\r")
    assert heard == b"VERSION\t1\t0\nPASS\t1\ta\1tb\1nPASS\1t9\1tc\0011\0010\1r\tservice=imap\n"
