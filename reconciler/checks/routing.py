"""Checks over what addresses point at: targets and members that are there, real twins, keys that are declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import canonical
from reconciler.checks.pointing import Places
from reconciler.findings import Origin, Rule, did_you_mean
from reconciler.kinds import dkim_key
from reconciler.model import Address

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

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
    why="Mail leaves for a system that none of us runs, with nobody who answers for it and no day on which it ends.",
)
TWIN = Rule(
    "IN218",
    "error",
    "Not a domain this one can be an alias of",
    "Name a domain of the same tenant that is no alias domain itself.",
    why="Such a domain answers with the other one's addresses: with nothing behind it, all mail to it bounces.",
)
NO_KEY = Rule(
    "IN227",
    "error",
    "Signs with a key that is not declared",
    "Add the selector under `dkim: {keys: …}`.",
    why="The signer finds no key under that name: mail leaves unsigned, or not at all.",
)
_MAY_LEAVE = (("forwards",), ("catch_all",))  # of a catch-all `flow` says it, however it leaves
NO_READER = Rule(
    "RT005",
    "error",
    "A member that cannot log in",
    "Members of a shared mailbox are mailboxes of people.",
    why="Rights on a shared mailbox are given to logins: this gives nobody access, and mail there may go unread.",
)


def check(files: Files, compiled: Compiled, agency: Agency, domains: Mapping[str, str]) -> Iterator[Finding]:
    """Every finding of this theme. `domains` says which tenant each domain of the estate belongs to."""
    answered, places = Answered(compiled.state), Places(files)
    for resource in compiled.state.values():
        if resource.address.kind == "dkim_signing":
            yield from _unkeyed(resource, compiled.state)
        elif resource.address.kind == "domain" and resource.get("alias_of"):
            yield from _twin(resource, answered.domains)
        members = resource.attributes.get("members", ())
        for target in pointed_at(resource):
            host = canonical.domain_of(target)
            if target not in answered and (host not in domains or host in compiled.elsewhere):
                place = places.target(resource, target)
                yield from leaving(resource.address.name, target, place, agency.inside, domains)
            elif target not in answered and domains[host] == files.tenant:
                what = f"{target} is not declared in this tenant.{did_you_mean(target, answered.names)}"
                yield NOWHERE.at(resource.address.name, what, places.target(resource, target))
            if target in members and target not in answered.logins and (target in answered or host in agency.inside):
                yield NO_READER.at(resource.address.name, f"{target} is none.", places.target(resource, target))


def leaving(
    name: str, target: str, origin: Origin, inside: AbstractSet[str], domains: Container[str]
) -> Iterator[Finding]:
    """A target whose mail is nobody's here, at `origin`: the domain is not in the estate, or its mail is not ours."""
    host = canonical.domain_of(target)
    if host not in inside and origin.path[:1] not in _MAY_LEAVE:
        nobodys = f"the mail of {host} is not ours" if host in domains else "it is not in the estate"
        yield OUTSIDE.at(name, f"{target}: {nobodys}, nor is it in `inside`.", origin)


def pointed_at(resource: Resource) -> Iterable[str]:
    """The addresses a resource names: an alias's targets, a shared mailbox's members, who gets a mailbox's copies."""
    if resource.address.kind == "alias":
        return resource.attributes["to"]  # type: ignore[no-any-return]
    if resource.address.kind != "mailbox":
        return ()
    members, copies = resource.attributes["members"], resource.attributes["copies_to"]
    return (*members, *copies) if copies else members


class Answered:
    """The addresses a tenant declares, with their plus addresses and their twins in alias domains.

    What only a catch-all takes is not among them: a target is written by a person, and a typo must not vanish there.
    """

    def __init__(self, state: State) -> None:
        self.names = {address.name for address in state if address.kind in {"mailbox", "alias"}}
        self.logins = {a.name for a, r in state.items() if a.kind == "mailbox" and r.get("login")}
        self.domains = {address.name: resource for address, resource in state.items() if address.kind == "domain"}

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
