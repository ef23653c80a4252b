"""A name server in a thread that says what a test tells it, and counts what it was asked."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Answering:
    """Answers on a loopback port inside `with`. `records` maps (name, type) to values; other types of its names are
    empty, other names do not exist. It is silent about the names in `mute` and fails for those in `failing`.

    `asked` holds every question as it came in, (name, type).
    """

    def __init__(
        self,
        records: Mapping[tuple[str, str], Sequence[str]],
        *,
        mute: Sequence[str] = (),
        failing: Sequence[str] = (),
    ) -> None:
        self.records, self.mute, self.failing = records, frozenset(mute), frozenset(failing)
        self.asked: list[tuple[str, str]] = []

    @property
    def address(self) -> str:
        """What RECONCILER_RESOLVER says to have it asked."""
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        while data := self._socket.recvfrom(65535):
            if not data[0]:
                return
            question = dns.message.from_wire(data[0])
            name = question.question[0].name.to_text(omit_final_dot=True).lower()
            self.asked.append((name, dns.rdatatype.to_text(question.question[0].rdtype)))
            if "*" not in self.mute and name not in self.mute:
                self._socket.sendto(self._answer(question, *self.asked[-1]).to_wire(), data[1])

    def _answer(self, question: dns.message.Message, name: str, rtype: str) -> dns.message.Message:
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.RA
        if name in self.failing:
            answer.set_rcode(dns.rcode.SERVFAIL)
            return answer
        for _ in range(8):  # aliases that lead on
            if (name, "CNAME") not in self.records or rtype == "CNAME":
                break
            answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "CNAME", *self.records[name, "CNAME"]))
            name = self.records[name, "CNAME"][0].removesuffix(".")
        if (name, rtype) in self.records:
            values = [_strings(v) if rtype == "TXT" else v for v in self.records[name, rtype]]
            answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", rtype, *values))
        elif not any(known == name or known.endswith(f".{name}") for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer


def _strings(text: str) -> str:
    """A TXT value as its strings (RFC 7208, 3.3): each of them holds 255 octets at most."""
    return " ".join(f'"{text[start : start + 200]}"' for start in range(0, len(text), 200))
