"""Documents + template + facts -> desired resources and Links, for one tenant at a time.

Each domain becomes a `Site`; each kind's `expand` reads it. What then holds over the whole tenant is checked here:
one meaning per name, nothing that points to nowhere, nobody else's domain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.agency import UNKNOWN_DEFAULT, UNKNOWN_MEMBER, UNKNOWN_SERVER
from reconciler.kinds import kinds, modules
from reconciler.kinds.site import BAD_NAME, Baseline, Site
from reconciler.model import Links, Origin, Rule, Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.agency import Agency
    from reconciler.model import Address, Finding, Resource

FILE_NAME = Rule("IN201", "error", "File name and content differ", "Name file and folder like the id inside (A-labels).")
TWO_TENANTS = Rule("IN202", "error", "Two tenants hold one domain", "A domain belongs to one tenant; take it out of the other.")
TWICE = Rule("IN203", "error", "One name, two meanings", "A name stands once over mailboxes, shared, aliases and forwards.")
NO_TEMPLATE = Rule("IN206", "error", "Template is not defined", "Add it under domain-templates/, or correct the name.")
NO_DOMAIN = Rule("IN209", "error", "DNS file without a domain file", "Add domains/<domain>.yaml: it says who owns the domain.")
KEEP_COPY = Rule("IN215", "error", "Forward on a mailbox's own name", "Say `keep_copy: true` or `keep_copy: false` there.")
TWIN = Rule("IN218", "error", "Not a domain this one can be an alias of", "Name a domain of the same tenant that is no alias domain itself.")
NO_TENANT = Rule("IN219", "error", "Tenant without a tenant.yaml", "Add tenants/<tenant>/tenant.yaml with `tenant` and `name`.")
NOWHERE = Rule("RT001", "error", "Points to nowhere", "Declare the address, or correct the target.")
OUTSIDE = Rule("RT002", "error", "An alias leaves the estate", "Write it under `forwards`, with owner, reason, approver and end date.")
ACROSS = Rule("RT004", "error", "Points into another tenant", "Tenants are islands; keep targets and members inside the tenant.")
TOO_EARLY = Rule("IN221", "warning", "Accepted, but not acted on yet", "This version does not act on the key; do not rely on it.")

Render = Callable[[str, Mapping[str, Any], Mapping[str, Any]], Baseline]


class TemplateError(Exception):
    """A template that cannot be used for a domain; its arguments are the finding."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(finding.summary)


@dataclass(frozen=True, slots=True)
class Files:
    """One tenant's documents by what they are: `domains` and `dns` map a file's name (no suffix) to its content.

    `folder` is the tenant's folder, `tenants/<tenant>`; missing files are empty mappings.
    """

    tenant: str
    tenant_file: Mapping[str, Any] = field(default_factory=dict)
    control: Mapping[str, Any] = field(default_factory=dict)
    domains: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    dns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        return f"tenants/{self.tenant}"


@dataclass(slots=True)
class Compiled:
    """A tenant's desired state; `scopes` are the (provider, scope) pairs to read."""

    tenant: str
    state: dict[Address, Resource] = field(default_factory=dict)
    scopes: list[tuple[str, Scope]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    links: Links = field(default_factory=lambda: Links(""))


def compile_tenant(files: Files, agency: Agency, domains: Mapping[str, str], render: Render) -> Compiled:
    """The desired state of one tenant. `domains` says which tenant each domain of the estate belongs to."""
    found = Compiled(files.tenant)
    found.findings += _identity(files)
    for stem, boxes in files.domains.items():
        for site in _site(files, stem, boxes, agency, render, found.findings.append):
            _scopes(site, found)
            _expand(site, found)
            found.findings += _keep_copies(site)
    found.findings += _people(files, agency)
    found.findings += _unused_keys(files)
    outward: list[tuple[str, str, Origin]] = []
    found.findings += _targets(found, files, agency, domains, outward)
    names = tuple(address.name for address in found.state if kinds()[address.kind].namespace == "address")
    found.links = Links(files.tenant, names, tuple(outward))
    return found


# ---------------------------------------------------------------------- ids and names of files


def _identity(files: Files) -> Iterator[Finding]:
    if not files.tenant_file:
        yield NO_TENANT.at(files.tenant, f"{files.folder} has no tenant.yaml.", Origin(f"{files.folder}/tenant.yaml"))
    for name, document in (("tenant", files.tenant_file), ("control", files.control)):
        if document and document["tenant"] != files.tenant:
            what = f"The folder is `{files.tenant}`, the file says `{document['tenant']}`."
            yield FILE_NAME.at(files.tenant, what, Origin(f"{files.folder}/{name}.yaml", ("tenant",)))
    for part, documents in (("domains", files.domains), ("dns", files.dns)):
        for stem, document in documents.items():
            yield from _domain_name(f"{files.folder}/{part}/{stem}.yaml", stem, document["domain"])
    for stem in files.dns.keys() - files.domains.keys():
        yield NO_DOMAIN.at(stem, f"There is no domains/{stem}.yaml.", Origin(f"{files.folder}/dns/{stem}.yaml"))


def _domain_name(file: str, stem: str, said: str) -> Iterator[Finding]:
    try:
        name = canonical.check_domain(said)
    except ValueError as error:
        yield BAD_NAME.at(said, f"{error}.", Origin(file, ("domain",)))
        return
    if name != stem:
        yield FILE_NAME.at(stem, f"The file is `{stem}.yaml`, its domain is `{name}`.", Origin(file, ("domain",)))


# ---------------------------------------------------------------------- one domain


def _site(
    files: Files, stem: str, boxes: Mapping[str, Any], agency: Agency, render: Render, report: Callable[[Finding], None]
) -> Iterator[Site]:
    """The domain as a site, or nothing when something it needs is not defined (which is reported)."""
    names = files.dns.get(stem, {})
    names_file = f"{files.folder}/dns/{stem}.yaml" if names else ""
    nearest = _Nearest(files, stem, boxes, names, agency, report)
    mail, dns = nearest.provider("mail"), nearest.provider("dns")
    baseline = _baseline(nearest, stem, render) if mail or dns else Baseline()
    if baseline is None or nearest.failed:
        return
    defaults = agency.defaults
    yield Site(
        files.tenant, stem, mail, dns, boxes, f"{files.folder}/domains/{stem}.yaml", names, names_file, baseline, report,
        quota=nearest.said("quota"),
        initial_quota=defaults.get("quota"),
        initial_ttl=canonical.seconds(defaults.get("ttl", "1 hour")),
        retention=-(-canonical.seconds(nearest.get("retention") or "30 days") // 86400),
    )  # fmt: skip


@dataclass(slots=True)
class _Nearest:
    """Settings that may stand in the domain's files, the tenant's control.yaml or the agency's defaults."""

    files: Files
    stem: str
    boxes: Mapping[str, Any]
    names: Mapping[str, Any]
    agency: Agency
    report: Callable[[Finding], None]
    failed: bool = False

    def _levels(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        folder = self.files.folder
        return (
            (f"{folder}/dns/{self.stem}.yaml", self.names),
            (f"{folder}/domains/{self.stem}.yaml", self.boxes),
            (f"{folder}/control.yaml", self.files.control),
            ("reconciler.yaml", self.agency.defaults),
        )

    def find(self, key: str) -> tuple[Any, Origin]:
        """The nearest value and where it stands; None when nobody says it (or somebody says null)."""
        for file, level in self._levels():
            if key in level:
                path = ("defaults", key) if file == "reconciler.yaml" else (key,)
                return level[key], Origin(file, path)
        return None, Origin(f"{self.files.folder}/domains/{self.stem}.yaml", ("domain",))

    def get(self, key: str) -> Any:
        return self.find(key)[0]

    def said(self, key: str) -> Any:
        """As `get`, but the agency's defaults do not count."""
        return next((level[key] for _, level in self._levels()[:3] if key in level), None)

    def parameters(self) -> dict[str, Any]:
        """The template's parameters, merged key by key, the nearest last."""
        levels = (self.agency.defaults, self.files.control, self.names)
        return {key: value for level in levels for key, value in level.get("with", {}).items()}

    def provider(self, side: str) -> str | None:
        name, origin = self.find(side)
        if name is not None and self.agency.providers.get(name, ("", {}))[0] != side:
            self.fail(UNKNOWN_DEFAULT.at(name, f"There is no {side} provider called `{name}`.", origin))
        return name  # type: ignore[no-any-return]

    def server(self) -> Mapping[str, Any]:
        name, origin = self.find("server")
        if name is not None and name not in self.agency.servers:
            self.fail(UNKNOWN_SERVER.at(name, f"There is no server called `{name}`.", origin))
        return self.agency.servers.get(name, {})  # type: ignore[no-any-return]

    def fail(self, finding: Finding) -> None:
        self.failed = True
        self.report(finding)


def _baseline(nearest: _Nearest, domain: str, render: Render) -> Baseline | None:
    name, origin = nearest.find("template")
    facts = {"domain": domain, "server": nearest.server(), "said": nearest.names.get("with", {}), "origin": origin}
    if name is None or nearest.failed:
        return Baseline()
    try:
        return render(name, nearest.parameters(), facts)
    except TemplateError as error:
        nearest.fail(error.finding)
        return None


def _scopes(site: Site, found: Compiled) -> None:
    if site.mail is not None:
        found.scopes.append((site.mail, Scope(site.domain, site.domain)))
    if site.dns is not None:
        zone = site.names.get("zone", {})
        name = canonical.domain(zone.get("name", site.domain))
        if site.domain != name and not site.domain.endswith(f".{name}"):
            site.report(BAD_NAME.at(site.domain, f"{site.domain} is not in the zone {name}.", site.at_dns("zone", "name")))
            return
        found.scopes.append((site.dns, Scope(site.domain, name, create=zone.get("create", False))))


def _expand(site: Site, found: Compiled) -> None:
    slots: dict[tuple[str, str], Resource] = {}
    for module in modules():
        for resource in module.expand(site):
            kind, name = module.KIND, resource.address.name
            other = slots.setdefault((kind.namespace, kind.slot(name)), resource)
            alone = kind.alone(name) or kinds()[other.address.kind].alone(other.address.name)
            if other is not resource and alone:
                for one, two in ((resource, other), (other, resource)):
                    assert one.origin is not None and two.origin is not None
                    what = f"It is declared here and in {two.origin.file} as {_path(two.origin)}."
                    site.report(TWICE.at(kind.slot(one.address.name), what, one.origin))
            found.state[resource.address] = resource


def _path(origin: Origin) -> str:
    return ".".join(str(part) for part in origin.path)


def _keep_copies(site: Site) -> Iterator[Finding]:
    boxes = {canonical.address(n, site.domain) for s in ("mailboxes", "shared") for n in site.boxes.get(s, {})}
    for name, said in site.boxes.get("forwards", {}).items():
        if "keep_copy" not in said and canonical.address(name, site.domain) in boxes:
            yield KEEP_COPY.at(name, f"`{name}` is a mailbox and a forward.", site.at("forwards", name))


# ---------------------------------------------------------------------- over the whole tenant


def _people(files: Files, agency: Agency) -> Iterator[Finding]:
    persons = agency.persons | frozenset(files.tenant_file.get("people", {}))
    ids = agency.ids | persons
    for file, document in _documents(files):
        for path, key, value in _mentions(document, ()):
            known = persons if key in {"owner", "sponsor", "successor"} else ids
            if value not in known:
                who = "person" if known is persons else "person or team"
                yield UNKNOWN_MEMBER.at(value, f"There is no {who} `{value}`.", Origin(file, path))


_PEOPLE = frozenset({"owner", "approved_by", "held_by", "sponsor", "successor"})


def _mentions(node: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """(path, key, id) wherever a document names a person or a team."""
    items: Any = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if key in _PEOPLE and isinstance(value, str):
            yield (*path, key), key, value
        elif isinstance(value, (dict, list)):
            yield from _mentions(value, (*path, key))


def _documents(files: Files) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield f"{files.folder}/tenant.yaml", files.tenant_file
    yield f"{files.folder}/control.yaml", files.control
    for part, documents in (("domains", files.domains), ("dns", files.dns)):
        for stem, document in documents.items():
            yield f"{files.folder}/{part}/{stem}.yaml", document


_NOT_YET = {
    "control": ("retire", "holds", "delegates", "released", "observe", "drift", "renamed_from"),
    "domains": ("absent", "retired", "observe", "drift"),
    "dns": ("absent", "cutover", "observe", "drift"),
}


def _unused_keys(files: Files) -> Iterator[Finding]:
    for file, document in _documents(files):
        part = "control" if file.endswith("/control.yaml") else file.split("/")[2]
        for key in _NOT_YET.get(part, ()):
            if key in document and document[key] != "report":
                yield TOO_EARLY.at(key, f"`{key}` is read and checked, nothing more.", Origin(file, (key,)))


def _targets(
    found: Compiled, files: Files, agency: Agency, domains: Mapping[str, str], outward: list[tuple[str, str, Origin]]
) -> Iterator[Finding]:
    answered = _Answered(found)
    for resource in found.state.values():
        kind, origin = resource.address.kind, resource.origin
        assert origin is not None
        if kind == "domain" and resource.get("alias_of"):
            yield from _twin(resource, answered.domains, origin)
        wanted = resource.get("to") if kind == "alias" else resource.get("members") if kind == "mailbox" else ()
        for target in wanted:
            host = canonical.domain_of(target)
            holder = domains.get(host)
            name = resource.address.name
            if target in answered:
                continue
            if holder == files.tenant:
                yield NOWHERE.at(name, f"{target} is not declared in this tenant.", origin)
            elif holder is not None:
                outward.append((name, target, origin))
                yield ACROSS.at(name, f"{target} belongs to the tenant {holder}.", origin)
            elif host not in agency.inside and not _may_leave(origin):
                yield OUTSIDE.at(name, f"{target} is neither in the estate nor in `inside`.", origin)


def _may_leave(origin: Origin) -> bool:
    return bool(origin.path) and origin.path[0] == "forwards"


class _Answered:
    """The addresses a tenant's servers take mail for: declared ones, plus addresses, catch-alls, alias domains."""

    def __init__(self, found: Compiled) -> None:
        namespaces = {name: kind.namespace for name, kind in kinds().items()}
        self.names = {address.name for address in found.state if namespaces[address.kind] == "address"}
        self.domains = {a.name: resource for a, resource in found.state.items() if a.kind == "domain"}

    def __contains__(self, address: str) -> bool:
        base = canonical.base_address(address)
        local, _, host = base.rpartition("@")
        if address in self.names or base in self.names or f"@{host}" in self.names:
            return True
        original = self.domains[host].get("alias_of") if host in self.domains else None
        return bool(original) and f"{local}@{original}" in self.names


def _twin(resource: Resource, domains: Mapping[str, Resource], origin: Origin) -> Iterator[Finding]:
    other = domains.get(resource.get("alias_of"))
    same_server = other is not None and other.address.provider == resource.address.provider
    if other is None or other.get("alias_of") or not same_server or other is resource:
        yield TWIN.at(resource.address.name, f"`{resource.get('alias_of')}` is none.", Origin(origin.file, ("alias_of",)))
