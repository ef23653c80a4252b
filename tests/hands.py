"""Hands on a live system beside the program: whoever makes, changes or removes something there without asking Git.

Two of them, for the reference world in JSON files and for SQLite with zone files. Both read what is there by the
providers themselves, and byte for byte what a row, a line or an entry is.
"""

from __future__ import annotations

import json
import re
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar

from reconciler.model import Scope
from reconciler.providers import connect
from tests.estates import AGENCY, Estate

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST = "northwind.example"
Settings = dict[str, dict[str, Any]]
Things = dict[str, dict[str, Any]]  # address as plans print it -> attributes


class Hands:
    """What both have in common."""

    settings: ClassVar[Settings]

    def __init__(self, estate: Estate) -> None:
        self.estate = estate
        self.moves = 0  # what was made, changed or removed

    @classmethod
    def agency(cls) -> str:
        """The agency's file with these providers."""
        head, _, rest = AGENCY.partition("providers:\n")
        mail, dns = (json.dumps({name: said}) for name, said in cls.settings.items())
        return f"{head}providers:\n  mail: {mail}\n  dns: {dns}\n" + rest[rest.index("servers:\n  primary") :]

    def things(self) -> Things:
        """All that is live in the domain."""
        found: Things = {}
        for name, said in self.settings.items():
            settings = {key: value for key, value in said.items() if key != "type"}
            with closing(connect(name, said["type"], settings, str(self.estate.root))) as provider:
                answer = provider.read([Scope(HOST, HOST, create=True)])[HOST]
            assert isinstance(answer, tuple), answer
            found |= {str(thing.address): dict(thing.attributes) for thing in answer}
        return found

    def raw(self, kind: str, name: str) -> Any:
        """What stands there, byte for byte; None or empty: nothing."""
        raise NotImplementedError

    def put(self, kind: str, name: str, **said: Any) -> None:
        """Make it, or change what is said of it."""
        raise NotImplementedError

    def take(self, kind: str, name: str) -> None:
        """Remove it."""
        raise NotImplementedError

    def passwords(self) -> Mapping[str, Any]:
        """{mailbox: what its owner set}; whoever has none yet is given one."""
        return {}


class MemoryHands(Hands):
    """Hands on the JSON files."""

    settings: ClassVar[Settings] = {
        "mailhost": {"type": "memory", "file": "var/mail.json", "side": "mail"},
        "zones": {"type": "memory", "file": "var/dns.json", "side": "dns"},
    }

    def raw(self, kind: str, name: str) -> Any:
        return [line for line in self._load(kind)["things"] if line[:2] == [kind, name]]

    def put(self, kind: str, name: str, **said: Any) -> None:
        there = self.raw(kind, name)
        fresh = {"state": "active", "login": True, "members": {}, "copies_to": [], "keep_copy": True, "quota": 1}
        first = {"mailbox": fresh, "record": {"ttl": 60}}.get(kind, {})
        self._save(kind, name, [[kind, name, HOST, {**(there[0][3] if there else first), **said}]])

    def take(self, kind: str, name: str) -> None:
        self._save(kind, name, [])

    def _path(self, kind: str) -> Any:
        return self.estate.root / "var" / ("dns.json" if kind == "record" else "mail.json")

    def _load(self, kind: str) -> Any:
        path = self._path(kind)
        return json.loads(path.read_text()) if path.exists() else {"things": []}

    def _save(self, kind: str, name: str, lines: list[Any]) -> None:
        self.moves += 1
        data = self._load(kind)
        data["things"] = [line for line in data["things"] if line[:2] != [kind, name]] + lines
        self._path(kind).write_text(json.dumps(data))


class ServerHands(Hands):
    """Hands in the database and in the zone file."""

    settings: ClassVar[Settings] = {
        "mailhost": {"type": "postfix_dovecot", "database": "sqlite:///var/mail.sqlite"},
        "zones": {"type": "zone_files", "directory": "var/zones", "nameservers": ["ns1.agency.example."]},
    }
    _KEYS = (("mailbox", "username"), ("alias", "address"), ("reconciler_mailbox", "username"))

    def raw(self, kind: str, name: str) -> Any:
        if kind == "record":
            return self._lines(name)
        tables = self._KEYS[1:2] if kind == "alias" else self._KEYS
        return [row for table, key in tables for row in self._sql(f"SELECT * FROM {table} WHERE {key} = ?", name)]

    def put(self, kind: str, name: str, **said: Any) -> None:
        self.moves += 1
        if kind == "record":
            self._zone(name, [self._line(name, value) for value in said["values"]])
        elif kind == "alias":
            self._sql("DELETE FROM alias WHERE address = ?", name)
            self._row("alias", address=name, goto=",".join(said["to"]), domain=HOST, active=1)
        elif not self._sql("SELECT 1 FROM mailbox WHERE username = ?", name):
            local, quota = name.partition("@")[0], said.get("quota", 1)
            self._row("mailbox", username=name, password=f"hash of {name}", name="", maildir=f"{HOST}/{local}/",
                      quota=quota, local_part=local, domain=HOST, active=1)  # fmt: skip
            self._sql("DELETE FROM alias WHERE address = ?", name)
            self._row("alias", address=name, goto=name, domain=HOST, active=1)
        elif "quota" in said:
            self._sql("UPDATE mailbox SET quota = ? WHERE username = ?", said["quota"], name)
        else:
            self._sql("UPDATE reconciler_mailbox SET blocked = 0, login_enabled = 1 WHERE username = ?", name)
            self._sql("UPDATE mailbox SET active = 1 WHERE username = ?", name)
            self._sql("UPDATE alias SET active = 1 WHERE address = ?", name)

    def take(self, kind: str, name: str) -> None:
        self.moves += 1
        if kind == "record":
            self._zone(name, [])
        elif kind == "alias":
            self._sql("DELETE FROM alias WHERE address = ?", name)
        else:
            for table, key in self._KEYS:
                self._sql(f"DELETE FROM {table} WHERE {key} = ?", name)

    def passwords(self) -> Mapping[str, Any]:
        self._sql("UPDATE mailbox SET password = 'hash of ' || username WHERE password = '{CRYPT}*'")
        return dict(self._sql("SELECT username, password FROM mailbox"))

    def _sql(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.estate.sql(text, *values) if self.estate.database.exists() else []

    def _row(self, table: str, **said: Any) -> None:
        marks = ", ".join("?" for _ in said)
        self._sql(f"INSERT INTO {table} ({', '.join(said)}) VALUES ({marks})", *said.values())

    def _lines(self, name: str) -> list[str]:
        type_, _, label = name.partition("/")
        if not self.estate.zone().exists():
            return []
        found = re.compile(rf"{re.escape(label)}\. \d+ IN {type_} .*")
        return [line for line in self.estate.zone().read_text().splitlines() if found.fullmatch(line)]

    def _line(self, name: str, value: str) -> str:
        type_, _, label = name.partition("/")
        return f"{label}. 60 IN {type_} " + (json.dumps(value) if type_ == "TXT" else value)

    def _zone(self, name: str, lines: list[str]) -> None:
        gone = self._lines(name)
        kept = [line for line in self.estate.zone().read_text().splitlines() if line not in gone]
        self.estate.zone().write_text("\n".join([*kept, *lines, ""]))
