"""The forms of record values: text as people and servers write it, brought into one canonical text per type.

Each form raises ValueError saying what is wrong. What they let through every name server takes and every reader
gives back as it was written (NSD, Knot and BIND were asked).
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from reconciler import canonical

if TYPE_CHECKING:
    from collections.abc import Callable

# RFC 8659, 4.1.1; 15 letters (RFC 6844, 5.1) is what NSD takes. Quotes and backslashes mean nothing in any property.
_CAA = re.compile(r'(\d{1,3}) +([a-z0-9]{1,15}) +(?:"([ !#-\[\]-~]*)"|([!#-\[\]-~]+))', re.ASCII | re.IGNORECASE)
_TLSA = re.compile(r"([0-3]) +([01]) +([012]) +([0-9a-f ]+)")
_TLSA_DIGITS = {"1": 64, "2": 128}  # of SHA-256 and SHA-512
_NUMBER = re.compile(r"[0-9]{1,5}")
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+|\.")
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+")
_SPF_TERM = re.compile(  # RFC 7208 sections 4.6.1 and 5; other modifiers are allowed there too
    r"[+?~-]?(?:all|(?:include|exists):\S+(?<![,;])|(?:a|mx)(?::[^\s/]+)?(?:/\d{1,3})?(?://\d{1,3})?|ptr(?::\S+)?"
    r"|ip4:[0-9.]+(?:/\d{1,2})?|ip6:[0-9a-f:.]+(?:/\d{1,3})?)|[a-z][a-z0-9._-]*=\S*(?<![,;])",
    re.IGNORECASE,
)


def _v6(text: str) -> str:
    address = ipaddress.IPv6Address(text)
    if address.scope_id is not None:
        raise ValueError(f"{text!r} names an interface after `%`, which means nothing elsewhere; take it out")
    return str(address)


def _numbers_then_host(count: int) -> Callable[[str], str]:
    def form(text: str) -> str:
        *numbers, host = text.split() or [""]
        if len(numbers) != count or not all(_NUMBER.fullmatch(n) and int(n) < 65536 for n in numbers):
            raise ValueError(f"{text!r} is not {count} number(s) up to 65535 and a host name")
        return " ".join([*(str(int(n)) for n in numbers), f"{canonical.domain(host)}."])

    return form


def _caa(text: str) -> str:
    match = _CAA.fullmatch(text.strip())
    if match is None or int(match[1]) > 255:
        raise ValueError(
            f'{text!r} is not a CAA value such as `0 issue "ca.example"` (RFC 8659): a number up to 255, a tag of at'
            " most 15 letters and digits, and ASCII text without quotes and backslashes in it"
        )
    return f'{int(match[1])} {match[2].lower()} "{match[4] if match[3] is None else match[3]}"'


def _tlsa(text: str) -> str:
    match = _TLSA.fullmatch(text.strip().lower())
    digits = "" if match is None else match[4].replace(" ", "")
    length = _TLSA_DIGITS.get("" if match is None else match[3], len(digits))
    if match is None or len(digits) != length or len(digits) % 2:
        raise ValueError(
            f"{text!r} is not a TLSA value such as `3 1 1 <64 hexadecimal digits>` (RFC 6698; private numbers, 255,"
            " mean nothing to others)"
        )
    return f"{match[1]} {match[2]} {match[3]} {digits}"


FORMS: dict[str, Callable[[str], str]] = {
    "A": lambda text: str(ipaddress.IPv4Address(text)),
    "AAAA": _v6,
    "CAA": _caa,
    "CNAME": _numbers_then_host(0),
    "MX": _numbers_then_host(1),
    "SRV": _numbers_then_host(3),
    "TLSA": _tlsa,
    "TXT": lambda text: text,
}


def check_host(type_: str, text: str, value: str) -> None:
    """Raises ValueError where the name in a canonical value is none that `type_` may lead to."""
    target = value.rpartition(" ")[2]
    if type_ in {"MX", "SRV"} and not _HOST.fullmatch(target):
        raise ValueError(f"{text!r}: {target!r} is no host name (letters, digits, hyphens; RFC 1123)")
    if type_ == "CNAME" and not _NAME.fullmatch(target):
        raise ValueError(f"{text!r} is no domain name")
    if type_ in {"CNAME", "MX", "SRV"} and not text.endswith("."):
        raise ValueError(f"{text!r}: the name must end in a dot (it is absolute)")
    if type_ in {"CNAME", "MX", "SRV"} and len(target) > 254:
        raise ValueError(f"{text!r}: the name is longer than 253 characters (RFC 1035)")


def check_text(text: str, *, spf: bool) -> None:
    """Raises ValueError for a TXT value that is surely not what was meant."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        raise ValueError(f"{text!r}: write the text without quotes of its own; they would be part of it")
    for term in text.split(" ")[1:] if spf else ():
        if term and not _SPF_TERM.fullmatch(term):
            hint = f"; did you mean `include:{term}`?" if _NAME.fullmatch(f"{term}.") and "." in term else ""
            raise ValueError(f"{term!r} is no SPF term (RFC 7208){hint}")
