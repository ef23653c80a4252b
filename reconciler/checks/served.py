"""Checks of MTA-STS records that a plan publishes: the policy that each announces must be served (RFC 8461, 3.3).

The id in the record tells which of the agency's policies that is; one that is no such id is nobody's here to judge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler import canonical
from reconciler.answers import POLICY, Answer
from reconciler.checks.transport import identifier
from reconciler.findings import Origin, Rule
from reconciler.kinds.record import label, rtype
from reconciler.mta_sts import difference, policies, policy
from reconciler.wording import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.agency import Agency
    from reconciler.answers import Answers, Question
    from reconciler.changes import Change, TenantPlan
    from reconciler.findings import Finding

UNSERVED = Rule(
    "DN049",
    "error",
    "The MTA-STS policy that is announced is not served",
    "Have a web server with a certificate for mta-sts.DOMAIN serve what `reconciler baseline --mta-sts DIR` writes, "
    "then plan again.",
    why="A sender that reads the record asks for the policy: what it gets instead counts as none, so nothing is "
    "protected, or it goes on by an older policy, which may name other hosts, and mail waits until it is returned.",
)
UNSEEN = Rule(
    "DN050",
    "warning",
    "Whether the MTA-STS policy is served could not be seen",
    "See that `https://mta-sts.DOMAIN/.well-known/mta-sts.txt` answers, or plan again where it can be reached.",
    why="Announced before it answers, the policy protects nobody, and what is not known is not known to be sound.",
)
_PREFIX = "_mta-sts."
_UNASKED = Answer("failed")


class _Announced(NamedTuple):
    """A policy that a plan announces for a domain. `declared`: by a commit, not by a day that has come."""

    tenant: str
    change: Change
    domain: str
    mode: str
    text: str
    declared: bool

    @property
    def question(self) -> Question:
        return f"mta-sts.{self.domain}", POLICY


def wanted(
    plans: Sequence[TenantPlan], _answers: Answers, agency: Agency, _domains: Mapping[str, str]
) -> Iterator[Question]:
    """The policies that are announced anew, but for those of hosts that the plan itself makes."""
    made = _made(plans)
    yield from (found.question for found in _announced(plans, agency) if found.question[0] not in made)


def check(
    plans: Sequence[TenantPlan], answers: Answers, agency: Agency, _domains: Mapping[str, str]
) -> Iterator[tuple[str, Finding]]:
    """(tenant, finding)."""
    made = _made(plans)
    for found in _announced(plans, agency):
        host, answer = found.question[0], answers.get(found.question, _UNASKED)
        if host in made:
            answer = Answer("failed", why=f"{host} is made by this plan; announce the policy afterwards")
        for finding in _judged(found, answer):
            yield found.tenant, finding


def _made(plans: Sequence[TenantPlan]) -> frozenset[str]:
    """The names at which a plan makes records."""
    changes = (change for plan in plans for change in plan.changes if change.kind.name == "record")
    return frozenset(label(change.address.name) for change in changes if change.live is None)


def _announced(plans: Sequence[TenantPlan], agency: Agency) -> Iterator[_Announced]:
    known = policies(agency.servers)
    for plan in plans:
        for change in (*plan.changes, *plan.due):
            name = label(change.address.name) if change.kind.name == "record" else ""
            if change.aim is None or not name.startswith(_PREFIX) or rtype(change.address.name) != "TXT":
                continue
            before = () if change.live is None else change.live.get("values")
            fresh = [value for value in change.aim.get("values") if isinstance(value, str) and value not in before]
            for mode, hosts in (known[id_] for id_ in map(identifier, fresh) if id_ in known):
                domain, declared = name.removeprefix(_PREFIX), change in plan.changes
                yield _Announced(plan.tenant, change, domain, mode, policy(mode, hosts), declared)


def _judged(found: _Announced, answer: Answer) -> Iterator[Finding]:
    subject, origin, host = found.change.address.name, found.change.origin or Origin(""), found.question[0]
    enforced = found.mode == "enforce"
    if answer.status == "failed":
        if answer.why or not canonical.reserved(found.domain):
            said = UNSEEN.at(subject, f"{host}: {answer.why or 'nobody could be asked for it'}.", origin)
            yield said if enforced else said._replace(severity="info")
        return
    fault = difference(answer.values[0], found.text) if answer.values else answer.why
    if fault:
        said = UNSERVED.at(subject, f"{host}: {visible(fault)[:200]}.", origin)
        yield said if enforced and found.declared else said._replace(severity="warning")
