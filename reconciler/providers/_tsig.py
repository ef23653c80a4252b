"""Where a primary name server answers, and the key that both sides sign with (RFC 8945), as settings say them.

The signatures are made here too, because dnspython takes longer for two of them than a zone may take in all.
"""

from __future__ import annotations

import base64
import hmac
import ipaddress
import re
import struct
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import canonical
from reconciler.errors import ProviderError, Refused
from reconciler.providers import _shapes, _wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from reconciler.providers._shapes import Problem
    from reconciler.providers._wire import Message, Record

PORT = 53
ALGORITHMS = ("hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512")
DEFAULT = "hmac-sha256"
FUDGE = 300  # seconds that clocks may differ (RFC 8945, section 10)
MAX_UNSIGNED = 99  # messages one after another (RFC 8945, 5.3.1)
_BADTIME = 18
_ERRORS = {16: "BADSIG", 17: "BADKEY", 22: "BADTRUNC"}
_TIMERS = struct.Struct("!HIH")  # when it was signed (48 bits), fudge
_CLOCKS = "has another time than this host: TSIG allows 5 minutes, so set both clocks"
AS_THERE = "name, secret and algorithm must be as there, and it must let it transfer and update the zone"
_STRANGE = "signs with something else than the `key`; its answer is not believed"
_KEY = frozenset({"name", "secret"})
_PLACE = re.compile(r"(?:\[(?P<v6>.+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?|(?P<bare>[^\[\]]+)")
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")


class Place(NamedTuple):
    """Host and port of the server."""

    host: str
    port: int

    @property
    def shown(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def place(server: str) -> Place:
    """`ns1.agency.example`, `192.0.2.1:5353`, `[2001:db8::1]:53`, `::1`. Raises ValueError."""
    match = _PLACE.fullmatch(server)
    if match is None:
        raise ValueError("more than a host and a port")
    v6, host, port = match["v6"] or match["bare"], canonical.domain(match["host"] or ""), int(match["port"] or PORT)
    if not 0 < port < 65536 or not (v6 or _NAME.fullmatch(host)):
        raise ValueError("no host, or no port")
    return Place(str(ipaddress.IPv6Address(v6)) if v6 else host, port)


@dataclass(frozen=True)
class Key:
    """What both sides sign with."""

    name: str
    algorithm: str
    secret: bytes = field(repr=False)

    @cached_property
    def wire(self) -> tuple[bytes, bytes]:
        """The names of the key and of its algorithm, as they are signed."""
        return _wire.encoded(self.name), _wire.encoded(self.algorithm)

    def mac(self, *parts: bytes) -> bytes:
        """The signature of these bytes in a row."""
        return hmac.digest(self.secret, b"".join(parts), self.algorithm.removeprefix("hmac-"))


def key(said: Mapping[str, str]) -> Key:
    """The key that `problems` finds nothing wrong with."""
    return Key(_name(said["name"]), said.get("algorithm", DEFAULT), _secret(said["secret"]))


class Signature(NamedTuple):
    """The data of a TSIG record (RFC 8945, 4.2)."""

    algorithm: str
    timers: bytes
    mac: bytes
    id: bytes
    error: int
    other: bytes

    @classmethod
    def of(cls, record: Record) -> Signature:
        """Raises Malformed."""
        wire = record.wire
        try:
            algorithm, at = _wire.name(wire, record.start)
            behind = at + 10 + int.from_bytes(wire[at + 8 : at + 10], "big")
            error, size = struct.unpack_from("!HH", wire, behind + 2)
        except (IndexError, struct.error):
            raise _wire.Malformed from None
        if behind + 6 + size != record.end or (record.cls, record.ttl) != (_wire.ANY, 0):
            raise _wire.Malformed
        return cls(
            algorithm,
            wire[at : at + 8],
            wire[at + 10 : behind],
            wire[behind : behind + 2],
            error,
            wire[behind + 6 : record.end],
        )


class Exchange:
    """A question and the messages of its answer, each signature bound to the one before (RFC 8945, 5.3)."""

    def __init__(self, signer: Key, where: str) -> None:
        self._key, self._where = signer, where
        self._owner, self._algorithm = signer.wire
        self._open: list[bytes] = []  # what the next signature is for, besides its own message
        self._unsigned = 0
        self._first = True

    def signed(self, wire: bytes) -> bytes:
        """The question with its signature."""
        seconds = int(time.time())
        timers = _TIMERS.pack(seconds >> 32, seconds & 0xFFFFFFFF, FUDGE)
        mac = self._key.mac(wire, self._variables(timers, b"\0\0\0\0"))
        self._open = [len(mac).to_bytes(2, "big"), mac]
        data = b"".join((self._algorithm, timers, *self._open, wire[:2], b"\0\0\0\0"))
        record = self._owner + _wire.FIXED.pack(_wire.TSIG, _wire.ANY, 0, len(data)) + data
        return _with_additional(wire, 1) + record

    def check(self, message: Message) -> None:
        """Take in the next message. One without a signature is open until one with it follows. Raises ProviderError,
        Refused and Malformed.
        """
        if message.tsig is None:
            self._open.append(message.wire)
            self._unsigned += 1
            if self._unsigned > MAX_UNSIGNED:
                raise ProviderError(
                    f"{self._where} leaves more than {MAX_UNSIGNED} messages unsigned; it is not believed"
                )
            return
        signature = Signature.of(message.tsig)
        self._judge(signature.error)
        if (message.tsig.name, signature.algorithm) != (self._key.name, self._key.algorithm):
            raise ProviderError(f"{self._where} {_STRANGE}")
        body = _with_additional(message.wire[: message.tsig.at], -1)
        said = struct.pack("!HH", signature.error, len(signature.other)) + signature.other
        variables = self._variables(signature.timers, said) if self._first else signature.timers
        if not hmac.compare_digest(self._key.mac(*self._open, signature.id, body[2:], variables), signature.mac):
            raise ProviderError(f"{self._where} {_STRANGE}")
        high, low, fudge = _TIMERS.unpack(signature.timers)
        if abs((high << 32 | low) - int(time.time())) > fudge:
            raise ProviderError(f"{self._where} {_CLOCKS}")
        self._open, self._unsigned, self._first = [len(signature.mac).to_bytes(2, "big"), signature.mac], 0, False

    def _variables(self, timers: bytes, said: bytes) -> bytes:
        return b"".join((self._owner, b"\0\xff\0\0\0\0", self._algorithm, timers, said))  # class ANY, TTL 0

    def _judge(self, error: int) -> None:
        """Raises Refused where the server does not take the question's signature."""
        if error == _BADTIME:
            raise Refused(f"{self._where} {_CLOCKS}")
        if error:
            raise Refused(f"{self._where} does not take the `key` ({_ERRORS.get(error, error)}): {AS_THERE}")


def _with_additional(wire: bytes, more: int) -> bytes:
    """A message that says it has one additional record more, or less."""
    count = int.from_bytes(wire[10:12], "big") + more
    return wire[:10] + count.to_bytes(2, "big") + wire[12:]


def problems(settings: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with `server` and `key`."""
    yield from _shapes.texts(settings, "server")
    if not _fits(settings.get("server"), place):
        yield ("server",), "must be a host or host:port, such as ns1.agency.example, 192.0.2.1:5353 or [2001:db8::1]:53"
    said = settings.get("key")
    if said is None:
        return
    if not isinstance(said, dict) or not _KEY <= said.keys() <= {*_KEY, "algorithm"}:
        yield ("key",), "must have `name` and `secret`, may have `algorithm`, and nothing else"
        return
    inner = [*_shapes.texts(said, *sorted(_KEY)), *_shapes.choice(said, "algorithm", ALGORITHMS)]
    yield from ((("key", *path), why) for path, why in inner)
    if not _fits(said["name"], _name):
        yield (
            ("key", "name"),
            "must be the key's name as the server has it, such as `reconciler` or `key.agency.example`",
        )
    if not _fits(said["secret"], _secret):
        yield ("key", "secret"), "must be base64, as `tsig-keygen` and `keymgr -t` write it"


def _fits(value: Any, form: Callable[[str], object]) -> bool:
    """Whether a text has a form. What is no text was told already, or is known later."""
    try:
        return not isinstance(value, str) or not value or form(value) is not None
    except ValueError:
        return False


def _name(text: str) -> str:
    name = canonical.domain(text)
    if not _NAME.fullmatch(name):
        raise ValueError("no name")
    return name


def _secret(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
