"""Where mail goes: one graph over mailboxes, aliases, alias domains and catch-alls, of any state.

An address is answered by the first that there is of: itself; itself without its plus part (RFC 5233); either of them in
the domain that its alias domain stands for; its domain's catch-all. That is the order in which Postfix asks for virtual
aliases (postconf(5), virtual_alias_maps), and a mailbox answers for itself there. A mailbox that keeps a copy is given
its mail once, however often it is come back to, so only what keeps nothing can go in a circle.

Nothing here calls itself: a chain of aliases may be longer than Python's stack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from reconciler import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from reconciler.model import Address, Value

How = Literal["", "plus address", "alias domain", "catch-all"]


class Stop(NamedTuple):
    """What becomes of mail for one declared name: where it goes on to, and how it is kept here.

    `keeps` is the state of the mailbox in which a copy stays: active, blocked, paused (then it is refused), retired;
    empty: nothing stays.
    """

    targets: tuple[str, ...] = ()
    keeps: str = ""


class Table(NamedTuple):
    """The names that are declared, and the domains whose mail is taken: {domain: the one it is an alias of}."""

    stops: Mapping[str, Stop]
    domains: Mapping[str, str | None]

    def answering(self, address: str) -> tuple[str, How] | None:
        """The name that answers for an address, and how it comes to; None where nobody does."""
        if address in self.stops:
            return address, ""
        local, _, host = address.rpartition("@")
        original = self.domains.get(host)
        base = canonical.base_address(address)
        forms: list[tuple[str, How]] = [(base, "plus address")]
        if original:
            forms += [(f"{form.rpartition('@')[0]}@{original}", "alias domain") for form in (address, base)]
        elif local:
            forms.append((f"@{host}", "catch-all"))
        return next(((name, how) for name, how in forms if name in self.stops), None)


class Verdict(NamedTuple):
    """What mail for a name comes to: over how many steps at most, in how many copies.

    `read`: somebody gets it; `kept`: it arrives where nobody looks; `outside`: an address outside that it reaches, and
    `by` which next name (empty: it is a target itself).
    """

    hops: int = 0
    copies: int = 1
    read: bool = False
    kept: bool = False
    outside: str = ""
    by: str = ""


class Judged(NamedTuple):
    """`steps` {name that passes mail on: the names that answer for its targets}, `verdicts` of each name that ends
    somewhere, `endless`: the names from which mail comes into a circle.
    """

    steps: Mapping[str, Sequence[str]]
    verdicts: Mapping[str, Verdict]
    endless: frozenset[str]


REFUSED = Verdict()
SOMEBODY = Verdict(read=True)  # whoever it is: of another tenant, of a domain that counts as inside, outside
_NOBODY = Verdict(kept=True)
_KEPT = {"active": SOMEBODY, "blocked": _NOBODY, "retired": _NOBODY, "paused": REFUSED, "": SOMEBODY}


def table(things: Iterable[tuple[Address, Mapping[str, Value]]]) -> Table:
    """The names and domains among some things, desired or in a ledger. An alias may take a retired mailbox's name."""
    stops: dict[str, Stop] = {}
    domains: dict[str, str | None] = {}
    for (_, kind, name), said in things:
        if kind == "alias":
            stops[name] = Stop(tuple(said["to"]))
        elif kind == "mailbox":
            stops.setdefault(name, _mailbox(said))
        elif kind == "domain":
            domains[name] = said.get("alias_of")
    return Table(stops, domains)


def _mailbox(said: Mapping[str, Value]) -> Stop:
    state = said.get("state", "active")
    if state == "paused":
        return Stop((), state)
    copies = tuple(said.get("copies_to", ()))
    return Stop(copies, state if said.get("keep_copy", True) or not copies else "")


def merged(tables: Iterable[Table]) -> Table:
    """Several tenants' tables as one: no domain is in two."""
    stops: dict[str, Stop] = {}
    domains: dict[str, str | None] = {}
    for one in tables:
        stops |= one.stops
        domains |= one.domains
    return Table(stops, domains)


def judge(among: Table, outside: Callable[[str], bool]) -> Judged:
    """What mail for each name that passes it on comes to. `outside` says of a domain whether it is nobody's here."""
    steps: dict[str, list[str]] = {}
    ends: dict[str, list[Verdict]] = {}
    for name, stop in among.stops.items():
        if not stop.targets:
            continue
        steps[name], ends[name] = [], [_KEPT[stop.keeps]] if stop.keeps else []
        for target in stop.targets:
            answer = among.answering(target)
            if answer is not None and among.stops[answer[0]].targets:
                steps[name].append(answer[0])
            else:
                ends[name].append(_end(target, answer and among.stops[answer[0]], among, outside))
    keeping = {name for name in steps if among.stops[name].keeps}
    order, endless = _in_order(steps, keeping)
    verdicts: dict[str, Verdict] = {}
    for name in order:
        verdicts[name] = _together(ends[name], {step: verdicts[step] for step in steps[name] if step in verdicts})
    return Judged(steps, verdicts, endless)


def _end(target: str, stop: Stop | None, among: Table, outside: Callable[[str], bool]) -> Verdict:
    """Of a target that passes nothing on. One that nobody declares is a finding of its own, and no dead end besides."""
    if stop is not None:
        return _KEPT[stop.keeps]  # nothing kept nor passed on: its targets are no addresses, a finding of their own
    host = canonical.domain_of(target)
    away = host not in among.domains and outside(host)
    return SOMEBODY._replace(outside=target) if away else SOMEBODY


def _together(ends: Sequence[Verdict], further: Mapping[str, Verdict]) -> Verdict:
    """What several come to: those that end here, and those of names that mail is passed on to."""
    if ends and not further and ends.count(SOMEBODY) == len(ends):  # as nearly everywhere
        return Verdict(hops=1, copies=len(ends), read=True)
    parts = [*ends, *further.values()]
    outside = next((end.outside for end in ends if end.outside), "")
    by = "" if outside else next((name for name, one in further.items() if one.outside), "")
    return Verdict(
        hops=1 + max([part.hops for part in parts], default=0),
        copies=sum([part.copies for part in parts]),
        read=True in [part.read for part in parts],
        kept=True in [part.kept for part in parts],
        outside=further[by].outside if by else outside,
        by=by,
    )


def _in_order(steps: Mapping[str, Sequence[str]], keeping: AbstractSet[str]) -> tuple[list[str], frozenset[str]]:
    """Each name after those it passes mail on to, and the rest: those from which it never ends."""
    if not any(steps.values()):
        return list(steps), frozenset()  # as nearly everywhere: no alias leads to another
    order = _ended(steps, steps.keys())
    rest = steps.keys() - set(order)
    if rest & keeping:
        order += _ended({name: () if name in keeping else steps[name] for name in rest}, rest)
    return order, frozenset(steps.keys() - set(order))


def _ended(steps: Mapping[str, Sequence[str]], among: AbstractSet[str]) -> list[str]:
    users: dict[str, list[str]] = {}
    waiting = {name: sum(to in among for to in tos) for name, tos in steps.items()}
    for name, tos in steps.items():
        for to in tos:
            users.setdefault(to, []).append(name)
    ended = [name for name, count in waiting.items() if count == 0]
    for name in ended:
        for user in users.get(name, ()):
            waiting[user] -= 1
            if waiting[user] == 0:
                ended.append(user)
    return ended


def comes_back(start: str, steps: Mapping[str, Sequence[str]]) -> bool:
    """Whether mail for a name comes to it again."""
    seen: set[str] = set()
    todo = list(steps[start])
    while todo:
        name = todo.pop()
        if name == start:
            return True
        if name not in seen:
            seen.add(name)
            todo += steps.get(name, ())
    return False


def way_out(start: str, judged: Judged) -> list[str]:
    """The names over which mail gets from one to an address outside, that address the last; empty: it does not."""
    found = judged.verdicts.get(start, REFUSED)
    way = []
    while found.by:
        way.append(found.by)
        found = judged.verdicts[found.by]
    return [*way, found.outside] if found.outside else []
