"""What a command came to: what was checked, what became of an apply, what a rollback would do. Plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.changes import Change, Drift, Plan, TenantPlan
    from reconciler.effects import Proof
    from reconciler.findings import Finding

Verdict = Literal["applied", "nothing", "refused", "held", "stale", "locked", "failed", "skipped"]


class Checked(NamedTuple):
    """What `validate` found."""

    commit: str
    findings: tuple[Finding, ...]
    tenants: int
    worktree: bool = False
    differing: tuple[str, ...] = ()  # files that were read and that the working tree has otherwise


class TenantResult(NamedTuple):
    """What became of a tenant. `not_done` pairs each change with why; `rerun` is the command that goes on.

    `proofs` is what name servers said of the records that were changed, `findings` where that is not what it should be.
    """

    tenant: str
    result: Verdict
    done: tuple[Change, ...] = ()
    not_done: tuple[tuple[Change, str], ...] = ()
    error: str | None = None
    rerun: str | None = None
    digest: str = ""
    proofs: tuple[Proof, ...] = ()
    findings: tuple[Finding, ...] = ()


class Result(NamedTuple):
    """What an apply did."""

    run: str
    commit: str
    tenants: tuple[TenantResult, ...]


class Rollback(NamedTuple):
    """What a rollback comes to. `back` are the journal's changes that it undoes, `since` what came after them."""

    target: str
    branch: str
    commit: str
    reverts: tuple[str, ...]
    back: tuple[Mapping[str, Any], ...]
    since: tuple[Mapping[str, Any], ...]
    accepted: tuple[Mapping[str, Any], ...]
    plan: Plan


class Imported(NamedTuple):
    """A drift that was written into files, or (with `why`) left as it is. `whom` it affects: who answers for it."""

    tenant: str
    drift: Drift
    whom: str
    files: tuple[str, ...] = ()
    why: str = ""


class Import(NamedTuple):
    """What an import of drift comes to. `seen` is the plan that told the drift, `plan` that of the commit.

    Where nothing was written there is no branch (empty), no commit and no second plan.
    """

    seen: Plan
    branch: str
    commit: str
    written: tuple[Imported, ...]
    left: tuple[Imported, ...]
    plan: Plan | None

    @property
    def files(self) -> tuple[str, ...]:
        """The files that were written."""
        return tuple(sorted({file for item in self.written for file in item.files}))

    @property
    def stopping(self) -> tuple[Finding, ...]:
        """Bad input, for which tenants were not compared."""
        return _bad_input(self.seen)


def _bad_input(found: Plan) -> tuple[Finding, ...]:
    every = (*found.findings, *(finding for tenant in found.tenants for finding in tenant.findings))
    return tuple(finding for finding in every if finding.severity == "error" and finding.is_input)


class Handed(NamedTuple):
    """What stands in a zone for one domain. `unknown` says of sets why they cannot be told, `absent` what must go."""

    commit: str
    tenant: str
    domain: str
    sets: tuple[tuple[str, str, int, tuple[str, ...]], ...]  # (name, type, TTL in seconds, values)
    unknown: tuple[tuple[str, str, str], ...]  # (name, type, why)
    absent: tuple[tuple[str, str, tuple[str, ...]], ...]  # (name, type, the values that must go; none: all of them)
    differing: tuple[str, ...] = ()


Standard = Literal["conforming", "deviating", "unverified"]


class Item(NamedTuple):
    """One item of a domain: its points of how many, what is there, and the next step (empty: there is none)."""

    name: str
    verdict: Standard
    points: int
    of: int
    says: str
    next: str


class Standing(NamedTuple):
    """How a domain stands. `parked`: it takes no mail."""

    domain: str
    parked: bool
    items: tuple[Item, ...]

    @property
    def score(self) -> int:
        return sum(item.points for item in self.items)

    @property
    def verdict(self) -> Standard:
        """`deviating` where one item is, else `unverified` where one is."""
        found = {item.verdict for item in self.items}
        return "deviating" if "deviating" in found else "unverified" if "unverified" in found else "conforming"

    @property
    def next(self) -> str:
        """The step that brings most."""
        open_ = [item for item in self.items if item.next]
        return max(open_, key=lambda item: item.of - item.points).next if open_ else ""


def why(planned: TenantPlan, reason: str) -> tuple[tuple[Change, str], ...]:
    """Each declared change with why it was not made."""
    return tuple((change, reason) for change in planned.changes)
