"""Where a value of a record set was written: the line that a tenant would change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import canonical
from reconciler.findings import Origin
from reconciler.kinds._record_sets import stands_in
from reconciler.kinds.record import label, lenient, rtype

if TYPE_CHECKING:
    from reconciler.files import Files
    from reconciler.model import Resource


def place(files: Files, resource: Resource, value: str) -> Origin:
    """The domain's own line for the value, else the parameter that is part of it, else where the template is used."""
    assert resource.origin is not None
    said = files.dns.get(resource.domain, {})
    file = f"{files.folder}/dns/{resource.domain}.yaml"
    type_, host = rtype(resource.address.name), label(resource.address.name)
    for index, record in enumerate(said.get("records", ())):
        if record["type"] == type_ and _host(record["name"], resource.domain) == host:
            for item, text in enumerate(record.get("values", ())):
                if lenient(type_, text) == value:
                    return Origin(file, ("records", index, "values", item))
    for key, given in said.get("with", {}).items():
        if stands_in(given, value):
            return Origin(file, ("with", key))
    return Origin(file, ("template",)) if resource.origin.path[:1] == ("records",) else resource.origin


def _host(relative: str, domain: str) -> str:
    return domain if relative == "@" else f"{canonical.domain(relative)}.{domain}"
