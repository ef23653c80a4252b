"""A DNS record set: all values of one type at one name (RFC 2181), named `TXT/_dmarc.a.example`.

TXT and CAA values belong to whoever declared them, one by one; other sets are one thing. A TXT value that begins
with one of the version tags of mail (`v=spf1`, …) *is* that tag at its name: there is never a second one, so two
SPF records cannot result.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from reconciler import canonical
from reconciler.kinds._values import FORMS, check_host, check_text
from reconciler.model import MISSING, Attribute, Computed, Elements, Kind, Ref, Resource, Value, references

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.kinds.site import Site

# Two of them may have blanks around `=` (RFC 7489, 6.4; RFC 6376, 3.2).
_TAG = re.compile(r"v(?:=(spf1|stsv1|tlsrptv1)|[ \t]*=[ \t]*(dmarc1|dkim1))(?![a-z0-9])", re.IGNORECASE)


def rtype(name: str) -> str:
    """`TXT` of `TXT/_dmarc.a.example`."""
    return name.partition("/")[0]


def label(name: str) -> str:
    """`_dmarc.a.example` of `TXT/_dmarc.a.example`."""
    return name.partition("/")[2]


def tag(value: Value) -> str | None:
    """The version tag a TXT value is (`v=spf1`), or None. A value that is still to be computed is a DKIM key."""
    if isinstance(value, Computed):
        return "v=dkim1"
    match = _TAG.match(value)
    return None if match is None else f"v={(match[1] or match[2]).lower()}"


def null_mx(values: Value) -> bool:
    """Whether an MX set takes no mail (RFC 7505): its hosts are `.`. Receivers do not look at the preference."""
    return bool(values) and all(value.partition(" ")[2] == "." for value in values)


def _split(values: Value) -> dict[str, Value]:
    parts: dict[str, Value] = {}
    for value in values:
        key = tag(value) or value
        parts[key] = (*parts.get(key, ()), value)
    return parts


def _join(parts: dict[str, Value]) -> Value:
    return _ordered(value for part in parts.values() for value in part)


def _ordered(values: Value) -> Value:
    found = tuple(values)
    return found if len(found) < 2 else tuple(sorted(set(found), key=str))


VALUES = Elements(split=_split, join=_join, shared=True)
SHARED = frozenset({"CAA", "TXT"})
SINGLE = frozenset({"CNAME", "DNAME", "SOA"})  # a set of these has one value (RFC 2181, 10.1; RFC 6672, 2.4)
TTL = 3600  # of a set whose maker named none


def swap(live: Resource | None, aim: Resource | None, there: Value, ttl: int | None) -> tuple[Value, int] | None:
    """What becomes of the set that is there (() and None for none) when ours goes from `live` to `aim`.

    It is its values and TTL (seconds). Neighbours in a shared set stay, and then its TTL does too. None: what would
    change is no longer as in `live`.
    """
    (was, was_ttl), (wanted, wanted_ttl) = _said(live), _said(aim)
    have, old, new = _split(there), _split(was), _split(wanted)
    alone = set(there) == set(was)
    retimed = alone and was_ttl != wanted_ttl
    if not alone and not {rtype(thing.address.name) for thing in (live, aim) if thing} <= SHARED:
        return None
    if {key: part for key, part in have.items() if key in {*old, *new}} != old:
        return None
    if retimed and was_ttl not in {None, ttl}:
        return None
    values = _join({**{key: part for key, part in have.items() if key not in old}, **new})
    asked = wanted_ttl if retimed else None
    return values, next(seconds for seconds in (asked, ttl, TTL) if seconds is not None)


def _said(thing: Resource | None) -> tuple[Value, int | None]:
    ttl = MISSING if thing is None else thing.get("ttl")
    return () if thing is None else thing.get("values"), None if ttl is MISSING else ttl


TYPES = tuple(sorted(FORMS))


def quoted(text: str) -> str:
    """A TXT value as its strings of at most 255 bytes, `"…" "…"` (RFC 1035, sections 3.3.14 and 5.1)."""
    data = text.encode("utf-8", "surrogateescape")
    parts = [data[at : at + 255] for at in range(0, len(data), 255)] or [b""]
    return " ".join(f'"{"".join(map(_escaped, part))}"' for part in parts)


def _escaped(byte: int) -> str:
    if byte in b'"\\':
        return f"\\{byte:c}"
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:03d}"


@lru_cache(maxsize=16384)
def check_value(type_: str, text: str) -> str:
    """The canonical form of a value a person wrote. Raises ValueError saying what is wrong with it."""
    if type_ == "TXT":
        check_text(text, spf=tag(text) == "v=spf1")
    value = FORMS[type_](text)
    check_host(type_, text, value)
    return value


def _values(name: str, values: Value) -> Value:
    type_ = rtype(name)
    return _ordered(value if isinstance(value, Computed) else lenient(type_, value) for value in values)


@lru_cache(maxsize=16384)  # most values are the same for all domains: the template's
def lenient(type_: str, text: str) -> str:
    """The form in which live data is compared, whatever it is: what has no canonical form stands for itself."""
    try:
        return FORMS[type_](text) if type_ in FORMS else text
    except ValueError:
        return text


def _key(name: str) -> str:
    type_, _, host = name.partition("/")
    return f"{type_.upper()}/{canonical.domain(host)}"


def _refs(resource: Resource) -> Sequence[Ref]:
    return [Ref(value.address.kind, value.address.name) for value in references(resource.get("values"))]


_MAIL_LABELS = re.compile(
    r"(?:_dmarc|_mta-sts|mta-sts|_smtp\._tls|autoconfig|autodiscover|_autodiscover\._tcp"
    r"|_(?:submissions?|imaps?|pop3s?|sieve)\._tcp|_25\._tcp(?:\..*)?|.*\._domainkey)(?:\..*)?"
)


def _listed(resource: Resource) -> bool:
    """Whether a record set is about mail: MX, the tagged TXT values, the names mail software looks up."""
    name, values = resource.address.name, resource.get("values")
    return (
        rtype(name) == "MX"
        or bool(_MAIL_LABELS.fullmatch(label(name)))
        or (rtype(name) == "TXT" and any(tag(value) for value in values))
    )


ORDER = 4
KIND = Kind(
    name="record",
    namespace="record",
    key=_key,
    refs=_refs,
    slot=label,
    alone=lambda name: rtype(name) == "CNAME",
    listed=_listed,
    risky=lambda resource, _inside: rtype(resource.address.name) == "MX",
    attributes=(
        Attribute(
            "values",
            required=True,
            normal=_values,
            sensitive=lambda name: rtype(name) == "MX",
            elements=lambda name: VALUES if rtype(name) in SHARED else None,
            types=(tuple, Computed),
        ),
        Attribute("ttl", types=(int,)),
        Attribute("reason", local=True),
        Attribute("without", local=True, types=(tuple,)),  # values that must not stand in it, whoever put them there
    ),
)


def expand(site: Site) -> Iterator[Resource]:
    """The record sets of the domain's template, DKIM keys and DNS file."""
    from reconciler.kinds._record_sets import record_sets

    if site.dns is None:
        return
    for name, found in record_sets(site):
        said = {"values": found.values, "ttl": found.ttl, "reason": found.reason}
        attributes = {key: value for key, value in said.items() if value is not None}
        initial = {} if found.ttl is not None else {"ttl": site.initial_ttl}
        yield KIND.resource(
            site.dns, name, attributes, domain=site.domain, tenant=site.tenant, origin=found.origin, initial=initial,
            keep=found.keep,
        )  # fmt: skip
