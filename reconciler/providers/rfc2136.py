"""Zones on any primary that takes DNS UPDATE (RFC 2136) and gives zone transfers (RFC 5936): Knot, BIND, PowerDNS.

What is live is read by transfer. A batch is one UPDATE message, which a server makes whole or not at all, and it
carries what was seen as prerequisites: a set that somebody changed between our look and our message is refused by the
server itself. UPDATE makes no zone. The system's identity is a TXT record in a zone that the settings name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import canonical
from reconciler.errors import Conflict, ProviderError, Refused, Unreachable
from reconciler.kinds import record
from reconciler.kinds.record import quoted
from reconciler.providers import _sets, _shapes, _tsig
from reconciler.providers._primary import Line, Records
from reconciler.providers._wire import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dns.rdata import Rdata
    from dns.update import UpdateMessage

    from reconciler.changes import Batch
    from reconciler.model import Address, Resource, Scope, Value
    from reconciler.providers._primary import Zone
    from reconciler.providers._sets import Key, Sets
    from reconciler.providers._shapes import Problem
    from reconciler.providers._wire import Record

SIDE = "dns"
REQUIRED = frozenset({"identity", "key", "server"})
OPTIONAL = frozenset({"read_only"})
LINES = 4  # connections of one read; BIND transfers to 10 at a time (`transfers-out`)
FEW = 10  # zones that are not worth another connection
MAX_RDATA = 65_535  # bytes (RFC 1035, 3.2.1)
_IDENTITY = "_reconciler-identity"


def problems(settings: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the settings: where, and why."""
    yield from _tsig.problems(settings)
    yield from _shapes.texts(settings, "identity")
    yield from _shapes.zone(settings, "identity")


def connect(name: str, settings: Mapping[str, Any], root: str) -> Rfc2136:  # noqa: ARG001 - no path among the settings
    """The zones of a server. Raises Refused for settings that cannot be."""
    _shapes.refuse(name, problems(settings))
    return Rfc2136(name, settings["server"], settings["key"], canonical.domain(settings["identity"]))


class Rfc2136:
    """The provider. A connection lasts for one call: nothing is held open between them."""

    kinds: Mapping[str, frozenset[str]] = {"record": frozenset({"values", "ttl"})}
    cautions: Mapping[str, str] = {}

    def __init__(self, name: str, server: str, key: Mapping[str, str], home: str) -> None:
        self._name, self._place, self._key = name, _tsig.place(server), key
        self._home, self._identity = home, ("TXT", f"{_IDENTITY}.{home}")

    def read(self, scopes: Sequence[Scope]) -> Mapping[str, tuple[Resource, ...] | ProviderError]:
        """The record sets at or below each domain, by one transfer of each zone."""
        zones = self._transferred(list({scope.zone: None for scope in scopes}))
        return {scope.domain: self._below(zones[scope.zone], scope.domain) for scope in scopes}

    def apply(self, batch: Batch) -> Mapping[Address, Mapping[str, Value]]:
        """One UPDATE, on condition that what it changes is as in the transfer just before it."""
        if self._identity in _sets.touched(batch).values():
            raise Refused(f"{self._name}: TXT {self._identity[1]} is this system's identity, and no record to declare")
        with self._line() as line:
            there = line.transfer(batch.scope.zone)
            aims = _sets.aims(self._sets(there), batch)
            _sets.no_clash(there, aims)
            edits = [edit for key, aim in aims.items() for edit in self._edits(key, there.get(key), *aim)]
            if edits:
                line.update(self._message(batch.scope.zone, edits, there))
        return {}

    def identity(self) -> str | None:
        """The TXT record, if there is one. Of several none is the identity: they are answered as they are."""
        with self._line() as line:
            found = line.transfer(self._home).get(self._identity)
        return None if found is None else " ".join(found.texts)

    def identify(self, identity: str) -> None:
        """A record of its own, at a name that nobody uses."""
        import dns.update

        there = self.identity()
        if there is None:
            message = dns.update.UpdateMessage(f"{self._home}.")
            message.absent(f"{self._identity[1]}.")
            message.add(f"{self._identity[1]}.", record.TTL, "TXT", identity)
            try:
                with self._line() as line:
                    line.update(message)
            except Conflict:
                there = self.identity()
            else:
                return
        if there != identity:
            raise Conflict(f"{self._name}: {self._identity[1]} on {self._place.shown} has another identity")

    def close(self) -> None:
        """Nothing is held open."""

    def _line(self) -> Line:
        return Line(self._name, self._place, _tsig.key(self._key))

    def _transferred(self, zones: Sequence[str]) -> dict[str, Sets | ProviderError]:
        """Each zone's sets. A zone costs a round trip, so many are asked for over a few connections at once."""
        from concurrent.futures import ThreadPoolExecutor

        lines = max(1, min(LINES, len(zones) // FEW))
        with ThreadPoolExecutor(lines) as pool:
            parts = pool.map(self._by_one_line, (zones[first::lines] for first in range(lines)))
            return {zone: answer for part in parts for zone, answer in part.items()}

    def _by_one_line(self, zones: Sequence[str]) -> dict[str, Sets | ProviderError]:
        """These zones, one after the other. A server that does not answer is waited for once, not once a zone."""
        found: dict[str, Sets | ProviderError] = {}
        silent: Unreachable | None = None
        with self._line() as line:
            for zone in zones:
                try:
                    found[zone] = silent or self._sets(line.transfer(zone))
                except Unreachable as error:
                    found[zone] = silent = error
                except ProviderError as error:
                    found[zone] = error
        return found

    def _below(self, zone: Sets | ProviderError, domain: str) -> tuple[Resource, ...] | ProviderError:
        return zone if isinstance(zone, ProviderError) else tuple(_sets.resources(self._name, zone, domain))

    def _sets(self, zone: Zone) -> Sets:
        """What of a zone somebody may declare."""
        ours = ((key, found) for key, found in zone.items() if key[0] not in _sets.NOT_OURS and key != self._identity)
        return {key: (tuple(found.texts), found.ttl) for key, found in ours}

    def _edits(self, key: Key, there: Records | None, values: tuple[str, ...], ttl: int | None) -> Iterator[Edit]:
        """What makes a set be as it is aimed at: nothing, or one edit. What stays in it is not written again, for a
        neighbour's record may be cut into other strings than ours would be; only with another TTL all of it is.
        """
        seen = there or Records(ttl or 0, [], [])
        rdatas = [self._theirs(raw, key) for raw in seen.raw]
        held = list(zip(rdatas, seen.texts, strict=True))
        stays = [rdata for rdata, text in held if text in values]
        gone = [rdata for rdata, text in held if text not in values]
        fresh = [self._rdata(key[0], text) for text in values if text not in seen.texts]
        if stays and ttl != seen.ttl:
            gone, fresh = rdatas, [*stays, *fresh]
        if gone or fresh:
            yield Edit(key, rdatas, gone, fresh, ttl or 0)

    def _message(self, zone: str, edits: Sequence[Edit], there: Iterable[Key]) -> UpdateMessage:
        """The edits as one update. Raises Refused for a name or a TTL that is none."""
        import dns.exception
        import dns.update

        message = dns.update.UpdateMessage(f"{zone}.")
        try:
            write(message, edits, there)
        except dns.exception.DNSException as error:
            raise Refused(f"{self._name}: a record of {zone} has no form that DNS can carry: {error}") from None
        return message

    def _theirs(self, raw: Record, key: Key) -> Rdata:
        """A record that is there, as dnspython writes it into an update: byte by byte the same."""
        try:
            rdata: Rdata = raw.rdata
        except Malformed:
            raise ProviderError(f"{self._name}: {' '.join(key)} has a record that cannot be read") from None
        return rdata

    def _rdata(self, type_: str, text: str) -> Rdata:
        """A value as a record. Raises Refused where its text would be read as another one."""
        import dns.exception
        import dns.rdata

        try:
            rdata = dns.rdata.from_text("IN", type_, quoted(text) if type_ == "TXT" else text, relativize=False)
            if record.lenient(type_, _sets.text_of(rdata)) == text and len(rdata.to_wire() or b"") <= MAX_RDATA:
                return rdata
        except (dns.exception.DNSException, ValueError):
            rdata = None
        raise Refused(f"{self._name}: a value of {type_} has no form that DNS can carry; nothing was written")


class Edit(NamedTuple):
    """One set: its records as they were seen, those to delete, those to add after that."""

    key: Key
    seen: list[Rdata]
    gone: list[Rdata]
    fresh: list[Rdata]
    ttl: int


def write(message: UpdateMessage, edits: Sequence[Edit], there: Iterable[Key]) -> None:
    """Put the edits into a message, deletions before additions, and what they depend on as its prerequisites."""
    for (type_, name), seen, gone, _, _ in edits:
        if seen:
            message.present(f"{name}.", *seen)
        else:
            message.absent(f"{name}.", type_)
        if gone:
            message.delete(f"{name}.", *gone)
    for edit in edits:
        if edit.fresh:
            message.add(f"{edit.key[1]}.", edit.ttl, *edit.fresh)
    _keep_alone(message, edits, there)


def _keep_alone(message: UpdateMessage, edits: Sequence[Edit], there: Iterable[Key]) -> None:
    """A server passes over a CNAME beside other records, or those beside a CNAME, and calls it done (RFC 2136,
    3.4.2.2). So that nothing of that kind came since our look is a prerequisite too.
    """
    held: dict[str, set[str]] = {}
    for type_, name in there:
        held.setdefault(name, set()).add(type_)
    added = {edit.key for edit in edits if edit.fresh}
    for name in dict.fromkeys(name for _, name in added):
        alone = ("CNAME", name) in added
        if alone and name not in held:
            message.absent(f"{name}.")
        else:
            rivals = {*record.TYPES} - {"CNAME"} if alone else {"CNAME"}
            for type_ in sorted(rivals - held.get(name, set())):
                message.absent(f"{name}.", type_)
