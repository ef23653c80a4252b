"""How much of the internet an SPF record lets send: its networks summed up, each address by the first that names it."""

from __future__ import annotations

import heapq
import ipaddress
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from reconciler.tags import heard, lengths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.tags import Term

_BITS = {4: 32, 6: 128}
# The prefix length of the most that one owner sends from. A few companies have a /8 of IPv4 and none sends from two; of
# IPv6 a registry gets a /12 for a whole continent.
_MOST = {4: 7, 6: 12}


class _Span(NamedTuple):
    """Addresses from `start` up to and without `end`, and whether the term that names them lets them send."""

    start: int
    end: int
    passes: bool


@lru_cache(maxsize=4096)  # most values are the template's
def too_broad(value: str) -> str:
    """What may send by an SPF value without faults, as a phrase; empty where one owner may have as much."""
    for version, bits in _BITS.items():
        named, around = [], 0
        for term in heard(value):
            span = _span(term, version)
            if span is not None:
                named.append(span)
            elif term.sign == "+" and version in (said := lengths(term)):
                around += 2 ** (bits - said[version])  # around an address that DNS knows
        passing = _passing(named) + around
        if passing > 2 ** (bits - _MOST[version]):
            return f"{'all' if passing >= 2**bits else f'more than a /{_MOST[version]}'} of IPv{version}"
    return ""


def _span(term: Term, version: int) -> _Span | None:
    """What a term names without a look at DNS: a network, or by the length 0 all there is."""
    if term.sign and term.name == f"ip{version}":
        network = ipaddress.ip_network(term.value, strict=False)
        return _Span(int(network[0]), int(network[-1]) + 1, term.sign == "+")
    return _Span(0, 2 ** _BITS[version], term.sign == "+") if lengths(term).get(version) == 0 else None


def _passing(spans: Sequence[_Span]) -> int:
    """How many addresses may send: each is judged by the first span that it lies in."""
    coming = sorted(range(len(spans)), key=lambda at: spans[at].start, reverse=True)
    here: list[int] = []
    passing = 0
    for start, end in pairwise(sorted({edge for span in spans for edge in span[:2]})):
        while coming and spans[coming[-1]].start == start:
            heapq.heappush(here, coming.pop())
        while here and spans[here[0]].end <= start:
            heapq.heappop(here)
        if here and spans[here[0]].passes:
            passing += end - start
    return passing
