"""Where mail for one address ends up, as a tree: each step with its place in a file, its owner, and how it ends.

It is followed over tenants: a state is asked for by its tenant when mail gets there, and only then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

from reconciler import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from reconciler.routes import Table

DEEPEST, MOST = 50, 1000  # steps in a row, and in all, that are shown

End = Literal[
    "mailbox", "blocked", "paused", "retired", "passed on", "no such user", "ended", "no mail here", "not applied",
    "inside", "outside", "circle", "shown above", "not followed", "unknown",
]  # fmt: skip


class Place(NamedTuple):
    """What is known of a declared name besides where its mail goes: where it stands, who answers for it, until when.

    `kind` says in a word what it is (mailbox, shared mailbox, alias, forward, catch-all); `targets` are the
    places of single targets, where they are known.
    """

    kind: str
    file: str = ""
    line: int = 0
    owner: str | None = None
    expires: str | None = None
    targets: Mapping[str, tuple[str, int]] = {}


class Known(NamedTuple):
    """One tenant's mail in one state: its names, what is known of each, and the names whose redirect has ended."""

    table: Table
    place: Callable[[str], Place]
    ended: AbstractSet[str] = frozenset()


# Gives, of a domain, the tenant that holds it and its mail, or an end where nothing is known of that; None: nobody's.
Find = Callable[[str], "tuple[str, Known | End] | None"]


class Step(NamedTuple):
    """An address on its way: the declared `name` that answers for it and `how` it comes to, and what becomes of it.

    `file` and `line` are where that name is declared; of what is not, where it is pointed at (empty: nowhere). A
    mailbox that passes copies on ends as a mailbox, and has what comes `next` besides.
    """

    address: str
    end: End
    how: str = ""
    name: str | None = None
    kind: str = ""
    tenant: str | None = None
    owner: str | None = None
    expires: str | None = None
    file: str = ""
    line: int = 0
    next: tuple[Step, ...] = ()


class Traced(NamedTuple):
    """Where mail for an address ends up: by what was applied (`now`, at `applied`), and by the commit (`after`)."""

    address: str
    commit: str
    as_of: str
    tenant: str | None
    applied: str | None
    now: Step
    after: Step
    ledgers: bool = True  # whether this clone has any: else nobody here knows what was applied
    open_runs: tuple[Mapping[str, str], ...] = ()  # of the tenants on the way: at work, or killed
    differing: tuple[str, ...] = ()  # files that were read and that the working tree has otherwise

    @property
    def moves(self) -> bool:
        """Whether mail takes another way afterwards. A line that only moved within its file makes none."""
        return _way(self.now) != _way(self.after)

    @property
    def unknown(self) -> bool:
        """Whether a part of the answer could not be read."""
        return any(step.end == "unknown" for root in (self.now, self.after) for step in steps(root))


def _way(step: Step) -> tuple[object, ...]:
    return step.address, step.end, step.name, step.tenant, tuple(map(_way, step.next))


def steps(step: Step) -> Iterator[Step]:
    """A step and all that comes after it, as it is shown."""
    yield step
    for following in step.next:
        yield from steps(following)


def trace(address: str, find: Find, inside: AbstractSet[str]) -> Step:
    """The way of mail for a canonical address; `inside` are domains outside the estate that count as inside."""
    return _Walk(find, inside).step(address, ("", 0), ())


class _Walk:
    """Each name is shown once with what follows, so that a tree stays as small as what it is about."""

    def __init__(self, find: Find, inside: AbstractSet[str]) -> None:
        self._find, self._inside = find, inside
        self._shown: set[str] = set()
        self._steps = 0

    def step(self, address: str, pointed: tuple[str, int], way: tuple[str, ...]) -> Step:
        self._steps += 1
        host = canonical.domain_of(address)
        holder, known = self._find(host) or (None, "inside" if host in self._inside else "outside")
        bare = Step(address, "unknown", tenant=holder, file=pointed[0], line=pointed[1])
        if isinstance(known, str):
            return bare._replace(end=known)
        answer = known.table.answering(address)
        if answer is not None:
            return self._declared(bare, answer, known, way)
        return bare._replace(end="ended" if address in known.ended else "no such user")

    def _declared(self, bare: Step, answer: tuple[str, str], known: Known, way: tuple[str, ...]) -> Step:
        name, how = answer
        stop, place = known.table.stops[name], known.place(name)
        found = bare._replace(
            name=name, how=how, kind=place.kind, owner=place.owner, expires=place.expires, file=place.file,
            line=place.line, end=_kept(stop.keeps),
        )  # fmt: skip
        if not stop.targets:
            return found
        if name in way:
            return found if stop.keeps else found._replace(end="circle")
        if name in self._shown:
            return found if stop.keeps else found._replace(end="shown above")
        if len(way) >= DEEPEST or self._steps + len(stop.targets) > MOST:
            return found._replace(end="not followed")
        self._shown.add(name)
        unsaid = (place.file, place.line)
        following = (self.step(target, place.targets.get(target, unsaid), (*way, name)) for target in stop.targets)
        return found._replace(next=tuple(following))


def _kept(state: str) -> End:
    return {"": "passed on", "active": "mailbox"}.get(state, state)  # type: ignore[return-value]
