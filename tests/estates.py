"""Estates for tests: a temporary Git repository made of {path: text}, its live systems, and the command line over it.

    estate = make(tmp_path / "estate", northwind())
    assert estate.apply().code == 0
    estate.write(mail({"jane": "{owner: jane, quota: 2 GiB}"}))
    plan = estate.plan()

What is written is committed at once. The command line runs in this process, as `reconciler …` would: the same function,
the same exit codes, standard output as bytes that must be UTF-8. The mail system is SQLite in the PostfixAdmin layout,
the DNS is zone files, both below the estate's `var/`.
"""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler import cli

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[1]
Files = dict[str, str | bytes | None]  # path -> content; None takes the file away

AGENCY = """\
version: 1
timezone: Europe/Berlin
providers:
  mail: {mailhost: {type: postfix_dovecot, database: "sqlite:///var/mail.sqlite"}}
  dns: {zones: {type: zone_files, directory: var/zones, nameservers: [ns1.agency.example., ns2.agency.example.]}}
servers:
  primary: {mx: ["10 mx1.agency.example."], spf: spf.agency.example, submission: s.agency.example, imap: i.agency.test}
people:
  anna: {name: Anna Ops, contact: "+49 30 1234567"}
  bela: {name: Bela Varga, contact: "+49 30 1234568"}
teams: {ops: {members: [anna, bela]}}
inside: [agency.example]
defaults: {mail: mailhost, dns: zones, server: primary, template: mini/1, quota: 5 GiB, ttl: 1 hour, retention: 30 days}
roles: {dns_auth: [ops], mailbox_admin: [ops], reset_approver: [ops]}
"""
# A baseline without a DKIM key: making a key pair takes longer than all else together.
TEMPLATE = """\
template: mini/1
parameters:
  dmarc: {enum: [none, quarantine, reject], default: none}
  senders: {type: array, items: {type: string}, default: []}
records:
  - {name: "@", type: MX, values_from: server.mx}
  - {name: "@", type: TXT, values: ["v=spf1 include:{{ server.spf }} {{ senders | join(' ') }} -all"]}
  - {name: _dmarc, type: TXT, values: ["v=DMARC1; p={{ dmarc }}"]}
aliases: {postmaster: [hostmaster@agency.example], abuse: [hostmaster@agency.example]}
"""
BOXES = {"jane": "{owner: jane}", "tom": "{owner: tom, quota: 2 GiB}"}
NORTHWIND = "tenants/northwind/domains/northwind.example.yaml"
NORTHWIND_DNS = "tenants/northwind/dns/northwind.example.yaml"
CONTOSO = "tenants/contoso/domains/contoso.example.yaml"


def tenant(name: str, more: str = "") -> Files:
    """A client with two people, Jane and Tom."""
    people = "".join(f'  {who.lower()}: {{name: {who} Roe, contact: "+44 20 5550100"}}\n' for who in ("Jane", "Tom"))
    text = f"tenant: {name}\nname: {name.title()} Ltd\npeople:\n{people}{more}"
    return {f"tenants/{name}/tenant.yaml": text}


def mail(boxes: Mapping[str, str] = BOXES, more: str = "", domain: str = "northwind.example") -> Files:
    """The mail file of a domain: its mailboxes, then whatever else it says."""
    lines = "".join(f"  {name}: {said}\n" for name, said in boxes.items())
    said = f"mailboxes:\n{lines}" if boxes else ""
    holder = domain.partition(".")[0]
    return {f"tenants/{holder}/domains/{domain}.yaml": f"domain: {domain}\nowner: jane\n{said}{more}"}


def dns(more: str = "", domain: str = "northwind.example") -> Files:
    """The DNS file of a domain, whose zone is made where it is missing."""
    holder = domain.partition(".")[0]
    return {f"tenants/{holder}/dns/{domain}.yaml": f"domain: {domain}\nzone: {{create: true}}\n{more}"}


def northwind(boxes: Mapping[str, str] = BOXES, more: str = "aliases:\n  info: [jane]\n", names: str = "") -> Files:
    """One client with one domain: two mailboxes, an alias, the records of the little template."""
    return {**tenant("northwind"), **mail(boxes, more), **dns(names)}


def contoso() -> Files:
    """A second, sound client: whatever is wrong with the first, this one goes on."""
    return {**tenant("contoso"), **mail({"jane": "{owner: jane}"}, "", "contoso.example"), **dns("", "contoso.example")}


def control(more: str, name: str = "northwind") -> Files:
    """A tenant's control.yaml."""
    return {f"tenants/{name}/control.yaml": f"tenant: {name}\n{more}"}


def accepting(finding: str, subject: str, name: str = "northwind", **more: Any) -> Files:
    """A control.yaml that lifts one finding of one subject."""
    return control(accepts((finding, subject), **more), name)


def accepts(*named: tuple[str, str], **more: Any) -> str:
    """The `accept` of any file, for some codes with their subjects."""
    extra = {"reason": "seen", "approved_by": "ops", "expires": "2099-12-31", **more}
    words = ", ".join(f"{key}: {value}" for key, value in extra.items())
    lines = "".join(f"  - {{finding: {code}, subject: {json.dumps(subject)}, {words}}}\n" for code, subject in named)
    return f"accept:\n{lines}"


@dataclass(frozen=True)
class Run:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON document it must be."""
        return json.loads(self.out)


def call(*arguments: str | Path, stdin: bytes = b"") -> Run:
    """`reconciler …` in this process, without a terminal. Output that is no UTF-8 is an error here."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    code = 0
    with redirect_stdout(out), redirect_stderr(err), _as_command(arguments, stdin):
        try:
            cli.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return Run(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))  # type: ignore[attr-defined]


@contextmanager
def _as_command(arguments: tuple[str | Path, ...], stdin: bytes) -> Iterator[None]:
    before = sys.argv, sys.stdin
    sys.argv, sys.stdin = ["reconciler", *map(str, arguments)], io.TextIOWrapper(io.BytesIO(stdin))
    try:
        yield
    finally:
        sys.argv, sys.stdin = before


@dataclass(frozen=True)
class Estate:
    """A repository with an estate in it; `root` is the estate's folder."""

    root: Path

    # -------------------------------------------------------------- Git

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def save(self, files: Mapping[str, str | bytes | None]) -> None:
        """Write (None: remove) files in the working tree alone."""
        for name, content in files.items():
            path = self.root / name
            if content is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def write(self, files: Mapping[str, str | bytes | None], message: str = "A change") -> str:
        """Write files and commit them; gives the commit."""
        self.save(files)
        return self.commit(message)

    def commit(self, message: str = "A change") -> str:
        self.git("add", "--all", ".")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def put_ledger(self, text: bytes) -> None:
        """Something else in the place of Northwind's ledger."""
        blob = self._object("hash-object", "-w", "--stdin", text=text)
        tree = self._object("mktree", text=f"100644 blob {blob}\tledger.jsonl\n".encode())
        self.git("update-ref", "refs/reconciler/tenants/northwind", self.git("commit-tree", tree, "-m", "by hand"))

    def _object(self, *command: str, text: bytes) -> str:
        done = subprocess.run(["git", *command], cwd=self.root, input=text, capture_output=True, check=True)
        return done.stdout.decode().strip()

    # -------------------------------------------------------------- the command line

    def run(self, command: str, *arguments: str) -> Run:
        return call(command, "--estate", self.root, *arguments)

    def plan(self, *arguments: str) -> Any:
        """The plan as its JSON."""
        return self.run("plan", "--format", "json", *arguments).json

    def one(self, *arguments: str) -> Any:
        """The plan of northwind, which stands alone in most estates."""
        return next(found for found in self.plan(*arguments)["tenants"] if found["tenant"] == "northwind")

    def apply(self, *arguments: str) -> Run:
        return self.run("apply", "--format", "json", *(arguments or ("--yes",)))

    def applied(self, *files: Mapping[str, str | bytes | None]) -> Estate:
        """The estate itself, after one commit and apply per group of files; each must go well."""
        for group in files:
            self.write(group)
        done = self.apply()
        assert done.code == 0, f"{done.out}\n{done.err}"
        return self

    # -------------------------------------------------------------- the live systems

    @property
    def database(self) -> Path:
        return self.root / "var" / "mail.sqlite"

    def zone(self, domain: str = "northwind.example") -> Path:
        return self.root / "var" / "zones" / f"{domain}.zone"

    def sql(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """By hand, in the mail database."""
        with closing(sqlite3.connect(self.database)) as connection:
            rows = connection.execute(text, values).fetchall()
            connection.commit()
        return rows

    def redirect(self, name: str, to: str) -> None:
        """By hand, an alias of northwind.example."""
        columns = "(address, goto, domain, active) VALUES (?, ?, 'northwind.example', 1)"
        self.sql(f"INSERT INTO alias {columns}", f"{name}@northwind.example", to)

    def edit_zone(self, old: str, new: str, domain: str = "northwind.example") -> None:
        """By hand, in a zone file; an empty `old` adds lines at its end."""
        text = self.zone(domain).read_text()
        assert old in text
        self.zone(domain).write_text(text.replace(old, new) if old else f"{text}{new}\n")

    def world(self) -> dict[str, bytes]:
        """Every file that live systems and ledgers consist of, to see that nothing was written."""
        var = self.root / "var"
        found = {str(p.relative_to(var)): p.read_bytes() for p in sorted(var.rglob("*")) if p.is_file()}
        return {**found, "ledgers": self.git("for-each-ref", "refs/reconciler").encode()}


def make(
    folder: Path, *files: Mapping[str, str | bytes | None], agency: str = AGENCY, template: str = TEMPLATE
) -> Estate:
    """A new estate with these files, committed. It has the little template and, when named, the shipped ones."""
    folder.mkdir(parents=True, exist_ok=True)
    estate = Estate(folder)
    estate.git("init", "--quiet", "--template=", "--initial-branch=main")
    estate.save({"reconciler.yaml": agency, ".gitignore": "var/\n", "domain-templates/mini/1.yaml": template})
    if "standard/1" in agency:
        shutil.copytree(ROOT / "domain-templates", folder / "domain-templates", dirs_exist_ok=True)
    for group in files:
        estate.save(group)
    estate.commit("The estate")
    return estate


def by_hand(estate: Estate, folder: Path) -> None:
    """What somebody did on the servers: a folder's live.sql, and its live.zone, which says `- old` and `+ new`."""
    paths = (folder / "live.sql", folder / "live.zone")
    script, lines = (path.read_text() if path.exists() else "" for path in paths)
    for statement in script.split(";\n"):
        if statement.strip():
            estate.sql(statement)
    for line in lines.splitlines():
        sign, text = line[:2], line[2:]
        assert sign in {"- ", "+ "}, line
        zone = estate.zone().read_text()
        if sign == "- ":
            assert text in zone, f"not in the zone: {text}"
            zone = zone.replace(text, "\0", 1)
        else:
            zone = zone.replace("\0", text) if "\0" in zone else f"{zone}{text}\n"
        estate.zone().write_text(zone)


def codes(findings: list[dict[str, Any]]) -> set[str]:
    """The codes of findings, without those that only inform."""
    return {finding["code"] for finding in findings if finding["severity"] != "info"}


def summary(changes: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """{(action, name)} of changes."""
    return {(change["action"], change["name"]) for change in changes}
