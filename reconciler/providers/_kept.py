"""What zones held when they were read last: one whose serial has not moved is not read again, where that is asked for.

Files in the user's cache folder, one a zone, below the identity of the system that was read; they may be removed at
any time. Whatever is no such file, is old, or could be somebody else's counts as not there.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from reconciler.shapes import shape

if TYPE_CHECKING:
    from reconciler.providers._sets import Sets

AGE = 24 * 3600  # seconds after which a zone is read whatever its serial: so long at most a serial can mislead
_OTHERS = 0o022  # may write it: group, everybody
_FORM = shape({"zone": str, "serial": int, "sets": [{"type": str, "name": str, "ttl": int, "values": [str]}]})


class Kept:
    """The zones of one system. `identity` is its own, so that another system's are never taken for them."""

    def __init__(self, identity: str) -> None:
        self._folder = str(_home() / "mail-reconciler" / "zones" / identity)

    def sets(self, zone: str, serial: int) -> Sets | None:
        """What the zone held at this serial; None where that is not known. 0 is the serial of nothing."""
        said: Any = None
        with suppress(OSError, ValueError, RecursionError), open(self._file(zone), "rb") as file:  # noqa: PTH123 - pathlib takes as long as the file
            if serial and _ours_and_young(os.fstat(file.fileno())):
                said = json.loads(file.read())
        if not _FORM(said) or (said["zone"], said["serial"]) != (zone, serial):
            return None
        return {(one["type"], one["name"]): (tuple(one["values"]), one["ttl"]) for one in said["sets"]}

    def keep(self, zone: str, serial: int, sets: Sets) -> None:
        """Whole or not at all: what cannot be kept is read again."""
        rows = [
            {"type": type_, "name": name, "ttl": ttl, "values": values} for (type_, name), (values, ttl) in sets.items()
        ]
        with suppress(OSError):
            Path(self._folder).mkdir(mode=0o700, parents=True, exist_ok=True)
            with NamedTemporaryFile("w", dir=self._folder) as file:  # for its owner alone
                json.dump({"zone": zone, "serial": serial, "sets": rows}, file)
                file.flush()
                Path(file.name).replace(self._file(zone))  # at the end only what was not moved is there to be removed

    def _file(self, zone: str) -> str:
        return f"{self._folder}/{quote(zone, safe='')}.json"


def _home() -> Path:
    """The folder of the XDG Base Directory Specification; of a user without a home one that is not there."""
    said = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if said.is_absolute():
        return said
    try:
        return Path("~/.cache").expanduser()
    except RuntimeError:
        return Path(os.devnull)


def _ours_and_young(there: os.stat_result) -> bool:
    return there.st_uid == os.geteuid() and not there.st_mode & _OTHERS and 0 <= time.time() - there.st_mtime < AGE
