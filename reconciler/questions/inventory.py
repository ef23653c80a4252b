"""`inventory`: of each domain all through which it could be taken over or its mail led astray, and what there is of it.

Each item says where it is known from and how old that is: `declared` in Git and not yet (or no more) as it was applied,
`ledger` where that was applied, `attested` by a person on a day. What nobody wrote down is `unknown`, never none; what
exists without being declared (a redirect that a user made) is for `drift` to tell.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import canonical
from reconciler.kinds import dkim_signing
from reconciler.kinds.record import label, rtype, tag
from reconciler.questions.view import CHANGED_BY, kind_of
from reconciler.resets import CONTROLLING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.model import Address, Entry, Resource
    from reconciler.questions.view import Data, View

ADMINISTRATIVE = CONTROLLING | {"abuse", "noc", "security", "ssl-admin"}  # RFC 2142 besides those that control a domain


class Known(NamedTuple):
    """What the ledger has of a tenant: its lines, and the day (ISO) on which each of their commits was written."""

    entries: Mapping[Address, Entry] = {}
    days: Mapping[str, str] = {}


def of_domain(view: View, domain: str, known: Known) -> Data:
    """One domain: the eight items of its reset surface, the six classes of what there is."""
    things = [thing for thing in view.compiled.state.values() if thing.domain == domain]
    return _Domain(view, domain, known, things).told()


class _Domain:
    def __init__(self, view: View, domain: str, known: Known, things: Sequence[Resource]) -> None:
        self.view, self.domain, self.known = view, domain, known
        self.things = things
        original = view.twins.get(domain, domain)  # of an alias domain: whose addresses answer here too
        named = [thing for thing in view.named.values() if thing.domain == original]
        self.mail = [t for t in named if original == domain or not t.address.name.startswith("@")]  # but no catch-all
        self.assets = list(view.assets_of(domain))

    def told(self) -> Data:
        forwards = self._forwards()
        surface = {
            "registrar": self._registrar(),
            "dns_provider": self._dns(),
            "admin_addresses": self._addresses(lambda t: t.address.name.partition("@")[0] in ADMINISTRATIVE),
            "mx": self._records("MX", self.domain),
            "forwards": forwards,
            "catch_all": self._addresses(lambda t: t.address.name.startswith("@")),
            "external_aliases": self._addresses(lambda t: kind_of(t) == "alias" and self._leaves(t)),
            "mfa": self._mfa(),
        }
        objects = {
            "domains": self._item(self._of_kind("domain"), self._itself()),
            "mailboxes": self._mailboxes(),
            "aliases": self._addresses(lambda t: kind_of(t) == "alias"),
            "forwards": forwards,
            "mail_authentication": self._authentication(),
            "admin_access": self._item([], list(self._access())),
        }
        twin, ours = self.view.twins.get(self.domain), {side: self._is_ours(side) for side in ("mail", "dns")}
        return {"domain": self.domain, "alias_of": twin, "ours": ours, "reset_surface": surface, "objects": objects}

    # ------------------------------------------------------------------ items

    def _item(self, things: Iterable[Resource], value: Any) -> Data:
        """A value with its source and age: of several things the one that changed last."""
        some = list(things)
        applied = [self._applied(thing) for thing in some]
        if not applied or None in applied:
            return _said(value, "declared", None, self.view.today)
        return _said(value, "ledger", max(filter(None, applied)) if all(applied) else None, self.view.today)

    def _applied(self, thing: Resource) -> str | None:
        """The day from which it is as it is declared (empty: nobody knows); None where that was not applied."""
        entry = self.known.entries.get(thing.address)
        if entry is None or entry.absent or dict(entry.said) != dict(thing.attributes):
            return None
        return self.known.days.get(entry.commit, "")

    def _of_kind(self, kind: str) -> list[Resource]:
        return [thing for thing in self.things if thing.address.kind == kind]

    def _addresses(self, wanted: Any) -> Data:
        if not self._is_ours("mail"):
            return _unknown()
        some = [thing for thing in self.mail if wanted(thing)]
        return self._item(some, [self._address(thing) for thing in sorted(some, key=lambda thing: thing.address)])

    def _address(self, thing: Resource) -> Data:
        said = thing.attributes
        to = said.get("to", ()) if thing.address.kind == "alias" else said.get("copies_to", ())
        extra = {key: said.get(key) for key in ("owner", "reason", "approved_by", "expires")}
        return {"address": thing.address.name, "kind": kind_of(thing), "to": list(to), **extra}

    def _forwards(self) -> Data:
        return self._addresses(lambda t: kind_of(t) == "forward" or bool(t.attributes.get("copies_to")))

    def _leaves(self, thing: Resource) -> bool:
        return any(canonical.domain_of(to) not in self.view.domains for to in thing.attributes.get("to", ()))

    def _mailboxes(self) -> Data:
        if not self._is_ours("mail"):
            return _unknown()
        boxes = [thing for thing in self.mail if thing.address.kind == "mailbox"]
        told = [
            {"address": box.address.name, "kind": kind_of(box), "owner": box.attributes.get("owner"),
             "state": box.attributes.get("state")}
            for box in sorted(boxes, key=lambda box: box.address)
        ]  # fmt: skip
        return self._item(boxes, told)

    def _registrar(self) -> Data:
        found = [asset for asset in self.assets if asset["kind"] == "registrar"]
        return _said(found, "declared", None, self.view.today) if found else _unknown()

    def _dns(self) -> Data:
        name = self._provider("dns")
        if name is not None:
            type_ = self.view.agency.providers.get(name, ("", {}))[1].get("type")
            source = "ledger" if any(a.provider == name and e.domain == self.domain and not e.absent
                                     for a, e in self.known.entries.items()) else "declared"  # fmt: skip
            return _said([{"provider": name, "type": type_}], source, None, self.view.today)
        found = [asset for asset in self.assets if "dns" in asset["kind"].lower()]
        return _said(found, "declared", None, self.view.today) if found else _unknown()

    def _provider(self, side: str) -> str | None:
        return next((name for name, scope in self.view.compiled.scopes if scope.domain == self.domain
                     and self.view.agency.providers.get(name, ("",))[0] == side), None)  # fmt: skip

    def _is_ours(self, side: str) -> bool:
        return self._provider(side) is not None

    def _records(self, type_: str, name: str) -> Data:
        if not self._is_ours("dns"):
            return _unknown()
        some = [t for t in self._of_kind("record") if (rtype(t.address.name), label(t.address.name)) == (type_, name)]
        return self._item(some, [str(value) for thing in some for value in thing.attributes.get("values", ())])

    def _authentication(self) -> Data:
        if not self._is_ours("dns"):
            return _unknown()
        spf, dmarc = self._tagged(self.domain, "v=spf1"), self._tagged(f"_dmarc.{self.domain}", "v=dmarc1")
        signing = self._of_kind(dkim_signing.KIND.name)
        selectors = [selector for thing in signing for selector in thing.attributes.get("selectors", ())]
        texts = {"spf": spf[1], "dkim": selectors, "dmarc": dmarc[1]}
        return self._item([*spf[0], *dmarc[0], *signing], texts)

    def _tagged(self, name: str, wanted: str) -> tuple[list[Resource], str | None]:
        for thing in self._of_kind("record"):
            if thing.address.name == f"TXT/{name}":
                texts = [str(v) for v in thing.attributes.get("values", ()) if tag(v) == wanted]
                return [thing], texts[0] if texts else None
        return [], None

    def _itself(self) -> list[Data]:
        owner = self.view.files.domains[self.domain].get("owner")
        return [{"domain": self.domain, "owner": self.view.person(owner)}]

    # ------------------------------------------------------------------ people

    def _access(self) -> Iterator[Data]:
        for role in (*(role for role, _ in CHANGED_BY), "reset_approver"):
            yield {"by": "role", "name": role, "holders": self.view.holders(role)}
        for asset in self.assets:
            held = [asset["held_by"]] if asset["held_by"] else []
            yield {"by": asset["kind"], "name": asset["name"], "holders": held}

    def _mfa(self) -> Data:
        """Of everybody who could take the domain over: its owner, who holds a role or an asset of it."""
        people, owner = self.view.people, self.view.files.domains[self.domain].get("owner")
        held = [person["id"] for way in self._access() for holder in way["holders"] for person in holder["people"]]
        names = [name for name in dict.fromkeys([owner, *held]) if name in people.persons and not people.has_left(name)]
        told = [
            {"person": name, "name": people.persons[name].get("name"), "attested": people.attested(name),
             "mfa_attested": people.persons[name].get("mfa_attested")}
            for name in names
        ]  # fmt: skip
        days = [person["mfa_attested"] for person in told]
        if not any(days):
            return {**_unknown(), "value": told}
        return _said(told, "attested", min(days) if all(days) else None, self.view.today)


def _said(value: Any, source: str, since: str | None, today: str) -> Data:
    """`since` is the day (ISO) of the last change or attestation, `age` how many days ago that was."""
    age = (date.fromisoformat(today) - date.fromisoformat(since)).days if since else None
    return {"value": value, "source": source, "since": since or None, "age": None if age is None else max(age, 0)}


def _unknown() -> Data:
    return {"value": None, "source": "unknown", "since": None, "age": None}
