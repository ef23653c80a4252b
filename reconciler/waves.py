"""Who is applied together, and in which order: canaries first, then waves; one that fails stops the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def waves(names: Sequence[str], rollout: Mapping[str, Any]) -> list[list[str]]:
    """The tenants by wave, as `rollout` of reconciler.yaml says; without one all of them are one wave."""
    canaries = [name for name in rollout.get("canary", ()) if name in names]
    rest = sorted(set(names) - set(canaries))
    size = rollout.get("wave", len(rest) or 1)
    return [wave for wave in (canaries, *(rest[start : start + size] for start in range(0, len(rest), size))) if wave]
