"""A relay before a real DNS server: it counts what is asked over TCP, and can meddle with it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Self

import dns.message
import dns.opcode
import dns.rdatatype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Relay:
    """Hands DNS messages to the server at `target` and its answers back, inside `with`; it listens at `port`.

    `asked` holds every question as (connection, what), such as (1, "AXFR a.example") or (2, "UPDATE a.example").
    `before` is called with `what` before it is handed on. `answer` makes of the next message of an answer (with its
    two bytes of length) what is handed back; after fewer bytes than it was given the connection is closed, and where
    `brief` after each message of an answer.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.asked: list[tuple[int, str]] = []
        self.brief = False
        self.before: Callable[[str], None] = lambda _what: None
        self.answer: Callable[[str, bytes], bytes] = lambda _what, data: data
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)  # closing alone would not wake whoever accepts
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        with suppress(OSError):
            for number in count(1):
                client, _ = self._socket.accept()
                threading.Thread(target=self._carry, args=(client, number), daemon=True).start()

    def _carry(self, client: socket.socket, number: int) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self.target)) as server:
            said: list[str] = []
            back = threading.Thread(target=self._back, args=(server, client, said), daemon=True)
            back.start()
            for frame in frames(client):
                said.append(what(frame))
                self.asked.append((number, said[-1]))
                self.before(said[-1])
                server.sendall(frame)
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            back.join()

    def _back(self, server: socket.socket, client: socket.socket, said: list[str]) -> None:
        with suppress(OSError):
            for frame in frames(server):
                data = self.answer(said[-1], frame)
                client.sendall(data)
                if self.brief or len(data) < len(frame):
                    break
            client.shutdown(socket.SHUT_RDWR)


def frames(connection: socket.socket) -> Iterator[bytes]:
    """The messages that come, each with its length in front (RFC 1035, 4.2.2)."""
    source = connection.makefile("rb")
    with suppress(OSError):
        while head := source.read(2):
            yield head + source.read(int.from_bytes(head, "big"))


def what(frame: bytes) -> str:
    """`AXFR a.example`, `UPDATE a.example`."""
    message = dns.message.from_wire(frame[2:], keyring=False)
    asked = message.question[0]
    update = message.opcode() == dns.opcode.UPDATE
    return f"{'UPDATE' if update else dns.rdatatype.to_text(asked.rdtype)} {asked.name.to_text(omit_final_dot=True)}"
