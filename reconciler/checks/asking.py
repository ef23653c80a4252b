"""Checks of a plan that need answers of DNS: what they want to know, and what they make of it. They ask nobody.

A theme is a module with two functions. `wanted` says which questions are open as far as the answers go (an include of
SPF is known only when the record above it is); `check` judges by the answers there are. One that is missing, or
`failed`, reads "unknown", never "fine". Both are given the plans, the answers, the agency and {domain of the estate:
its tenant}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from reconciler.checks import answered, claiming, destinations, served

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.agency import Agency
    from reconciler.answers import Answers, Question
    from reconciler.changes import TenantPlan
    from reconciler.findings import Finding

ROUNDS = 12  # of questions that follow from answers


class Theme(Protocol):
    """A module of checks that need answers."""

    def wanted(
        self, plans: Sequence[TenantPlan], answers: Answers, agency: Agency, domains: Mapping[str, str], /
    ) -> Iterator[Question]:
        """The questions whose answers `check` needs, those it has among them."""

    def check(
        self, plans: Sequence[TenantPlan], answers: Answers, agency: Agency, domains: Mapping[str, str], /
    ) -> Iterator[tuple[str, Finding]]:
        """(tenant, finding). Origins may lack their line."""


THEMES: tuple[Theme, ...] = (answered, claiming, destinations, served)


def wanted(
    plans: Sequence[TenantPlan], answers: Answers, agency: Agency, domains: Mapping[str, str]
) -> frozenset[Question]:
    """What is open: it is asked, and what follows from the answers comes in the next round."""
    found = (question for theme in THEMES for question in theme.wanted(plans, answers, agency, domains))
    return frozenset(question for question in found if question not in answers)


def check(
    plans: Sequence[TenantPlan], answers: Answers, agency: Agency, domains: Mapping[str, str]
) -> dict[str, list[Finding]]:
    """{tenant: findings} of all themes."""
    found: dict[str, list[Finding]] = {}
    for theme in THEMES:
        for tenant, finding in theme.check(plans, answers, agency, domains):
            found.setdefault(tenant, []).append(finding)
    return found
