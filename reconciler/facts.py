"""What the world says now: DNS, and policies over HTTPS, asked once per command, many at a time, and not for long.

A name that nobody answers for costs everybody else nothing: the questions are asked side by side, and once the resolver
has been silent for a while the rest are not asked at all. RECONCILER_RESOLVER names another resolver than the system's.
"""

from __future__ import annotations

import ipaddress
import os
import time
from typing import TYPE_CHECKING, Any

from reconciler import canonical, fetching
from reconciler.answers import POLICY, Answer
from reconciler.errors import ReconcilerError
from reconciler.kinds.record import lenient
from reconciler.wording import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from reconciler.answers import Question

VARIABLE = "RECONCILER_RESOLVER"
AT_ONCE = 64
ONE, SILENCE = 2.0, 1.0  # seconds for one question; for all of them, without any answer
WHOLE, EACH = 5.0, 0.01  # seconds of one command, and more of them for each question
_FAILED = Answer("failed")


class Resolver:
    """Asks DNS. Raises ReconcilerError where RECONCILER_RESOLVER is none.

    `said` is ADDRESS, ADDRESS:PORT, `none` (nothing is asked, all fails) or empty (the system's own). `exact` gives
    values as they are, to be compared; else they can be shown, and are in lower case. `networks` are those where the
    hosts of policies may be, besides public addresses.
    """

    def __init__(
        self, said: str | None = None, *, exact: bool = False, networks: Collection[fetching.Network] = ()
    ) -> None:
        self._server = server(os.environ.get(VARIABLE, "") if said is None else said)
        self._form = exactly if exact else readable
        self._networks = networks
        self._mute = self._server == "none"
        self._left = WHOLE
        self._heard = 0.0

    def ask(self, questions: Iterable[Question]) -> dict[Question, Answer]:
        """An answer to each, `failed` where there is none in time."""
        asked = set(questions)
        hosts = sorted(name for name, type_ in asked if type_ == POLICY)
        answers = self._dns(asked - {(host, POLICY) for host in hosts})
        return answers | self._policies(hosts)

    def _policies(self, hosts: Collection[str]) -> dict[Question, Answer]:
        """What these hosts serve; where none of their names has an address that is an answer, too."""
        found = self._dns((host, type_) for host in hosts for type_ in ("A", "AAAA"))
        both = {host: (found[host, "A"], found[host, "AAAA"]) for host in hosts}
        there = {host: [value for answer in two for value in answer.values] for host, two in both.items()}
        served = fetching.fetch({host: addresses for host, addresses in there.items() if addresses}, self._networks)
        return {(host, POLICY): served.get(host) or _nowhere(host, two) for host, two in both.items()}

    def _dns(self, questions: Iterable[Question]) -> dict[Question, Answer]:
        todo = sorted(set(questions))
        if self._mute or not todo:
            return dict.fromkeys(todo, _FAILED)
        import asyncio

        began = self._heard = time.monotonic()
        self._left += EACH * len(todo)
        answers = dict.fromkeys(todo, _FAILED)
        try:
            asyncio.run(self._ask_all(iter(todo), answers))
        finally:
            self._left -= time.monotonic() - began
        return answers

    async def _ask_all(self, todo: Iterator[Question], answers: dict[Question, Answer]) -> None:
        import asyncio

        import dns.asyncresolver
        import dns.resolver

        try:
            resolver = dns.asyncresolver.Resolver(configure=not self._server)
        except dns.resolver.NoResolverConfiguration:
            return
        if self._server:
            host, port = self._server
            resolver.nameservers, resolver.port = [host], int(port)
        resolver.timeout = ONE / 2
        end = self._heard + self._left
        await asyncio.gather(*(self._worker(resolver, todo, answers, end) for _ in range(min(AT_ONCE, len(answers)))))

    async def _worker(
        self, resolver: Any, todo: Iterator[Question], answers: dict[Question, Answer], end: float
    ) -> None:
        for question in todo:
            left = end - time.monotonic()
            self._mute = self._mute or left <= 0 or time.monotonic() - self._heard > SILENCE
            if self._mute:
                return
            answer = await _one(resolver, question, min(ONE, left), self._form)
            if answer is not None:
                self._heard = time.monotonic()
                answers[question] = answer


def _nowhere(host: str, answers: Iterable[Answer]) -> Answer:
    """Why a host without an address serves nothing."""
    said = {answer.status for answer in answers}
    unknown = "failed" in said or ("nxdomain" in said and canonical.reserved(host))
    return _FAILED if unknown else Answer("empty", why="it has no address in DNS")


async def _one(resolver: Any, question: Question, seconds: float, form: Callable[[str, Any], str]) -> Answer | None:
    """What the resolver says; None where it says nothing."""
    import dns.exception
    import dns.resolver

    name, rtype = question
    try:
        found = await resolver.resolve(f"{name}.", rtype, raise_on_no_answer=False, lifetime=seconds, search=False)
    except dns.resolver.NXDOMAIN:
        return Answer("nxdomain")
    except dns.exception.Timeout:
        return None
    except dns.exception.DNSException:  # it says that it cannot say, or this is no name
        return _FAILED
    values = tuple(sorted({form(rtype, data) for data in found.rrset or ()}))
    return Answer("found", values) if values else Answer("empty")


def readable(rtype: str, data: Any) -> str:
    """The canonical form of a value; nothing in it that a terminal would obey."""
    if rtype == "TXT":
        return visible(b"".join(data.strings).decode("utf-8", "backslashreplace"))
    return visible(lenient(rtype, data.to_text()).lower())


def exactly(rtype: str, data: Any) -> str:
    """The canonical form of a value, as a record has it; bytes of a text that are no UTF-8 as surrogates."""
    if rtype == "TXT":
        return b"".join(data.strings).decode("utf-8", "surrogateescape")
    return lenient(rtype, data.to_text())


def server(said: str) -> Any:
    """(address, port) of what the variable says; `none`, or empty for the system's own."""
    if said in {"", "none"}:
        return said
    for host, port in ((said, "53"), (said.rpartition(":")[0], said.rpartition(":")[2])):
        try:
            address = str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]")))
        except ValueError:
            continue
        if port.isdecimal() and 0 < int(port) < 65536:
            return address, int(port)
    raise ReconcilerError(f"{VARIABLE} is {said!r}: write ADDRESS or ADDRESS:PORT with an IP address, or `none`")
