"""Where a primary name server answers, and the key that both sides sign with (RFC 8945), as settings say them."""

from __future__ import annotations

import base64
import ipaddress
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import canonical
from reconciler.providers import _shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import dns.tsig

    from reconciler.providers._shapes import Problem

PORT = 53
ALGORITHMS = ("hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512")
DEFAULT = "hmac-sha256"
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


def key(said: Mapping[str, str]) -> dns.tsig.Key:
    """The key that `problems` finds nothing wrong with."""
    import dns.tsig

    return dns.tsig.Key(f"{_name(said['name'])}.", _secret(said["secret"]), f"{said.get('algorithm', DEFAULT)}.")


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
