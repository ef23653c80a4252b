"""What the world says of a plan: the checks' questions are asked in rounds, and their findings added to the plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.checks import asking
from reconciler.findings import OF_THE_AGENCY, accepted, in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from reconciler.answers import Answers
    from reconciler.changes import TenantPlan
    from reconciler.findings import Finding
    from reconciler.session import Session


def judged(session: Session, plans: Sequence[TenantPlan]) -> list[TenantPlan]:
    """The plans with what DNS says of them. Raises ReconcilerError where RECONCILER_RESOLVER is no resolver."""
    if session.request.offline:
        return list(plans)
    estate = session.estate
    found = asking.check(plans, _answers(session, plans), estate.agency, estate.domains)
    return [_with(session, plan, found[plan.tenant]) if plan.tenant in found else plan for plan in plans]


def _answers(session: Session, plans: Sequence[TenantPlan]) -> Answers:
    """All that the checks want to know, asked once; nothing is loaded where they want nothing."""
    answers: Answers = {}
    resolver = None
    for _ in range(asking.ROUNDS):
        questions = asking.wanted(plans, answers, session.estate.agency, session.estate.domains)
        if not questions:
            break
        if resolver is None:
            from reconciler.facts import Resolver

            resolver = Resolver(networks=session.systems.networks)
        answers = {**answers, **resolver.ask(questions)}
    return answers


def _with(session: Session, plan: TenantPlan, found: Iterable[Finding]) -> TenantPlan:
    own = [item for item in plan.accept if item["finding"] not in OF_THE_AGENCY]
    lifted = accepted(_located(session, plan.tenant, found), [*session.agency_accept, *own], session.today)
    return plan._replace(findings=in_order([*plan.findings, *lifted]))


def _located(session: Session, name: str, found: Iterable[Finding]) -> Iterator[Finding]:
    """The findings with lines; a tenant's files are read again where a check names a place in them."""
    tenant = None
    for finding in found:
        if not finding.origin.line and tenant is None:
            tenant = session.estate.parsed([name])[name]
        yield finding._replace(origin=session.estate.located(tenant, finding.origin)) if tenant else finding
