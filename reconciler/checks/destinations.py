"""Checks of new targets outside the estate, which need answers of DNS: whether their domain takes mail."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler import canonical
from reconciler.checks.answered import unanswered
from reconciler.findings import Origin, Rule
from reconciler.kinds.record import null_mx

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.agency import Agency
    from reconciler.answers import Answer, Answers, Question
    from reconciler.changes import Change, TenantPlan
    from reconciler.findings import Finding

NO_MAIL = Rule(
    "RT023",
    "warning",
    "A target at a domain that takes no mail",
    "Correct the address, or take it out.",
    why="What is passed on there bounces to whoever wrote it; and where the name is free, whoever registers it reads "
    "all that follows.",
)


class _Target(NamedTuple):
    """An address outside the estate that a plan makes mail go to."""

    tenant: str
    change: Change
    address: str

    @property
    def origin(self) -> Origin:
        """The redirect; of a mailbox that passes copies on, the forward under its name."""
        origin = self.change.origin or Origin("")
        local = self.change.address.name.partition("@")[0]
        return Origin(origin.file, ("forwards", local)) if self.change.kind.name == "mailbox" else origin


def wanted(
    plans: Sequence[TenantPlan], answers: Answers, agency: Agency, domains: Mapping[str, str]
) -> Iterator[Question]:
    """What is to be asked for: of each new target's domain the MX, and where it has none an address."""
    for target in _targets(plans, agency, domains):
        yield from _questions(canonical.domain_of(target.address), answers)


def check(
    plans: Sequence[TenantPlan], answers: Answers, agency: Agency, domains: Mapping[str, str]
) -> Iterator[tuple[str, Finding]]:
    """(tenant, finding)."""
    silent: dict[str, dict[Question, Origin]] = {}
    for target in _targets(plans, agency, domains):
        host = canonical.domain_of(target.address)
        questions = _questions(host, answers)
        said = [answers.get(question) for question in questions]
        if any(answer is None or answer.status == "failed" for answer in said):
            silent.setdefault(target.tenant, {}).setdefault(questions[-1], target.origin)
        elif fault := _fault([answer for answer in said if answer is not None]):
            what = f"{target.address}: {host} {fault}."
            yield target.tenant, NO_MAIL.at(target.change.address.name, what, target.origin)
    for tenant, unknown in silent.items():
        yield tenant, unanswered(tenant, unknown)


def _targets(plans: Sequence[TenantPlan], agency: Agency, domains: Mapping[str, str]) -> Iterator[_Target]:
    """Of names that nobody can hold (RFC 2606) nothing is asked."""
    for plan in plans:
        for change in plan.changes:
            key = {"alias": "to", "mailbox": "copies_to"}.get(change.kind.name)
            if key is None or change.aim is None:
                continue
            before = () if change.live is None else change.live.get(key)
            for address in change.aim.get(key):
                host = canonical.domain_of(address)
                here = host in domains or host in agency.inside
                if address not in before and not here and not canonical.reserved(host):
                    yield _Target(plan.tenant, change, address)


def _questions(host: str, answers: Answers) -> list[Question]:
    """What shows whether a domain takes mail, as far as is known yet."""
    found: list[Question] = []
    for type_ in ("MX", "A", "AAAA"):
        found.append((host, type_))
        answer = answers.get((host, type_))
        if answer is None or answer.status != "empty":
            break
    return found


def _fault(said: Sequence[Answer]) -> str:
    """What is wrong by the last of the answers; empty where nothing is."""
    last = said[-1]
    if last.status == "nxdomain":
        return "does not exist"
    if last.status == "empty":
        return "has neither an MX nor an address"
    return "says by `0 .` that it takes no mail" if len(said) == 1 and null_mx(last.values) else ""
