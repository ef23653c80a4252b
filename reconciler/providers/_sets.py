"""Record sets as every DNS backend knows them, and what a batch makes of them. Nothing here opens anything.

A set is keyed by (type, name) and holds its values as this program writes them, with its TTL: `Sets`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.errors import Conflict, Refused
from reconciler.kinds import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.changes import Batch, Change
    from reconciler.model import Address, Resource, Value

    Key = tuple[str, str]  # (type, name)
    Sets = dict[Key, tuple[tuple[str, ...], int | None]]

# What the zone's keeper or its signer writes is nobody's to declare.
NOT_OURS = frozenset({"CDNSKEY", "CDS", "DNSKEY", "DS", "NS", "NSEC", "NSEC3", "NSEC3PARAM", "RRSIG", "SOA"})
BESIDE_CNAME = frozenset({"NSEC", "RRSIG"})
LOCALHOST = (
    "The zone will be made with the name server `localhost.`, because the provider names no `nameservers`. Name the"
    " servers that answer for your zones there."
)


def at_or_below(name: str, domain: str) -> bool:
    """Whether a name belongs to a domain."""
    return name == domain or name.endswith(f".{domain}")


def resource(provider: str, type_: str, name: str, values: Value, ttl: int | None, domain: str) -> Resource:
    """A record set as a thing of the model, its values in canonical form."""
    return record.KIND.resource(provider, f"{type_}/{name}", {"values": values, "ttl": ttl}, domain=domain)


def resources(provider: str, sets: Sets, domain: str) -> Iterator[Resource]:
    """What of a zone's sets stands at or below a domain."""
    for (type_, name), (values, ttl) in sets.items():
        if at_or_below(name, domain):
            yield resource(provider, type_, name, values, ttl, domain)


def text_of(rdata: Any) -> str:
    """What dnspython holds, as this program writes values; TXT is its joined text."""
    if rdata.rdtype == 16:  # TXT
        return b"".join(rdata.strings).decode("utf-8", "surrogateescape")
    return str(rdata.to_text())


def soa(zone: str, nameservers: Sequence[str]) -> str:
    """The SOA of a zone made here, before its first change."""
    timers = "86400 7200 3600000 3600"  # refresh, retry, expire (RIPE-203), negative answers: 1 hour
    home = nameservers[0].partition(".")[2]  # whoever runs the name server answers for the zone
    return f"{nameservers[0]}. hostmaster.{home if '.' in home else zone}. 0 {timers}"


def touched(batch: Batch) -> dict[Address, Key]:
    """The sets that a batch changes. Raises Refused for what is not to be written in its zone."""
    return {change.address: _key(change, batch.scope.zone) for change in batch.changes}


def _key(change: Change, zone: str) -> Key:
    type_, name = record.rtype(change.address.name), record.label(change.address.name)
    if type_ in NOT_OURS or not at_or_below(name, zone):
        raise Refused(f"{change.address} is not this program's to write in the zone {zone}")
    return type_, name


def canonical(sets: Mapping[Key, tuple[Value, int | None]]) -> Sets:
    """The same sets, their values in the form in which they are compared."""
    return {
        (type_, name): (resource("", type_, name, values, ttl, "").get("values"), ttl)
        for (type_, name), (values, ttl) in sets.items()
    }


def aims(there: Sets, batch: Batch) -> Sets:
    """What the sets that a batch changes shall be; ((), None) is gone. `there` is what is live of its zone.

    Raises Conflict where live has moved, and Refused.
    """
    keys = touched(batch)
    sets = canonical({key: there[key] for key in set(keys.values()) & there.keys()})
    for change in batch.changes:
        key = keys[change.address]
        swapped = record.swap(change.live, change.aim, *sets.get(key, ((), None)))
        if swapped is None:
            raise Conflict(f"{change.address} is no longer as it was read; nothing was written")
        if key[0] in record.SINGLE and len(swapped[0]) > 1:
            raise Refused(f"{change.address} can have one value, not {len(swapped[0])}; nothing was written")
        sets[key] = swapped if swapped[0] else ((), None)
    return sets


def no_clash(there: Iterable[Key], aimed: Sets) -> None:
    """A CNAME has its name alone (RFC 1034, 3.6.2): servers refuse the whole zone otherwise. Raises Conflict."""
    types: dict[str, set[str]] = {name: set() for (_, name), (values, _) in aimed.items() if values}
    kept = (key for key in there if key not in aimed)
    for type_, name in (*kept, *(key for key, (values, _) in aimed.items() if values)):
        if name in types:
            types[name].add(type_)
    for name, found in types.items():
        if "CNAME" in found and found - BESIDE_CNAME != {"CNAME"}:
            raise Conflict(f"{name} cannot have a CNAME beside {', '.join(sorted(found - {'CNAME'}))}")
