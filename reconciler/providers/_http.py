"""HTTP APIs as providers ask them: where they answer, one request, and what of it is repeated.

Only what changes nothing is repeated here; whether a write is, its provider decides, after another look. There is no
proxy and no redirect: a key goes to this host and to no other. Connections stay open where the server lets them.
"""

from __future__ import annotations

import json
import re
import select
import time
from collections import deque
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

from reconciler.errors import ProviderError, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from http.client import HTTPConnection, HTTPResponse

    from reconciler.providers._shapes import Problem

PORTS = {"http": 80, "https": 443}
CONNECT, ANSWER = 5.0, 30.0  # seconds: until it listens, and from one byte to the next
MAX_ANSWER = 64 * 2**20  # bytes
PAUSES = (0.2, 0.6)  # seconds before the second and the third try
PATIENCE = 10  # seconds that a server may ask us to wait


class Place(NamedTuple):
    """Where an API answers; `shown` is that without a login and without what follows."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def shown(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def place(url: str) -> Place:
    """`https://mail.example`, `http://[::1]:8080/`. Raises ValueError or LookupError, whose text may quote the URL."""
    target = urlsplit(url)
    port = PORTS[target.scheme] if target.port is None else target.port
    if not port or not target.hostname or target.query or target.fragment:
        raise ValueError("no host, port 0, or something after the path")
    return Place(target.scheme, target.hostname, port, target.path.rstrip("/"))


def problems(settings: Mapping[str, Any], key: str) -> Iterator[Problem]:
    """This setting is the address of an API, where it is text at all."""
    url = settings.get(key)
    try:
        if isinstance(url, str) and place(url).scheme in PORTS:
            return
    except (LookupError, ValueError):
        url = ""
    if isinstance(url, str):
        yield (key,), "must be an address such as http://127.0.0.1:8080 or https://[::1]"


def key_problems(settings: Mapping[str, Any], key: str) -> Iterator[Problem]:
    """This setting can stand in a header, where it is text at all: the libraries quote a header that cannot be."""
    value = settings.get(key)
    if isinstance(value, str) and not (value.isascii() and value.isprintable() and " " not in value):
        yield (key,), "must be visible ASCII characters without blanks; look for a line end in it"


class Answer(NamedTuple):
    """What a server said; `after` is how many seconds it asks us to wait (RFC 9110, 10.2.3)."""

    status: int
    body: bytes
    after: float | None = None

    def wait(self, pause: float | None) -> float | None:
        """How long before the same may be asked again, if it was too much or failed; `pause` where it does not say.

        None: no repeating, or no more.
        """
        if pause is None or (self.status != 429 and self.status < 500):
            return None
        seconds = pause if self.after is None else self.after
        return seconds if seconds <= PATIENCE else None


class Api:
    """The API called `what` at `at`, asked with these headers; by several threads at once, if they like."""

    def __init__(self, name: str, what: str, at: Place, headers: Mapping[str, str]) -> None:
        self._called = f"{name}: {what} at {at.shown}"
        self._at, self._path = at, quote(at.path, safe="/%:@!$&'()*+,;=~")
        self._headers = dict(headers)
        self._idle: deque[HTTPConnection] = deque()

    def __str__(self) -> str:
        return self._called

    def get(self, path: str) -> Answer:
        """Asked again where there is no answer, a failure, or too much was asked. Raises Unreachable."""
        pauses = iter(PAUSES)
        while True:
            pause = next(pauses, None)
            try:
                answer = self._exchange("GET", path, None)
            except Unreachable:
                if pause is None:
                    raise
                time.sleep(pause)
                continue
            wait = answer.wait(pause)
            if wait is None:
                return answer
            time.sleep(wait)

    def send(self, method: str, path: str, data: Any) -> Answer:
        """Once. Raises Unreachable where it was never sent, ProviderError where nobody knows what became of it."""
        return self._exchange(method, path, json.dumps(data))

    def data(self, answer: Answer) -> Any:
        """The JSON of an answer; bytes that are no UTF-8 become surrogates. Raises ProviderError."""
        try:
            return json.loads(answer.body.decode("utf-8", "surrogateescape"))
        except (ValueError, RecursionError):
            raise ProviderError(f"{self} answers {answer.status} with something that is no JSON") from None

    def secret_in(self, text: str) -> bool:
        """Whether what somebody else wrote quotes a header of ours."""
        return any(value in text for value in self._headers.values())

    def close(self) -> None:
        """Let go of the connections; the next request would make new ones."""
        while self._idle:
            self._idle.pop().close()

    def _exchange(self, method: str, path: str, body: str | None) -> Answer:
        from http.client import HTTPException

        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        connection = self._connection()
        try:
            connection.request(method, self._path + path, body, headers)
            answer = _whole(connection.getresponse())
        except (OSError, HTTPException) as error:
            connection.close()
            why = type(error).__name__
        else:
            if connection.sock is not None:
                self._idle.append(connection)
            return answer
        if body is None:
            raise Unreachable(f"{self} does not answer ({why})")
        raise ProviderError(f"{self} gave no answer to a change ({why}); it may have been made, so plan again")

    def _connection(self) -> HTTPConnection:
        """One of those that stayed open, or a new one. Raises Refused and Unreachable."""
        import ssl

        while self._idle:
            try:
                kept = self._idle.pop()
            except IndexError:  # another thread was quicker
                break
            if not _ended(kept):
                return kept
            kept.close()
        connection = self._new()
        try:
            connection.connect()
        except ssl.SSLCertVerificationError:
            why = "shows a certificate that this machine does not trust"
        except (OSError, ValueError) as error:  # a ValueError: no name that could be looked up
            raise Unreachable(f"{self} does not answer ({type(error).__name__})") from None
        else:
            connection.sock.settimeout(ANSWER)
            return connection
        raise Refused(f"{self} {why}; nothing was sent")

    def _new(self) -> HTTPConnection:
        import http.client

        if self._at.scheme == "https":
            return http.client.HTTPSConnection(self._at.host, self._at.port, timeout=CONNECT, context=self._trust)
        return http.client.HTTPConnection(self._at.host, self._at.port, timeout=CONNECT)

    @cached_property
    def _trust(self) -> Any:
        """Whose certificates are trusted: read once, as that takes longer than a request."""
        import ssl

        return ssl.create_default_context()


def _ended(kept: HTTPConnection) -> bool:
    """Whether there is something to read where nobody has asked: the end, as a rule."""
    waiting = select.poll()
    waiting.register(kept.sock, select.POLLIN)
    return bool(waiting.poll(0))


def _whole(reply: HTTPResponse) -> Answer:
    from http.client import HTTPException

    with reply:
        body = reply.read(MAX_ANSWER + 1)
        if len(body) > MAX_ANSWER or reply.length:
            raise HTTPException("an answer beyond all measure, or cut short")
    return Answer(reply.status, body, _seconds(reply.headers.get("Retry-After", "")))


def _seconds(text: str) -> float | None:
    """Whole seconds, or a time (RFC 9110, 10.2.3); None where it is neither."""
    if re.fullmatch("[0-9]{1,9}", text):
        return int(text)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError, TypeError):
        return None
