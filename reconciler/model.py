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
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from reconciler.findings import Origin

Value = Any


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


def references(value: Value) -> list[Computed]:
    """What a value waits for: the references among its items."""
    return [item for item in value if isinstance(item, Computed)] if isinstance(value, tuple) else []


class Elements(NamedTuple):
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


class Attribute(NamedTuple):
    """One row of a kind's table.

    A row with a `default` or `required` is *governed*: it always has a value and is always compared. The others
    are *optional*: compared while Git mentions them. `local` rows are known to Git alone (owner, reason) and are
    never written or compared live. `computed` rows come from the provider (a public key). `normal` brings a value
    into canonical form, `elements` says whether it is compared element by element; both are given the name of
    the resource, because a record's type is part of its name. `types` are those that a value can have besides None,
    which an optional one may be; a ledger that holds another is not read.
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
    types: tuple[type, ...] = (str,)

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
    def _names(self) -> frozenset[str]:
        return frozenset(row.name for row in self.attributes)

    @cached_property
    def _normals(self) -> dict[str, Callable[[str, Value], Value]]:
        return {row.name: row.normal for row in self.attributes if row.normal is not _as_is}

    @cached_property
    def _defaults(self) -> dict[str, Value]:
        return {row.name: row.default for row in self.attributes if row.default is not MISSING}

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
        if not self._names.issuperset(attributes):
            raise KeyError(f"{self.name} has no attribute {sorted(attributes.keys() - self._names)}")
        key, filled = self.key(name), {**self._defaults, **attributes}
        for attribute, normal in self._normals.items():
            if attribute in attributes:
                filled[attribute] = normal(key, attributes[attribute])
        return Resource(Address(provider, self.name, key), filled, domain, tenant, origin, initial or {}, keep)


class Resource(NamedTuple):
    """One thing, desired or live or predicted.

    `domain` is the domain it belongs to; `initial` are values for optional attributes used only when it is
    made; `keep` is how many days it is kept after Git lets it go (None: it holds no data, it is deleted).
    """

    address: Address
    attributes: Mapping[str, Value]
    domain: str
    tenant: str = ""
    origin: Origin | None = None
    initial: Mapping[str, Value] = {}
    keep: int | None = None

    def get(self, name: str) -> Value:
        return self.attributes.get(name, MISSING)

    def having(self, **attributes: Value) -> Resource:
        """The same thing with some attributes set; MISSING takes one away."""
        merged = {k: v for k, v in {**self.attributes, **attributes}.items() if v is not MISSING}
        return self._replace(attributes=merged)


State = Mapping[Address, Resource]


class Entry(NamedTuple):
    """One line of the ledger: what Git said about a thing when it was last applied, and what was there before.

    `said` holds every attribute as Git said it (references unresolved), `seen` what computed and referring ones
    really were, `before` the value an optional attribute had before we first set it. `retired` is the day (ISO)
    from which a kept thing may be purged; `absent` marks what Git says must not exist.
    """

    said: Mapping[str, Value]
    domain: str
    seen: Mapping[str, Value] = {}
    before: Mapping[str, Value] = {}
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
