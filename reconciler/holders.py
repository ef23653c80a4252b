"""Which process holds a tenant, and whether it is still there: as an intent says it, for this host to judge."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.changes import Intent


def here() -> dict[str, Any]:
    """This process, so that others on this host can tell whether it is still there."""
    return {
        "host": socket.gethostname(),
        "boot": _said("/proc/sys/kernel/random/boot_id"),
        "namespace": _link("/proc/self/ns/pid"),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
        "ci": os.environ.get("GITHUB_RUN_ID") or os.environ.get("CI_JOB_ID") or "",
    }


def free(intent: Intent, broken: frozenset[str], tip: str) -> bool:
    """Whether nobody is at work on it any more. `broken` are tips that were watched standing still for a lease."""
    return intent.unlocked is not None or tip in broken or _gone(intent.holder)


def open_run(tenant: str, intent: Intent, tip: str) -> dict[str, str]:
    """A run that has not said what became of it, in the words of `log`: it is at work, or was killed."""
    result = "unfinished" if free(intent, frozenset(), tip) else "at work"
    return {"tenant": tenant, "run": intent.run, "actor": intent.actor, "began": intent.began, "result": result}


def _gone(said: Mapping[str, Any]) -> bool:
    """Whether the holder was a process of this very host and namespace and is there no more."""
    this = here()
    if not this["boot"] or any(said[key] != this[key] for key in ("host", "boot", "namespace")):
        return False
    return bool(_started(said["pid"]) != said["started"])


def _said(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:  # no Linux: then nobody's end can be told from here
        return ""


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process began, in ticks since boot (proc(5)); empty where there is none, or only its exit code is left."""
    _, _, fields = _said(f"/proc/{pid}/stat").rpartition(") ")
    return "" if fields[:1] in {"", "Z"} else fields.split(" ")[19]
