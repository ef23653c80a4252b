"""Documents + template + facts -> desired resources and Links, for one tenant at a time.

Each domain becomes a `Site`; each kind's `expand` reads it. What must hold over the whole tenant is for `checks`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reconciler import canonical, cutover
from reconciler.absent import named_absent
from reconciler.agency import UNKNOWN_DEFAULT, UNKNOWN_SERVER
from reconciler.estate_rules import NO_SIGNER, NOT_ALONE, TWICE
from reconciler.findings import Origin
from reconciler.kinds import kinds, modules
from reconciler.kinds.record import null_mx
from reconciler.kinds.site import BAD_NAME, Baseline, Gone, Site
from reconciler.model import Address, Scope
from reconciler.people import gone_of
from reconciler.rules import Rules, rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.agency import Agency
    from reconciler.cutover import Cutover
    from reconciler.files import Files
    from reconciler.findings import Finding
    from reconciler.kinds.site import Ended
    from reconciler.model import Kind, Resource
    from reconciler.people import People


Render = Callable[[str, Mapping[str, Any], Mapping[str, Any]], Baseline]


class TemplateError(Exception):
    """A template that cannot be used for a domain; its arguments are the finding."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(finding.summary)


@dataclass(slots=True)
class Compiled:
    """A tenant's desired state; `scopes` are the (provider, scope) pairs to read.

    `elsewhere` are the domains whose mail is not ours and goes somewhere. `ended` says of addresses why a part of them
    (or all) holds no more since a day is over; `absent` maps what must not exist to its domain; `stale` are single
    values that must not stand in a record set. `observe` says until when a domain's side is only shown, by (side,
    domain); `observe_gone` the same of domains that are declared no more.
    """

    tenant: str
    state: dict[Address, Resource] = field(default_factory=dict)
    scopes: list[tuple[str, Scope]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    rules: Rules = field(default_factory=Rules)
    elsewhere: set[str] = field(default_factory=set)
    ended: dict[Address, Ended] = field(default_factory=dict)
    absent: dict[Address, str] = field(default_factory=dict)
    stale: dict[Address, frozenset[str]] = field(default_factory=dict)
    observe: dict[tuple[str, str], str] = field(default_factory=dict)
    observe_gone: str | None = None
    gone: Gone = field(default_factory=Gone)
    cutovers: dict[str, Cutover] = field(default_factory=dict)  # by domain


def compile_tenant(files: Files, agency: Agency, render: Render, people: People) -> Compiled:
    """The desired state of one tenant, on the day of which its people are."""
    wide, today = (files.control, agency.defaults), people.today
    found = Compiled(files.tenant, rules=rules_of(files, agency, today), observe_gone=_first("observe", wide))
    found.gone = gone_of(files, people)
    for stem, boxes in files.domains.items():
        for side, own in (("mail", boxes), ("dns", files.dns.get(stem, {}))):
            if (until := _first("observe", (own, *wide))) is not None:
                found.observe[side, stem] = until
        if stem in found.rules.leaving or stem != canonical.domain(stem):
            continue  # taken out, or a file whose name is none: `checks.declared` says so
        for site in _site(files, stem, boxes, agency, render, today, found):
            _scopes(site, found)
            _expand(site, found)
            if site.mail is None and not _parked(site, found):
                found.elsewhere.add(site.domain)
            found.cutovers |= {cut.domain: cut for cut in cutover.of_site(site, agency)}
            whole, stale = named_absent(site, found.state)
            found.absent |= dict.fromkeys([*whole, *stale], site.domain)
            found.stale |= stale
            for address in stale.keys() & found.state.keys():
                found.state[address] = found.state[address].having(without=tuple(sorted(stale[address])))
    return found


def _first(key: str, levels: Sequence[Mapping[str, Any]]) -> Any:
    """What the nearest level says that says anything."""
    return next((level[key] for level in levels if key in level), None)


# ---------------------------------------------------------------------- one domain


def _site(
    files: Files, stem: str, boxes: Mapping[str, Any], agency: Agency, render: Render, today: str, found: Compiled
) -> Iterator[Site]:
    """The domain as a site, or nothing when something it needs is not defined (which is reported)."""
    report = found.findings.append
    names = files.dns.get(stem, {})
    boxes_file = f"{files.folder}/domains/{stem}.yaml"
    names_file = f"{files.folder}/dns/{stem}.yaml" if names else ""
    nearest = _Nearest(files, stem, boxes, names, agency, report)
    mail, dns = nearest.provider("mail"), nearest.provider("dns")
    baseline = _baseline(nearest, stem, render) if mail or dns else Baseline()
    if baseline is None or nearest.failed:
        return
    if mail is None and names.get("dkim"):
        report(NO_SIGNER.at(stem, "Its `mail` is null.", Origin(names_file, ("dkim",))))
    defaults = agency.defaults
    yield Site(
        files.tenant, stem, mail, dns, boxes, boxes_file, names, names_file, baseline, report,
        quota=nearest.said("quota"), initial_quota=defaults.get("quota"),
        initial_ttl=canonical.seconds(defaults.get("ttl", "1 hour")), retention=found.rules.retention[stem],
        today=today, ended=found.ended, gone=found.gone,
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
        return _first(key, [level for _, level in self._levels()[:3]])

    def parameters(self) -> dict[str, Any]:
        """The template's parameters, merged key by key, the nearest last."""
        levels = (self.agency.defaults, self.files.control, self.names)
        return {key: value for level in levels for key, value in level.get("with", {}).items()}

    def parameter_places(self) -> dict[str, Origin]:
        """{parameter: where its value stands}."""
        return {
            key: Origin(file, ("defaults", "with", key) if file == "reconciler.yaml" else ("with", key))
            for file, level in reversed(self._levels())
            for key in level.get("with", {})
        }

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
    said, places = nearest.names.get("with", {}), nearest.parameter_places()
    facts = {"domain": domain, "server": nearest.server(), "said": said, "places": places, "origin": origin}
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
            site.report(
                BAD_NAME.at(site.domain, f"{site.domain} is not in the zone {name}.", site.at_dns("zone", "name"))
            )
            return
        found.scopes.append((site.dns, Scope(site.domain, name, create=zone.get("create", False))))


def _expand(site: Site, found: Compiled) -> None:
    namespaces: dict[str, dict[str, Resource]] = {}
    for module in modules():
        kind: Kind = module.KIND
        slots, slot = namespaces.setdefault(kind.namespace, {}), kind.slot
        for resource in module.expand(site):
            name = resource.address.name
            other = slots.setdefault(slot(name), resource)
            if other is not resource and (kind.alone(name) or kinds()[other.address.kind].alone(other.address.name)):
                _clash(site, kind, resource, other)
                _clash(site, kind, other, resource)
            found.state[resource.address] = resource


def _parked(site: Site, found: Compiled) -> bool:
    """Whether the domain's own MX says that it takes no mail."""
    mx = None if site.dns is None else found.state.get(Address(site.dns, "record", f"MX/{site.domain}"))
    return mx is not None and null_mx(mx.get("values"))


def _clash(site: Site, kind: Kind, one: Resource, two: Resource) -> None:
    assert one.origin is not None and two.origin is not None
    what = f"It is declared here and in {two.origin.file} as {_path(two.origin)}."
    rule = NOT_ALONE if kind.namespace == "record" else TWICE
    site.report(rule.at(kind.slot(one.address.name), what, one.origin))


def _path(origin: Origin) -> str:
    return ".".join(str(part) for part in origin.path)
