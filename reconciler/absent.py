"""What a domain's files say must not exist: aliases, record sets and single values of them, never what keeps data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.findings import Rule
from reconciler.kinds._record_sets import record_name
from reconciler.model import Address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.findings import Origin
    from reconciler.kinds.site import Site
    from reconciler.model import State

BOTH = Rule("IN234", "error", "Declared, and named as one that must not exist", "Take one of the two out.")


def named_absent(site: Site, state: State) -> tuple[dict[Address, str], dict[Address, set[str]]]:
    """({address: its domain} of what must not exist, {address: values that must not stand in it})."""
    whole: dict[Address, str] = {}
    values: dict[Address, set[str]] = {}
    for address, said, origin in _named(site):
        declared = state[address].get("values") if address in state and "value" in said else (said.get("value"),)
        if address in state and said.get("value") in declared:
            site.report(BOTH.at(str(address), "It is declared too.", origin))
        elif "value" in said:
            values.setdefault(address, set()).add(said["value"])
        else:
            whole[address] = site.domain
    return whole, values


def _named(site: Site) -> Iterator[tuple[Address, Mapping[str, Any], Origin]]:
    for index, said in enumerate(site.boxes.get("absent", ()) if site.mail is not None else ()):
        origin = site.at("absent", index)
        if site.mail is not None and (alias := site.address(said["alias"], origin)) is not None:
            yield Address(site.mail, "alias", alias), said, origin
    for index, said in enumerate(site.names.get("absent", ()) if site.dns is not None else ()):
        origin = site.at_dns("absent", index)
        if site.dns is not None and (name := record_name(site, said, origin)) is not None:
            yield Address(site.dns, "record", name), said, origin
