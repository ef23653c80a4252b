"""What a domain's files say must not exist: aliases, record sets and single values of them, never what keeps data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.findings import Rule
from reconciler.kinds._record_sets import record_name
from reconciler.kinds.record import lenient, rtype
from reconciler.model import Address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.findings import Origin
    from reconciler.kinds.site import Site
    from reconciler.model import State

BOTH = Rule(
    "IN234",
    "error",
    "Declared, and named as one that must not exist",
    "Take one of the two out.",
    why="One line would make it and the other take it away, run after run.",
)


def named_absent(site: Site, state: State) -> tuple[set[Address], dict[Address, frozenset[str]]]:
    """(addresses that must not exist, {address: the only values of it that must not})."""
    whole: set[Address] = set()
    values: dict[Address, frozenset[str]] = {}
    for address, said, origin in _named(site):
        value = lenient(rtype(address.name), said["value"]) if "value" in said else None
        if address in state and (value is None or value in state[address].get("values")):
            site.report(BOTH.at(str(address), "It is declared too.", origin))
        elif value is not None:
            values[address] = values.get(address, frozenset()) | {value}
        else:
            whole.add(address)
    return whole, {address: some for address, some in values.items() if address not in whole}


def _named(site: Site) -> Iterator[tuple[Address, Mapping[str, Any], Origin]]:
    for index, said in enumerate(site.boxes.get("absent", ()) if site.mail is not None else ()):
        origin = site.at("absent", index)
        if site.mail is not None and (alias := site.address(said["alias"], origin)) is not None:
            yield Address(site.mail, "alias", alias), said, origin
    for index, said in enumerate(site.names.get("absent", ()) if site.dns is not None else ()):
        origin = site.at_dns("absent", index)
        if site.dns is not None and (name := record_name(site, said, origin)) is not None:
            yield Address(site.dns, "record", name), said, origin
