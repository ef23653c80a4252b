"""The people of a tenant: the agency's and its own, their teams, who is here on a day and who has a second factor."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import canonical
from reconciler.findings import Origin
from reconciler.kinds.site import Gone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from reconciler.agency import Agency
    from reconciler.files import Files

ROLES = ("dns_auth", "mailbox_admin", "reset_approver")
ATTESTED_FOR = 365  # days that an attested second factor counts


class People(NamedTuple):
    """Who there is, as of a day (ISO). `persons` and `teams` map ids to what is said of them; one space of ids.

    `places` says of an id in which file it stands, and under which section.
    """

    today: str
    persons: Mapping[str, Mapping[str, Any]]
    teams: Mapping[str, Mapping[str, Any]]
    roles: Mapping[str, Sequence[str]]
    places: Mapping[str, Origin]

    def has_left(self, person: str) -> bool:
        """From the start of `left` on, and after the end of a guest's `until`."""
        said = self.persons.get(person, {})
        return bool(said.get("left", "9999") <= self.today or said.get("until", "9999") < self.today)

    def members(self, name: str) -> tuple[str, ...]:
        """The people that an id stands for: a person, or those of a team. Who has left is still among them."""
        return tuple(self.teams[name].get("members", ())) if name in self.teams else (name,)

    def here(self, name: str) -> tuple[str, ...]:
        """Those of `members` that have not left."""
        return tuple(person for person in self.members(name) if person in self.persons and not self.has_left(person))

    def attested(self, person: str) -> bool:
        """Whether somebody saw a second factor within the last year."""
        since = (date.fromisoformat(self.today) - timedelta(days=ATTESTED_FOR)).isoformat()
        return bool(since <= self.persons.get(person, {}).get("mfa_attested", "") <= self.today)

    def successors(self, person: str) -> Iterator[str]:
        """Who takes over from somebody who has left: the successor, who may have left too, and so on; each once."""
        seen = {person}
        while (following := self.persons.get(person, {}).get("successor")) and following not in seen:
            seen.add(following)
            yield following
            if not self.has_left(following):
                return
            person = following

    def heir(self, person: str) -> str | None:
        """Who owns now what is said to be somebody's: that person, else the first successor who is here."""
        if not self.has_left(person):
            return person
        return next((name for name in self.successors(person) if self.here(name)), None)


def people_of(files: Files, agency: Agency, today: str) -> People:
    """The people a tenant's files may name, on a day (ISO)."""
    own, wide = files.tenant_file, agency.data
    places = {
        name: Origin(file, (section, name))
        for file, data in (("reconciler.yaml", wide), (f"{files.folder}/tenant.yaml", own))
        for section in ("people", "teams")
        for name in data.get(section, {})
    }
    return People(
        today,
        {**wide.get("people", {}), **own.get("people", {})},
        {**wide.get("teams", {}), **own.get("teams", {})},
        {**wide.get("roles", {}), **files.control.get("roles", {})},
        places,
    )


def circles(starts: Iterable[str], following: Callable[[str], str | None]) -> frozenset[str]:
    """Those from whom one gets back to themselves, where each leads to one other at most."""
    done, found = set[str](), set[str]()
    for start in starts:
        trail: list[str] = []
        person: str | None = start
        while person is not None and person not in done:
            done.add(person)
            trail.append(person)
            person = following(person)
        if person in trail:
            found.update(trail[trail.index(person) :])
    return frozenset(found)


def gone_of(files: Files, people: People) -> Gone:
    """Who is gone of those that a tenant's files may name, who follows, and which boxes were theirs.

    Nearly always nobody is: then nothing else is looked at.
    """
    heirs = {person: people.heir(person) for person in people.persons if people.has_left(person)}
    if not heirs:
        return Gone()
    boxes = (
        canonical.address(name, stem)
        for stem, boxes in files.domains.items()
        for name, box in boxes.get("mailboxes", {}).items()
        if box["owner"] in heirs
    )
    return Gone(heirs, frozenset(boxes))
