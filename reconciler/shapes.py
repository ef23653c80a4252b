"""Whether JSON that somebody else may have written has the shape of what was written there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Fits = Callable[[Any], bool]


def shape(said: Any) -> Fits:
    """What says of a value whether it has a shape.

    That is a type (`bool` is no `int` here); None; several of which one holds; {key: shape}, where a key that ends in
    `?` may be missing and others may be there besides; [shape] for a list of such; or a function that says it already.
    """
    if isinstance(said, dict):
        return _object({key: shape(inner) for key, inner in said.items()})
    if isinstance(said, list):
        item = shape(said[0])
        return lambda value: type(value) is list and all(map(item, value))
    if isinstance(said, tuple):
        ways = [shape(one) for one in said]
        return lambda value: any(fits(value) for fits in ways)
    if isinstance(said, type):
        return lambda value: type(value) is said
    return said or _nothing


def _object(parts: dict[str, Fits]) -> Fits:
    rows = [(key.removesuffix("?"), key.endswith("?"), fits) for key, fits in parts.items()]

    def holds(value: Any) -> bool:
        if type(value) is not dict:
            return False
        for key, optional, fits in rows:  # noqa: SIM110  (each change of each run: a generator takes twice as long)
            if not (fits(value[key]) if key in value else optional):
                return False
        return True

    return holds


def _nothing(value: Any) -> bool:
    return value is None


def plain(value: Any) -> bool:
    """A shape: one line of ASCII, that a terminal shows and nothing obeys."""
    return type(value) is str and value.isascii() and value.isprintable()


def text(value: Any) -> bool:
    """A shape: text, or nothing."""
    return value is None or type(value) is str
