"""What a plan is made of, and what comes of it: changes, drift, ledger steps, batches, results. Plain frozen data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.findings import Finding, Origin
    from reconciler.model import Address, Entry, Kind, Resource, Scope, Value


class Change(NamedTuple):
    """What shall become of one thing. It stores states, not verbs: action and fields are derived.

    `aim` is what live shall be afterwards (None: gone), `entry` the ledger line once that is confirmed
    (None: forget it). `held` says what holds it back for now, and until when. `was` is the address it had, where it
    gets another one; `live` is then what is there under that, as if it had the new one.
    """

    kind: Kind
    address: Address
    tenant: str
    domain: str
    desired: Resource | None
    live: Resource | None
    base: Entry | None
    aim: Resource | None
    entry: Entry | None
    reason: str = "declared"
    conflict: bool = False
    takeover: bool = False
    origin: Origin | None = None
    held: str | None = None
    was: Address | None = None

    @property
    def action(self) -> str:
        if self.live is None:
            return "create"
        if self.was is not None:
            return "rename"
        if self.aim is None:
            return "purge" if self.base is not None and self.base.retired else "delete"
        if self.desired is None:
            return "retire"
        return "restore" if self.base is not None and self.base.retired else "update"

    @property
    def fields(self) -> dict[str, tuple[Value, Value]]:
        """{attribute: (from, to)} of what differs, in the order of the kind's table; None where there is nothing."""
        old, new = (side.attributes if side is not None else {} for side in (self.live, self.aim))
        rows = (row.name for row in self.kind.compared)
        return {name: (was, is_) for name in rows if (was := old.get(name)) != (is_ := new.get(name))}


class Drift(NamedTuple):
    """One attribute that live has otherwise than Git, though Git did not move. `field` may be `exists`."""

    address: Address
    field: str
    git: Value
    live: Value
    risk: Literal["high", "low"]
    accepted: tuple[str, str | None] | None = None  # by whom, and until which day
    first_seen: str | None = None  # UTC, ISO; where that is recorded


class Step(NamedTuple):
    """A move of the ledger alone: nothing is written to a provider. `entry` None forgets the line."""

    address: Address
    what: Literal["adopt", "settle", "forget", "retire", "restore"]
    entry: Entry | None


class Batch(NamedTuple):
    """What is written together: neighbours of one provider and one domain, in order, all or nothing."""

    provider: str
    scope: Scope
    changes: tuple[Change, ...]


class Waiting(NamedTuple):
    """What is known to come but cannot be done now: `when` is a day (ISO) or None."""

    address: Address
    action: str
    when: str | None
    why: str


class Unmanaged(NamedTuple):
    """What is live and nobody declared: mail things one by one, other DNS records counted by type."""

    listed: tuple[tuple[Address, Literal["high", "low"]], ...] = ()
    counted: Mapping[str, int] = {}


class Links(NamedTuple):
    """What a tenant leaves for estate-wide checks: small, so that thousands of them fit in memory."""

    tenant: str
    outward: tuple[tuple[str, str, Origin], ...] = ()  # (who points, at which address, where it says so)
    accepted: frozenset[str] = frozenset()  # subjects of pointers it agrees to, its own and others'
    stops: tuple[tuple[str, tuple[str, ...], str], ...] = ()  # (a name, where its mail goes on to, how it is kept)
    domains: tuple[tuple[str, str | None], ...] = ()  # (a domain whose mail it takes, the one it is an alias of)
    elsewhere: frozenset[str] = frozenset()  # its domains whose mail is not ours and goes somewhere
    members: frozenset[tuple[str, str]] = frozenset()  # (a shared mailbox of its, one of its members)
    logins: frozenset[str] = frozenset()  # its mailboxes that somebody can log in to


class Unread(NamedTuple):
    """A part of the live world that could not be read. Nothing of it is planned."""

    provider: str
    kind: str
    error: str


class Intent(NamedTuple):
    """A run's word before its first write in a tenant: what it means to do, and who holds the tenant meanwhile.

    `holder` says which process it is, `lease` after how many seconds without a sign of it the tenant is free again,
    `unlocked` who broke the lock, `scopes` where it would write, `no_remote` why it was kept apart, if it was.
    """

    run: str
    began: str  # UTC, ISO
    actor: str
    commit: str
    digest: str
    holder: Mapping[str, Any]
    lease: int
    claims: tuple[Change, ...]
    unlocked: str | None = None
    scopes: tuple[tuple[str, Scope], ...] = ()
    no_remote: str = ""


class Gift(NamedTuple):
    """What a tenant's ledger gives another one's."""

    giver: str
    lines: Mapping[Address, Entry]
    scopes: tuple[tuple[str, Scope], ...]
    identities: Mapping[str, str]


class TenantPlan(NamedTuple):
    """Everything one tenant's plan says. `batches` hold the declared changes in the order they are made.

    `due` follows from lines reviewed earlier; where a declared change is of the same thing, it goes on from its aim.
    `tip` is the commit of the ledger it was made from; `unfinished` the intent found there; `locked` says who is at
    work (empty: nobody). `settled` are the ledger's lines that a look at the intent's claims moves, `made` those of
    the claims that were found made.
    """

    tenant: str
    applied_commit: str | None = None
    tip: str | None = None
    unfinished: Intent | None = None
    settled: Mapping[Address, Entry | None] = {}
    made: frozenset[Address] = frozenset()
    locked: str = ""
    batches: tuple[Batch, ...] = ()
    due: tuple[Change, ...] = ()
    steps: tuple[Step, ...] = ()
    todo: tuple[Change, ...] = ()  # what a person must do: the provider is read only
    later: tuple[Waiting, ...] = ()
    drift: tuple[Drift, ...] = ()
    unmanaged: Unmanaged = Unmanaged()
    unread: tuple[Unread, ...] = ()
    findings: tuple[Finding, ...] = ()
    scopes: tuple[tuple[str, Scope], ...] = ()  # (provider, scope): what was read, and is read again after applying
    identities: Mapping[str, str | None] = {}  # of the live systems it was made from, but for read-only ones
    takes: frozenset[str] = frozenset()  # providers whose identity the ledger is to hold from now on
    held: tuple[Change, ...] = ()  # while it is applied: what is left for a later apply, and no part of `batches`
    known: frozenset[str] = frozenset()  # the domains of its ledger
    names: Mapping[str, str] = {}  # {name of a provider in its ledger: the one that it has now}
    gives: Mapping[str, frozenset[Address]] = {}  # {tenant: what of its ledger goes to that one}
    given: Mapping[str, frozenset[Address]] = {}  # {tenant: what comes from that one's ledger}
    joins: str | None = None  # the commit of runs without the ledger's remote, which the ledger takes up again
    sha: str = ""  # the digest of all that it declared, also while a part of it is applied
    removed: int = 0  # how many things it takes away: retired, deleted, let go
    accept: Sequence[Mapping[str, Any]] = ()  # the named exceptions of its control.yaml
    watched: frozenset[str] = frozenset()  # DNS providers that name the servers which shall say what was applied
    probed: bool = False  # a message shall show who signs

    @property
    def changes(self) -> tuple[Change, ...]:
        return tuple(change for batch in self.batches for change in batch.changes)

    @property
    def forgotten(self) -> tuple[Address, ...]:
        """What the ledger lets go of: it stays as it is, and is ours no more."""
        return tuple(step.address for step in self.steps if step.what == "forget")

    @property
    def stopped(self) -> bool:
        """Whether bad input kept it from being planned at all."""
        return any(f.severity == "error" and f.is_input for f in self.findings)

    @property
    def refused(self) -> bool:
        return any(f.refuses for f in self.findings)


class Plan(NamedTuple):
    """The plan of a whole estate at one commit. `read_at` (UTC) and `as_of` (a day) are ISO text."""

    commit: str
    read_at: str
    as_of: str
    tenants: tuple[TenantPlan, ...]
    findings: tuple[Finding, ...] = ()
    authors: Mapping[str, tuple[str, str]] = {}  # {file, or address of a removal: (commit, author)}
    differing: tuple[str, ...] = ()  # files that were read and that the working tree has otherwise
    worktree: bool = False  # the working tree was read, not the commit
    resumes: str = ""  # the digest of the plan that a killed run left unfinished


class Facts(NamedTuple):
    """What a plan needs besides the tenant's own states. `provider_kinds` and `cautions` are the providers' own."""

    today: str
    commit: str
    inside: frozenset[str]  # domains of the estate but the tenant's own with mail elsewhere; those that count as inside
    domains: Mapping[str, str]  # every domain of the estate, and the tenant that holds it
    providers: Mapping[str, str]  # name -> side
    provider_kinds: Mapping[str, Mapping[str, frozenset[str]]]
    cautions: Mapping[str, Mapping[str, str]]
    read_only: frozenset[str]
    accept: Sequence[Mapping[str, Any]]
    enforce: frozenset[str] = frozenset()  # addresses (or `all`) whose drift is put back
    moved: Mapping[str, frozenset[Address]] = {}  # domain that went to another tenant -> its
    released: Mapping[str, str] = {}  # provider that may be another system by now -> why
    rebuilt: bool = False  # a system with another identity is the same one, made anew
    limits: Mapping[str, Any] = {}  # as reconciler.yaml says them
    freezes: Sequence[Mapping[str, Any]] = ()  # the same
    enforcing: frozenset[str] = frozenset()  # ids of MTA-STS policies in the mode `enforce`
    seen: frozenset[str] = frozenset()  # names of DKIM records that every name server has as the key says
    unseen: frozenset[str] = frozenset()  # the same that some server does not have yet
    watched: frozenset[str] = frozenset()  # DNS providers that name their authoritative servers
    clocks: Mapping[str, Any] = {}  # of domains that move from another server: `cutover.Clock`
    probed: bool = False  # there is a mailbox for probes
    now: str = ""  # local time in the estate's time zone, ISO, to the minute
