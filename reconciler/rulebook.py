"""Every rule there is, found where it is made: `explain` reads it here."""

from __future__ import annotations

import importlib
import pkgutil
from difflib import get_close_matches

import reconciler
from reconciler.errors import ReconcilerError
from reconciler.findings import Rule


def rules() -> dict[str, Rule]:
    """{code: rule}, by code. It loads every module."""
    names = [info.name for info in pkgutil.walk_packages(reconciler.__path__, "reconciler.")]
    modules = [importlib.import_module(name) for name in names if not name.endswith("__main__")]
    made = [value for module in modules for value in vars(module).values() if isinstance(value, Rule)]
    return {rule.code: rule for rule in sorted(made, key=lambda rule: rule.code)}


def rule(code: str) -> Rule:
    """The rule of a code. Raises ReconcilerError, which names the nearest there is."""
    known = rules()
    if code.upper() in known:
        return known[code.upper()]
    near = get_close_matches(code.upper(), known, n=1)
    raise ReconcilerError(f"there is no finding `{code}`{f'; did you mean {near[0]}?' if near else ''}")
