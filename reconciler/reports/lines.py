"""Plans, findings and results as styled lines for a terminal: readable without colour, and at 80 columns.

A line is a tuple of spans (text, style); styles are words of rich's (`bold`, `red`), empty for plain text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.reports.acceptances import acceptance, place
from reconciler.reports.values import moved
from reconciler.review import digest, loses
from reconciler.wording import counted, shown, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.changes import Change, Plan, TenantPlan
    from reconciler.findings import Finding
    from reconciler.results import Checked

Span = tuple[str, str]
Line = tuple[Span, ...]

SIGNS = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "rename": (">", "yellow"),
    "restore": ("^", "green"),
    "retire": ("!", "magenta"),
    "delete": ("-", "red"),
    "purge": ("-", "bold red"),
}
TAKES = ("purge", "delete", "retire")  # what nobody may overlook, the worst first
SEVERITIES = {"error": "bold red", "warning": "yellow", "info": "cyan"}
_WINDOW = 68  # characters of a line that is quoted: it stays within 80 columns
_DIFFERS = 3  # files named before "and N more"


def plan(found: Plan, *, verbose: bool = False) -> Iterator[Line]:
    """The whole plan, tenant by tenant; tenants with nothing to say are counted at the end."""
    yield from differing(found.differing)
    yield from findings(found.findings)
    quiet = []
    for tenant in found.tenants:
        if verbose or _speaks(tenant):
            yield from of_tenant(tenant)
        else:
            quiet.append(tenant)
    yield from ending(found, quiet)


def differing(files: Sequence[str]) -> Iterator[Line]:
    """The first line, when what was read is not what the working tree has."""
    if files:
        names = ", ".join(visible(name) for name in files[:_DIFFERS])
        more = f" and {len(files) - _DIFFERS} more" if len(files) > _DIFFERS else ""
        yield (("Not committed, so not part of this: ", "bold yellow"), (f"{names}{more}", ""))


def _speaks(tenant: TenantPlan) -> bool:
    listed = any(risk == "high" for _, risk in tenant.unmanaged.listed)
    loud = any(f.severity != "info" for f in tenant.findings)
    parts = (tenant.changes, tenant.due, tenant.todo, tenant.forgotten, tenant.drift, tenant.unread)
    return any(parts) or loud or listed


def of_tenant(tenant: TenantPlan) -> Iterator[Line]:
    """All that is said of a tenant."""
    yield ()
    yield ((visible(tenant.tenant), "bold"), (f"  {_headline(tenant)}", ""))
    for address in tenant.forgotten:
        yield (
            ("  ! let go ", "magenta"),
            (f"{address.kind} ", ""),
            (visible(address.name), "bold"),
            ("  (not touched)", "dim"),
        )
    taken = {change.address.name for change in tenant.changes if change.kind.name == "alias" and change.aim is not None}
    for change in tenant.changes:
        yield from of_change(change)
        if change.action == "retire" and change.entry is not None:
            receives = "" if change.address.name in taken else ", and still receives,"
            yield ((f"      kept{receives} until {change.entry.retired} or later", ""),)
    for change in tenant.due:
        yield (("  due", "bold"), (f" ({change.reason}){_needs(change)}:", ""))
        yield from of_change(change)
    yield from _todo(tenant)
    for waiting in tenant.later:
        when = f" on {waiting.when}" if waiting.when else ""
        yield ((f"  later: {waiting.action} {waiting.address.kind} {waiting.address.name}{when} ({waiting.why})", ""),)
    for unread in tenant.unread:
        yield ((f"  not read: {unread.provider}: {visible(unread.error)}", "bold red"),)
    yield from _unmanaged(tenant)
    gone = any(finding.code == "PL213" for finding in tenant.findings)
    yield from findings(tenant.findings, "" if gone else tenant.tenant)


def _todo(tenant: TenantPlan) -> Iterator[Line]:
    """What is to be done where nothing is written, and how its records are handed over."""
    if tenant.todo:
        yield (("  todo by a person (the provider is read only):", "bold"),)
    for change in tenant.todo:
        yield from of_change(change)
    for domain in dict.fromkeys(change.domain for change in tenant.todo if change.kind.name == "record"):
        yield ((f"      to hand over: reconciler records {domain}", "dim"),)


def _needs(change: Change) -> str:
    lost = loses(change)
    return f", with --purge alone; {lost} is lost" if change.action == "purge" and lost else ""


def _headline(tenant: TenantPlan) -> str:
    if tenant.stopped:
        return "not planned: its input cannot be used"
    counts = _counts(tenant.changes)
    ledger = sum(step.what == "adopt" for step in tenant.steps)
    gone, held = len(tenant.forgotten), sum(change.held is not None for change in (*tenant.changes, *tenant.due))
    parts = [
        *([f"{gone} let go"] if gone else []),
        *counts,
        *([f"{len(tenant.due)} due"] if tenant.due else []),
        *([f"{ledger} adopted as they are"] if ledger else []),
        *([f"{held} held back for now"] if held else []),
    ]
    return ", ".join(parts) or "nothing to change"


def _counts(changes: Sequence[Change]) -> list[str]:
    actions = [change.action for change in changes]
    return [f"{actions.count(action)} to {action}" for action in SIGNS if action in actions]


def of_change(change: Change) -> Iterator[Line]:
    """A change: what becomes of what, then where that is written, then its values."""
    sign, style = SIGNS[change.action]
    place = visible(f"{change.origin.file}:{change.origin.line}") if change.origin and change.origin.file else ""
    conflict = (("  (also changed by hand)", "yellow"),) if change.conflict else ()
    name = visible(change.address.name)
    held = ((f"  (held: {change.held})", "yellow"),) if change.held else ()
    yield ((f"  {sign} {change.action} ", style), (f"{change.kind.name} ", ""), (name, "bold"), *conflict, *held)
    if place:
        yield ((f"      {place}", "dim"),)
    for field, text in told(change):
        yield ((f"      {field}: {text}", ""),)


def told(change: Change) -> Iterator[tuple[str, str]]:
    """(field, what becomes of it) that is worth showing: of what is made what is no default, of what goes nothing."""
    if change.was is not None:
        yield "was", change.was.name
    for field, (old, new) in change.fields.items() if change.aim is not None else ():
        if change.action != "create":
            yield from ((field, part) for part in moved(field, old, new))
        elif new != next(row.default for row in change.kind.attributes if row.name == field):
            yield field, shown(field, new)


def _unmanaged(tenant: TenantPlan) -> Iterator[Line]:
    for address, risk in tenant.unmanaged.listed:
        style = "yellow" if risk == "high" else "dim"
        yield ((f"  unmanaged ({risk} risk): {address.kind} {visible(address.name)}", style),)
    if tenant.unmanaged.counted:
        counts = ", ".join(f"{count} {type_}" for type_, count in tenant.unmanaged.counted.items())
        yield ((f"  unmanaged, not about mail: {counts}", "dim"),)


def ending(found: Plan, quiet: Sequence[TenantPlan]) -> Iterator[Line]:
    """What it comes to, in numbers; `quiet` are the tenants of which nothing was said."""
    changes = [change for tenant in found.tenants for change in tenant.changes]
    refused = [tenant.tenant for tenant in found.tenants if tenant.refused]
    adopted = sum(step.what == "adopt" for tenant in found.tenants for step in tenant.steps)
    yield ()
    if quiet:
        later = sum(len(tenant.later) for tenant in quiet)
        extra = f" {counted(later, 'thing')} later: -v shows them." if later else ""
        yield ((f"{counted(len(quiet), 'tenant')} with nothing to change.{extra}", "dim"),)
    total = ", ".join(_counts(changes)) or "nothing to change"
    due = sum(len(tenant.due) for tenant in found.tenants)
    extra = (f", {due} due" if due else "") + (f", {adopted} to adopt as they are" if adopted else "")
    yield (("Plan: ", "bold"), (f"{total}{extra}.", "bold"))
    if refused:
        yield ((f"Refused until its findings are solved: {visible(', '.join(refused))}.", "bold red"),)
    where = _where(found.commit, worktree=found.worktree)
    yield ((f"{where[0].upper()}{where[1:]}, as of {found.as_of}. Digest {digest(found.tenants)}", "dim"),)


def findings(found: Sequence[Finding], tenant: str | None = None) -> Iterator[Line]:
    """Each finding: what and where, then why and what to do. `tenant` is whose they are, as `place` takes it."""
    for finding in found:
        where = visible(f"{finding.origin.file}:{finding.origin.line or 1}:{finding.origin.column or 1}: ")
        style = SEVERITIES[finding.severity]
        yield (
            (f"  {finding.severity} {finding.code} ", style),
            (where if finding.origin.file else "", "bold"),
            (f"{finding.summary}{' (known already)' if finding.known else ''}", ""),
        )
        yield from _quoted(finding) if finding.severity != "info" else ()
        known = finding.is_input and finding.subject in finding.detail
        subject = "" if known else f"{visible(finding.subject)}: "
        yield ((f"      {subject}{visible(finding.detail)}", ""),)
        if finding.can_be_accepted:
            where = visible(place(finding, tenant))
            yield ((f"      to accept it, under `accept` in {where}: {acceptance(finding)}", "dim"),)


def _quoted(finding: Finding) -> Iterator[Line]:
    """The line it stands at, as it is written, and a caret below its column."""
    at = (finding.origin.column or 1) - 1
    start = max(0, at - _WINDOW // 2) if len(finding.source) > _WINDOW else 0
    text, number = finding.source[start : start + _WINDOW], str(finding.origin.line or 1)
    if text.strip():
        yield ((f"      {number} | {visible(text)}", "dim"),)
        yield ((f"      {' ' * len(number)} | {' ' * len(visible(text[: at - start]))}^", "dim"),)


def checked(found: Checked) -> Iterator[Line]:
    """What `validate` found."""
    yield from differing(found.differing)
    yield from findings(found.findings)
    severities = [finding.severity for finding in found.findings]
    counts = ", ".join(counted(severities.count(s), s) for s in ("error", "warning", "info") if s in severities)
    style = "bold red" if "error" in severities else "green"
    where = _where(found.commit, worktree=found.worktree)
    yield ((f"{counted(found.tenants, 'tenant')} in {where}: {counts or 'all is well'}.", style),)


def _where(commit: str, *, worktree: bool) -> str:
    if set(commit) == {"0"}:
        return "the working tree, before the first commit"
    return f"the working tree on {commit[:12]}" if worktree else f"commit {commit[:12]}"
