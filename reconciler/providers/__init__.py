"""Live systems, one file per type. A new backend is a new file here and a 30-line test; nothing else to edit.

A file `<type>.py` holds `SIDE` ("mail" or "dns"), `REQUIRED` and `OPTIONAL` (names of its settings) and
`connect(name, settings, root)`, which opens nothing yet: the first read or write does.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from reconciler.model import Provider


def types() -> tuple[str, ...]:
    """The provider types there are; names that begin with `_` are what several of them share."""
    return tuple(sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_")))


def module(type_: str) -> ModuleType | None:
    """The file of one type, or None where there is no such type."""
    return importlib.import_module(f"{__name__}.{type_}") if type_ in types() else None


def connect(name: str, type_: str, settings: Mapping[str, Any], root: str) -> Provider:
    """The provider called `name`; relative paths in its settings are relative to `root`, the estate's folder."""
    found = module(type_)
    assert found is not None, f"validation lets no unknown type through: {type_}"
    provider: Provider = found.connect(name, settings, root)
    return provider
