"""Who has to agree before a change is made: what takes away, what concerns a high-value mailbox, a wider role.

An approval counts when one gives it who held the role before the change and did not write it: nobody gains by a change
the right to approve it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.codeowners import agency_approvers
from reconciler.model import Address
from reconciler.people import ROLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from reconciler.people import People

AGENCY = "agency"
_TAKES = {"retire": "retires", "delete": "deletes", "purge": "purges"}
_ROLE = {"record": "dns_auth", "dkim_key": "dns_auth", "dkim_signing": "dns_auth"}  # else mailbox_admin


class Consent(NamedTuple):
    """An approval that a tenant's changes need: of `role`, from one of `accounts` (empty: of anybody but an author).

    `subject` is the address that is changed, or the role that is widened; `why` says what of it needs the approval.
    """

    role: str
    subject: str
    why: str
    accounts: frozenset[str] = frozenset()
    named: bool = False  # somebody holds the role; without an account nobody can be asked

    def given(self, approvals: AbstractSet[str], authors: AbstractSet[str]) -> bool:
        """Whether one of those who may has approved, and is none of the authors."""
        others = {who.lower() for who in approvals} - {who.lower() for who in authors}
        return bool(others & self.accounts if self.named else others)


class Side(NamedTuple):
    """Who there is at a commit: for the tenant, and for the agency by itself; a tenant may set roles otherwise."""

    people: People
    agency: People


def needed(tenant: Mapping[str, Any], before: Side, now: Side, high: Mapping[str, str]) -> Iterator[Consent]:
    """What a tenant's part of a plan (`reconciler.plan/1`) needs. `high` are high-value mailboxes, and why.

    Of a change that counts which its digest covers: the file may come from anywhere.
    """
    for change in tenant["changes"]:
        kind, names = _kind(change["address"]), {Address.parse(change[key] or "").name for key in ("address", "was")}
        if change["action"] in _TAKES:
            yield _of(_role(kind), change["address"], f"{_TAKES[change['action']]} it", before)
        elif kind == "mailbox" and change["action"] != "create" and (boxes := sorted(names & high.keys())):
            yield _of(_role(kind), change["address"], f"it is of high value: {high[boxes[0]]}", before)
    for address in tenant["forgotten"]:
        yield _of(_role(_kind(address)), address, "lets go of it", before)
    wider = [consent for role in ROLES for consent in _wider(role, before.people, now.people, before)]
    yield from wider
    said = {consent.why for consent in wider}
    yield from (c for c in _wider(AGENCY, before.agency, now.agency, before) if c.why not in said)


def accounts(people: People, holders: Iterable[str]) -> frozenset[str]:
    """The accounts of those who hold a role and are here, without the `@`, in small letters."""
    return frozenset(filter(None, (_account(people, who) for holder in holders for who in people.here(holder))))


def _account(people: People, person: str) -> str:
    said: str = people.persons[person].get("account", "")
    return said.removeprefix("@").lower() if said.startswith("@") else ""


def _wider(role: str, before: People, now: People, side: Side) -> Iterator[Consent]:
    """Who could approve from now on and could not before: as another person, or as one with another account."""
    old, new = _holders(before, role), _holders(now, role)
    had, were = accounts(before, old), {who for holder in old for who in before.members(holder)}
    everybody = [who for holder in new for who in now.members(holder)]
    more = sorted({who for who in everybody if who not in were})
    others = {f"{who} as @{account}" for holder in new for who in now.here(holder)
              if (account := _account(now, who)) and account not in had and who in were}  # fmt: skip
    if joining := [*more, *sorted(others)]:
        yield _of(AGENCY, f"roles/{role}", f"{', '.join(joining)} would join the role", side)
    if old and not new:
        yield _of(AGENCY, f"roles/{role}", "nobody would hold the role, and anybody could approve", side)


def _kind(address: str) -> str:
    return Address.parse(address).kind


def _role(kind: str) -> str:
    return _ROLE.get(kind, "mailbox_admin")


def _of(role: str, subject: str, why: str, side: Side) -> Consent:
    people = side.agency if role == AGENCY else side.people
    holders = _holders(people, role)
    return Consent(role, subject, why, accounts(people, holders), bool(holders))


def _holders(people: People, role: str) -> Sequence[str]:
    return agency_approvers(people) if role == AGENCY else people.roles.get(role, ())
