"""What crosses tenants: pointers into another one, and what was copied from one to another.

Of each tenant only a little is kept, so that thousands of them fit in memory; those that point outward are read again
together with whom they lead to.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.checks import across, copied
from reconciler.findings import accepted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from reconciler.changes import Links
    from reconciler.checks.copied import Own
    from reconciler.compile import Compiled
    from reconciler.findings import Finding
    from reconciler.session import Session
    from reconciler.tenant_files import Tenant

_WORD = re.compile(r"[\w+/=.-]+")


class Left(NamedTuple):
    """What a tenant leaves: whether anything of it points outward, the tokens and keys it wrote, its acceptances."""

    tenant: str
    outward: bool
    own: tuple[Own, ...]
    accept: Sequence[Mapping[str, Any]]


def left(session: Session, tenant: Tenant, compiled: Compiled) -> Left:
    """What a tenant leaves for the checks over all of them."""
    outward = across.points_outward(compiled, session.estate.domains)
    return Left(compiled.tenant, outward, tuple(copied.literals(tenant.files)), compiled.rules.accept)


def crossing(
    session: Session, tenants: Collection[Left], fresh: Mapping[str, AbstractSet[str]] | None = None
) -> dict[str, list[Finding]]:
    """{tenant: findings} of all that crosses tenants.

    What was copied from a tenant that was not asked for is looked for too: every token and key, or those in the record
    sets that a plan changes (`fresh`, by tenant): where nothing moves, thousands of files need not be read.
    """
    found = pointing(session, [one.tenant for one in tenants if one.outward])
    for name, findings in _alike(session, tenants, fresh).items():
        found.setdefault(name, []).extend(findings)
    return found


def pointing(session: Session, names: Sequence[str]) -> dict[str, list[Finding]]:
    """{tenant: findings} of pointers outward; whom they lead to is looked up too, and whom those lead to."""
    domains = session.estate.domains
    known: dict[str, Links] = {}
    accept: dict[str, Sequence[Mapping[str, Any]]] = {}
    todo = list(names)
    while todo:
        fresh = {}
        for tenant, compiled in session.compiled(todo):
            fresh[compiled.tenant] = _links(session, tenant, compiled)
            accept[compiled.tenant] = session.accept(tenant)
        known |= fresh
        reached = {domains[to.rpartition("@")[2]] for one in fresh.values() for _, to, _ in one.outward}
        todo = sorted(reached - known.keys())
    asked = {name: link if name in names else link._replace(outward=()) for name, link in known.items()}
    found: dict[str, list[Finding]] = {}
    for name, finding in across.check(asked, domains, session.estate.agency.inside):
        both = finding.code == across.ACROSS.code  # what takes the word of both sides was asked for it already
        told = [finding] if both else accepted([finding], accept[name], session.today)
        found.setdefault(name, []).extend(told)
    return found


def _links(session: Session, tenant: Tenant, compiled: Compiled) -> Links:
    found = across.links(tenant.files, compiled, session.estate.domains, session.today)
    outward = tuple((name, to, session.estate.located(tenant, origin)) for name, to, origin in found.outward)
    return found._replace(outward=outward)


def _alike(
    session: Session, tenants: Iterable[Left], fresh: Mapping[str, AbstractSet[str]] | None
) -> dict[str, list[Finding]]:
    said = {one.tenant: one for one in tenants if one.own}
    texts = {text for name, one in said.items() for text, of, _ in one.own if fresh is None or of in fresh[name]}
    found: dict[str, list[Finding]] = {}
    for name, finding in copied.alike([*((one.tenant, one.own) for one in said.values()), *_holders(session, texts)]):
        if name in said:
            accept = [*session.agency_accept, *said[name].accept]
            found.setdefault(name, []).extend(accepted([finding], accept, session.today))
    again = session.estate.parsed(sorted(found))  # few have any: only their lines are looked up
    return {
        name: [f._replace(origin=session.estate.located(again[name], f.origin)) for f in findings]
        for name, findings in found.items()
    }


def _holders(session: Session, texts: Collection[str]) -> list[tuple[str, list[Own]]]:
    """(tenant, the tokens and keys it wrote) of tenants not asked for that may hold one of these.

    Their DNS files are searched for the longest word of each, and only those parsed in which one stands.
    """
    others = session.estate.tenants.difference(session.names)
    if not texts or not others:
        return []
    files = {f.path: (name, f) for name in others for f in session.estate.tree.under(f"tenants/{name}/dns")}
    said = session.estate.repository.read(file for _, file in files.values())
    words = {max(_WORD.findall(text), key=len, default=text) for text in texts}
    sought = re.compile("|".join(map(re.escape, sorted(words))).encode())
    holders = sorted({files[path][0] for path, content in said.items() if sought.search(content)})
    return [(name, list(copied.literals(t.files))) for name, t in session.estate.parsed(holders).items() if t.sound]
