"""Performs effects: opens providers, reads and writes them, for many tenants at once."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from reconciler import facts, providers
from reconciler.answers import Login
from reconciler.apply import Outcome
from reconciler.effects import Begin, Effect, Identify, Live, Proof, Prove, Read, Record, Write
from reconciler.errors import Conflict, ProviderError, ReconcilerError, Refused
from reconciler.providers import _identity

if TYPE_CHECKING:
    from reconciler.agency import Agency
    from reconciler.changes import Batch, Change, TenantPlan
    from reconciler.model import Address, Resource, Scope, Value
    from reconciler.providers import Provider

Scopes = Iterable[tuple[str, "Scope"]]


class World:
    """The live systems of an estate, each opened when it is first needed.

    Raises ReconcilerError where RECONCILER_RESOLVER is no resolver: later, something would be written already.
    """

    def __init__(self, agency: Agency, root: Path) -> None:
        self._agency, self._root = agency, root
        self._open: dict[str, Provider] = {}
        self._ours: dict[str, str] = {}
        self._resolver: Any = (
            facts.server(os.environ.get(facts.VARIABLE, "")) if agency.witnesses or "probe" in agency.data else "none"
        )

    def provider(self, name: str) -> Provider:
        """The provider called `name`. Raises ProviderError when a secret it needs is not there."""
        if name not in self._open:
            if name not in self._agency.providers:
                raise Refused(
                    f"{name}: the trusted commit has no provider of this name; it can be read once it is merged"
                )
            _, settings = self._agency.providers[name]
            resolved = {key: _secret(name, key, value) for key, value in settings.items() if key != "type"}
            self._open[name] = providers.connect(name, settings["type"], resolved, str(self._root))
        return self._open[name]

    def read(
        self, scopes: Scopes, names: Mapping[tuple[str, str], Collection[str]] | None = None
    ) -> dict[tuple[str, str], tuple[Resource, ...] | ProviderError]:
        """All that is asked for, one call per provider. A provider that fails answers its error for each scope.

        `names` are those of the things in a provider's domain that somebody wants to know of: see `by_name`.
        """
        by_provider: dict[str, list[Scope]] = {}
        for provider, scope in scopes:
            by_provider.setdefault(provider, []).append(scope)
        found: dict[tuple[str, str], tuple[Resource, ...] | ProviderError] = {}
        for provider, asked in by_provider.items():
            try:
                there = self.provider(provider)
                wanted = {scope.domain: (names or {}).get((provider, scope.domain), ()) for scope in asked}
                answers = there.ask(wanted) if isinstance(there, providers.Asked) else there.read(asked)
            except Exception as error:  # noqa: BLE001  (one provider's fault must not end the other tenants' run)
                answers = dict.fromkeys((scope.domain for scope in asked), _as_provider_error(provider, error))
            found |= {(provider, domain): answer for domain, answer in answers.items()}
        return found

    def by_name(self) -> frozenset[str]:
        """Of the providers opened so far those that tell only of what they are asked for by name."""
        return frozenset(name for name, there in self._open.items() if isinstance(there, providers.Asked))

    def identities(self, names: Iterable[str]) -> dict[str, str | ProviderError | None]:
        """Which system stands behind each provider's name; None: it has no identity yet."""
        return {name: self._identity(name) for name in names}

    def _identity(self, name: str) -> str | ProviderError | None:
        try:
            return _identity.read(name, self.provider(name))
        except Exception as error:  # noqa: BLE001  (as above)
            return _as_provider_error(name, error)

    def identify(self, name: str, seen: str | None) -> str | ProviderError:
        """The identity of a system, once in a run; left there now where none was `seen`. Conflict: it is another."""
        there = self._ours.get(name) or self._identity(name)
        if there is None and seen is None:
            try:
                there = _identity.leave(name, self.provider(name))
            except Exception as error:  # noqa: BLE001  (as above)
                there = _as_provider_error(name, error)
        if isinstance(there, ProviderError):
            return there
        if there is None or seen not in {None, there}:
            return Conflict(f"{name}: another system stands behind this name since the plan was made")
        self._ours[name] = there
        return there

    def write(self, batch: Batch) -> Mapping[Address, Mapping[str, Value]] | ProviderError:
        """Apply a batch; the error is the answer when it fails."""
        try:
            return self.provider(batch.provider).apply(batch)
        except Exception as error:  # noqa: BLE001  (as above; whether it was written is found out by looking)
            return _as_provider_error(batch.provider, error)

    def prove(self, changes: Sequence[Change], alive: Callable[[], object]) -> tuple[Proof, ...]:
        """What the world says of what was changed. It takes its time, so between the looks `alive` is called."""
        from reconciler import proving

        if not changes:
            return ()
        return proving.proofs(self._agency, self._resolver, changes, self._password, self._logins, alive)

    def _logins(self, provider: str, mailboxes: Sequence[str]) -> Mapping[str, Login]:
        there = self.provider(provider)
        if isinstance(there, providers.Guarded):
            return there.logins(mailboxes)
        return dict.fromkeys(mailboxes, Login(problem="this provider cannot be asked who is let in"))

    def _password(self) -> str:
        return str(_secret("probe", "password", self._agency.data["probe"]["password"]))

    def close(self) -> None:
        for provider in self._open.values():
            provider.close()
        self._open.clear()


def _as_provider_error(provider: str, error: Exception) -> ProviderError:
    """A provider's own error as it is; a fault in its code by place and type, without values that may be secret."""
    if isinstance(error, ProviderError):
        return error
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    return ProviderError(f"{provider}: a fault in the program ({type(error).__name__} at {where}); please report it")


def _secret(provider: str, key: str, value: Any) -> Any:
    """A setting with `{env: NAME}` or `{file: NAME}` replaced by the secret; the message never holds it."""
    if isinstance(value, dict) and value.keys() == {"env"}:
        if value["env"] not in os.environ:
            raise Refused(f"{provider}: the environment variable {value['env']} for `{key}` is not set")
        return os.environ[value["env"]]
    if isinstance(value, dict) and value.keys() == {"file"}:
        return _secret_file(provider, key, value["file"])
    if isinstance(value, dict):
        return {name: _secret(provider, f"{key}.{name}", inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_secret(provider, f"{key}.{index}", inner) for index, inner in enumerate(value)]
    return value


def _secret_file(provider: str, key: str, name: str) -> str:
    folder = os.environ.get("RECONCILER_SECRETS")
    if folder is None or "/" in name or name.startswith("."):
        raise Refused(f"{provider}: `{key}` wants the file {name} under $RECONCILER_SECRETS")
    try:
        return Path(folder, name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Refused(f"{provider}: `{key}`: {name} under $RECONCILER_SECRETS: {why}") from None


class Journal(Protocol):
    """Where a run says what it will do and what came of it; each answers the tenants for which that failed."""

    def begin(self, plans: Sequence[TenantPlan]) -> Mapping[str, ReconcilerError]:
        """Before a tenant's first write."""

    def lost(self) -> Mapping[str, ReconcilerError]:
        """Asked before every write, and where there is waiting: the tenants that somebody else has taken over."""

    def record(self, records: Sequence[Record]) -> Mapping[str, ReconcilerError]:
        """At a tenant's end."""


Running = Generator[Effect, Any, Outcome]
Together = Begin | Read | Prove | Record  # what is done for many tenants in one go


def drive(applies: Iterable[Running], world: World, journal: Journal) -> list[Outcome]:
    """Run several applies together: writes one by one; intents, reads and outcomes of all of them at once."""
    outcomes: list[Outcome] = []
    waiting: list[tuple[Running, Any]] = [(apply, None) for apply in applies]
    while waiting:
        asked = _advance(waiting, outcomes, world, journal)
        reads = [effect for _, effect in asked if isinstance(effect, Read)]
        live: Live = world.read({scope: None for effect in reads for scope in effect.scopes}) if reads else {}
        begun = journal.begin([effect.plan for _, effect in asked if isinstance(effect, Begin)])
        noted = journal.record([effect for _, effect in asked if isinstance(effect, Record)])
        changes = [c for _, effect in asked if isinstance(effect, Prove) for c in effect.changes]
        proofs = world.prove(changes, journal.lost)  # a tenant that is lost meanwhile is told so when it is noted
        waiting = [(apply, _answer(effect, live, begun, noted, proofs)) for apply, effect in asked]
    return outcomes


def _advance(
    waiting: list[tuple[Running, Any]], outcomes: list[Outcome], world: World, journal: Journal
) -> list[tuple[Running, Together]]:
    """Send each its answer and perform its writes, up to the next intent, read or outcome."""
    asked: list[tuple[Running, Together]] = []
    lost: dict[str, ReconcilerError] = {}
    for apply, answer in waiting:
        try:
            effect = apply.send(answer)
            while isinstance(effect, Identify | Write):
                effect = apply.send(_performed(effect, world, journal, lost))
            asked.append((apply, effect))
        except StopIteration as end:
            outcomes.append(end.value)
    return asked


def _performed(effect: Identify | Write, world: World, journal: Journal, lost: dict[str, ReconcilerError]) -> Any:
    if isinstance(effect, Identify):
        return world.identify(effect.provider, effect.seen)
    lost |= journal.lost()
    return lost.get(effect.tenant) or world.write(effect.batch)


def _answer(
    effect: Together, live: Live, begun: Mapping[str, ReconcilerError], noted: Mapping[str, ReconcilerError],
    proofs: Sequence[Proof],
) -> Any:  # fmt: skip
    if isinstance(effect, Read):
        return {(provider, scope.domain): live[provider, scope.domain] for provider, scope in effect.scopes}
    if isinstance(effect, Begin):
        return begun.get(effect.plan.tenant)
    if isinstance(effect, Prove):
        return tuple(proof for proof in proofs if proof.tenant == effect.tenant)
    return noted.get(effect.tenant)
