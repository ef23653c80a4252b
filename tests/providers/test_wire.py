"""Our reader of DNS messages beside dnspython's, its signatures beside dnspython's, and bytes that mean harm."""

from __future__ import annotations

import struct
import time
from contextlib import contextmanager, suppress
from random import Random
from socket import create_server
from threading import Thread
from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdatatype
import dns.renderer
import dns.rrset
import dns.tsig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import ProviderError
from reconciler.kinds.record import lenient
from reconciler.providers import _primary, _sets, _wire
from reconciler.providers._primary import Line, _Transfer
from reconciler.providers._tsig import Place, key
from tests.servers.dns import SECRET
from tests.servers.relay import frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from socket import socket

    from reconciler.providers._primary import Zone

ORIGIN = dns.name.from_text("a.example")
KEY = dns.tsig.Key("reconciler", SECRET)
OWN = key({"name": "reconciler", "secret": SECRET})
SOA = "ns1.agency.example. hostmaster.agency.example. 7 86400 7200 3600000 3600"

usual = st.sampled_from([b"_dmarc", b"mx1", b"MX1", b"*", b"a.b", b"_tcp"])
labels = st.one_of(usual, st.binary(min_size=1, max_size=63))
names = st.lists(labels, max_size=3).map(lambda found: dns.name.Name([*found, *ORIGIN.labels]))
hosts = st.one_of(names, st.just(dns.name.root), st.lists(labels, max_size=2).map(lambda f: dns.name.Name([*f, b""])))
shorts = st.integers(0, 2**16 - 1)
strings = st.lists(st.binary(max_size=255), min_size=1, max_size=4)
printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60).map(str.encode)


def string(raw: bytes) -> bytes:
    return bytes([len(raw)]) + raw


def wire_of(host: dns.name.Name) -> bytes:
    return host.to_wire() or b""


DATA: dict[str, st.SearchStrategy[bytes]] = {
    "A": st.binary(min_size=4, max_size=4),
    "AAAA": st.one_of(st.binary(min_size=16, max_size=16), st.just(b"\0" * 10 + b"\xff\xff\xc0\0\2\1")),
    "CAA": st.builds(
        lambda flags, tag, value: bytes([flags]) + string(tag) + value,
        st.integers(0, 255), st.sampled_from([b"issue", b"IODEF", b"x9"]), st.one_of(printable, st.binary(max_size=60)),
    ),
    "CNAME": hosts.map(wire_of),
    "LOC": st.just(bytes.fromhex("00121613" "8b0d2c6c" "7ff2fc76" "00989680")),
    "MX": st.builds(lambda number, host: struct.pack("!H", number) + wire_of(host), shorts, hosts),
    "NS": hosts.map(wire_of),
    "SRV": st.builds(lambda *said: struct.pack("!3H", *said[:3]) + wire_of(said[3]), shorts, shorts, shorts, hosts),
    "SSHFP": st.just(bytes([1, 1]) + b"\xab" * 20),
    "TLSA": st.builds(lambda head, data: bytes(head) + data, st.tuples(*[st.integers(0, 3)] * 2, st.just(1)),
                      st.binary(min_size=32, max_size=32)),
    "TXT": strings.map(lambda found: b"".join(map(string, found))),
    "TYPE65280": st.binary(max_size=40),
}  # fmt: skip
records = st.sampled_from(sorted(DATA)).flatmap(
    lambda type_: st.tuples(names, st.just(type_), st.one_of(st.integers(0, 9), st.just(2**32 - 1)), DATA[type_])
)


def answer(found: list[tuple[dns.name.Name, str, int, bytes]], number: int = 7) -> bytes:
    """A message with these records, written by dnspython, which compresses the names."""
    writer = dns.renderer.Renderer(number, dns.flags.QR | dns.flags.AA, 65_535)
    writer.add_question(ORIGIN, dns.rdatatype.AXFR)
    for owner, type_, ttl, data in found:
        rdata = dns.rdata.from_wire("IN", dns.rdatatype.from_text(type_), data, 0, len(data))
        writer.add_rrset(dns.renderer.ANSWER, dns.rrset.from_rdata(owner, ttl, rdata))
    writer.write_header()
    return writer.get_wire()


def zone(*found: tuple[dns.name.Name, str, int, bytes], number: int = 7) -> bytes:
    """A whole transfer in one message."""
    soa = dns.rdata.from_text("IN", "SOA", SOA).to_wire() or b""
    edge = (ORIGIN, "SOA", 3600, soa)
    return answer([edge, *found, edge], number)


@given(st.lists(records, max_size=12))
def test_it_reads_what_dnspython_reads(found: list[tuple[dns.name.Name, str, int, bytes]]) -> None:
    """Record by record: name, type, TTL, value as it is compared, and data that go back into an update unchanged."""
    wire = zone(*found)
    theirs = dns.message.from_wire(wire, one_rr_per_rrset=True)
    ours = _wire.message(wire)
    assert (ours.id, ours.flags, ours.tsig, len(ours.answer)) == (7, theirs.flags, None, len(found) + 2)
    for record, rrset in zip(ours.answer, theirs.answer, strict=True):
        type_ = dns.rdatatype.to_text(rrset.rdtype)
        assert record.name == rrset.name.to_text(omit_final_dot=True).lower()
        assert (_wire.type_name(record.type), record.cls, record.ttl) == (type_, 1, rrset.ttl)
        assert lenient(type_, _wire.text(type_, record)) == lenient(type_, _sets.text_of(rrset[0]))
        assert record.rdata.to_wire() == rrset[0].to_wire()
    first, last = ours.answer[0], ours.answer[-1]
    assert _wire.soa(first) == _wire.soa(last)


def read(wire: bytes) -> Zone | None:
    """What a transfer of this one message brings, whatever it is; None where it is refused."""
    whole = _Transfer("live", "a.example")
    try:
        return whole.zone if whole.take(_wire.message(wire)) else None
    except (_wire.Malformed, ProviderError):
        return None


SAMPLE = zone(
    (ORIGIN, "MX", 60, b"\0\x0a" + wire_of(dns.name.from_text("mx1.agency.example"))),
    (ORIGIN, "TXT", 60, string(b"v=spf1 -all") + string(b"")),
    (dns.name.from_text("_sip._tcp", ORIGIN), "SRV", 60, b"\0\0\0\1\x03\xe1" + wire_of(ORIGIN)),
    (ORIGIN, "CAA", 60, b"\0" + string(b"issue") + b"ca.example"),
    (dns.name.from_text("www", ORIGIN), "AAAA", 60, bytes(16)),
    (dns.name.from_text("_25._tcp", ORIGIN), "TLSA", 60, b"\3\1\1" + bytes(32)),
)


def test_a_cut_message_is_none() -> None:
    """Wherever it ends, nothing of it is read; nor where something follows it."""
    assert len(read(SAMPLE) or ()) == 6
    assert [read(SAMPLE[:size]) for size in range(len(SAMPLE))] == [None] * len(SAMPLE)
    assert read(SAMPLE + b"\0") is None


places = st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255))


@given(st.one_of(st.binary(max_size=200), st.lists(places, max_size=6)))
def test_bytes_that_mean_harm(harm: bytes | list[tuple[int, int]]) -> None:
    """Any bytes, and real ones altered anywhere, are read or refused: no other error, and never for long."""
    wire = bytearray(SAMPLE)
    if isinstance(harm, bytes):
        wire = bytearray(SAMPLE[:12] + harm)
        read(harm)
    else:
        for at, byte in harm:
            wire[at] = byte
    for (type_, _), found in (read(bytes(wire)) or {}).items():
        assert all(isinstance(text, str) for text in found.texts), type_
        for raw in found.raw:
            with suppress(_wire.Malformed):
                assert raw.rdata is not None


def framed(*owner: bytes, type_: int = 16, data: bytes = b"\1x") -> bytes:
    """A message of one record."""
    head = _wire.HEADER.pack(7, 0x8000, 0, 1, 0, 0)
    return head + b"".join(owner) + _wire.FIXED.pack(type_, 1, 60, len(data)) + data


@pytest.mark.parametrize(
    "wire",
    [
        framed(b"\xc0\x0c"),  # to itself
        framed(b"\1a\xc0\x0c"),  # in a circle
        framed(b"\xc0\x40"),  # forward
        framed(b"\x40"), framed(b"\x80\0"),  # labels of no known kind
        framed(*[b"\x3f" + b"a" * 63] * 4, b"\0"),  # 257 bytes
        framed(b"\0", type_=250),  # a signature among the answers
    ],
)  # fmt: skip
def test_a_name_that_is_none(wire: bytes) -> None:
    """Pointers that lead in a circle or forward, labels of other kinds, more than 255 bytes."""
    with pytest.raises(_wire.Malformed):
        _wire.message(wire)


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        (1, b"\1\2\3"), (28, b"\0" * 15), (16, b""), (16, b"\5ab"), (15, b"\0\1\3ab"), (15, b"\0"), (5, b"\1a\0x"),
        (5, b""), (33, b"\0\0\0\0\0"), (257, b"\0"), (257, b"\0\x09issue"), (257, b"\0\3a-bx"), (257, b"\0\0x"),
        (52, b"\3"),
    ],
)  # fmt: skip
def test_data_that_do_not_fit_their_type(type_: int, data: bytes) -> None:
    """Too short, too long, or a part that leads out of the record, also where more of the message follows."""
    for more in (b"", b"\1a\0\0\0\0\0\0\0"):
        (record,) = _wire.message(framed(b"\0", type_=type_, data=data)).answer
        with pytest.raises(_wire.Malformed):
            _wire.text(_wire.type_name(type_), record._replace(wire=record.wire + more))


@pytest.mark.parametrize(("type_", "cls"), [(16, 3), (41, 1), (255, 1), (0, 1)], ids=["chaos", "opt", "any", "none"])
def test_what_stands_in_no_zone(type_: int, cls: int) -> None:
    """A record of another class, or of a type that only messages have, is no part of a zone."""
    wire, text = zone((ORIGIN, "TXT", 60, b"\1x")), _wire.FIXED.pack(16, 1, 60, 2)
    assert list(read(wire) or ()) == [("TXT", "a.example")]
    assert wire.count(text) == 1
    assert read(wire.replace(text, _wire.FIXED.pack(type_, cls, 60, 2))) is None


@pytest.mark.parametrize(("length", "ends"), [(100, True), (7000, False)])
def test_a_chain_of_pointers_ends(length: int, ends: bool) -> None:
    """A name may lead back through many pointers, but not through thousands for each of thousands of records."""
    here = 12 + 1 + _wire.FIXED.size  # of the root that the chain ends in
    chain = b"".join(struct.pack("!H", 0xC000 | (here + 2 * n - (n > 0))) for n in range(length))
    first = b"\0" + _wire.FIXED.pack(16, 1, 60, 1 + len(chain)) + b"\0" + chain
    owner = struct.pack("!H", 0xC000 | (here + 2 * length - 1))
    wire = _wire.HEADER.pack(7, 0x8000, 0, 2, 0, 0) + first + owner + _wire.FIXED.pack(16, 1, 60, 0)
    if ends:
        assert [record.name for record in _wire.message(wire).answer] == ["", ""]
    else:
        with pytest.raises(_wire.Malformed):
            _wire.message(wire)


# A primary that means harm or is of another make, and knows the key: it answers one question with these messages.

SIGNED, OPEN, STRANGE, LATE = "signed", "left to the next signature", "in no signature", "signed an hour ago"
Messages = list[tuple[bytes, str]]


def signed(wire: bytes, query: dns.message.Message, chain: Any, how: str) -> tuple[bytes, Any]:
    """The message with dnspython's signature, bound to the question and to those before it."""
    now = int(time.time()) - 3600 * (how == LATE)
    plain = query.tsig[0].replace(original_id=query.id)
    rdata, after = dns.tsig.sign(wire, KEY, plain, now, None if chain else query.mac, chain, multi=True)
    data = rdata.to_wire()
    count = int.from_bytes(wire[10:12], "big") + 1
    record = wire_of(KEY.name) + _wire.FIXED.pack(_wire.TSIG, _wire.ANY, 0, len(data)) + data
    return wire[:10] + count.to_bytes(2, "big") + wire[12:] + record, after


def serve(listening: socket, messages: Callable[[int], Messages]) -> None:
    """Answer the questions of one connection. That dnspython reads one proves our own signature of it."""
    with suppress(OSError):
        client, _ = listening.accept()
        with client:
            for frame in frames(client):
                query = dns.message.from_wire(frame[2:], keyring=KEY)
                chain = None
                for wire, how in messages(query.id):
                    sent = wire
                    if how in {SIGNED, LATE}:
                        sent, chain = signed(wire, query, chain, how)
                    elif how == OPEN and chain:
                        chain.update(wire)
                    client.sendall(len(sent).to_bytes(2, "big") + sent)


@contextmanager
def primary(messages: Callable[[int], Messages]) -> Iterator[Line]:
    """A line to a server that answers with what this makes of the question's number."""
    with create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=serve, args=(listening, messages), daemon=True)
        thread.start()
        with Line("live", Place("127.0.0.1", listening.getsockname()[1]), OWN) as line:
            yield line
        thread.join(5)


def spread(*between: str, last: str = SIGNED, first: str = SIGNED) -> Callable[[int], Messages]:
    """A zone of one address a message, between the two with its SOA."""
    soa = (ORIGIN, "SOA", 3600, dns.rdata.from_text("IN", "SOA", SOA).to_wire() or b"")

    def messages(number: int) -> Messages:
        addresses = [(dns.name.from_text(f"n{n}", ORIGIN), "A", 60, bytes([192, 0, 2, n])) for n in range(len(between))]
        middle = [(answer([address], number), how) for address, how in zip(addresses, between, strict=True)]
        return [(answer([soa], number), first), *middle, (answer([soa], number), last)]

    return messages


@pytest.mark.parametrize("between", [(), (OPEN,), (OPEN,) * 99, (OPEN, SIGNED, OPEN, OPEN), (*[OPEN] * 99, SIGNED) * 2])
def test_messages_without_a_signature_between_two_with_one(between: tuple[str, ...]) -> None:
    """The next signature is for them too (RFC 8945, 5.3.1): up to 99 are taken, and the connection stays in use."""
    with primary(spread(*between)) as line:
        for _ in range(2):
            assert len(line.transfer("a.example")) == len(between)


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (spread(*[OPEN] * 100), "more than 99 messages unsigned"),
        (spread(OPEN, last=OPEN), "does not sign its answer"),
        (spread(OPEN, first=OPEN), "does not sign its answer"),
        (spread(OPEN, STRANGE), "signs with something else"),
        (spread(STRANGE, SIGNED), "signs with something else"),
        (spread(first=LATE), "set both clocks"),
        (spread(OPEN, last=LATE), "set both clocks"),
    ],
    ids=["a-hundred", "last", "first", "slipped-in", "slipped-in-before-another", "late", "last-late"],
)
def test_messages_that_no_signature_is_for(messages: Callable[[int], Messages], said: str) -> None:
    """A hundred in a row, none at either end, one that came from elsewhere, an old one: nothing of it is believed."""
    with primary(messages) as line, pytest.raises(ProviderError, match=said):
        line.transfer("a.example")


def test_signed_bytes_that_mean_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who knows the key can sign anything: an error of the provider's, whatever it is, or a zone."""
    monkeypatch.setattr(_primary, "TIMEOUT", 0.2)  # a zone that does not end is waited for
    chance = Random(7)
    outcomes = set()
    for _ in range(300):
        wire = bytearray(SAMPLE)
        for _ in range(chance.randrange(4)):
            wire[chance.randrange(2, len(wire))] = chance.randrange(256)
        wire = wire[: chance.choice([len(wire), len(wire), chance.randrange(12, len(wire))])]

        def harm(number: int, wire: bytes = bytes(wire)) -> Messages:
            return [(number.to_bytes(2, "big") + wire[2:], SIGNED)]

        with primary(harm) as line:
            try:
                outcomes.add(type(line.transfer("a.example")))
            except ProviderError as error:
                outcomes.add(type(error))
    assert outcomes >= {dict, ProviderError}
