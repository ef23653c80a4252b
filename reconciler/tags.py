"""The text of mail's TXT records taken apart: `tag=value` lists (RFC 6376, 3.2) and the terms of SPF (RFC 7208)."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple

_TAG = re.compile(r"\s*([a-z][a-z0-9_]*)\s*=\s*([!-:<-~](?:[ -:<-~]*[!-:<-~])?)?\s*", re.ASCII | re.IGNORECASE)
_TERM = re.compile(r"([+?~-]?)([a-z][a-z0-9._-]*)(?:([:=/])(.*))?", re.ASCII | re.IGNORECASE)
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]*[a-z][a-z0-9-]*\.?", re.ASCII)
_LENGTH = "0|[1-9][0-9]{0,2}"  # no leading zero (RFC 7208, 5.6)
_LENGTHS = re.compile(rf"([^/]*)(?:/({_LENGTH}))?(?://({_LENGTH}))?")
_NETWORK = re.compile(rf"[0-9a-f.:]+(?:/(?:{_LENGTH}))?", re.IGNORECASE)
# Of a name with macros (RFC 7208, 7.1): each macro, each other letter.
_PIECE = re.compile(r"%(?:\{[slodiphcrtv](?:0*[1-9][0-9]*)?r?[.+,/_=-]*\}|[%_-])|[!-$&-~]", re.IGNORECASE)
_EXPLAINING = re.compile(r"%\{[crt]", re.IGNORECASE)  # these are for explanations alone (7.2)
_TOP = re.compile(r"(?=[a-z0-9-]*[a-z-])[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.IGNORECASE)
MECHANISMS = frozenset({"a", "all", "exists", "include", "ip4", "ip6", "mx", "ptr"})
ASKING = frozenset({"a", "exists", "include", "mx", "ptr", "redirect"})  # cost a lookup each (RFC 7208, 4.6.4)


def tags(text: str) -> dict[str, str]:
    """{tag, in small letters: its value} in order. Raises ValueError where the text is no such list."""
    found: dict[str, str] = {}
    for part in text.strip().removesuffix(";").split(";"):
        match = _TAG.fullmatch(part)
        if match is None:
            raise ValueError(f"`{part.strip()}` is no `tag=value`" if part.strip() else "there is a `;` too many")
        name = match[1].lower()
        if name in found:
            raise ValueError(f"`{name}` stands twice")
        found[name] = match[2] or ""
    return found


class Term(NamedTuple):
    """One term of an SPF record: `+`, `-`, `~` or `?` (empty for a modifier), its name, what follows, its text.

    `value` is in small letters, without the lengths of a and mx: a name, or empty for the domain's own.
    """

    sign: str
    name: str
    value: str
    text: str

    @property
    def is_macro(self) -> bool:
        """Whether its name depends on who sends (RFC 7208, 7)."""
        return "%" in self.value


@lru_cache(maxsize=4096)  # most values are the template's
def terms(value: str) -> tuple[Term, ...]:
    """The terms of an SPF value, those that are none left out (`spf_faults` names them)."""
    found = []
    for text in value.split()[1:]:
        match = _TERM.fullmatch(text)
        if match is not None:
            sign, name, mark, rest = match[1], match[2].lower(), match[3], (match[4] or "").lower()
            is_modifier = mark == "=" and not sign
            if name in {"a", "mx"}:
                rest = rest.partition("/")[0] if mark == ":" else ""
            found.append(Term("" if is_modifier else sign or "+", name, rest.removesuffix("."), text))
    return tuple(found)


@lru_cache(maxsize=4096)
def heard(value: str) -> tuple[Term, ...]:
    """The terms that a receiver comes to: up to `all`; `redirect` only where there is no `all`."""
    found = terms(value)
    end = next((at for at, term in enumerate(found) if term.sign and term.name == "all"), None)
    if end is not None:
        return tuple(term for term in found[: end + 1] if term.name != "redirect")
    return found


def lengths(term: Term) -> dict[int, int]:
    """{4 or 6: the prefix length} that a term a or mx says for addresses of that version."""
    match = _LENGTHS.fullmatch(term.text) if term.sign and term.name in {"a", "mx"} else None
    return {} if match is None else {version: int(match[at]) for version, at in ((4, 2), (6, 3)) if match[at]}


@lru_cache(maxsize=4096)
def spf_faults(value: str) -> tuple[str, ...]:
    """What makes an SPF value one that receivers do not take (RFC 7208, 4.6.1): each as a phrase."""
    found = [] if re.match(r"v=spf1(?: |$)", value, re.IGNORECASE) else ["after `v=spf1` there is no space"]
    for text in value.split()[1:]:
        match = _TERM.fullmatch(text)
        fault = "is no term" if match is None else _fault(match[1], match[2].lower(), match[3], match[4] or "")
        if fault:
            found.append(f"`{text}` {fault}")
    names = [term.name for term in terms(value) if not term.sign]
    return (*found, *(f"`{name}` stands twice" for name in ("redirect", "exp") if names.count(name) > 1))


def _fault(sign: str, name: str, mark: str | None, rest: str) -> str:
    """What is wrong with a term; empty where nothing is."""
    is_modifier = mark == "=" and not sign
    if not is_modifier and name not in MECHANISMS:
        return "is no mechanism"
    pieces, is_unknown = _PIECE.findall(rest), is_modifier and name not in {"exp", "redirect"}
    if "".join(pieces) != rest or (not is_unknown and any(map(_EXPLAINING.match, pieces))):
        return "has a macro that is none" if "%" in rest else "has a letter that no term may have"
    if is_modifier:
        return "" if is_unknown or _is_name(rest) else "names no domain"
    return _faulty_mechanism(name, mark, rest)


def _faulty_mechanism(name: str, mark: str | None, rest: str) -> str:
    if name == "all":
        return "has something after it" if mark else ""
    if name in {"ip4", "ip6"}:
        return "" if mark == ":" and _is_network(name, rest) else "is no address or network"
    if name in {"a", "mx"}:
        match = _LENGTHS.fullmatch(rest if mark == ":" else f"/{rest}" if mark else "")
        if match is None or int(match[2] or 0) > 32 or int(match[3] or 0) > 128:
            return "has no such length"
        return "names no domain" if mark == ":" and not _is_name(match[1]) else ""
    if name == "ptr" and not mark:
        return ""
    return "" if mark == ":" and _is_name(rest) else "names no domain"


def _is_name(text: str) -> bool:
    if "%" not in text:
        return len(text) < 254 and _NAME.fullmatch(text.lower()) is not None
    _, dot, top = text.removesuffix(".").rpartition(".")
    return _PIECE.findall(text)[-1][0] == "%" or bool(dot and _TOP.fullmatch(top))


def _is_network(name: str, text: str) -> bool:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return network.version == int(name[-1]) and _NETWORK.fullmatch(text) is not None
