"""What was done, from Git alone: the runs, and the history of a name. No live system is asked, no document read."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from reconciler import canonical, journal
from reconciler.errors import LedgerError
from reconciler.ledger import RUN, Ledger
from reconciler.review import sha256, tenant_digest
from reconciler.runs import parsed, runs
from reconciler.swap import Commit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.changes import TenantPlan
    from reconciler.history import Repository
    from reconciler.session import Session

Data = dict[str, Any]
_PATIENCE = 1.0  # seconds between two looks at a lock
_APPLIED = ("tenant", "run", "actor", "began", "ended", "commit", "digest", "version", "no_remote")
_HEAD = ("run", "actor", "began", "commit", "version", "no_remote")


def resumed(repository: Repository, tenants: Sequence[TenantPlan]) -> str:
    """The digest of the plan that a killed run was applying, put together from what it left; empty where none was.

    What it finished has that digest in its outcome, what it began in its intent, and the rest is as it was.
    """
    begun = {plan.unfinished.run for plan in tenants if plan.unfinished}
    if not begun:
        return ""
    done = {f"{plan.tip}:{RUN}": plan.tenant for plan in tenants if plan.tip and not plan.changes}
    finished = {}
    for name, content in repository.objects(list(done)).items():
        with suppress(LedgerError):  # whose it is was not applying this plan
            if (run := parsed(name, content))["run"] in begun:
                finished[done[name]] = run["digest"]
    return sha256([[p.tenant, p.unfinished.digest if p.unfinished else finished.get(p.tenant, tenant_digest(p))]
                   for p in tenants])  # fmt: skip


def log(session: Session, limit: int) -> list[Data]:
    """The newest runs, each with what became of its tenants; those that are at work or were killed among them."""
    found: dict[str, Data] = {}
    state = {
        (ledger.tenant, ledger.intent.run): bool(session.locked(ledger)) for ledger in _open(session) if ledger.intent
    }
    for run in runs(session.estate.repository, session.told()):
        if run["run"] not in found and len(found) >= limit:
            if (run["ended"] or run["began"]) < min(whole["began"] for whole in found.values()):
                break  # older than all that is shown; others may stand between a run's tenants
            continue
        head = {key: run[key] for key in _HEAD}
        whole = found.setdefault(run["run"], {**head, "ended": run["ended"], "tenants": []})
        done = sum(change["result"] == "applied" for change in run["changes"])
        result = "at work" if run["ended"] is None and state.get((run["tenant"], run["run"])) else run["result"]
        missed = len(run["changes"]) - done
        whole["tenants"].append({"tenant": run["tenant"], "result": result, "done": done, "not_done": missed})
    return sorted(found.values(), key=lambda whole: whole["began"], reverse=True)  # Git orders by whole seconds of ends


def _open(session: Session) -> list[Ledger]:
    """The ledgers with an intent, those that are kept apart among them."""
    ledgers = session.ledgers.read({name: session.tips.get(name) for name in session.names}).values()
    both = [*ledgers, *map(session.kept, session.joins)]
    return [found for found in both if isinstance(found, Ledger) and found.intent is not None]


def history(session: Session, name: str) -> list[Data]:
    """Every change to an address, a name, a domain or a tenant: what, from what to what, by whom, and its undoing."""
    found, moved = _told(session, tenants := _tenants(session, name), name)
    if tenants and moved and name not in session.names:  # it was taken over as it was, maybe from another tenant
        found, _ = _told(session, [], name)
    return found


def _told(session: Session, tenants: Sequence[str], name: str) -> tuple[list[Data], bool]:
    """What the runs of some tenants (none: all) did to it, and whether one found it there and adopted it.

    Before it got its name it had another, and what was done to it then is told too.
    """
    found, adopted, asked = list[Data](), False, {_canonical(name)}
    for run in runs(session.estate.repository, session.told(tenants)):
        found += (here := _here(run, asked, whole=run["tenant"] == name))
        adopted |= any(step["what"] == "adopt" and _among(step, asked) for step in run["steps"])
        asked |= {change["was"].lower() for change in here if change["was"] and change["result"] == "applied"}
    return found, adopted


def last(repository: Repository, tips: Iterable[str], name: str) -> Data | None:
    """The newest change to a name that was made or noted, as `history` tells it. Raises LedgerError."""
    told = (change for run in runs(repository, tips) for change in _here(run, {_canonical(name)}))
    return next((change for change in told if change["result"] in {"applied", "noted"}), None)


def _here(run: Data, asked: Iterable[str], *, whole: bool = False) -> list[Data]:
    applied = {key: run[key] for key in _APPLIED}
    made = [change for change in run["changes"] if whole or _among(change, asked)]
    noted = [_noted(step) for step in run["steps"] if (whole or _among(step, asked)) and _tells(step)]
    return [{"was": None, **change, "applied": applied} for change in (*made, *noted)]


def _tells(step: Data) -> bool:
    """Whether a move of the ledger alone is one of what somebody said, not only of how the ledger says it."""
    return bool(step["what"] != "settle" or step["fields"])


def _noted(step: Data) -> Data:
    """A move of the ledger alone in the form of a change: nothing live was written."""
    kept = {key: step[key] for key in ("address", "fields", "origin")}
    revert = "full" if step["what"] == "settle" else None
    made = {"action": step["what"], "reason": "declared", "revert": revert, "loses": None}
    return {**kept, **made, "result": "noted", "error": None}


def _among(done: Data, asked: Iterable[str]) -> bool:
    addresses = [done["address"], *filter(None, [done.get("was")])]
    return any(_concerns(address, name) for address in addresses for name in asked)


def _tenants(session: Session, name: str) -> list[str]:
    """The tenants to look in: the one that holds the name's domain, or (none) all of them."""
    if name in session.names:
        return [name]
    labels = _host(name).split(".")
    parents = (".".join(labels[start:]) for start in range(len(labels)))
    holders = next((held for parent in parents if (held := session.estate.holders.get(parent))), None)
    return [tenant for tenant in holders if tenant in session.tips] if holders else []


def _host(name: str) -> str:
    return canonical.domain(name.rpartition("@")[2].rpartition("/")[2])


def _canonical(name: str) -> str:
    """What was asked for as addresses are compared with it: a name, or the end or the whole of an address."""
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{canonical.address(last) if '@' in last else canonical.domain(last)}".lower()


def _concerns(address: str, asked: str) -> bool:
    whole = address.lower()
    if whole.endswith(asked) and (asked == whole or whole[-len(asked) - 1 :][:1] == "/") and asked:
        return True
    host = _host(whole)
    return "@" not in asked and "/" not in asked and (host == asked or host.endswith(f".{asked}"))


def unlock(session: Session, tenant: str, run: str) -> str:
    """Break a run's lock; what it said it would do stays a claim. Gives who held it. Raises LedgerError."""
    known = session.ledgers.read({tenant: session.tips.get(tenant)})[tenant]
    if isinstance(known, LedgerError):
        raise known
    ledger = next((kept for kept in (session.kept(tenant),) if kept.intent and kept.intent.run == run), known)
    intent = ledger.intent
    if intent is None or intent.run != run or intent.unlocked is not None or ledger.tip is None:
        held = f"; run {intent.run} does" if intent is not None and intent.unlocked is None else ""
        raise LedgerError(f"run {run} holds no lock on {tenant}{held}")
    repository = session.estate.repository
    who = journal.identity(repository)
    broken = journal.unlocked(repository, ledger.tip, who)
    refs = session.refs_apart if ledger.tip in session.apart.values() else session.refs
    _, refused = refs.write(who, [Commit(tenant, ledger.tip, f"unlocked: run {run}\n", broken)])
    for error in refused.values():
        raise error
    return session.locked(ledger) or f"run {intent.run} by {intent.actor}, which is gone"


def watch(session: Session, seconds: float) -> frozenset[str]:
    """Waits until nobody is at work on the tenants, or the time is up: the tips that stood still for a whole lease.

    Only this process's own clock counts, from the moment it saw a tip first.
    """
    since: dict[str, float] = {}
    begun = journal.clock()
    while True:
        session.look()
        busy = [found for found in _open(session) if session.locked(found)]
        now = journal.clock()
        for ledger in busy:
            since.setdefault(str(ledger.tip), now)
        still = {str(found.tip) for found in busy if found.intent and now - since[str(found.tip)] >= found.intent.lease}
        if all(found.tip in still for found in busy) or now - begun >= seconds:
            return frozenset(still)
        time.sleep(min(_PATIENCE, max(0.0, begun + seconds - now)))
