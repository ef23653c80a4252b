"""The estate's files at one commit (or in the working tree), parsed and judged file by file.

A bad reconciler.yaml stops everything; a bad template stops those that use it; a bad tenant file stops its tenant.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from reconciler import agency as agency_file
from reconciler import codeowners, spans, suffixes, tables, tenant_files
from reconciler.agency import Agency
from reconciler.checks import declared, dns, domains, mail, people, resets, roles
from reconciler.compile import Compiled, compile_tenant
from reconciler.errors import InputError
from reconciler.estate_rules import NO_CANARY, NO_ESTATE, NO_SIGNERS, TWO_TENANTS
from reconciler.files import Files
from reconciler.findings import Finding, Origin, accepted
from reconciler.history import Repository
from reconciler.people import people_of
from reconciler.providers import _settings as settings
from reconciler.signing import Signers
from reconciler.templates import Library
from reconciler.tenant_files import STRAY, Tenant, link, parsed
from reconciler.tree import File

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from reconciler.documents import Document


_DOMAIN = re.compile(r"tenants/([^/]+)/domains/([^/]+)\.yaml")
_TEMPLATE = re.compile(r"domain-templates/(?P<name>[^/]+/[1-9][0-9]*)\.yaml")


class Estate:
    """An estate at one commit; `commit` None reads the working tree. Raises InputError for what stops everything.

    `as_of` is the day (ISO) it is read for; empty: today, in the agency's time zone. `now` is the time there.
    """

    def __init__(self, root: Path, revision: str = "HEAD", *, worktree: bool = False, as_of: str = "") -> None:
        self.root = root
        self.repository = Repository(root)
        self.commit = self.repository.commit(revision, unborn=worktree)
        self.tree = self.repository.tree(None if worktree else self.commit)
        self._documents: dict[str, Document] = {}
        self._worktree = worktree
        self._delegates = cache(self._delegated)
        try:
            self.agency = self._agency()
        except InputError:
            self.close()
            raise
        self.zone = ZoneInfo(self.agency.data.get("timezone", "UTC"))
        now = datetime.now(self.zone)
        self.today, self.now = as_of or now.date().isoformat(), now.strftime("%Y-%m-%dT%H:%M")

    def close(self) -> None:
        self.repository.close()
        signers: Signers | None = self.__dict__.get("signers")  # asked for or not
        if signers is not None:
            signers.close()

    @cached_property
    def tenants(self) -> frozenset[str]:
        """The tenants' ids; what is no id is there too, and judged when the tenant is parsed."""
        inside = [path for path in self.tree.paths if path.startswith("tenants/")]
        return frozenset(path.split("/", 2)[1] for path in inside if path.count("/") > 1 or self._islink(path))

    def reads(self, path: str) -> bool:
        """Whether anything is read from a file of that name."""
        single = {agency_file.FILE, *codeowners.PLACES, self.agency.data.get("ledger", {}).get("allowed_signers")}
        return path.startswith(("tenants/", "domain-templates/")) or path in single

    def has(self, tenant: str) -> bool:
        """Whether there is anything of a tenant."""
        return "/" not in tenant and bool(self.tree.under(f"tenants/{tenant}"))

    def _islink(self, path: str) -> bool:
        file = self.tree.get(path)
        return file is not None and not file.regular

    @cached_property
    def holders(self) -> dict[str, list[str]]:
        """{domain: the tenants that have a file for it}."""
        found: dict[str, list[str]] = {}
        for path in self.tree.paths:
            if "/domains/" in path and (place := _DOMAIN.fullmatch(path)):
                found.setdefault(place[2].lower(), []).append(place[1])
        return found

    @cached_property
    def domains(self) -> dict[str, str]:
        """{domain: the first tenant that holds it}."""
        return {domain: tenants[0] for domain, tenants in self.holders.items()}

    @cached_property
    def library(self) -> Library:
        """The usable templates."""
        return Library(self._templates[0])

    @cached_property
    def findings(self) -> list[Finding]:
        """What is wrong with the agency's files and stops only those that use them."""
        contacts = resets.unknown_contacts(self.agency, self.domains, self.today)
        roled = roles.agency_wide(self.agency, self.today)
        wide = accepted([*contacts, *roled], self.agency.data.get("accept", ()), self.today)
        found = [*self._templates[1], *self.library.findings, *self._canaries(), *wide]
        return [*self._warnings, *self.located_all(found)]

    def parsed(self, names: Sequence[str]) -> dict[str, Tenant]:
        """{tenant: its files, parsed and validated one by one}, all of them read at once."""
        files = {name: self.tree.under(f"tenants/{name}") for name in names}
        contents = self.repository.read(file for some in files.values() for file in some)
        tenants = {name: tenant_files.parse(name, some, contents) for name, some in files.items()}
        for name, tenant in tenants.items():
            tenant.findings += self._shared_domains.get(name, ())
        return tenants

    def compile(self, tenant: Tenant) -> Compiled:
        """The desired state of a tenant, with the findings of its files; of an unsound one only those.

        A tenant that Git no longer has (only its ledger is left) wants nothing.
        """
        name = tenant.files.tenant
        if not tenant.sound or not self.has(name):
            until = self.agency.defaults.get("observe")
            return Compiled(name, findings=list(tenant.findings), observe_gone=until)
        known = people_of(tenant.files, self.agency, self.today)
        compiled = compile_tenant(tenant.files, self.agency, self.library.render, known)
        compiled.findings[:0] = tenant.findings
        compiled.findings += [
            *declared.check(tenant.files, self.agency),
            *mail.check(tenant.files, compiled, self.agency, self.domains, self.today),
            *dns.check(tenant.files, compiled.state, self.agency, self.domains),
            *declared.former(tenant.files, self.has),
            *resets.check(tenant.files, compiled, self.agency, self.domains, known),
            *domains.check(
                tenant.files, self.domains, self.tenants, self._delegates, suffixes.public(tenant.files.domains)
            ),
            *people.check(tenant.files, self.agency, known),
        ]
        return compiled

    def _delegated(self, tenant: str) -> Mapping[str, str] | None:
        return tenant_files.delegates(self.tree.get(f"tenants/{tenant}/control.yaml"), self.repository.read)

    def located(self, tenant: Tenant, origin: Origin | None) -> Origin:
        """The origin with its line and column looked up."""
        if origin is None:
            return Origin("", line=1, column=1)
        document = tenant.documents.get(origin.file) or self._documents.get(origin.file)
        if origin.line or document is None:
            return origin._replace(line=origin.line or 1, column=origin.column or 1)
        line, column = spans.locate(document, origin.path)
        return origin._replace(line=line, column=column)

    # ------------------------------------------------------------------ agency files

    def _agency(self) -> Agency:
        file = self.tree.get(agency_file.FILE)
        if file is None:
            above = next((up for up in self.root.parents if (up / agency_file.FILE).is_file()), None)
            what = f"There is no {agency_file.FILE} here{f'; there is one in {above}' if above else ''}."
            raise InputError([NO_ESTATE.at(str(self.root), what, Origin(agency_file.FILE))])
        if not file.regular:
            raise InputError([link(file)])
        findings: list[Finding] = []
        document = parsed(file.path, self.repository.read([file])[file.path], "reconciler", findings)
        if document is None:
            raise InputError(findings)
        self._documents[file.path] = document
        agency = Agency(document.data)
        findings = self.located_all([*agency_file.check(agency), *settings.check(agency), *tables.check(agency)])
        self._warnings = [finding for finding in findings if finding.severity != "error"]
        if len(self._warnings) < len(findings):
            raise InputError(findings)
        return agency

    @cached_property
    def signers(self) -> Signers | None:
        """Who may sign the journal; None where reconciler.yaml does not ask for it. Raises InputError."""
        name = self.agency.data.get("ledger", {}).get("allowed_signers")
        if name is None:
            return None
        file = self.tree.get(name) or File(name, None, self._worktree and self._inside(name))
        if not file.regular:
            what = f"There is no regular file `{name}` in what is read."
            origin = Origin(agency_file.FILE, ("ledger", "allowed_signers"))
            raise InputError(self.located_all([NO_SIGNERS.at(name, what, origin)]))
        return Signers(name, self.repository.read([file])[name])

    def _inside(self, name: str) -> bool:
        """Whether the working tree has a regular file there, and no link leads elsewhere."""
        path = self.root / name
        return path.is_file() and path.resolve() == self.root.resolve() / name

    def _canaries(self) -> Iterator[Finding]:
        for index, name in enumerate(self.agency.data.get("rollout", {}).get("canary", ())):
            if name not in self.tenants:
                origin = Origin(agency_file.FILE, ("rollout", "canary", index))
                yield NO_CANARY.at(name, f"There is no tenants/{name}.", origin)

    @cached_property
    def _templates(self) -> tuple[dict[str, Document], list[Finding]]:
        found: dict[str, Document] = {}
        findings: list[Finding] = []
        files = self.tree.under("domain-templates")
        findings += [link(file) for file in files if not file.regular]
        for path, raw in self.repository.read(files).items():
            place = _TEMPLATE.fullmatch(path)
            document = parsed(path, raw, "template", findings) if place is not None else None
            if place is None and path.endswith((".yaml", ".yml")):
                findings.append(STRAY.at(path, "", Origin(path, line=1, column=1)))
            elif place is not None and document is not None:
                self._documents[path] = document
                found[place["name"]] = document
        return found, findings

    def located_all(self, findings: Sequence[Finding]) -> list[Finding]:
        """Findings of the agency's files with their lines looked up."""
        nobody = Tenant(Files(""))
        return [finding._replace(origin=self.located(nobody, finding.origin)) for finding in findings]

    def place(self, path: tuple[str, ...]) -> Origin:
        """Where something stands in reconciler.yaml."""
        return self.located(Tenant(Files("")), Origin(agency_file.FILE, path))

    @cached_property
    def _shared_domains(self) -> dict[str, list[Finding]]:
        """{tenant: findings} for each domain that more than one tenant has a file for."""
        found: dict[str, list[Finding]] = {}
        for domain, tenants in self.holders.items():
            for name in tenants if len(tenants) > 1 else ():
                others = ", ".join(other for other in tenants if other != name)
                origin = Origin(f"tenants/{name}/domains/{domain}.yaml", line=1, column=1)
                finding = TWO_TENANTS.at(domain, f"The tenant {others} holds it too.", origin)
                found.setdefault(name, []).append(finding)
        return found
