"""An HTTP server before a real one on loopback, for what real ones do seldom: fail, lose an answer, take their time."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Fault:
    """What happens to one request instead of, or besides, its being passed on and answered."""

    before: Callable[[], object] = lambda: None  # done before it is passed on
    passed: bool = True  # the real server gets it
    status: int | None = None  # what is answered; None: what the real server says
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: int | None = None  # so many bytes of the answer's body, then the connection is cut; -1: nothing at all


def says(status: int, body: bytes = b"", **headers: str) -> Fault:
    """An answer of the proxy's own; the real server knows nothing."""
    return Fault(passed=False, status=status, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


CUT_BEFORE = Fault(passed=False, sent=-1)
CUT_AFTER = Fault(sent=-1)


def slow(seconds: float) -> Fault:
    """Passed on and answered, but late."""
    return Fault(before=lambda: time.sleep(seconds))


class Faulty(ThreadingHTTPServer):
    """Passes requests on to `port` inside `with`. A request takes the next fault of its method, if there is one.

    `asked` holds (method, path) of every request as it came in, `clients` is how many connections were made. One that
    `keeps` connections lets them go after some seconds without a request.
    """

    daemon_threads = True

    def __init__(self, port: int, keeps: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port, self.keeps, self.clients = port, keeps, 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked: list[tuple[str, str]] = []
        self.faults: dict[str, list[Fault]] = {}

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: Any) -> None:
        """A client that gave up is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: Faulty
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        self.server.clients += 1
        self.timeout = self.server.keeps or None
        super().setup()

    def _pass_on(self) -> None:
        self.server.asked.append((self.command, self.path))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        faults = self.server.faults.get(self.command, [])
        fault = faults.pop(0) if faults else Fault()
        fault.before()
        status, said = self._real(body) if fault.passed else (200, b"")
        if fault.status is not None:
            status, said = fault.status, fault.body
        self.close_connection = True
        if fault.sent == -1:
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(status)
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(said)))
        self.send_header("Connection", "keep-alive" if self.server.keeps else "close")
        self.end_headers()
        self.wfile.write(said[: fault.sent])

    do_GET = do_PATCH = do_POST = do_PUT = do_DELETE = _pass_on  # noqa: N815 - so http.server calls them

    def _real(self, body: bytes) -> tuple[int, bytes]:
        with closing(HTTPConnection("127.0.0.1", self.server.port, timeout=30)) as connection:
            connection.request(self.command, self.path, body or None, dict(self.headers))
            answer = connection.getresponse()
            return answer.status, answer.read()

    def log_message(self, *_: Any) -> None:
        """Not to stderr."""
