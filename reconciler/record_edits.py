"""What a DNS file would say if it said what live has of a record set.

A set may be put together by the template and by several lines of the domain's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.editing import SIGNER, Edit, items
from reconciler.kinds.record import label, lenient, rtype
from reconciler.model import MISSING, references

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.editing import Answer, Where
    from reconciler.model import Resource, Value

    Line = Mapping[str, Any]  # an item of `records`


def record(live: Mapping[str, Value], git: Resource, where: Where) -> Answer:
    """The edits of one set; `live` maps what drifted (`values`, `ttl`, `exists`) to what is there."""
    if references(git.get("values")):
        return SIGNER
    file, said = where.names(git.domain), where.files.dns.get(git.domain, {}).get("records", ())
    short = label(git.address.name).removesuffix(git.domain).removesuffix(".") or "@"
    head = {"name": short, "type": rtype(git.address.name)}
    named = {at: item for at, item in enumerate(said) if (_host(item, git.domain), item["type"]) == (*head.values(),)}
    own = {at: item for at, item in named.items() if item.get("mode") != "drop"}
    given = set(git.get("values")) - {value for item in own.values() for value in _values(item)}
    if "exists" in live:
        lines = [Edit(file, ("records", at)) for at in reversed(own)]
        alone = not given and all(item.get("mode", "add") == "add" for item in named.values())
        return lines if alone else [Edit(file, ("records", len(said)), _reasoned(head, "drop", where)), *lines]
    values, ttl = list(live.get("values", git.get("values"))), live.get("ttl", git.get("ttl"))
    timed = {} if ttl is MISSING else {"ttl": canonical.duration(ttl)}
    if not own:
        return [Edit(file, ("records", len(said)), _reasoned({**head, "values": values, **timed}, "replace", where))]
    if given <= {*values} and not ("ttl" in live and _untimed(own) and given):
        at = next((at for at, item in own.items() if "ttl" in item), max(own))
        retimed = [Edit(file, ("records", at, "ttl"), timed["ttl"])] if "ttl" in live else []
        return [*retimed, *_shared_out(file, own, values, given)]
    first = min(own)
    words = _reasoned(timed if "ttl" in live or _untimed(own) else {}, "replace", where)
    words |= {"reason": own[first].get("reason", where.reason)}
    fresh = [Edit(file, ("records", first, word), text) for word, text in words.items() if own[first].get(word) != text]
    return [*fresh, *_shared_out(file, own, values, set(), first)]


def _reasoned(said: Line, mode: str, where: Where) -> dict[str, Any]:
    return {**said, "mode": mode, "reason": where.reason}


def _untimed(own: Mapping[int, Line]) -> bool:
    return not any("ttl" in item for item in own.values())


def _shared_out(
    file: str, own: Mapping[int, Line], values: Sequence[str], given: set[str], home: int | None = None
) -> list[Edit]:
    """The values among the lines that there are: each keeps its own, and what is new goes to `home`.

    Without one it goes where something went. `given` is what the template goes on giving.
    """
    lost = (at for at, item in own.items() if not {*_values(item)} <= {*values})
    home = next(lost, max(own)) if home is None else home
    kept = {value for at, item in own.items() if at != home for value in _values(item)}
    found: list[Edit] = []
    for at in sorted(own, reverse=True):
        written = _values(own[at])
        mine = [v for v in values if (v not in kept | given if at == home else v in written)]
        path = ("records", at)
        found += items(file, (*path, "values"), written, mine) if mine else [Edit(file, path)]
    return found


def _values(item: Line) -> list[str]:
    """The values of a line in canonical form."""
    return [lenient(item["type"], value) for value in item.get("values", ())]


def _host(item: Line, domain: str) -> str:
    return canonical.domain(item["name"]).removesuffix(f".{domain}")
