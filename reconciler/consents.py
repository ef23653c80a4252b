"""Who has to agree before a change is made: what takes away, what concerns a high-value mailbox, a wider role.

An approval counts when one gives it who held the role before the change and did not write it: nobody gains by a change
the right to approve it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.codeowners import agency_approvers
from reconciler.people import ROLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
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


def needed(tenant: Mapping[str, Any], before: People, now: People, high: Mapping[str, str]) -> Iterator[Consent]:
    """What a tenant's part of a plan (`reconciler.plan/1`) needs. `high` are high-value mailboxes, and why."""
    for change in tenant["changes"]:
        role = _ROLE.get(change["kind"], "mailbox_admin")
        if change["action"] in _TAKES:
            yield _of(role, change["address"], f"{_TAKES[change['action']]} it", before)
        elif change["kind"] == "mailbox" and change["name"] in high and change["action"] != "create":
            yield _of(role, change["address"], f"it is of high value: {high[change['name']]}", before)
    for address in tenant["forgotten"]:
        kind = address.partition(":")[2].partition("/")[0]
        yield _of(_ROLE.get(kind, "mailbox_admin"), address, "lets go of it", before)
    for role in ROLES:
        if more := sorted(_holders(now, role) - _holders(before, role)):
            yield _of(AGENCY, f"roles/{role}", f"{', '.join(more)} would join the role", before)


def accounts(people: People, holders: Iterable[str]) -> frozenset[str]:
    """The accounts of those who hold a role and are here, without the `@`, in small letters."""
    persons = (person for holder in holders for person in people.here(holder))
    said = (people.persons[person].get("account", "") for person in persons)
    return frozenset(account.removeprefix("@").lower() for account in said if account.startswith("@"))


def _of(role: str, subject: str, why: str, people: People) -> Consent:
    holders = agency_approvers(people) if role == AGENCY else people.roles.get(role, ())
    return Consent(role, subject, why, accounts(people, holders), bool(holders))


def _holders(people: People, role: str) -> set[str]:
    return {person for holder in people.roles.get(role, ()) for person in people.members(holder)}
