"""Checks of changed records that need answers of DNS: the whole count of SPF, hosts of an MX, reports to elsewhere.

Only names that a plan's changes touch are asked for, and what the plan itself changes counts as it shall be. A name
that it makes is never asked for: the resolver would keep for a while that it does not exist (RFC 2308), for any type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler import canonical
from reconciler.answers import Answer
from reconciler.checks import spf
from reconciler.checks.counting import MOST_VOIDS, Count
from reconciler.checks.dmarc import UNWANTED, at_home, holder, permissions, policy
from reconciler.findings import Origin, Rule
from reconciler.kinds.record import label, rtype, tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.agency import Agency
    from reconciler.answers import Answers, Question
    from reconciler.changes import Change, TenantPlan
    from reconciler.findings import Finding
    from reconciler.model import Resource

VOIDS = Rule(
    "DN017",
    "error",
    "SPF asks for too much that is not there",
    "Take out the terms that lead nowhere.",
    why="At the third lookup without an answer a receiver may give up (RFC 7208, 4.6.4): all mail of the domain fails.",
)
NOTHING = Rule(
    "DN018",
    "warning",
    "SPF leads to nothing",
    "Correct the name, or take the term out.",
    why="An include of a name without an SPF record is a permanent error: every message fails SPF. And whoever "
    "registers a name that is free may then send for the domain.",
)
UNKNOWN = Rule(
    "DN019",
    "info",
    "DNS did not answer",
    "Plan again where DNS can be asked; nothing was refused for it.",
    why="What could not be looked up is not known to be sound: a count of SPF lookups, for one, is only what could be "
    "seen without asking.",
)
NO_HOST = Rule(
    "DN028",
    "warning",
    "DNS does not bear out an MX",
    "Correct the host's name, or have its address published first.",
    why="Mail goes to the hosts that the MX names. One without an address gets none; one that is an alias gets it from "
    "some senders and not from others.",
)


class _Seen(NamedTuple):
    """A value that a plan brings into a record."""

    tenant: str
    change: Change
    value: str


class _World:
    """Answers under what the plans change: a record that is changed is as it shall be."""

    def __init__(self, plans: Sequence[TenantPlan], answers: Answers) -> None:
        self.answers = answers
        self.records = [c for plan in plans for c in plan.changes if c.kind.name == "record"]
        self.changed: dict[Question, tuple[str, ...]] = {}
        self.made: dict[str, set[str]] = {}  # {name: the types of the sets that are made there}
        for change in self.records:
            type_, name = rtype(change.address.name), label(change.address.name)
            self.changed[name, type_] = _texts(change.aim)
            if change.live is None:
                self.made.setdefault(name, set()).add(type_)

    def planned(self, question: Question, known: str = "v=spf1") -> Answer | None:
        """What the plans leave there, where they say. Of a TXT only values with this tag: not all are ours."""
        name, type_ = question
        said = self.changed.get(question, ())
        if type_ == "TXT":
            said = tuple(value for value in said if tag(value) == known)
        if said:
            return Answer("found", said)
        return self._beside(type_, self.made[name]) if name in self.made else None

    def known(self, question: Question) -> Answer | None:
        """The answer, or None where nobody asked yet."""
        if (said := self.planned(question)) is not None:
            return said
        answer = self.answers.get(question)
        denied = answer is not None and answer.status == "nxdomain" and canonical.reserved(question[0])
        return Answer("failed") if denied else answer  # nobody can hold it: that it is not there says nothing

    @staticmethod
    def _beside(type_: str, made: set[str]) -> Answer:
        """What is said of a name where sets are made: nothing beside them, where that is sure or enough."""
        hosts = {"A", "AAAA"}
        sure = type_ in made or type_ == "CNAME" or (type_ in hosts and made & hosts)
        return Answer("empty" if sure else "failed")


def _texts(resource: Resource | None) -> tuple[str, ...]:
    return tuple(v for v in (() if resource is None else resource.get("values")) if isinstance(v, str))


def _moved(world: _World, type_: str) -> Iterator[_Seen]:
    """The values that a plan brings into sets of a type."""
    for change in world.records:
        if rtype(change.address.name) == type_:
            before = _texts(change.live)
            yield from (_Seen(change.tenant, change, v) for v in _texts(change.aim) if v not in before)


class _Verdict(NamedTuple):
    """What answers say of one changed record: findings, what is still to be asked, what nobody answered."""

    findings: list[Finding]
    open: set[Question]
    unknown: set[Question]


def _verdicts(world: _World, domains: Mapping[str, str]) -> Iterator[tuple[_Seen, _Verdict]]:
    for seen in _moved(world, "TXT"):
        known = tag(seen.value)
        if known in {"v=spf1", "v=dmarc1"}:
            yield seen, _spf(world, seen, domains) if known == "v=spf1" else _reports(world, seen, domains)
    for seen in _moved(world, "MX"):
        yield seen, _mx(world, seen)


def wanted(
    plans: Sequence[TenantPlan], answers: Answers, _agency: Agency, domains: Mapping[str, str]
) -> Iterator[Question]:
    """What is to be asked for, as far as answers lead."""
    for _, verdict in _verdicts(_World(plans, answers), domains):
        yield from verdict.open


def check(
    plans: Sequence[TenantPlan], answers: Answers, _agency: Agency, domains: Mapping[str, str]
) -> Iterator[tuple[str, Finding]]:
    """(tenant, finding). What was found without asking is not said again."""
    world = _World(plans, answers)
    said = {(f.code, f.subject) for plan in plans for f in plan.findings} if world.records else set()
    silent: dict[str, dict[Question, Origin]] = {}
    for seen, verdict in _verdicts(world, domains):
        yield from ((seen.tenant, f) for f in verdict.findings if (f.code, f.subject) not in said)
        for question in verdict.open | verdict.unknown:
            silent.setdefault(seen.tenant, {}).setdefault(question, _origin(seen.change))
    for tenant, questions in silent.items():
        yield tenant, unanswered(tenant, questions)


def unanswered(tenant: str, questions: Mapping[Question, Origin]) -> Finding:
    """What nobody answered for a tenant, at the place of the first."""
    names = [f"{name} {type_}" for name, type_ in sorted(questions)]
    what = f"{', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}."
    return UNKNOWN.at(tenant, what, questions[min(questions)])


def _spf(world: _World, seen: _Seen, domains: Mapping[str, str]) -> _Verdict:
    name, subject, origin = label(seen.change.address.name), seen.change.address.name, _origin(seen.change)
    count = Count(name, seen.value, world.known)
    findings = list(spf.count_of(subject, count, origin))
    # A name outside that does not exist today refuses nothing: it may be a resolver that hides it, or be made tomorrow.
    sure = [name for (name, _), status in count.voids if status == "empty" or holder(name, domains)]
    if len(sure) > MOST_VOIDS:
        what = f"{len(sure)} lookups find nothing, first {sure[0]}; {MOST_VOIDS} are allowed."
        findings.append(VOIDS.at(subject, what, origin))
    faults = [] if count.circle else count.faults
    faults += [f"{name} has no {type_}" for (name, type_), _ in count.voids if type_ != "TXT"]
    if faults:
        findings.append(NOTHING.at(subject, f"{'; '.join(faults)}.", origin))
    return _Verdict(findings, count.open, count.unknown)


def _reports(world: _World, seen: _Seen, domains: Mapping[str, str]) -> _Verdict:
    """Whether others take a policy's reports; a tenant's own domains are seen without asking."""
    name, verdict = label(seen.change.address.name), _Verdict([], set(), set())
    at_place = at_home(name) and not policy(seen.value).faults
    for permission in permissions(name, seen.value, domains) if at_place else ():
        other = permission.partition("._report._dmarc.")[2]
        answer = world.planned((permission, "TXT"), "v=dmarc1") or world.answers.get((permission, "TXT"))
        if holder(other, domains) == seen.tenant or (answer and any(tag(v) == "v=dmarc1" for v in answer.values)):
            continue
        if answer is None:
            verdict.open.add((permission, "TXT"))
        elif answer.status == "failed":
            verdict.unknown.add((permission, "TXT"))
        else:
            what = f"{other} has no TXT `v=DMARC1` at {permission}."
            verdict.findings.append(UNWANTED.at(seen.change.address.name, what, _origin(seen.change)))
    return verdict


def _mx(world: _World, seen: _Seen) -> _Verdict:
    host, verdict = seen.value.partition(" ")[2].removesuffix("."), _Verdict([], set(), set())
    if not host or host.replace(".", "").isdecimal():
        return verdict
    fault = ""
    for type_ in ("CNAME", "A", "AAAA"):
        answer = world.known((host, type_))
        if answer is None or answer.status == "failed":
            (verdict.open if answer is None else verdict.unknown).add((host, type_))
            return verdict
        if answer.status == "found":
            fault = f"is an alias of {answer.values[0]}" if type_ == "CNAME" else ""
            break
        fault = "does not exist" if answer.status == "nxdomain" else "has no address"
    if fault:
        what = f"`{seen.value}`: {host} {fault.removesuffix('.')}."
        verdict.findings.append(NO_HOST.at(seen.change.address.name, what, _origin(seen.change)))
    return verdict


def _origin(change: Change) -> Origin:
    return change.origin or Origin("")
