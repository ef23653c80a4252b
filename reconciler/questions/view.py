"""What a question looks at: one tenant's documents and desired state, its people, the agency. And the parts of answers
that several share: a person, who holds a role, where something stands.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.findings import Origin
from reconciler.people import people_of
from reconciler.resets import Graph, reset_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from reconciler.agency import Agency
    from reconciler.compile import Compiled
    from reconciler.files import Files
    from reconciler.model import Address, Resource, Value
    from reconciler.people import People

Data = dict[str, Any]
CHANGED_BY = (("mailbox_admin", "domains"), ("dns_auth", "dns"))


class View:
    """One tenant on a day (ISO). `domains` says which tenant each domain belongs to, `place` looks up a line."""

    def __init__(
        self, files: Files, compiled: Compiled, agency: Agency, domains: Mapping[str, str], today: str,
        place: Callable[[Origin], Origin],
    ) -> None:  # fmt: skip
        self.files, self.compiled, self.agency, self.domains, self.today = files, compiled, agency, domains, today
        self._place = place

    @cached_property
    def people(self) -> People:
        return people_of(self.files, self.agency, self.today)

    @cached_property
    def graph(self) -> Graph:
        return Graph(self.files, self.compiled.state, self.people, self.agency, self.domains)

    @cached_property
    def named(self) -> dict[str, Resource]:
        """{address: the mailbox or alias that it is}."""
        return {a.name: r for a, r in self.compiled.state.items() if a.kind in {"mailbox", "alias"}}

    @cached_property
    def twins(self) -> dict[str, str]:
        """{alias domain: the domain whose addresses answer there too}."""
        found = ((a.name, r.get("alias_of")) for a, r in self.compiled.state.items() if a.kind == "domain")
        return {name: twin for name, twin in found if twin}

    @cached_property
    def forwards(self) -> dict[str, Mapping[str, Any]]:
        """{address: what its domain's file says of the forward under that name}."""
        return {
            canonical.address(name, domain): said
            for domain, files in self.files.domains.items()
            for name, said in files.get("forwards", {}).items()
        }

    @property
    def assets(self) -> Sequence[Mapping[str, Any]]:
        return self.files.tenant_file.get("assets", ())  # type: ignore[no-any-return]

    def tenant(self) -> Data | None:
        """Whose it is; None for the agency's own."""
        if not self.files.tenant:
            return None
        return {"id": self.files.tenant, "name": self.files.tenant_file.get("name")}

    def place(self, origin: Origin | None) -> Data | None:
        """Where something stands: file and line."""
        if origin is None or not origin.file:
            return None
        found = self._place(origin)
        return {"file": found.file, "line": found.line}

    def person(self, name: str | None) -> Data | None:
        """Somebody, as every answer names them. `here`: not left; `heir`: who has taken over from them."""
        if name is None:
            return None
        said = self.people.persons.get(name, {})
        here = name in self.people.persons and not self.people.has_left(name)
        heir = None if here or name not in self.people.persons else self.people.heir(name)
        return {"id": name, "name": said.get("name"), "contact": said.get("contact"), "here": here, "heir": heir}

    def holders(self, role: str) -> list[Data]:
        """Who holds a role: people by name, teams with their members who are here."""
        return [self.holder(name) for name in self.people.roles.get(role, ())]

    def holder(self, name: str) -> Data:
        """A person or a team, with the people it stands for."""
        team = name if name in self.people.teams else None
        return {"team": team, "people": [self.person(member) for member in self.people.members(name)]}

    def may_change(self, domain: str, sides: Sequence[str] = ("domains", "dns")) -> list[Data]:
        """Who approves a change to the files of a domain, by path."""
        return [
            {"path": f"{self.files.folder}/{side}/{domain}.yaml", "role": role, "holders": self.holders(role)}
            for role, side in CHANGED_BY
            if side in sides
        ]

    def reset_path(self, person: str | None) -> list[Data]:
        """Where the reset of a person arrives, step by step: their contact, then that of who owns that mailbox.

        A telephone number is a step without addresses. `trouble` is empty where nothing is wrong.
        """
        if person is None or person not in self.people.persons:
            return []
        contact = self.people.persons[person].get("contact")
        address = self.graph.contact(person)
        if contact is None or address is None:
            return [{"to": contact, "arrives_in": [], "owner": None, "trouble": "" if contact else "unknown"}]
        return [
            {"to": step, "arrives_in": list(found.boxes), "owner": found.person, "trouble": found.trouble}
            for step, found in self.graph.path(address)
        ]

    def assets_of(self, domain: str) -> Iterator[Data]:
        """The assets that a domain depends on."""
        for index, asset in enumerate(self.assets):
            if domain in {canonical.domain(name) for name in asset.get("domains", ())}:
                yield self.asset(index, asset)

    def asset(self, index: int, asset: Mapping[str, Any]) -> Data:
        """An account outside the estate: who holds it, where its resets go, when it ends."""
        place = self.place(Origin(f"{self.files.folder}/tenant.yaml", ("assets", index)))
        held_by = self.holder(asset["held_by"]) if "held_by" in asset else None
        said = {key: asset.get(key) for key in ("kind", "name", "expires", "auto_renew")}
        return {**said, "held_by": held_by, "reset_to": reset_to(asset) or asset.get("reset_to"), "declared": place}


def kind_of(thing: Resource) -> str:
    """What people call it: the section of its file."""
    if thing.address.kind == "mailbox":
        return "mailbox" if thing.attributes.get("login") else "shared"
    if thing.address.kind != "alias":
        return thing.address.kind
    section = thing.origin.path[0] if thing.origin and thing.origin.path else ""
    return {"forwards": "forward", "catch_all": "catch_all"}.get(str(section), "alias")


def said_kind(address: Address, said: Mapping[str, Value]) -> str:
    """The same of a line of the ledger, which knows no sections."""
    if address.kind == "mailbox":
        return "mailbox" if said.get("login", True) else "shared"
    return "catch_all" if address.name.startswith("@") else "forward" if "expires" in said else "alias"
