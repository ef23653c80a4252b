"""Limits: how much one run may take away without a person's word, per tenant and kind, and over all tenants.

They pair a count with a share of what the ledger has: whichever allows more. A mistake is rarely one thing, and a
mistake of a script is never. The same numbers say when an answer of a provider is too short to be believed: what one
run may not take away does not go missing by itself.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from reconciler.changes import Unread
from reconciler.findings import Origin, Rule, accepted, lifted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from reconciler.changes import Change, Facts, Step
    from reconciler.checks.planned import Compared
    from reconciler.findings import Finding
    from reconciler.model import Address, Entry, State

_ACCEPT = "If it is meant, accept it by its number: an `accept` entry with this code and subject and `up_to` in {}."
_HERE = _ACCEPT.format("control.yaml (reconciler.yaml for a tenant that is gone)")
REMOVALS = Rule(
    "PL101",
    "error",
    "More would be taken away than one run may",
    _HERE,
    why="A file cut short or a slip of a script takes many mailboxes at once, and a client's staff cannot log in.",
)
PURGES = Rule(
    "PL102",
    "error",
    "More would be purged than one run may",
    _HERE,
    why="A purge deletes mail for good: only a backup brings it back.",
)
PER_RUN = Rule(
    "PL103",
    "error",
    "All tenants together would lose too much",
    _ACCEPT.format("reconciler.yaml"),
    why="A slip in a shared file takes a little of every client, below each one's limit, and much of all together.",
)
FAN_OUT = Rule(
    "PL104",
    "error",
    "An edit for all reaches too many domains at once",
    "Say `rollout` in reconciler.yaml, so that canaries go first. " + _ACCEPT.format("reconciler.yaml"),
    why="A mistake in a template, server or provider would break all clients' mail in the same minute.",
)

_UNNAMED = {"count": 2, "share": "10%"}  # of a kind that `limits` does not name
_PLURALS = {"mailbox": "mailboxes", "alias": "aliases", "dkim_key": "DKIM keys", "dkim_signing": "DKIM signings"}


def allowed(said: Mapping[str, Any], has: int) -> int:
    """What a limit comes to where the ledger has so many: its count or its share, rounded down, whichever is more."""
    count, share = int(said.get("count", 0)), int(said.get("share", "0%")[:-1])
    return max(count, has * share // 100)


def taken(
    compared: Compared, steps: Iterable[Step], read: AbstractSet[tuple[str, str]], facts: Facts
) -> frozenset[Address]:
    """What declared changes take away: they retire, delete or let go.

    What somebody removed already is not taken away, and neither is what moves to another tenant.
    """
    found = {change.address for change in compared.changes if change.action in {"retire", "delete"}}
    found |= {step.address for step in steps if step.what == "retire"}
    for address in (step.address for step in steps if step.what == "forget"):
        line = compared.base.get(address)
        if line is not None and not line.absent and line.domain not in facts.moved:
            gone = (address.provider, line.domain) in read and address not in compared.there
            found |= set() if gone else {address}
    return frozenset(found)


def check(
    tenant: str, compared: Compared, removed: AbstractSet[Address], due: Iterable[Change], facts: Facts
) -> Iterator[Finding]:
    """The limits of one tenant: `removed` is what is taken away, as `taken` says, and purges are among what is `due`.

    Else what is due was reviewed when its lines were: only a purge, which cannot be brought back, is counted again.
    """
    purged = {change.address for change in due if change.action == "purge"}
    yield from _over(REMOVALS, tenant, compared, removed, facts)
    yield from _over(PURGES, tenant, compared, purged, facts)


def _most(rule: Rule, kind: str, has: int, facts: Facts) -> int | None:
    """How many of a kind may go; None: any number."""
    said = facts.limits.get("removals" if rule is REMOVALS else "purges", {})
    if kind not in said and rule is PURGES:
        return None
    return allowed(said.get(kind, _UNNAMED), has)


def _over(rule: Rule, tenant: str, compared: Compared, going: AbstractSet[Address], facts: Facts) -> Iterator[Finding]:
    has, would = _by_kind(_had(compared.base) if going else ()), "would go" if rule is REMOVALS else "would be purged"
    for kind, count in sorted(_by_kind(going).items()):
        most = _most(rule, kind, has[kind], facts)
        if most is not None and count > most:
            what = f"{_of(count, has[kind], kind)} {would}; {_are(most)} allowed."
            yield rule.at(f"{tenant}/{kind}", what, _line(going, kind, compared.base))._replace(number=count)


def _had(base: Mapping[Address, Entry]) -> list[Address]:
    return [address for address, line in base.items() if not line.absent]


def _by_kind(addresses: Iterable[Address]) -> Counter[str]:
    return Counter(address.kind for address in addresses)


def _of(count: int, has: int, kind: str) -> str:
    return f"{count} of {has} {_PLURALS.get(kind, f'{kind}s')}"


def _are(number: int) -> str:
    return f"{number} {'is' if number == 1 else 'are'}"


def _line(addresses: Iterable[Address], kind: str, base: Mapping[Address, Entry]) -> Origin:
    """The line of the first of them that the ledger knows."""
    lines = (base[address] for address in sorted(addresses) if address.kind == kind and address in base)
    return next((Origin(line.file, line=line.line) for line in lines), Origin(""))


def short(
    tenant: str, base: Mapping[Address, Entry], there: State, read: AbstractSet[tuple[str, str]], facts: Facts
) -> Iterator[tuple[Unread, Finding]]:
    """The answers in which more of what the ledger has is missing than one run may take away.

    They are not whole, unless an acceptance lifts the finding: then it is as they say.
    """
    missing = [a for a in base.keys() - there.keys() if not base[a].absent and (a.provider, base[a].domain) in read]
    has = _by_kind(_had(base) if missing else ())
    for (provider, kind), count in sorted(Counter((a.provider, a.kind) for a in missing).items()):
        most = allowed(facts.limits.get("removals", {}).get(kind, _UNNAMED), has[kind])
        if count > most:
            what = f"{_of(count, has[kind], kind)} that the ledger has are not in its answer, {_are(most)} allowed"
            how = f"if they are really gone, accept {REMOVALS.code} of {tenant}/{kind} with `up_to: {count}`"
            found = REMOVALS.at(f"{tenant}/{kind}", f"At {provider} {what}.", _line(missing, kind, base))
            unread = Unread(provider, kind, f"{what} to be missing: it is not taken as whole; {how}")
            yield unread, found._replace(number=count)


def is_lifted(finding: Finding, facts: Facts) -> bool:
    """Whether an acceptance in force reaches as far as what is found."""
    most = lifted(facts.accept, finding.code, finding.subject, facts.today)
    return finding.number is not None and most >= finding.number


def over_all(
    removed: Mapping[str, int], reached: Mapping[str, int], agency: Mapping[str, Any], today: str
) -> Iterator[tuple[str, Finding]]:
    """(tenant, finding) of what all plans come to together; only reconciler.yaml, which is `agency`, can accept it.

    `removed` is how many things each tenant loses, `reached` how many of its domains an edit of the agency's moves.
    """
    said = agency.get("limits", {})
    yield from _together(PER_RUN, "removals", removed, said.get("per_run", {}), agency, today)
    if "rollout" not in agency:
        yield from _together(FAN_OUT, "domains", reached, said.get("fan_out", {}), agency, today)


def _together(
    rule: Rule, what: str, each: Mapping[str, int], said: Mapping[str, int], agency: Mapping[str, Any], today: str
) -> Iterator[tuple[str, Finding]]:
    concerned = sorted(tenant for tenant, count in each.items() if count)
    count, key = sum(each.values()), "per_run" if rule is PER_RUN else "fan_out"
    if what in said and count > said[what]:
        of = f"{count} {what} in {len(concerned)} tenant{'s' * (len(concerned) > 1)}; {_are(said[what])} allowed."
        found = rule.at(f"{key}/{what}", of, Origin("reconciler.yaml", ("limits", key, what)))._replace(number=count)
        for finding in accepted([found], agency.get("accept", ()), today):
            yield from ((tenant, finding) for tenant in concerned)
