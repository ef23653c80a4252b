"""One canonical form for every name and measure, for desired and live alike; afterwards comparing is `==`.

Domains are lower-case A-labels without a trailing dot (RFC 5890), addresses are lower-case with such a domain,
sizes are bytes, durations seconds. The `is_…` and `parse_…` functions judge what people write and raise
ValueError with a reason; the others only bring into form, because live data must be readable whatever it is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import idna

if TYPE_CHECKING:
    from collections.abc import Container

UNLIMITED = "unlimited"

# RFC 5321 dot-atom without what shells, maps and paths give a meaning of their own (/ | % ! * ? `).
_LOCAL_PART = re.compile(r"[a-z0-9_#$&'=^{}~+-]+(?:\.[a-z0-9_#$&'=^{}~+-]+)*")
_SERVER = re.compile(r"(?:\[([0-9a-f:.]{2,45})\]|([^\s:\[\]/]{1,253}))(?::([0-9]{1,5}))?", re.IGNORECASE)
_RESERVED = frozenset({"example", "invalid", "localhost", "test", "example.com", "example.net", "example.org"})
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_MEASURE = re.compile(r"(0|[1-9][0-9]{0,14}) ([A-Za-z]+)")
_SIZES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SECONDS = {"s": 1, "min": 60, "hour": 3600, "day": 86400, "week": 604800}


@lru_cache(maxsize=8192)
def domain(text: str) -> str:
    """The A-label form of a domain name; what cannot be encoded stays as lower-case text."""
    lowered = text.lower().removesuffix(".")
    if lowered.isascii():
        return lowered
    try:
        return idna.encode(lowered, uts46=True).decode("ascii")
    except idna.IDNAError:
        return lowered


@lru_cache(maxsize=8192)  # one address is asked for by Git's side, by each row of live, and by whoever points to it
def address(text: str, default_domain: str = "") -> str:
    """`jane`, `Jane@Bücher.example` or `@a.example` (a catch-all) as a full canonical address."""
    local, at, host = text.rpartition("@")
    if not at:
        return f"{text.lower()}@{default_domain}"
    return f"{local.lower()}@{domain(host)}"


def reserved(name: str) -> bool:
    """Whether a canonical name lies where nobody can hold one (RFC 2606, RFC 6761): DNS cannot know of it."""
    parts = name.split(".")
    return parts[-1] in _RESERVED or ".".join(parts[-2:]) in _RESERVED


def nearest(name: str, among: Container[str]) -> str | None:
    """The nearest of some domains at or above a name, if any."""
    while name and name not in among:
        name = name.partition(".")[2]
    return name or None


def domain_of(name: str) -> str:
    """The domain part of an address, or the name itself where there is no `@`."""
    return name.rpartition("@")[2]


def base_address(text: str) -> str:
    """The address that answers for a plus address (RFC 5233): `jane+x@a.example` is `jane@a.example`'s."""
    if "+" not in text:
        return text
    local, _, host = text.rpartition("@")
    return f"{local.partition('+')[0] or local}@{host}"


@lru_cache(maxsize=8192)
def check_domain(text: str) -> str:
    """The canonical form of a domain a person wrote. Raises ValueError saying what is wrong with it."""
    name = domain(text)
    if not name.isascii():
        raise ValueError(f"{text!r} is not a name that IDNA 2008 allows")
    labels = name.split(".")
    if len(name) > 253 or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{text!r} is not a domain name of two or more labels of letters, digits and hyphens")
    for label in labels:
        _check_a_label(text, label)
    return name


@lru_cache(maxsize=4096)
def _check_a_label(text: str, label: str) -> None:
    if not label.startswith("xn--"):
        return
    try:
        idna.decode(label)
    except idna.IDNAError as error:
        raise ValueError(f"{text!r}: {label!r} is not a valid A-label ({error})") from None


@lru_cache(maxsize=8192)
def check_address(text: str, default_domain: str = "") -> str:
    """The canonical form of an address a person wrote. Raises ValueError saying what is wrong with it."""
    full = address(text, default_domain)
    local, _, host = full.rpartition("@")
    if len(local) > 64 or len(full) > 254:
        raise ValueError(f"{text!r} is longer than RFC 5321 allows (64 octets before the @, 254 in all)")
    if not _LOCAL_PART.fullmatch(local):
        raise ValueError(f"{text!r} has a local part with characters that mail servers here do not take")
    check_domain(host)
    return full


def address_in(text: str) -> str | None:
    """The canonical form of a full address that stands in free text by itself; None where it is something else."""
    try:
        return check_address(text.strip()) if "@" in text else None
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def server(text: str) -> tuple[str, int]:
    """A name server and its port: `ns1.a.example`, `192.0.2.1:5300`, `[2001:db8::1]:53`. Raises ValueError."""
    match = _SERVER.fullmatch(text)
    port = int(match[3] or 53) if match else 0
    if match is None or not 0 < port < 65536:
        raise ValueError(f"{text!r} is no name server: write HOST or HOST:PORT, an IPv6 address in brackets")
    return (match[1] or domain(match[2])), port


@lru_cache(maxsize=1024)
def size(text: str) -> int | str:
    """`10 GiB` as bytes; `unlimited` stays. Raises ValueError."""
    if text == UNLIMITED:
        return UNLIMITED
    match = _MEASURE.fullmatch(text)
    if match is None or match[2] not in _SIZES:
        raise ValueError(f"{text!r} is not a size such as `10 GiB` (KiB, MiB, GiB, TiB) or `unlimited`")
    return int(match[1]) * _SIZES[match[2]]


@lru_cache(maxsize=1024)
def seconds(text: str) -> int:
    """`1 hour`, `5 min`, `30 days` as seconds. Raises ValueError."""
    match = _MEASURE.fullmatch(text)
    unit = "" if match is None else match[2] if match[2] in _SECONDS else match[2].removesuffix("s")
    if match is None or unit not in _SECONDS:
        raise ValueError(f"{text!r} is not a duration such as `1 hour` (s, min, hour, day, week)")
    return int(match[1]) * _SECONDS[unit]


def duration(number: int) -> str:
    """Seconds as people write them: `1 hour`, `5 min`, `30 days`, `90 s`."""
    unit, factor = next((u, f) for u, f in reversed(_SECONDS.items()) if f == 1 or (number and number % f == 0))
    count = number // factor
    return f"{count} {unit}{'s' if count > 1 and factor > 60 else ''}"
