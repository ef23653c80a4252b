"""Zone files in RFC 1035 format, one `<zone>.zone` per zone in a folder, as any name server reads them.

Records that nobody declared, comments and layout survive; the SOA serial moves once per batch. A zone is written
beside its file and renamed over it, so that a server reads the old one or the new one. Writers take turns by a lock
on the folder. `reload` tells NSD, Knot or BIND afterwards. The folder's identity is the file `.reconciler-identity`.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.errors import Conflict, Missing, ProviderError, Refused, Unreachable
from reconciler.providers import _sets, _shapes, _zone_text
from reconciler.providers._master import Odd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.changes import Batch
    from reconciler.model import Address, Resource, Scope, Value
    from reconciler.providers._shapes import Problem

SIDE = "dns"
REQUIRED = frozenset({"directory"})
OPTIONAL = frozenset({"control", "nameservers", "read_only", "reload"})

_ZONE = re.compile(r"[a-z0-9_](?:[a-z0-9_-]|\.(?!\.))*")
_FRESH = ".reconciler-new"  # no zone's name in it: servers and their globs pass it by
_IDENTITY = ".reconciler-identity"  # the same
_PATIENCE = 30  # seconds a server may take to answer a reload
_RELOAD = {
    "bind": ("rndc", "reload"),
    "knot": ("knotc", "-b", "zone-reload"),  # -b: wait and say whether the zone was loaded
    "nsd": ("nsd-control", "reload"),
}


def problems(settings: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the settings: where, and why."""
    yield from _shapes.texts(settings, "directory", "control")
    yield from _shapes.choice(settings, "reload", _RELOAD)
    yield from _shapes.hosts(settings, "nameservers")


def connect(name: str, settings: Mapping[str, Any], root: str) -> ZoneFiles:
    """The zone files of a folder. Raises Refused for settings that cannot be."""
    _shapes.refuse(name, problems(settings))
    servers = [canonical.domain(server) for server in settings.get("nameservers", ("localhost",))]
    reload, control = settings.get("reload"), settings.get("control")
    program, *words = _RELOAD[reload] if reload else ("",)
    command = [program, *(["-c", str(Path(root, control))] if control else []), *words] if reload else []
    return ZoneFiles(name, Path(root, settings["directory"]), nameservers=servers, reload=command)


class ZoneFiles:
    """The provider. `reload` is the command that a zone's name is put after; empty: none."""

    def __init__(
        self, name: str, directory: Path, *, nameservers: Sequence[str] = ("localhost",), reload: Sequence[str] = ()
    ) -> None:
        self.kinds = {"record": frozenset({"values", "ttl"})}
        self.cautions = {"zone": _sets.LOCALHOST} if tuple(nameservers) == ("localhost",) else {}
        self._name, self._directory = name, directory
        self._nameservers, self._reload = nameservers, reload

    def read(self, scopes: Sequence[Scope]) -> Mapping[str, tuple[Resource, ...] | ProviderError]:
        """The record sets at or below each domain; a file that is not whole is that domain's error alone."""
        asked: dict[str, list[Scope]] = {}
        for scope in scopes:
            asked.setdefault(scope.zone, []).append(scope)
        found: dict[str, tuple[Resource, ...] | ProviderError] = {}
        for zone, of_zone in asked.items():
            found.update(self._answers(zone, of_zone))
        return found

    def apply(self, batch: Batch) -> Mapping[Address, Mapping[str, Value]]:
        """One new file for all the changes. What the name server does not take is put back, and stays to be done."""
        zone = batch.scope.zone
        path = self._path(zone)
        with self._turn() as folder:
            text = self._text(path)
            if text is None and not batch.scope.create:
                raise self._missing(zone)
            self._write(path, folder, self._changed(path, self._empty(zone) if text is None else text, batch))
            if self._reload:
                self._tell(path, zone, folder, text)
        return {}

    def identity(self) -> str | None:
        """The file beside the zones."""
        text = self._text(self._directory / _IDENTITY)
        return None if text is None else text.strip()

    def identify(self, identity: str) -> None:
        """A file of its own, whole or not at all."""
        with self._turn() as folder:
            there = self.identity()
            if there is None:
                self._write(self._directory / _IDENTITY, folder, f"{identity}\n")
            elif there != identity:
                raise Conflict(f"{self._name}: {self._directory} has another identity")

    def close(self) -> None:
        """Nothing is held open."""

    def _answers(
        self, zone: str, scopes: Sequence[Scope]
    ) -> Iterator[tuple[str, tuple[Resource, ...] | ProviderError]]:
        try:
            path = self._path(zone)
            text = self._text(path)
            sets = None if text is None else _zone_text.read(text, zone, path)
        except ProviderError as error:
            yield from ((scope.domain, error) for scope in scopes)
            return
        for scope in scopes:
            if sets is None:
                yield scope.domain, () if scope.create else self._missing(zone)
            else:
                yield scope.domain, tuple(_sets.resources(self._name, sets, scope.domain))

    def _path(self, zone: str) -> Path:
        if not _ZONE.fullmatch(zone):
            raise Refused(f"{self._name}: {zone!r} cannot be the name of a zone file")
        return self._directory / f"{zone}.zone"

    def _missing(self, zone: str) -> Missing:
        where = f"{self._name}: there is no zone {zone} ({self._directory}/{zone}.zone)"
        return Missing(f"{where}; if it is to be made, say `zone: {{create: true}}` in its dns file")

    def _text(self, path: Path) -> str | None:
        """All of a file, a character a byte; None where there is none. A pipe or a device is not even opened."""
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - as below
                raise Refused(f"{self._name}: {path} is no regular file")
            with open(path, "rb") as file:  # noqa: PTH123 - half the time of Path.open, and there are thousands
                return file.read().decode("latin-1")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed(path, "read", error) from None

    def _failed(self, path: Path, verb: str, error: OSError) -> ProviderError:
        kind = Refused if isinstance(error, PermissionError) else Unreachable
        return kind(f"{self._name}: {path} cannot be {verb}: {error.strerror or error}")

    def _empty(self, zone: str) -> str:
        soa = f"@ IN SOA {_sets.soa(zone, self._nameservers)}"
        servers = (f"@ IN NS {server}." for server in self._nameservers)
        return "\n".join([f"$ORIGIN {zone}.", "$TTL 3600", soa, *servers, ""])

    def _changed(self, path: Path, text: str, batch: Batch) -> str:
        try:
            return _zone_text.changed(text, batch)
        except Odd as odd:
            raise Refused(
                f"{self._name}: {path}:{odd.line} is read but cannot be changed by this program: it needs one SOA, "
                "a $TTL, and records of the form `name TTL IN TYPE data`"
            ) from None

    @contextmanager
    def _turn(self) -> Iterator[int]:
        """The folder, made where it is missing, to ourselves: no other run and thread writes meanwhile."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise self._failed(self._directory, "opened", error) from None
        try:
            self._lock(folder)
            yield folder
        finally:
            os.close(folder)

    def _lock(self, folder: int) -> None:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
        except OSError as error:  # of a file system without locks
            raise self._failed(self._directory, "locked", error) from None

    def _write(self, path: Path, folder: int, text: str) -> None:
        """A whole new file, durable, in the place of the old one and with its owner and permissions."""
        try:
            if path.is_symlink():
                raise Refused(f"{self._name}: {path} is a symbolic link, which a new file would replace")
            fresh = self._directory / _FRESH
            fresh.unlink(missing_ok=True)  # left by a run that was killed
            with fresh.open("xb") as file:
                file.write(text.encode("latin-1"))
                file.flush()
                if path.exists():
                    _like(file.fileno(), path)
                os.fsync(file.fileno())
            fresh.rename(path)
            os.fsync(folder)
        except OSError as error:
            raise self._failed(path, "written", error) from None

    def _tell(self, path: Path, zone: str, folder: int, before: str | None) -> None:
        try:
            done = subprocess.run([*self._reload, zone], capture_output=True, timeout=_PATIENCE, check=False)  # noqa: S603
            text = (done.stderr + done.stdout).decode(errors="replace").strip()[-200:]
            said = (text or f"exit code {done.returncode}") if done.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as error:
            said = str(error)
        if said and before is not None:
            self._write(path, folder, before)
            raise ProviderError(f"{self._name}: {self._reload[0]} did not take {path}, which is as before: {said}")
        if said:  # a server must be told of a new zone first, and it wants to see the file then
            raise ProviderError(f"{self._name}: {path} is new, and {self._reload[0]} did not take it: {said}")


def _like(file: int, old: Path) -> None:
    there, new = old.stat(), os.fstat(file)
    os.fchmod(file, there.st_mode & 0o7777)
    if (there.st_uid, there.st_gid) != (new.st_uid, new.st_gid):
        os.fchown(file, there.st_uid, there.st_gid)
