"""PowerDNS Authoritative Server by its HTTP API (v1): what is written answers queries at once.

A batch is one PATCH, a new zone one POST with all its records: the server makes each whole or not at all. It knows no
condition for a change, so the zone is read again right before. Writers here take turns, because a server on SQLite
fails those that meet. The identity is a zone of its own, which nobody resolves (RFC 6761, 6.4).
"""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from reconciler import canonical
from reconciler.errors import Conflict, Missing, ProviderError, Refused, Unreachable
from reconciler.kinds import record
from reconciler.providers import _http, _identity, _rrsets, _sets, _shapes
from reconciler.providers._kept import Kept
from reconciler.shapes import shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.changes import Batch
    from reconciler.model import Address, Resource, Scope, Value
    from reconciler.providers._http import Answer, Api
    from reconciler.providers._rrsets import Zone
    from reconciler.providers._sets import Sets
    from reconciler.providers._shapes import Problem

SIDE = "dns"
REQUIRED = frozenset({"key", "url"})
OPTIONAL = frozenset({"kind", "nameservers", "read_only", "server_id", "trust_serials"})

_KINDS = {"Native": "Native", "Primary": "Master", "Master": "Master"}  # servers before 4.5 know the old word only
_COPIES = frozenset({"Slave", "Secondary", "Consumer"})
_NOTIFYING = frozenset({"Master", "Primary", "Producer"})
_IDENTITY = "reconciler-identity.invalid"
_THREADS = 4  # the server spends its time in its database: more than these wait there
_BUSY = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # seconds, about, before a change is looked at and tried again
_LISTED = shape([{"name": str, "serial?": int}])
_WHY = shape({"error": str})


def problems(settings: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the settings: where, and why."""
    yield from _shapes.texts(settings, "url", "key", "server_id")
    yield from _http.problems(settings, "url")
    yield from _http.key_problems(settings, "key")
    yield from _shapes.choice(settings, "kind", _KINDS)
    yield from _shapes.hosts(settings, "nameservers")
    yield from _shapes.switch(settings, "trust_serials")


def connect(name: str, settings: Mapping[str, Any], _root: str) -> PowerDns:
    """The zones of a server. Raises Refused for settings that cannot be."""
    _shapes.refuse(name, problems(settings))
    at = _http.place(settings["url"])
    server = quote(settings.get("server_id", "localhost"), safe="")
    at = at._replace(path=f"{at.path}/api/v1/servers/{server}")
    api = _http.Api(name, "PowerDNS", at, {"X-API-Key": settings["key"]})
    servers = [canonical.domain(host) for host in settings.get("nameservers", ("localhost",))]
    kind = _KINDS[settings.get("kind", "Native")]
    return PowerDns(name, api, nameservers=servers, kind=kind, trusts=settings.get("trust_serials", False))


class PowerDns:
    """The provider. A zone that it makes is of this kind and names these servers. Where it `trusts` serials, what a
    zone held at this one is not read again, until something is written here.
    """

    def __init__(self, name: str, api: Api, *, nameservers: Sequence[str], kind: str, trusts: bool) -> None:
        self.kinds: Mapping[str, frozenset[str]] = {"record": frozenset({"values", "ttl"})}
        self.cautions: Mapping[str, str] = {"zone": _sets.LOCALHOST} if list(nameservers) == ["localhost"] else {}
        self._name, self._api = name, api
        self._nameservers, self._kind, self._trusts = nameservers, kind, trusts
        self._kept: Kept | None = None
        self._serials: Mapping[str, int] = {}  # as they were listed
        self._turn = threading.Lock()
        self._met = False  # the server has said which zones it has: what it does not know by then is not there

    def read(self, scopes: Sequence[Scope]) -> Mapping[str, tuple[Resource, ...] | ProviderError]:
        """The zones that are asked for; the first time in a run after a list of all, which a wrong key or server does
        not give. A server that went away is not asked for the rest.
        """
        if not scopes:
            return {}
        zones = sorted({scope.zone for scope in scopes} - {_IDENTITY})
        if not self._met:
            listed = self._listed()
            zones = [zone for zone in zones if zone in listed]
            self._met = True
            if self._trusts:
                identity = _identity.read(self._name, self)
                self._kept, self._serials = (Kept(identity) if identity else None), listed
        found = self._looked(zones)
        return {scope.domain: self._answer(scope, found.get(scope.zone)) for scope in scopes}

    def _looked(self, zones: Sequence[str]) -> dict[str, Sets | ProviderError | None]:
        """What is there of each zone; None: no zone. Raises Unreachable where no answer came for any."""
        found = self._known(zones)
        gone: list[Unreachable] = []

        def look(zone: str) -> Sets | ProviderError | None:
            try:
                return gone[0] if gone else self._sets(zone)
            except Unreachable as error:
                gone.append(error)
                return error
            except ProviderError as error:
                return error

        rest = [zone for zone in zones if zone not in found]
        with ThreadPoolExecutor(_THREADS) as pool:
            found |= zip(rest, pool.map(look, rest), strict=True)
        if gone and all(answer is gone[0] for answer in found.values()):
            raise gone[0]
        return found

    def _known(self, zones: Sequence[str]) -> dict[str, Sets | ProviderError | None]:
        """Those that are as they were read last, by their serial in the list."""
        kept = self._kept
        known = {zone: kept.sets(zone, self._serials.get(zone, 0)) for zone in zones} if kept else {}
        return {zone: sets for zone, sets in known.items() if sets is not None}

    def apply(self, batch: Batch) -> Mapping[Address, Mapping[str, Value]]:
        """One request. One that failed is made again only after a look that finds all as it was."""
        failed: list[Sets] = []
        try:
            with self._turn:
                self._kept = None  # the serials are of before
                self._make(batch, failed)
        except (Conflict, Missing, Refused):  # these promise that nothing was written
            if not failed:
                raise
            raise ProviderError(
                f"{self._api} failed while it made a change of {batch.scope.zone}, and by now something else is there; "
                "plan again"
            ) from None
        return {}

    def _make(self, batch: Batch, failed: list[Sets]) -> None:
        """Until the server says yes or no; `failed` is what requests meant that it answered otherwise."""
        pauses = _pauses()
        while True:
            there = self._zone(batch.scope.zone)
            if failed and there is not None and _rrsets.made(there, failed[-1]):
                return
            meant, answer = self._write(batch, there)
            if answer.status in {200, 201, 204}:
                return
            wait = _wait(answer, pauses)
            if wait is None:
                raise self._error(answer)
            if answer.status != 429:
                failed.append(meant)
            time.sleep(wait)

    def identity(self) -> str | None:
        """The TXT at the apex of the zone that `identify` made."""
        left = self._left()
        if left is not None and len(left) != 1:
            raise ProviderError(
                f"{self._api} has the zone {_IDENTITY} without the one TXT record that is the identity; if nobody is "
                "just making it, delete that zone and apply again"
            )
        return left[0] if left else None

    def identify(self, identity: str) -> None:
        """The server makes a zone with its record whole, and says when there is one: so of two writers one wins."""
        data = _rrsets.fresh(_IDENTITY, "Native", {("TXT", _IDENTITY): ((identity,), record.TTL)})
        pauses = _pauses()
        with self._turn:
            while True:
                answer = self._api.send("POST", "/zones", data)
                if answer.status == 201:
                    return
                wait = next(pauses, None) if answer.status == 409 else _wait(answer, pauses)
                if wait is None:
                    break
                time.sleep(wait)  # whoever has just made the zone has yet to fill it
                left = self._left()
                if left == (identity,):
                    return
                if left:
                    raise Conflict(f"{self._api} has another identity")
        self.identity()
        raise self._error(answer)

    def close(self) -> None:
        """Let go of the connections."""
        self._api.close()

    def _left(self) -> tuple[str, ...] | None:
        there = self._zone(_IDENTITY)
        return None if there is None else there.sets.get(("TXT", _IDENTITY), ((), None))[0]

    def _listed(self) -> dict[str, int]:
        """The serial of each zone."""
        answer = self._api.get("/zones?dnssec=false")
        if answer.status != 200:
            raise self._error(answer)
        data = self._api.data(answer)
        if not _LISTED(data):
            raise ProviderError(f"{self._api} answers with something that is no list of zones")
        return {_rrsets.name(zone["name"]): zone.get("serial", 0) for zone in data}

    def _sets(self, zone: str) -> Sets | None:
        """What of a zone somebody may declare; None where there is no zone. Raises ProviderError."""
        there = self._zone(zone)
        if there and self._kept and there.serial(zone):
            self._kept.keep(zone, there.serial(zone), there.sets)
        return there.sets if there else None

    def _zone(self, zone: str) -> Zone | None:
        """All of a zone; None where there is none. Raises ProviderError."""
        answer = self._api.get(_path(zone))
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self._error(answer, f" (zone {zone})")
        data = self._api.data(answer)
        try:
            return _rrsets.zone(data)
        except ValueError as error:
            why = str(error)
        raise ProviderError(f"{self._api} answers for the zone {zone} with {why}; put that right there")

    def _answer(self, scope: Scope, found: Sets | ProviderError | None) -> tuple[Resource, ...] | ProviderError:
        if isinstance(found, ProviderError):
            return found
        if found is None:
            return () if scope.create else self._missing(scope.zone)
        return tuple(_sets.resources(self._name, found, scope.domain))

    def _missing(self, zone: str) -> Missing:
        return Missing(
            f"{self._api} has no zone {zone}; if it is to be made, say `zone: {{create: true}}` in its dns file"
        )

    def _write(self, batch: Batch, there: Zone | None) -> tuple[Sets, Answer]:
        zone = batch.scope.zone
        if zone == _IDENTITY:
            raise Refused(f"{self._name}: {zone} holds the identity of this server, and no records of yours")
        if there is None and not batch.scope.create:
            raise self._missing(zone)
        if there is None:
            aims = _sets.aims({}, batch)
            _sets.no_clash((), aims)
            return aims, self._api.send("POST", "/zones", _rrsets.fresh(zone, self._kind, self._apex(zone) | aims))
        self._ours_to_change(zone, there)
        aims = _sets.aims(there.sets, batch)
        _sets.no_clash(there.live, aims)
        edits = [_rrsets.edit(key, aim, there) for key, aim in aims.items()]
        edits.sort(key=lambda edit: edit["changetype"])  # DELETE first: a CNAME is refused while another type is there
        return aims, self._api.send("PATCH", _path(zone), {"rrsets": edits})

    def _apex(self, zone: str) -> Sets:
        servers = tuple(f"{server}." for server in self._nameservers)
        soa = _sets.soa(zone, self._nameservers)
        return {("SOA", zone): ((soa,), record.TTL), ("NS", zone): (servers, record.TTL)}

    def _ours_to_change(self, zone: str, there: Zone) -> None:
        """Raises Refused where a change would be lost, or reach nobody."""
        if there.kind in _COPIES:
            raise Refused(f"{self._api} has only a copy of the zone {zone} ({there.kind}); name its primary in `url`")
        if there.kind in _NOTIFYING and not there.soa_edit_api:
            raise Refused(
                f"{self._api} would not tell the secondaries of {zone} of a change, because its serial stays: "
                f"`pdnsutil set-meta {zone} SOA-EDIT-API INCREASE` there, then apply again"
            )
        if ("SOA", zone) not in there.records:
            raise Refused(
                f"{self._api} has the zone {zone} without SOA, as a creation leaves it that was cut short: delete it "
                f"(`pdnsutil delete-zone {zone}`), then apply again"
            )

    def _error(self, answer: Answer, where: str = "") -> ProviderError:
        status = answer.status
        if status in {401, 403}:
            return Refused(f"{self._api} refuses the key ({status}); is `key` the one of its `api-key`?")
        if status == 404:
            return Missing(f"{self._api} knows no such server or zone{where}; look at `url` and `server_id`")
        if status == 409 or b"Conflicts with" in answer.body:
            return Conflict(f"{self._api} has something there by now{where}; nothing was written")
        if 400 <= status < 500 and status != 429:
            return Refused(f"{self._api} answers {status}{where}{self._reason(answer)}")
        kind = Unreachable if status in {429, 502, 503, 504} else ProviderError
        return kind(f"{self._api} answers {status}{where}; its log says why, and the next plan what became of a change")

    def _reason(self, answer: Answer) -> str:
        """What the server says of a request that it does not take, in short, visible and without our key."""
        data: Any = self._api.data(answer) if answer.body.startswith(b"{") else None
        said = data["error"] if _WHY(data) else ""
        return f": {_rrsets.visible(said)}" if said and not self._api.secret_in(said) else ""


def _pauses() -> Iterator[float]:
    """Each a little off, so that two writers who met do not meet again."""
    return (seconds * random.uniform(0.5, 1.5) for seconds in _BUSY)  # noqa: S311 - nothing is kept secret by it


def _wait(answer: Answer, pauses: Iterator[float]) -> float | None:
    """How long before another look and try; None where the answer is the last word.

    500 counts as no word: the server is done with the request then, and a look tells what came of it. A proxy's 502
    to 504 tell nothing of the sort.
    """
    return answer.wait(next(pauses, None)) if answer.status in {429, 500} else None


def _path(zone: str) -> str:
    return f"/zones/{quote(zone, safe='')}.?rrsets=true"
