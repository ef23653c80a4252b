"""Mailboxes that get another name: mail and password stay, one change says both names.

`renamed_from` names the mailbox that it was. A revert takes that line back, and the ledger remembers what it said: a
mailbox that Git names again, while the one that took its mail is declared no more, gets its name back. Row by row:

    the old one in the ledger and live, the new name free    rename
    both names are there, or the old one stays declared      error: nothing of either is compared
    the ledger has it under its new name                     nothing to do, a note says that the line may go
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler.findings import Origin, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from reconciler.findings import Finding
    from reconciler.model import Address, Entry, Resource, State
    from reconciler.thing import Outcome, Thing

RENAME = Rule(
    "PL212",
    "error",
    "This rename cannot be made",
    "Name the one it is in the ledger, or take the line out.",
    why="Guessed wrong, somebody gets another person's mailbox, or an empty one while the mail lies under the "
    "old name.",
)
DONE = Rule(
    "PL222",
    "info",
    "Renamed already",
    "Take `renamed_from` out once you would not revert the change any more: a revert then makes a new mailbox.",
    why="As long as the line stands, a revert gives the mailbox its old name back, with its mail.",
)


class Renames(NamedTuple):
    """`was` is {new: old}; `stuck` are addresses that cannot be compared until a person has said what is what."""

    was: Mapping[Address, Address]
    stuck: frozenset[Address]
    findings: tuple[Finding, ...]

    @property
    def left_out(self) -> AbstractSet[Address]:
        """What is not compared by itself."""
        return self.stuck | set(self.was.values())


def renamed(outcome: Outcome, thing: Thing, old: Address) -> Outcome:
    """What comparing a thing under its new name with what is there under the old came to, as one change.

    It is made even where nothing else differs; what drifted stays as it is.
    """
    if any(finding.severity == "error" for finding in outcome.findings):
        return outcome
    entry = outcome.step.entry if outcome.step is not None else thing.base
    change = outcome.change or thing.change(thing.live, entry)
    return outcome._replace(change=change._replace(was=old), step=None)


def renames(state: State, base: Mapping[Address, Entry], there: State, read: AbstractSet[tuple[str, str]]) -> Renames:
    """The renames among what Git declares; what was not read is left out."""
    was: dict[Address, Address] = {}
    stuck: set[Address] = set()
    findings: list[Finding] = []
    said = {address: name for address, resource in state.items() if (name := _said(resource)) is not None}
    left = _left(state, base, said)
    for address, resource in state.items() if said or left else ():
        old = left.get(address, said.get(address)) if said.get(address) not in base else said[address]
        if old is None or (address.provider, resource.domain) not in read:
            continue
        why = _hindrance(address, old, state, base, there)
        if why is None and old in was.values():
            why = f"{old.name} cannot become two."
        if why:
            findings.append(RENAME.at(str(address), why, resource.origin or Origin("")))
            stuck |= {address, old}
        elif address in base:
            findings.append(DONE.at(str(address), f"It was {old.name}.", resource.origin or Origin("")))
        elif old in base:
            was[address] = old
    return Renames(was, frozenset(stuck), tuple(findings))


def _said(resource: Resource) -> Address | None:
    name = resource.attributes.get("renamed_from")
    return None if name is None else resource.address._replace(name=name)


def _left(state: State, base: Mapping[Address, Entry], said: Mapping[Address, Address]) -> dict[Address, Address]:
    """{a name that Git declares and the ledger has no more: the mailbox that took its mail}."""
    names = [(address, line.said["renamed_from"]) for address, line in base.items() if "renamed_from" in line.said]
    found = {address._replace(name=name): address for address, name in names}
    return {
        name: address
        for name, address in found.items()
        if name in state and name not in base and said.get(address) != name
    }


def _hindrance(address: Address, old: Address, state: State, base: Mapping[Address, Entry], there: State) -> str | None:
    """Why a mailbox cannot take the place of another, or None."""
    line = base.get(address)
    if line is not None and line.said.get("renamed_from") == old.name:
        return None
    if old in state:
        return f"{old.name} is still declared; take one step at a time."
    if old not in base:
        known = any(a.kind == old.kind and entry.domain == state[address].domain for a, entry in base.items())
        return None if line is not None or not known else f"{old.name} is not in the ledger."
    if address in there or line is not None:
        return f"{old.name} is in the ledger, and {address.name} is there too."
    return None if old in there else f"{old.name} was removed by hand."
