"""One batch on its way into PostfixAdmin's tables and ours: what becomes of each row, as statements run at the end.

What the tables mean stands in `postfix_dovecot.py`; how their rows are read in `_postfixadmin.py`.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.errors import Conflict, Refused
from reconciler.kinds import dkim_key
from reconciler.model import MISSING, Address
from reconciler.providers._postfixadmin import LOCK, REMEMBER, How, Rows, Side, targets
from reconciler.providers._session import Session, Statements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.changes import Change
    from reconciler.model import Resource, Value
    from reconciler.providers._dkim import KeyPair

    Things = dict[Address, Resource]
    Right = tuple[str, str, str]  # mailbox, member, right or ""

NO_PASSWORD = "{CRYPT}*"  # noqa: S105 - a text that no password matches
MARK = f"UPDATE mailbox SET password = '{LOCK}' || password WHERE username = :username"  # noqa: S608
UNMARK = f"UPDATE mailbox SET password = SUBSTR(password, {len(LOCK) + 1}) WHERE username = :username"  # noqa: S608
RENAME = "UPDATE mailbox SET username = :new, local_part = :local, modified = CURRENT_TIMESTAMP WHERE username = :old"
RENAME_SHARED = "UPDATE reconciler_member SET mailbox = :new WHERE mailbox = :old AND member = :member"
STAMPED = {"domain", "alias_domain", "mailbox", "alias"}  # have columns created and modified


def _after(change: Change, there: Resource | None) -> Resource | None:
    """What the change makes of what is there: only what it changes. Raises Conflict."""
    live, aim = change.live, change.aim
    if there is not None and live is not None:
        compared = [row.name for row in change.kind.compared if row.name in live.attributes]
        names = list(change.fields) if aim is not None else compared
        if all(there.get(name) == live.get(name) for name in names):
            return aim and there.having(**{name: aim.get(name) for name in names})
    elif there is live:
        return aim
    raise Conflict(f"{change.address} is no longer as it was read; nothing was written")


class Writing:
    """One batch on its way: what becomes of the domain's rows, as statements that are run together at the end."""

    def __init__(self, session: Session, rows: Rows, how: How, made: Mapping[Address, KeyPair]) -> None:
        self._session, self._rows, self._how, self._made = session, rows, how, made
        self._after: Things = dict(rows.things)
        self._statements = Statements(STAMPED)
        self._rights: list[Right] = []
        self._folders: set[str] | None = None  # where mailboxes keep their mail, or did; asked for when one is made
        self._renamed: dict[str, str] = {}  # new name -> old

    def write(self, changes: Sequence[Change]) -> list[Right]:
        """Foresee all changes, then write name by name (a mailbox and an alias may share one). Gives rights to give."""
        for change in changes:
            thing = _after(change, self._after.pop(change.was or change.address, None))
            if change.was is not None and change.address in self._after:
                raise Conflict(f"{change.address} is there already; nothing was written")
            if thing is not None:
                self._after[change.address] = thing._replace(address=change.address)
            if change.was is not None:
                self._rename(change.was.name, change.address.name)
        writers = {"domain": self._domain, "dkim_key": self._key, "dkim_signing": self._signing}
        touched = [(c.kind.namespace, address.name) for c in changes for address in (c.was, c.address) if address]
        for namespace, name in dict.fromkeys(touched):
            writers.get(namespace, self._address)(name)
        self._statements.run(self._session)
        return self._rights

    def _thing(self, kind: str, name: str) -> Resource | None:
        return self._after.get(Address(self._how.provider, kind, name))

    def _before(self, kind: str, name: str) -> Resource | None:
        return self._rows.things.get(Address(self._how.provider, kind, name))

    def _domain(self, name: str) -> None:
        domain, row, twin = self._thing("domain", name), self._rows.domain, self._rows.twin
        if domain is None:
            self._drop_domain(name)
            return
        fresh = {"domain": name, "description": "", "transport": "virtual", "backupmx": False}
        if row is None or not row.active:
            self._put("domain", row and {"domain": row.domain}, {"active": True}, fresh)
        target = domain.get("alias_of")
        if target is not None:
            if twin is not None and not twin.active and canonical.domain(twin.target_domain) != target:
                raise self._somebodys(f"the alias domain {twin.alias_domain}")
            values = {"target_domain": target, "active": True}
            self._put("alias_domain", twin and {"alias_domain": twin.alias_domain}, values, {"alias_domain": name})
        elif twin is not None and twin.active:
            self._statements.delete("alias_domain", alias_domain=twin.alias_domain)

    def _drop_domain(self, name: str) -> None:
        visible = {address.name for address in self._rows.things}
        hidden = [address for address in self._rows.aliases if address not in visible]
        twins = self._session.select("SELECT alias_domain FROM alias_domain WHERE target_domain IN (…)", [name])
        left = [*map(str, self._after), *hidden, *(row[0] for row in twins)]
        if left:
            raise Conflict(f"{name} is not empty, {left[0]} is still there; nothing was written")
        self._statements.delete("alias_domain", alias_domain=name)
        self._statements.delete("domain", domain=self._rows.domain.domain if self._rows.domain else name)

    def _address(self, name: str) -> None:
        box, alias = self._thing("mailbox", name), self._thing("alias", name)
        if box is not None:
            self._mailbox(name, box, taken=alias is not None)
        elif name in self._rows.boxes:
            self._purge(self._rows.boxes[name].username)
        if _flow(box, alias) != _flow(self._before("mailbox", name), self._before("alias", name)):
            self._alias(name, box, alias)

    def _alias(self, name: str, box: Resource | None, alias: Resource | None) -> None:
        row = self._rows.aliases.get(name)
        key = row and {"address": row.address}
        if alias is not None:
            goto, active = set(alias.get("to")), True
        elif box is not None:
            goto, active = set(box.get("copies_to")), box.get("state") != "paused"
            goto |= {name} if box.get("keep_copy") or not goto else set()
        elif key is not None:
            self._statements.delete("alias", **key)
            return
        else:
            return
        hidden = self._rows.hidden(name)
        if hidden is not None and targets(hidden) - {name} != goto - {name}:
            raise self._somebodys(f"the alias {hidden.address}")
        fresh = {"address": name, "domain": self._rows.name}
        self._put("alias", key, {"goto": ",".join(sorted(goto)), "active": active}, fresh)

    def _somebodys(self, what: str) -> Refused:
        return Refused(
            f"{self._how.provider}: {what} is switched off in the database and leads elsewhere. Activate it, so that it"
            " is read and compared, or remove it by hand; nothing was written"
        )

    def _mailbox(self, name: str, box: Resource, *, taken: bool) -> None:
        row, state, login = self._rows.boxes.get(name), box.get("state"), bool(box.get("login"))
        locked = state == "blocked" or not login
        values = {
            "name": box.attributes.get("name", ""),
            "quota": _quota(box.get("quota")),
            "active": state != "paused",
        }
        mark = LOCK if locked and self._how.lock_hash else ""
        fresh = {
            "username": name,
            "domain": self._rows.name,
            "local_part": name.rpartition("@")[0],
            "maildir": self._maildir(name) if row is None else "",
            "password": mark + NO_PASSWORD,
        }
        key = row and {"username": row.username}
        if row is None or (row.name or "", int(row.quota), bool(row.active)) != tuple(values.values()):
            self._put("mailbox", key, values, fresh)
        if row and key and bool(row.marked) != locked and (row.marked or mark):
            self._statements.add(MARK if mark else UNMARK, key)
        self._side(Side(self._rows.name, name, int(not locked), int(not login), int(state == "blocked"), int(taken)))
        self._members(name, box.get("members"), told=self._how.by_acl and state != "paused")

    def _maildir(self, name: str) -> str:
        """Where a new mailbox keeps its mail: never where another does, or did that was purged."""
        if self._folders is None:
            tables = ("mailbox", "reconciler_purged")
            texts = [f"SELECT maildir FROM {table} WHERE domain IN (…)" for table in tables]  # noqa: S608
            found = [row[0] for text in texts for row in self._session.select(text, [self._rows.name])]
            self._folders = {folder.strip("/") for folder in found if folder}
        domain, local = self._rows.name, name.rpartition("@")[0]
        tries = (f"{domain}/{f'.{number}/' if number else ''}{local}" for number in count())
        free = next(folder for folder in tries if folder not in self._folders)
        self._folders.add(free)
        return f"{free}/"

    def _rename(self, old: str, new: str) -> None:
        """A mailbox's rows under its new name: its maildir, its password and what else they hold stay."""
        rows, box = self._rows, self._rows.boxes.pop(old)
        if new not in self._renamed.values():  # else its rows are under another name by now
            self._purge(rows.boxes[new].username if new in rows.boxes else new)
        self._renamed[new] = old
        side, members = rows.sides.pop(old, None), rows.members.pop(old, {})
        self._statements.add(RENAME, {"new": new, "local": new.rpartition("@")[0], "old": box.username})
        named = {"reconciler_mailbox": side.username if side else old, "quota2": box.username}
        for table, name in named.items():
            text = f"UPDATE {table} SET username = :new WHERE username = :old"  # noqa: S608
            self._statements.add(text, {"new": new, "old": name})
        for row in members.values():
            self._statements.add(RENAME_SHARED, {"new": new, "old": row.mailbox, "member": row.member})
        rows.boxes[new] = box._replace(username=new)
        if side is not None:
            rows.sides[new] = side._replace(username=new)
        rows.members[new] = {name: row._replace(mailbox=new) for name, row in members.items()}

    def _side(self, side: Side) -> None:
        row = self._rows.sides.get(side.username)
        if self._rows.side(side.username)[2:] != side[2:]:
            fresh = {"domain": side.domain, "username": side.username}
            values = {name: value for name, value in side._asdict().items() if name not in fresh}
            self._put("reconciler_mailbox", row and {"username": row.username}, values, fresh)

    def _members(self, mailbox: str, members: Mapping[str, str], *, told: bool) -> None:
        rows = self._rows.members.get(mailbox, {})
        for member in sorted({*rows, *members}):
            row, right = rows.get(member), members.get(member, "")
            acl = row.acl if row else ""
            key = {"mailbox": row.mailbox, "member": row.member} if row else {"mailbox": mailbox, "member": member}
            if not right and not (self._how.by_acl and acl):
                self._statements.delete("reconciler_member", **key)
            elif row is None or row.access != right:
                fresh = {**key, "domain": self._rows.name, "acl": ""}
                self._put("reconciler_member", row and key, {"access": right}, fresh)
            if told and right and mailbox in self._renamed:  # Dovecot's list of who shares is by name
                self._statements.update("reconciler_member", key, {"acl": ""})
                acl = ""
            if told and acl != right:
                self._rights.append((key["mailbox"], key["member"], right))

    def _purge(self, username: str) -> None:
        self._statements.add(REMEMBER, {"username": username})
        for table in ("mailbox", "reconciler_mailbox", "quota2"):
            self._statements.delete(table, username=username)
        self._statements.delete("reconciler_member", mailbox=username)

    def _key(self, name: str) -> None:
        key = self._thing("dkim_key", name)
        pair = self._made.get(Address(self._how.provider, "dkim_key", name))
        if key is None:
            self._statements.delete("reconciler_dkim_key", id=name)
        elif pair is not None:
            values = {"type": key.get("type"), "bits": key.get("bits"), **pair._asdict()}
            place = {"domain": self._rows.name, "selector": name.partition("._domainkey.")[0]}
            self._statements.insert("reconciler_dkim_key", {"id": name, **place, **values})

    def _signing(self, name: str) -> None:
        signing = self._thing("dkim_signing", name)
        keys = {dkim_key.name(selector, name) for selector in signing.get("selectors")} if signing else set()
        there = {row.dkim_id for row in self._rows.signing}
        for gone in sorted(there - keys):
            self._statements.delete("reconciler_dkim_signing", author=name, dkim_id=gone)
        for new in sorted(keys - there):
            self._statements.insert("reconciler_dkim_signing", {"author": name, "dkim_id": new})

    def _put(
        self, table: str, key: Mapping[str, Any] | None, values: Mapping[str, Any], fresh: Mapping[str, Any]
    ) -> None:
        """Give the row under `key` these values, or make one with `fresh` ones besides."""
        if key is None:
            self._statements.insert(table, {**fresh, **values})
        else:
            self._statements.update(table, key, values)


def _flow(box: Resource | None, alias: Resource | None) -> tuple[Value, ...]:
    """What the alias row of a name depends on."""
    parts = [(box, "state"), (box, "keep_copy"), (box, "copies_to"), (alias, "to")]
    return tuple(thing and thing.get(part) for thing, part in parts)


def _quota(quota: Value) -> int:
    return 0 if quota in {MISSING, canonical.UNLIMITED} else int(quota)
