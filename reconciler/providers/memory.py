"""The reference world: a mail server and a name server as this program sees them, in memory or in a JSON file.

It is as strict as real ones: it refuses references to what is not there, names that are taken and changes whose
`live` has moved. `side: mail` or `side: dns` lets it hold that side only; without it, it holds both.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.errors import Conflict, ProviderError, Refused, Unreachable
from reconciler.kinds import kinds, record, ref_to
from reconciler.model import MISSING, Address, Ref, Resource
from reconciler.providers import _shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from reconciler.changes import Batch, Change
    from reconciler.model import Scope, Value
    from reconciler.providers._shapes import Problem

    Things = dict[Address, Resource]
    Fail = Callable[[Batch], Exception | None]

SIDE = "any"
REQUIRED: frozenset[str] = frozenset()
OPTIONAL = frozenset({"file", "read_only", "side"})


def problems(settings: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the settings: where, and why."""
    yield from _shapes.texts(settings, "file")
    yield from _shapes.choice(settings, "side", ("mail", "dns", SIDE))


def connect(name: str, settings: Mapping[str, Any], root: str) -> Memory:
    """A world of its own, or the one kept in `file`. Raises Refused for settings that cannot be."""
    _shapes.refuse(name, problems(settings))
    file = settings.get("file")
    return Memory(name, file=Path(root, file) if file else None, side=settings.get("side", SIDE))


def _never(_batch: Batch) -> None:
    return None


class Memory:
    """The provider. `things` is the world; two that share it see each other's changes.

    `fail_before` and `fail_after` give the exception a batch ends with before or after it was written (tests).
    """

    def __init__(
        self,
        name: str,
        *,
        things: Things | None = None,
        file: Path | None = None,
        side: str = SIDE,
        fail_before: Fail = _never,
        fail_after: Fail = _never,
    ) -> None:
        self.things: Things = {} if things is None else things
        self.kinds = {
            kind.name: frozenset(row.name for row in kind.compared)
            for kind in kinds().values()
            if side in {SIDE, "dns" if kind.name == "record" else "mail"}
        }
        self.cautions: dict[str, str] = {}
        self._name, self._file = name, file
        self._fail_before, self._fail_after = fail_before, fail_after
        self._lock = threading.Lock()
        self._identity: str | None = None

    def read(self, scopes: Sequence[Scope]) -> Mapping[str, tuple[Resource, ...] | ProviderError]:
        """Every domain asked; records at or below its name."""
        found: dict[str, list[Resource]] = {scope.domain: [] for scope in scopes}
        with self._lock:
            things, _ = self._load()
        for thing in things.values():
            for domain in _domains(thing):
                if domain in found:
                    found[domain].append(_of_domain(thing, domain))
        return {domain: tuple(sorted(items, key=lambda item: item.address)) for domain, items in found.items()}

    def apply(self, batch: Batch) -> Mapping[Address, Mapping[str, Value]]:
        """One change after another on a copy that takes the world's place at the end."""
        with self._lock, self._alone():
            _raise(self._fail_before(batch))
            things, identity = self._load()
            made = {change.address: self._change(things, change, batch) for change in batch.changes}
            for change in batch.changes:
                if change.was is not None:
                    self._no_referrer_left_behind(things, change.was, batch)
            self._save(things, identity)
            _raise(self._fail_after(batch))
        return {address: computed for address, computed in made.items() if computed}

    def identity(self) -> str | None:
        """Of the world, which has one once it was given one."""
        with self._lock:
            return self._load()[1]

    def identify(self, identity: str) -> None:
        """The first one stays."""
        with self._lock, self._alone():
            things, there = self._load()
            if there not in {None, identity}:
                raise Conflict(f"{self._name}: this world has another identity")
            self._save(things, identity)

    def close(self) -> None:
        """Nothing is held open."""

    def _change(self, things: Things, change: Change, batch: Batch) -> dict[str, Value]:
        there = things.pop(change.was or change.address, None)
        thing = _after(change, there)
        if thing is None:
            self._no_referrer_left_behind(things, change.address, batch)
            return {}
        held = self.kinds[change.kind.name]
        thing = thing.having(**{name: MISSING for name in thing.attributes if name not in held})
        self._no_clash(things, thing, batch.scope.zone)
        computed = {"public": _public_key(thing)} if "public" in held and there is None else {}
        things[change.address] = thing.having(**computed)
        known = set(kinds()[there.address.kind].refs(there)) if there else set()
        for ref in set(change.kind.refs(thing)) - known:
            if not self._answers(things, ref):
                raise Refused(f"{self._name}: {change.address} needs {ref.namespace} {ref.name}, which is not there")
        return computed

    def _no_referrer_left_behind(self, things: Things, gone: Address, batch: Batch) -> None:
        left = ref_to(gone)
        made = {ref_to(change.address) for change in batch.changes if change.live is None}
        if left in made or self._answers(things, left):  # another takes its place before anybody can see
            return
        for thing in things.values():
            if left in kinds()[thing.address.kind].refs(thing):
                raise Refused(f"{self._name}: {gone} cannot go, {thing.address} needs it")

    def _no_clash(self, things: Things, thing: Resource, zone: str) -> None:
        kind = kinds()[thing.address.kind]
        slot = kind.slot(thing.address.name)
        if kind.name == "record" and slot == zone and kind.alone(thing.address.name):
            raise Conflict(f"{self._name}: {thing.address} cannot be, SOA and NS have that name")
        for other in things.values():
            theirs = kinds()[other.address.kind]
            if theirs.namespace != kind.namespace or theirs.slot(other.address.name) != slot or _share(thing, other):
                continue
            if kind.alone(thing.address.name) or theirs.alone(other.address.name):
                raise Conflict(f"{self._name}: {thing.address} cannot be, its name is {other.address}'s")

    def _answers(self, things: Things, ref: Ref) -> bool:
        """Whether a reference leads somewhere; what is hosted elsewhere is not this world's to judge."""
        if ref.namespace == "record":
            return True
        names = [ref.name]
        if ref.namespace == "address":
            local, _, host = ref.name.rpartition("@")
            domain = things.get(Address(self._name, "domain", host))
            if domain is None:
                return True
            host = domain.get("alias_of") or host
            names = [ref.name, f"{local}@{host}", f"@{host}"]
        known = [kind.name for kind in kinds().values() if kind.namespace == ref.namespace]
        return any(Address(self._name, kind, name) in things for kind in known for name in names)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process writes meanwhile."""
        if self._file is None:
            yield
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            folder = os.open(self._file.parent, os.O_RDONLY)
            fcntl.flock(folder, fcntl.LOCK_EX)
        except OSError as error:
            raise Unreachable(f"{self._name}: {self._file} cannot be locked: {error}") from error
        try:
            yield
        finally:
            os.close(folder)

    def _load(self) -> tuple[Things, str | None]:
        """What is there, and the identity. A file is a list of things; with an identity that list stands beside it."""
        if self._file is None:
            return dict(self.things), self._identity
        try:
            if self._file.exists() and not self._file.is_file():
                raise Refused(f"{self._name}: {self._file} is no regular file")
            data = json.loads(self._file.read_text(encoding="utf-8"))
            lines, identity = (data, None) if isinstance(data, list) else (data["things"], data["identity"])
            return {thing.address: thing for thing in (self._thing(*line) for line in lines)}, identity
        except FileNotFoundError:
            return {}, None
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise Unreachable(f"{self._name}: {self._file} cannot be read: {error}") from error

    def _thing(self, kind: str, name: str, domain: str, attributes: dict[str, Value]) -> Resource:
        return kinds()[kind].resource(self._name, name, attributes, domain=str(domain))

    def _save(self, things: Things, identity: str | None) -> None:
        if self._file is None:
            self._identity = identity
            self.things.clear()
            self.things.update(things)
            return
        lines = [[t.address.kind, t.address.name, t.domain, t.attributes] for _, t in sorted(things.items())]
        text = "[\n" + ",\n".join(map(json.dumps, lines)) + "\n]"
        text = text if identity is None else f'{{"identity": {json.dumps(identity)}, "things": {text}}}'
        fresh = self._file.with_name(f"{self._file.name}.new")
        try:
            fresh.write_text(f"{text}\n", encoding="utf-8")
            fresh.replace(self._file)
        except OSError as error:
            raise Unreachable(f"{self._name}: {self._file} cannot be written: {error}") from error


def _raise(error: Exception | None) -> None:
    if error is not None:
        raise error


def _domains(thing: Resource) -> Sequence[str]:
    """The domains a thing is read under: its own; a record's are all that its name ends in."""
    if thing.address.kind != "record":
        return (thing.domain,)
    labels = record.label(thing.address.name).split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def _of_domain(thing: Resource, domain: str) -> Resource:
    return Resource(thing.address, thing.attributes, domain)


def _after(change: Change, there: Resource | None) -> Resource | None:
    """What the change makes of what is there. Raises Conflict."""
    if change.kind.name == "record":
        return _record_after(change, there)
    if (there is None) != (change.live is None) or (there and not _as_read(change, there)):
        raise Conflict(f"{change.address} is no longer as it was read")
    return change.aim


def _as_read(change: Change, there: Resource) -> bool:
    assert change.live is not None
    names = change.live.attributes if change.aim is None else change.fields
    compared = {row.name for row in change.kind.compared} & set(names)
    return all(there.get(name) == change.live.get(name) for name in compared)


def _record_after(change: Change, there: Resource | None) -> Resource | None:
    swapped = record.swap(
        change.live, change.aim, there.get("values") if there else (), there.get("ttl") if there else None
    )
    if swapped is None:
        raise Conflict(f"{change.address} is no longer as it was read")
    values, ttl = swapped
    if record.rtype(change.address.name) in record.SINGLE and len(values) > 1:
        raise Refused(f"{change.address} can have one value, not {len(values)}")
    thing = there or change.aim
    return thing.having(values=values, ttl=ttl) if thing and values else None


def _share(one: Resource, other: Resource) -> bool:
    """A blocked mailbox lets an alias have its name: the mail goes where the alias says."""
    pair = {one.address.kind: one, other.address.kind: other}
    return set(pair) == {"alias", "mailbox"} and pair["mailbox"].get("state") == "blocked"


def _public_key(thing: Resource) -> str:
    size = 32 if thing.get("type") == "ed25519" else thing.get("bits") // 8 + 38
    key = base64.b64encode(secrets.token_bytes(size)).decode()
    return f"v=DKIM1; k={thing.get('type')}; p={key}"
