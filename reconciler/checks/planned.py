"""Checks over a tenant's comparison: what would be overwritten, is in the way, cannot be stored, has drifted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler.diff import TAKEOVER
from reconciler.findings import Origin, Rule
from reconciler.kinds import dkim_key, kinds, record
from reconciler.model import Address
from reconciler.order import Slot, slot
from reconciler.wording import shown, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.changes import Change, Drift, Facts
    from reconciler.findings import Finding
    from reconciler.kinds.site import Ended
    from reconciler.model import Entry, Resource, Scope, State, Value

DRIFT = Rule(
    "PL201",
    "warning",
    "Changed outside Git",
    "Write the live value into the YAML: `reconciler import --drift`, or put Git's back: "
    "`reconciler apply --enforce ADDRESS`.",
    why="Somebody changed a server past every review, an intruder perhaps; what Git says is not what clients have.",
)
OCCUPIED = Rule(
    "PL208",
    "error",
    "The place is taken by something unmanaged",
    "Declare it in the YAML as it is, or remove it by hand; then plan again.",
    why="Mail may depend on what is there: ours would replace it, or two would answer for one name.",
)
UNSUPPORTED = Rule(
    "PL211",
    "error",
    "The provider cannot store this",
    "Take it out of the YAML, or use another provider.",
    why="The server would refuse it in the middle of an apply, or keep something else than was reviewed.",
)
CAUTION = Rule(
    "PL214",
    "warning",
    "Worth knowing before this is applied",
    "",
    why="The provider does more here, or less, than the change itself shows.",
)
MIGRATION = Rule(
    "PL217",
    "error",
    "What keeps mail would change its provider",
    "Leave it where it is; moving kept data is not planned by this version.",
    why="The mailbox would begin empty on the new server, and its mail stay behind on the old one.",
)
ANOTHER_PERSON = Rule(
    "PL220",
    "error",
    "A kept mailbox would go to another person",
    "Choose another name, or wait until it is purged. An alias or a forward may take the name.",
    why="The new person would read the old one's mail, and the old one's password would still open it.",
)


class Compared(NamedTuple):
    """What a tenant's comparison came to."""

    state: State
    base: Mapping[Address, Entry]
    there: State
    changes: Sequence[Change]
    unmanaged: Sequence[Resource]
    drift: Sequence[Drift]
    asked: Sequence[tuple[str, Scope]]
    retiring: frozenset[str] = frozenset()  # domains that control.yaml takes out by name
    was: Mapping[Address, Address] = {}  # {new: old} of what gets another name
    ended: Mapping[Address, Ended] = {}


def check(compared: Compared, facts: Facts) -> Iterator[Finding]:
    """Every finding of this theme."""
    ours = [change for change in compared.changes if change.address.provider not in facts.read_only]
    yield from _takeovers(ours)
    yield from _occupied(ours, compared.unmanaged)
    yield from _drift(compared)
    yield from _unsupported(compared.changes, facts)
    yield from _unsignable(compared, facts)
    yield from _cautions(compared, facts)
    yield from _moved(compared)
    yield from _another_person(compared)


def _takeovers(changes: Iterable[Change]) -> Iterator[Finding]:
    """One finding per domain, so that one acceptance per domain is enough."""
    by_domain: dict[str, list[Change]] = {}
    for change in changes:
        if change.takeover:
            by_domain.setdefault(change.domain, []).append(change)
    for domain, found in by_domain.items():
        names = "; ".join(f"{change.address} ({', '.join(change.fields)})" for change in found[:5])
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        yield TAKEOVER.at(domain, f"Live differs in {names}{more}.", found[0].origin or Origin(""))


def _occupied(changes: Iterable[Change], unmanaged: Iterable[Resource]) -> Iterator[Finding]:
    for change, other in occupied(changes, unmanaged):
        yield OCCUPIED.at(str(change.address), f"{other} is there.", change.origin or Origin(""))


def occupied(changes: Iterable[Change], unmanaged: Iterable[Resource]) -> Iterator[tuple[Change, Address]]:
    """(change, what is there) where something unmanaged stands in the place that is to be taken."""
    taken: dict[Slot, list[Address]] = {}
    for resource in unmanaged:
        taken.setdefault(slot(resource.address), []).append(resource.address)
    for change in changes:
        if change.action not in {"create", "restore", "rename"}:
            continue
        for other in taken.get(slot(change.address), ()):
            both = (change.address, other)
            if change.address != other and any(kinds()[a.kind].alone(a.name) for a in both):
                yield change, other


def _drift(compared: Compared) -> Iterator[Finding]:
    for drift in compared.drift:
        git, entry = compared.state.get(drift.address), compared.base.get(drift.address)
        origin = git.origin if git is not None else Origin(entry.file, line=entry.line) if entry else None
        what = f"`{drift.field}` is {_of(drift, drift.live)}, Git says {_of(drift, drift.git)} (risk: {drift.risk})."
        if drift.field == "exists":
            what = f"{_existence(drift, entry, compared.there)} (risk: {drift.risk})."
        found = DRIFT.at(str(drift.address), what, origin or Origin(""))
        if drift.accepted is not None:
            found = found._replace(severity="info", detail=f"Accepted by {drift.accepted[0]}. {found.detail}")
        yield found


def _existence(drift: Drift, entry: Entry | None, there: State) -> str:
    if drift.git is True:
        return "It was removed by hand, and Git declares it"
    stale = entry.said.get("without", ()) if entry is not None else ()
    back = [value for value in stale if value in there[drift.address].get("values")]
    return f"{shown('values', tuple(back)) if back else 'It'} is there again, and Git says that it must not exist"


def _of(drift: Drift, value: Value) -> str:
    return visible(shown(drift.field, value))


def _unsupported(changes: Iterable[Change], facts: Facts) -> Iterator[Finding]:
    for change in changes:
        stored = facts.provider_kinds.get(change.address.provider, {}).get(change.kind.name, frozenset())
        missing = [name for name in change.fields if name not in stored and not _is_default(change, name)]
        if missing and change.aim is not None:
            what = f"`{change.address.provider}` does not hold {', '.join(missing)} of a {change.kind.name}."
            yield UNSUPPORTED.at(str(change.address), what, change.origin or Origin(""))
        of_type = f"record.{record.rtype(change.address.name)}" if change.kind.name == "record" else ""
        text = facts.cautions.get(change.address.provider, {}).get(of_type)
        if text and change.aim is not None:
            yield UNSUPPORTED.at(str(change.address), text, change.origin or Origin(""))


def _unsignable(compared: Compared, facts: Facts) -> Iterator[Finding]:
    """A signer that is told to sign with a type of key it cannot use may refuse all mail."""
    for change in compared.changes:
        if change.kind.name == "dkim_signing" and change.aim is not None:
            provider, domain = change.address.provider, change.address.name
            for selector in change.aim.get("selectors"):
                key = compared.state.get(Address(provider, "dkim_key", dkim_key.name(selector, domain)))
                text = key and facts.cautions.get(provider, {}).get(f"dkim_signing.{key.get('type')}")
                if text:
                    yield UNSUPPORTED.at(str(change.address), f"`{selector}`: {text}", change.origin or Origin(""))


def _is_default(change: Change, name: str) -> bool:
    default = next(row.default for row in change.kind.attributes if row.name == name)
    return change.aim is not None and change.aim.get(name) == default


def _cautions(compared: Compared, facts: Facts) -> Iterator[Finding]:
    said: set[tuple[str, str]] = set()
    for change in compared.changes:
        for name in change.fields:
            if not _is_default(change, name):
                yield from _caution(change, f"{change.kind.name}.{name}", facts, said)
    occupied = {(resource.address.provider, resource.domain) for resource in compared.there.values()}
    for provider, scope in compared.asked:
        text = facts.cautions.get(provider, {}).get("zone")
        if text and scope.create and (provider, scope.domain) not in occupied:
            yield CAUTION.at(scope.zone, text, Origin("reconciler.yaml", ("providers", "dns", provider)))


def _caution(change: Change, key: str, facts: Facts, said: set[tuple[str, str]]) -> Iterator[Finding]:
    """A provider's caution, once per provider and key."""
    text = facts.cautions.get(change.address.provider, {}).get(key)
    if text and (change.address.provider, key) not in said:
        said.add((change.address.provider, key))
        yield CAUTION.at(str(change.address), text, change.origin or Origin(""))


def _moved(compared: Compared) -> Iterator[Finding]:
    homes = {
        (address.kind, address.name): address
        for address, entry in compared.base.items()
        if entry.keep is not None and address not in compared.state
    }
    for address, resource in compared.state.items() if homes else ():
        old = homes.get((address.kind, address.name))
        if old is not None and old.provider != address.provider:
            what = f"It lies at `{old.provider}`, Git says `{address.provider}`."
            yield MIGRATION.at(str(address), what, resource.origin or Origin(""))


def _another_person(compared: Compared) -> Iterator[Finding]:
    """A kept mailbox holds its owner's mail and password: its name is nobody else's before the purge."""
    for address, resource in compared.state.items():
        old = compared.was.get(address, address)
        base = compared.base.get(old)
        if base is None or not base.retired or old not in compared.there:
            continue
        owner, ended = base.said.get("owner"), compared.ended.get(address)
        if owner not in {None, resource.get("owner"), ended and ended.owner}:
            what = f"It is kept for {owner} until {base.retired} or later, and would go to {resource.get('owner')}."
            yield ANOTHER_PERSON.at(str(address), what, resource.origin or Origin(""))
