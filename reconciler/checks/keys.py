"""Checks over DKIM keys that are written as records (RFC 6376, RFC 8301, RFC 8463); those made here need none."""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from reconciler.checks.places import place
from reconciler.findings import Rule
from reconciler.kinds.record import label
from reconciler.tags import tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.files import Files
    from reconciler.findings import Finding
    from reconciler.model import Resource

INVALID = Rule(
    "DN030",
    "error",
    "DKIM key that receivers do not take",
    "Copy the whole record again from who signs, as one line: `v=DKIM1; k=rsa; p=…`.",
    why="Every message that is signed with it fails DKIM: a key is often cut off or mangled when it is pasted.",
)
SHORT = Rule(
    "DN031",
    "warning",
    "DKIM key that is short",
    "Have a key of 2048 bits made, under another selector.",
    why="Whoever has the means can break a key below 2048 bits (RFC 8301, 3.2); some receivers count it as none.",
)
REVOKED = Rule(
    "DN032",
    "info",
    "DKIM key that is revoked",
    "Take the record out once no message that was signed with it is under way any more.",
    why="An empty `p` says that the key must not be believed any more (RFC 6376, 3.6.1).",
)
_LEAST, _GOOD = 1024, 2048  # bits
_AT = re.compile(r"(?P<selector>.+?)\._domainkey\..+")


def check(files: Files, texts: Iterable[Resource]) -> Iterator[Finding]:
    """Every finding of this theme. `texts` are the tenant's TXT sets."""
    for resource in texts:
        if "._domainkey." in resource.address.name:
            for value in resource.get("values"):
                if isinstance(value, str):
                    yield from _key(files, resource, value)


def _key(files: Files, resource: Resource, value: str) -> Iterator[Finding]:
    name = label(resource.address.name)
    match = _AT.fullmatch(name)
    fault, bits = judged(value)
    if fault:
        yield INVALID.at(resource.address.name, f"{name}: {fault}.", place(files, resource, value))
    elif bits and bits < _GOOD:
        yield SHORT.at(resource.address.name, f"{name} has {bits} bits.", place(files, resource, value))
    elif bits == 0 and match and match["selector"] != "*":
        yield REVOKED.at(resource.address.name, f"{name}: its `p` is empty.", place(files, resource, value))


@lru_cache(maxsize=4096)
def judged(value: str) -> tuple[str, int | None]:
    """(what is wrong with the record of a key, or empty; its bits, 0 where it is revoked, None where nobody knows)."""
    try:
        said = tags(value)
    except ValueError as error:
        return str(error), None
    kind, text = said.get("k", "rsa").lower(), re.sub(r"\s", "", said.get("p", ""))
    if "p" not in said:
        return "it has no `p`", None
    if "v" in said and (said["v"] != "DKIM1" or next(iter(said)) != "v"):
        return "`v=DKIM1` is not what it begins with", None
    if kind not in {"rsa", "ed25519"}:
        return f"`k={kind}` is not rsa or ed25519", None
    if text and (narrow := _narrow(said)):
        return narrow, None
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return "its `p` is not Base64, or was cut off", None
    return ("its `p` has `=` after its end", None) if len(text) % 4 else _sized(kind, key)


def _narrow(said: Mapping[str, str]) -> str:
    """What keeps it from every message that is signed today; empty where nothing does."""
    hashes, services = (re.split(r"\s*:\s*", said.get(name, "").lower()) for name in ("h", "s"))
    if "h" in said and "sha256" not in hashes:
        return f"`h={said['h']}` is not sha256, and receivers take nothing else (RFC 8301, 3.1)"
    if "s" in said and not {"*", "email"} & set(services):
        return f"`s={said['s']}` is neither `*` nor `email`: it is not for mail (RFC 6376, 3.6.1)"
    return ""


def _sized(kind: str, key: bytes) -> tuple[str, int | None]:
    """As `judged`, of the bytes of a key."""
    if not key:
        return "", 0
    if kind == "ed25519":
        return "" if len(key) == 32 else f"an Ed25519 key has 32 bytes, this has {len(key)}", None
    bits = _rsa_bits(key)
    if bits is None:
        return "its `p` is no RSA key, or was cut off", None
    return (f"it has {bits} bits, and receivers take none below {_LEAST}" if bits < _LEAST else ""), bits


def _rsa_bits(key: bytes) -> int | None:
    """The length of an RSA key's modulus, as SubjectPublicKeyInfo or plain (RFC 8017); None where it is no such key."""
    try:
        tag, outer, extra = _element(key)
        inner_tag, _, after = _element(outer)
        if inner_tag == 0x30:  # the algorithm's name; the key follows, wrapped
            tag, wrapped, more = _element(after)
            _, outer, rest = _element(wrapped[1:])
            extra += more + rest
        number_tag, number, _ = _element(outer)
    except IndexError:
        return None
    return int.from_bytes(number).bit_length() if number_tag == 2 and not extra and tag in {3, 0x30} else None


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """(tag, content, what follows) of the first element of DER. Raises IndexError where it is cut off."""
    length, start = data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start])
    if start + length > len(data):
        raise IndexError
    return data[0], data[start : start + length], data[start + length :]
