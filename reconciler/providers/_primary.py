"""A primary name server over TCP: zone transfers (RFC 5936) and updates (RFC 2136), each message signed (RFC 8945).

A transfer is whole or an error: it begins and ends with the same SOA, and the signature of its last message is right
for all of it. Nothing here knows what is to be written.
"""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from reconciler.errors import Conflict, Missing, ProviderError, Refused, Unreachable
from reconciler.kinds import record
from reconciler.providers import _sets

if TYPE_CHECKING:
    from collections.abc import Iterator

    import dns.message
    import dns.rdata
    import dns.rrset
    import dns.tsig
    import dns.update

    from reconciler.providers._sets import Key
    from reconciler.providers._tsig import Place

    Zone = dict[Key, "Records"]

TIMEOUT = 10  # seconds without a word
PATIENCE = 120  # seconds for a whole answer, so that a server that drips holds nobody up
MAX_BYTES, MAX_RECORDS = 64 * 2**20, 1_000_000  # of one zone
MAX_MESSAGE = 65_535  # bytes: over TCP its length stands in two (RFC 1035, 4.2.2)
_QR, _AA = 0x8000, 0x0400
MAKE = (
    "make it on the server (Knot: `knotc conf-set 'zone[NAME]'`; BIND: `rndc addzone`), with SOA and NS, and plan again"
)
ALLOW = "allow it there (Knot: `acl`, `action: transfer`; BIND: `allow-transfer`)"
REFUSED = (
    "Either the key may not update it (Knot: `acl`, `action: update`; BIND: `allow-update`), or the server does not"
    " take a value (BIND: an MX whose host is in the zone and has no address there): its log says which"
)


class Records(NamedTuple):
    """A set as the server holds it; `texts` are its values in canonical form, one for each record."""

    ttl: int
    rdatas: list[dns.rdata.Rdata]
    texts: list[str]


class Closed(Unreachable):
    """The server let the connection go before it began to answer."""


class Line:
    """One connection to the server, opened when it is needed and closed after whatever did not end well."""

    def __init__(self, name: str, place: Place, key: dns.tsig.Key) -> None:
        self._name, self._place, self._key = name, place, key
        self._where = f"{name}: {place.shown}"
        self._socket: socket.socket | None = None
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
            wire = self._signed(message)
            self._open()
            try:
                self._send(wire)
                reply = self._receive(message)
            except Refused:
                raise
            except ProviderError as error:
                raise ProviderError(f"{error}. Whether {zone} was written is not known: plan again to see it") from None
            self._judge_update(reply, zone)

    def _transfer(self, zone: str) -> Zone:
        whole = _Transfer(self._name, zone)
        with self._or_closed():
            query = self._ask(zone, "AXFR")
            reply = self._receive(query)
            self._judge_transfer(reply, zone)
            while not whole.take(reply):
                reply = self._receive(query, reply.tsig_ctx, begun=True)
            self._must_be_signed(reply)
        return whole.zone

    def _ask(self, zone: str, type_: str) -> dns.message.Message:
        import dns.exception
        import dns.message

        try:
            query = dns.message.make_query(f"{zone}.", type_)
        except dns.exception.DNSException:
            raise Refused(f"{self._name}: {zone!r} cannot be the name of a zone") from None
        wire = self._signed(query)
        self._open()
        self._send(wire)
        return query

    def _signed(self, message: dns.message.Message) -> bytes:
        import dns.exception

        message.use_tsig(self._key)
        try:
            return message.to_wire(max_size=MAX_MESSAGE)
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

    def _send(self, wire: bytes) -> None:
        assert self._socket is not None, "whoever sends opens it first"
        self._until = time.monotonic() + PATIENCE
        self._socket.settimeout(TIMEOUT)
        try:
            self._socket.sendall(len(wire).to_bytes(2, "big") + wire)
        except TimeoutError:
            raise self._silent(f"it takes nothing for {TIMEOUT} s") from None
        except OSError:
            raise Closed(f"{self._where} closes the connection without an answer") from None

    def _receive(self, query: dns.message.Message, chain: Any = None, *, begun: bool = False) -> dns.message.Message:
        """The next message of an answer; `chain` holds the signatures so far."""
        size = int.from_bytes(self._exactly(2, begun=begun), "big")
        reply = self._parsed(self._exactly(size, begun=True), query, chain)
        if reply.id != query.id or reply.opcode() != query.opcode() or not reply.flags & _QR:
            raise ProviderError(f"{self._where} answers what was not asked; it is not believed")
        return reply

    def _exactly(self, size: int, *, begun: bool) -> bytes:
        assert self._socket is not None, "whoever reads has sent before"
        data = bytearray()
        while len(data) < size:
            self._socket.settimeout(max(0.001, min(TIMEOUT, self._until - time.monotonic())))
            try:
                chunk = self._socket.recv(size - len(data))
            except TimeoutError:
                raise self._silent(f"nothing for {TIMEOUT} s, or not all in {PATIENCE} s") from None
            except OSError:  # cut off: no more comes
                chunk = b""
            if not chunk and (begun or data):
                raise ProviderError(f"{self._where} ends its answer early; nothing of it is used")
            if not chunk:
                raise Closed(f"{self._where} closes the connection without an answer")
            data += chunk
        return bytes(data)

    def _parsed(self, wire: bytes, query: dns.message.Message, chain: Any) -> dns.message.Message:
        import dns.message
        import dns.tsig

        kind: type[ProviderError] = ProviderError
        try:
            return dns.message.from_wire(
                wire, keyring=self._key, request_mac=query.mac, tsig_ctx=chain, multi=True, one_rr_per_rrset=True
            )
        except (dns.tsig.PeerBadTime, dns.tsig.BadTime) as error:
            kind = Refused if isinstance(error, dns.tsig.PeerBadTime) else ProviderError
            why = "has another time than this host: TSIG allows 5 minutes, so set both clocks"
        except dns.tsig.PeerError as error:
            kind = Refused
            why = (
                f"does not take the `key` ({type(error).__name__}): name, secret and algorithm must be as there, and"
                " it must let it transfer and update the zone"
            )
        except (dns.tsig.BadSignature, dns.tsig.BadKey, dns.tsig.BadAlgorithm, dns.message.UnknownTSIGKey):
            why = "signs with something else than the `key`; its answer is not believed"
        except Exception as error:  # noqa: BLE001 - a stranger's bytes in a parser that promises no class of error
            why = f"gives an answer that cannot be read ({type(error).__name__})"
        raise kind(f"{self._where} {why}")

    def _judge_transfer(self, reply: dns.message.Message, zone: str) -> None:
        """Raises what the first message says where it does not begin a zone."""
        import dns.rcode as code

        said = reply.rcode()
        if said in {code.NOTAUTH, code.REFUSED, code.NXDOMAIN}:
            about = self._receive(self._ask(zone, "SOA"))
            if about.answer and about.flags & _AA:
                raise Refused(f"{self._where} does not let the key transfer the zone {zone}: {ALLOW}")
            raise Missing(f"{self._where} has no zone {zone} for this key, and UPDATE cannot make one: {MAKE}")
        if said != code.NOERROR:
            raise ProviderError(f"{self._where} does not transfer {zone} ({code.to_text(said)}); its log says why")
        self._must_be_signed(reply)

    def _judge_update(self, reply: dns.message.Message, zone: str) -> None:
        """Raises what the answer says where it is not done."""
        import dns.rcode as code

        said = reply.rcode()
        where = f"{self._where} answers {code.to_text(said)} for {zone}"
        if said in {code.NOTAUTH, code.NOTIMP, code.NOTZONE, code.REFUSED}:
            raise Refused(f"{where}; nothing was written. {REFUSED}")
        self._must_be_signed(reply)
        if said in {code.NXDOMAIN, code.NXRRSET, code.YXDOMAIN, code.YXRRSET}:
            raise Conflict(f"{where}: somebody changed it this moment; nothing was written, plan again")
        if said != code.NOERROR:
            raise ProviderError(f"{where}; its log says why. Plan again to see what was written")

    def _must_be_signed(self, reply: dns.message.Message) -> None:
        if not reply.had_tsig:
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


class _Transfer:
    """What a transfer brings, message by message: it begins with the zone's SOA and ends with the same one."""

    def __init__(self, name: str, zone: str) -> None:
        self._name, self._named = name, zone
        self.zone: Zone = {}
        self._soa: dns.rdata.Rdata | None = None
        self._bytes = self._records = 0

    def take(self, reply: dns.message.Message) -> bool:
        """Whether this message was the last. Raises ProviderError."""
        self._bytes += len(reply.wire or b"")
        self._records += len(reply.answer)
        if self._bytes > MAX_BYTES or self._records > MAX_RECORDS:
            limit = f"{MAX_BYTES >> 20} MiB or {MAX_RECORDS:,} records"
            raise Refused(
                f"{self._name}: the zone {self._named} has more than {limit}, which is more than is read here"
            )
        if reply.rcode() or not reply.answer:
            raise self._odd("ends early")
        ended = False
        for rrset in reply.answer:
            soa = rrset.rdtype == 6  # SOA
            if ended or (self._soa is None and not soa):
                raise self._odd("does not begin and end with its SOA")
            if soa:
                ended = self._ends(rrset)
            else:
                self._add(rrset)
        return ended

    def _ends(self, rrset: dns.rrset.RRset) -> bool:
        """Whether this SOA is the second one."""
        before, self._soa = self._soa, rrset[0]
        if _text(rrset) != self._named or before not in {None, self._soa}:
            raise self._odd("changed on its way; plan again")
        return before is not None

    def _add(self, rrset: dns.rrset.RRset) -> None:
        import dns.rdatatype

        try:
            type_, name, rdata = dns.rdatatype.to_text(rrset.rdtype), _text(rrset), rrset[0]
            text = record.lenient(type_, _sets.text_of(rdata))
        except Exception:  # noqa: BLE001 - as above
            raise self._odd("has a record that cannot be read") from None
        if _sets.at_or_below(name, self._named):
            there = self.zone.setdefault((type_, name), Records(rrset.ttl, [], []))
            there.rdatas.append(rdata)
            there.texts.append(text)

    def _odd(self, why: str) -> ProviderError:
        return ProviderError(f"{self._name}: the transfer of {self._named} {why}; nothing of it is used")


def _text(rrset: dns.rrset.RRset) -> str:
    return rrset.name.to_text(omit_final_dot=True).lower()
