"""Which domains are public suffixes: names below which anybody may register a domain, so that none is one client's.

The Public Suffix List (https://publicsuffix.org) comes with the package `publicsuffixlist`; nothing is downloaded.
Making its index takes 50 ms, reading its lines 5: so the package is asked only about what some line might mean.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from publicsuffixlist import PublicSuffixList


def public(domains: Iterable[str]) -> frozenset[str]:
    """Those of some domains (A-labels) that are public suffixes, of registries (`co.uk`) or of hosts (`github.io`)."""
    near = [name for name in domains if _near(_as_listed(name))]
    return frozenset(name for name in near if _whole().is_public(name))


def _near(name: str) -> bool:
    """Whether a line of the list is the name, or a wildcard right at or above it."""
    lines = _lines()
    return name in lines or f"*.{name}" in lines or f"*.{name.partition('.')[2]}" in lines


@cache
def _lines() -> frozenset[str]:
    import publicsuffixlist

    return frozenset(Path(publicsuffixlist.PSLFILE).read_text(encoding="utf-8").splitlines())


@cache
def _whole() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()


def _as_listed(name: str) -> str:
    """The name with U-labels, as the list has it; what cannot be decoded is in no list."""
    if "xn--" not in name:
        return name
    try:
        return ".".join(
            label[4:].encode().decode("punycode") if label.startswith("xn--") else label for label in name.split(".")
        )
    except UnicodeError:
        return name
