"""Policies of MTA-STS as senders fetch them (RFC 8461, 3.3): by verified HTTPS, from the one host that may serve each.

Tenants choose the names, and whoever runs those the answers. So the addresses are looked up once and connected to as
they are, only public ones are, or those in networks that the agency names; no redirect is followed, and both the answer
and the time for it are short.
"""

from __future__ import annotations

import io
import ipaddress
from typing import TYPE_CHECKING, Any

from reconciler.answers import Answer
from reconciler.mta_sts import WELL_KNOWN
from reconciler.wording import visible

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    Network = ipaddress.IPv4Network | ipaddress.IPv6Network
    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

PORT = 443
LONGEST = 64 * 2**10  # bytes of an answer, its head included
AT_ONCE = 32
ONE, WHOLE = 5.0, 30.0  # seconds for one address, for all of them
TRIES = 3  # addresses of a host
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_UNTOLD = Answer("failed", why="there was no time left to ask it")


def fetch(hosts: Mapping[str, Iterable[str]], networks: Collection[Network]) -> dict[str, Answer]:
    """What each host serves, of {host: its addresses}: `found` with a text, `empty` where it is certainly no policy."""
    import asyncio

    return asyncio.run(_all(hosts, networks)) if hosts else {}


async def _all(hosts: Mapping[str, Iterable[str]], networks: Collection[Network]) -> dict[str, Answer]:
    import asyncio
    import ssl

    gate, context = asyncio.Semaphore(AT_ONCE), ssl.create_default_context()

    async def one(host: str, addresses: Sequence[str]) -> Answer:
        async with gate:
            return await _host(host, addresses, context)

    found, tasks = dict.fromkeys(hosts, _UNTOLD), dict[Any, str]()
    for host, addresses in hosts.items():
        able = [address for address in addresses if is_allowed(address, networks)]
        if able:
            tasks[asyncio.create_task(one(host, able))] = host
        else:
            found[host] = Answer("failed", why=f"{', '.join(sorted(addresses))} is no public address")
    done, late = await asyncio.wait(tasks, timeout=WHOLE) if tasks else (set[Any](), set[Any]())
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return found | {tasks[task]: task.result() for task in done}


async def _host(host: str, addresses: Sequence[str], context: Any) -> Answer:
    import asyncio
    import ssl

    problem = "none of its addresses answers"
    for address in addresses[:TRIES]:
        try:
            async with asyncio.timeout(ONE):
                return _read(await _asked(host, address, context))
        except ssl.SSLCertVerificationError as error:
            return Answer("empty", why=f"its certificate does not hold: {visible(error.verify_message)}")
        except (OSError, ValueError) as error:
            problem = f"{address} does not answer ({type(error).__name__})"
    return Answer("failed", why=problem)


async def _asked(host: str, address: str, context: Any) -> bytes:
    """All that the host says, or its beginning where that is too long. Raises OSError."""
    import asyncio

    reader, writer = await asyncio.open_connection(address, PORT, ssl=context, server_hostname=host)
    try:
        head = f"GET {WELL_KNOWN} HTTP/1.1\r\nHost: {host}\r\nAccept: text/plain\r\nConnection: close\r\n\r\n"
        writer.write(head.encode("ascii"))
        data = b""
        while len(data) <= LONGEST and (part := await reader.read(LONGEST)):
            data += part
        return data
    finally:
        writer.transport.abort()


class _Said(io.BytesIO):
    """Bytes in the place of the connection that they came by."""

    def makefile(self, _mode: str) -> io.BytesIO:
        return self


def _read(data: bytes) -> Answer:
    """An HTTP answer as the policy that is in it."""
    import http.client

    if len(data) > LONGEST:
        return Answer("empty", why=f"its answer is longer than {LONGEST // 2**10} KiB")
    response = http.client.HTTPResponse(_Said(data))  # type: ignore[arg-type]
    try:
        response.begin()
        text = response.read().decode("utf-8")
    except (http.client.HTTPException, ValueError) as error:
        return Answer("empty", why=f"its answer is no HTTP with text ({type(error).__name__})")
    if response.status != 200:
        return Answer("empty", why=f"it answers {response.status}")
    kind = response.headers.get_content_type()
    return Answer("found", (text,)) if kind == "text/plain" else Answer("empty", why=f"it serves {visible(kind)[:40]}")


def is_allowed(address: str, networks: Collection[Network]) -> bool:
    """Whether an address may be connected to: a public one, or one in these networks."""
    real = _real(ipaddress.ip_address(address))
    return any(real in network for network in networks) or (real.is_global and not real.is_multicast)


def _real(address: Address) -> Address:
    """Where packets to an address go in the end, if it stands for one of IPv4."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
