"""`who`: whose is it, who may reset it and who may change it, where its mail comes from and goes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.codeowners import agency_approvers
from reconciler.findings import Origin
from reconciler.questions.view import kind_of, said_kind

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from reconciler.model import Address, Entry, Resource
    from reconciler.questions.view import Data, View

APPROVING = ("forwards", "aliases", "catch_all", "absent", "retired", "accept", "holds", "retire")


def matching(view: View, address: str) -> tuple[str, str] | None:
    """(the declared address that takes mail for a canonical one, by what): a plus address, a twin, the catch-all.

    The second is empty where it is declared itself; None where nothing takes its mail.
    """
    name = f"@{canonical.domain_of(address)}"
    return answering(view, address, view.named) or ((name, "catch-all") if name in view.named else None)


def answering(view: View, address: str, names: Container[str]) -> tuple[str, str] | None:
    """Which of some names answers to a canonical address, and as what: itself (empty), a twin, a plus address."""
    local, _, host = address.rpartition("@")
    twin = view.twins.get(host, host)
    for name in (f"{local}@{twin}", canonical.base_address(f"{local}@{twin}")):
        if name in names:
            parts = ["alias domain"] * (twin != host) + ["plus address"] * (name != f"{local}@{twin}")
            return name, " and ".join(parts)
    return None


def of_address(view: View, name: str) -> Data:
    """A declared mailbox, shared mailbox, alias, forward or catch-all."""
    thing = view.named[name]
    owner = thing.attributes.get("owner")
    assert thing.origin is not None
    domain = thing.domain
    by_template = "/domains/" not in thing.origin.file
    return {
        "kind": kind_of(thing),
        "name": name,
        "tenant": view.tenant(),
        "declared": view.place(thing.origin),
        "owner": view.person(owner),
        "may_reset": view.holders("reset_approver"),
        "may_change": view.may_change(domain, ("dns",) if by_template else ("domains",)),
        "reset_path": view.reset_path(owner) if thing.address.kind == "mailbox" else [],
        "details": {
            "state": thing.attributes.get("state") if thing.address.kind == "mailbox" else None,
            "members": [_member(view, to, right) for to, right in (thing.attributes.get("members") or {}).items()],
            "member_of": [{"address": n, "right": right} for n, right in _memberships(view, name)],
            "mail_to": list(_onward(view, thing)),
            "mail_from": list(_pointing(view, name)),
        },
    }


def of_retired(view: View, address: Address, entry: Entry) -> Data:
    """An address that Git no longer declares and the ledger still knows, with what Git said of it last."""
    owner = entry.said.get("owner")
    return {
        "kind": "retired" if entry.retired else "removed",
        "name": address.name,
        "tenant": view.tenant(),
        "declared": None,
        "owner": view.person(owner),
        "may_reset": view.holders("reset_approver"),
        "may_change": view.may_change(entry.domain, ("domains",)),
        "reset_path": [],
        "details": {
            "was": said_kind(address, entry.said),
            "was_declared": {"file": entry.file, "line": entry.line},
            "kept_until": entry.retired,
        },
    }


def of_domain(view: View, domain: str) -> Data:
    """A domain: its owner, who may change its mail and its DNS, what it depends on, how much is in it."""
    boxes, names = view.files.domains[domain], view.files.dns.get(domain, {})
    things = [thing for thing in view.named.values() if thing.domain == domain]
    kinds = [kind_of(thing) for thing in things] + ["forward" for thing in things if thing.attributes.get("copies_to")]
    owner = boxes.get("owner")
    near = (names, boxes, view.files.control, view.agency.defaults)
    return {
        "kind": "domain",
        "name": domain,
        "tenant": view.tenant(),
        "declared": view.place(Origin(f"{view.files.folder}/domains/{domain}.yaml", ("domain",))),
        "owner": view.person(owner),
        "may_reset": view.holders("reset_approver"),
        "may_change": view.may_change(domain),
        "reset_path": view.reset_path(owner),
        "details": {
            "alias_of": view.twins.get(domain),
            **{key: next((level[key] for level in near if key in level), None) for key in ("mail", "dns", "template")},
            "assets": list(view.assets_of(domain)),
            "counts": {kind: kinds.count(kind) for kind in ("mailbox", "shared", "alias", "forward", "catch_all")},
        },
    }


def of_person(view: View, name: str) -> Data:
    """A person or a team: how to reach them, what they own, hold, read and approve, in this tenant."""
    people = view.people
    said = people.persons.get(name, people.teams.get(name, {}))
    teams = sorted(team for team in people.teams if name in people.members(team))
    ids = {name, *teams}
    assets = [view.asset(i, asset) for i, asset in enumerate(view.assets) if asset.get("held_by") in ids]
    mine = [owned for kind, owned in _owned(view, name) if kind == "mailbox"]
    return {
        "kind": "person" if name in people.persons else "team",
        "name": name,
        "tenant": view.tenant() if people.places[name].file != "reconciler.yaml" else None,
        "declared": view.place(people.places[name]),
        "owner": view.person(name) if name in people.persons else None,
        "may_reset": view.holders("reset_approver"),
        "may_change": [_keeper(view, name)],
        "reset_path": view.reset_path(name),
        "details": {
            **{key: said.get(key) for key in ("account", "mfa_attested", "left", "until", "successor", "sponsor")},
            "attested": people.attested(name),
            "members": [view.person(member) for member in said.get("members", ())],
            "teams": teams,
            "roles": list(_roles(view, ids)),
            "owns": [{"kind": kind, "name": owned} for kind, owned in _owned(view, name)],
            "member_of": [{"address": n, "right": r} for box in mine for n, r in _memberships(view, box)],
            "assets": assets,
            "approvals": list(_approvals(view, ids)),
        },
    }


def _owned(view: View, person: str) -> list[tuple[str, str]]:
    """(kind, name) of what somebody owns: addresses, and domains, also those whose mail is not ours."""
    domains = {("domain", domain) for domain, said in view.files.domains.items() if said.get("owner") == person}
    things = view.named.values()
    return sorted(domains | {(kind_of(t), t.address.name) for t in things if t.attributes.get("owner") == person})


def _roles(view: View, ids: set[str]) -> Iterator[Data]:
    """The roles they have: in all tenants that set none (`tenant` null), or in this one."""
    own = view.files.control.get("roles", {})
    for role, holders in sorted(view.people.roles.items()):
        if ids & set(holders):
            yield {"role": role, "tenant": view.files.tenant if role in own else None}


def _keeper(view: View, name: str) -> Data:
    """Who approves a change to what is said of a person."""
    file = view.people.places[name].file
    if file == "reconciler.yaml":
        return {"path": file, "role": "agency", "holders": [view.holder(n) for n in agency_approvers(view.people)]}
    return {"path": file, "role": "reset_approver", "holders": view.holders("reset_approver")}


def _member(view: View, address: str, right: str) -> Data:
    box = view.named.get(canonical.base_address(address))
    return {"address": address, "right": right, "owner": view.person(box.attributes.get("owner") if box else None)}


def _memberships(view: View, address: str) -> Iterator[tuple[str, str]]:
    for name, thing in sorted(view.named.items()):
        for member, right in (thing.attributes.get("members") or {}).items():
            if canonical.base_address(member) == address:
                yield name, right


def _onward(view: View, thing: Resource) -> Iterator[Data]:
    """Where its mail goes: kept here, copied, or passed on; what leaves says why, by whose word and until when."""
    box = thing.address.kind == "mailbox"
    if box and thing.attributes.get("keep_copy") is not False:
        yield _target(view, thing.address.name, "kept", {})
    said = view.forwards.get(thing.address.name, {}) if box else thing.attributes
    for to in thing.attributes.get("copies_to" if box else "to") or ():
        host = canonical.domain_of(to)
        inside = (host in view.domains and host not in view.compiled.elsewhere) or host in view.agency.inside
        yield _target(view, to, "inside" if inside else "outside", {**thing.attributes, "owner": said.get("owner")})


def _target(view: View, address: str, where: str, said: Mapping[str, Any]) -> Data:
    """`owner` is whoever answers for the forward or alias, who need not be the mailbox's own."""
    more = {key: said.get(key) for key in ("reason", "approved_by", "expires")}
    return {"address": address, "where": where, "owner": view.person(said.get("owner")), **more}


def _pointing(view: View, address: str) -> Iterator[Data]:
    """What of this tenant sends mail there: aliases, forwards, the catch-all, copies of other boxes, twins."""
    for name, thing in sorted(view.named.items()):
        targets = thing.attributes.get("to" if thing.address.kind == "alias" else "copies_to") or ()
        answering = (matching(view, to) for to in targets)
        if name != address and any(found is not None and found[0] == address for found in answering):
            yield {"address": name, "kind": kind_of(thing), "declared": view.place(thing.origin)}
    local, _, host = address.rpartition("@")
    for name, twin in sorted(view.twins.items()):
        if twin == host and local:
            yield {"address": f"{local}@{name}", "kind": "alias domain", "declared": None}


def _approvals(view: View, ids: set[str]) -> Iterator[Data]:
    """What a person, or a team of theirs, has approved: each entry with its subject and its last day."""
    if not view.files.tenant:
        yield from _approved(view, ids, view.agency.data, "reconciler.yaml", "")
        return
    for stem, said in view.files.domains.items():
        file = f"{view.files.folder}/domains/{stem}.yaml"
        yield from _approved(view, ids, said, file, stem)
    for stem, said in view.files.dns.items():
        yield from _approved(view, ids, said, f"{view.files.folder}/dns/{stem}.yaml", stem)
    yield from _approved(view, ids, view.files.control, f"{view.files.folder}/control.yaml", "")


def _approved(view: View, ids: set[str], said: Any, file: str, domain: str) -> Iterator[Data]:
    for section in APPROVING:
        entries = said.get(section, {})
        single = section == "catch_all"
        items = [("", entries)] if single else enumerate(entries) if isinstance(entries, list) else entries.items()
        for key, entry in items:
            if isinstance(entry, dict) and entry.get("approved_by") in ids:
                what = _subject(section, key, entry, domain)
                place = view.place(Origin(file, (section,) if single else (section, key)))
                yield {"what": section, "subject": what, "expires": entry.get("expires"), "declared": place}


def _subject(section: str, key: Any, entry: Any, domain: str) -> str:
    if section in {"accept", "holds"}:
        return " ".join(filter(None, [entry.get("finding"), entry["subject"]]))
    if section == "absent":
        return canonical.address(entry["alias"], domain) if "alias" in entry else f"{entry['type']} {entry['name']}"
    return f"@{domain}" if section == "catch_all" else canonical.address(key, domain) if domain else str(key)


def add(data: Data, other: Data) -> None:
    """Puts what one of the agency's people is in a tenant beside what is known of them already."""
    for key in ("roles", "owns", "member_of", "assets", "approvals"):
        known = data["details"][key]
        known += [item for item in other["details"][key] if item not in known]
