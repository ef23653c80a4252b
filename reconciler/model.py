"""The nouns: what every other module speaks of. Plain frozen data, no I/O, no clock.

A *resource* is one thing that lives in a provider (a mailbox, an alias, a record set), the same type for
desired (Git), live (providers) and predicted states. An *attribute* is one row of its kind's table, and that
row decides how it is compared, ordered, refused and shown. `Kind.resource` is the only door into the model:
behind it values are canonical, so that comparing is `==`.

Values are JSON-like: None, bool, int, str, a sorted tuple of str, a dict of str to str; sizes are bytes, times
are seconds, names are lower-case A-labels without a trailing dot. Inside a record's values a `Computed` may
stand for text that is known only after another thing was made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, Protocol

from reconciler.errors import ProviderError

Value = Any
Severity = Literal["error", "warning", "info"]


class _Missing:
    """The one value that says "nothing was said": not null, which is a value."""

    def __repr__(self) -> str:
        return "MISSING"

    def __reduce__(self) -> str:
        return "MISSING"  # stays the one object across worker processes


MISSING: Any = _Missing()


class Address(NamedTuple):
    """Full identity: where a thing lives is part of what it is. Written `mailhost:mailbox/jane@a.example`."""

    provider: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.kind}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Address:
        provider, _, rest = text.partition(":")
        kind, _, name = rest.partition("/")
        return cls(provider, kind, name)


class Ref(NamedTuple):
    """A pointer that does not care where the thing is hosted. Mailbox and alias share the namespace `address`."""

    namespace: str
    name: str


class Computed(NamedTuple):
    """A value another thing will have once it is made: `attribute` of the resource at `address`."""

    address: Address
    attribute: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something was written: a file of the estate and the keys that lead to it, or a position.

    `line` and `column` count from 1; 0 means "not looked up yet" (they are found again only when printed).
    """

    file: str
    path: tuple[str | int, ...] = ()
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line or 1}:{self.column or 1}"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a person should know, whoever found it: input, checks, limits and providers all speak it."""

    code: str
    severity: Severity
    subject: str
    summary: str  # constant per code, so that people learn it; holds no user data
    detail: str  # what, why it matters, what to do
    origin: Origin


@dataclass(frozen=True, slots=True)
class Rule:
    """What one code means. Call `at` to say that it holds for a subject; `fix` says what to do about it."""

    code: str
    severity: Severity
    summary: str
    fix: str

    def at(self, subject: str, what: str, origin: Origin, *, fix: str = "") -> Finding:
        return Finding(self.code, self.severity, subject, self.summary, f"{what} {fix or self.fix}".strip(), origin)


@dataclass(frozen=True, slots=True)
class Elements:
    """How an attribute's value falls into elements that are compared one by one, each under a key.

    `shared` means that we own elements and not the whole: what nobody declared is a neighbour and stays
    (TXT and CAA values). Otherwise an element nobody declared is drift (members).
    """

    split: Callable[[Value], dict[str, Value]]
    join: Callable[[dict[str, Value]], Value]
    shared: bool


def _as_is(_name: str, value: Value) -> Value:
    return value


def _same(name: str) -> str:
    return name


def _never(_name: str) -> bool:
    return False


def _whole(_name: str) -> Elements | None:
    return None


@dataclass(frozen=True, slots=True)
class Attribute:
    """One row of a kind's table.

    A row with a `default` or `required` is *governed*: it always has a value and is always compared. The others
    are *optional*: compared while Git mentions them. `local` rows are known to Git alone (owner, reason) and are
    never written or compared live. `computed` rows come from the provider (a public key). `normal` brings a value
    into canonical form, `elements` says whether it is compared element by element; both are given the name of
    the resource, because a record's type is part of its name.
    """

    name: str
    default: Value = MISSING
    required: bool = False
    normal: Callable[[str, Value], Value] = _as_is
    local: bool = False
    computed: bool = False
    immutable: bool = False
    sensitive: Callable[[str], bool] = _never  # drift of it is of high risk: it gives or moves access to mail
    elements: Callable[[str], Elements | None] = _whole

    @property
    def governed(self) -> bool:
        return self.required or self.default is not MISSING


@dataclass(frozen=True)
class Kind:
    """A kind of thing: its table, the canonical form of its name, and what of it others may point at.

    `retired` are the attribute values a thing takes on when Git no longer declares it but it must be kept.
    `refs` yields what a resource needs to exist; `namespace` is where its own name can be pointed at. Two
    resources of one namespace with the same `slot` exclude each other when one of them must be `alone` there
    (an address is one thing; a CNAME takes its label alone).
    """

    name: str
    namespace: str
    attributes: tuple[Attribute, ...]
    key: Callable[[str], str]
    retired: Mapping[str, Value] = field(default_factory=dict)
    refs: Callable[[Resource], Sequence[Ref]] = lambda _resource: ()
    slot: Callable[[str], str] = _same
    alone: Callable[[str], bool] = _never
    listed: Callable[[Resource], bool] = lambda _resource: True  # unmanaged ones are named, not only counted
    risky: Callable[[Resource, frozenset[str]], bool] = lambda _resource, _inside: False  # unmanaged: high risk

    @cached_property
    def compared(self) -> tuple[Attribute, ...]:
        """The rows that are compared with live: all but the local ones."""
        return tuple(row for row in self.attributes if not row.local)

    def resource(
        self,
        provider: str,
        name: str,
        attributes: Mapping[str, Value],
        *,
        domain: str,
        tenant: str = "",
        origin: Origin | None = None,
        initial: Mapping[str, Value] | None = None,
        keep: int | None = None,
    ) -> Resource:
        """The only door into the model: canonical name, canonical values, defaults filled in.

        Raises KeyError for an attribute the table does not have: a programming mistake, not a user's.
        """
        key, values, filled = self.key(name), dict(attributes), {}
        for row in self.attributes:
            value = values.pop(row.name, row.default)
            if value is not MISSING:
                filled[row.name] = row.normal(key, value)
        if values:
            raise KeyError(f"{self.name} has no attribute {sorted(values)}")
        return Resource(Address(provider, self.name, key), filled, domain, tenant, origin, initial or {}, keep)


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing, desired or live or predicted.

    `domain` is the domain it belongs to; `initial` are values for optional attributes used only when it is
    made; `keep` is how many days it is kept after Git lets it go (None: it holds no data, it is deleted).
    """

    address: Address
    attributes: Mapping[str, Value]
    domain: str
    tenant: str = ""
    origin: Origin | None = None
    initial: Mapping[str, Value] = field(default_factory=dict)
    keep: int | None = None

    def get(self, name: str) -> Value:
        return self.attributes.get(name, MISSING)

    def having(self, **attributes: Value) -> Resource:
        """The same thing with some attributes set; MISSING takes one away."""
        merged = {k: v for k, v in {**self.attributes, **attributes}.items() if v is not MISSING}
        return replace(self, attributes=merged)


State = Mapping[Address, Resource]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger: what Git said about a thing when it was last applied, and what was there before.

    `said` holds every attribute as Git said it (references unresolved), `seen` what computed and referring ones
    really were, `before` the value an optional attribute had before we first set it. `retired` is the day (ISO)
    from which a kept thing may be purged; `absent` marks what Git says must not exist.
    """

    said: Mapping[str, Value]
    domain: str
    seen: Mapping[str, Value] = field(default_factory=dict)
    before: Mapping[str, Value] = field(default_factory=dict)
    keep: int | None = None
    retired: str | None = None
    absent: bool = False
    commit: str = ""
    file: str = ""
    line: int = 0


class Scope(NamedTuple):
    """One domain as a provider is asked for it: `zone` is the DNS zone that holds its records."""

    domain: str
    zone: str
    create: bool = False  # make the zone where it is missing


@dataclass(frozen=True, slots=True)
class Change:
    """What shall become of one thing. It stores states, not verbs: action and fields are derived.

    `aim` is what live shall be afterwards (None: gone), `entry` the ledger line once that is confirmed
    (None: forget it). `loses` says in words what cannot be brought back.
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

    @property
    def action(self) -> str:
        if self.live is None:
            return "create"
        if self.aim is None:
            return "purge" if self.base is not None and self.base.retired else "delete"
        if self.desired is None:
            return "retire"
        return "restore" if self.base is not None and self.base.retired else "update"

    @property
    def fields(self) -> dict[str, tuple[Value, Value]]:
        """{attribute: (from, to)} of what differs, in the order of the kind's table; None where there is nothing."""
        pairs = {
            row.name: (_or_none(self.live, row.name), _or_none(self.aim, row.name)) for row in self.kind.compared
        }
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _or_none(resource: Resource | None, name: str) -> Value:
    value = MISSING if resource is None else resource.get(name)
    return None if value is MISSING else value


@dataclass(frozen=True, slots=True)
class Drift:
    """One attribute that live has otherwise than Git, though Git did not move. `field` may be `exists`."""

    address: Address
    field: str
    git: Value
    live: Value
    risk: Literal["high", "low"]


@dataclass(frozen=True, slots=True)
class Step:
    """A move of the ledger alone: nothing is written to a provider. `entry` None forgets the line."""

    address: Address
    what: Literal["adopt", "settle", "forget", "retire", "restore"]
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What is written together: neighbours of one provider and one domain, in order, all or nothing."""

    provider: str
    scope: Scope
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is known to come but cannot be done now: `when` is a day (ISO) or None."""

    address: Address
    action: str
    when: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Unmanaged:
    """What is live and nobody declared: mail things one by one, other DNS records counted by type."""

    listed: tuple[tuple[Address, Literal["high", "low"]], ...] = ()
    counted: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Links:
    """What a tenant leaves for estate-wide checks: its addresses, and whom of other tenants it points at."""

    tenant: str
    names: tuple[str, ...] = ()
    outward: tuple[tuple[str, str, Origin], ...] = ()  # (who points, at which address, where it says so)


@dataclass(frozen=True, slots=True)
class Unread:
    """A part of the live world that could not be read. Nothing of it is planned."""

    provider: str
    kind: str
    error: str


@dataclass(frozen=True, slots=True)
class TenantPlan:
    """Everything one tenant's plan says. `batches` hold the changes in the order they are made."""

    tenant: str
    applied_commit: str | None = None
    batches: tuple[Batch, ...] = ()
    steps: tuple[Step, ...] = ()
    todo: tuple[Change, ...] = ()  # what a person must do: the provider is read only
    later: tuple[Waiting, ...] = ()
    drift: tuple[Drift, ...] = ()
    unmanaged: Unmanaged = Unmanaged()
    unread: tuple[Unread, ...] = ()
    findings: tuple[Finding, ...] = ()
    links: Links = Links("")
    scopes: tuple[tuple[str, Scope], ...] = ()  # (provider, scope): what was read, and is read again after applying

    @property
    def changes(self) -> tuple[Change, ...]:
        return tuple(change for batch in self.batches for change in batch.changes)

    @property
    def refused(self) -> bool:
        return any(f.severity == "error" for f in self.findings)


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a whole estate at one commit. `read_at` (UTC) and `as_of` (a day) are ISO text."""

    commit: str
    read_at: str
    as_of: str
    tenants: tuple[TenantPlan, ...]
    findings: tuple[Finding, ...] = ()
    authors: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # {file: (commit, author) of its last change}
    differing: tuple[str, ...] = ()  # files that were read and that the working tree has otherwise


@dataclass(frozen=True, slots=True)
class Facts:
    """What a plan needs besides the tenant's own states. `provider_kinds` and `cautions` are the providers' own."""

    today: str
    commit: str
    inside: frozenset[str]  # every domain of the estate, and those that count as inside
    domains: frozenset[str]  # every domain of the estate
    providers: Mapping[str, str]  # name -> side
    provider_kinds: Mapping[str, Mapping[str, frozenset[str]]]
    cautions: Mapping[str, Mapping[str, str]]
    read_only: frozenset[str]
    accept: Sequence[Mapping[str, Any]]


class Provider(Protocol):
    """A live system. It reads and writes, nothing else: no plan, no policy, no dry run.

    `kinds` maps each kind it holds to the attributes it stores and reads back. `cautions` says in words what an
    operator should know before a change touches `<kind>.<attribute>`, or before a missing `zone` is made.
    """

    kinds: Mapping[str, frozenset[str]]
    cautions: Mapping[str, str]

    def read(self, scopes: Sequence[Scope]) -> Mapping[str, tuple[Resource, ...] | ProviderError]:
        """For every domain asked: all that is there of it, or why that cannot be said. Never a part.

        A few queries for all the domains, not one per object. Raises ProviderError when nothing can be read.
        """

    def apply(self, batch: Batch) -> Mapping[Address, Mapping[str, Value]]:
        """Write each change's `aim`, all or nothing, on condition that what it changes is still as in `live`.

        When it returns, the batch is durable. It returns the computed attributes of what it made. Raises
        Conflict (nothing was written) when live has moved, another ProviderError when the outcome is unknown.
        """

    def close(self) -> None:
        """Let go of connections and files; safe to call twice."""
