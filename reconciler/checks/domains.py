"""Checks over whose a domain is: one below another tenant's is delegated, and what everybody shares is nobody's.

The nearest declared domain above is the one that counts, as with zones: what lies below a domain that was delegated is
that tenant's to delegate. What public DNS says of a domain is for `claiming`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import canonical
from reconciler.checks.mailbox_providers import DOMAINS
from reconciler.findings import Origin, Rule, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence

    from reconciler.files import Files
    from reconciler.findings import Finding

    Delegates = Callable[[str], Mapping[str, str] | None]

NOT_DELEGATED = Rule(
    "DN040",
    "error",
    "A domain below another tenant's",
    "Have control.yaml of the tenant above say `delegates: {DOMAIN: TENANT}`, or take the domain out.",
    why="Who holds a domain may hold all names below it. A tenant that takes one of them takes mail and records that "
    "the other believes to be its own; only that other one can give it away.",
)
NO_TENANT = Rule(
    "DN041",
    "warning",
    "Delegated to a tenant that is not there",
    "Correct the name, or take the line out.",
    why="The line gives nothing to anybody today, and a domain to whoever gets a tenant of that name tomorrow.",
)
NOT_OURS = Rule(
    "DN042",
    "warning",
    "Delegates what is not below a domain of its own",
    "Correct the name, or take the line out.",
    why="Only the tenant that holds the nearest domain above can delegate; here the line has no effect.",
)
UNUSED = Rule(
    "DN043",
    "info",
    "A delegation that nobody uses",
    "Take the line out, unless it is there for a change to come.",
    why="It lets the other tenant take the domain at any time, without a word from the tenant above.",
)
PUBLIC = Rule(
    "DN044",
    "error",
    "A public suffix is nobody's domain",
    "Write the domain that was registered: a public suffix and one name in front of it.",
    why="Anybody can register below it. As a domain of ours it would take every client's mail to it, and count as ours "
    "what is other people's. No acceptance lifts this.",
)
PROVIDER = Rule(
    "DN045",
    "error",
    "A mailbox provider's domain is not ours",
    "Take it out; to send mail there, write the full address under `forwards`.",
    why="A mail server that holds gmail.com delivers all mail for it at home: what any client writes to anybody there "
    "ends with us. No acceptance lifts this.",
)


def check(
    files: Files, domains: Mapping[str, str], tenants: Collection[str], delegates: Delegates, public: Container[str]
) -> Iterator[Finding]:
    """Every finding of this theme. `domains` says which tenant each domain of the estate belongs to.

    `delegates` gives {domain: tenant} of a tenant's control.yaml, None where it cannot be read; `public` holds those
    domains of this tenant that are public suffixes.
    """
    for stem in files.domains:
        origin = Origin(f"{files.folder}/domains/{stem}.yaml", ("domain",))
        yield from everybodys(stem, public, origin)
        upper = above(stem, domains)
        if upper is not None and domains[upper] != files.tenant:
            yield from _below(files.tenant, stem, upper, domains[upper], delegates, origin)
    if "delegates" in files.control:
        yield from _delegations(files, domains, tenants)


def shared(names: Sequence[str], public: Container[str], origin: Origin) -> Iterator[Finding]:
    """What everybody shares among listed names; each item's place is its index below `origin`."""
    for index, name in enumerate(names):
        yield from everybodys(canonical.domain(name), public, origin._replace(path=(*origin.path, index)))


def everybodys(domain: str, public: Container[str], origin: Origin) -> Iterator[Finding]:
    """A public suffix, or the domain of a mailbox provider."""
    if domain in DOMAINS:
        yield PROVIDER.at(domain, f"{domain} has mailboxes for the public.", origin)
    elif domain in public:
        yield PUBLIC.at(domain, f"{domain} is on the Public Suffix List.", origin)


def above(domain: str, domains: Container[str]) -> str | None:
    """The nearest declared domain above a domain, if any."""
    return canonical.nearest(domain.partition(".")[2], domains)


def _below(
    tenant: str, domain: str, upper: str, holder: str, delegates: Delegates, origin: Origin
) -> Iterator[Finding]:
    said = delegates(holder)
    if said is None:
        what = f"Unknown whether {holder} delegates it: tenants/{holder}/control.yaml cannot be read."
        yield NOT_DELEGATED.at(domain, what, origin)._replace(severity="info")
    elif said.get(domain) != tenant:
        instead = f"delegates it to {said[domain]}, not to {tenant}" if domain in said else "does not delegate it"
        yield NOT_DELEGATED.at(domain, f"{upper} is a domain of the tenant {holder}, which {instead}.", origin)


def _delegations(files: Files, domains: Mapping[str, str], tenants: Collection[str]) -> Iterator[Finding]:
    """What is wrong with the lines of a tenant that delegates."""
    for name, heir in files.control["delegates"].items():
        domain, origin = canonical.domain(name), Origin(f"{files.folder}/control.yaml", ("delegates", name))
        upper = above(domain, domains) if len(domain) < 254 else None
        holder = domains.get(domain)
        if upper is None or domains[upper] != files.tenant:
            whose = f"The nearest above it is {upper}, of {domains[upper]}." if upper else "No domain is above it."
            yield NOT_OURS.at(domain, whose, origin)
        elif heir not in tenants:
            yield NO_TENANT.at(domain, f"There is no tenants/{heir}.{did_you_mean(heir, tenants)}", origin)
        elif holder != heir:
            yield UNUSED.at(domain, f"{heir} does not hold {domain}, {holder or 'nobody'} does.", origin)
