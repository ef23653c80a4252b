"""The runs as the journal has them: of each its outcome (`run.json`), of one that was killed its intent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reconciler.errors import LedgerError
from reconciler.journal import RUN_FORMAT
from reconciler.kinds import kinds
from reconciler.ledger import INTENT, INTENT_FORMAT, RUN
from reconciler.shapes import plain, shape, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from reconciler.history import Repository

Data = dict[str, Any]
_CHUNK = 400  # runs read at once


def _is_address(value: Any) -> bool:
    return type(value) is str and value.partition(":")[2].partition("/")[0] in kinds()


def _are_fields(value: Any) -> bool:
    if type(value) is not dict or not all(map(plain, value)):
        return False
    pairs = [type(pair) is dict and "from" in pair and "to" in pair for pair in value.values()]
    return all(pairs)  # of each change of each run: a list, for a generator takes twice as long


def _is_past(value: Any) -> bool:
    return value is None or _is_address(value)


def _is_revert(value: Any) -> bool:
    return value in (None, "full", "partial", "none")


_ORIGIN = {"file": text, "line": (None, int), "commit": (None, plain), "author": text}
_STEP = {"address": _is_address, "what": plain, "fields": _are_fields, "origin": _ORIGIN}
_CHANGE = {
    "address": _is_address,
    "action": plain,
    "reason?": plain,
    "was?": _is_past,
    "fields": _are_fields,
    "origin": _ORIGIN,
    "revert": _is_revert,
    "loses?": text,
}
_HEAD = {
    **dict.fromkeys(("run", "began", "commit", "digest", "version"), plain),
    "tenant": str,
    "actor": str,
    "no_remote": text,
    "settled": (None, {"run": plain, "made": [_is_address], "unclear": [_is_address]}),
}
_ENDED = {
    "ended": plain,
    "result": plain,
    "changes": [{**_CHANGE, "result": plain, "error": text}],
    "steps": [_STEP],
    "proofs?": [{"address": _is_address, "server": plain, "why": str, "note?": str}],
}
_SHAPES = {INTENT_FORMAT: shape({**_HEAD, "changes": [_CHANGE]}), RUN_FORMAT: shape({**_HEAD, **_ENDED})}


def runs(repository: Repository, tips: Iterable[str]) -> Iterator[Data]:
    """What each run did in each tenant as of some ledgers' tips, newest first.

    A run that was killed has only its intent: what became of it is what the run after it saw.
    Raises LedgerError for what cannot be read.
    """
    listing = repository.git("rev-list", "--date-order", "--stdin", stdin="".join(f"{tip}\n" for tip in tips).encode())
    told = set[tuple[str, str]]()
    seen: dict[tuple[str, str], Data] = {}
    for name, content in _files(repository, listing.decode().split()):
        run = parsed(name, content)
        key = (run["tenant"], run["run"])
        if run["settled"] is not None:
            seen[run["tenant"], run["settled"]["run"]] = run["settled"]
        if key not in told:  # a sign of life has its intent once more
            yield run if "ended" in run else _killed(run, seen.get(key))
        told.add(key)


def _files(repository: Repository, commits: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Of each commit the outcome, or else the intent."""
    for start in range(0, len(commits), _CHUNK):
        both = [(f"{c}:{RUN}", f"{c}:{INTENT}") for c in commits[start : start + _CHUNK]]
        found = repository.objects([name for pair in both for name in pair])
        yield from (
            (name, found[name]) for name in (next(filter(found.__contains__, pair), "") for pair in both) if name
        )


def parsed(name: str, content: bytes) -> Data:
    """The outcome or the intent in a file called `name`. Raises LedgerError where it is none."""
    try:
        data: Data = json.loads(content)
        data.setdefault("no_remote", None)  # an older run does not say it
        if data["format"] not in _SHAPES:
            raise LedgerError(f"{name} is of format {data['format']!r}, which this version does not read")
        if not _SHAPES[data["format"]](data):
            raise LedgerError(f"{name} lacks a part, or has another in its place")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LedgerError(f"{name} cannot be read ({error})") from None
    return data


def _killed(intent: Data, seen: Data | None) -> Data:
    """The run of an intent without outcome; `seen` is what a later look came to, None where nobody looked yet."""
    changes = [
        {
            **{key: value for key, value in change.items() if key != "claim"},
            "result": _verdict(change, seen),
            "error": None,
        }
        for change in intent["changes"]
    ]
    return {**intent, "ended": None, "result": "unfinished", "changes": changes, "steps": []}


def _verdict(change: Data, seen: Data | None) -> str:
    if seen is None or change["address"] in seen["unclear"]:
        return "not known"
    return "applied" if change["address"] in seen["made"] else "not applied"
