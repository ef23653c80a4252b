"""Letters, and the rest of the world they go to."""

from __future__ import annotations

import socketserver
from contextlib import suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import NamedTuple

from tests.servers import free_port


class Letter(NamedTuple):
    """What left for the outside: envelope and message."""

    sender: str
    recipient: str
    raw: bytes


class Sink(socketserver.ThreadingTCPServer):
    """All the world's other mail servers: takes every message (RFC 5321) and keeps it in `letters`."""

    daemon_threads = True

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        super().__init__(("127.0.0.1", free_port()), _SinkSession)

    def to(self, recipient: str) -> list[EmailMessage]:
        return [parsed(letter.raw) for letter in self.letters if letter.recipient == recipient]


class _SinkSession(socketserver.StreamRequestHandler):
    server: Sink

    def handle(self) -> None:
        with suppress(ConnectionError):  # Postfix keeps connections for later and is stopped in between
            self._talk()

    def _talk(self) -> None:
        self.wfile.write(b"220 sink\r\n")
        sender, recipients = "", list[str]()
        for line in self.rfile:
            verb, _, rest = line.decode().strip().partition(":")
            path = rest.strip().partition(">")[0].removeprefix("<")
            if verb.upper() == "MAIL FROM":
                sender, recipients = path, []
            elif verb.upper() == "RCPT TO":
                recipients.append(path)
            elif verb.upper() == "DATA":
                self.wfile.write(b"354 go on\r\n")
                raw = self._data()
                self.server.letters += [Letter(sender, recipient, raw) for recipient in recipients]
            self.wfile.write(b"221 bye\r\n" if verb.upper() == "QUIT" else b"250 ok\r\n")

    def _data(self) -> bytes:
        lines = iter(self.rfile.readline, b".\r\n")
        return b"".join(line.removeprefix(b".") for line in lines)


def parsed(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def letter(subject: str = "hello", body: str = "Hi.", **headers: str) -> EmailMessage:
    """A message to send; `From` and `To` may be given as `sender=` and `to=`."""
    message = EmailMessage()
    message["From"] = headers.get("sender", "someone@outside.test")
    message["To"] = headers.get("to", "you@inside.test")
    message["Subject"] = subject
    message.set_content(body)
    return message
