"""Mail that Git lets go of: kept and brought back with its password, or purged as the plan said.

Real Postfix and Dovecot on what `apply` wrote.
"""

from __future__ import annotations

import imaplib
import json
import smtplib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.servers import need
from tests.servers.mail import MailStack
from tests.servers.sink import letter
from tests.test_mail import AGENCY as TEMPLATE
from tests.test_mail import MASTER, OUTSIDE, PEOPLE, ROOT, Estate, open_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = need(MASTER, "dovecot", "/usr/lib/dovecot/imap", root=True)
PROVIDER = '{type: postfix_dovecot, database: "sqlite:///var/mail.sqlite"}'
AGENCY = TEMPLATE.format(provider=PROVIDER).replace("template: standard/1, ", "")
JANE, TOM = "jane@acme.example", "tom@acme.example"
ROLES = "aliases: {postmaster: [jane], abuse: [jane]}"
BOTH = f"{{domain: acme.example, owner: jane, {ROLES}, mailboxes: {{jane: {{owner: jane}}, tom: {{owner: tom}}}}}}\n"
ALONE = f"{{domain: acme.example, owner: jane, {ROLES}, mailboxes: {{jane: {{owner: jane}}}}}}\n"
FILE = "tenants/acme/domains/acme.example.yaml"


@pytest.fixture
def estate() -> Iterator[Estate]:
    with open_folder() as folder:
        found = Estate(folder / "estate")
        no_dns = "{domain: acme.example, dns: null}\n"
        files = {"reconciler.yaml": AGENCY, "tenants/acme/tenant.yaml": PEOPLE, FILE: BOTH}
        found.write({**files, "tenants/acme/dns/acme.example.yaml": no_dns})
        found.apply()
        yield found


@pytest.fixture
def stack(estate: Estate) -> Iterator[MailStack]:
    with MailStack(estate.database, estate.folder.parent / "servers") as running:
        running.set_password(TOM, "of his own")
        yield running


def subjects(stack: MailStack, password: str = "of his own") -> set[str]:
    return {str(message["Subject"]) for message in stack.messages(TOM, password)}


def send(stack: MailStack, subject: str) -> None:
    message = letter(sender=OUTSIDE, to=TOM)
    del message["Subject"]
    message["Subject"] = subject
    stack.send(OUTSIDE, TOM, message)


def plan(estate: Estate) -> list[tuple[str, str | None]]:
    """(action, what is lost) of what is due."""
    command = [sys.executable, "-m", "reconciler", "plan", "--format", "json", "--estate", str(estate.folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return [(change["action"], change["loses"]) for change in json.loads(done.stdout)["tenants"][0]["due"]]


def purge(estate: Estate) -> None:
    command = [sys.executable, "-m", "reconciler", "apply", "--due", "--purge", "--estate", str(estate.folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_revert_brings_mail_and_password_back(estate: Estate, stack: MailStack) -> None:
    """Removed: nobody logs in, mail still arrives. Reverted: every message is there, the old password logs in."""
    send(stack, "before")
    estate.write({FILE: ALONE})
    estate.apply()
    with pytest.raises(imaplib.IMAP4.error):
        subjects(stack)
    send(stack, "meanwhile")
    estate._git("revert", "--no-edit", "HEAD")
    estate.apply()
    send(stack, "after")
    assert subjects(stack) == {"before", "meanwhile", "after"}


def test_a_new_name_keeps_mail_and_password(estate: Estate, stack: MailStack) -> None:
    """Renamed and back: the same mail, the same password; nobody else's box ever opens on it."""
    send(stack, "before")
    estate.write({FILE: BOTH.replace("tom: {owner: tom}", "thomas: {owner: tom, renamed_from: tom}")})
    estate.apply()
    for refused in (lambda: send(stack, "nobody"), lambda: stack.messages(TOM, "of his own")):
        with pytest.raises((smtplib.SMTPRecipientsRefused, imaplib.IMAP4.error)):
            refused()
    stack.send(OUTSIDE, "thomas@acme.example", letter(sender=OUTSIDE, to="thomas@acme.example"))
    assert len(stack.messages("thomas@acme.example", "of his own")) == 2
    both = BOTH.replace("tom: {owner: tom}", "thomas: {owner: tom, renamed_from: tom}, tom: {owner: jane}")
    estate.write({FILE: both})
    estate.apply()
    stack.set_password(TOM, "another's")
    assert subjects(stack, "another's") == set()
    estate._git("revert", "--no-edit", "HEAD")
    estate.write({"tenants/acme/control.yaml": "{tenant: acme, retention: 0 days}\n"})
    estate.apply()
    purge(estate)
    estate.write({FILE: BOTH})
    estate.apply()
    assert len(stack.messages(TOM, "of his own")) == 2
    send(stack, "after")
    assert subjects(stack) >= {"before", "after"}


def test_a_purge_loses_what_the_plan_said(estate: Estate, stack: MailStack) -> None:
    """Kept for no day: the plan names the loss, the purge takes name and mail, and a new box of that name is empty."""
    send(stack, "before")
    estate.write({FILE: ALONE, "tenants/acme/control.yaml": "{tenant: acme, retention: 0 days}\n"})
    estate.apply()
    assert plan(estate) == [("purge", "the mail in it")]
    purge(estate)
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        send(stack, "too late")
    assert refused.value.recipients[TOM][0] == 550
    estate.write({FILE: BOTH.replace("owner: tom", "owner: jane")})
    estate.apply()
    stack.set_password(TOM, "somebody else's")
    send(stack, "new")
    assert subjects(stack, "somebody else's") == {"new"}
    with pytest.raises(imaplib.IMAP4.error):
        subjects(stack)
