"""What was wrong before this commit already: a change is not held up by what it did not bring about.

A finding of a check is known when it holds word for word at the commit that the tenant was applied at last (or at the
one that `--changed-since` names), judged by the same day. What only a day brought about is a warning then. Of a value
that two tenants have it is known to the one who had it: the other one copied it. So is what somebody's leaving makes
of the lines of others, unless these change: that somebody's access ends waits for nothing. A tenant that got another
name (`renamed_from`) has what it had under the old one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reconciler.checks import approvals, copied, resets
from reconciler.crossing import pointing
from reconciler.errors import InputError, LedgerError
from reconciler.findings import accepted
from reconciler.ledger import Ledger
from reconciler.people import people_of
from reconciler.session import Session

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from reconciler.compile import Compiled
    from reconciler.files import Files
    from reconciler.findings import Finding
    from reconciler.people import People

_LEAVING = (approvals.BY_OWNER.code, resets.LEFT.code)  # of what is another's line, where somebody leaves
_CHECKS = ("OW", "RT", "DN")  # over what is declared; what a plan does is never known
Said = tuple[str, str, str]  # (code, subject, detail)


def marked(session: Session, found: Mapping[str, Sequence[Finding]]) -> dict[str, list[Finding]]:
    """{tenant: findings}, each with `known` set where it was one before."""
    asked = [name for name, findings in found.items() if any(f.code.startswith(_CHECKS) for f in findings)]
    former = _former(session, asked)
    by_base: dict[str, list[str]] = {}
    for name, base in _bases(session, asked, former).items():
        by_base.setdefault(base, []).append(name)
    before: dict[str, set[Said]] = {}
    for base, names in by_base.items():
        before |= _at(session, base, {former[name]: name for name in names if name in former}, names, found)
    return {name: [_known(f, before.get(name, ())) for f in findings] for name, findings in found.items()}


def _known(finding: Finding, before: Collection[Said]) -> Finding:
    if (finding.code, finding.subject, finding.detail) not in before:
        return finding
    lapsed = finding.dated and finding.severity == "error"
    return finding._replace(known=True, severity="warning" if lapsed else finding.severity)


def _former(session: Session, names: Sequence[str]) -> dict[str, str]:
    """{tenant: the name that it had}: only those are parsed in whose control.yaml the key stands as text."""
    found = (session.estate.tree.get(f"tenants/{name}/control.yaml") for name in names)
    contents = session.estate.repository.read(filter(None, found))
    asked = [path.split("/")[1] for path, text in contents.items() if b"renamed_from" in text]
    said = {name: tenant.files.control.get("renamed_from") for name, tenant in session.estate.parsed(asked).items()}
    return {name: old for name, old in said.items() if old}


def _bases(session: Session, names: Sequence[str], former: Mapping[str, str]) -> dict[str, str]:
    """{tenant: the commit to compare with}, where there is one that is not the one that is read."""
    if session.since is not None:
        return dict.fromkeys(names, session.since)
    asked = [*names, *former.values()]
    ledgers = session.ledgers.read({name: session.tips.get(name) for name in asked}) if asked else {}
    applied = {name: found.applied for name, found in ledgers.items() if isinstance(found, Ledger)}
    commits = {name: applied.get(name) or applied.get(former.get(name, "")) for name in names}
    return {name: commit for name, commit in commits.items() if commit}


def _at(
    session: Session, base: str, called: Mapping[str, str], names: Sequence[str], now: Mapping[str, Sequence[Finding]]
) -> dict[str, set[Said]]:
    """{tenant: what its checks say at a commit}; nothing where that commit cannot be read. `now` is what they say.

    `called` says how a tenant is called now that had another name.
    """
    there = session.request._replace(
        revision=base, worktree=False, tenants=(*names, *called), changed_since="", as_of=session.today
    )
    found: dict[str, set[Said]] = {}
    try:
        with Session(there) as earlier:
            said = earlier.over_tenants(lambda some: _said_by(session, earlier, some, called, now))
            between = pointing(earlier, earlier.names)
            for name, told in (*said, *((name, _said(findings)) for name, findings in between.items())):
                new = called.get(name, name)
                found.setdefault(new, set()).update(told, (_renamed(one, name, new) for one in told if name != new))
            return found
    except (InputError, LedgerError):  # it is not in this clone, or its reconciler.yaml is none that this version reads
        return {}


def _renamed(said: Said, old: str, new: str) -> Said:
    """What is said of a tenant under its new name."""
    alone = re.compile(rf"(?<![\w.@-]){re.escape(old)}(?![\w@-]|\.\w)")
    code, subject, detail = said
    return code, alone.sub(new, subject), alone.sub(new, detail)


def _said_by(
    session: Session, earlier: Session, names: Sequence[str], called: Mapping[str, str],
    now: Mapping[str, Sequence[Finding]],
) -> list[tuple[str, set[Said]]]:  # fmt: skip
    found = []
    for tenant, compiled in earlier.compiled(names):
        name = called.get(compiled.tenant, compiled.tenant)
        said, told = now[name], copied.held(now[name], copied.literals(tenant.files))
        fresh = set[Said]()
        if any(f.code in _LEAVING for f in said):
            files = session.estate.parsed([name])[name].files
            people = people_of(files, session.estate.agency, session.today)
            told += _had_left(earlier, tenant.files, compiled, people)
            fresh = _said(approvals.renewed(said, files, tenant.files))
        lifted = accepted(told, earlier.accept(tenant), earlier.today)
        found.append((compiled.tenant, _said([*compiled.findings, *lifted]) - fresh))
    return found


def _had_left(earlier: Session, files: Files, compiled: Compiled, now: People) -> list[Finding]:
    """What would have been found, had those who leave now been gone then: that access ends waits for nothing."""
    estate = earlier.estate
    then = people_of(files, estate.agency, earlier.today)
    persons = {name: {**said, **_end(now.persons.get(name, {}))} for name, said in then.persons.items()}
    people = then._replace(persons=persons)
    found = (*approvals.check(files, people), *resets.check(files, compiled, estate.agency, estate.domains, people))
    return [f for f in found if f.code in _LEAVING]


def _end(person: Mapping[str, str]) -> dict[str, str]:
    return {key: person[key] for key in ("left", "until", "successor") if key in person}


def _said(findings: Iterable[Finding]) -> set[Said]:
    return {(f.code, f.subject, f.detail) for f in findings if f.code.startswith(_CHECKS)}
