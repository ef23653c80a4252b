"""The ledger: per tenant what was really applied, in Git, on the ref `refs/reconciler/tenants/<tenant>`.

The ref's tree holds one file, `ledger.jsonl`: a header, then a line per address with the values Git said, attribute by
attribute. A hash could not say which attribute moved, nor which value in a shared record set was ours. The ref's
commits have no parents or trees of the estate's branches: history of what was done, beside history of what was said.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.errors import LedgerError
from reconciler.kinds import kinds
from reconciler.model import Address, Computed, Entry, Scope, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.apply import Record
    from reconciler.history import Repository

FORMAT = "reconciler.ledger/1"
REFS = "refs/reconciler/tenants/"
_FILE = "ledger.jsonl"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Ledger(NamedTuple):
    """One tenant's ledger. `tip` is the ref's commit (None: there is none yet), `applied` the commit last applied."""

    tenant: str
    tip: str | None = None
    applied: str | None = None
    entries: Mapping[Address, Entry] = {}
    scopes: tuple[tuple[str, Scope], ...] = ()


class Ledgers:
    """The ledgers of an estate."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def tips(self, tenants: Sequence[str] = ()) -> dict[str, str]:
        """{tenant: commit of its ledger}, of the tenants named or of all."""
        refs = [f"{REFS}{tenant}" for tenant in tenants] or [REFS]
        listing = self._repository.git("for-each-ref", "--format=%(objectname) %(refname)", "--", *refs).decode()
        pairs = (line.split(" ", 1) for line in listing.splitlines())
        return {name.removeprefix(REFS): tip for tip, name in pairs}

    def read(self, tips: Mapping[str, str | None]) -> dict[str, Ledger | LedgerError]:
        """{tenant: its ledger as of the tip given, or why it cannot be read}."""
        contents = self._repository.objects([f"{tip}:{_FILE}" for tip in tips.values() if tip is not None])
        return {tenant: _read(tenant, tip, contents.get(f"{tip}:{_FILE}")) for tenant, tip in tips.items()}

    def write(self, records: Sequence[Record], tips: Mapping[str, str], commit: str) -> None:
        """Note what was confirmed on top of `tips`, for all tenants in one process. Raises LedgerError."""
        if not records:
            return
        who, commits = self._who(), []
        ledgers = self.read({record.tenant: tips.get(record.tenant) for record in records})
        for record in records:
            ledger = ledgers[record.tenant]
            if isinstance(ledger, LedgerError):
                raise ledger
            commits.append(_commit(_after(ledger, record, commit), ledger.tip, who))
        try:
            self._repository.git("fast-import", "--quiet", "--date-format=now", stdin=b"".join(commits))
        except subprocess.CalledProcessError as error:
            raise LedgerError(f"the ledger was not written: {error.stderr.decode(errors='replace').strip()}") from None

    def _who(self) -> str:
        """Git's own identity, else login@host: nothing fails where Git has none."""
        try:
            name, _, rest = self._repository.git("var", "GIT_COMMITTER_IDENT").decode().partition(" <")
            return f"{name} <{rest.partition('>')[0]}>"
        except subprocess.CalledProcessError:
            return f"{_login()} <{_login()}@{socket.gethostname()}>"


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as containers have
        return f"uid{os.getuid()}"


def _read(tenant: str, tip: str | None, content: bytes | None) -> Ledger | LedgerError:
    if tip is None:
        return Ledger(tenant)
    if content is None:
        return LedgerError(f"{REFS}{tenant} holds no {_FILE}")
    try:
        header, *lines = content.decode().splitlines()
        return _ledger(tenant, tip, json.loads(header), lines)
    except LedgerError as error:
        return error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return LedgerError(f"{REFS}{tenant} cannot be read ({error})")


def _ledger(tenant: str, tip: str, header: Mapping[str, Any], lines: Iterable[str]) -> Ledger:
    if header["format"] != FORMAT:
        raise LedgerError(f"{REFS}{tenant} is of format {header['format']!r}, which this version does not read")
    if header["commit"] is not None and not _COMMIT.fullmatch(header["commit"]):
        raise LedgerError(f"{REFS}{tenant} names no commit as applied")
    entries = {}
    for data in json.loads(f"[{','.join(lines)}]"):  # one call for all lines: it is the loop that costs
        address = Address.parse(data.pop("address"))
        if address.kind not in kinds():
            raise LedgerError(f"{REFS}{tenant} holds a {address.kind!r}, which this version does not know")
        entries[address] = _entry(data)
    scopes = tuple((provider, Scope(domain, zone)) for provider, domain, zone in header["scopes"])
    return Ledger(tenant, tip, header["commit"], entries, scopes)


def _entry(data: dict[str, Any]) -> Entry:
    for part in ("said", "seen", "before"):
        if part in data:
            values = data[part]
            for name, value in values.items():
                if isinstance(value, (list, dict)):
                    values[name] = _decode(value)
    return Entry(**data)


def _after(ledger: Ledger, record: Record, commit: str) -> Ledger:
    entries = {address: entry for address, entry in ledger.entries.items() if address not in record.entries}
    entries |= {address: entry for address, entry in record.entries.items() if entry is not None}
    used = {(address.provider, entry.domain) for address, entry in entries.items()}
    known = {(provider, scope.domain): scope for provider, scope in (*ledger.scopes, *record.scopes)}
    scopes = tuple((key[0], known[key]) for key in sorted(used) if key in known)
    applied = commit if record.whole else ledger.applied
    return ledger._replace(applied=applied, entries=entries, scopes=scopes)


def _commit(ledger: Ledger, parent: str | None, who: str) -> bytes:
    text = _text(ledger)
    message = f"applied {ledger.applied or 'in part'}\n".encode()
    lines = [f"commit {REFS}{ledger.tenant}", f"committer {who} now", f"data {len(message)}"]
    head = "\n".join(lines).encode() + b"\n" + message
    origin = f"from {parent}\n".encode() if parent else b""
    return head + origin + f"M 100644 inline {_FILE}\ndata {len(text)}\n".encode() + text + b"\n"


def _text(ledger: Ledger) -> bytes:
    scopes = [[provider, scope.domain, scope.zone] for provider, scope in ledger.scopes]
    header = {"format": FORMAT, "tenant": ledger.tenant, "commit": ledger.applied, "scopes": scopes}
    lines = [header, *(_line(address, entry) for address, entry in sorted(ledger.entries.items()))]
    return "".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines).encode()


_EMPTY = Entry(said={}, domain="")


def _line(address: Address, entry: Entry) -> dict[str, Any]:
    """Only what differs from an empty entry: a line stays short enough to be read in a diff."""
    line: dict[str, Any] = {"address": str(address), "said": _encoded(entry.said), "domain": entry.domain}
    line |= {name: _encoded(value) for name in ("seen", "before") if (value := getattr(entry, name))}
    for name in ("keep", "retired", "absent", "commit", "file", "line"):
        if getattr(entry, name) != getattr(_EMPTY, name):
            line[name] = getattr(entry, name)
    return line


def _encoded(values: Mapping[str, Value]) -> dict[str, Any]:
    return {name: _encode(value) for name, value in values.items()}


def _encode(value: Value) -> Any:
    if isinstance(value, Computed):
        return {"of": str(value.address), "attribute": value.attribute}
    return [_encode(item) for item in value] if isinstance(value, tuple) else value


def _decode(value: Any) -> Value:
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    if isinstance(value, dict) and value.keys() == {"of", "attribute"}:
        return Computed(Address.parse(value["of"]), value["attribute"])
    return value
