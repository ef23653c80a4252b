"""DNS messages as bytes (RFC 1035, section 4): what a transfer needs, in a sixth of the time that dnspython takes.

Only what thousands of zones are full of has its text written here; every other type is dnspython's. The bytes are a
stranger's: each step is bounded, and whatever is no message raises Malformed.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from ipaddress import IPv6Address
from socket import inet_ntoa
from typing import TYPE_CHECKING, NamedTuple

from reconciler.providers import _sets

if TYPE_CHECKING:
    from collections.abc import Callable

    from dns.rdata import Rdata

SOA, TSIG = 6, 250
IN, ANY = 1, 255
NO_DATA = frozenset({0, 41, *range(128, 256)})  # types that stand in messages and in no zone (RFC 6895, 3.1)
QR, AA = 0x8000, 0x0400
RCODE, OPCODE = 0x000F, 0x7800
MAX_NAME = 255  # bytes with the root's (RFC 1035, 3.1)
MAX_TTL = 2**31 - 1  # what is more counts as 0 (RFC 2181, section 8)
HEADER = struct.Struct("!6H")  # id, flags, the records of each section
FIXED = struct.Struct("!HHIH")  # type, class, TTL, size of the data
_STEPS = 256  # of a name: 127 labels, a pointer after each, and the root
_NUMBERS = {"MX": struct.Struct("!H"), "SRV": struct.Struct("!3H")}
_TYPES = {1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 257: "CAA"}
_ESCAPES = {code: f"\\{code:03d}" for code in range(256) if not 0x20 < code < 0x7F} | {
    ord(c): f"\\{c}" for c in '"().;\\@$'
}
_PLAIN = re.compile(rb"[ !#-\[\]-~]*")


class Malformed(Exception):
    """These bytes are no DNS message."""


class Record(NamedTuple):
    """A record; its data are the bytes of `wire` from `start` up to, not with, `end`: a name in them may point back."""

    wire: bytes
    at: int  # where the record itself begins
    name: str  # lower-case, without the last dot
    type: int
    cls: int
    ttl: int
    start: int
    end: int

    @property
    def rdata(self) -> Rdata:
        """The same data as dnspython's. Raises Malformed."""
        import dns.rdata
        import dns.rdataclass
        import dns.rdatatype

        try:
            cls, type_ = dns.rdataclass.RdataClass.make(self.cls), dns.rdatatype.RdataType.make(self.type)
            return dns.rdata.from_wire(cls, type_, self.wire, self.start, self.end - self.start)
        except Exception:  # noqa: BLE001 - a stranger's bytes in a parser that promises no class of error
            raise Malformed from None


class Message(NamedTuple):
    """What is said of one, its answer section, and the signature at its end (RFC 8945, 5.1)."""

    wire: bytes
    id: int
    flags: int
    answer: list[Record]
    tsig: Record | None


def message(wire: bytes) -> Message:
    """A whole message, each of its records within it. Raises Malformed."""
    try:
        number, flags, questions, answers, authority, additional = HEADER.unpack_from(wire)
        at = HEADER.size
        for _ in range(questions):
            at = name(wire, at)[1] + 4
        answer, at = _section(wire, at, answers)
        others, at = _section(wire, at, authority + additional)
    except (IndexError, struct.error):
        raise Malformed from None
    tsig = others.pop() if additional and others[-1].type == TSIG else None
    if at != len(wire) or any(record.type == TSIG for record in (*answer, *others)):
        raise Malformed
    return Message(wire, number, flags, answer, tsig)


def _section(wire: bytes, at: int, count: int) -> tuple[list[Record], int]:
    found = []
    for _ in range(count):
        here = at
        owner, at = name(wire, at)
        type_, cls, ttl, size = FIXED.unpack_from(wire, at)
        start = at + FIXED.size
        at = start + size
        found.append(Record(wire, here, owner, type_, cls, ttl if ttl <= MAX_TTL else 0, start, at))
    return found, at


def name(wire: bytes, at: int) -> tuple[str, int]:
    """The name at a place, in lower case without its last dot, and the place behind it. A pointer leads further back
    than all before it, so none leads in a circle. Raises Malformed and IndexError.
    """
    labels: list[str] = []
    size, end, back = 1, 0, at
    for _ in range(_STEPS):
        count = wire[at]
        if count >= 0xC0:
            end = end or at + 2
            at = (count & 0x3F) << 8 | wire[at + 1]
            if at >= back:
                break
            back = at
        elif count > 63:
            break
        elif count:
            labels.append(_label(wire[at + 1 : at + 1 + count]))
            at += count + 1
            size += count + 1
        elif size <= MAX_NAME:
            return ".".join(labels), end or at + 1
        else:
            break
    raise Malformed


@lru_cache(maxsize=16384)  # most labels are the same in all zones
def _label(raw: bytes) -> str:
    return raw.decode("latin-1").translate(_ESCAPES).lower()


def encoded(text: str) -> bytes:
    """A name of plain labels as bytes. Raises ValueError."""
    labels = [label.encode("ascii") for label in text.split(".")]
    data = b"".join(len(label).to_bytes(1, "big") + label for label in labels) + b"\0"
    if not all(0 < len(label) < 64 for label in labels) or len(data) > MAX_NAME or b"\\" in data:
        raise ValueError("no plain name")
    return data


def type_name(number: int) -> str:
    """`MX`, or `TYPE65280` where it has no name."""
    if number in _TYPES:
        return _TYPES[number]
    import dns.rdatatype

    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(number))


def text(type_: str, record: Record) -> str:
    """What a record's data say; what has no text here has dnspython's. Raises Malformed."""
    writer = _WRITERS.get(type_)
    try:
        said = writer(type_, record.wire, record.start, record.end) if writer else None
        return _sets.text_of(record.rdata) if said is None else said
    except Exception:  # noqa: BLE001 - as above
        raise Malformed from None


def soa(record: Record) -> tuple[str, str, bytes]:
    """The data of a SOA: equal where they say the same. Raises Malformed."""
    try:
        primary, at = name(record.wire, record.start)
        mailbox, at = name(record.wire, at)
    except IndexError:
        raise Malformed from None
    if record.end - at != 20:  # serial and four times
        raise Malformed
    return primary, mailbox, record.wire[at : record.end]


def _a(_type: str, wire: bytes, start: int, end: int) -> str:
    if end - start != 4:
        raise Malformed
    return inet_ntoa(wire[start:end])


def _aaaa(_type: str, wire: bytes, start: int, end: int) -> str:
    return str(IPv6Address(wire[start:end]))


def _host(type_: str, wire: bytes, start: int, end: int) -> str:
    """Numbers, if any, and a name, which is in lower case as all compare it (RFC 4343)."""
    numbers = _NUMBERS.get(type_)
    words = [] if numbers is None else [str(number) for number in numbers.unpack_from(wire, start)]
    host, at = name(wire, start + (numbers.size if numbers else 0))
    if at != end:
        raise Malformed
    return " ".join([*words, f"{host}."])


def _txt(_type: str, wire: bytes, start: int, end: int) -> str:
    """The joined strings (RFC 7208, 3.3). Bytes that are no UTF-8 become surrogates."""
    parts = []
    at = start
    while at < end:
        behind = at + 1 + wire[at]
        parts.append(wire[at + 1 : behind])
        at = behind
    if at != end or not parts:
        raise Malformed
    return b"".join(parts).decode("utf-8", "surrogateescape")


def _caa(_type: str, wire: bytes, start: int, end: int) -> str | None:
    """Flags, tag and value (RFC 8659, 4.1). One with bytes that are to be escaped is dnspython's."""
    behind = start + 2 + wire[start + 1]
    tag, value = wire[start + 2 : behind], wire[behind:end]
    if behind > end or not tag.isalnum():
        raise Malformed
    return f'{wire[start]} {tag.decode()} "{value.decode()}"' if _PLAIN.fullmatch(value) else None


_WRITERS: dict[str, Callable[[str, bytes, int, int], str | None]] = {
    "A": _a, "AAAA": _aaaa, "CAA": _caa, "CNAME": _host, "MX": _host, "SRV": _host, "TXT": _txt,
}  # fmt: skip
