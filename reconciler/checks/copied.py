"""Checks over what was copied from another tenant: its domains in a value, a token or a key that is its own.

Tenants are islands. A record that was pasted from another client's file lets that client's servers send, or proves
this domain to a service as if it were that client's. What the agency's own facts name is everybody's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.findings import Origin, Rule
from reconciler.kinds.record import tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.agency import Agency
    from reconciler.files import Files
    from reconciler.findings import Finding

FOREIGN = Rule(
    "DN037",
    "error",
    "A value names another tenant's domain",
    "Write this tenant's own; or accept it: an `accept` entry with this code and subject.",
    why="It was most likely copied. The other client could then send, or read, what is this one's; and when that "
    "domain is let go, whoever takes it can.",
)
COPIED = Rule(
    "DN038",
    "error",
    "A value that another tenant has too",
    "Get this tenant's own from whoever issued it; or accept it: an `accept` entry with this code and subject.",
    why="A token or a key belongs to one account. Copied, it proves this domain to a service under the other client's "
    "name, or lets the holder of one key sign for both.",
)
_WORD = re.compile(r"[a-z0-9_.-]+", re.IGNORECASE)
_QUOTED = re.compile("`: ")  # ends what `alike` quotes
_LEAST = 12  # letters: what is shorter may be the same by chance
Own = tuple[str, str, Origin]  # a text, the record (the domain, the tenant) it stands in, where
_TYPES = frozenset({"CNAME", "MX", "SRV", "TXT"})


def check(files: Files, agency: Agency, domains: Mapping[str, str]) -> Iterator[Finding]:
    """Every finding of this theme that one tenant's own files show. `domains` maps those of the estate to tenants."""
    if len(domains) < 2:
        return
    for text, subject, origin in _written(files):
        for host in _hosts(text):
            nearest = canonical.nearest(host, domains)
            if nearest and domains[nearest] != files.tenant and nearest not in _shared(agency, domains):
                what = f"`{text[:80]}` names {host}, of the tenant {domains[nearest]}."
                yield FOREIGN.at(subject, what, origin)
                break


def _written(files: Files) -> Iterator[Own]:
    """The values that a tenant's files hold: its records', and its parameters', which hold for all its domains or one.

    Those under `defaults` in reconciler.yaml are the agency's word, for everybody.
    """
    yield from _parameters(files.control, files.tenant, f"{files.folder}/control.yaml")
    for domain, said in files.dns.items():
        file = f"{files.folder}/dns/{domain}.yaml"
        for index, record in enumerate(said.get("records", ())):
            for item, text in enumerate(record.get("values", ()) if record["type"] in _TYPES else ()):
                yield text, _subject(record, domain), Origin(file, ("records", index, "values", item))
        yield from _parameters(said, domain, file)


def _parameters(said: Mapping[str, Any], subject: str, file: str) -> Iterator[Own]:
    for key, given in said.get("with", {}).items():
        for item, text in enumerate(given if isinstance(given, list) else [given]):
            if isinstance(text, str):
                yield text, subject, Origin(file, ("with", key, item) if isinstance(given, list) else ("with", key))


def _subject(record: Mapping[str, Any], domain: str) -> str:
    relative = canonical.domain(record["name"])
    return f"{record['type']}/{domain if relative == '@' else f'{relative}.{domain}'}"


def _hosts(text: str) -> list[str]:
    """The words of a text that may be host names."""
    words = (word.strip(".-") for word in _WORD.findall(text.lower()))
    return [word for word in words if "." in word and len(word) < 254]


def _shared(agency: Agency, domains: Mapping[str, str]) -> frozenset[str]:
    """The domains that the agency's own facts name: what lies there is everybody's."""
    facts = (text for server in agency.servers.values() for given in server.values() for text in _texts(given))
    hosts = {host for text in facts for host in _hosts(text)} | agency.inside
    return frozenset(found for found in (canonical.nearest(host, domains) for host in hosts) if found)


def _texts(given: Any) -> Iterator[str]:
    yield from ([given] if isinstance(given, str) else (text for text in given if isinstance(text, str)))


def literals(files: Files) -> Iterator[Own]:
    """What a tenant wrote that is nobody else's: tokens and keys."""
    for domain, said in files.dns.items():
        file = f"{files.folder}/dns/{domain}.yaml"
        for index, record in enumerate(said.get("records", ())):
            for item, text in enumerate(record.get("values", ()) if record["type"] == "TXT" else ()):
                if len(text) >= _LEAST and tag(text) in {None, "v=dkim1"}:
                    yield text, _subject(record, domain), Origin(file, ("records", index, "values", item))


def alike(found: Iterable[tuple[str, Iterable[Own]]]) -> Iterator[tuple[str, Finding]]:
    """(tenant, finding) for each value that more than one tenant has; `found` are (tenant, its literals)."""
    holders: dict[str, dict[str, list[Own]]] = {}
    for tenant, some in found:
        for literal in some:
            holders.setdefault(literal[0], {}).setdefault(tenant, []).append(literal)
    for tenants in holders.values():
        for tenant, mine in tenants.items() if len(tenants) > 1 else ():
            others = sorted(tenants.keys() - {tenant})
            more = f" and {len(others) - 3} more" if len(others) > 3 else ""
            for text, subject, origin in mine:
                what = f"{_quoted(text)}: {', '.join(others[:3])}{more} has it too."
                yield tenant, COPIED.at(subject, what, origin)


def held(findings: Iterable[Finding], earlier: Iterable[Own]) -> list[Finding]:
    """Those of `alike` that are of what a tenant wrote earlier already: it is the other one who copied."""
    said = {(subject, f"{_quoted(text)}: ") for text, subject, _ in earlier}
    mine = (f for f in findings if f.code == COPIED.code)
    return [f for f in mine if any((f.subject, f.detail[: end.end()]) in said for end in _QUOTED.finditer(f.detail))]


def _quoted(text: str) -> str:
    return f"`{text[:60]}{' …' if len(text) > 60 else ''}`"
