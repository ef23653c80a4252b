"""`inventory` as lines and as JSON: per domain each item with where it is known from and how old that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.reports.data import finding
from reconciler.wording import counted, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from reconciler.findings import Finding
    from reconciler.reports.lines import Line

Data = dict[str, Any]
_WIDTH = 20  # of an item's name
_MANY = 5  # values of one item, before they are counted


def as_data(answer: Data, findings: Sequence[Finding]) -> Data:
    """`reconciler.inventory/1`; the findings say why tenants are missing."""
    return {"format": "reconciler.inventory/1", **answer, "findings": [finding(found) for found in findings]}


def lines(answer: Data) -> Iterator[Line]:
    """A domain a paragraph: the reset surface, then what there is."""
    count = 0
    for tenant in answer["tenants"]:
        for domain in tenant["domains"]:
            yield from _domain(tenant["tenant"], domain, first=count == 0)
            count += 1
    if not count:
        yield (("No domain is declared there.", ""),)


def _domain(tenant: Data, domain: Data, *, first: bool) -> Iterator[Line]:
    if not first:
        yield ()
    name = f"{tenant['name']} ({tenant['id']})" if tenant["name"] else tenant["id"]
    yield ((visible(domain["domain"]), "bold"), (visible(f"  {name}"), ""))
    for side, what in (
        ("mail", "mail is not ours: what its addresses are"),
        ("dns", "DNS is not ours: what stands in it"),
    ):
        if not domain["ours"][side]:
            yield ((f"  its {what}, nobody here knows", ""),)
    if twin := domain["alias_of"]:
        yield ((visible(f"  alias of {twin}: the addresses below are those, and answer here too"), ""),)
    for key, title in (("reset_surface", "through which it could be taken over"), ("objects", "what there is")):
        yield ((f"  {title}", "bold"),)
        for item, said in domain[key].items():
            shown = _SHOWN if key == "reset_surface" else _COUNTED
            yield from _item(item, said, shown.get(item, _plain))


def _item(name: str, said: Data, shown: Callable[[Any], Iterable[str]]) -> Iterator[Line]:
    """What it is, where it is known from and how old that is; below it the values."""
    label = _LABELS.get(name, name.replace("_", " "))
    texts = list(shown(said["value"])) if said["value"] is not None else []
    style = "yellow" if said["source"] == "unknown" else "dim"
    yield ((f"    {label:{_WIDTH}}", ""), (_age(said), style))
    for text in texts[:_MANY] or (["none declared"] if said["value"] is not None else []):
        yield ((f"      {visible(text)}", ""),)
    if len(texts) > _MANY:
        yield ((f"      … and {len(texts) - _MANY} more: --format json", ""),)


def _plain(value: Sequence[Any]) -> Iterator[str]:
    return map(str, value)


def _age(said: Data) -> str:
    if said["source"] == "unknown":
        return "unknown"
    age = "age unknown" if said["age"] is None else "today" if said["age"] == 0 else counted(said["age"], "day")
    return f"{said['source']}, {age}"


def _assets(value: Sequence[Data]) -> Iterator[str]:
    for asset in value:
        ends = f", until {asset['expires']}" if asset["expires"] else ""
        yield f"{asset['name']}{ends}"
        if asset["reset_to"]:
            yield f"  resets go to {asset['reset_to']}"


def _dns(value: Sequence[Data]) -> Iterator[str]:
    return (f"{one['provider']} ({one['type']})" if "provider" in one else one["name"] for one in value)


def _addresses(value: Sequence[Data]) -> Iterator[str]:
    for one in value:
        until = f", until {one['expires']}" if one["expires"] else ""
        to = f" -> {', '.join(one['to'])}" if one["to"] else " (mailbox)"
        yield f"{one['address']}{to}{until}"


def _mfa(value: Sequence[Data]) -> Iterator[str]:
    for one in value:
        old = "" if one["attested"] else ", too long ago"
        seen = f"seen on {one['mfa_attested']}{old}" if one["mfa_attested"] else "unknown"
        yield f"{one['name'] or one['person']}: {seen}"


def _domains(value: Sequence[Data]) -> Iterator[str]:
    for one in value:
        owner = one["owner"]
        yield f"owned by {owner['name'] or owner['id'] if owner else 'nobody who is named'}"


def _boxes(value: Sequence[Data]) -> Iterator[str]:
    if value:
        shared = sum(one["kind"] == "shared" for one in value)
        closed = sum(one["state"] != "active" for one in value)
        more = (f", {shared} of them shared" if shared else "") + (f", {closed} blocked or paused" if closed else "")
        yield f"{len(value)}{more}"


def _number(value: Sequence[Data]) -> Iterator[str]:
    if value:
        yield str(len(value))


def _authentication(value: Data) -> Iterator[str]:
    yield f"SPF: {value['spf'] or 'none declared'}"
    yield f"DKIM: {', '.join(value['dkim']) or 'none declared'}"
    yield f"DMARC: {value['dmarc'] or 'none declared'}"


def _access(value: Sequence[Data]) -> Iterator[str]:
    for way in value:
        names = "; ".join(_holder(holder) for holder in way["holders"]) or "nobody is named"
        yield f"{way['name']}: {names}"


def _holder(holder: Data) -> str:
    people = ", ".join(person["name"] or person["id"] for person in holder["people"] if person["here"])
    return f"{holder['team']} ({people})" if holder["team"] else people


_LABELS = {
    "dns_provider": "DNS provider",
    "mx": "MX",
    "mfa": "second factors",
    "catch_all": "catch-all",
    "forwards": "forwarding rules",
}
_SHOWN: dict[str, Callable[[Any], Iterable[str]]] = {
    "registrar": _assets,
    "dns_provider": _dns,
    "admin_addresses": _addresses,
    "forwards": _addresses,
    "catch_all": _addresses,
    "external_aliases": _addresses,
    "mfa": _mfa,
}
_COUNTED: dict[str, Callable[[Any], Iterable[str]]] = {
    "domains": _domains,
    "mailboxes": _boxes,
    "aliases": _number,
    "forwards": _number,
    "mail_authentication": _authentication,
    "admin_access": _access,
}
