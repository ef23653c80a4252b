"""`records`: the DNS records of a domain as text, to hand to whoever runs its zone.

They are told from Git, also where `dns: null` says that the zone is not ours. What only the signer knows, the public
half of a DKIM key, is read from the mail system.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.errors import InputError, ProviderError, ReconcilerError
from reconciler.kinds import dkim_key
from reconciler.kinds.record import TTL, label, rtype
from reconciler.model import Address, Computed
from reconciler.naming import domain_meant
from reconciler.parts import known
from reconciler.request import differing
from reconciler.results import Handed
from reconciler.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.compile import Compiled
    from reconciler.model import Resource, Value
    from reconciler.request import Request
    from reconciler.tenant_files import Tenant


def records(request: Request, name: str) -> Handed:
    """The records of a domain. Raises InputError and ReconcilerError."""
    with Session.asking(request) as session:
        found = domain_meant(session, name)
        tenant = session.estate.parsed([found.tenant])[found.tenant]
        compiled = session.estate.compile(_as_ours(session, tenant, found.name))
        bad = [f for f in compiled.findings if f.severity == "error" and f.is_input]
        if bad:
            raise InputError([f._replace(origin=session.estate.located(tenant, f.origin)) for f in bad])
        there, problems = _keys(session, compiled, found.name)
        sets = [t for a, t in compiled.state.items() if a.kind == "record" and t.domain == found.name]
        told = list(_told(sets, there, problems))
        handed = Handed(
            commit=session.estate.commit,
            tenant=found.tenant,
            domain=found.name,
            sets=tuple(sorted(entry for entry, _ in told if entry)),
            unknown=tuple(sorted(why for _, why in told if why)),
            absent=tuple(sorted(_absent(compiled, found.name))),
        )
    with differing(request._replace(tenants=(handed.tenant,))) as differs:
        return handed._replace(differing=tuple(differs()))


def _as_ours(session: Session, tenant: Tenant, domain: str) -> Tenant:
    """The tenant with the domain's zone as if it were ours to write: then its template says what should stand there."""
    files, agency = tenant.files, session.estate.agency
    said = files.dns.get(domain, {})
    near = (said, files.control, agency.defaults)
    if next((level["dns"] for level in near if "dns" in level), None) is not None:
        return tenant
    name = next((name for name, (side, _) in agency.providers.items() if side == "dns"), None)
    if name is None:
        raise ReconcilerError("no DNS provider is configured: add one, `read_only: true`, and its template says what")
    return replace(tenant, files=files._replace(dns={**files.dns, domain: {**said, "dns": name}}))


def _keys(session: Session, compiled: Compiled, domain: str) -> tuple[dict[Address, Resource], dict[str, str]]:
    """(the DKIM keys that are there, why some mail system could not be asked); asked where a record needs it."""
    wanted = {a.provider for a, t in compiled.state.items() if a.kind == dkim_key.KIND.name and t.domain == domain}
    pairs = [(provider, scope) for provider, scope in compiled.scopes if provider in wanted and scope.domain == domain]
    found: dict[Address, Resource] = {}
    problems: dict[str, str] = {}
    for (provider, _), answer in session.world.read(pairs).items():
        if isinstance(answer, ProviderError):
            problems[provider] = str(answer)
        else:
            found |= {thing.address: thing for thing in answer}
    return found, problems


def _told(
    sets: Iterable[Resource], there: Mapping[Address, Resource], problems: Mapping[str, str]
) -> Iterator[tuple[Any, Any]]:
    """Of each set itself, or why it cannot be told."""
    for thing in sets:
        name, type_ = label(thing.address.name), rtype(thing.address.name)
        values = [_known(value, there) for value in thing.get("values")]
        missing = [value for value in values if isinstance(value, Computed)]
        if missing:
            why = problems.get(missing[0].address.provider, "its key is made by the first apply; then ask again")
            yield None, (name, type_, why)
        else:
            ttl = thing.attributes.get("ttl", thing.initial.get("ttl", TTL))
            yield (name, type_, ttl, tuple(values)), None


def _known(value: Value, there: Mapping[Address, Resource]) -> Value:
    return known(value, there) if isinstance(value, Computed) else value


def _absent(compiled: Compiled, domain: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for address, of_domain in compiled.absent.items():
        if of_domain == domain and address.kind == "record":
            values = tuple(sorted(compiled.stale.get(address, ())))
            yield label(address.name), rtype(address.name), values
