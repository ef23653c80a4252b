"""What a recursive resolver says of a record set: what most of the world sees, with caches and DNSSEC between.

Only what the authoritative servers say already is asked of it: a resolver that is asked too early keeps for a while
that there is nothing (RFC 2308). It is asked with the DO bit (RFC 4035, 3.2.1), so it tells whether the chain of DNSSEC
holds. One that is silent, or refuses, has said nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from reconciler.answers import Answer, Hearsay
from reconciler.witnesses import told
from reconciler.wording import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reconciler.answers import Question, Server

    Asked = tuple[Server, Question]

AT_ONCE = 64
ONE, TRIES = 4.0, 2  # seconds for one question, for it has to ask others; and how often it is asked
WITHIN = 30.0  # seconds after which nothing more is asked: a resolver that is down must not hold up a run
PAUSE = 1.0  # seconds between two looks at least, and after a time has run out: caches count in whole ones
LONGEST = 200  # characters of what it says for people: the text is its own
_NOTHING = Hearsay(Answer("failed"))


def systems() -> Server | None:
    """The resolver that this machine is set up with, if there is one."""
    import dns.resolver

    try:
        found = dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        return None
    return str(found.nameservers[0]), found.port


def ask(asked: Iterable[Asked]) -> dict[Asked, Hearsay]:
    """What each said; its answer is `failed` where nothing was said in time."""
    todo = sorted(set(asked))
    if not todo:
        return {}
    import asyncio

    return dict(zip(todo, asyncio.run(_all(todo)), strict=True))


def until(asked: Iterable[Asked], agree: Callable[[Asked, Answer], bool]) -> dict[Asked, Hearsay]:
    """What each said once all agree with what is expected.

    What disagrees is asked again when its time in a cache has run out. Where that takes too long it stays as it is;
    what disagrees afterwards still is `overdue`, for no cache explains it.
    """
    began, heard = time.monotonic(), ask(asked)
    runs_out = {one: time.monotonic() + said.ttl + PAUSE for one, said in heard.items()}
    last = began + WITHIN
    wrong = {one for one in heard if runs_out[one] <= last and _disagrees(one, heard[one], agree)}
    while wrong:
        pause = max(PAUSE, min(runs_out[one] for one in wrong) - time.monotonic())
        if time.monotonic() + pause > last:
            break
        time.sleep(pause)
        again = ask(one for one in wrong if runs_out[one] <= time.monotonic())
        heard |= {one: said._replace(overdue=_disagrees(one, said, agree)) for one, said in again.items()}
        wrong -= {one for one, said in again.items() if not said.overdue}
    return heard


def _disagrees(one: Asked, said: Hearsay, agree: Callable[[Asked, Answer], bool]) -> bool:
    """Whether it said something that is not expected; who fails or is silent has said nothing."""
    return said.answer.status != "failed" and not agree(one, said.answer)


async def _all(todo: Iterable[Asked]) -> list[Hearsay]:
    import asyncio

    gate, end = asyncio.Semaphore(AT_ONCE), time.monotonic() + WITHIN

    async def one(server: Server, question: Question) -> Hearsay:
        async with gate:
            return await _patient(server, question, end)

    return await asyncio.gather(*(one(*asked) for asked in todo))


async def _patient(server: Server, question: Question, end: float) -> Hearsay:
    """SERVFAIL is asked once more, too: it also says that the resolver itself waited in vain for somebody."""
    import asyncio

    import dns.exception

    said = _NOTHING
    for _ in range(TRIES):
        left = end - time.monotonic()
        if left <= 0:
            break
        try:
            found = await asyncio.get_running_loop().getaddrinfo(*server)
            again = await _one(found[0][4][0], server[1], question, min(ONE, left))
        except (OSError, EOFError, dns.exception.DNSException):
            continue
        if not again.broken:
            return again
        said = max(said, again, key=lambda one: len(one.broken))  # from its cache it often comes without the reasons
    return said


async def _one(address: Any, port: int, question: Question, seconds: float) -> Hearsay:
    """Raises OSError or DNSException where nothing comes back that is an answer to the question."""
    import dns.asyncquery
    import dns.flags
    import dns.message
    import dns.rcode

    name, rtype = question
    query = dns.message.make_query(f"{name}.", rtype, want_dnssec=True)
    reply, _by_tcp = await dns.asyncquery.udp_with_fallback(query, address, seconds, port)
    if reply.rcode() == dns.rcode.SERVFAIL:
        return _NOTHING._replace(broken=_broken(reply))
    recursive = reply.flags & dns.flags.RA
    if not recursive or reply.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return _NOTHING
    answer, ttl = told(reply)
    return Hearsay(answer, bool(reply.flags & dns.flags.AD), ttl)


def _broken(reply: Any) -> str:
    """SERVFAIL with the reasons that came with it (Extended DNS Errors, RFC 8914)."""
    import dns.edns

    errors = [option for option in reply.options if isinstance(option, dns.edns.EDEOption)]
    return visible("; ".join(["it answers SERVFAIL", *map(_reason, errors)]))[:LONGEST]


def _reason(error: Any) -> str:
    import dns.edns

    known = error.code in set(dns.edns.EDECode)
    name = f"{dns.edns.EDECode(error.code).name.replace('_', ' ')} " if known else ""
    return f"{name}(EDE {int(error.code)}){f': {error.text}' if error.text else ''}"
