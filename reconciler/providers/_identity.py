"""The identity of a live system: 128 random bits in hex, the same for every backend. `Provider` says where it lies."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from reconciler.errors import Conflict, Refused

if TYPE_CHECKING:
    from reconciler.providers import Provider

_FORM = re.compile(r"[0-9a-f]{32}")


def read(name: str, provider: Provider) -> str | None:
    """Its identity; None while it has none. Raises ProviderError, and Refused where something else stands there."""
    found: object = provider.identity()  # a database may hold anything
    if found is None or (isinstance(found, str) and _FORM.fullmatch(found)):
        return found
    raise Refused(
        f"{name}: what stands where its identity is kept is none: put back what was there, or remove it and plan again"
    )


def leave(name: str, provider: Provider) -> str | None:
    """A new identity for a system without one; where another run was quicker, that run's. Raises ProviderError."""
    fresh = secrets.token_hex(16)
    try:
        provider.identify(fresh)
    except Conflict:
        return read(name, provider)
    return fresh
