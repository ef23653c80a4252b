"""What a change allows itself: an exception or a role that is new in the very change that makes use of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import canonical
from reconciler.agency import FILE
from reconciler.findings import Origin, Rule
from reconciler.people import ROLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from reconciler.agency import Agency
    from reconciler.changes import TenantPlan
    from reconciler.findings import Finding
    from reconciler.people import People

NEW_EXCEPTION = Rule(
    "PL227",
    "warning",
    "An exception is made by the change that uses it",
    "Let somebody who is not its author look at the reason, the approver and the end.",
    why="Whoever writes the change lifts the check that would have stopped it: only a reviewer who sees both is left.",
)
WIDER_INSIDE = Rule(
    "PL229",
    "warning",
    "A domain counts as inside from the change that uses it",
    "Let somebody who is not its author say whose domain that is, or add it to `inside` in a merge of its own.",
    why="What leads to a domain that counts as inside needs no owner, no approval and no end: added in the same change,"
    " it lets mail out that would have been refused.",
)
UNCOMPARED = Rule(
    "PL230",
    "warning",
    "What the change allows itself could not be judged",
    "Fetch the whole history: `git fetch --unshallow`, or `fetch-depth: 0` of the checkout in CI.",
    why="Whether an author approves their own change, or widens a role or an exception and uses it, shows only beside"
    " what was applied last.",
)
WIDER_ROLE = Rule(
    "PL228",
    "warning",
    "A role is widened by a change that it approves",
    "Let one who held the role before approve it, or widen the role in a merge of its own.",
    why="Whoever joins a role in the same change could approve their own changes with it.",
)
_APPROVES = {"mailbox_admin": "/domains/", "dns_auth": "/dns/", "reset_approver": "/tenant.yaml"}


class Level(NamedTuple):
    """What counts for a tenant at one commit: its control.yaml, the agency's file, the people of both."""

    file: str
    control: Mapping[str, Any]
    agency: Agency
    people: People

    @property
    def accept(self) -> Iterator[tuple[Mapping[str, Any], Origin]]:
        """The acceptances that hold for it, the nearest first."""
        for file, said in ((self.file, self.control), (FILE, self.agency.data)):
            for index, item in enumerate(said.get("accept", ())):
                yield item, Origin(file, ("accept", index))

    def holders(self, role: str) -> tuple[set[str], Origin]:
        """Everybody in a role, those of its teams too, and where it is said."""
        near = role in self.control.get("roles", {})
        members = (person for holder in self.people.roles.get(role, ()) for person in self.people.members(holder))
        return set(members), Origin(self.file if near else FILE, ("roles", role))


def check(found: TenantPlan, now: Level, before: Level, touched: Sequence[str]) -> Iterator[Finding]:
    """What is wider in a tenant's plan than it was; `touched` are the tenant's files that differ between the two."""
    used = {(f.code, f.subject) for f in found.findings if f.severity == "info" and f.detail.startswith("Accepted by ")}
    known: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for item, _ in before.accept if used else ():
        known.setdefault(_of(item), []).append(item)
    widest = {of: _widest(items) for of, items in known.items()}
    for item, origin in now.accept if used else ():
        if (item["finding"], item["subject"]) in used and not _covered(item, widest.get(_of(item), ())):
            what = f"Approved by {item.get('approved_by', 'nobody named')}: {item.get('reason', 'no reason')}."
            yield NEW_EXCEPTION.at(f"{item['finding']} {item['subject']}", what, origin)
    for role in ROLES:
        yield from _wider(found.tenant, role, now, before, touched)
    yield from _inside(found, now.agency.inside - before.agency.inside)


def _of(item: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(str(item.get(key)) for key in ("finding", "subject", "field", "value"))


def _reach(item: Mapping[str, Any]) -> tuple[str, int]:
    """Until when an exception holds, and up to which number."""
    return str(item.get("expires", "9999")), item.get("up_to", 0)


def _widest(items: Iterable[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """Of exceptions of one thing those that no other one covers: the later they end, the less they allow."""
    found: list[tuple[str, int]] = []
    for until, number in sorted(map(_reach, items), reverse=True):
        if not found or number > found[-1][1]:
            found.append((until, number))
    return found


def _covered(item: Mapping[str, Any], widest: Iterable[tuple[str, int]]) -> bool:
    """Whether an exception allowed before what this one allows now."""
    expires, up_to = _reach(item)
    return any(until >= expires and number >= up_to for until, number in widest)


def _wider(tenant: str, role: str, now: Level, before: Level, touched: Sequence[str]) -> Iterator[Finding]:
    holders, origin = now.holders(role)
    more = sorted(holders - before.holders(role)[0])
    files = [name for name in touched if _APPROVES[role] in name]
    if more and files:
        what = f"{', '.join(more)} would be in `{role}`, and the change touches {files[0]}."
        yield WIDER_ROLE.at(f"{tenant}/{role}", what, origin)


def _inside(found: TenantPlan, fresh: AbstractSet[str]) -> Iterator[Finding]:
    """What a plan leads to domains that count as inside only now."""
    for change in found.changes if fresh else ():
        targets = [
            to for name in ("to", "copies_to") for to in (change.aim.attributes.get(name, ()) if change.aim else ())
        ]
        for target in targets:
            if canonical.domain_of(target) in fresh:
                what = f"{target}: its domain counts as inside from this change on."
                yield WIDER_INSIDE.at(change.address.name, what, change.origin or Origin(FILE, ("inside",)))
                break
