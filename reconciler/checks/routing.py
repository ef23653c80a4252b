"""Checks over where mail goes: targets and members that are there, no circles, real twins, an MX for boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.findings import Origin, Rule, did_you_mean
from reconciler.kinds import dkim_key
from reconciler.model import Address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.agency import Agency
    from reconciler.compile import Compiled
    from reconciler.files import Files
    from reconciler.findings import Finding
    from reconciler.model import Resource, State

NOWHERE = Rule(
    "RT001",
    "error",
    "Points to nowhere",
    "Declare the address, or correct the target.",
    why="Mail to it comes back to whoever wrote it, or waits in a queue until it does.",
)
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
NO_KEY = Rule("IN227", "error", "Signs with a key that is not declared", "Add the selector under `dkim: {keys: …}`.")
NO_READER = Rule(
    "RT005", "error", "A member that cannot log in", "Members of a shared mailbox are mailboxes of people."
)
CIRCLE = Rule("RT006", "error", "An alias goes in a circle", "Let it end at a mailbox or at an address outside.")
_POINTING = {"alias": "to", "mailbox": "members"}
_SHOWN = 20  # circles: a hostile file could hold thousands


def check(files: Files, compiled: Compiled, agency: Agency, domains: Mapping[str, str]) -> Iterator[Finding]:
    """Every finding of this theme. `domains` says which tenant each domain of the estate belongs to."""
    answered = Answered(compiled.state)
    for resource in compiled.state.values():
        if resource.address.kind == "dkim_signing":
            yield from _unkeyed(resource, compiled.state)
        elif resource.address.kind == "domain" and resource.get("alias_of"):
            yield from _twin(resource, answered.domains)
        for target in pointed_at(resource):
            if target not in answered:
                holder = domains.get(canonical.domain_of(target))
                if holder in {files.tenant, None}:
                    origin = pointer(files, resource, target)
                    yield from _astray(resource, target, agency, origin, answered.names if holder else None)
            elif resource.address.kind == "mailbox" and not answered.logs_in(target):
                yield NO_READER.at(resource.address.name, f"{target} is none.", pointer(files, resource, target))
    yield from _circles(compiled.state)


def _astray(
    resource: Resource, target: str, agency: Agency, origin: Origin, names: Iterable[str] | None
) -> Iterator[Finding]:
    """A target that this tenant does not answer for: `names` are its addresses where it holds the target's domain."""
    name = resource.address.name
    if names is not None:
        what = f"{target} is not declared in this tenant.{did_you_mean(target, names)}"
        yield NOWHERE.at(name, what, origin)
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
    key = _POINTING.get(resource.address.kind)
    return () if key is None else resource.attributes[key]


class Answered:
    """The addresses a tenant declares, with their plus addresses and their twins in alias domains.

    What only a catch-all takes is not among them: a target is written by a person, and a typo must not vanish there.
    """

    def __init__(self, state: State) -> None:
        self.names = {address.name for address in state if address.kind in {"mailbox", "alias"}}
        self.logins = {a.name for a, r in state.items() if a.kind == "mailbox" and r.get("login")}
        self.domains = {address.name: resource for address, resource in state.items() if address.kind == "domain"}

    def logs_in(self, address: str) -> bool:
        """Whether it is a mailbox that somebody can log in to."""
        return canonical.base_address(address) in self.logins

    def __contains__(self, address: str) -> bool:
        base = canonical.base_address(address)
        if address in self.names or base in self.names:
            return True
        local, _, host = base.rpartition("@")
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


def _circles(state: State) -> Iterator[Finding]:
    """The first aliases from which mail comes back to them."""
    targets = {
        a.name: [canonical.base_address(to) for to in r.get("to")] for a, r in state.items() if a.kind == "alias"
    }
    if not any(to in targets for tos in targets.values() for to in tos):
        return  # no alias points at an alias
    endless = _endless(targets)
    suspects = [address for address in state if address.kind == "alias" and address.name in endless]
    for address in suspects[:_SHOWN]:
        if _comes_back(address.name, targets):
            origin = state[address].origin
            assert origin is not None
            yield CIRCLE.at(address.name, f"{address.name} leads to itself.", origin)


def _endless(targets: Mapping[str, list[str]]) -> frozenset[str]:
    """The aliases that a circle can be reached from: what is left when those that end are taken away."""
    users: dict[str, list[str]] = {}
    open_ends = {name: sum(to in targets for to in tos) for name, tos in targets.items()}
    for name, tos in targets.items():
        for to in tos:
            users.setdefault(to, []).append(name)
    ended = [name for name, count in open_ends.items() if count == 0]
    for name in ended:
        for user in users.get(name, ()):
            open_ends[user] -= 1
            if open_ends[user] == 0:
                ended.append(user)
    return frozenset(open_ends) - frozenset(ended)


def _comes_back(start: str, targets: Mapping[str, list[str]]) -> bool:
    seen: set[str] = set()
    todo = list(targets[start])
    while todo:
        name = todo.pop()
        if name == start:
            return True
        if name not in seen:
            seen.add(name)
            todo += targets.get(name, ())
    return False
