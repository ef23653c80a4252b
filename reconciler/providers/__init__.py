"""Live systems, one file per type. A new backend is a new file here and a 30-line test; nothing else to edit.

A file `<type>.py` holds `SIDE` ("mail" or "dns"), `REQUIRED` and `OPTIONAL` (names of its settings),
`problems(settings)`, which says what of them cannot be, and `connect(name, settings, root)`, which opens nothing yet:
the first read or write does.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from types import ModuleType

    from reconciler.answers import Login
    from reconciler.changes import Batch
    from reconciler.errors import ProviderError
    from reconciler.model import Address, Resource, Scope, Value


class Provider(Protocol):
    """A live system. It reads and writes, nothing else: no plan, no policy, no dry run.

    `kinds` maps each kind it holds to the attributes it stores and reads back. `cautions` says in words what an
    operator should know before a change touches `<kind>.<attribute>`, or before a missing `zone` is made. What it says
    of `record.<TYPE>` is why it holds no record of that type.
    """

    kinds: Mapping[str, frozenset[str]]
    cautions: Mapping[str, str]

    def read(self, scopes: Sequence[Scope]) -> Mapping[str, tuple[Resource, ...] | ProviderError]:
        """For every domain asked: all that is there of it, or why that cannot be said. Never a part.

        A few queries for all the domains, not one per object. Raises ProviderError when nothing can be read.
        """

    def apply(self, batch: Batch) -> Mapping[Address, Mapping[str, Value]]:
        """Write each change's `aim`, all or nothing, on condition that what it changes is still as in `live`.

        When it returns, the batch is durable. It returns the computed attributes of what it made. Raises
        Conflict (nothing was written) when live has moved, another ProviderError when the outcome is unknown.
        """

    def identity(self) -> str | None:
        """What was left there by `identify`: whose ledger this system belongs to. None: nothing yet.

        It makes nothing: a database or folder that is not there has none. Raises ProviderError as `read` does.
        """

    def identify(self, identity: str) -> None:
        """Leave it there for good, where a move or a backup of what is live takes it along. Durable when it returns.

        The same once more changes nothing; raises Conflict where another one is.
        """

    def close(self) -> None:
        """Let go of connections and files; safe to call twice."""


@runtime_checkable
class Asked(Protocol):
    """A system that tells only of what it is asked for by name, as public DNS does."""

    def ask(self, names: Mapping[str, Collection[str]]) -> Mapping[str, tuple[Resource, ...] | ProviderError]:
        """{domain: names of things}: of every domain those of them that are there, or why that cannot be said."""


@runtime_checkable
class Guarded(Protocol):
    """A mail system that tells who is let in, without anybody's password."""

    def logins(self, mailboxes: Sequence[str]) -> Mapping[str, Login]:
        """Whether a login is refused to each of these mailboxes. It raises nothing."""


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
