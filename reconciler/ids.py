"""Whom an id names, and what is said where it names nobody: people and teams, one space of ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import canonical
from reconciler.findings import Origin, Rule, did_you_mean
from reconciler.kinds.site import BAD_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.findings import Finding

UNKNOWN_MEMBER = Rule(
    "IN205",
    "error",
    "Not a person or team that can stand here",
    "Add it to `people` or `teams`, or correct the id.",
    why="After a typo nobody answers for what is owned or approved: a mailbox would have no one to ask.",
)
ONE_PERSON = {
    "owner": "an owner",
    "sponsor": "a sponsor",
    "successor": "a successor",
    "members": "a member of a team",
}  # elsewhere a team can stand as well


class Known(NamedTuple):
    """Whom a file may name. `persons` and `teams` map ids to what is said of them; `where` says where to add one."""

    persons: Mapping[str, Mapping[str, Any]]
    teams: Mapping[str, Mapping[str, Any]]
    where: str

    def judged(self, key: str, value: str, origin: Origin) -> Iterator[Finding]:
        """What is wrong with an id that stands under a key."""
        one = ONE_PERSON.get(key)
        if value in self.persons or (value in self.teams and one is None):
            return
        if value in self.teams:
            yield UNKNOWN_MEMBER.at(
                value, f"`{value}` is a team, and {one} is one person.", origin, fix=self._instead(value)
            )
            return
        who, section = ("person or team", "`people` or `teams`") if one is None else ("person", "`people`")
        what = f"There is no {who} `{value}`.{self._meant(value, teams=one is None)}"
        yield UNKNOWN_MEMBER.at(value, what, origin, fix=f"Add it to {section} in {self.where}, or correct the id.")

    def _instead(self, team: str) -> str:
        members = [name for name in self.teams[team].get("members", ()) if name in self.persons]
        return f"Write the id of a person{f', such as `{members[0]}`' if members else ''}."

    def _meant(self, value: str, *, teams: bool) -> str:
        """` Did you mean …?` for whose name or address it is, if that is one person, else for the nearest id."""
        called = [name for name, said in self.persons.items() if _is_called(value, said)]
        address = canonical.address_in(value)
        if not called and address is not None:
            called = [name for name in self.persons if name == address.partition("@")[0]]
        if len(called) == 1:
            return f" Did you mean `{called[0]}`?"
        return "" if called else did_you_mean(value, {**self.persons, **(self.teams if teams else {})})


def _is_called(value: str, said: Mapping[str, Any]) -> bool:
    """Whether it is a person's name, or the address that is their contact."""
    address = canonical.address_in(value)
    contact = None if address is None else canonical.address_in(said.get("contact", ""))
    return value.casefold() == said.get("name", "").casefold() or (address is not None and contact == address)


def unusable(file: str, data: Mapping[str, Any]) -> Iterator[Finding]:
    """Contacts of a file's `people`, `reset_to` of its `assets`, that look like an address and are none."""
    said = [(("people", who, "contact"), one.get("contact", "")) for who, one in data.get("people", {}).items()]
    assets = enumerate(data.get("assets", ()))
    for path, text in (*said, *((("assets", index, "reset_to"), one.get("reset_to", "")) for index, one in assets)):
        try:
            if "@" in text:
                canonical.check_address(text)
        except ValueError as error:
            yield BAD_NAME.at(text, f"{error}.", Origin(file, path))
