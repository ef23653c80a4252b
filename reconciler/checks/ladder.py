"""Checks over a plan's policies, from what is live to what shall be: DMARC and MTA-STS are tightened rung by rung."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.checks.dmarc import RUNGS, at_home, policy
from reconciler.checks.transport import identifier
from reconciler.findings import Origin, Rule
from reconciler.kinds.record import label, rtype, tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.changes import Change, Facts
    from reconciler.checks.dmarc import Policy
    from reconciler.checks.planned import Compared
    from reconciler.findings import Finding
    from reconciler.model import Resource

SKIPPED = Rule(
    "DN022",
    "error",
    "DMARC would skip a rung",
    "Go to `p=quarantine` first and read the reports; or accept it: an `accept` entry with this code and subject.",
    why="From `none` to `reject` at once, a sender that nobody thought of loses its mail without a trace; under "
    "`quarantine` it still lies in a folder and shows in the reports.",
)
LOWERED = Rule(
    "DN023",
    "warning",
    "DMARC would be lowered",
    "Keep the policy, unless honest mail is being lost; then raise it again once its sender is listed.",
    why="Whoever forges the domain's mail waits for this. It refuses nothing: in an incident it is the cure, and "
    "a revert must not wait.",
)
UNTRIED = Rule(
    "DN036",
    "error",
    "MTA-STS would be enforced without a test",
    "Go to `testing` first; or accept it: an `accept` entry with this code and subject.",
    why="Under `enforce` a host without the right certificate gets no mail at all, from anybody who reads the policy; "
    "under `testing` the same shows in reports.",
)


def check(compared: Compared, facts: Facts) -> Iterator[Finding]:
    """Every finding of this theme."""
    staying = facts.domains.keys() - compared.retiring
    for change in compared.changes:
        name = change.address.name
        if change.kind.name != "record" or rtype(name) != "TXT" or change.domain not in staying:
            continue
        if at_home(label(name)):
            yield from _ladder(change)
        elif label(name).startswith("_mta-sts."):
            yield from _untried(change, facts)


def _ladder(change: Change) -> Iterator[Finding]:
    """From the policy that is live to the one that shall be; where none is live, any may be the first."""
    was, will = _tagged(change.live, "v=dmarc1"), _tagged(change.aim, "v=dmarc1")
    if was is None or was == will or policy(was).faults or (will is not None and policy(will).faults):
        return
    old, new = policy(was), policy(will) if will is not None else None
    origin, subject = change.origin or Origin(""), change.address.name
    if new is None:
        held = [f"`{key}={rung}`" for key, rung in (("p", old.rung), ("sp", old.below)) if rung != "none"]
        if held:
            yield LOWERED.at(subject, f"It is {held[0]} and would be gone.", origin)
        return
    steps = [_Step("p", old, new), _Step("sp", old, new)]
    for rule, found in ((LOWERED, [s for s in steps if s.least < 0]), (SKIPPED, [s for s in steps if s.most > 1])):
        if found:
            yield rule.at(subject, f"From {found[0].before} to {found[0].after}.", origin)


class _Step:
    """How many rungs one tag goes up, by receivers that know `t=y` and by those that do not: at least and at most."""

    def __init__(self, key: str, old: Policy, new: Policy) -> None:
        one, two = (said.rung if key == "p" else said.below for said in (old, new))
        written = RUNGS.index(two) - RUNGS.index(one)
        heeded = max(RUNGS.index(two) - new.is_tested, 0) - max(RUNGS.index(one) - old.is_tested, 0)
        self.least, self.most = min(written, heeded), max(written, heeded)
        self.before = f"`{key}={one}{'; t=y' * old.is_tested}`"
        self.after = f"`{key}={two}{'; t=y' * new.is_tested}`"


def _untried(change: Change, facts: Facts) -> Iterator[Finding]:
    """The id tells the mode: it is made of the policy's text."""
    was, will = _tagged(change.live, "v=stsv1"), _tagged(change.aim, "v=stsv1")
    if was is None and will is not None and identifier(will) in facts.enforcing:
        origin = change.origin or Origin("")
        yield UNTRIED.at(change.address.name, "No MTA-STS is live, and its id is that of `enforce`.", origin)


def _tagged(resource: Resource | None, wanted: str) -> str | None:
    values = () if resource is None else resource.get("values")
    return next((value for value in values if isinstance(value, str) and tag(value) == wanted), None)
