"""Dovecot's auth service over its socket: whether a login would find anything, asked as `doveadm auth lookup` does.

Dovecot's authentication protocol for masters, version 1: a PASS request runs the same query as a login, asks for no
password and is answered without the stored one.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from reconciler.answers import Login

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TIMEOUT = 10.0  # seconds for all of it
MAX_ANSWER = 64 * 2**10  # bytes
_ESCAPED = str.maketrans({"\1": "\1" + "1", "\t": "\1t", "\r": "\1r", "\n": "\1n", "\0": "\1" + "0"})


def lookup(path: str, names: Sequence[str]) -> dict[str, Login]:
    """Whether a login is refused to each of these mailboxes, by whoever answers at the socket `path`."""
    try:
        found = dict(_answers(path, names))
    except (OSError, ValueError) as error:
        return dict.fromkeys(names, Login(problem=f"Dovecot's auth service gives no answer ({type(error).__name__})"))
    return {name: found.get(str(number), Login(problem="Dovecot cannot say")) for number, name in enumerate(names, 1)}


def _answers(path: str, names: Sequence[str]) -> Iterator[tuple[str, Login]]:
    """(number of the name, what is said of it). Raises OSError and ValueError where nobody answers in this protocol."""
    lines = [f"PASS\t{number}\t{name.translate(_ESCAPED)}\tservice=imap" for number, name in enumerate(names, 1)]
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(TIMEOUT)
        client.connect(path)
        client.sendall("\n".join(["VERSION\t1\t0", *lines, ""]).encode("utf-8", "surrogateescape"))
        for line in _lines(client, len(names)):
            word, number, *fields = [*line.split("\t"), ""]
            if word == "VERSION" and number != "1":
                raise ValueError("another version of the protocol")
            if word in {"PASS", "NOTFOUND"}:
                # `nologin` lets nobody in, but where a `host` is named the client is sent there.
                said = {field.partition("=")[0] for field in fields}
                yield number, Login(refused=word == "NOTFOUND" or ("nologin" in said and "host" not in said))


def _lines(client: socket.socket, answers: int) -> Iterator[str]:
    """Line by line, until there were so many answers (NOTFOUND, PASS, FAIL) or nothing more comes."""
    end, data, begun = time.monotonic() + TIMEOUT, b"", 0
    while answers > 0 and begun < MAX_ANSWER:
        client.settimeout(max(end - time.monotonic(), 0.001))
        part = client.recv(4096)
        if not part:
            return
        begun += len(part)
        *whole, data = (data + part).split(b"\n")
        answers -= sum(line.partition(b"\t")[0] in {b"PASS", b"NOTFOUND", b"FAIL"} for line in whole)
        yield from (line.decode("utf-8", "replace") for line in whole)
