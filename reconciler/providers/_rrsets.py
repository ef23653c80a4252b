"""A zone in the JSON of PowerDNS's API: what of it is live as record sets, and record sets as the API takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.kinds import record
from reconciler.providers import _master, _sets
from reconciler.shapes import shape

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from reconciler.providers._sets import Key, Sets

_ZONE = shape(
    {
        "kind": str,
        "soa_edit_api?": str,
        "rrsets": [{"name": str, "type": str, "ttl": int, "records": [{"content": str, "disabled?": bool}]}],
    }
)


_MOVED = frozenset({"DEFAULT", "INCREASE"})  # EPOCH does not within a second, others depend on a second setting


class Record(NamedTuple):
    """One value of a set: as the server spells it, and as it is compared. A disabled one answers no query."""

    content: str
    value: str
    disabled: bool


class Zone(NamedTuple):
    """What the server holds of a zone: all of it by set, and what of that is live and not the keeper's own."""

    kind: str
    soa_edit_api: str
    records: Mapping[Key, Sequence[Record]]
    sets: Sets

    @property
    def live(self) -> set[Key]:
        return {key for key, held in self.records.items() if not all(one.disabled for one in held)}

    def serial(self, name: str) -> int:
        """That of the SOA it came with, if the API moves it with each change, whatever else happens; else 0."""
        soa = self.records.get(("SOA", name), ())
        said = soa[0].content.split(" ") if len(soa) == 1 and self.soa_edit_api in _MOVED else []
        return int(said[2]) if len(said) == 7 and said[2].isdecimal() else 0


def visible(text: str) -> str:
    """The beginning of what a server wrote, with escapes for what a terminal would obey or hide."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text[:200])


def name(text: str) -> str:
    """`a.example` of `A.Example.`."""
    return text.lower().removesuffix(".")


def zone(data: Any) -> Zone:
    """The zone in an answer. Raises ValueError, whose text says what of it cannot be."""
    if not _ZONE(data):
        raise ValueError("something that is no zone")
    records: dict[Key, list[Record]] = {}
    ttls: dict[Key, int] = {}
    for rrset in data["rrsets"]:
        key = rrset["type"], name(rrset["name"])
        if not (key[0].isascii() and key[1].isascii()) or not 0 <= rrset["ttl"] < 2**31:  # RFC 2181, section 8
            raise ValueError(f"{visible('/'.join(key))}, whose name or TTL no record can have")
        ttls[key] = rrset["ttl"]
        try:
            records.setdefault(key, []).extend(_record(key[0], one) for one in rrset["records"])
        except ValueError:
            raise ValueError(f"{visible('/'.join(key))} with a value that cannot be read") from None
    there = {key: tuple(one.value for one in held if not one.disabled) for key, held in records.items()}
    sets: Sets = {key: (values, ttls[key]) for key, values in there.items() if values and key[0] not in _sets.NOT_OURS}
    return Zone(data["kind"], data.get("soa_edit_api", "unknown"), records, sets)


def _record(type_: str, said: Mapping[str, Any]) -> Record:
    content = text = said["content"]
    raw = content.encode("utf-8", "surrogateescape")  # ValueError: halves of a character, in any type
    if type_ == "TXT":
        text = b"".join(_master.strings(raw.decode("latin-1"))).decode("utf-8", "surrogateescape")
    return Record(content, record.lenient(type_, text), said.get("disabled", False))


def made(there: Zone, meant: Sets) -> bool:
    """Whether all is there that an earlier request meant."""
    found = _sets.canonical({key: there.sets[key] for key in meant.keys() & there.sets.keys()})
    return found == {key: aim for key, aim in meant.items() if aim[0]}


def _written(key: Key, value: str) -> str:
    return record.quoted(value) if key[0] == "TXT" else value


def _rrset(key: Key, ttl: int | None, on: Collection[str], off: Collection[str] = ()) -> dict[str, Any]:
    records = [{"content": text, "disabled": text in off} for text in (*on, *off)]
    return {"name": f"{key[1]}.", "type": key[0], "ttl": ttl, "records": records}


def fresh(zone: str, kind: str, sets: Sets) -> dict[str, Any]:
    """A new zone; with INCREASE each change by the API moves its serial."""
    rrsets = [
        _rrset(key, ttl, [_written(key, value) for value in values]) for key, (values, ttl) in sets.items() if values
    ]
    return {"name": f"{zone}.", "kind": kind, "soa_edit_api": "INCREASE", "nameservers": [], "rrsets": rrsets}


def edit(key: Key, aim: tuple[tuple[str, ...], int | None], there: Zone) -> dict[str, Any]:
    """A set as a whole: what stays is sent as it was spelled, and what somebody disabled stays, disabled.

    Without the key `comments` the server keeps those of the set.
    """
    values, ttl = aim
    held = there.records.get(key, ())
    live = [one for one in held if not one.disabled]
    known = {one.value for one in live}
    on = [one.content for one in live if one.value in values]
    on += [_written(key, value) for value in values if value not in known]
    off = [one.content for one in held if one.disabled and one.value not in values]
    if not on and not off:
        return {"name": f"{key[1]}.", "type": key[0], "changetype": "DELETE"}
    if ttl is None:
        _, ttl = there.sets.get(key, ((), record.TTL))
    return {**_rrset(key, ttl, on, off), "changetype": "REPLACE"}
