"""What the world answered: plain data that checks read, whoever asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Question = tuple[str, str]  # a name (lower-case A-labels, no dot at its end), and a type of record: ("a.example", "MX")

Server = tuple[str, int]  # a name server: its address or host name, and its port


class Answer(NamedTuple):
    """What DNS said to a question. `values` are canonical, as a record's are, and sorted; only `found` has any.

    `empty`: the name is there and has nothing of that type; `nxdomain`: there is no such name; `failed`: nobody
    answered, or could not. Aliases are followed: the values are those at their end.
    """

    status: Literal["found", "empty", "nxdomain", "failed"]
    values: tuple[str, ...] = ()


Answers = Mapping[Question, Answer]
