"""A primary name server over TCP: zone transfers (RFC 5936) and updates (RFC 2136), each message signed (RFC 8945).

A transfer is whole or an error: it begins and ends with the same SOA, and the signature of its last message is right
for all of it. Nothing here knows what is to be written.
"""

from __future__ import annotations

import secrets
import socket
import struct
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Self

from reconciler.errors import Conflict, Missing, ProviderError, Refused, Unreachable
from reconciler.kinds.record import lenient
from reconciler.providers import _sets, _tsig, _wire
from reconciler.providers._tsig import Exchange
from reconciler.providers._wire import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import dns.update

    from reconciler.providers._tsig import Key, Place
    from reconciler.providers._wire import Message, Record

    Zone = dict[_sets.Key, "Records"]

TIMEOUT = 10  # seconds without a word
PATIENCE = 120  # seconds for a whole answer, so that a server that drips holds nobody up
MAX_BYTES, MAX_RECORDS = 64 * 2**20, 1_000_000  # of one zone
MAX_MESSAGE = 65_535  # bytes: over TCP its length stands in two (RFC 1035, 4.2.2)
MAX_SIGNATURE = 512  # bytes: two names, a MAC of 64 and 26 more
_AXFR = 252
_ONE_QUESTION = b"\0\0\0\1\0\0\0\0\0\0"
NXDOMAIN, NOTIMP, REFUSED, YXDOMAIN, YXRRSET, NXRRSET, NOTAUTH, NOTZONE = range(3, 11)  # RFC 2136, 2.2
MAKE = (
    "make it on the server (Knot: `knotc conf-set 'zone[NAME]'`; BIND: `rndc addzone`), with SOA and NS, and plan again"
)
ALLOW = "allow it there (Knot: `acl`, `action: transfer`; BIND: `allow-transfer`)"
NOT_TAKEN = (
    "Either the key may not update it (Knot: `acl`, `action: update`; BIND: `allow-update`), or the server does not"
    " take a value (BIND: an MX whose host is in the zone and has no address there): its log says which"
)


class Records(NamedTuple):
    """A set as the server holds it; `texts` are its values in canonical form, one for each record.

    Of a type that is nobody's to declare it is only known that it is there.
    """

    ttl: int
    raw: list[Record]
    texts: list[str]


class Closed(Unreachable):
    """The server let the connection go before it began to answer."""


class Line:
    """One connection to the server, opened when it is needed and closed after whatever did not end well."""

    def __init__(self, name: str, place: Place, key: Key) -> None:
        self._name, self._place, self._key = name, place, key
        self._where = f"{name}: {place.shown}"
        self._socket: socket.socket | None = None
        self._ahead = bytearray()  # what was received and not asked for yet
        self._until = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it; the next question opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._ahead.clear()

    def transfer(self, zone: str) -> Zone:
        """All sets of a zone, those of its keeper and its signer too. Raises ProviderError; a part is no answer."""
        used = self._socket is not None
        try:
            return self._transfer(zone)
        except Closed:  # servers end a connection after so many questions, and asking once more changes nothing
            if not used:
                raise
            return self._transfer(zone)

    def update(self, message: dns.update.UpdateMessage) -> None:
        """Have it made, whole. Raises Conflict and Refused when nothing was written; else that is not known."""
        zone = message.zone[0].name.to_text(omit_final_dot=True)
        with self._or_closed():
            question = Question(self._signer(), self._written(message))
            self._open()
            try:
                self._send(question)
                reply = self._receive(question)
            except Refused:
                raise
            except ProviderError as error:
                raise ProviderError(f"{error}. Whether {zone} was written is not known: plan again to see it") from None
            self._judge_update(reply, zone)

    def _transfer(self, zone: str) -> Zone:
        whole = _Transfer(self._name, zone)
        with self._or_closed():
            question = self._ask(zone, _AXFR)
            reply = self._receive(question)
            self._judge_transfer(reply, zone)
            while not whole.take(reply):
                reply = self._receive(question, begun=True)
            self._must_be_signed(reply)
        return whole.zone

    def _ask(self, zone: str, type_: int) -> Question:
        try:
            asked = _wire.encoded(zone)
        except ValueError:
            raise Refused(f"{self._name}: {zone!r} cannot be the name of a zone") from None
        header = secrets.token_bytes(2) + _ONE_QUESTION
        question = Question(self._signer(), header + asked + struct.pack("!HH", type_, _wire.IN))
        self._open()
        self._send(question)
        return question

    def _signer(self) -> Exchange:
        return Exchange(self._key, self._where)

    def _written(self, message: dns.update.UpdateMessage) -> bytes:
        import dns.exception

        try:
            return message.to_wire(max_size=MAX_MESSAGE - MAX_SIGNATURE)
        except dns.exception.TooBig:
            raise Refused(
                f"{self._name}: this is more than one UPDATE message holds ({MAX_MESSAGE} bytes); change it in smaller"
                " steps, some of the records in each commit"
            ) from None

    def _open(self) -> None:
        if self._socket is None:
            try:
                self._socket = socket.create_connection(self._place, TIMEOUT)
            except OSError as error:
                raise self._silent(str(error.strerror or error)) from None

    def _send(self, question: Question) -> None:
        assert self._socket is not None, "whoever sends opens it first"
        self._until = time.monotonic() + PATIENCE
        wire = question.exchange.signed(question.wire)
        self._socket.settimeout(TIMEOUT)
        try:
            self._socket.sendall(len(wire).to_bytes(2, "big") + wire)
        except TimeoutError:
            raise self._silent(f"it takes nothing for {TIMEOUT} s") from None
        except OSError:
            raise Closed(f"{self._where} closes the connection without an answer") from None

    def _receive(self, question: Question, *, begun: bool = False) -> Message:
        """The next message of an answer."""
        size = int.from_bytes(self._exactly(2, begun=begun), "big")
        try:
            reply = _wire.message(self._exactly(size, begun=True))
            question.exchange.check(reply)
        except Malformed:
            raise ProviderError(f"{self._where} gives an answer that cannot be read; nothing of it is used") from None
        if not question.answered_by(reply):
            raise ProviderError(f"{self._where} answers what was not asked; it is not believed")
        return reply

    def _exactly(self, size: int, *, begun: bool) -> bytes:
        """The next bytes; the server's are taken as they come, since each look costs as much as a record."""
        assert self._socket is not None, "whoever reads has sent before"
        while len(self._ahead) < size:
            self._socket.settimeout(max(0.001, min(TIMEOUT, self._until - time.monotonic())))
            try:
                chunk = self._socket.recv(MAX_MESSAGE + 2)
            except TimeoutError:
                raise self._silent(f"nothing for {TIMEOUT} s, or not all in {PATIENCE} s") from None
            except OSError:  # cut off: no more comes
                chunk = b""
            if not chunk and (begun or self._ahead):
                raise ProviderError(f"{self._where} ends its answer early; nothing of it is used")
            if not chunk:
                raise Closed(f"{self._where} closes the connection without an answer")
            self._ahead += chunk
        data = bytes(self._ahead[:size])
        del self._ahead[:size]
        return data

    def _judge_transfer(self, reply: Message, zone: str) -> None:
        """Raises what the first message says where it does not begin a zone."""
        said = reply.flags & _wire.RCODE
        if said in {NOTAUTH, REFUSED, NXDOMAIN}:
            about = self._receive(self._ask(zone, _wire.SOA))
            if about.flags & _wire.RCODE == NOTAUTH:  # so PowerDNS answers a wrong key, without the TSIG error
                raise Refused(
                    f"{self._where} does not take the `key`: {_tsig.AS_THERE}; clocks may differ by 5 minutes"
                )
            if about.answer and about.flags & _wire.AA:
                raise Refused(f"{self._where} does not let the key transfer the zone {zone}: {ALLOW}")
            raise Missing(f"{self._where} has no zone {zone} for this key, and UPDATE cannot make one: {MAKE}")
        if said:
            raise ProviderError(f"{self._where} does not transfer {zone} ({_rcode(said)}); its log says why")
        self._must_be_signed(reply)

    def _judge_update(self, reply: Message, zone: str) -> None:
        """Raises what the answer says where it is not done."""
        said = reply.flags & _wire.RCODE
        where = f"{self._where} answers {_rcode(said)} for {zone}"
        if said in {NOTAUTH, NOTIMP, NOTZONE, REFUSED}:
            raise Refused(f"{where}; nothing was written. {NOT_TAKEN}")
        self._must_be_signed(reply)
        if said in {NXDOMAIN, NXRRSET, YXDOMAIN, YXRRSET}:
            raise Conflict(f"{where}: somebody changed it this moment; nothing was written, plan again")
        if said:
            raise ProviderError(f"{where}; its log says why. Plan again to see what was written")

    def _must_be_signed(self, reply: Message) -> None:
        if reply.tsig is None:
            raise ProviderError(f"{self._where} does not sign its answer; it is not believed")

    def _silent(self, why: str) -> Unreachable:
        return Unreachable(f"{self._where} does not answer over TCP: {why}")

    @contextmanager
    def _or_closed(self) -> Iterator[None]:
        """After an error a connection may hold the rest of an answer, which the next question must not get."""
        try:
            yield
        except BaseException:
            self.close()
            raise


class Question(NamedTuple):
    """What is asked, not signed yet, and how it and its answer are signed."""

    exchange: Exchange
    wire: bytes

    def answered_by(self, reply: Message) -> bool:
        """Whether a message is of its answer."""
        number, flags, *_ = _wire.HEADER.unpack_from(self.wire)
        meant: bool = reply.flags & (_wire.QR | _wire.OPCODE) == _wire.QR | flags & _wire.OPCODE
        return meant and reply.id == number


def _rcode(number: int) -> str:
    import dns.rcode

    return dns.rcode.to_text(dns.rcode.from_flags(number, 0))


class _Transfer:
    """What a transfer brings, message by message: it begins with the zone's SOA and ends with the same one."""

    def __init__(self, name: str, zone: str) -> None:
        self._name, self._named = name, zone
        self.zone: Zone = {}
        self._soa: tuple[str, str, bytes] | None = None
        self._bytes = self._records = 0

    def take(self, reply: Message) -> bool:
        """Whether this message was the last. Raises ProviderError."""
        self._bytes += len(reply.wire)
        self._records += len(reply.answer)
        if self._bytes > MAX_BYTES or self._records > MAX_RECORDS:
            limit = f"{MAX_BYTES >> 20} MiB or {MAX_RECORDS:,} records"
            raise Refused(
                f"{self._name}: the zone {self._named} has more than {limit}, which is more than is read here"
            )
        if reply.flags & _wire.RCODE or not reply.answer:
            raise self._odd("ends early")
        try:
            return self._all(reply.answer)
        except Malformed:
            raise self._odd("has a record that cannot be read") from None

    def _all(self, records: Sequence[Record]) -> bool:
        ended = False
        for record in records:
            if record.cls != _wire.IN or record.type in _wire.NO_DATA:
                raise Malformed
            soa = record.type == _wire.SOA
            if ended or (self._soa is None and not soa):
                raise self._odd("does not begin and end with its SOA")
            if soa:
                ended = self._ends(record)
            else:
                self._add(record)
        return ended

    def _ends(self, record: Record) -> bool:
        """Whether this SOA is the second one."""
        before, self._soa = self._soa, _wire.soa(record)
        if record.name != self._named or before not in {None, self._soa}:
            raise self._odd("changed on its way; plan again")
        return before is not None

    def _add(self, record: Record) -> None:
        if not _sets.at_or_below(record.name, self._named):
            return
        type_ = _wire.type_name(record.type)
        there = self.zone.setdefault((type_, record.name), Records(record.ttl, [], []))
        if type_ not in _sets.NOT_OURS:
            there.raw.append(record)
            there.texts.append(lenient(type_, _wire.text(type_, record)))

    def _odd(self, why: str) -> ProviderError:
        return ProviderError(f"{self._name}: the transfer of {self._named} {why}; nothing of it is used")
