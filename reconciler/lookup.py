"""What `trace` is answered from: a commit's desired state, and what the ledgers say was applied.

Only the tenants that mail really gets to are read, from Git alone: no live system and no remote is asked.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

from reconciler import canonical, routes
from reconciler.checks.pointing import Places
from reconciler.errors import LedgerError
from reconciler.holders import open_run
from reconciler.ledger import FILE, REFS, Ledger
from reconciler.questions.view import kind_of, said_kind
from reconciler.request import differing
from reconciler.session import Session
from reconciler.tracing import Known, Place, Traced, steps, trace
from reconciler.wording import called

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from reconciler.compile import Compiled
    from reconciler.model import Address, Entry, Resource, Value
    from reconciler.request import Request
    from reconciler.tenant_files import Tenant
    from reconciler.tracing import End

_CHUNK, _MOST = 400, 1000  # ledgers looked into together, and at most


def traced(request: Request, address: str) -> Traced:
    """Where mail for a canonical address ends up, now and after this change. Raises InputError, LedgerError."""
    with _Session.asking(request) as session:
        mail = _Mail(session, canonical.domain_of(address))
        inside = session.estate.agency.inside
        now, after = trace(address, mail.now, inside), trace(address, mail.after, inside)
        ledger = mail.ledger(now.tenant) if now.tenant else None
        applied = ledger.applied if ledger else None
        commit, day = session.estate.commit, session.today
        told = applied is not None or not session.untold
        runs = mail.open_runs({step.tenant for step in steps(now) if step.tenant})
    tenant = after.tenant or now.tenant
    answer = Traced(address, commit, day, tenant, applied, now, after, ledgers=told, open_runs=runs)
    read = {step.tenant for root in (now, after) for step in steps(root) if step.tenant}
    if not read:
        return answer
    with differing(request._replace(tenants=tuple(sorted(read)))) as differs:
        return answer._replace(differing=tuple(differs()))


class _Session(Session):
    """Ledgers are asked for one by one: to list all of an estate takes longer than to read those that matter."""

    def look(self, *, fetch: bool = True) -> None:
        assert not fetch
        if self.request.tenants:
            super().look(fetch=False)


class _Mail:
    """The mail of the tenants that are asked for, each read once, now and after the change."""

    def __init__(self, session: Session, host: str) -> None:
        self._session, self._host = session, host
        self.ledger = cache(self._ledger)
        self._applied, self._wanted = cache(self._read_applied), cache(self._read_wanted)
        self._keeper = cache(self._read_keeper)

    def now(self, host: str) -> tuple[str, Known | End] | None:
        """By the ledger of the domain's tenant; of one that was moved, by the one it was moved from."""
        holder = self._session.estate.domains.get(host)
        if holder:
            known = self._applied(holder)
            if isinstance(known, str) or host in known.table.domains:
                return holder, known
        keeper = self._keeper() if host == self._host else None
        if keeper:
            known = self._applied(keeper)
            return keeper, known if isinstance(known, str) or host in known.table.domains else "no mail here"
        return (holder, "not applied") if holder else None

    def after(self, host: str) -> tuple[str, Known | End] | None:
        """By the commit; a mailbox that is no longer declared is retired and still receives."""
        holder = self._session.estate.domains.get(host) or (self._keeper() if host == self._host else None)
        if not holder:
            return None
        known = self._wanted(holder)
        return (holder, known if isinstance(known, str) or host in known.table.domains else "no mail here")

    def open_runs(self, tenants: AbstractSet[str]) -> tuple[Mapping[str, str], ...]:
        """Those of some tenants that are at work or were killed: what was applied may be otherwise by now."""
        ledgers = filter(None, map(self.ledger, sorted(tenants)))
        return tuple(open_run(one.tenant, one.intent, one.tip) for one in ledgers if one.intent and one.tip)

    def _ledger(self, tenant: str) -> Ledger | None:
        """None: it cannot be read, or nobody who may has signed for it."""
        session = self._session
        tips = session.ledgers.both([tenant])[REFS]
        if session.vouched(tips) != tips:
            return None
        found = session.ledgers.read({tenant: tips.get(tenant)})[tenant]
        return None if isinstance(found, LedgerError) else found

    def _read_keeper(self) -> str | None:
        """The tenant whose ledger has the domain that is asked for, where Git does not lead to it: of those named, or
        of all, unless there are too many to look into.
        """
        asked = self._session.request.tenants
        tips = sorted(self._session.ledgers.both(asked)[REFS].items())
        objects = self._session.estate.repository.objects
        said = f",{json.dumps(self._host)},".encode()  # of a scope: provider, domain, zone
        for start in range(0, len(tips) if asked or len(tips) <= _MOST else 0, _CHUNK):
            names = {f"{tip}:{FILE}": tenant for tenant, tip in tips[start : start + _CHUNK]}
            heads = ((names[name], content.partition(b"\n")[0]) for name, content in objects(list(names)).items())
            if found := next((tenant for tenant, head in heads if said in head), None):
                return found
        return None

    def _read_applied(self, tenant: str) -> Known | End:
        ledger = self.ledger(tenant)
        if ledger is None:
            return "unknown"
        lines = {a: _line(entry) for a, entry in ledger.entries.items() if not entry.absent}
        named = {a.name: (a, ledger.entries[a]) for a in lines if a.kind in {"mailbox", "alias"}}
        return Known(routes.table(lines.items()), lambda name: _noted(*named[name]))

    def _read_wanted(self, tenant: str) -> Known | End:
        ((files, compiled),) = self._session.compiled([tenant])
        if any(f.severity == "error" and f.is_input for f in compiled.findings):
            return "unknown"
        ledger = self.ledger(tenant)
        kept = dict(self._kept(ledger, files, compiled)) if ledger else {}
        things: dict[Address, Mapping[str, Value]] = {a: _line(entry) for a, entry in kept.items()}
        things |= {a: r.attributes for a, r in compiled.state.items()}
        table = routes.table(things.items())
        domains = {canonical.domain_of(a.name): None for a in kept}
        named = {a.name: r for a, r in compiled.state.items() if a.kind in {"mailbox", "alias"}}
        retired = {a.name: (a, entry) for a, entry in kept.items()}
        places = Places(files.files)
        return Known(
            table._replace(domains={**domains, **table.domains}),
            lambda name: self._place(files, named[name], places) if name in named else _noted(*retired[name]),
            frozenset(a.name for a, ended in compiled.ended.items() if ended.why == "expired"),
        )

    def _kept(self, ledger: Ledger, tenant: Tenant, compiled: Compiled) -> Iterator[tuple[Address, Entry]]:
        """Mailboxes of the ledger that Git let go of: they keep their mail, and get more until they are purged."""
        domains, _files = self._session.estate.domains, tenant.files
        ours = {address.name for address in compiled.state if address.kind == "domain"} | compiled.rules.leaving.keys()
        for address, entry in ledger.entries.items():
            if address.kind != "mailbox" or address in compiled.state or str(address) in compiled.rules.released:
                continue
            if entry.domain in ours or entry.domain not in domains:
                yield address, entry._replace(retired=entry.retired or "later")

    def _place(self, tenant: Tenant, resource: Resource, places: Places) -> Place:
        origin = self._session.estate.located(tenant, resource.origin)
        pointed = {}
        for to in resource.get("to") if resource.address.kind == "alias" else resource.get("copies_to"):
            place = self._session.estate.located(tenant, places.target(resource, to))
            pointed[to] = (place.file, place.line)
        owner, expires = (resource.attributes.get(key) for key in ("owner", "expires"))
        return Place(called(kind_of(resource)), origin.file, origin.line, owner, expires, pointed)


def _line(entry: Entry) -> Mapping[str, Value]:
    """A ledger's line as what it says; of what is retired as much as still holds."""
    return {"state": "retired"} if entry.retired else entry.said


def _noted(address: Address, entry: Entry) -> Place:
    said, kind = entry.said, said_kind(address, entry.said)
    return Place(called(kind), entry.file, entry.line, said.get("owner"), said.get("expires"))
