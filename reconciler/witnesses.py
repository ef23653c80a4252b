"""What the authoritative name servers say of a record set: each by itself, never what a cache has.

A DNS provider's `authoritative` names them. All questions are asked side by side; a server that does not answer, or
not with authority (RFC 1034, 4.3.1: the AA bit), has said nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from reconciler.answers import Answer
from reconciler.facts import exactly

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from reconciler.answers import Question, Server

    Asked = tuple[Server, Question]
    Heard = Mapping[Asked, Answer]

AT_ONCE = 64
ONE, TRIES = 2.0, 2  # seconds for one question, and how often it is asked of a server that is silent
WITHIN = 60.0  # seconds after which what a server does not have yet is a failure: a transfer to secondaries takes a few
PAUSE = 0.1  # seconds before the first look again; each time twice as long, up to
LONGEST = 5.0
_FAILED = Answer("failed")


def ask(asked: Iterable[Asked]) -> dict[Asked, Answer]:
    """An answer to each; `failed` where a server said nothing, or nothing that counts."""
    todo = sorted(set(asked))
    if not todo:
        return {}
    import asyncio

    return dict(zip(todo, asyncio.run(_all(todo)), strict=True))


def until(asked: Collection[Asked], agree: Callable[[Asked, Answer], bool]) -> dict[Asked, Answer]:
    """The answers once all agree with what is expected, or as they are when the time is up."""
    began, pause, heard = time.monotonic(), PAUSE, ask(asked)
    while wrong := [one for one in asked if not agree(one, heard[one])]:
        if time.monotonic() + pause > began + WITHIN:
            break
        time.sleep(pause)
        pause = min(2 * pause, LONGEST)
        heard |= ask(wrong)
    return heard


async def _all(todo: Iterable[Asked]) -> list[Answer]:
    import asyncio

    gate = asyncio.Semaphore(AT_ONCE)

    async def one(server: Server, question: Question) -> Answer:
        async with gate:
            return await _patient(server, question)

    return await asyncio.gather(*(one(*asked) for asked in todo))


async def _patient(server: Server, question: Question) -> Answer:
    import asyncio

    import dns.exception

    loop = asyncio.get_running_loop()
    for _ in range(TRIES):
        try:
            found = await loop.getaddrinfo(*server)
            return await _one(found[0][4][0], server[1], question)
        except (OSError, EOFError, dns.exception.DNSException):
            continue
    return _FAILED


async def _one(address: Any, port: int, question: Question) -> Answer:
    """Raises OSError or DNSException where nothing comes back that is an answer to the question."""
    import dns.asyncquery
    import dns.flags
    import dns.message
    import dns.rcode

    name, rtype = question
    query = dns.message.make_query(f"{name}.", rtype, flags=0)
    reply, _by_tcp = await dns.asyncquery.udp_with_fallback(query, address, ONE, port)
    if not reply.flags & dns.flags.AA or reply.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return _FAILED
    return told(reply)[0]


def told(reply: Any) -> tuple[Answer, int]:
    """What a reply says to its question, and for how many seconds."""
    import dns.rcode
    import dns.rdatatype

    asked = reply.question[0]
    found = reply.get_rrset(reply.answer, asked.name, asked.rdclass, asked.rdtype)
    ttl = min((rrset.ttl for rrset in ([found] if found else reply.authority)), default=0)
    if reply.rcode() == dns.rcode.NXDOMAIN:
        return Answer("nxdomain"), ttl
    values = tuple(sorted(exactly(dns.rdatatype.to_text(asked.rdtype), data) for data in found or ()))
    return Answer("found", values) if values else Answer("empty"), ttl
