"""A domain's record sets: the template's, overlaid with the DNS file's own, and the DKIM keys' records."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.estate_rules import NOT_ALONE
from reconciler.findings import Origin, Rule
from reconciler.kinds import dkim_key, record
from reconciler.model import Address, Computed, Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.kinds.site import Site

BAD_VALUE = Rule(
    "IN210",
    "error",
    "Not a valid record value",
    "Correct the value; RFC 1035 and the type's own RFC say its form.",
    why="Servers refuse to load a zone with such a value, and then no name of the domain resolves.",
)
BAD_LABEL = Rule(
    "IN211",
    "error",
    "Record name outside the domain",
    "Write names relative to the domain: `@`, `www`, `_dmarc`.",
    why="It would stand at a name like `www.a.example.a.example`, where nobody asks, and the name that was "
    "meant stays empty.",
)
SECOND_TAG = Rule(
    "IN212",
    "error",
    "Two values of one version tag",
    "A name has one SPF, DMARC or DKIM value: merge them, or say `mode: replace`.",
    why="Two SPF values at a name are an error to receivers, two DMARC values count as none: mail is "
    "rejected, or forged freely.",
)
NO_MODE = Rule(
    "IN213",
    "error",
    "Replaces the template's records without saying so",
    "Say `mode: replace` or `mode: drop`, with a reason.",
    why="Beside the template's MX, a second one takes a part of the mail to a server that may not know the mailboxes.",
)
NOTHING = Rule(
    "IN214",
    "warning",
    "Nothing to drop",
    "The template does not set this; take the line out.",
    why="It switches off what is not on: when a later template sets it, this domain goes without it and "
    "nobody knows why.",
)

_RELATIVE = re.compile(r"(?:@|\*|(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*)")
_ONE_OWNER = {"MX", "CNAME"}
_MARKS = str.maketrans(";=,", "   ")


@dataclass(slots=True)
class Set_:  # noqa: N801
    """A record set in the making."""

    origin: Origin
    values: list[Value] = field(default_factory=list)
    ttl: int | None = None
    reason: str | None = None
    keep: int | None = None


def record_sets(site: Site) -> Iterator[tuple[str, Set_]]:
    """(name of the resource, its set) for everything the domain declares; problems are reported to the site."""
    sets: dict[str, Set_] = {}
    for said in site.baseline.records:
        _add(site, sets, said, _template(site, said["values"]))
    _dkim(site, sets)
    given = frozenset(sets)
    for index, said in enumerate(site.names.get("records", ())):
        _overlay(site, sets, said, given, site.at_dns("records", index))
    for name, found in sets.items():
        wrong = (_second_tag, _second_value, _beside_the_soa)
        if found.values and not any(fault(site, name, found) for fault in wrong):
            yield name, found


def _template(site: Site, values: Sequence[str]) -> Origin:
    """Where a template's record comes from: the domain's own parameter that stands in it, else the template's name."""
    key = next((k for k, given in site.names.get("with", {}).items() if any(stands_in(given, v) for v in values)), None)
    return site.at_dns("template") if key is None else site.at_dns("with", key)


def stands_in(given: Any, value: str) -> bool:
    """Whether the value of a parameter, or one of several, is a word of a record's value."""
    words = given if isinstance(given, list) else [given]
    return any(isinstance(word, str) and word and _spaced(word) in _spaced(value) for word in words)


@lru_cache(maxsize=16384)  # most values are the same for all domains: the template's
def _spaced(text: str) -> str:
    return f" {text.translate(_MARKS).strip()} "


def _dkim(site: Site, sets: dict[str, Set_]) -> None:
    found = dkim_key.declared(site)
    if found is None or site.mail is None:
        return
    block, origin = found
    for selector in block.get("keys", {}):
        key = dkim_key.name(selector, site.domain)
        value = Computed(Address(site.mail, "dkim_key", key), "public")
        place = site.at_dns("dkim", "keys", selector) if origin.path == ("dkim",) else origin
        sets[f"TXT/{key}"] = Set_(place, [value], keep=dkim_key.overlap(block))


def _overlay(site: Site, sets: dict[str, Set_], said: Mapping[str, Any], given: frozenset[str], origin: Origin) -> None:
    name = record_name(site, said, origin)
    if name is None:
        return
    mode = said.get("mode", "add")
    if mode == "add" and name in given and record.rtype(name) in _ONE_OWNER:
        site.report(NO_MODE.at(name, f"The template sets {name} too.", origin))
    elif mode == "drop" and name not in sets:
        site.report(NOTHING.at(name, f"There is no {name} to drop.", origin))
    elif mode in {"replace", "drop"}:
        sets.pop(name, None)
    if mode != "drop":
        _add(site, sets, said, origin)


def _add(site: Site, sets: dict[str, Set_], said: Mapping[str, Any], origin: Origin) -> None:
    name = record_name(site, said, origin)
    if name is None:
        return
    found = sets.setdefault(name, Set_(origin))
    found.origin = origin
    found.values += _checked(site, said, name, origin)
    found.ttl = canonical.seconds(said["ttl"]) if "ttl" in said else found.ttl
    found.reason = said.get("reason", found.reason)


def _checked(site: Site, said: Mapping[str, Any], name: str, origin: Origin) -> list[str]:
    values = []
    for value in said["values"]:
        try:
            values.append(record.check_value(said["type"], value))
        except ValueError as error:
            site.report(BAD_VALUE.at(name, f"{error}.", origin))
    return values


def record_name(site: Site, said: Mapping[str, Any], origin: Origin) -> str | None:
    """`TXT/_dmarc.a.example` of what a file says; None after reporting a name that is none below the domain."""
    relative = canonical.domain(said["name"])
    if relative == site.domain or relative.endswith(f".{site.domain}"):
        short = relative.removesuffix(site.domain).removesuffix(".") or "@"
        site.report(BAD_LABEL.at(site.domain, f"`{said['name']}` ends in the domain itself: write `{short}`.", origin))
        return None
    if said["name"].endswith(".") or not _RELATIVE.fullmatch(relative) or len(relative) + len(site.domain) > 252:
        what = f"`{said['name']}` is not a name below {site.domain}."
        site.report(BAD_LABEL.at(site.domain, what, origin))
        return None
    host = site.domain if relative == "@" else f"{relative}.{site.domain}"
    return f"{said['type']}/{host}"


def _second_tag(site: Site, name: str, found: Set_) -> bool:
    if record.rtype(name) != "TXT":
        return False
    twice = [key for key, part in record.VALUES.split(tuple(dict.fromkeys(found.values))).items() if len(part) > 1]
    for key in twice:
        site.report(SECOND_TAG.at(name, f"`{key}` would stand twice at {record.label(name)}.", found.origin))
    return bool(twice)


def _second_value(site: Site, name: str, found: Set_) -> bool:
    type_, count = record.rtype(name), len(set(found.values))
    if type_ in record.SINGLE and count > 1:
        site.report(BAD_VALUE.at(name, f"A {type_} has one value; here are {count}.", found.origin))
        return True
    return False


def _beside_the_soa(site: Site, name: str, found: Set_) -> bool:
    zone = canonical.domain(site.names.get("zone", {}).get("name", site.domain))
    if name != f"CNAME/{zone}":
        return False
    what = f"{zone} is the zone's own name, with SOA and NS: write the addresses to which it would lead."
    site.report(NOT_ALONE.at(zone, what, found.origin))
    return True
