"""Plans that were reviewed, from the JSON files that `plan --format json` wrote. What they say is not trusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.errors import InputError
from reconciler.findings import Origin, Rule
from reconciler.permit import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

NOT_A_PLAN = Rule(
    "IN308",
    "error",
    "Not a plan that was reviewed",
    "Give the file that `plan --format json` wrote.",
    why="An edited or foreign file would have changes made that nobody reviewed.",
)

Reviewed = dict[str, Any]


def plans(files: Sequence[str], digests: Sequence[str]) -> tuple[Reviewed, ...]:
    """The plans in the files; with digests, only those of which one is the plan's. Raises InputError."""
    return tuple(_counting(((file, _read(file)) for file in files), digests))


def shown(content: bytes | None, digest: str) -> tuple[Reviewed, ...]:
    """The plan in a file's content, where it is one and has the digest (empty: its own); else none.

    Such a file comes from a place that others may write to: what is wrong with it is no error of ours.
    """
    try:
        plan = json.loads(content or b"null")
        return tuple(_counting([("", plan)], (digest,) if digest else ())) if _is_plan(plan) else ()
    except (ValueError, RecursionError, InputError):
        return ()


def _counting(found: Iterable[tuple[str, Reviewed]], digests: Sequence[str]) -> Iterator[Reviewed]:
    for file, plan in found:
        try:
            _look_through(plan["tenants"])
            whole, tenants = digest_of(plan)
            said = {found["tenant"]: found["digest"] for found in plan["tenants"]}
        except (KeyError, TypeError, AttributeError) as error:
            raise _refused(file, f"It lacks what a plan has ({error!r}).") from None
        # A tenant that stands there twice has one digest only, which says nothing of the other.
        if (whole, tenants) != (plan.get("digest"), said) or len(said) < len(plan["tenants"]):
            raise _refused(file, "Its changes are not those its digest is of: it was edited.")
        if not digests or whole in digests:
            yield plan


def _look_through(tenants: Iterable[Mapping[str, Any]]) -> None:
    """That no digest covers it is no reason to stumble over it later. Raises as a look-up does."""
    for found in tenants:
        items = (*found["changes"], *found["due"])
        texts = [found["tenant"], *found["forgotten"], *(item[key] for item in items for key in ("address", "action"))]
        if not all(
            isinstance(text, str) for text in [*texts, *(item["was"] for item in items if item["was"] is not None)]
        ):
            raise TypeError("a name that is no text")
        digest_of({"tenants": [{**found, "changes": found["due"]}]})


def _read(file: str) -> Reviewed:
    try:
        data = json.loads(Path(file).read_bytes())
    except OSError as error:
        raise _refused(file, f"It cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise _refused(file, "It is no JSON.") from None
    if not _is_plan(data):
        raise _refused(file, "It is no `reconciler.plan/1`.")
    return data  # type: ignore[no-any-return]


def _is_plan(data: Mapping[str, Any]) -> bool:
    return (
        isinstance(data, dict) and data.get("format") == "reconciler.plan/1" and isinstance(data.get("tenants"), list)
    )


def _refused(file: str, what: str) -> InputError:
    return InputError([NOT_A_PLAN.at(file, what, Origin(file, line=1, column=1))])
