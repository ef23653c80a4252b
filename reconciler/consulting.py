"""What approvals the tenants of a plan need, by the files of the commit it was made for and of the one before."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from reconciler import resets
from reconciler.consents import Side, needed
from reconciler.estate import Estate
from reconciler.files import Files
from reconciler.people import people_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from reconciler.consents import Consent
    from reconciler.tenant_files import Tenant


def consents(root: Path, base: str, commit: str, plan: Mapping[str, Any]) -> dict[str, list[Consent]]:
    """{tenant: what it needs} of a plan's JSON. Raises InputError where a commit has no estate that can be read."""
    names = [found["tenant"] for found in plan["tenants"]]
    with closing(Estate(root, base)) as before, closing(Estate(root, commit)) as now:
        old, new = (
            {**dict.fromkeys(names), **estate.parsed([n for n in names if estate.has(n)])} for estate in (before, now)
        )
        return {
            found["tenant"]: list(
                needed(
                    found,
                    _side(before, _files(old, found)),
                    _side(now, _files(new, found)),
                    _high(before, old[found["tenant"]]) | _high(now, new[found["tenant"]]) if _asks(found) else {},
                )
            )
            for found in plan["tenants"]
        }


def _asks(found: Mapping[str, Any]) -> bool:
    """Whether it matters which mailboxes are of high value: that takes compiling the tenant twice."""
    return any(":mailbox/" in change["address"] for change in found["changes"])


def _side(estate: Estate, files: Files) -> Side:
    agency, today = estate.agency, estate.today
    return Side(people_of(files, agency, today), people_of(Files(""), agency, today))


def _files(tenants: Mapping[str, Tenant | None], found: Mapping[str, Any]) -> Files:
    """A tenant's files; of one that is not there those of nobody, who has the agency's roles."""
    tenant = tenants[found["tenant"]]
    return Files(found["tenant"]) if tenant is None or not tenant.sound else tenant.files


def _high(estate: Estate, tenant: Tenant | None) -> dict[str, str]:
    """{address: why} of a tenant's high-value mailboxes."""
    if tenant is None or not tenant.sound:
        return {}
    compiled = estate.compile(tenant)
    people = people_of(tenant.files, estate.agency, estate.today)
    graph = resets.Graph(tenant.files, compiled.state, people, estate.agency, estate.domains)
    return resets.high_value(graph)
