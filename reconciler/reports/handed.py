"""`records` as lines of a zone file (RFC 1035, 5.1), and as JSON. A comment says what is no record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.kinds.record import quoted
from reconciler.wording import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.results import Handed

Data = dict[str, Any]


def as_data(found: Handed) -> Data:
    """`reconciler.records/1`."""
    return {
        "format": "reconciler.records/1",
        "commit": found.commit,
        "tenant": found.tenant,
        "domain": found.domain,
        "records": [
            {"name": name, "type": type_, "ttl": ttl, "values": list(values)} for name, type_, ttl, values in found.sets
        ],
        "unknown": [{"name": name, "type": type_, "why": why} for name, type_, why in found.unknown],
        "absent": [{"name": name, "type": type_, "values": list(values)} for name, type_, values in found.absent],
    }


def text(found: Handed) -> str:
    """Lines that any name server reads; of a TXT value its strings of at most 255 bytes."""
    return "".join(f"{line}\n" for line in _lines(found))


def _lines(found: Handed) -> Iterator[str]:
    yield f"; The records of {found.domain}, as of commit {found.commit[:12]}."
    yield "; TXT and CAA records beside these stay; of the other types these are all there shall be."
    for name, type_, ttl, values in found.sets:
        for value in values:
            yield f"{name}. {ttl} IN {type_} {quoted(value) if type_ == 'TXT' else value}"
    for name, type_, why in found.unknown:
        yield f"; not known yet: {name}. {type_}: {visible(why)}"
    for name, type_, values in found.absent:
        for value in values or ("any value",):
            yield f"; must not be there: {name}. {type_} {quoted(value) if values and type_ == 'TXT' else value}"
