"""Zones at any service that octoDNS has a provider class for: its class speaks to the service, the rest is ours.

A zone is read through the class, a batch is applied through it as a plan of our own making: the zone as it is, with
our record sets exchanged, so that what others have there stays. octoDNS knows no condition for a change: the zone is
read again right before, and what a service makes of a plan, at once or piece by piece, is its own. An instance of a
class lasts for one call, because several classes remember what they have read.
"""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.errors import Conflict, Missing, ProviderError, Refused, Unreachable
from reconciler.kinds import record
from reconciler.providers import _octo, _sets, _shapes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.changes import Batch
    from reconciler.model import Address, Resource, Scope, Value
    from reconciler.providers._octo import Octo, Seen
    from reconciler.providers._sets import Key, Sets
    from reconciler.providers._shapes import Problem

SIDE = "dns"
REQUIRED = frozenset({"class", "identity", "settings"})
OPTIONAL = frozenset({"read_only"})
THREADS = 4  # a zone costs the service's round trip; more at once are soon too many for its limits
FEW = 10  # zones that are not worth another thread, which makes an instance of its own

_CLASS = re.compile(r"octodns[a-z0-9_]*(?:\.[a-z0-9_]+)*\.[A-Za-z0-9_]+")
_IDENTITY = "_reconciler-identity"
_TURN = threading.Lock()  # two runs of this process that leave an identity do so one after the other
# Classes differ in what they make of quotes, backslashes and all beyond printable ASCII: some write them otherwise
# than they read them.
_PLAIN = re.compile(r"[ !#-\[\]-~]*")
_PRINTABLE = re.compile(r"[ -~]*")


def problems(settings: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the settings: where, and why."""
    yield from _shapes.texts(settings, "class", "identity")
    yield from _shapes.zone(settings, "identity")
    path, given = settings.get("class"), settings.get("settings", {})
    if isinstance(path, str) and path and not _CLASS.fullmatch(path):
        yield ("class",), "must be a class of an octoDNS package, such as octodns_powerdns.PowerDnsProvider"
    if not isinstance(given, dict) or _shapes.deferred(given):
        yield ("settings",), "must be what the class is made with, by name; it may be empty: {}"
    elif "id" in given:
        yield ("settings", "id"), "is given by this program: take it out"


def connect(name: str, settings: Mapping[str, Any], root: str) -> OctoDns:  # noqa: ARG001 - paths are the class's own
    """The zones that a class of octoDNS reaches. Raises Refused for settings that cannot be."""
    _shapes.refuse(name, problems(settings))
    class_, given = _octo.found(name, settings["class"]), settings["settings"]
    wrong = _octo.unfit(class_, given)
    if wrong:
        raise Refused(f"{name}: `settings` do not fit {settings['class']}: {wrong}")
    return OctoDns(name, _octo.Octo(name, class_, given), canonical.domain(settings["identity"]))


class OctoDns:
    """The provider. `home` is the zone with the identity in it."""

    kinds: Mapping[str, frozenset[str]] = {"record": frozenset({"values", "ttl"})}

    def __init__(self, name: str, octo: Octo, home: str) -> None:
        self._name, self._octo = name, octo
        self._home, self._mark = home, ("TXT", f"{_IDENTITY}.{home}")
        made = f"The zone will be made by {octo.shown}: see that its SOA and NS are right."
        lacking = {f"record.{type_}": f"{octo.shown} has no {type_} records." for type_ in octo.lacking()}
        self.cautions: Mapping[str, str] = {"zone": made, **lacking}

    def read(self, scopes: Sequence[Scope]) -> Mapping[str, tuple[Resource, ...] | ProviderError]:
        """The record sets at or below each domain, zone by zone."""
        zones = list({scope.zone: None for scope in scopes})
        threads = max(1, min(THREADS, len(zones) // FEW))
        with ThreadPoolExecutor(threads) as pool:
            parts = pool.map(self._one_by_one, (zones[first::threads] for first in range(threads)))
            found = {zone: answer for part in parts for zone, answer in part.items()}
        doubt = self._doubt() if None in found.values() else None
        return {scope.domain: self._answer(scope, found[scope.zone], doubt) for scope in scopes}

    def apply(self, batch: Batch) -> Mapping[Address, Mapping[str, Value]]:
        """A plan of octoDNS, made of what is there now."""
        if self._mark in _sets.touched(batch).values():
            raise Refused(f"{self._name}: TXT {self._mark[1]} is this system's identity, and no record to declare")
        octo, zone = self._octo.made(), batch.scope.zone
        seen = self._octo.seen(octo, zone)
        error = None if seen else self._doubt() or (None if batch.scope.create else self._missing(zone))
        if error:
            raise error
        there = seen or _octo.empty(zone)
        aims = _sets.aims(self._ours(there), batch)
        _sets.no_clash(there.records, aims)
        self._write(octo, there, aims, exists=seen is not None)
        return {}

    def identity(self) -> str | None:
        """The TXT record, if there is one. Of several values none is the identity: they are answered as they are."""
        there = self._octo.seen(self._octo.made(), self._home)
        found = there.sets.get(self._mark) if there else None
        return None if found is None else " ".join(found[0])

    def identify(self, identity: str) -> None:
        """A record of its own, at a name that nobody uses. Of two machines that meet here the later one's stays, and
        the next plan on the other is refused: its ledger is of another system.
        """
        with _TURN:
            octo = self._octo.made()
            there = self._octo.seen(octo, self._home)
            if there is None:
                raise self._blind()
            if self._mark not in there.records:
                self._write(octo, there, {self._mark: ((identity,), record.TTL)}, exists=True)
            if self.identity() not in {identity, None}:  # None: some services take a while to show it
                raise Conflict(f"{self._name}: {self._mark[1]} has another identity")

    def close(self) -> None:
        """Nothing is held open."""

    def _one_by_one(self, zones: Sequence[str]) -> dict[str, Sets | ProviderError | None]:
        """What can be said of each zone; None: it is not there. A service that went away is not asked for the rest."""
        found: dict[str, Sets | ProviderError | None] = {}
        gone: Unreachable | None = None
        octo = None
        for zone in zones:
            try:
                if gone is None:
                    octo = octo or self._octo.made()
                    seen = self._octo.seen(octo, zone)
                found[zone] = gone or (self._ours(seen) if seen else None)
            except Unreachable as error:
                found[zone] = gone = error
            except ProviderError as error:
                found[zone] = error
        return found

    def _answer(
        self, scope: Scope, found: Sets | ProviderError | None, doubt: ProviderError | None
    ) -> tuple[Resource, ...] | ProviderError:
        if isinstance(found, ProviderError):
            return found
        if found is None:
            return doubt or (() if scope.create else self._missing(scope.zone))
        return tuple(_sets.resources(self._name, found, scope.domain))

    def _ours(self, seen: Seen) -> Sets:
        """What of a zone somebody may declare."""
        return {key: one for key, one in seen.sets.items() if key[0] not in _sets.NOT_OURS and key != self._mark}

    def _missing(self, zone: str) -> Missing:
        return Missing(
            f"{self._name}: there is no zone {zone}; if it is to be made, say `zone: {{create: true}}` in its dns file"
        )

    def _doubt(self) -> ProviderError | None:
        """Why a class is not believed that a zone is not there: it does not see the identity's zone either."""
        try:
            return None if self._octo.seen(self._octo.made(), self._home) else self._blind()
        except ProviderError as error:
            return error

    def _blind(self) -> ProviderError:
        return Missing(
            f"{self._name}: {self._octo.shown} sees no zone {self._home}, which holds the identity: make it there. If "
            "it is there, this class writes zones without a look at them, and cannot be used"
        )

    def _write(self, octo: Any, there: Seen, aims: Sets, *, exists: bool) -> None:
        """Bring a zone's sets to what they are aimed at. Raises Refused before anything is written."""
        from octodns.provider.plan import Plan

        desired = there.zone.copy()
        changes = [change for key, aim in aims.items() for change in self._changes(octo, desired, there, key, *aim)]
        if not changes:
            return
        desired.apply(changes)
        plan = Plan(there.zone, desired, changes, exists)
        failed = f"failed while it changed the zone {desired.name.removesuffix('.')}"
        if not self._octo.asked(failed, partial(octo.apply, plan), "; the next plan shows what was written"):
            raise Refused(f"{self._name}: {self._octo.shown} wrote nothing: take `apply_disabled` out of its settings")

    def _changes(
        self, octo: Any, zone: Any, there: Seen, key: Key, values: tuple[str, ...], ttl: int | None
    ) -> Iterator[Any]:
        """What makes one set as it is aimed at: nothing, or one change of octoDNS."""
        from octodns.record import Create, Delete, Update

        was = there.records.get(key)
        held = _sets.canonical({key: there.sets[key]})[key] if was else ((), None)
        if held == (values, ttl):
            return
        self._holdable(key, was, {*held[0], *values})
        if not values:
            yield Delete(was)
            return
        new = self._octo.asked(f"takes no such {key[0]} at {key[1]}", lambda: _octo.fresh(zone, key, values, ttl, octo))
        if not octo.supports(new) or _sets.canonical({key: _octo.said(new)})[key] != (values, ttl):
            raise Refused(
                f"{self._name}: {self._octo.shown} cannot hold this {key[0]} at {key[1]}; nothing was written"
            )
        new.octodns = was.octodns if was else {}  # what a service keeps beside the values
        yield Update(was, new) if was else Create(new)

    def _holdable(self, key: Key, was: Any, values: set[str]) -> None:
        """Raises Refused where octoDNS would make another thing of a set than it is, or should be."""
        type_, name = key
        if not all(map((_PLAIN if type_ == "TXT" else _PRINTABLE).fullmatch, values)):
            raise Refused(
                f"{self._name}: {type_} {name} has more than printable ASCII, or a text with quotes or backslashes, "
                "which octoDNS may write otherwise than it is; nothing was written"
            )
        if _octo.kept_by_rules(was):
            raise Refused(
                f"{self._name}: {type_} {name} answers by rules (dynamic, geo) that would be lost; nothing was written"
            )
