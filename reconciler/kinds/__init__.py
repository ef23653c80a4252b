"""The kinds of things that can be declared, one file each; a new kind is a new file here and nothing else.

Each file holds `KIND` (the attribute table) and `expand`, which turns a domain's documents into resources.
"""

from __future__ import annotations

import copyreg
import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

from reconciler.model import Kind, Ref

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from reconciler.model import Address


@cache
def modules() -> tuple[ModuleType, ...]:
    """The files of this folder that hold a kind, in the order their resources are made on an empty server."""
    names = (info.name for info in pkgutil.iter_modules(__path__))
    found = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return tuple(sorted((m for m in found if hasattr(m, "KIND")), key=lambda m: (m.ORDER, m.KIND.name)))


@cache
def kinds() -> Mapping[str, Kind]:
    """Every kind by its name."""
    return {module.KIND.name: module.KIND for module in modules()}


def named(name: str) -> Kind:
    """The kind called `name`."""
    return kinds()[name]


def ref_to(address: Address) -> Ref:
    """The pointer that leads to an address, wherever it is hosted."""
    return Ref(kinds()[address.kind].namespace, address.name)


# A kind is code, not data: between worker processes it travels by its name.
copyreg.pickle(Kind, lambda kind: (named, (kind.name,)))
