"""The questions that Git alone answers, as short lists of calls. No live system and no remote is contacted."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from reconciler import last_change, reviewers
from reconciler.compile import Compiled
from reconciler.documents import Document
from reconciler.errors import InputError, LedgerError, ReconcilerError
from reconciler.files import Files
from reconciler.findings import Origin, did_you_mean
from reconciler.holders import open_run
from reconciler.ledger import Ledger
from reconciler.naming import SHOWN, domain_meant, meant, named_in
from reconciler.questions import inventory as questions
from reconciler.questions import who as answers
from reconciler.questions.inventory import Known
from reconciler.questions.view import View
from reconciler.removed import removals
from reconciler.request import differing
from reconciler.session import Session
from reconciler.tenant_files import Tenant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.findings import Finding
    from reconciler.model import Address, Entry, Resource
    from reconciler.naming import Meant
    from reconciler.request import Request

Data = dict[str, Any]
_NONE = ("-",)  # no tenant's id: of none of them
_FILES = ("domain-templates", "reconciler.yaml")


def codeowners(request: Request) -> tuple[str, list[Finding], list[str]]:
    """The CODEOWNERS file, who of those in its roles cannot be asked, what is not committed. Raises InputError."""
    with differing(request) as differs, Session.asking(request) as session:
        return *reviewers.made(session), differs()


def who(request: Request, name: str) -> tuple[Data, list[str]]:
    """Whose something is, who may reset and change it, what changed last; and which files read are not committed so.

    Raises ReconcilerError for unknown names.
    """
    with Session.asking(request) as session:
        found = meant(session, name)
        desk = _Desk(session, found.tenant)
        answer = {"address": desk.address, "domain": desk.domain, "person": desk.person}[found.kind](found)
        data = {**_head(session), "open_runs": desk.open_runs(), "asked": name, **answer}
    read = answer["details"].get("tenants", ())[:SHOWN] if found.kind == "person" else [found.tenant]
    with differing(request._replace(tenants=tuple(read) or _NONE)) as differs:
        return data, differs()


def inventory(request: Request, domain: str) -> tuple[Data, list[Finding], list[str]]:
    """The domains of the tenants asked for, or one; why some tenants are not told of, and what is not committed.

    Raises ReconcilerError for an unknown name.
    """
    with Session.asking(request) as session:
        asked = ""
        if domain:
            found = domain_meant(session, domain)
            asked, session.names = found.name, (found.tenant,)

        def job(names: Sequence[str]) -> list[tuple[Data | None, list[Finding]]]:
            return [_inventoried(session, name, asked) for name in names if session.estate.has(name)]

        parts = session.over_tenants(job)
        bad = [finding for _, found in parts for finding in found]
        tenants = [data for data, _ in parts if data is not None]
        data = {**_head(session), "tenants": tenants}
        names = session.names if domain else request.tenants
    with differing(request._replace(tenants=names)) as differs:
        return data, bad, differs()


def _head(session: Session) -> Data:
    """What all these answers begin with: as of when, and whether this clone has ledgers."""
    return {"commit": session.estate.commit, "as_of": session.today, "ledgers": not session.untold}


def _inventoried(session: Session, name: str, asked: str) -> tuple[Data | None, list[Finding]]:
    try:
        desk = _Desk(session, name)
    except InputError as error:
        return None, list(error.findings)
    known = desk.known()
    domains = [domain for domain in sorted(desk.view.files.domains) if asked in {"", domain}]
    told = [questions.of_domain(desk.view, domain, known) for domain in domains]
    return {"tenant": desk.view.tenant(), "domains": told}, []


class _Desk:
    """One tenant's files, state and ledger (of no tenant: the agency's), and what is answered from them."""

    def __init__(self, session: Session, tenant: str) -> None:
        self._session, self._estate, self._repository = session, session.estate, session.estate.repository
        self._past = last_change.past_of(self._repository, self._estate.commit, len(self._estate.tenants))
        self._tenant = self._estate.parsed([tenant])[tenant] if tenant else Tenant(Files(""))
        self.view = view(session, self._tenant)
        tip = session.tips.get(tenant)
        self._tips = session.vouched({tenant: tip}) if tip is not None else {}
        self._unsigned, self._untold = tip is not None and not self._tips, tip is None and session.untold
        found = session.ledgers.read({tenant: self._tips.get(tenant)})[tenant]
        self._ledger = Ledger(tenant) if isinstance(found, LedgerError) else found
        self._unread = found if isinstance(found, LedgerError) else None

    def open_runs(self) -> list[Data]:
        """The run that is at work on the tenant or was killed there, if one is: what was applied may be otherwise."""
        ledger = self._ledger
        return [open_run(ledger.tenant, ledger.intent, ledger.tip)] if ledger.intent and ledger.tip else []

    def address(self, found: Meant) -> Data:
        """A declared address, what answers for it, or one that the ledger still knows."""
        match = answers.matching(self.view, found.name)
        retired = {
            a.name: a for a, e in self._ledger.entries.items() if a.kind in {"mailbox", "alias"} and not e.absent
        }
        kept = answers.answering(self.view, found.name, retired)
        if kept is not None and (match is None or match[1] == "catch-all"):
            return {**self._gone(retired[kept[0]]), "via": kept[1] or None}
        if match is None:
            near = did_you_mean(found.name, self.view.named)
            past = "" if self._applied(found.name) is None else f" What it was: `reconciler history {found.name}`."
            raise ReconcilerError(f"{found.name} is not declared: mail for it is refused.{past or near}")
        thing = self.view.named[match[0]]
        applied = self._as_applied([thing])
        last = {"applied": applied, "last_change": self._of([thing], applied=applied)}
        return {**answers.of_address(self.view, match[0]), "via": match[1] or None, **last}

    def _gone(self, address: Address) -> Data:
        """What Git no longer declares: retired, or still as it was because the removal is not applied yet."""
        entry, base = self._ledger.entries[address], self._ledger.applied
        last = None
        if not entry.retired and not last_change.beyond(self._past, base):
            found = removals(self._session, self._tenant.files.tenant, base, {address}).get(address)
            last = found and last_change.removed(self._repository, found[1], found[0])
        last = last or self._applied(address.name) or last_change.unknown("unknown: the journal does not tell")
        kept = {"applied": bool(entry.retired), "last_change": last}
        return {**answers.of_retired(self.view, address, entry), **kept}

    def domain(self, found: Meant) -> Data:
        """A domain."""
        if found.name not in self.view.files.domains:
            raise ReconcilerError(f"the file of {found.name} has another name than the domain in it")
        things = [thing for thing in self.view.compiled.state.values() if thing.domain == found.name]
        gone = {a for a, e in self._ledger.entries.items() if e.domain == found.name and not e.absent and not e.retired}
        applied = False if gone - self.view.compiled.state.keys() else self._as_applied(things)
        last = self._of(things, found.name, applied=applied)
        return {**answers.of_domain(self.view, found.name), "via": None, "applied": applied, "last_change": last}

    def person(self, found: Meant) -> Data:
        """A person or a team; of the agency's with what they are in the tenants that name them."""
        data = answers.of_person(self.view, found.name)
        tenants = [found.tenant] if found.tenant else named_in(self._session, found.name)
        if not found.tenant:
            for tenant in self._estate.parsed(tenants[:SHOWN]).values():
                if tenant.sound:
                    answers.add(data, answers.of_person(view(self._session, tenant), found.name))
        data["details"] |= {"tenants": tenants, "looked_into": len(tenants[:SHOWN])}
        return {**data, "via": None, "applied": None, "last_change": self._of_person(found.name)}

    def known(self) -> Known:
        """The ledger's lines and how old they are."""
        commits = {entry.commit for entry in self._ledger.entries.values()}
        written, zone = last_change.written(self._repository, commits), self._estate.zone
        days = {c: datetime.fromisoformat(when).astimezone(zone).date().isoformat() for c, (_, when) in written.items()}
        return Known(self._ledger.entries, days)

    def _of(self, things: list[Resource], domain: str = "", *, applied: bool | None) -> Data:
        """The last change to some things: in Git, where they are not as applied, else the one that was applied last."""
        if self._unsigned or self._unread:
            return self._nothing()
        entries = [self._ledger.entries.get(thing.address) for thing in things]
        changed = None if applied else self._in_git(things, domain, entries)
        return changed or self._applied(domain or things[0].address.name) or self._nothing()

    def _as_applied(self, things: Iterable[Resource]) -> bool | None:
        """Whether some things are as they were applied last; None: nobody here knows."""
        if self._unsigned or self._unread or self._untold:
            return None
        pairs = ((thing, self._ledger.entries.get(thing.address)) for thing in things)
        return all(e is not None and not e.absent and dict(t.attributes) == dict(e.said) for t, e in pairs)

    def _in_git(self, things: list[Resource], domain: str, entries: list[Entry | None]) -> Data | None:
        """The commit since the last apply that wrote these lines, else one that touched a file they come of."""
        base, first = self._ledger.applied, None if domain else entries[0]
        if first is not None and first.commit:
            base = first.commit
        lines = None if domain else self._lines(things[0].origin)
        changed = last_change.in_lines(self._past, base, lines) if lines else None
        return changed or last_change.in_files(self._past, base, self._files(things, domain))

    def _of_person(self, name: str) -> Data:
        lines, base = self._lines(self.view.people.places[name]), self._ledger.applied
        found = last_change.in_lines(self._past, None, lines) if lines else None
        if lines and base and found is not None and found["unknown"]:
            found = last_change.in_lines(self._past, base, lines) or found
        return found or last_change.unknown("unknown: Git does not tell")

    def _files(self, things: Iterable[Resource], domain: str) -> list[str]:
        folder = self.view.files.folder
        named = [f"{folder}/{side}/{domain or thing.domain}.yaml" for side in ("domains", "dns") for thing in things]
        return [*dict.fromkeys(named), *_FILES]

    def _lines(self, origin: Origin | None) -> last_change.Lines | None:
        if origin is None or (file := self._estate.tree.get(origin.file)) is None:
            return None
        return last_change.lines_of(Document(file.path, self._repository.read([file])[file.path], {}), origin.path)

    def _applied(self, name: str) -> Data | None:
        try:
            return last_change.applied(self._repository, list(self._tips.values()), name)
        except LedgerError as error:
            return last_change.unknown(f"unknown: {error}")

    def _nothing(self) -> Data:
        if self._unsigned:
            return last_change.unknown("unknown: nobody who may has signed for the ledger")
        return last_change.unknown(f"unknown: {self._unread}" if self._unread else "unknown: Git does not tell")


def view(session: Session, tenant: Tenant) -> View:
    """What questions look at. Raises InputError where the tenant's files cannot be used."""
    estate = session.estate

    def place(origin: Origin) -> Origin:
        return estate.located(tenant, origin)

    if not tenant.sound:
        raise InputError([finding._replace(origin=place(finding.origin)) for finding in tenant.findings])
    compiled = estate.compile(tenant) if tenant.files.tenant else Compiled("")
    return View(tenant.files, compiled, estate.agency, estate.domains, session.today, place)
