"""RFC 1035 master files as text: their records are read, some are changed, every other byte stays.

A file is read line by line with regular expressions, because dnspython takes 2 ms a zone. What they do not know to
the letter ($GENERATE, escaped names, a TTL that depends on an earlier line) raises Odd: to read such a file one asks
dnspython, to change it there is no way. Text is latin-1, one character a byte.
"""

from __future__ import annotations

import re
import socket
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from reconciler.kinds.record import quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

Key = tuple[str, str]  # (type, name): what makes a record set

_FLAGS = re.ASCII | re.IGNORECASE
_LABEL = r"[a-z0-9_*+/=-]{1,63}"
_NAME = rf"{_LABEL}(?:\.{_LABEL})*\.?"
_ESCAPED = r"[a-z0-9_*+/=.-]*\\[+=](?:[a-z0-9_*+/=.-]|\\[+=])*"  # Knot takes these two only so
_STRING = r'"(?:[^"\\]++|\\.)*+"'
_PLAIN_NAME = re.compile(_NAME, _FLAGS)
# Owner, TTL before or after the class, type, data, comment; parentheses are gone by then.
_RECORD = re.compile(
    rf"({_NAME}|@|{_ESCAPED})?[ \t]+(?:(\d\w*)[ \t]+)?(?:IN[ \t]+)?(?:(\d\w*)[ \t]+)?([a-z][\w-]*)[ \t]+"
    rf'((?:[^";()\\]++|\\.|{_STRING})*+)(?:;.*)?',
    _FLAGS,
)
_BLANK = re.compile(r"[ \t\r]*(?:;.*)?")
_DIRECTIVE = re.compile(rf"\$(ORIGIN|TTL)[ \t]+({_NAME}|\.)[ \t\r]*(?:;.*)?", _FLAGS)
_PIECE = re.compile(rf'{_STRING}|\\.|;.*|[()]|[^"\\;()]+')
_WORD = re.compile(r";.*|[^\s();]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")
_UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_NO_TYPES = {"IN", "CH", "HS", "CS", "ANY", "NONE"}

_HOST = {
    "CNAME": re.compile(rf"()({_NAME}|@|\.|{_ESCAPED})", _FLAGS),
    "MX": re.compile(rf"(\d{{1,5}}[ \t]+)({_NAME}|@|\.|{_ESCAPED})", _FLAGS),
    "SRV": re.compile(rf"((?:\d{{1,5}}[ \t]+){{3}})({_NAME}|@|\.|{_ESCAPED})", _FLAGS),
}
_PLAIN = {
    "CAA": re.compile(r'\d{1,3}[ \t]+[a-z0-9]+[ \t]+(?:"[\x20-\x21\x23-\x5b\x5d-\x7e]*"|[!#-\'*-:<-\[\]-~]+)', _FLAGS),
    "TLSA": re.compile(r"[0-3] [01] (?:0 (?:[0-9a-f]{2})+|1 [0-9a-f]{64}|2 [0-9a-f]{128})", _FLAGS),
}
_FAMILIES = {"A": socket.AF_INET, "AAAA": socket.AF_INET6}
_TEXT = re.compile(r'(?:"((?:[^"\\]++|\\.)*+)"|((?:[^ \t"\\]++|\\.)++))(?:[ \t]+|$)')
_ESCAPE = re.compile(r"\\(\d{3}|.)")


class Odd(Exception):
    """A line this reader does not know; `line` counts from 1."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line}")
        self.line = line


class Line(NamedTuple):
    """One record: the lines it stands on (from `start` up to, not with, `end`) and what it says; its data is raw."""

    start: int
    end: int
    owned: bool  # it names its owner; else it is that of the record before
    name: str
    ttl: int
    type: str
    data: str
    origin: str

    @property
    def key(self) -> Key:
        return self.type, self.name


def lines(text: str, zone: str) -> list[Line]:
    """Every record of a file, in order. Raises Odd."""
    control = _CONTROL.search(text)
    if control:
        raise Odd(text.count("\n", 0, control.start()) + 1)
    rows = text.split("\n")
    context = _Context(zone)
    found, here = [], 0
    while here < len(rows):
        start, here = here, here + 1
        match = _RECORD.fullmatch(rows[start])
        if match is None:
            if context.directive(rows[start], here):
                continue
            here, match = _long(rows, start)
        found.append(context.line(start, here, match))
    return found


@dataclass(slots=True)
class _Context:
    """What a record leaves out and an earlier line has said."""

    origin: str
    ttl: int | None = None
    owner: str | None = None

    def directive(self, row: str, number: int) -> bool:
        """Whether the row is none of a record's, but blank or a directive, which is taken in."""
        if _BLANK.fullmatch(row):
            return True
        match = _DIRECTIVE.fullmatch(row)
        if match and match[1].upper() == "TTL":
            self.ttl = _seconds(match[2], number)
        elif match:
            self.origin = _absolute(match[2], self.origin, number)
        return match is not None

    def line(self, start: int, end: int, match: re.Match[str]) -> Line:
        owner, early, late, type_, data = match.groups()
        if owner:
            self.owner = _absolute(owner, self.origin, end)
        ttl = self.ttl if not (early or late) else _seconds(early or late, end)
        type_, data = type_.upper(), data.rstrip(" \t\r")
        if self.owner is None or ttl is None or (early and late) or not data or data.startswith("\\#"):
            raise Odd(start + 1)
        if type_ in _NO_TYPES or type_.startswith("TYPE"):
            raise Odd(start + 1)
        return Line(start, end, bool(owner), self.owner, ttl, type_, data, self.origin)


def _long(rows: Sequence[str], start: int) -> tuple[int, re.Match[str]]:
    """A record with parentheses: the line after it, and the match of all of it on one line."""
    parts: list[str] = []
    depth = 0
    for here in range(start, len(rows)):
        pieces = _PIECE.findall(rows[here])
        depth += pieces.count("(") - pieces.count(")")
        parts += [" " if piece[0] in "();" else piece for piece in (*pieces, ";")]
        if depth < 0 or sum(map(len, pieces)) != len(rows[here]):
            break
        if depth == 0:
            match = _RECORD.fullmatch("".join(parts))
            if match is None or rows[start].startswith("("):
                break
            return here + 1, match
    raise Odd(start + 1)


def _seconds(text: str, number: int) -> int:
    """`3600`, `1h`, `1h30m` (RFC 2308 and BIND) as seconds. Raises Odd."""
    found = None if len(text) > 20 else int(text) if text.isdigit() else _sum(text.lower())
    if found is None or found >= 2**31:
        raise Odd(number)
    return found


def _sum(text: str) -> int | None:
    parts = re.findall(r"(\d+)([wdhms])", text)
    whole = "".join(count + unit for count, unit in parts) == text
    return sum(int(count) * _UNITS[unit] for count, unit in parts) if whole else None


def _absolute(name: str, origin: str, number: int) -> str:
    if name == "@":
        return origin
    if "\\" in name:
        name = name.replace("\\", "")
        if not _PLAIN_NAME.fullmatch(name):
            raise Odd(number)
    full = name[:-1] if name.endswith(".") else f"{name}.{origin}" if origin else name
    if len(full) > 253:
        raise Odd(number)
    return full.lower()


def value(line: Line) -> str:
    """What a record says, with absolute names; TXT is its joined text, bytes that are no UTF-8 as surrogates. Odd."""
    try:
        return _value(line.type, line.data, line.origin, line.start + 1)
    except (OSError, ValueError):
        raise Odd(line.start + 1) from None


def _value(type_: str, data: str, origin: str, number: int) -> str:
    if type_ == "TXT":
        parts = list(strings(data))
        if max(map(len, parts), default=0) > 255:
            raise ValueError("a string is longer than 255 bytes")
        return b"".join(parts).decode("utf-8", "surrogateescape")
    if type_ in _FAMILIES:
        socket.inet_pton(_FAMILIES[type_], data)
        return data
    if type_ in _HOST:
        match = _HOST[type_].fullmatch(data)
        if match is None:
            raise Odd(number)
        return f"{match[1]}{_absolute(match[2], origin, number)}."
    if type_ not in _PLAIN:
        return _other(type_, data, origin, number)
    if type_ == "TLSA":
        *numbers, digits = re.split(r"[ \t]+", data, maxsplit=3)
        data = " ".join([*numbers, re.sub(r"[ \t]+", "", digits)])
    if _PLAIN[type_].fullmatch(data) is None:
        raise Odd(number)
    return data


def strings(data: str) -> Iterator[bytes]:
    """The character-strings of a TXT record's data, in quotes or bare, however long. Raises ValueError."""
    at = 0
    while at < len(data):
        match = _TEXT.match(data, at)
        if match is None:
            raise ValueError("no string")
        raw = match[1] if match[2] is None else match[2]
        text = _ESCAPE.sub(_byte, raw) if "\\" in raw else raw
        yield text.encode("latin-1")
        at = match.end()


def _byte(match: re.Match[str]) -> str:
    if not match[1].isdigit():
        return match[1]
    code = int(match[1])
    if len(match[1]) != 3 or code > 255:
        raise ValueError("no byte")
    return chr(code)


def _other(type_: str, data: str, origin: str, number: int) -> str:
    """The types nobody declares here are left to dnspython."""
    import dns.name
    import dns.rdata

    try:
        return dns.rdata.from_text("IN", type_, data, dns.name.from_text(origin), relativize=False).to_text()
    except Exception:  # noqa: BLE001 - a stranger's text in a parser that promises no class of error
        raise Odd(number) from None


def fresh_line(key: Key, ttl: int, text: str) -> Line:
    """One value of a set as a record that depends on no other; it stands nowhere yet."""
    type_, name = key
    data = quoted(text) if type_ == "TXT" else _host_escaped(text) if type_ in _HOST else text
    return Line(0, 0, owned=True, name=name, ttl=ttl, type=type_, data=data, origin="")


def _host_escaped(text: str) -> str:
    return re.sub(r"[+=]", r"\\\g<0>", text)


def rewritten(text: str, found: Sequence[Line], drop: Collection[Line], fresh: Sequence[Line]) -> str:
    """The text without the dropped records, with fresh ones where their set stands (else at the end) and a new serial.

    `found` are the text's records. One that names no owner gets one where the record before it goes. Raises Odd.
    """
    rows, added = text.split("\n"), _rows(fresh)
    out: list[str] = []
    here, owner = 0, ""
    for line in found:
        out += rows[here : line.start]
        here = line.end
        new = added.pop(line.key, ())
        out += new
        owner = line.name if new else owner
        if line in drop:
            continue
        first, *more = rows[line.start : line.end]
        lead = "" if line.owned or owner == line.name else f"{_host_escaped(line.name)}."
        block = "\n".join([lead + first, *more])
        out.append(_bumped(block, line) if line.type == "SOA" else block)
        owner = line.name
    tail = [*rows[here:], ""] if rows[-1] or here == len(rows) else rows[here:]
    return "\n".join([*out, *tail[:-1], *(row for rows in added.values() for row in rows), ""])


def _rows(fresh: Sequence[Line]) -> dict[Key, list[str]]:
    rows: dict[Key, list[str]] = {}
    for line in fresh:
        rows.setdefault(line.key, []).append(f"{_host_escaped(line.name)}. {line.ttl} IN {line.type} {line.data}")
    return rows


def _bumped(block: str, soa: Line) -> str:
    """The text of a SOA with the next serial, otherwise letter by letter as it was. Raises Odd."""
    words = [match for match in _WORD.finditer(block) if not match[0].startswith(";")][soa.owned :]
    types = [index for index, match in enumerate(words) if match[0].upper() == "SOA"]
    serial = words[types[0] + 3] if types and len(words) > types[0] + 3 else None
    if serial is None or not serial[0].isdecimal() or len(serial[0]) > 10:
        raise Odd(soa.start + 1)
    return f"{block[: serial.start()]}{_next(serial[0])}{block[serial.end() :]}"


def _next(serial: str) -> int:
    """The serial that is newer by one (RFC 1982)."""
    return (int(serial) + 1) % 2**32 or 1


def said(found: Iterable[Line], *, bump: bool = False) -> Counter[tuple[str, int, str, str]]:
    """What records say, wherever and however they are written; with `bump` a SOA says the next serial. Raises Odd."""
    return Counter(
        (line.name, line.ttl, line.type, _soa(line.data, bump=bump) if line.type == "SOA" else line.data)
        for line in found
    )


def _soa(data: str, *, bump: bool) -> str:
    words = data.split()
    if len(words) < 3 or not words[2].isdecimal() or len(words[2]) > 10:
        raise Odd(1)
    return " ".join([*words[:2], str(_next(words[2]) if bump else int(words[2])), *words[3:]])
