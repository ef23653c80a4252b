"""One command's view of the world: the estate at a commit, the ledgers, the day, the live systems."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

from reconciler import offline, trust
from reconciler.checks import acceptances
from reconciler.errors import InputError, LedgerError, RemoteError
from reconciler.estate import Estate
from reconciler.findings import Finding, Origin, Rule, accepted
from reconciler.holders import free
from reconciler.ledger import OFFLINE, REFS, Ledger, Ledgers
from reconciler.spread import spread
from reconciler.swap import Refs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from reconciler.changes import Gift
    from reconciler.compile import Compiled
    from reconciler.request import Request
    from reconciler.runner import World
    from reconciler.tenant_files import Tenant

CHUNK = 40  # tenants read, compared and applied together: enough to save round trips, few enough to stay small
PARALLEL_TENANTS = 100  # below, starting worker processes costs more than it saves

NO_REMOTE = Rule(
    "PL305",
    "warning",
    "Planned from the ledger as it was seen last",
    "Nothing is applied until its remote answers.",
    why="Another run may have written since: what this plan shows may be done already, or undone.",
)
NO_SUCH_TENANT = Rule(
    "IN305",
    "error",
    "No such tenant",
    "See the folders under tenants/.",
    why="A misspelled name must not pass for a tenant with nothing to do: its change would wait, and "
    "everybody think it is made.",
)

_ANSWERS, _NONE = "the ledger's remote answers", "the ledger has no remote"

Answer = TypeVar("Answer")


class Session:
    """Opened once per command and closed by `with`. Raises InputError for what stops everything.

    `fetch`: the remote that holds the ledger is asked first.
    """

    def __init__(self, request: Request, *, fetch: bool = False) -> None:
        self.request = request
        self.estate = Estate(request.root, request.revision, worktree=request.worktree, as_of=request.as_of)
        self.ledgers = Ledgers(self.estate.repository)
        self.rewritten: Mapping[str, str] = {}
        self.gifts: Mapping[str, Sequence[Gift]] = {}
        self.findings: list[Finding] = list(self.estate.findings)
        self.tips: Mapping[str, str] = {}
        self.apart: Mapping[str, str] = {}
        self.joins: Mapping[str, str] = {}
        self.unsigned: Mapping[str, str] = {}  # {tenant: a tip that nobody who may has signed}
        self._good = set[str]()  # tips that somebody who may has signed
        try:
            self.trusted = Estate(request.root, request.trusted) if request.trusted else self.estate
            self.systems, self.signers = self.trusted.agency, self.trusted.signers  # who is asked, and with what
            said = request.changed_since
            self.since = self.estate.repository.commit(said) if said else None  # what was wrong there is known
            self.look(fetch=fetch)
        except (InputError, LedgerError):
            self.estate.close()
            raise
        self.today = self.estate.today
        old = acceptances.expired(self.agency_accept, "reconciler.yaml", self.today)
        self.findings += self.estate.located_all(list(old))
        known = {*self.tips, *self.unsigned, *self.joins}
        asked = [name for name in request.tenants if name in known or self.estate.has(name)]
        names = {*asked} if request.tenants else {*self.estate.tenants, *known}
        self.names = tuple(sorted(self._changed(names)))
        origin = Origin("tenants", line=1, column=1)
        unknown = dict.fromkeys(name for name in request.tenants if name not in asked)
        self.unknown = [NO_SUCH_TENANT.at(name, f"There is no tenants/{name}.", origin) for name in unknown]
        self.findings += self.unknown
        self.findings += self.estate.located_all(list(trust.findings(request, self.estate.agency, self.systems)))

    @classmethod
    def asking(cls, request: Request, *, fetch: bool = False) -> Self:
        """One for a question, which shows no findings: a tenant there is not stops it. Raises InputError."""
        session = cls(request, fetch=fetch)
        if session.unknown:
            session.estate.close()
            raise InputError(session.unknown)
        return session

    def _remote(self) -> str | None:
        """Where the ledger is kept: what reconciler.yaml says, else `origin` where there is one.

        What its clones call `origin` is a bare repository itself.
        """
        said, repository = self.systems.data.get("ledger", {}), self.estate.repository
        remote: str | None = said.get("remote", "origin")
        if remote != "origin" or ("remote" in said and not repository.bare):
            return remote
        return remote if repository.attempt("config", "remote.origin.url").returncode == 0 else None

    def _changed(self, names: set[str]) -> set[str]:
        """Those whose files differ from what they were, or all of them where the agency's do."""
        if self.since is None:
            return names
        worktree = self.request.worktree
        changed = self.estate.repository.changed(self.since, None if worktree else self.estate.commit)
        paths = [path for path in changed if self.estate.reads(path)]
        if any(not path.startswith("tenants/") for path in paths):
            return names
        return names & {path.split("/")[1] for path in paths}

    def look(self, *, fetch: bool = True) -> None:
        """See how far the ledgers are now."""
        away = fetch and not self._fetch()
        found = self.ledgers.both(self.request.tenants)
        self.tips = found[REFS]
        self.apart = offline.waiting(self.estate.repository, found[OFFLINE], self.tips)
        if away or self.request.no_remote:
            self.tips, self.joins = {**self.tips, **self.apart}, {}
        else:
            self.joins = self.apart
        if fetch:
            self._trust()

    @cached_property
    def world(self) -> World:
        """The live systems."""
        from reconciler.runner import World

        return World(self.systems, self.request.root)

    @cached_property
    def refs(self) -> Refs:
        """The ledgers' refs, here and where they are kept; of a run without the remote those kept apart."""
        if self.request.no_remote:
            return self.refs_apart
        return Refs(self.estate.repository, self._remote(), signers=self.signers)

    @cached_property
    def refs_apart(self) -> Refs:
        """The refs of runs without the remote, in this clone alone."""
        return Refs(self.estate.repository, None, base=OFFLINE, signers=self.signers)

    @cached_property
    def untold(self) -> bool:
        """Whether nobody brought a ledger into this clone yet, though another repository may keep some."""
        listed = self.estate.repository.attempt("for-each-ref", "--count=1", "--format=%(refname)", REFS)
        return not listed.stdout and self._remote() is not None

    def kept(self, tenant: str) -> Ledger:
        """A tenant's ledger as runs without the remote left it and nobody has joined it yet."""
        found = self.ledgers.read({tenant: self.joins.get(tenant)})[tenant]
        return found if isinstance(found, Ledger) else Ledger(tenant)

    def told(self, tenants: Sequence[str] = ()) -> list[str]:
        """The tips of the ledgers of some tenants, or of those asked for, that may be believed."""
        among = tenants or self.request.tenants
        return [tip for tips in (self.tips, self.joins) for name, tip in tips.items() if not among or name in among]

    def _trust(self) -> None:
        """Leaves out the ledgers that nobody who may has signed for: nothing that they say counts, for anybody."""
        tips, joins = self.vouched(self.tips), self.vouched(self.joins)
        self.unsigned = dict([*(self.tips.items() - tips.items()), *(self.joins.items() - joins.items())])
        self.tips, self.joins = tips, joins

    def vouched(self, tips: Mapping[str, str]) -> Mapping[str, str]:
        """Those that were signed by one who may, where that is asked for: a tip vouches for what it was built on."""
        signers, repository = self.signers, self.estate.repository
        if signers is None:
            return tips
        fresh = [tip for tip in tips.values() if tip not in self._good]
        workers = _workers(len(fresh))  # Git starts processes for each
        bad = spread(lambda some: signers.unsigned(repository, some), fresh, size=CHUNK, workers=workers)
        self._good |= set(fresh).difference(*bad)
        return {tenant: tip for tenant, tip in tips.items() if tip in self._good}

    def _fetch(self) -> bool:
        """Brings our refs up to date; without an answer what was seen last has to do. Gives whether it answered."""
        refs = Refs(self.estate.repository, self._remote())
        try:
            self.rewritten = refs.fetch(self.request.tenants)
        except RemoteError as error:
            origin = Origin("reconciler.yaml", ("ledger",))
            self.findings.append(NO_REMOTE.at(str(refs.remote), f"{error}.", origin))
            return False
        if self.request.no_remote:
            raise LedgerError(f"{_ANSWERS if refs.remote else _NONE}: apply without --no-remote")
        return True

    def locked(self, ledger: Ledger) -> str:
        """Who is at work on a tenant; empty where nobody is."""
        intent, tip = ledger.intent, ledger.tip
        if intent is None or tip is None or free(intent, self.request.broken, tip):
            return ""
        where = f"{intent.holder['host']}, process {intent.holder['pid']}"
        ci = f", CI run {intent.holder['ci']}" if intent.holder["ci"] else ""
        return f"run {intent.run} by {intent.actor} on {where}{ci} is at work on it since {intent.began}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        world: World | None = self.__dict__.get("world")  # asked for or not
        if world is not None:
            world.close()
        for estate in {self.estate, self.trusted}:
            estate.close()

    def over_tenants(self, job: Callable[[Sequence[str]], list[Answer]]) -> list[Answer]:
        """The job's answers for all tenants asked for; in worker processes where there is enough to do."""
        answers: list[Answer] = []
        for part in spread(job, self.names, size=CHUNK, workers=_workers(len(self.names))):
            answers += part
            self.request.progress(len(answers), len(self.names))
        return answers

    def compiled(self, names: Sequence[str]) -> Iterator[tuple[Tenant, Compiled]]:
        """Each tenant's documents and desired state, its findings with their lines looked up."""
        for tenant in self.estate.parsed(names).values():
            compiled = self.estate.compile(tenant)
            found = accepted(compiled.findings, self.accept(tenant), self.today)
            old = acceptances.expired(compiled.rules.accept, f"{tenant.files.folder}/control.yaml", self.today)
            compiled.findings = [f._replace(origin=self.estate.located(tenant, f.origin)) for f in (*found, *old)]
            yield tenant, compiled

    @property
    def agency_accept(self) -> Sequence[Mapping[str, Any]]:
        """The acceptances in reconciler.yaml."""
        return self.estate.agency.data.get("accept", ())  # type: ignore[no-any-return]

    def accept(self, tenant: Tenant) -> list[Mapping[str, Any]]:
        """The acceptances that hold for a tenant: its own and the agency's."""
        return [*self.agency_accept, *tenant.files.control.get("accept", ())]


def _workers(tenants: int) -> int:
    """How many processes so many tenants are worth."""
    return min(os.cpu_count() or 1, 8) if tenants >= PARALLEL_TENANTS else 1
