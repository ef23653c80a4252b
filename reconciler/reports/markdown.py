"""A plan as Markdown for a pull-request comment: verdict first, destructive changes first, a folded part per tenant.

It fits 65,536 characters by stated steps: whole, then without unchanged detail, then counts per tenant. What
removes or retires something is never what is left out. Values stand only inside code spans and fences.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from reconciler.reports.lines import SIGNS, TAKES, told
from reconciler.review import digest, loses
from reconciler.wording import counted, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.changes import Change, Plan, TenantPlan
    from reconciler.findings import Finding

LIMIT = 60_000  # of the platform's 65,536: room for a marker and for characters that count twice


def plan(found: Plan) -> str:
    """The whole comment."""
    return fitted(found)[0]


def fitted(found: Plan, asked: Sequence[str] = (), limit: int = LIMIT) -> tuple[str, bool]:
    """(the comment, whether all of it is there). `asked` are lines that follow the verdict."""
    first = [*_verdict(found), *asked, *_destructive(found)]
    for step in (_whole, _short, _counts):
        text = "\n".join([*first, *(step(tenant) for tenant in found.tenants if _speaks(tenant))])
        if units(text) <= limit:
            return text + "\n", step is _whole
    return cut(text, limit), False


def _verdict(found: Plan) -> list[str]:
    changes = [change for tenant in found.tenants for change in tenant.changes]
    rows = [f"| {action} | {n} |" for action in SIGNS if (n := sum(c.action == action for c in changes))]
    refused = [tenant.tenant for tenant in found.tenants if tenant.refused]
    moved = counted(sum(bool(tenant.changes) for tenant in found.tenants), "tenant")
    head = f"## Plan: {counted(len(changes), 'change')} in {moved}" if changes else "## Plan: nothing to change"
    lines = [head, "", f"Commit `{found.commit[:12]}`, digest `{digest(found.tenants)}`", ""]
    if refused:
        lines += [f"**Refused until its findings are solved:** {', '.join(map(code, refused))}", ""]
    if found.findings:
        lines += [*(finding(f) for f in found.findings), ""]
    return [*lines, "| action | number |", "|---|---|", *rows, ""] if rows else lines


def _destructive(found: Plan) -> list[str]:
    taking = [change for tenant in found.tenants for change in tenant.changes if change.action in TAKES]
    gone = [address for tenant in found.tenants for address in tenant.forgotten]
    if not taking and not gone:
        return []
    taking.sort(key=lambda change: (TAKES.index(change.action), change.address))
    let_go = [f"- `!` **let go** {address.kind} {code(address.name)} (not touched)" for address in gone]
    return ["### Takes away", "", *let_go, *(f"- {_headline(change)}" for change in taking), ""]


def _speaks(tenant: TenantPlan) -> bool:
    listed = any(risk == "high" for _, risk in tenant.unmanaged.listed)
    parts = (
        tenant.changes,
        tenant.due,
        tenant.todo,
        tenant.forgotten,
        tenant.drift,
        tenant.unread,
        tenant.findings,
        tenant.later,
    )
    return any(parts) or listed


def _whole(tenant: TenantPlan) -> str:
    body = [
        line for change in _first_destructive(tenant.changes) for line in (f"- {_headline(change)}", *_fields(change))
    ]
    return _folded(tenant, [*(finding(f) for f in tenant.findings), "", *body, *_besides(tenant)])


def _besides(tenant: TenantPlan) -> list[str]:
    """What is not changed now and should be known."""
    later = [
        f"- later: {w.action} {w.address.kind} {code(w.address.name)} {w.when or ''} ({w.why})" for w in tenant.later
    ]
    high = [address for address, risk in tenant.unmanaged.listed if risk == "high"]
    todo = [f"- to be done by a person: {_headline(change)}" for change in tenant.todo]
    due = [
        line
        for change in tenant.due
        for line in (f"- due ({change.reason}): {_headline(change)}{_lost(change)}", *_fields(change))
    ]
    unread = [f"- not read: {code(f'{found.provider}: {found.error}')}" for found in tenant.unread]
    return [
        *unread,
        *due,
        *todo,
        *later,
        *(f"- unmanaged, high risk: {address.kind} {code(address.name)}" for address in high),
    ]


def _lost(change: Change) -> str:
    lost = loses(change)
    return f", **{lost} is lost**" if lost else ""


def _short(tenant: TenantPlan) -> str:
    body = [f"- {_headline(change)}" for change in _first_destructive(tenant.changes)]
    errors = [finding(f) for f in tenant.findings if f.severity == "error"]
    return _folded(tenant, [*errors, "", *body, "", "_Values are left out: the plan is too long for a comment._"])


def _counts(tenant: TenantPlan) -> str:
    return f"- {code(tenant.tenant)}: {_summary(tenant)} _(details are left out: the plan is too long for a comment)_"


def _folded(tenant: TenantPlan, body: list[str]) -> str:
    return "\n".join(
        [
            f"<details><summary><code>{escape(visible(tenant.tenant))}</code>: {_summary(tenant)}</summary>",
            "",
            *body,
            "",
            "</details>",
            "",
        ]
    )


def _summary(tenant: TenantPlan) -> str:
    if tenant.stopped:
        return "not planned, its input cannot be used"
    actions = [change.action for change in tenant.changes]
    parts = [f"{actions.count(action)} {action}" for action in SIGNS if action in actions]
    parts += [f"{len(tenant.due)} due"] if tenant.due else []
    held = sum(change.held is not None for change in (*tenant.changes, *tenant.due))
    parts += [f"{held} held back for now"] if held else []
    parts += [f"{len(tenant.forgotten)} let go"] if tenant.forgotten else []
    parts += [f"{len(tenant.drift)} drifted"] if tenant.drift else []
    parts += ["not read"] if tenant.unread else []
    return ", ".join(parts) or "no changes"


def _first_destructive(changes: Sequence[Change]) -> list[Change]:
    return sorted(changes, key=lambda change: change.action not in TAKES)


def _headline(change: Change) -> str:
    place = f" ({code(f'{change.origin.file}:{change.origin.line}')})" if change.origin and change.origin.file else ""
    held = f", held: {change.held}" if change.held else ""
    return (
        f"`{SIGNS[change.action][0]}` **{change.action}** {change.kind.name} {code(change.address.name)}{place}{held}"
    )


def _fields(change: Change) -> list[str]:
    return [f"  - {name}: {code(text)}" for name, text in told(change)]


def finding(found: Finding) -> str:
    """A finding as an item of a list."""
    place, subject = code(f"{found.origin.file}:{found.origin.line or 1}"), code(found.subject)
    return f"- **{found.severity} {found.code}** {found.summary}: {subject} ({place}): {code(found.detail)}"


def code(text: str) -> str:
    """The text as a code span that nothing in it can end."""
    text = visible(text).replace("|", "\\u007c")
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def units(text: str) -> int:
    """Length as the platform counts it, in UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, limit: int = LIMIT) -> str:
    """The lines that fit, and that there were more."""
    lines, size = [], 0
    for line in text.splitlines():
        size += units(line) + 1
        if size > limit:
            lines.append("\n**Cut here: the rest is in the plan's JSON.**")
            break
        lines.append(line)
    return "\n".join(lines) + "\n"
