"""The ledger: per tenant what was really applied, in Git, on the ref `refs/reconciler/tenants/<tenant>`.

The ref's tree holds `ledger.jsonl`: a header, then a line per address with the values Git said, attribute by
attribute. A hash could not say which attribute moved, nor which value in a shared record set was ours. While a run is
at work its intent lies beside it (`journal`), and of a run that was killed it stays: what such a run meant to do is a
claim, and whoever plans next looks at the live systems for what became of it.

Which live system a line belongs to stands in the header, as one identity per provider (`identities`): a line on its own
could belong to another system than its neighbours, and 32 characters in each would bury what a change of it says.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.changes import Change, Intent
from reconciler.compact import compact
from reconciler.entries import encoded, read, values, written
from reconciler.errors import LedgerError
from reconciler.kinds import kinds, named
from reconciler.model import Address, Entry, Resource, Scope
from reconciler.shapes import plain, shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.effects import Record
    from reconciler.history import Repository

FORMAT, INTENT_FORMAT = "reconciler.ledger/1", "reconciler.intent/1"
REFS, OFFLINE = "refs/reconciler/tenants/", "refs/reconciler/offline/"
FILE, INTENT, RUN = "ledger.jsonl", "intent.json", "run.json"
HOLDER = ("host", "boot", "namespace", "pid", "started", "ci")  # what an intent says of the process that holds it
_is_intent = shape(
    {
        **dict.fromkeys(("run", "began", "commit", "digest"), plain),
        "actor": str,
        "holder": {**dict.fromkeys(HOLDER, str), "pid": int},
        "lease": lambda value: type(value) in {int, float} and 0 <= value < 1e9,  # seconds
        "unlocked": (None, str),
        "no_remote?": (None, str),
        "changes": [{"address": str, "claim": {"domain": str, "was?": str}}],
    }
)
_MOVES = 50  # of a ledger that are looked at for what was applied before
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Ledger(NamedTuple):
    """One tenant's ledger. `tip` is the ref's commit (None: there is none yet), `applied` the commit last applied,
    `identities` {provider: the system it was applied to}, `renamed` {provider: the name that it had}.

    `intent` is the word of a run that has not said what became of it: it is at work, or was killed.
    """

    tenant: str
    tip: str | None = None
    applied: str | None = None
    entries: Mapping[Address, Entry] = {}
    scopes: tuple[tuple[str, Scope], ...] = ()
    intent: Intent | None = None
    identities: Mapping[str, str] = {}
    renamed: Mapping[str, str] = {}

    @property
    def reach(self) -> tuple[tuple[str, Scope], ...]:
        """Where something of it may be: the scopes of its lines, and those of an open intent."""
        claimed = self.intent.scopes if self.intent else ()
        return tuple({(name, scope.domain): (name, scope) for name, scope in (*claimed, *self.scopes)}.values())


class Ledgers:
    """The ledgers of an estate."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def both(self, tenants: Sequence[str]) -> dict[str, dict[str, str]]:
        """The tips of the tenants named or of all, of the ledgers and of what runs without the remote keep apart."""
        if tenants:  # a listing reads every ref beside the one that is asked for
            found = self._repository.resolve([f"{base}{tenant}" for base in (REFS, OFFLINE) for tenant in tenants])
        else:
            found = self._repository.refs(REFS, OFFLINE)
        return {
            base: {name.removeprefix(base): tip for name, tip in found.items() if name.startswith(base)}
            for base in (REFS, OFFLINE)
        }

    def earlier(self, tenant: str, tip: str) -> list[Mapping[Address, Entry]]:
        """The lines of the ledger as of its last moves, the newest first; what cannot be read is left out."""
        listing = self._repository.git("rev-list", f"--max-count={_MOVES}", tip, "--", FILE)
        contents = self._repository.objects([f"{commit}:{FILE}" for commit in listing.decode().split()])
        found = [_read(tenant, tip, content, None) for content in contents.values()]
        return [ledger.entries for ledger in found if isinstance(ledger, Ledger)]

    def read(self, tips: Mapping[str, str | None], *files: str) -> dict[str, Ledger | LedgerError]:
        """{tenant: its ledger as of the tip given, or why it cannot be read}; of `FILE` alone it is without intent."""
        names = [f"{tip}:{file}" for tip in tips.values() if tip is not None for file in files or (FILE, INTENT)]
        contents = self._repository.objects(names)
        return {
            tenant: _read(tenant, tip, contents.get(f"{tip}:{FILE}"), contents.get(f"{tip}:{INTENT}"))
            for tenant, tip in tips.items()
        }


def _read(tenant: str, tip: str | None, content: bytes | None, intent: bytes | None) -> Ledger | LedgerError:
    if tip is None:
        return Ledger(tenant)
    if content is None:
        return LedgerError(f"{REFS}{tenant} holds no {FILE}")
    try:
        header, *lines = content.decode().removesuffix("\n").split("\n")
        found = _ledger(tenant, tip, json.loads(header), lines)
        return found if intent is None else found._replace(intent=as_intent(tenant, json.loads(intent)))
    except LedgerError as error:
        return error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return LedgerError(f"{REFS}{tenant} cannot be read ({error})")


def _ledger(tenant: str, tip: str, header: Mapping[str, Any], lines: Iterable[str]) -> Ledger:
    if header["format"] != FORMAT:
        raise LedgerError(f"{REFS}{tenant} is of format {header['format']!r}, which this version does not read")
    if header["tenant"] != tenant:
        raise LedgerError(f"{REFS}{tenant} holds the ledger of {header['tenant']!r}")
    if header["commit"] is not None and not _COMMIT.fullmatch(header["commit"]):
        raise LedgerError(f"{REFS}{tenant} names no commit as applied")
    entries = {}
    for data in json.loads(f"[{','.join(lines)}]"):  # one call for all lines: it is the loop that costs
        address = Address.parse(data.pop("address"))
        if address.kind not in kinds():
            raise LedgerError(f"{REFS}{tenant} holds a {address.kind!r}, which this version does not know")
        entries[address] = read(address.kind, data)
    identities, renamed = header.get("identities", {}), header.get("renamed", {})
    if not all(isinstance(text, str) for text in (*identities.values(), *renamed.values())):
        raise LedgerError(f"{REFS}{tenant} holds an identity or a name that is none")
    scopes = _scopes(header["scopes"])
    return Ledger(tenant, tip, header["commit"], entries, scopes, identities=identities, renamed=renamed)


def _scopes(data: Iterable[Any]) -> tuple[tuple[str, Scope], ...]:
    found = tuple((provider, Scope(domain, zone)) for provider, domain, zone in data)
    if not all(isinstance(text, str) for name, scope in found for text in (name, scope.domain, scope.zone)):
        raise ValueError("a scope is made of something else than text")
    return found


def as_intent(tenant: str, data: Mapping[str, Any]) -> Intent:
    """The content of `intent.json`. Raises LedgerError, ValueError, KeyError, TypeError, AttributeError."""
    if data["format"] != INTENT_FORMAT:
        raise LedgerError(
            f"{REFS}{tenant} holds an intent of format {data['format']!r}, which this version does not read"
        )
    if not _is_intent(data):
        raise LedgerError(f"{REFS}{tenant} holds an intent that lacks a part, or has another in its place")
    claims = tuple(_claim(tenant, change["address"], change["claim"]) for change in data["changes"])
    return Intent(
        data["run"], data["began"], data["actor"], data["commit"], data["digest"],
        {name: data["holder"][name] for name in HOLDER}, int(data["lease"]), claims, data["unlocked"],
        _scopes(data["scopes"]), data.get("no_remote") or "",
    )  # fmt: skip


def _claim(tenant: str, name: str, data: Mapping[str, Any]) -> Change:
    address, domain = Address.parse(name), data["domain"]
    before, after = (_resource(address, data[side], domain) for side in ("before", "after"))
    entry = None if data["entry"] is None else read(address.kind, data["entry"])
    was = Address.parse(data["was"]) if "was" in data else None
    return Change(named(address.kind), address, tenant, domain, None, before, None, after, entry, was=was)


def claim(change: Change) -> dict[str, Any]:
    """A change as an intent holds it: what is there before and after, and the ledger's line once that is seen."""
    sides = {"before": change.live, "after": change.aim}
    return {
        "domain": change.domain,
        **({} if change.was is None else {"was": str(change.was)}),
        **{name: None if side is None else encoded(side.attributes) for name, side in sides.items()},
        "entry": None if change.entry is None else written(change.entry),
    }


def _resource(address: Address, said: Any, domain: str) -> Resource | None:
    return None if said is None else Resource(address, values(address.kind, said), domain)


def advanced(ledger: Ledger, record: Record, commit: str) -> Ledger:
    """The ledger after what a run has confirmed."""
    applied = commit if record.whole else ledger.applied
    known = ledger._replace(identities={**ledger.identities, **record.identities})
    return noted(known, record.entries, record.scopes)._replace(applied=applied)


def noted(ledger: Ledger, moved: Mapping[Address, Entry | None], read: Iterable[tuple[str, Scope]]) -> Ledger:
    """The ledger with some lines put in the place of its own (None: taken out); `read` are the scopes they are in."""
    entries = {address: entry for address, entry in ledger.entries.items() if address not in moved}
    entries |= {address: entry for address, entry in moved.items() if entry is not None}
    used = {(address.provider, entry.domain) for address, entry in entries.items()}
    known = {(provider, scope.domain): scope for provider, scope in (*ledger.scopes, *read)}
    scopes = tuple((key[0], known[key]) for key in sorted(used) if key in known)
    systems = {provider for provider, _ in used}
    identities = {name: identity for name, identity in ledger.identities.items() if name in systems}
    renamed = {name: old for name, old in ledger.renamed.items() if name in systems}
    return ledger._replace(entries=entries, scopes=scopes, intent=None, identities=identities, renamed=renamed)


def listed(scopes: Iterable[tuple[str, Scope]]) -> list[list[str]]:
    """Scopes as JSON has them."""
    return [[provider, scope.domain, scope.zone] for provider, scope in scopes]


def text(ledger: Ledger) -> bytes:
    """The content of `ledger.jsonl`."""
    scopes = listed(ledger.scopes)
    header: dict[str, Any] = {"format": FORMAT, "tenant": ledger.tenant, "commit": ledger.applied, "scopes": scopes}
    header["identities"] = dict(sorted(ledger.identities.items()))
    if ledger.renamed:
        header["renamed"] = dict(sorted(ledger.renamed.items()))
    lines = [
        header,
        *({"address": str(address), **written(entry)} for address, entry in sorted(ledger.entries.items())),
    ]
    return b"".join(map(compact, lines))
