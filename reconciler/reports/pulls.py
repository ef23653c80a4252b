"""What a Git host shows: the comments below a pull request, and the issue about a tenant's drift.

The first line is a marker that nobody sees, by which the next run finds the text it has to put another one in place of.
Values that people or live systems wrote stand in code spans alone: there no name is a mention and no text is markup.
"""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING

from reconciler import __version__
from reconciler.reports import data, markdown
from reconciler.reports.markdown import code
from reconciler.review import digest
from reconciler.wording import counted, shown, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.changes import Drift, Plan, TenantPlan
    from reconciler.consents import Consent
    from reconciler.findings import Finding
    from reconciler.results import Result, TenantResult

_ROOM = 1_500  # characters of a comment that are kept for the marker and what frames the plan
_SHOWN = 50  # things of one tenant that a result lists one by one
_SAID = {
    "applied": "applied", "nothing": "nothing to do", "refused": "refused by its findings", "held": "held back",
    "stale": "**stale**: not what was reviewed", "locked": "**locked**: somebody else is at work on it",
    "failed": "**failed**", "skipped": "skipped, a wave before it failed",
}  # fmt: skip
_WELL = {"applied", "nothing", "held"}


def planning(head: str) -> str:
    """What stands in the place of an earlier plan while the next one is made."""
    return (
        f"{_mark('plan', head=head)}\n## Plan: being made\n\nOf commit `{head[:12]}`; an earlier plan counts no more.\n"
    )


def plan(found: Plan, head: str, base: str, consents: Iterable[Consent], limit: int) -> str:
    """The comment about a plan."""
    text, whole = markdown.fitted(found, [*asked(consents)], limit - _ROOM)
    counts = {action: n for action, n in data.summary(data.plan(found)["tenants"]).items() if n}
    mark = _mark("plan", head=head, base=base, digest=digest(found.tenants), counts=counts, truncated=not whole)
    return f"{mark}\n{text}"


def stopped(findings: Sequence[Finding], head: str, limit: int) -> str:
    """The comment where nothing could be planned."""
    lines = [_mark("plan", head=head), "## Plan: cannot be made", "", *map(markdown.finding, findings)]
    return markdown.cut("\n".join(lines), limit - _ROOM)


def asked(consents: Iterable[Consent]) -> Iterator[str]:
    """Who has to approve, and what for: a line per role."""
    by_role: dict[tuple[str, frozenset[str], bool], list[Consent]] = {}
    for consent in consents:
        by_role.setdefault((consent.role, consent.accounts, consent.named), []).append(consent)
    if not by_role:
        return
    yield "### Needs an approval before it is applied"
    yield ""
    for (role, accounts, named), some in by_role.items():
        who = " or ".join(code(f"@{account}") for account in sorted(accounts)) or "nobody who has an `account`"
        asked_of = f"of {code(role)}: {who}" if named else "of anybody but an author (no role is set)"
        few = ", ".join(f"{code(consent.subject)} ({code(consent.why)})" for consent in some[:_SHOWN])
        more = f", and {len(some) - _SHOWN} more" if len(some) > _SHOWN else ""
        yield f"- {asked_of}, for {few}{more}"
    yield ""


def result(found: Result, missing: Mapping[str, Sequence[Consent]], log: str, limit: int) -> str:
    """The comment about what became of a merge. `missing` are approvals that a tenant lacks, `log` leads to the log."""
    tenants = [tenant for tenant in found.tenants if tenant.result != "nothing"]
    place = f"Commit `{found.commit[:12]}`, run `{found.run}`" + (f" ([log]({log}))" if log else "")
    lines = [_mark("apply", commit=found.commit), f"## {_outcome(tenants)}", "", place, ""]
    lines += _table(tenants) if tenants else []
    for tenant in sorted(tenants, key=lambda tenant: tenant.result in _WELL):
        lines += _detail(tenant, found.run, missing.get(tenant.tenant, ()))
    return markdown.cut("\n".join(lines), limit - _ROOM)


def _outcome(tenants: Sequence[TenantResult]) -> str:
    done = sum(len(tenant.done) for tenant in tenants)
    bad = [tenant for tenant in tenants if tenant.result not in _WELL]
    if bad:
        return f"{'Applied in part' if done else 'Not applied'}: {counted(len(bad), 'tenant')} to look at"
    return f"Applied: {counted(done, 'change')}" if done else "Applied: nothing to change"


def _table(tenants: Iterable[TenantResult]) -> Iterator[str]:
    yield "| tenant | result | made | not made |"
    yield "|---|---|---|---|"
    for found in tenants:
        yield f"| {code(found.tenant)} | {_SAID[found.result]} | {len(found.done)} | {len(found.not_done)} |"
    yield ""


def _detail(found: TenantResult, run: str, missing: Sequence[Consent]) -> Iterator[str]:
    lines = [f"- error: {code(found.error)}"] if found.error else []
    lines += [markdown.finding(finding) for finding in found.findings]
    lines += [
        f"- not made: {change.action} {code(str(change.address))}: {code(why)}"
        for change, why in found.not_done[:_SHOWN]
    ]
    lines += [f"- and {len(found.not_done) - _SHOWN} more"] if len(found.not_done) > _SHOWN else []
    if found.findings:
        lines += ["", f"To undo what was made: `reconciler rollback {run}`"]
    if missing and found.result == "stale":
        lines += ["", *asked(missing), "Approve the pull request, then run the apply again."]
    elif found.result == "stale":
        again = code(f"reconciler apply --digest {found.digest}")
        lines += ["", f"If what a plan of it shows now is right: {again}, or run *apply* by hand with that digest."]
    if found.rerun:
        lines += ["", f"To go on: {code(found.rerun)}"]
    if lines:
        open_ = "" if found.result in _WELL else " open"
        yield f"<details{open_}><summary><code>{escape(visible(found.tenant))}</code></summary>"
        yield from ["", *lines, "", "</details>", ""]


def drift(found: TenantPlan, branch: str, page: str, limit: int) -> tuple[str, str]:
    """(title, text) of the issue about a tenant's drift. `branch` takes it over into Git (empty: there is none), `page`
    is where a pull request is made of that.
    """
    open_ = sorted((d for d in found.drift if not d.accepted), key=lambda d: (d.risk != "high", d.address, d.field))
    risky = [address for address, risk in found.unmanaged.listed if risk == "high"]
    lines = [f"<!-- reconciler:drift {found.tenant} -->", "Live is otherwise than Git says, and Git did not move.", ""]
    if open_:
        lines += ["| what | Git says | live is | risk | since |", "|---|---|---|---|---|", *map(_row, open_), ""]
    if risky:
        lines += ["Never declared, and of high risk:", "", *(f"- {code(str(address))}" for address in risky), ""]
    lines += ["**What to do:**", ""]
    if open_:
        lines += [
            f"- put it back: {code(f'reconciler apply --tenant {found.tenant} --due --enforce all')} (or one address)"
        ]
        where = f", [make a pull request of it]({page})" if page else ""
        taking = (
            f"merge the branch {code(branch)}{where}"
            if branch
            else code(f"reconciler import --drift --tenant {found.tenant}")
        )
        lines += [f"- take it over into Git: {taking}"]
    lines += ["- leave it for now: an `accept` entry in control.yaml, with a reason and an end"] if open_ else []
    lines += ["- remove it by hand, or declare it: then it is looked after"] if risky else []
    return f"Drift: {found.tenant}", markdown.cut("\n".join(lines), limit - _ROOM)


def _row(found: Drift) -> str:
    what = f"{code(str(found.address))} {code(found.field)}"
    git, live = (code(shown(found.field, side)) for side in (found.git, found.live))
    since = (found.first_seen or "").replace("T", " ").replace("Z", " UTC")
    return f"| {what} | {git} | {live} | {found.risk} | {since} |"


def _mark(topic: str, **said: object) -> str:
    """The marker: what it says is ids and numbers of ours, so that nothing in it ends the comment early."""
    return f"<!-- reconciler:{topic} {json.dumps({'v': 1, 'tool': __version__, **said}, sort_keys=True)} -->"
