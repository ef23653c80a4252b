"""Checks over where mail ends, once all aliases are followed: circles, dead ends, long ways, too many recipients.

What is wrong further on is said there, once, and not again by each alias that leads to it. A name that points into
another tenant is judged with that tenant's names at hand, by `across`; here whatever is another's counts as somebody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import canonical, routes
from reconciler.checks.pointing import Places
from reconciler.findings import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from reconciler.agency import Agency
    from reconciler.compile import Compiled
    from reconciler.files import Files
    from reconciler.findings import Finding, Origin
    from reconciler.routes import Judged, Verdict

HOPS, MANY, LIMIT = 5, 50, 1000  # LIMIT: Postfix, virtual_alias_expansion_limit
SHOWN = 20  # circles: a hostile file could hold thousands

CIRCLE = Rule(
    "RT006",
    "error",
    "An alias goes in a circle",
    "Let it end at a mailbox or at an address outside.",
    why="Mail that comes back to where it was is sent round until a limit is reached, and then delivered to nobody.",
)
DEAD_END = Rule(
    "RT012",
    "warning",
    "All of its mail is refused further on",
    "Give it a target that takes mail, or take it out.",
    why="It accepts mail and every message comes back as an error, to a sender who was promised delivery.",
)
UNREAD = Rule(
    "RT013",
    "warning",
    "Nobody reads what it gets",
    "Give it a target that somebody reads, or take it out.",
    why="Mail to it arrives without an error, where nobody can log in: whoever writes waits for an answer in vain.",
    dated=True,
)
LONG_WAY = Rule(
    "RT014",
    "warning",
    "A long way to the mailbox",
    "Let it point to the end directly.",
    why="Nobody sees any more who gets mail that passes through many aliases, nor what a change of one of them does.",
)
MANY_COPIES = Rule(
    "RT015",
    "warning",
    "One message becomes very many",
    "Use a mailing list, or a shared mailbox.",
    why="Each message to it, spam too, is multiplied, and so is the harm when somebody outside learns its name.",
)
TOO_MANY = Rule(
    "RT016",
    "error",
    "More recipients than a mail server expands",
    "Use a mailing list, or a shared mailbox.",
    why="Postfix puts mail off whose recipient becomes more than 1,000 (virtual_alias_expansion_limit), and in the end"
    " nobody gets it.",
)
CATCHES_OUT = Rule(
    "RT030",
    "error",
    "A catch-all leads outside",
    "Let it end at a mailbox here, and forward single names instead.",
    why="All that is sent to names nobody has, nearly all of it spam, would leave in this domain's name and ruin its"
    " reputation; and mail with a typing error in its address would be given away.",
)


def check(files: Files, compiled: Compiled, agency: Agency, domains: Mapping[str, str]) -> Iterator[Finding]:
    """Every finding of this theme. `domains` says which tenant each domain of the estate belongs to."""
    mine = routes.table((address, resource.attributes) for address, resource in compiled.state.items())
    judged = routes.judge(mine, outside(domains, agency.inside, compiled.elsewhere))
    named = {a.name: r for a, r in compiled.state.items() if a.kind in {"mailbox", "alias"}} if judged.steps else {}
    where = Places(files)
    places = {name: where.redirect(named[name]) for name in judged.steps}
    yield from _circles(judged, places)
    yield from _silent(compiled)
    for name, verdict in judged.verdicts.items():
        if not crosses(mine.stops[name].targets, compiled.tenant, domains):
            further = [judged.verdicts[step] for step in judged.steps[name] if step in judged.verdicts]
            yield from ends(name, verdict, further, places[name])
            if name.startswith("@") and verdict.outside:
                yield CATCHES_OUT.at(name, way_out(name, judged), places[name])


def _silent(compiled: Compiled) -> Iterator[Finding]:
    """Shared mailboxes none of whose members can log in now; that all of them leave is a finding of its own."""
    boxes = [resource for address, resource in compiled.state.items() if address.kind == "mailbox"]
    shared = [box for box in boxes if box.get("members")]
    closed = {box.address.name for box in boxes if box.get("state") != "active"} if shared else set()
    for box in shared:
        members = box.get("members")
        if closed.issuperset(members) and not compiled.gone.boxes.issuperset(members) and box.origin is not None:
            yield UNREAD.at(box.address.name, "None of its members can log in.", box.origin)


def outside(domains: Mapping[str, str], inside: AbstractSet[str], elsewhere: AbstractSet[str]) -> Callable[[str], bool]:
    """Says whether a domain's mail is nobody's here: not in the estate, or among those whose mail goes elsewhere."""
    return lambda host: (host not in domains or host in elsewhere) and host not in inside


def ends(name: str, mine: Verdict, further: Sequence[Verdict], origin: Origin) -> Iterator[Finding]:
    """What is wrong with where mail for a name ends, unless it is so for one of `further`, to which it is passed on."""
    if not mine.read and all(one.read for one in further):
        if mine.kept:
            yield UNREAD.at(name, "All that it leads to are mailboxes that nobody can log in to.", origin)
        else:
            yield DEAD_END.at(name, f"{_each(mine.copies)} paused.", origin)
    if mine.hops <= HOPS and mine.copies <= MANY:
        return
    if _first(mine.hops, HOPS, [one.hops for one in further]):
        yield LONG_WAY.at(name, f"Mail for it is passed on {mine.hops} times, more than {HOPS}.", origin)
    copies = [one.copies for one in further]
    if _first(mine.copies, LIMIT, copies):
        yield TOO_MANY.at(name, f"It comes to {mine.copies} recipients; {LIMIT} is the limit.", origin)
    elif _first(mine.copies, MANY, copies):
        yield MANY_COPIES.at(name, f"It comes to {mine.copies} recipients, more than {MANY}.", origin)


def _each(copies: int) -> str:
    return "The mailbox it leads to is" if copies == 1 else f"All {copies} mailboxes it leads to are"


def _first(number: int, most: int, further: Sequence[int]) -> bool:
    """Whether a number is too large here, and not already further on."""
    return number > most and all(one <= most for one in further)


def way_out(name: str, judged: Judged) -> str:
    """How mail for a name gets outside."""
    *way, end = routes.way_out(name, judged)
    return f"It leads to {end}" + (f" by way of {', '.join(way)}." if way else ".")


def _circles(judged: Judged, places: Mapping[str, Origin]) -> Iterator[Finding]:
    """The first names from which mail comes back to them, and who is forwarded to themselves."""
    suspects = [name for name in judged.steps if name in judged.endless]
    for name in suspects[:SHOWN]:
        if routes.comes_back(name, judged.steps):
            yield CIRCLE.at(name, f"{name} leads to itself.", places[name])
    for name in judged.verdicts:
        if name in judged.steps[name]:
            yield CIRCLE.at(name, f"{name} is forwarded to itself.", places[name])


def crosses(targets: Sequence[str], tenant: str, domains: Mapping[str, str]) -> bool:
    """Whether any of some targets is another tenant's."""
    return any(domains.get(canonical.domain_of(target), tenant) != tenant for target in targets)
