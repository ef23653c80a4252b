"""What a zone file's text says as record sets, and the text it becomes by a batch. Nothing here opens a file.

The usual file is read by `_master`; what that does not know to the letter is left to dnspython, which takes its time
and cannot say where things stand: such a file is read, never changed.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from reconciler.errors import ProviderError, Refused
from reconciler.kinds import record
from reconciler.providers import _master, _sets
from reconciler.providers._master import Key, Line, Odd

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from reconciler.changes import Batch
    from reconciler.providers._sets import Sets

MAX_GENERATED = 65_536  # records that one file may $GENERATE
_GENERATE = re.compile(
    r"^[ \t()]*\$GENERATE\b(?:[ \t]+([0-9]{1,9})-([0-9]{1,9})(?:/([0-9]{1,9}))?[ \t])?", re.IGNORECASE | re.MULTILINE
)


def read(text: str, zone: str, path: Path) -> Sets:
    """The record sets of a zone. Raises ProviderError with file and line."""
    try:
        found = [line for line in _master.lines(text, zone) if _sets.at_or_below(line.name, zone)]
        lonely(found)
        return gathered(found)
    except Odd:
        return by_dnspython(text, zone, path)


def lonely(found: Sequence[Line]) -> None:
    """Raises Odd where a CNAME does not have its name alone, or a set of one value has two."""
    singles = Counter(line.key for line in found if line.type in record.SINGLE)
    aliases = {name for type_, name in singles if type_ == "CNAME"}
    for line in found:
        if singles[line.key] > 1 or (line.name in aliases and line.type not in {"CNAME", *_sets.BESIDE_CNAME}):
            raise Odd(line.start + 1)


def gathered(found: Iterable[Line]) -> Sets:
    """The records as sets. Raises Odd."""
    ours = [line for line in found if line.type not in _sets.NOT_OURS]
    values: dict[Key, list[str]] = {}
    ttls: dict[Key, int] = {}
    for line in ours:
        values.setdefault(line.key, []).append(_master.value(line))
        ttls[line.key] = min(line.ttl, ttls.get(line.key, line.ttl))
    return {key: (tuple(said), ttls[key]) for key, said in values.items()}


def by_dnspython(text: str, zone: str, path: Path) -> Sets:
    """The slow and complete way. Bytes beyond ASCII become escapes, because dnspython takes text for UTF-8."""
    import dns.rdatatype
    import dns.zone

    _no_flood(text, path)
    escaped = r"(\\[\0-\x7f])|\\?([\x80-\xff])"
    ascii_text = re.sub(escaped, lambda match: match[1] or f"\\{ord(match[2]):03d}", text.replace("\r\n", "\n"))
    try:
        parsed = dns.zone.from_text(
            ascii_text, f"{zone}.", relativize=False, check_origin=False, filename=str(path), allow_include=False,
            transaction_setup=lambda txn: txn.check_put_rdataset(_one_value),
        )  # fmt: skip
        found = [
            ((dns.rdatatype.to_text(data.rdtype), name.to_text(omit_final_dot=True).lower()), data)
            for name, data in parsed.iterate_rdatasets()
        ]
        return {key: (tuple(map(_sets.text_of, data)), data.ttl) for key, data in found if key[0] not in _sets.NOT_OURS}
    except Exception as error:  # noqa: BLE001 - a stranger's text in a parser that promises no class of error
        why = str(error) or type(error).__name__
    raise ProviderError(f"{path} is no zone file that can be read whole: {why}")


def _no_flood(text: str, path: Path) -> None:
    """Raises Refused for a $GENERATE of more records than a zone here can have: a line of it can ask for billions."""
    count = 0
    for match in _GENERATE.finditer(text):
        start, stop, step = (int(number or 1) for number in match.groups())
        count += len(range(start, stop + 1, step or 1)) if match[1] else MAX_GENERATED + 1
        if count > MAX_GENERATED:
            line = text.count("\n", 0, match.start()) + 1
            raise Refused(f"{path}:{line}: $GENERATE must name a range, and of at most {MAX_GENERATED} records in all")


def _one_value(txn: Any, name: Any, rdataset: Any) -> None:
    """A check of dnspython's, which without it keeps the last of two values that exclude each other."""
    import dns.rdatatype

    there = txn.get(name, rdataset.rdtype, rdataset.covers) if dns.rdatatype.is_singleton(rdataset.rdtype) else None
    if there and set(there) != set(rdataset):
        raise ValueError(f"{name} has two {dns.rdatatype.to_text(rdataset.rdtype)} records")


def changed(text: str, batch: Batch) -> str:
    """The zone's text after the batch, proven to hold just that. Raises Conflict, Refused and Odd."""
    zone = batch.scope.zone
    before = _master.lines(text, zone)
    if [line.name for line in before if line.type == "SOA"] != [zone]:
        raise Odd(1)
    keys = set(_sets.touched(batch).values())
    aims = _sets.aims(gathered(line for line in before if line.key in keys), batch)
    _sets.no_clash((line.key for line in before), aims)
    drop, fresh = _edits(before, aims)
    whole = _master.rewritten(text, before, drop, fresh)
    after = _master.lines(whole, zone)
    meant = _master.said((*(line for line in before if line not in drop), *fresh), bump=True)
    held = {key: values for key, (values, _) in _of(after, aims).items()}
    aimed = {key: values for key, (values, _) in aims.items() if values}
    plain = all(line.name.isascii() and line.data.isascii() for line in fresh)
    if not plain or _master.said(after) != meant or held != aimed:
        raise Refused(f"{batch.provider}: a value is not what it seems in {zone}'s file; nothing was written")
    return whole


def _of(found: Iterable[Line], keys: Collection[Key]) -> Sets:
    return _sets.canonical(gathered(line for line in found if line.key in keys))


def _edits(before: Sequence[Line], aims: Sets) -> tuple[set[Line], list[Line]]:
    """The records to drop and those to add. What stays in a set that changes keeps its line and its comment."""
    drop: set[Line] = set()
    left = {key: dict.fromkeys(values) for key, (values, _) in aims.items()}
    ttls = {key: ttl for key, (_, ttl) in _of(before, aims).items()}
    for line in before:
        if line.key not in aims:
            continue
        ttl = aims[line.key][1]
        ((value,), _) = _of([line], {line.key})[line.key]
        if value in left[line.key] and ttl in {line.ttl, ttls[line.key]}:
            del left[line.key][value]
        else:
            drop.add(line)
    return drop, [_master.fresh_line(key, aims[key][1] or 0, value) for key, values in left.items() for value in values]
