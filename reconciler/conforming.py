"""`baseline`: every domain's standing, from Git and public DNS; and the policy site of MTA-STS, from Git alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import mta_sts
from reconciler.baseline import Estate, Sets, standing, wanted
from reconciler.facts import Resolver
from reconciler.kinds.record import tag
from reconciler.naming import domain_meant
from reconciler.request import differing
from reconciler.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.answers import Answers
    from reconciler.compile import Compiled
    from reconciler.findings import Finding
    from reconciler.request import Request
    from reconciler.results import Standing


class Standings(NamedTuple):
    """Of each domain asked for its tenant and how it stands; why some tenants are not told of."""

    commit: str
    as_of: str
    domains: tuple[tuple[str, Standing], ...]
    findings: tuple[Finding, ...]
    differing: tuple[str, ...] = ()


def baseline(request: Request, domain: str) -> Standings:
    """All domains of the tenants asked for, or one. Raises InputError and ReconcilerError."""
    with Session.asking(request) as session:
        asked = _asked(session, domain)
        parts = session.over_tenants(lambda names: _sets(session, names, asked))
        found = [pair for sets, _ in parts for pair in sets]
        bad = [finding for _, some in parts for finding in some]
        answers: Answers = {}
        resolver = Resolver(networks=session.systems.networks)
        for _ in range(2):  # who must permit a policy's reports is asked once the policy is known
            fresh = {q for _, sets in found for q in wanted(sets, answers)} - answers.keys()
            answers = {**answers, **resolver.ask(fresh)}
        told = tuple((tenant, standing(sets, answers)) for tenant, sets in found)
        commit, today, names = session.estate.commit, session.today, session.names
    with differing(request._replace(tenants=names if domain else request.tenants)) as differs:
        return Standings(commit, today, told, tuple(bad), tuple(differs()))


def _asked(session: Session, domain: str) -> str:
    if not domain:
        return ""
    found = domain_meant(session, domain)
    session.names = (found.tenant,)
    return found.name


Part = tuple[list[tuple[str, Sets]], list["Finding"]]


def _sets(session: Session, names: Sequence[str], asked: str) -> list[Part]:
    """Of some tenants what is declared, or why that cannot be said."""
    policies = {id_: mta_sts.policy(*said) for id_, said in mta_sts.policies(session.estate.agency.servers).items()}
    estate, parts = Estate(session.estate.domains, policies), list[Part]()
    for tenant, compiled in session.compiled([name for name in names if session.estate.has(name)]):
        bad = [f for f in compiled.findings if f.severity == "error" and f.is_input]
        if bad:
            parts.append(([], bad))
            continue
        dns = {scope.domain for name, scope in compiled.scopes if session.estate.agency.providers[name][0] == "dns"}
        domains = [name for name in sorted(tenant.files.domains) if asked in {"", name}]
        of = {name: [thing for thing in compiled.state.values() if thing.domain == name] for name in domains}
        parts.append(([(compiled.tenant, Sets(name, of[name], estate, ours=name in dns)) for name in domains], []))
    return parts


def policy_site(request: Request) -> tuple[dict[str, bytes], list[str]]:
    """({path: content} of the files that answer for the policies that records announce, what is not committed).

    A web server with a certificate for each `mta-sts.<domain>` serves them (RFC 8461, 3.3).
    """
    with Session.asking(request) as session:
        policies = mta_sts.policies(session.estate.agency.servers)
        parts = session.over_tenants(lambda names: [dict(_policies(c, policies)) for _, c in session.compiled(names)])
        files = {path: content for part in parts for path, content in part.items()}
    with differing(request) as differs:
        return files, differs()


def _policies(compiled: Compiled, policies: dict[str, tuple[str, Sequence[str]]]) -> Iterator[tuple[str, bytes]]:
    for address, thing in compiled.state.items():
        name: Any = address.name.removeprefix("TXT/_mta-sts.")
        for value in thing.get("values") if address.kind == "record" and name != address.name else ():
            known = policies.get(value.rpartition("id=")[2].strip("; ")) if tag(value) == "v=stsv1" else None
            if known is not None:
                yield f"mta-sts.{name}{mta_sts.WELL_KNOWN}", mta_sts.policy(*known).encode()
