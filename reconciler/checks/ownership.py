"""Checks over who owns what: nothing is nobody's, guests have a sponsor, owners can be reached.

What somebody owns who has left is the successor's (`kinds`): here stands what that does not cover. A day on which
somebody leaves is judged when it is written, so that the commit says who takes over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import canonical
from reconciler.findings import Origin, Rule
from reconciler.people import circles

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from reconciler.files import Files
    from reconciler.findings import Finding
    from reconciler.people import People

ORPHANED = Rule(
    "OW001",
    "error",
    "Leaves, and nobody takes over",
    "Add `successor: ID` to this person, somebody who is still here; or write another owner where they are named.",
    why="What nobody owns, nobody answers for: no one may reset it, and no one notices when it is abused.",
    dated=True,
)
GUEST_OVER = Rule(
    "OW002",
    "warning",
    "A guest's time is over",
    "Write a later `until` if they are still needed; else write `left`, or take the person out.",
    why="From that day on a guest is treated as one who left: boxes are blocked, memberships and forwards end.",
    dated=True,
)
SPONSOR_LEFT = Rule(
    "OW003",
    "warning",
    "A guest's sponsor has left",
    "Name another `sponsor`, or end the guest's time with `until`.",
    why="A guest stays as long as somebody answers for it. Nobody does any more, so nobody will end it either.",
    dated=True,
)
NO_SPONSOR = Rule(
    "OW004",
    "warning",
    "A guest without a sponsor",
    "Add `sponsor: ID`, a person who stays and answers for this guest.",
    why="Contractors come and go with a project; who knows that it is over is the person who asked for them.",
)
LAST_MEMBER = Rule(
    "OW005",
    "error",
    "A shared mailbox loses its last member",
    "Add a member who stays; until then the last ones stay in.",
    why="A shared mailbox without members takes mail that nobody can read.",
    dated=True,
)
NO_CONTACT = Rule(
    "OW006",
    "warning",
    "An owner who cannot be reached without the mailbox",
    "Add `contact`: a phone number, or an address outside the estate.",
    why="Who is locked out of a mailbox is called, not mailed: without a contact anybody can claim to be its owner.",
)
NO_END = Rule(
    "OW015",
    "warning",
    "A guest without a last day",
    "Add `until`, the last day of their work; it can be put off in time.",
    why="A project ends and nobody thinks of its mailboxes and forwards: what has no end is still open years later.",
)


def check(files: Files, people: People) -> Iterator[Finding]:
    """Every finding of this theme. The agency's own people are judged as far as this tenant depends on them."""
    yield from guests(files.tenant_file.get("people", {}), people)
    yield from _unreachable(files, people)
    leaving = leavers(people)
    if leaving:
        yield from _orphans(files, people, leaving)
        yield from _last_members(files, leaving)


def leavers(people: People) -> dict[str, str]:
    """{person: the first day on which they are gone, or a guest's last}: whoever has `left`, and whose time is over."""
    return {
        name: said["left"] if "left" in said else said["until"]
        for name, said in people.persons.items()
        if "left" in said or people.has_left(name)
    }


def guests(persons: Collection[str], people: People) -> Iterator[Finding]:
    """What is wrong with the guests among some people."""
    mutual = circles(persons, lambda name: people.persons[name].get("sponsor") if name in people.persons else None)
    for name in persons:
        said, place = people.persons[name], people.places[name]
        if "left" in said or not said.keys() & {"until", "sponsor"}:
            continue
        sponsor = said.get("sponsor", name)
        if people.has_left(name):
            what = f"{name} was a guest until {said['until']}."
            yield GUEST_OVER.at(name, what, _under(place, "until"))
        elif sponsor == name:
            yield NO_SPONSOR.at(name, f"{name} is a guest until {said.get('until', 'nobody knows when')}.", place)
        elif people.has_left(sponsor):
            yield SPONSOR_LEFT.at(name, f"{sponsor} has left.", _under(place, "sponsor"))
        elif name in mutual:
            what = f"{name} answers in the end for {sponsor}, who answers for {name}: none of them is here for good."
            yield NO_SPONSOR.at(name, what, _under(place, "sponsor"))
        elif "until" not in said:
            yield NO_END.at(name, f"{sponsor} answers for {name}, and no day is written.", place)


def _under(origin: Origin, key: str) -> Origin:
    return origin._replace(path=(*origin.path, key))


def owned(files: Files) -> Iterator[tuple[str, str]]:
    """(address or domain, its owner as declared) of what goes on when its owner leaves: all but forwards."""
    for stem, said in files.domains.items():
        yield stem, said["owner"]
        for section in ("mailboxes", "shared", "aliases"):
            for name, thing in said.get(section, {}).items():
                if type(thing) is dict and "owner" in thing:
                    yield canonical.address(name, stem), thing["owner"]
        if "catch_all" in said:
            yield f"@{stem}", said["catch_all"]["owner"]


def _orphans(files: Files, people: People, leaving: Mapping[str, str]) -> Iterator[Finding]:
    """What somebody has (by now) who goes, with nobody who is here then to take over: at that person's line.

    A successor who is nobody is an error of input (IN205), and said there.
    """
    then = {name: people._replace(today=max(people.today, day)) for name, day in leaving.items()}
    alone = {name for name, on in then.items() if not any(_follows(heir, on) for heir in on.successors(name))}
    theirs: dict[str, list[str]] = {}
    for name, owner in owned(files) if alone else ():
        holder = then[owner].heir(owner) or owner if owner in leaving else owner
        if holder in alone:
            theirs.setdefault(holder, []).append(name)
    for person, names in theirs.items():
        place, said = people.places[person], people.persons[person]
        what = f"{person} ({_when(person, leaving, people)}) owns {_few(names)}"
        if "successor" in said:
            what = f"{what}, and {said['successor']} is not here to take over"
            place = _under(place, "successor")
        yield ORPHANED.at(person, f"{what}.", place)


def _follows(heir: str, people: People) -> bool:
    return bool(people.here(heir)) or heir not in people.persons


def _when(person: str, leaving: Mapping[str, str], people: People) -> str:
    kind = "left" if "left" in people.persons[person] else "until"
    return f"{kind}: {leaving[person]}"


def _few(names: list[str]) -> str:
    """The first three, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(sorted(names)[:3])}{more}"


def _last_members(files: Files, leaving: Mapping[str, str]) -> Iterator[Finding]:
    boxes = {
        canonical.address(name, stem): box["owner"]
        for stem, said in files.domains.items()
        for name, box in said.get("mailboxes", {}).items()
        if box["owner"] in leaving
    }
    for stem, said in files.domains.items() if boxes else ():
        for name, shared in said.get("shared", {}).items():
            members = [canonical.base_address(canonical.address(member, stem)) for member in shared["members"]]
            if all(member in boxes for member in members):
                who = ", ".join(sorted({f"{boxes[member]} ({leaving[boxes[member]]})" for member in members}))
                origin = Origin(f"{files.folder}/domains/{stem}.yaml", ("shared", name, "members"))
                yield LAST_MEMBER.at(canonical.address(name, stem), f"All its members leave: {who}.", origin)


def _unreachable(files: Files, people: People) -> Iterator[Finding]:
    silent = {name for name, said in people.persons.items() if "contact" not in said}
    boxes: dict[str, list[str]] = {}
    for stem, said in files.domains.items() if silent else ():
        for name, box in said.get("mailboxes", {}).items():
            if box["owner"] in silent and not people.has_left(box["owner"]):
                boxes.setdefault(box["owner"], []).append(canonical.address(name, stem))
    for person, names in boxes.items():
        yield NO_CONTACT.at(person, f"{person} owns {_few(names)} and has no `contact`.", people.places[person])
