"""Checks over domains that enter a mail server: control of each is shown, in public, by whoever runs its DNS.

From then on our server keeps all mail that our clients write to the domain. So its public delegation or its MX points
to us, or TXT `_reconciler.<domain>` holds the tenant's id. A zone on our own name server shows nothing: anybody can
have one made, and only the delegation says that the world asks it. What the ledger has was judged when it entered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler import canonical
from reconciler.answers import Answer
from reconciler.findings import Origin, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.agency import Agency
    from reconciler.answers import Answers, Question
    from reconciler.changes import TenantPlan
    from reconciler.findings import Finding

PROOF = "_reconciler"  # in front of a domain: there a TXT says which tenant holds it

FOREIGN = Rule(
    "DN046",
    "error",
    "Public DNS shows that the domain is somebody else's",
    "Have TXT `_reconciler.DOMAIN` with the tenant's id published there. Or, if the agency knows better, `accept` it "
    "in reconciler.yaml; one in control.yaml does not count.",
    why="Once the domain is on our mail server, all that our clients write to it stays here: mail meant for somebody "
    "else, who never learns of it.",
)
UNPROVEN = Rule(
    "DN047",
    "warning",
    "Unproven: nothing in public DNS shows that the domain is the tenant's",
    "Ask for TXT `_reconciler.DOMAIN` with the tenant's id, or see for yourself that the client holds the domain.",
    why="From the apply on our mail server keeps all that our clients write to the domain. Nothing is refused, because "
    "a domain may be new, or DNS out of reach; a person has to know whose it is.",
)
_UNASKED = Answer("failed")


class _Claim(NamedTuple):
    """A domain that a tenant's plan brings to a mail server."""

    tenant: str
    domain: str
    zone: str  # that its records are kept in: its own, or one above
    origin: Origin


def wanted(
    plans: Sequence[TenantPlan], answers: Answers, agency: Agency, _domains: Mapping[str, str]
) -> Iterator[Question]:
    """What is to be asked for: of each domain that enters its delegation, then its proof and its MX.

    Where the delegation leads to us nothing else is asked: what the plan is about to publish in that zone is not there
    yet, and a resolver that is asked too early keeps for a while that there is nothing (RFC 2308).
    """
    servers = _name_servers(agency)
    for claim in _claims(plans):
        *others, delegation = _questions(claim, answers)
        yield delegation
        if delegation in answers and not servers & _hosts(answers[delegation]):
            yield from others


def check(
    plans: Sequence[TenantPlan], answers: Answers, agency: Agency, _domains: Mapping[str, str]
) -> Iterator[tuple[str, Finding]]:
    """(tenant, finding)."""
    exchangers, servers = agency.exchangers, _name_servers(agency)
    for claim in _claims(plans):
        seen = _Seen(*(answers.get(question, _UNASKED) for question in _questions(claim, answers)))
        if claim.tenant in seen.proof.values or exchangers & _hosts(seen.mx) or servers & _hosts(seen.ns):
            continue
        if _hosts(seen.mx) and _hosts(seen.ns) and seen.proof.status != "failed":
            yield claim.tenant, FOREIGN.at(claim.domain, seen.told(claim), claim.origin)
        elif not canonical.reserved(claim.domain) or any(answer.values for answer in seen):
            yield claim.tenant, UNPROVEN.at(claim.domain, seen.told(claim), claim.origin)


class _Seen(NamedTuple):
    """What public DNS says of a domain: its proof, its MX, and the NS of the zone that it lies in."""

    proof: Answer
    mx: Answer
    ns: Answer

    def told(self, claim: _Claim) -> str:
        if any(answer.status == "failed" for answer in self):
            return "DNS did not answer, or not all that was asked."
        if self.mx.status == "nxdomain":
            return "Public DNS has no such domain."
        mx, ns = _named(self.mx), _named(self.ns)
        mail = f"Its mail goes to {mx}" if mx else "It has no MX"
        zone = f"its zone is at {ns}" if ns else "nothing shows its zone"
        return f"{mail}, {zone}, and no TXT at {PROOF}.{claim.domain} says `{claim.tenant}`."


def _questions(claim: _Claim, answers: Answers) -> tuple[Question, Question, Question]:
    """What shows whose a domain is, as far as is known yet: as in `_Seen`."""
    return (f"{PROOF}.{claim.domain}", "TXT"), (claim.domain, "MX"), _delegation(claim.zone, answers)


def _claims(plans: Sequence[TenantPlan]) -> Iterator[_Claim]:
    """The domains that a plan makes on a mail server, or adopts there, and that no ledger has."""
    for plan in plans:
        had = {address.name for lines in plan.given.values() for address in lines if address.kind == "domain"}
        had |= {later.address.name for later in plan.later if later.address.kind == "domain"}
        had |= {c.address.name for c in plan.changes if c.kind.name == "domain" and c.base is not None}
        made = [(c.address, c.origin or Origin("")) for c in plan.changes if c.aim is not None]
        made += [
            (step.address, Origin(step.entry.file, ("domain",), step.entry.line, 1))
            for step in plan.steps
            if step.what == "adopt" and step.entry is not None
        ]
        above = {scope.domain: scope.zone for _, scope in plan.scopes if scope.zone != scope.domain}
        for address, origin in made:
            if address.kind == "domain" and address.name not in had:
                yield _Claim(plan.tenant, address.name, above.get(address.name, address.name), origin)


def _delegation(domain: str, answers: Answers) -> Question:
    """The NS of the zone that a domain lies in: at the nearest name above that has any, as far as is known yet."""
    name, above = domain, domain.partition(".")[2]
    while "." in above and answers.get((name, "NS"), _UNASKED).status in {"empty", "nxdomain"}:
        name, above = above, above.partition(".")[2]
    return name, "NS"


def _name_servers(agency: Agency) -> frozenset[str]:
    """The name servers of our zones, as the DNS providers name them."""
    sides = agency.providers.values()
    return frozenset(_host(value) for _, settings in sides for value in settings.get("nameservers", ()))


def _hosts(answer: Answer) -> frozenset[str]:
    """The hosts that an answer names; that of a null MX (RFC 7505) is none."""
    return frozenset(filter(None, map(_host, answer.values)))


def _host(value: str) -> str:
    """The host of an MX or NS value."""
    return canonical.domain(value.rpartition(" ")[2])


def _named(answer: Answer) -> str:
    """The first of the hosts, and how many more; empty where there is none."""
    hosts = sorted(_hosts(answer))
    more = f" and {len(hosts) - 1} more" if len(hosts) > 1 else ""
    return f"{hosts[0]}{more}" if hosts else ""
