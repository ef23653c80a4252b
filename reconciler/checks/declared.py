"""Checks over what a tenant declares: files called what they say, people who exist, nothing that points to nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.agency import ONE_SPACE, TOO_EARLY, UNKNOWN_MEMBER, unknown
from reconciler.findings import Origin, Rule
from reconciler.kinds import dkim_key
from reconciler.kinds.site import BAD_NAME
from reconciler.model import Address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.agency import Agency
    from reconciler.compile import Compiled, Files
    from reconciler.findings import Finding
    from reconciler.model import Resource, State

NOWHERE = Rule("RT001", "error", "Points to nowhere", "Declare the address, or correct the target.")
OUTSIDE = Rule(
    "RT002",
    "error",
    "An alias leaves the estate",
    "Write it under `forwards`, with owner, reason, approver and end date.",
)
TWIN = Rule(
    "IN218",
    "error",
    "Not a domain this one can be an alias of",
    "Name a domain of the same tenant that is no alias domain itself.",
)
KEEP_COPY = Rule(
    "IN215", "error", "Forward on a mailbox's own name", "Say `keep_copy: true` or `keep_copy: false` there."
)
FILE_NAME = Rule(
    "IN201", "error", "File name and content differ", "Name file and folder like the id inside (A-labels)."
)
NO_DOMAIN = Rule(
    "IN209", "error", "DNS file without a domain file", "Add domains/<domain>.yaml: it says who owns the domain."
)
NO_KEY = Rule("IN227", "error", "Signs with a key that is not declared", "Add the selector under `dkim: {keys: …}`.")
TWIN_ADDRESS = Rule(
    "IN228", "error", "An alias domain has no addresses of its own", "Declare them in the domain it is an alias of."
)
NO_TENANT = Rule(
    "IN219", "error", "Tenant without a tenant.yaml", "Add tenants/<tenant>/tenant.yaml with `tenant` and `name`."
)


def check(files: Files, compiled: Compiled, agency: Agency, domains: Mapping[str, str]) -> Iterator[Finding]:
    """Every finding of this theme. `domains` says which tenant each domain of the estate belongs to."""
    yield from _identity(files)
    yield from _keep_copies(files)
    yield from _twins_without_addresses(files)
    yield from _people(files, agency)
    yield from _unused_keys(files)
    yield from _targets(files, compiled, agency, domains)


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


def _keep_copies(files: Files) -> Iterator[Finding]:
    for stem, said in files.domains.items():
        boxes = {canonical.address(n, stem) for part in ("mailboxes", "shared") for n in said.get(part, {})}
        for name, forward in said.get("forwards", {}).items():
            if "keep_copy" not in forward and canonical.address(name, stem) in boxes:
                origin = Origin(f"{files.folder}/domains/{stem}.yaml", ("forwards", name))
                yield KEEP_COPY.at(name, f"`{name}` is a mailbox and a forward.", origin)


def _twins_without_addresses(files: Files) -> Iterator[Finding]:
    for stem, said in files.domains.items():
        for section in ("mailboxes", "shared", "aliases", "forwards", "catch_all"):
            if "alias_of" in said and section in said:
                origin = Origin(f"{files.folder}/domains/{stem}.yaml", (section,))
                yield TWIN_ADDRESS.at(stem, f"It has `alias_of` and `{section}`.", origin)


def _people(files: Files, agency: Agency) -> Iterator[Finding]:
    people, teams = files.tenant_file.get("people", {}), files.tenant_file.get("teams", {})
    persons = agency.persons | people.keys()
    ids = agency.ids | persons | teams.keys()
    for file, document in _documents(files):
        for path, key, value in _mentions(document, ()):
            known = persons if key in {"owner", "sponsor", "successor"} else ids
            if value not in known:
                who = "person" if known is persons else "person or team"
                yield UNKNOWN_MEMBER.at(value, f"There is no {who} `{value}`.", Origin(file, path))
    yield from unknown(f"{files.folder}/tenant.yaml", files.tenant_file, persons, ids)
    yield from unknown(f"{files.folder}/control.yaml", files.control, persons, ids)
    for section, clashing in (("people", people.keys() & agency.ids), ("teams", teams.keys() & (agency.ids | persons))):
        for name in sorted(clashing):
            what = f"`{name}` is another person or team too."
            yield ONE_SPACE.at(name, what, Origin(f"{files.folder}/tenant.yaml", (section, name)))


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


def _targets(files: Files, compiled: Compiled, agency: Agency, domains: Mapping[str, str]) -> Iterator[Finding]:
    answered = Answered(compiled.state)
    for resource in compiled.state.values():
        if resource.address.kind == "dkim_signing":
            yield from _unkeyed(resource, compiled.state)
        if resource.address.kind == "domain" and resource.get("alias_of"):
            yield from _twin(resource, answered.domains)
        for target in pointed_at(resource):
            holder = domains.get(canonical.domain_of(target))
            if target not in answered and holder in {files.tenant, None}:
                yield from _astray(resource, target, holder, agency, pointer(files, resource, target))


def _astray(resource: Resource, target: str, holder: str | None, agency: Agency, origin: Origin) -> Iterator[Finding]:
    """A target that this tenant does not answer for; what belongs to another tenant is for `across`."""
    name = resource.address.name
    if holder is not None:
        yield NOWHERE.at(name, f"{target} is not declared in this tenant.", origin)
    elif canonical.domain_of(target) not in agency.inside and origin.path[:1] != ("forwards",):
        yield OUTSIDE.at(name, f"{target} is neither in the estate nor in `inside`.", origin)


def pointer(files: Files, resource: Resource, target: str) -> Origin:
    """Where a resource names a target: the item of its list of targets or members; a template's, where that is used."""
    assert resource.origin is not None
    file, path = resource.origin.file, resource.origin.path
    node: Any = files.domains[resource.domain] if file.startswith(f"{files.folder}/domains/") else {}
    for step in path:
        node = node.get(step, {}) if isinstance(node, dict) else {}
    key = next((key for key in ("to", "members") if isinstance(node, dict) and key in node), None)
    said, path = (node[key], (*path, key)) if key else (node, path)
    places = dict(enumerate(said)) if isinstance(said, list) else {member: member for member in said}
    found = (place for place, text in places.items() if canonical.address(text, resource.domain) == target)
    return Origin(file, (*path, *list(found)[:1]))


def pointed_at(resource: Resource) -> Iterable[str]:
    """The addresses a resource names: an alias's targets, a shared mailbox's members."""
    found: Iterable[str] = ()
    if resource.address.kind == "alias":
        found = resource.get("to")
    elif resource.address.kind == "mailbox":
        found = resource.get("members")
    return found


class Answered:
    """The addresses a tenant's servers take mail for: declared ones, plus addresses, catch-alls, alias domains."""

    def __init__(self, state: State) -> None:
        self.names = {address.name for address in state if address.kind in {"mailbox", "alias"}}
        self.domains = {address.name: resource for address, resource in state.items() if address.kind == "domain"}

    def __contains__(self, address: str) -> bool:
        base = canonical.base_address(address)
        local, _, host = base.rpartition("@")
        if address in self.names or base in self.names or f"@{host}" in self.names:
            return True
        original = self.domains[host].get("alias_of") if host in self.domains else None
        return bool(original) and f"{local}@{original}" in self.names


def _unkeyed(resource: Resource, state: State) -> Iterator[Finding]:
    assert resource.origin is not None
    for selector in resource.get("selectors"):
        name = dkim_key.name(selector, resource.address.name)
        if Address(resource.address.provider, "dkim_key", name) not in state:
            yield NO_KEY.at(resource.address.name, f"`{selector}` is not among `keys`.", resource.origin)


def _twin(resource: Resource, domains: Mapping[str, Resource]) -> Iterator[Finding]:
    other = domains.get(resource.get("alias_of"))
    same_server = other is not None and other.address.provider == resource.address.provider
    if other is None or other.get("alias_of") or not same_server or other is resource:
        assert resource.origin is not None
        origin = Origin(resource.origin.file, ("alias_of",))
        yield TWIN.at(resource.address.name, f"`{resource.get('alias_of')}` is none.", origin)
