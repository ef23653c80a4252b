"""Who signs, seen in a message: sent by Postfix, signed by opendkim, found in Dovecot, as docs/servers.md has them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dkim
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import probing, proof, verifying
from reconciler.answers import Answer, Arrival, Seal
from reconciler.providers import _dkim
from tests.estates import AGENCY, NORTHWIND_DNS, dns, make, northwind
from tests.providers.contract import change
from tests.providers.contract import make as thing
from tests.servers import free_port
from tests.servers.answering import Answering
from tests.servers.mail import MailStack
from tests.test_mail import needs_mail, open_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.estates import Estate

JANE = "jane@northwind.example"
SIGNED = {NORTHWIND_DNS: dns("dkim: {sign: [s1], keys: {s1: {type: rsa}}}\n")[NORTHWIND_DNS]}
SIGNING = "mailhost:dkim_signing/northwind.example"


@contextmanager
def signing_soon(*, opendkim: bool = True, **said: object) -> Iterator[Estate]:
    """An estate and its mail servers; the next commit makes its domain sign. `said` are other words of `probe`."""
    with open_folder() as folder:
        database = folder / "estate" / "var" / "mail.sqlite"
        database.parent.mkdir(parents=True)
        with MailStack(database, folder / "mail", opendkim=opendkim) as stack:
            here = {"submission": f"127.0.0.1:{stack.submission}", "imap": f"127.0.0.1:{stack.imap}"}
            probe = {"mailbox": JANE, **here, "password": {"env": "PROBE_PASSWORD"}, **said}
            estate = make(folder / "estate", northwind(), agency=f"{AGENCY}probe: {json.dumps(probe)}\n").applied()
            stack.set_password(JANE, "open sesame")
            estate.write(SIGNED)
            yield estate


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE_PASSWORD", "open sesame")


def told(estate: Estate) -> tuple[str, str, str]:
    """(what became of the tenant, what was wrong with the message, what is noted of it)."""
    [tenant] = estate.apply().json["tenants"]
    [found] = [found for found in tenant["proofs"] if found["address"] == SIGNING]
    assert found["server"] == JANE
    assert {one["code"] for one in tenant["findings"]} == ({"LV003"} if found["why"] else set())
    return tenant["result"], found["why"], found["note"]


@needs_mail
def test_a_message_shows_who_signs() -> None:
    """It comes with the key that was applied; the next apply, which changes nothing of that, sends none."""
    with signing_soon() as estate:
        run = estate.run("apply", "--yes")
        note = "signed by s1 (unverified: nobody could be asked for its key)"
        assert (run.code, f"a message from northwind.example: {note}\n" in run.out) == (0, True)
        kept = json.loads(estate.git("show", "refs/reconciler/tenants/northwind:run.json"))["proofs"]
        assert kept == [{"address": SIGNING, "server": JANE, "why": "", "note": note}]
        estate.write({NORTHWIND_DNS: SIGNED[NORTHWIND_DNS] + "ttl: 2 hours\n"})
        assert estate.apply().json["tenants"][0]["proofs"] == []


@needs_mail
def test_a_message_that_nobody_signed_fails_the_run() -> None:
    """The signer is down: the database is right, and no mail of the domain is signed."""
    with signing_soon(opendkim=False) as estate:
        result, why, note = told(estate)
    assert (result, note) == ("failed", "unsigned")
    assert why == "it came without a signature of northwind.example by s1"


@needs_mail
def test_a_message_that_does_not_come_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was taken, and is not in the mailbox when the time is up."""
    monkeypatch.setattr(probing, "WITHIN", 0.0)
    with signing_soon() as estate:
        assert told(estate) == ("failed", "no message came", "lost")


@needs_mail
def test_a_message_beyond_measure_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others can write to the mailbox, too: what is too long is not judged, and not called fine."""
    monkeypatch.setattr(probing, "LONGEST", 100)
    with signing_soon() as estate:
        note = "signed by s1 (unverified: the message is too long to be read)"
        assert told(estate) == ("applied", "", note)


@needs_mail
def test_a_slow_submission_holds_up_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease of the run's tenants goes on meanwhile: what is not sent in time is not sent, and is no failure."""
    monkeypatch.setattr(probing, "SENDING", -1.0)
    with signing_soon() as estate:
        assert told(estate) == ("applied", "", "unknown: submission took too long for those before it")


@needs_mail
@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"user": "tom@northwind.example"}, "submission refuses the login"),
        ({"password": {"env": "NOT_SET"}}, "probe: the environment variable NOT_SET for `password` is not set"),
        ({"imap": f"127.0.0.1:{free_port()}"}, "a mail server could not be asked (ConnectionRefusedError)"),
        ({"submission": f"127.0.0.1:{free_port()}"}, "a mail server could not be asked (ConnectionRefusedError)"),
    ],
)
def test_a_probe_that_cannot_look_has_seen_nothing(said: dict[str, object], problem: str) -> None:
    """What is wrong with the probe is no failure of the domain's, and is noted."""
    with signing_soon(**said) as estate:
        assert told(estate) == ("applied", "", f"unknown: {problem}")


@needs_mail
def test_a_message_that_is_refused_says_nothing_of_the_signer() -> None:
    """Jane may not send in the name of a mailbox that is another's."""
    with signing_soon(mailbox="tom@northwind.example", user=JANE) as estate:
        [found] = estate.apply().json["tenants"][0]["proofs"]
        assert (found["why"], found["note"]) == ("", "unknown: submission refuses the message")


@needs_mail
@pytest.mark.parametrize("right", [True, False])
def test_a_signature_is_verified_with_the_key_that_dns_has(monkeypatch: pytest.MonkeyPatch, right: bool) -> None:
    """The key is published first; with another one in DNS the message comes as it should and convinces nobody."""
    with signing_soon() as estate, Answering({}) as public:
        estate.applied({NORTHWIND_DNS: dns("dkim: {sign: [], keys: {s1: {type: rsa}}}\n")[NORTHWIND_DNS]})
        name = "s1._domainkey.northwind.example"
        found = estate.run("records", "northwind.example", "--format", "json").json["records"]
        [key] = [one["values"] for one in found if one["name"] == name]
        other = _dkim.make("rsa", 2048).public
        public.records = {(name, "TXT"): key if right else [other]}
        monkeypatch.setenv("RECONCILER_RESOLVER", public.address)
        estate.write(SIGNED)
        said = told(estate)
    bad = "no signature of northwind.example holds: by s1: it does not fit the key in DNS"
    assert said == (("applied", "", "signed by s1 (verified)") if right else ("failed", bad, "failed"))


def signed(
    body: bytes = b"Hello.\r\n", *, selector: bytes = b"s1", domain: bytes = b"a.example"
) -> tuple[bytes, Answer]:
    """(a message that was signed, the answer with its key)."""
    pair = _dkim.make("rsa", 1024)
    text = b"From: jane@a.example\r\nSubject: Hi\r\n\r\n" + body
    mark = dkim.sign(text, selector, domain, pair.private_key.encode(), include_headers=[b"from", b"subject"])
    return mark + text, Answer("found", (pair.public,))


def test_what_was_changed_on_the_way_does_not_hold() -> None:
    """A body, a head, a key that is not there or is another's; what nobody can say is unknown, never fine."""
    message, key = signed()
    _, other = signed()
    cases = [
        (message, key, Seal("pass")),
        (message.replace(b"Hello", b"Hullo"), key, Seal("fail", "the body is not the one that was signed")),
        (message.replace(b"Hi", b"Pay"), key, Seal("fail", "it does not fit the key in DNS")),
        (message, other, Seal("fail", "it does not fit the key in DNS")),
        (message, Answer("empty"), Seal("fail", "DNS has no key for it")),
        (message, Answer("failed"), Seal("unknown", "nobody could be asked for its key")),
        (message, Answer("found", ("v=DKIM1; k=rsa; p=AAAA",)), Seal("fail", "it does not fit the key in DNS")),
        (message, Answer("found", ("\udcff\udcfe",)), Seal("fail", "it does not fit the key in DNS")),
        (message, Answer("found", ("v=DKIM1; k=what; p=AAAA",)), Seal("fail", "it does not fit the key in DNS")),
    ]
    for raw, answer, seal in cases:
        assert verifying.seals(raw, "a.example", {"s1": answer}) == {"s1": seal}


def test_one_good_signature_is_enough() -> None:
    """A second by the same key that does not hold changes nothing; others' are not looked at."""
    message, key = signed()
    bad, _ = signed()
    mark = bad[: bad.index(b"From:")]
    assert verifying.seals(mark + message, "a.example", {"s1": key}) == {"s1": Seal("pass")}
    stranger, _ = signed(domain=b"b.example")
    assert verifying.seals(stranger, "a.example", {"s1": key}) == {}


HOSTILE = signed()


@pytest.mark.fuzz
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"DKIM-Signature: ", b" folded\r\n", b"DKIM-Signature: v=1; a=rsa-sha256; "]),
)
def test_no_message_makes_it_crash(noise: bytes, before: bytes) -> None:
    """Whoever can send to the mailbox decides what is in it."""
    message, key = HOSTILE
    for raw in (before + noise, before + noise + message, message.replace(b"b=", b"b=" + noise, 1)):
        found = verifying.seals(raw, "a.example", {"s1": key})
        assert {seal.status for seal in found.values()} <= {"pass", "fail", "unknown"}


SIGNATURE = "v=1; a=rsa-sha256; d=a.example; s=s1; h=from:to; bh=x; b=y z"


@pytest.mark.parametrize(
    ("arrival", "why", "note"),
    [
        (("mx; dkim=pass (2048-bit) header.d=a.example; dmarc=pass",), "", "dkim=pass, dmarc=pass"),
        (("mx; dkim=fail header.s=s2; dkim=pass header.s=s1; spf=fail",), "", "dkim=pass, spf=fail"),
        (("mx; dkim=none", "other; DKIM=Pass"), "", "dkim=pass"),
        (("mx; dkim=fail (no key; dkim=pass)",), "the server that took it says dkim=fail", "failed"),
        (("mx; dkim=pass; dmarc=fail",), "the server that took it says dmarc=fail", "failed"),
        (("mx; dkim=temperror",), "", "dkim=temperror"),
        (("mx; none", ";;=;", "\x00\udcff"), "", ""),
        ((), "", ""),
    ],
)
def test_what_the_receiving_server_says_counts(arrival: tuple[str, ...], why: str, note: str) -> None:
    """Of DKIM and DMARC (RFC 8601); SPF is the probe's own and only told, and one good signature is enough."""
    came = Arrival(came=True, signatures=("no tags", SIGNATURE), results=arrival, seals={"s1": Seal("pass")})
    aim = thing("dkim_signing", "a.example", "a.example", selectors=["s1"])
    [found] = proof.arrived([change(None, aim)], {"a.example": came}, JANE)
    assert (found.why, found.note) == (
        why,
        ", ".join(filter(None, ["signed by s1 (verified)", note])) if not why else note,
    )


@pytest.mark.parametrize(
    "signature", ["v=1; d=b.example; s=s1; b=y", "v=1; d=a.example; s=old; b=y", "d=a.example; d=a.example; s=s1", ""]
)
def test_another_signature_is_none(signature: str) -> None:
    """That of another domain, by another key, or one that is no list of tags."""
    aim = thing("dkim_signing", "a.example", "a.example", selectors=["s1"])
    came = Arrival(came=True, signatures=(signature,))
    [found] = proof.arrived([change(None, aim)], {"a.example": came}, JANE)
    assert found.note == "unsigned"


@needs_mail
def test_no_password_goes_out_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server of another host has no STARTTLS nothing is sent; loopback alone needs none."""
    with open_folder() as folder:
        (folder / "var").mkdir()
        with MailStack(folder / "var" / "mail.sqlite", folder / "mail") as stack:
            monkeypatch.setattr(probing, "_HERE", frozenset())
            said = {"mailbox": JANE, "submission": f"127.0.0.1:{stack.submission}", "imap": f"127.0.0.1:{stack.imap}"}
            found = probing.deliver(said, "open sesame", ["a.example"], lambda: None)
    assert found["a.example"].problem == "submission has no TLS, and a password goes nowhere in the clear"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("mailbox", "nobody"), ("imap", "imap.agency.example"), ("submission", "a b:25"),
        ("submission", "2001:db8::1:25"), ("password", "open sesame"), ("password", {"env": "A", "file": "b"}),
        ("password", {"env": 1}), ("imap", 993), ("reply", "x"),
    ],
)  # fmt: skip
def test_a_probe_that_nobody_can_use_is_bad_input(tmp_path: Path, key: str, said: object) -> None:
    """Servers are named with their ports, and the password stands in no file of the estate."""
    servers = {"submission": "smtp.agency.example:465", "imap": "imap.agency.example:993"}
    probe = {"mailbox": JANE, **servers, "password": {"env": "PROBE_PASSWORD"}, key: said}
    for command in ("validate", "plan"):
        estate = make(tmp_path / command, northwind(), agency=f"{AGENCY}probe: {json.dumps(probe)}\n")
        run = estate.run(command, "--format", "json")
        assert run.code == 1
        assert "open sesame" not in run.out + run.err
        assert [found["severity"] for found in run.json["findings"]] == ["error"]
