"""The whole way: YAML in Git, `apply`, then real servers on what it wrote. Mail arrives, or is refused, as declared.

Postfix, Dovecot, opendkim, NSD and Knot run with the blocks of docs/servers.md, so these tests prove that page too.
"""

from __future__ import annotations

import imaplib
import os
import shutil
import smtplib
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import dkim
import pytest

from tests.servers import need
from tests.servers.dns import Knot, NameServer, Nsd
from tests.servers.mail import MailStack
from tests.servers.postfixadmin import CLI, PostfixAdmin
from tests.servers.sink import letter

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
MASTER = "/usr/lib/postfix/sbin/master"
needs_mail = need(MASTER, "dovecot", "/usr/lib/dovecot/imap", "opendkim", root=True)
needs_dns = need("nsd", "knotd")
SOON = (datetime.now(UTC) + timedelta(days=180)).date().isoformat()
OUTSIDE = "customer@elsewhere.test"

AGENCY = """
version: 1
timezone: Europe/Berlin
providers:
  mail:
    mailhost: {provider}
  dns:
    zones: {{type: zone_files, directory: var/zones, nameservers: [ns1.agency.example.]}}
servers:
  primary:
    mx: [10 mx1.agency.example.]
    spf: spf.agency.example
    submission: smtp.agency.example
    imap: imap.agency.example
people: {{anna: {{name: Anna Ops, contact: "+49 30 23125001"}}, bela: {{name: Bela Varga, contact: "+49 30 23125002"}}}}
teams: {{ops: {{members: [anna, bela]}}}}
roles: {{dns_auth: [ops], mailbox_admin: [ops], reset_approver: [ops]}}
inside: [agency.example]
defaults: {{mail: mailhost, dns: zones, server: primary, template: standard/1, quota: 1 GiB}}
"""
PEOPLE = """
tenant: acme
name: Acme
people:
  jane: {name: Jane Roe, contact: "+44 20 7946 0201"}
  tom: {name: Tom Poe, contact: "+44 20 7946 0202"}
"""
MAIL = """
domain: acme.example
owner: jane
mailboxes:
  jane: {owner: jane}
  tom: {owner: tom}
  rosa: {owner: jane, state: blocked}
  fair: {owner: jane, state: paused}
  tiny: {owner: tom, quota: 20 KiB}
  paul: {owner: tom}
  quinn: {owner: tom}
shared:
  reception: {owner: jane, members: {jane: full, tom: read}}
aliases:
  info: [reception]
  directors: [jane, tom]
  old-sales: [jane]
  fairground: [fair, tom]
forwards:
  orders: {to: [crm@vendor.test], owner: jane, reason: import, approved_by: ops, expires: DAY}
  paul: {to: [paul@phone.test], keep_copy: true, owner: tom, reason: travel, approved_by: ops, expires: DAY}
  quinn: {to: [quinn@payroll.test], keep_copy: false, owner: tom, reason: seconded, approved_by: ops, expires: DAY}
catch_all: {to: [jane], owner: jane, reason: migration, approved_by: ops, expires: DAY}
""".replace("DAY", SOON)
TWIN = "{domain: acme.test, owner: jane, alias_of: acme.example}\n"
SMALL = "{domain: small.example, owner: tom, mailboxes: {tom: {owner: tom}}, aliases: {sales: [tom]}}\n"
ZONE = "{domain: DOMAIN, zone: {create: true}, with: {dmarc: quarantine, senders: ['ip4:198.51.100.25']}}\n"


class Estate:
    """A Git repository that Anna keeps; `apply` is the command line, as she would type it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "domain-templates", folder / "domain-templates")
        self._git("init", "--quiet", "--initial-branch=main")
        (folder / ".gitignore").write_text("var/\n", encoding="utf-8")

    @property
    def database(self) -> Path:
        return self.folder / "var" / "mail.sqlite"

    @property
    def zones(self) -> Path:
        return self.folder / "var" / "zones"

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", "change")

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text(encoding="utf-8")
        assert old in text
        self.write({name: text.replace(old, new)})

    def apply(self, **environment: str) -> str:
        command = [sys.executable, "-m", "reconciler", "apply", "--yes", "--estate", str(self.folder)]
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _git(self, *words: str) -> None:
        subprocess.run(["git", "-C", self.folder, *words], check=True, capture_output=True)


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that the servers' own users may enter; pytest's are closed to them."""
    with tempfile.TemporaryDirectory(prefix="reconciler-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    with open_folder() as folder:
        yield Estate(folder / "estate")


@pytest.fixture(scope="module")
def stack(estate: Estate) -> Iterator[MailStack]:
    """The servers run first, as in life: `apply` finds doveadm there and sets who may read a shared mailbox."""
    estate.database.parent.mkdir()
    with MailStack(estate.database, estate.folder.parent / "mail", opendkim=True) as stack:
        doveadm = f"{{url: 'http://127.0.0.1:{stack.doveadm}', api_key: {{env: DOVEADM_KEY}}}}"
        provider = f"{{type: postfix_dovecot, database: 'sqlite:///var/mail.sqlite', doveadm: {doveadm}}}"
        estate.write({
            "reconciler.yaml": AGENCY.format(provider=provider),
            "tenants/acme/tenant.yaml": PEOPLE,
            "tenants/acme/domains/acme.example.yaml": MAIL,
            "tenants/acme/domains/acme.test.yaml": TWIN,
            "tenants/acme/domains/small.example.yaml": SMALL,
            "tenants/acme/dns/acme.example.yaml": ZONE.replace("DOMAIN", "acme.example"),
            "tenants/acme/dns/acme.test.yaml": ZONE.replace("DOMAIN", "acme.test"),
            "tenants/acme/dns/small.example.yaml": ZONE.replace("DOMAIN", "small.example"),
        })  # fmt: skip
        estate.apply(DOVEADM_KEY=stack.api_key)
        for name in ("jane", "tom", "rosa", "fair", "tiny", "paul", "quinn", "reception"):
            stack.set_password(f"{name}@acme.example", "open sesame")
        stack.set_password("tom@small.example", "open sesame")
        yield stack


def subjects(stack: MailStack, login: str, folder: str = "INBOX") -> list[str]:
    return [str(message["Subject"]) for message in stack.messages(login, "open sesame", folder)]


def refusal(stack: MailStack, recipient: str) -> tuple[int, bytes]:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
        stack.send(OUTSIDE, recipient)
    return caught.value.recipients[recipient]


@needs_mail
@pytest.mark.parametrize(
    ("to", "reader"),
    [
        ("jane@acme.example", "jane@acme.example"),
        ("JANE@Acme.Example", "jane@acme.example"),
        ("jane+shop@acme.example", "jane@acme.example"),
        ("directors@acme.example", "jane@acme.example"),
        ("directors@acme.example", "tom@acme.example"),
        ("jane@acme.test", "jane@acme.example"),
        ("jane+shop@acme.test", "jane@acme.example"),
        ("directors@acme.test", "tom@acme.example"),
        ("whatever@acme.example", "jane@acme.example"),
        ("sales@small.example", "tom@small.example"),
    ],
)
def test_mail_arrives(stack, to, reader, request):
    """A mailbox, its capitals, a plus address, an alias, its twin in an alias domain and the catch-all all arrive."""
    subject = request.node.name
    stack.send(OUTSIDE, to, letter(subject))
    assert subject in subjects(stack, reader)


@needs_mail
def test_a_shared_mailbox_is_read_by_its_members(stack):
    """Mail for a shared mailbox, also by its alias, is seen by a full and a read member, and by nobody else."""
    stack.send(OUTSIDE, "info@acme.example", letter("for the front desk"))
    shared = "shared/reception@acme.example"
    assert "for the front desk" in subjects(stack, "jane@acme.example", shared)
    assert "for the front desk" in subjects(stack, "tom@acme.example", shared)
    with pytest.raises(imaplib.IMAP4.error):
        subjects(stack, "paul@acme.example", shared)


@needs_mail
def test_nobody_logs_in_to_a_shared_mailbox(stack):
    """Even a password in the database opens no shared mailbox."""
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        subjects(stack, "reception@acme.example")


@needs_mail
def test_a_forward_leaves(stack):
    """A forward of a name that is no mailbox goes out."""
    stack.send(OUTSIDE, "orders@acme.example", letter("order 7"))
    assert [m["Subject"] for m in stack.sink.to("crm@vendor.test")] == ["order 7"]


@needs_mail
def test_a_forward_keeps_a_copy_or_none(stack):
    """keep_copy: true leaves the mail in the box as well, keep_copy: false does not."""
    for name in ("paul", "quinn"):
        stack.send(OUTSIDE, f"{name}@acme.example", letter(f"for {name}"))
    assert [m["Subject"] for m in stack.sink.to("paul@phone.test")] == ["for paul"]
    assert [m["Subject"] for m in stack.sink.to("quinn@payroll.test")] == ["for quinn"]
    assert subjects(stack, "paul@acme.example") == ["for paul"]
    assert subjects(stack, "quinn@acme.example") == []


@needs_mail
@pytest.mark.parametrize("to", ["nobody@small.example", "nobody@acme.test"])
def test_an_unknown_address_is_refused_at_once(stack, to):
    """550 at RCPT, in a domain without a catch-all and in the twin of one that has it."""
    code, text = refusal(stack, to)
    assert (code, b"User unknown" in text) == (550, True)


@needs_mail
def test_a_blocked_mailbox_receives_and_lets_nobody_in(stack, estate):
    """rosa has a password and yet no login, by IMAP or submission; what was sent to her is there once she is active."""
    stack.send(OUTSIDE, "rosa@acme.example", letter("while away"))
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        subjects(stack, "rosa@acme.example")
    with pytest.raises(smtplib.SMTPAuthenticationError):
        stack.submit("rosa@acme.example", "open sesame", "rosa@acme.example", OUTSIDE)
    estate.replace(
        "tenants/acme/domains/acme.example.yaml", "rosa: {owner: jane, state: blocked}", "rosa: {owner: jane}"
    )
    estate.apply(DOVEADM_KEY=stack.api_key)
    assert subjects(stack, "rosa@acme.example") == ["while away"]


@needs_mail
def test_a_paused_mailbox_refuses_mail(stack):
    """550 at RCPT although the domain has a catch-all, which would otherwise swallow it."""
    for address in ("fair@acme.example", "fair+x@acme.example", "fair@acme.test"):
        assert refusal(stack, address)[0] == 550


@needs_mail
def test_a_paused_mailbox_gets_nothing_through_an_alias_either(stack):
    """Nor does the catch-all in its place: the others of the alias get theirs, and the sender hears of the rest."""
    stack.send(OUTSIDE, "fairground@acme.example", letter("for the fair"))
    assert "for the fair" in subjects(stack, "tom@acme.example")
    assert "for the fair" not in subjects(stack, "jane@acme.example")


@needs_mail
def test_a_removed_alias_stops(stack, estate):
    """What Git no longer declares is refused at RCPT right after the apply, without a reload."""
    stack.send(OUTSIDE, "sales@small.example", letter("last one"))
    estate.replace("tenants/acme/domains/small.example.yaml", "aliases: {sales: [tom]}", "aliases: {service: [tom]}")
    estate.apply(DOVEADM_KEY=stack.api_key)
    assert refusal(stack, "sales@small.example")[0] == 550
    stack.send(OUTSIDE, "service@small.example", letter("first one"))
    assert subjects(stack, "tom@small.example")[-2:] == ["last one", "first one"]


@needs_mail
def test_quota_is_enforced(stack):
    """A box of 20 KiB takes a letter of 12 KiB, and the second one comes back to its sender."""
    for number in (1, 2):
        stack.send("wordy@elsewhere.test", "tiny@acme.example", letter(f"part {number}", body="0123456789\n" * 1100))
    assert subjects(stack, "tiny@acme.example") == ["part 1"]
    (bounce,) = stack.sink.to("wordy@elsewhere.test")
    assert "Quota exceeded" in bounce.as_string()


@needs_mail
@pytest.mark.parametrize(
    ("login", "sender"),
    [
        ("jane", "jane@acme.example"),  # itself
        ("jane", "jane+shop@acme.example"),
        ("jane", "directors@acme.example"),  # an alias that names her
        ("jane", "reception@acme.example"),  # a full member
        ("jane", "jane@acme.test"),  # her twin
        ("paul", "paul@acme.example"),  # although a copy of his mail leaves
        ("quinn", "quinn@acme.example"),  # although all of it does
    ],
)
def test_who_may_send_as(stack, login, sender):
    """As oneself, a naming alias, a shared mailbox of a full member, one's twin."""
    recipient = f"{login}-as-{sender.replace('@', '-')}@elsewhere.test"
    stack.submit(f"{login}@acme.example", "open sesame", sender, recipient)
    assert len(stack.sink.to(recipient)) == 1


@needs_mail
@pytest.mark.parametrize(
    ("login", "sender"),
    [
        ("jane", "tom@acme.example"),  # somebody else
        ("tom", "reception@acme.example"),  # a read member
        ("jane", "info@acme.example"),  # an alias of a shared mailbox names no person
        ("jane", "whatever@acme.example"),  # the catch-all goes to her and still gives nothing
        ("jane", "old-sales@acme.test"),  # an alias's twin
        ("jane", "someone@elsewhere.test"),
    ],
)
def test_who_may_not_send_as(stack, login, sender):
    """553: nothing else gives it."""
    with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
        stack.submit(f"{login}@acme.example", "open sesame", sender, OUTSIDE)
    assert caught.value.recipients[OUTSIDE][0] == 553


@pytest.fixture(scope="module", params=[Nsd, Knot])
def name_server(request, estate: Estate, stack: MailStack) -> Iterator[NameServer]:
    with request.param(estate.zones, estate.folder.parent / request.param.__name__) as server:
        yield server


@needs_dns
@needs_mail
def test_dns_answers_as_declared(name_server):
    """MX, SPF, DKIM and DMARC of the written zone files, asked of a real name server."""
    (key,) = name_server.query("s1._domainkey.acme.example", "TXT")
    assert key.startswith("v=DKIM1;")
    assert name_server.query("acme.example", "MX") == ["10 mx1.agency.example."]
    assert name_server.query("acme.example", "TXT") == ["v=spf1 include:spf.agency.example ip4:198.51.100.25 -all"]
    assert name_server.query("_dmarc.acme.example", "TXT") == ["v=DMARC1; p=quarantine; rua=mailto:dmarc@acme.example"]


@needs_dns
@needs_mail
def test_mail_leaves_signed(stack, name_server):
    """A submitted letter is signed from the SQL tables, and the key in the zone verifies it; a changed one fails."""
    recipient = f"reader@{type(name_server).__name__}.test"
    stack.submit("jane@acme.example", "open sesame", "jane@acme.example", recipient, letter(sender="jane@acme.example"))
    (raw,) = [sent.raw for sent in stack.sink.letters if sent.recipient == recipient]
    assert b"d=acme.example; s=s1;" in raw

    def ask(name: bytes, timeout: float = 5) -> bytes:
        del timeout
        return b"".join(value.encode() for value in name_server.query(name.decode(), "TXT"))

    assert dkim.verify(raw, dnsfunc=ask)
    assert not dkim.verify(raw.replace(b"Hi.", b"Pay."), dnsfunc=ask)


STOCK_QUERY = "SELECT username AS user, password FROM mailbox WHERE username = '%u' AND active = '1'"


@need("php", str(CLI), root=True)
@needs_mail
def test_blocking_works_on_a_database_that_postfixadmin_made():
    """With Dovecot's stock query: a mark on the hash locks the login, mail arrives, the old password opens it again."""
    with open_folder() as folder:
        estate = Estate(folder / "estate")
        estate.database.parent.mkdir()
        panel = PostfixAdmin(estate.database, folder / "postfixadmin")
        panel.add_domain("old.example")
        panel.add_mailbox("jane@old.example", "open sesame 77")
        provider = "{type: postfix_dovecot, database: 'sqlite:///var/mail.sqlite', login_block: lock_hash}"
        mail = "domain: old.example\nowner: jane\nmailboxes:\n  jane: {owner: jane}\n"
        estate.write({
            "reconciler.yaml": AGENCY.format(provider=provider),
            "tenants/acme/tenant.yaml": PEOPLE,
            "tenants/acme/domains/old.example.yaml": mail,
            "tenants/acme/dns/old.example.yaml": ZONE.replace("DOMAIN", "old.example"),
        })  # fmt: skip
        estate.apply()
        with MailStack(estate.database, folder / "mail", own_login_query=STOCK_QUERY) as stack:
            assert stack.messages("jane@old.example", "open sesame 77") == []
            estate.replace("tenants/acme/domains/old.example.yaml", "{owner: jane}", "{owner: jane, state: blocked}")
            estate.apply()
            with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
                stack.messages("jane@old.example", "open sesame 77")
            stack.send(OUTSIDE, "jane@old.example")
            estate.replace("tenants/acme/domains/old.example.yaml", "state: blocked", "state: active")
            estate.apply()
            assert len(stack.messages("jane@old.example", "open sesame 77")) == 1
