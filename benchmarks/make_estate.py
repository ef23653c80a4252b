"""Makes an estate of N equal tenants in a new Git repository: one version of the tool, one N, one commit.

    python -m benchmarks.make_estate FOLDER TENANTS

Each tenant has three files and one domain: 24 mailboxes and a shared one (25), 10 aliases besides the template's
three, and 12 record sets (13 values): ten of the template standard/1, with MTA-STS and TLS-RPT switched on, and two
of its own. DKIM keys are ed25519: making one takes 0.04 ms, so that a first apply measures the apply and not the
generation of RSA keys (some 50 ms each, whoever does it). They are published and do not sign, since opendkim signs
with RSA keys alone. The repository is packed, as a clone is.

Without a mail side a tenant is one domain with `mail: null` and the same 12 record sets, the DKIM key's among them.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent

ZONE_FILES = "{type: zone_files, directory: var/zones, nameservers: [ns1.agency.example., ns2.agency.example.]}"
SETTINGS = """\
version: 1
timezone: Europe/Berlin
providers:
  mail: {MAIL}
  dns: {zones: DNS}
servers:
  primary:
    mx: ["10 mx1.agency.example.", "20 mx2.agency.example."]
    spf: spf.agency.example
    submission: smtp.agency.example
    imap: imap.agency.example
people:
  anna: {name: Anna Ops, contact: "+49 30 23125001", mfa_attested: 2026-10-01}
  bela: {name: Bela Varga, contact: "+49 30 23125002", mfa_attested: 2026-10-01}
teams: {ops: {members: [anna, bela]}}
roles: {dns_auth: [ops], mailbox_admin: [ops], reset_approver: [ops]}
inside: [agency.example]
defaults:
  {DEFAULTdns: zones, server: primary, template: standard/1, quota: 5 GiB, ttl: 1 hour, retention: 30 days}
"""

DNS = """\
domain: {domain}
with: {{dmarc: quarantine, senders: ["include:spf.newsletter.example"], mta_sts: testing, tls_rpt: "on"}}
zone: {{create: true}}
records:
  - {{name: "@", type: TXT, values: ["site-verification={tenant}"]}}
  - {{name: "@", type: CAA, values: ['0 issue "ca.example"']}}
  - {{name: mta-sts, type: CNAME, values: [mta-sts.agency.example.]}}
"""
MAILHOST = 'mailhost: {type: postfix_dovecot, database: "sqlite:///var/mail.sqlite"}'
KEY = "dkim: {sign: [], keys: {e1: {type: ed25519}}}\n"
KEY_RECORD = '  - {{name: e1._domainkey, type: TXT, values: ["v=DKIM1; k=ed25519; p={public}"]}}\n'

BOX = """\
  {}:
    owner: {}
    name: {} {}
    quota: {} GiB"""

FIRST = ("ada", "ben", "cem", "dina", "emil", "fay", "gus", "hana", "ian", "jule", "karl", "lea")
LAST = ("abbot", "braun")
ALIASES = ("billing", "careers", "contact", "hello", "info", "jobs", "office", "press", "sales", "support")


def name_of(number: int) -> str:
    """`t00042`, the tenant of that number."""
    return f"t{number:05}"


def tenant_file(tenant: str, *, mail: bool) -> str:
    people = [
        f'  {first}: {{name: {first.title()} {LAST[0].title()}, contact: "+44 20 7946 {number:04}"}}'
        for number, first in enumerate(FIRST if mail else FIRST[:1])
    ]
    return "\n".join([f"tenant: {tenant}", f"name: Client {tenant}", "people:", *people, ""])


def mail_file(domain: str) -> str:
    boxes = [(f"{first}.{last}", first, last) for last in LAST for first in FIRST]
    return "\n".join(
        [
            f"domain: {domain}",
            f"owner: {FIRST[0]}",
            "mailboxes:",
            *(
                BOX.format(box, first, first.title(), last.title(), 2 + n % 9)
                for n, (box, first, last) in enumerate(boxes)
            ),
            "shared:",
            f"  desk: {{owner: ada, members: {{{boxes[0][0]}: full, {boxes[1][0]}: full, {boxes[2][0]}: read}}}}",
            "aliases:",
            *(f"  {alias}: [desk, {boxes[number][0]}]" for number, alias in enumerate(ALIASES)),
            "",
        ]
    )


def dns_file(tenant: str, domain: str, *, mail: bool) -> str:
    text = DNS.format(domain=domain, tenant=tenant)
    public = base64.b64encode(hashlib.sha256(tenant.encode()).digest()).decode()  # as long as a key, and nobody's
    return text + (KEY if mail else KEY_RECORD.format(public=public))


def write_tenant(root: Path, number: int, *, mail: bool) -> None:
    tenant = name_of(number)
    domain = f"{tenant}.example"
    for path, text in {
        "tenant.yaml": tenant_file(tenant, mail=mail),
        f"domains/{domain}.yaml": mail_file(domain) if mail else f"domain: {domain}\nowner: ada\nmail: null\n",
        f"dns/{domain}.yaml": dns_file(tenant, domain, mail=mail),
    }.items():
        file = root / "tenants" / tenant / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def commit_all(root: Path) -> None:
    """One commit by a fixed author at a fixed time; Git's own settings of this machine are left out."""
    who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in _WHO.items()}
    env = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for command in (("add", "."), ("commit", "-qm", "The estate"), ("gc", "-q")):
        subprocess.run(["git", "-c", "gc.auto=0", *command], cwd=root, env=env, check=True)


_WHO = {"NAME": "Bela Varga", "EMAIL": "bela@agency.example", "DATE": "2026-11-24T09:00:00+00:00"}


def make(root: Path, tenants: int, dns: str = ZONE_FILES, *, mail: bool = True) -> None:
    """With this DNS provider. Raises FileExistsError where the folder is there already."""
    root.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=root, check=True)
    settings = SETTINGS.replace("DNS", dns, 1).replace("MAIL", MAILHOST if mail else "")
    (root / "reconciler.yaml").write_text(settings.replace("DEFAULT", "mail: mailhost, " if mail else ""))
    (root / ".gitignore").write_text("/var/\n")
    for folder in ("schemas", "domain-templates"):
        shutil.copytree(CHECKOUT / folder, root / folder)
    for number in range(tenants):
        write_tenant(root, number, mail=mail)
    commit_all(root)


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
