"""Zone files in RFC 1035 format, one `<zone>.zone` per zone in a folder, as any name server reads them.

Records that nobody declared, comments and layout survive; the SOA serial moves once per batch. A zone is written
beside its file and renamed over it, so that a server reads the old one or the new one. Writers take turns by a lock
on the folder. `reload` tells NSD, Knot or BIND afterwards.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.errors import Conflict, Missing, ProviderError, Refused, Unreachable
from reconciler.kinds import record
from reconciler.providers import _master
from reconciler.providers._master import Key, Line, Odd

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from reconciler.changes import Batch, Change
    from reconciler.model import Address, Resource, Scope, Value

    Sets = dict[Key, tuple[tuple[str, ...], int | None]]

SIDE = "dns"
REQUIRED = frozenset({"directory"})
OPTIONAL = frozenset({"control", "nameservers", "read_only", "reload"})

# What the zone's keeper or its signer writes is nobody's to declare.
_NOT_OURS = frozenset({"CDNSKEY", "CDS", "DNSKEY", "DS", "NS", "NSEC", "NSEC3", "NSEC3PARAM", "RRSIG", "SOA"})
_BESIDE_CNAME = frozenset({"NSEC", "RRSIG"})
_ZONE = re.compile(r"[a-z0-9_](?:[a-z0-9_-]|\.(?!\.))*")
_FRESH = ".reconciler-new"  # no zone's name in it: servers and their globs pass it by
_PATIENCE = 30  # seconds a server may take to answer a reload
_RELOAD = {
    "bind": ("rndc", "reload"),
    "knot": ("knotc", "-b", "zone-reload"),  # -b: wait and say whether the zone was loaded
    "nsd": ("nsd-control", "reload"),
}
LOCALHOST = (
    "The zone will be made with the name server `localhost.`, because the provider names no `nameservers`. Name the"
    " servers that answer for your zones there."
)


def connect(name: str, settings: Mapping[str, Any], root: str) -> ZoneFiles:
    """The zone files of a folder. Raises Refused for a `reload` there is no such server for."""
    servers = [canonical.domain(server) for server in settings.get("nameservers", ("localhost",))]
    reload, control = settings.get("reload"), settings.get("control")
    if reload is not None and reload not in _RELOAD:
        raise Refused(f"{name}: reload is one of {', '.join(_RELOAD)}")
    program, *words = _RELOAD[reload] if reload else ("",)
    command = [program, *(["-c", str(Path(root, control))] if control else []), *words] if reload else []
    return ZoneFiles(name, Path(root, settings["directory"]), nameservers=servers, reload=command)


class ZoneFiles:
    """The provider. `reload` is the command that a zone's name is put after; empty: none."""

    def __init__(
        self, name: str, directory: Path, *, nameservers: Sequence[str] = ("localhost",), reload: Sequence[str] = ()
    ) -> None:
        self.kinds = {"record": frozenset({"values", "ttl"})}
        self.cautions = {"zone": LOCALHOST} if tuple(nameservers) == ("localhost",) else {}
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

    def close(self) -> None:
        """Nothing is held open."""

    def _answers(
        self, zone: str, scopes: Sequence[Scope]
    ) -> Iterator[tuple[str, tuple[Resource, ...] | ProviderError]]:
        try:
            path = self._path(zone)
            text = self._text(path)
            sets = None if text is None else _sets(text, zone, path)
        except ProviderError as error:
            yield from ((scope.domain, error) for scope in scopes)
            return
        for scope in scopes:
            if sets is None:
                yield scope.domain, () if scope.create else self._missing(zone)
            else:
                yield scope.domain, tuple(self._resources(sets, scope.domain))

    def _resources(self, sets: Sets, domain: str) -> Iterator[Resource]:
        for (type_, name), (values, ttl) in sets.items():
            if _at_or_below(name, domain):
                yield _resource(self._name, type_, name, values, ttl, domain)

    def _path(self, zone: str) -> Path:
        if not _ZONE.fullmatch(zone):
            raise Refused(f"{self._name}: {zone!r} cannot be the name of a zone file")
        return self._directory / f"{zone}.zone"

    def _missing(self, zone: str) -> Missing:
        where = f"{self._name}: there is no zone {zone} ({self._directory}/{zone}.zone)"
        return Missing(f"{where}; if it is to be made, say `zone: {{create: true}}` in its dns file")

    def _text(self, path: Path) -> str | None:
        """All of a file, a character a byte; None where there is none."""
        try:
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
        servers = [f"{server}." for server in self._nameservers]
        timers = "86400 7200 3600000 3600"  # refresh, retry, expire (RIPE-203), negative answers: 1 hour
        home = self._nameservers[0].partition(".")[2]  # whoever runs the name server answers for the zone
        soa = f"@ IN SOA {servers[0]} hostmaster.{home if '.' in home else zone}. 0 {timers}"
        return "\n".join([f"$ORIGIN {zone}.", "$TTL 3600", soa, *(f"@ IN NS {server}" for server in servers), ""])

    def _changed(self, path: Path, text: str, batch: Batch) -> str:
        try:
            return _changed(text, batch)
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
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(folder)

    def _write(self, path: Path, folder: int, text: str) -> None:
        """A whole new file, durable, in the place of the old one and with its owner and permissions."""
        if path.is_symlink():
            raise Refused(f"{self._name}: {path} is a symbolic link, which a new file would replace")
        try:
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
            said = (done.stderr + done.stdout).decode(errors="replace").strip()[-200:] if done.returncode else ""
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


def _at_or_below(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}")


def _resource(provider: str, type_: str, name: str, values: Value, ttl: int | None, domain: str) -> Resource:
    return record.KIND.resource(provider, f"{type_}/{name}", {"values": values, "ttl": ttl}, domain=domain)


def _sets(text: str, zone: str, path: Path) -> Sets:
    """The record sets of a zone. Raises ProviderError with file and line."""
    try:
        found = [line for line in _master.lines(text, zone) if _at_or_below(line.name, zone)]
        _lonely(found)
        return _gathered(found)
    except Odd:
        return _by_dnspython(text, zone, path)


def _lonely(found: Sequence[Line]) -> None:
    """Raises Odd where a CNAME does not have its name alone."""
    aliases = [line.name for line in found if line.type == "CNAME"]
    beside = [line for line in found if line.name in aliases and line.type not in _BESIDE_CNAME] if aliases else []
    if len(beside) != len(set(aliases)):
        raise Odd(beside[0].start + 1)


def _gathered(found: Iterable[Line]) -> Sets:
    sets: Sets = {}
    for line in found:
        if line.type not in _NOT_OURS:
            values, ttl = sets.get(line.key, ((), line.ttl))
            sets[line.key] = (*values, _master.value(line)), min(ttl or 0, line.ttl)
    return sets


def _by_dnspython(text: str, zone: str, path: Path) -> Sets:
    """The slow and complete way. Bytes beyond ASCII become escapes, because dnspython takes text for UTF-8."""
    import dns.exception
    import dns.rdatatype
    import dns.zone

    escaped = r"(\\[\0-\x7f])|\\?([\x80-\xff])"
    ascii_text = re.sub(escaped, lambda match: match[1] or f"\\{ord(match[2]):03d}", text.replace("\r\n", "\n"))
    try:
        parsed = dns.zone.from_text(
            ascii_text, f"{zone}.", relativize=False, check_origin=False, filename=str(path), allow_include=False
        )
    except (dns.exception.DNSException, ValueError) as error:
        raise ProviderError(f"{path} is no zone file that can be read whole: {error}") from None
    found = [
        ((dns.rdatatype.to_text(data.rdtype), name.to_text(omit_final_dot=True).lower()), data)
        for name, data in parsed.iterate_rdatasets()
    ]
    return {key: (tuple(map(_text_of, data)), data.ttl) for key, data in found if key[0] not in _NOT_OURS}


def _text_of(rdata: Any) -> str:
    if rdata.rdtype == 16:  # TXT
        return b"".join(rdata.strings).decode("utf-8", "surrogateescape")
    return str(rdata.to_text())


def _changed(text: str, batch: Batch) -> str:
    """The zone's text after the batch, proven to hold just that. Raises Conflict, Refused and Odd."""
    zone = batch.scope.zone
    before = _master.lines(text, zone)
    if [line.name for line in before if line.type == "SOA"] != [zone]:
        raise Odd(1)
    aims = _aims(before, batch)
    _no_clash(before, aims)
    drop, fresh = _edits(before, aims)
    changed = _master.rewritten(text, before, drop, fresh)
    after = _master.lines(changed, zone)
    meant = _master.said((*(line for line in before if line not in drop), *fresh), bump=True)
    held = {key: values for key, (values, _) in _canonical(after, aims).items()}
    if _master.said(after) != meant or held != {key: values for key, (values, _) in aims.items() if values}:
        raise Refused(f"{batch.provider}: a value is not what it seems in {zone}'s file; nothing was written")
    return changed


def _aims(before: Sequence[Line], batch: Batch) -> Sets:
    """What the sets that change shall be; ((), None) is gone. Raises Conflict where live has moved."""
    keys = {change.address: _key(change, batch.scope.zone) for change in batch.changes}
    sets = _canonical(before, set(keys.values()))
    for change in batch.changes:
        key = keys[change.address]
        swapped = record.swap(change.live, change.aim, *sets.get(key, ((), None)))
        if swapped is None:
            raise Conflict(f"{change.address} is no longer as it was read; nothing was written")
        sets[key] = swapped if swapped[0] else ((), None)
    return sets


def _key(change: Change, zone: str) -> Key:
    type_, name = record.rtype(change.address.name), record.label(change.address.name)
    if type_ in _NOT_OURS or not _at_or_below(name, zone):
        raise Refused(f"{change.address} is not this program's to write in the zone {zone}")
    return type_, name


def _canonical(found: Iterable[Line], keys: Collection[Key]) -> Sets:
    sets = _gathered(line for line in found if line.key in keys)
    return {
        (type_, name): (_resource("", type_, name, values, ttl, "").get("values"), ttl)
        for (type_, name), (values, ttl) in sets.items()
    }


def _no_clash(before: Sequence[Line], aims: Sets) -> None:
    """A CNAME has its name alone (RFC 1034, 3.6.2): servers refuse the whole zone otherwise."""
    for name in {name for (_, name), (values, _) in aims.items() if values}:
        types = {line.type for line in before if line.name == name and line.key not in aims}
        types |= {type_ for (type_, other), (values, _) in aims.items() if other == name and values}
        if "CNAME" in types and types - _BESIDE_CNAME != {"CNAME"}:
            raise Conflict(f"{name} cannot have a CNAME beside {', '.join(sorted(types - {'CNAME'}))}")


def _edits(before: Sequence[Line], aims: Sets) -> tuple[set[Line], list[Line]]:
    """The records to drop and those to add. What stays in a set that changes keeps its line and its comment."""
    drop: set[Line] = set()
    left = {key: dict.fromkeys(values) for key, (values, _) in aims.items()}
    ttls = {key: ttl for key, (_, ttl) in _canonical(before, aims).items()}
    for line in before:
        if line.key not in aims:
            continue
        ttl = aims[line.key][1]
        ((value,), _) = _canonical([line], {line.key})[line.key]
        if value in left[line.key] and ttl in {line.ttl, ttls[line.key]}:
            del left[line.key][value]
        else:
            drop.add(line)
    return drop, [_master.fresh_line(key, aims[key][1] or 0, value) for key, values in left.items() for value in values]
