"""What a tenant's files say about things they do not declare, or do not any more: policies, dates, exceptions.

Whatever speaks of a day is judged by the day the plan is made for; a day that is named holds to its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import canonical
from reconciler.kinds import named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.agency import Agency
    from reconciler.files import Files
    from reconciler.model import Address, Value

DEFAULT_RETENTION = "30 days"
Hold = tuple[str, str | None]  # what must not be purged, and until when (None: until it is taken out)


class Rules(NamedTuple):
    """The rules of one tenant. Domains map to what holds for them; `holds` and `early` name addresses.

    `enforced` are (side, domain) whose drift is put back, `retention` is in days, `early` maps addresses to the day
    from which they may be purged sooner. `released` are addresses that the ledger lets go; `retiring` are domains
    that are taken out in stages, and `leaving` those of them whose day has come.
    """

    enforced: frozenset[tuple[str, str]] = frozenset()
    retention: Mapping[str, int] = {}
    holds: tuple[Hold, ...] = ()
    early: Mapping[str, str] = {}
    elsewhere: int | None = None  # retention of domains that no file names any more
    released: frozenset[str] = frozenset()
    leaving: Mapping[str, str] = {}
    retiring: frozenset[str] = frozenset()
    accept: Sequence[Mapping[str, Any]] = ()  # its own named exceptions

    def held(self, name: str, tenant: str, today: str) -> Hold | None:
        """The hold on an address, its domain or its tenant, if one is in force."""
        subjects = {name, canonical.domain_of(name), tenant}
        return next((hold for hold in self.holds if hold[0] in subjects and (hold[1] or today) >= today), None)

    def keep(self, domain: str) -> int | None:
        """For how many days a mailbox of the domain is kept once Git lets it go."""
        return self.retention.get(domain, self.elsewhere)


def days(text: str | None) -> int:
    """A duration as whole days, rounded up."""
    return -(-canonical.seconds(text or DEFAULT_RETENTION) // 86400)


def rules_of(files: Files, agency: Agency, today: str) -> Rules:
    """The rules that a tenant's documents set on a day (ISO); the nearest level wins."""
    enforced: set[tuple[str, str]] = set()
    retention: dict[str, int] = {}
    early: dict[str, str] = {}
    for stem, boxes in files.domains.items():
        levels = (files.control, agency.defaults)
        for side, near in (("mail", boxes), ("dns", files.dns.get(stem, {}))):
            if _nearest("drift", near, *levels) == "enforce":
                enforced.add((side, stem))
        retention[stem] = days(_nearest("retention", boxes, *levels))
        early |= {canonical.address(name, stem): said["purge"] for name, said in boxes.get("retired", {}).items()}
    holds = tuple((canonical.address(h["subject"]) if "@" in h["subject"] else h["subject"], h.get("until"))
                  for h in files.control.get("holds", ()))  # fmt: skip
    elsewhere = days(_nearest("retention", files.control, agency.defaults))
    retiring = files.control.get("retire", {})
    retention |= {domain: days(said["keep"]) for domain, said in retiring.items() if "keep" in said}
    return Rules(
        frozenset(enforced), retention, holds, early, elsewhere, frozenset(files.control.get("released", ())),
        {domain: "stage" for domain, said in retiring.items() if said["on"] <= today}, frozenset(retiring),
        files.control.get("accept", ()),
    )  # fmt: skip


def _nearest(key: str, *levels: Mapping[str, Any]) -> Any:
    return next((level[key] for level in levels if key in level), None)


def quieted(accept: Sequence[Mapping[str, Any]], today: str) -> dict[str, list[Mapping[str, Any]]]:
    """{address: the acceptances of drifted values that are in force}."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for item in accept:
        if "field" in item and item.get("expires", today) >= today:
            found.setdefault(item["subject"], []).append(item)
    return found


def accepted_value(address: Address, item: Mapping[str, Any]) -> Value:
    """The live value that an acceptance names, as a person writes it, in canonical form."""
    field, value = item["field"], item.get("value")
    if field == "quota" and isinstance(value, str):
        return canonical.size(value)
    if field == "ttl" and isinstance(value, str):
        return canonical.seconds(value)
    row = next((row for row in named(address.kind).attributes if row.name == field), None)
    listed = [value] if row is not None and isinstance(row.default, tuple) and isinstance(value, str) else value
    return row.normal(address.name, listed) if row is not None and isinstance(listed, list | dict) else value
