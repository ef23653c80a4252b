"""Checks over DMARC as it is declared (RFC 7489): its form, what weakens it, whether its reports may go there."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from reconciler import canonical
from reconciler.checks.places import place
from reconciler.findings import Rule, did_you_mean
from reconciler.kinds.record import label, tag
from reconciler.model import Address
from reconciler.tags import tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.files import Files
    from reconciler.findings import Finding
    from reconciler.model import Resource, State

INVALID = Rule(
    "DN020",
    "error",
    "DMARC that receivers do not take",
    "Correct it: `v=DMARC1; p=none|quarantine|reject; rua=mailto:ADDRESS`.",
    why="A record that is not understood counts as none: forged mail is delivered, and no report says so.",
)
WEAKER = Rule(
    "DN021",
    "warning",
    "DMARC protects less than its `p` says",
    "Take the tag out, or correct it.",
    why="Forgers take the gap: a subdomain that is let off, or the share of messages that is not judged. A tag that "
    "receivers do not know they pass over without a word.",
)
UNWANTED = Rule(
    "DN024",
    "warning",
    "DMARC reports go where nobody said that they may",
    "Have whoever runs that domain publish it, or send the reports to an address of this domain.",
    why="A receiver sends reports to another domain only if that domain publishes "
    "`<domain>._report._dmarc.<other domain>` (RFC 7489, 7.1); else they are dropped, and the ladder is climbed blind.",
)
RUNGS = ("none", "quarantine", "reject")
_FORMS = {
    "v": "DMARC1",
    "p": "none|quarantine|reject",
    "sp": "none|quarantine|reject",
    "np": "none|quarantine|reject",
    "adkim": "r|s",
    "aspf": "r|s",
    "pct": "100|[0-9]{1,2}",
    "ri": "[0-9]{1,10}",
    "fo": "[01ds](?::[01ds])*",
    "rf": "[a-z0-9:-]+",
    "psd": "y|n|u",
    "t": "y|n",
    "rua": ".*",
    "ruf": ".*",
}
_PATTERNS = {name: re.compile(form, re.ASCII | re.IGNORECASE * (name != "v")) for name, form in _FORMS.items()}
_URI = re.compile(
    r"mailto:[^@\s,!;]+@((?:[a-z0-9_-]+\.)+[a-z0-9-]+)(?:![0-9]+[kmgt]?)?|(?!mailto:)[a-z][a-z0-9+.-]*:[^\s,!;]+",
    re.IGNORECASE,
)


class Policy:
    """What a DMARC value says, and in `faults` what is wrong with it, as phrases."""

    def __init__(self, value: str) -> None:
        self.faults: list[str] = []
        try:
            self.said = tags(value)
        except ValueError as error:
            self.said, self.faults = {}, [str(error)]
            return
        names = list(self.said)
        if names[0] != "v":
            self.faults.append("it does not begin with `v=DMARC1`")
        if "p" not in names:
            self.faults.append(f"it has no `p`{did_you_mean('p', [n for n in names if n not in _FORMS])}")
        for name, text in self.said.items():
            if name in _PATTERNS and not _PATTERNS[name].fullmatch(text):
                self.faults.append(f"`{name}={text}` is not one of {_FORMS[name].replace('|', ', ')}")
        for name in ("rua", "ruf"):
            bad = [uri for uri in self._uris(name) if not _URI.fullmatch(uri)]
            self.faults += [f"`{uri}` in `{name}` is no address such as `mailto:dmarc@a.example`" for uri in bad]

    def _uris(self, name: str) -> list[str]:
        return [uri.strip() for uri in self.said[name].split(",")] if name in self.said else []

    @property
    def rung(self) -> str:
        """How far it goes for the domain itself."""
        return self.said.get("p", "none").lower()

    @property
    def below(self) -> str:
        """How far it goes for subdomains."""
        return self.said.get("sp", self.rung).lower()

    @property
    def is_tested(self) -> bool:
        """Whether receivers shall do one rung less than it says (RFC 9989, 4.7); older ones do not know the tag."""
        return self.said.get("t", "n").lower() == "y"

    @property
    def destinations(self) -> list[str]:
        """The domains that reports go to."""
        matches = [_URI.fullmatch(uri) for name in ("rua", "ruf") for uri in self._uris(name)]
        return list(dict.fromkeys(m[1].lower() for m in matches if m and m[1] and len(m[1]) < 254))

    @property
    def weak(self) -> list[str]:
        """What makes it weaker than its `p`, as phrases."""
        found = [f"receivers do not know `{name}`" for name in self.said if name not in _FORMS]
        if list(self.said)[1:2] != ["p"]:
            found.append("`p` does not stand directly after `v=DMARC1`, where RFC 7489 looks for it")
        if int(self.said.get("pct", "100")) < 100 and self.rung != "none":
            found.append(f"`pct={self.said['pct']}` leaves the rest of the messages alone")
        if self.is_tested and {self.rung, self.below} != {"none"}:
            found.append(f"`t={self.said['t']}` asks receivers to do one rung less")
        for name in ("sp", "np"):
            given = self.said.get(name, self.rung).lower()
            if RUNGS.index(given) < RUNGS.index(self.rung):
                found.append(f"`{name}={given}` lets subdomains off that `p={self.rung}` would hold")
        return found


@lru_cache(maxsize=4096)  # most values are the template's
def policy(value: str) -> Policy:
    """What a DMARC value says."""
    return Policy(value)


def at_home(name: str) -> str | None:
    """The domain whose policy is looked for at a host name; None where nobody looks for one."""
    first, _, domain = name.partition(".")
    return domain if first == "_dmarc" else None


def check(files: Files, texts: Iterable[Resource], state: State, domains: Mapping[str, str]) -> Iterator[Finding]:
    """Every finding. `texts` are the TXT sets of `state`; `domains` maps those of the estate to tenants."""
    for resource in texts:
        if at_home(label(resource.address.name)):
            for value in resource.get("values"):
                if isinstance(value, str):
                    yield from _record(files, resource, value, state, domains)


def _record(
    files: Files, resource: Resource, value: str, state: State, domains: Mapping[str, str]
) -> Iterator[Finding]:
    said, name = policy(value), label(resource.address.name)
    faults = said.faults if tag(value) == "v=dmarc1" else ["it does not begin with `v=DMARC1;`"]
    if faults:
        what = f"{name} says `{value}`: {'; '.join(faults)}."
        yield INVALID.at(resource.address.name, what, place(files, resource, value))
        return
    if said.weak:
        yield WEAKER.at(resource.address.name, f"{'; '.join(said.weak)}.", place(files, resource, value))
    for permission in permissions(name, value, domains):
        other = permission.partition("._report._dmarc.")[2]
        if holder(other, domains) == files.tenant and not _permitted(permission, resource, state):
            what = f"{other} has no TXT `v=DMARC1` at {permission}."
            yield UNWANTED.at(resource.address.name, what, place(files, resource, value))


def permissions(name: str, value: str, domains: Mapping[str, str]) -> list[str]:
    """The names at which other domains must say that they take the reports of the policy at a host name."""
    domain = at_home(name) or ""
    return [
        f"{domain}._report._dmarc.{other}"
        for other in policy(value).destinations
        if not _one_house(domain, other, domains)
    ]


def holder(name: str, domains: Mapping[str, str]) -> str | None:
    """The tenant of the nearest domain of the estate at or above a name."""
    found = canonical.nearest(name, domains)
    return domains[found] if found else None


def _one_house(one: str, two: str, domains: Mapping[str, str]) -> bool:
    """Whether two names lie in one organisation: one above the other, or both below one domain of the estate."""
    above = set(_above(one))
    return one in _above(two) or two in above or any(name in domains for name in above.intersection(_above(two)))


def _above(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[start:]) for start in range(len(parts) - 1)]


def _permitted(permission: str, resource: Resource, state: State) -> bool:
    wildcard = f"*.{permission.partition('.')[2]}"
    other = permission.partition("._report._dmarc.")[2]
    for name in (permission, wildcard, f"*._report._dmarc.{other}"):
        found = state.get(Address(resource.address.provider, "record", f"TXT/{name}"))
        if found is not None and any(tag(text) == "v=dmarc1" for text in found.get("values")):
            return True
    return False
