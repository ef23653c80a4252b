"""A move of a domain's mail from another server to ours, in stages that nobody can skip (`cutover` in its dns file).

    0  prepare   the mailboxes are made, the MX stays and gets a short TTL, SPF names both servers
    1  move      once the old TTL has run out and the moment has come: the MX, and how programs find their servers
    2  retire    once both sides were watched long enough: the old server leaves SPF, the TTL is the usual one again

What stands in Git is the last stage. The first is declared, the others are due changes: the ledger says which one a
domain has reached, and when, and the next one follows from that, never from Git's line alone.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from reconciler import canonical
from reconciler.changes import Waiting
from reconciler.findings import Origin, Rule
from reconciler.kinds.record import KIND, label, rtype, tag
from reconciler.model import MISSING, Address, Resource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.agency import Agency
    from reconciler.findings import Finding
    from reconciler.kinds.site import Site
    from reconciler.model import Entry, Value

DONE = Rule(
    "PL231",
    "info",
    "The cut-over is done",
    "Take `cutover` out of the dns file.",
    why="The next reader of the file would think that the domain is still on its way.",
)
LATE = Rule(
    "PL232",
    "warning",
    "The MX cannot move at the moment that is set",
    "Set a later moment, or leave it: the plan says when it can be.",
    why="Whoever asked before the TTL was lowered keeps the old answer: their mail would go to a server given up.",
)
NO_SERVER = Rule(
    "IN240",
    "error",
    "A cut-over from a server that is not described",
    "Add an entry with `mx` (and `spf`) for it under `servers`, or correct the name.",
    why="Until the moment of the move the domain's MX and SPF are those of that server.",
)
PREPARE, MOVE, RETIRE = range(3)
_HELD = {"SRV": MOVE}  # how programs find their servers: they would come before the mail does
_TTL, _WATCH = "5 min", "3 days"


class Cutover(NamedTuple):
    """A domain on its way. `mx` and `spf` are the other server's, `ttl` and `watch` in seconds, `at` local time."""

    provider: str
    domain: str
    mx: tuple[str, ...]
    spf: str
    ttl: int
    watch: int
    at: str
    origin: Origin

    @property
    def address(self) -> Address:
        """The MX, whose line in the ledger says how far the domain is."""
        return Address(self.provider, "record", f"MX/{self.domain}")


class Clock(NamedTuple):
    """The time, the moment that is set (None: none is), when the MX was last changed, and the TTL it had before."""

    now: datetime
    at: datetime | None
    since: datetime | None = None
    ttl: int = 0


class Reached(NamedTuple):
    """How far a domain is (-1: not begun), whether the next stage may be made now, and from when on and why not."""

    stage: int
    may: bool
    when: datetime | None
    why: str


def of_site(site: Site, agency: Agency) -> Iterator[Cutover]:
    """The cut-over that a dns file describes; none, after a report, where the other server is not described."""
    said = site.names.get("cutover")
    if said is None or site.dns is None:
        return
    facts = agency.servers.get(said["from"], {})
    if not facts.get("mx"):
        what = f"`{said['from']}` {'has no `mx`' if said['from'] in agency.servers else 'is none'} under `servers`."
        site.report(NO_SERVER.at(said["from"], what, site.at_dns("cutover", "from")))
        return
    yield Cutover(
        site.dns, site.domain, tuple(facts["mx"]), str(facts.get("spf", "")), canonical.seconds(said.get("ttl", _TTL)),
        canonical.seconds(said.get("watch", _WATCH)), said.get("mx", ""), site.at_dns("cutover"),
    )  # fmt: skip


def reached(cut: Cutover, git: Resource, entry: Entry | None, live: Resource | None, clock: Clock) -> Reached:
    """How far a domain is, by what was applied to its MX; one that is there already has nothing to do."""
    new = git.get("values")
    if entry is None or entry.absent:
        arrived = live is not None and live.get("values") == new
        return Reached(RETIRE if arrived else -1, may=False, when=None, why="")
    stage = _stage(cut, entry, git)
    since = clock.since or clock.now
    if stage == PREPARE:
        over = since + timedelta(seconds=clock.ttl)
        if clock.at is None:
            return Reached(stage, may=False, when=None, why="no moment is set for the MX to move (`cutover.mx`)")
        why = "the MX moves then" if clock.at >= over else f"the old TTL of {clock.ttl} s has to run out"
        return Reached(stage, clock.now >= max(clock.at, over), max(clock.at, over), why)
    if stage == MOVE:
        end = since + timedelta(seconds=cut.watch)
        return Reached(stage, clock.now >= end, end, "both servers are watched until then")
    return Reached(stage, may=False, when=None, why="")


def _stage(cut: Cutover, entry: Entry, git: Resource) -> int:
    said, ttl = entry.said.get("values"), entry.said.get("ttl")
    if said == _mx(cut, git).get("values") and ttl == cut.ttl:
        return PREPARE
    if said == git.get("values"):
        return MOVE if ttl == cut.ttl else RETIRE
    return -1


def _mx(cut: Cutover, git: Resource) -> Resource:
    values = KIND.resource(cut.provider, git.address.name, {"values": cut.mx}, domain=cut.domain).get("values")
    return git.having(values=values, ttl=cut.ttl)


def staged(cut: Cutover, git: Resource | None, address: Address, entry: Entry | None, stage: int) -> Resource | None:
    """What a record set of the domain shall be in a stage; what is for later stays as it was applied."""
    type_, name = rtype(address.name), label(address.name)
    until = RETIRE if name == f"_mta-sts.{cut.domain}" else _HELD.get(type_, PREPARE)
    if git is None:
        return None
    if stage < until:
        return (
            None
            if entry is None or entry.absent
            else Resource(address, entry.said, entry.domain, git.tenant, git.origin, keep=entry.keep)
        )
    if address == cut.address:
        if stage == PREPARE:
            return _mx(cut, git)
        usual = git.get("ttl") if "ttl" in git.attributes else git.initial.get("ttl", MISSING)
        return git.having(ttl=cut.ttl if stage == MOVE else usual)
    if address.name == f"TXT/{cut.domain}" and stage < RETIRE and cut.spf:
        return git.having(values=_both(git.get("values"), cut.spf))
    return git


def _both(values: Value, spf: str) -> Value:
    """The SPF value with the other server before its end."""
    term = f"include:{spf}"
    return tuple(sorted(_with(value, term) if tag(value) == "v=spf1" else value for value in values))


def _with(value: str, term: str) -> str:
    words = value.split(" ")
    if term in words:
        return value
    return " ".join([words[0], term, *words[1:]])


def waiting(cut: Cutover, found: Reached) -> Waiting | None:
    """What is still to come, and from when on."""
    if found.stage >= RETIRE or found.may or not found.why:
        return None
    moment = "" if found.when is None else f"{found.when.strftime('%Y-%m-%d %H:%M')}: "
    day = None if found.when is None else found.when.date().isoformat()
    return Waiting(cut.address, "update", day, f"cut-over, {moment}{found.why}")


def check(cut: Cutover, found: Reached, live: Resource | None, clock: Clock) -> Finding | None:
    """That it is done, or that it will be late."""
    if found.stage == RETIRE:
        return DONE.at(str(cut.address), "", cut.origin)
    ttl = live.get("ttl") if live is not None else MISSING
    first = clock.now + timedelta(seconds=ttl if isinstance(ttl, int) else 0)
    if found.stage < PREPARE and clock.at is not None and clock.at < first:
        what = f"Lowered now, its TTL of {ttl} s has run out {first.strftime('%Y-%m-%d %H:%M')}, not {cut.at}."
        return LATE.at(str(cut.address), what, cut.origin)
    return None
