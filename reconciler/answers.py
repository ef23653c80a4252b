"""What the world answered: plain data that checks read, whoever asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Question = tuple[str, str]  # a name (lower-case A-labels, no dot at its end), and a type of record: ("a.example", "MX")
POLICY = "MTA-STS"  # in the place of a type: the policy that the host of this name serves (RFC 8461, 3.3)

Server = tuple[str, int]  # a name server: its address or host name, and its port


class Answer(NamedTuple):
    """What DNS said to a question. `values` are canonical, as a record's are, and sorted; only `found` has any.

    `empty`: the name is there and has nothing of that type; `nxdomain`: there is no such name; `failed`: nobody
    answered, or could not. Aliases are followed: the values are those at their end. Of a policy the value is its text,
    and where there is none `why` says what came in its place.
    """

    status: Literal["found", "empty", "nxdomain", "failed"]
    values: tuple[str, ...] = ()
    why: str = ""


Answers = Mapping[Question, Answer]


class Hearsay(NamedTuple):
    """What a recursive resolver said to a question. `broken` says why where it answered SERVFAIL (RFC 8914).

    `secure`: it found the DNSSEC chain whole (AD); `ttl`: the seconds for which it may say the same again. `overdue`:
    it still says something else after the time for which a cache may.
    """

    answer: Answer
    secure: bool = False
    ttl: int = 0
    broken: str = ""
    overdue: bool = False


class Seal(NamedTuple):
    """What becomes of one DKIM signature: whether it holds, and why not, or why that cannot be said."""

    status: Literal["pass", "fail", "unknown"]
    why: str = ""


class Arrival(NamedTuple):
    """What became of a message that was sent to be looked at: its header fields of these names, once it came.

    `message` is all of it, where it is not too long, and `seals` what its signatures are worth, by selector. `problem`:
    why nothing can be said, for it could not be sent, or not be looked for.
    """

    came: bool = False
    signatures: tuple[str, ...] = ()  # DKIM-Signature (RFC 6376)
    results: tuple[str, ...] = ()  # Authentication-Results (RFC 8601)
    problem: str = ""
    message: bytes = b""
    seals: Mapping[str, Seal] = {}


class Login(NamedTuple):
    """Whether a mail server refuses a login to a mailbox, whatever the password. `problem`: why that cannot be said."""

    refused: bool = False
    problem: str = ""
