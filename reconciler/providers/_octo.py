"""octoDNS as thinly as it can be: a provider class found and asked, its records as record sets and back."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import logging
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from reconciler.errors import ProviderError, Refused, Unreachable
from reconciler.kinds import record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.providers._sets import Key, Sets

T = TypeVar("T")

# They write a whole zone without a look at it: what others have there would be gone.
_BLIND = frozenset({"octodns.SplitYamlProvider", "octodns.YamlProvider", "octodns_bind.ZoneFileProvider"})
_KINDS = {401: Refused, 403: Refused, 429: Unreachable, 502: Unreachable, 503: Unreachable, 504: Unreachable}
_DEEP = 5  # exceptions that one was raised for
_LOGGERS = ("Plan", "Record", "Zone")


def found(name: str, path: str) -> Any:
    """The class at a dotted path. Raises Refused. A file of the estate is no package of octoDNS: only what is
    installed is imported.
    """
    module, _, attribute = path.rpartition(".")
    top = module.partition(".")[0]
    try:
        importlib.metadata.distribution(top)
        class_: Any = getattr(importlib.import_module(module), attribute, None)
        why = "" if _fits(class_) else "is no provider class of octoDNS"
    except ImportError:
        more = "" if top == "octodns" else f" {top.replace('_', '-')}"
        why = f'is not installed, or too old: pip install --upgrade "mail-reconciler[octodns]"{more}'
    except Exception as error:  # noqa: BLE001 - what a stranger's package does while it is imported
        why = f"cannot be imported ({type(error).__name__})"
    if why:
        raise Refused(f"{name}: {path} {why}")
    if _BLIND & {f"{base.__module__.partition('.')[0]}.{base.__name__}" for base in class_.__mro__}:
        raise Refused(
            f"{name}: {path} writes whole zones without a look at what is there, and what others have there would be "
            "gone; for zone files there is `type: zone_files`"
        )
    return class_


def _fits(class_: Any) -> bool:
    from octodns.provider.base import BaseProvider
    from octodns.record.rr import Rrset  # noqa: F401 - what an octoDNS that is too old has not

    return isinstance(class_, type) and issubclass(class_, BaseProvider)


def unfit(class_: type[Any], settings: Mapping[str, Any]) -> str:
    """Which settings a class does not take, or lacks; empty: none. It names arguments, and quotes no value."""
    try:
        inspect.signature(class_).bind("", **settings)
    except TypeError as error:
        return str(error)
    return ""


class Seen(NamedTuple):
    """A zone as octoDNS has it, and its records by key."""

    zone: Any
    records: Mapping[Key, Any]
    sets: Sets


class Octo:
    """A class that is made with these settings. What it raises becomes an error that quotes nothing of it."""

    def __init__(self, name: str, class_: type[Any], settings: Mapping[str, Any]) -> None:
        self._name, self._class, self._settings = name, class_, settings
        self.shown = f"{class_.__module__}.{class_.__name__}"

    def lacking(self) -> list[str]:
        """The types that it says it has not. A class that finds out first says it when it writes."""
        supports = getattr(self._class, "SUPPORTS", None)
        known = supports if isinstance(supports, set | frozenset | list | tuple) else record.TYPES
        return [type_ for type_ in record.TYPES if type_ not in known]

    def made(self) -> Any:
        """A new instance. What octoDNS logs may quote answers, and Python shows warnings that nobody handles."""
        octo = self.asked("was not made", lambda: self._class(self._name, **self._settings))
        for logger in (octo.log, *map(logging.getLogger, _LOGGERS)):
            if not logger.handlers:
                logger.addHandler(logging.NullHandler())
        return octo

    def asked(self, failed: str, call: Callable[[], T], after: str = "") -> T:
        """What octoDNS answers. Of what it raises the class is told, and an HTTP status: the rest may hold a token."""
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - classes promise none
            kind, why = _reason(error)
        raise (ProviderError if after else kind)(f"{self._name}: {self.shown} {failed} ({why}){after}")

    def seen(self, octo: Any, name: str) -> Seen | None:
        """All of a zone; None where the class says that there is none."""
        exists, seen = self.asked(f"did not read the zone {name}", lambda: _populated(octo, name))
        if exists is None and not seen.records:
            raise ProviderError(
                f"{self._name}: {self.shown} does not say whether there is a zone {name}: put a record into it"
            )
        return seen if exists or seen.records else None


def _reason(error: BaseException) -> tuple[type[ProviderError], str]:
    """What an exception comes to, by its class and by the HTTP status of what it was raised for."""
    why, cause = type(error).__name__, error
    for _ in range(_DEEP):
        for holder in (getattr(cause, "response", None), cause):
            status = getattr(holder, "status_code", None)
            if isinstance(status, int):
                return _KINDS.get(status, ProviderError), f"{why}, HTTP status {status}"
        cause = cause.__cause__ or cause.__context__ or cause
    silent = isinstance(error, OSError) and not isinstance(error, ValueError)
    return Unreachable if silent else ProviderError, why


def empty(name: str) -> Seen:
    """A zone that is not there yet."""
    from octodns.zone import Zone

    return Seen(Zone(f"{name}.", []), {}, {})


def _populated(octo: Any, name: str) -> tuple[bool | None, Seen]:
    zone, _, _ = empty(name)
    exists = octo.populate(zone, target=True, lenient=True)
    records = {_key(one): one for one in zone.records}
    return exists, Seen(zone, records, {key: said(one) for key, one in records.items()})


def _key(found: Any) -> Key:
    """A type that is one service's alone (`PowerDnsProvider/LUA`) has its own name here."""
    return found._type.rpartition("/")[2], found.fqdn.removesuffix(".")  # noqa: SLF001 - as octoDNS calls it


def said(found: Any) -> tuple[tuple[str, ...], int | None]:
    """What a record of octoDNS says: a TXT as its joined text, in which octoDNS escapes semicolons alone."""
    type_ = found._type  # noqa: SLF001 - as octoDNS calls it
    if not 0 <= found.ttl < 2**31:
        raise ValueError("no TTL (RFC 2181, 8)")
    if type_ == "TXT":
        return tuple(str(value).replace("\\;", ";") for value in found.values), found.ttl
    if "/" in type_:  # its values need have no form that DNS knows; nobody declares them
        return tuple(map(str, getattr(found, "values", None) or [found.value])), found.ttl
    return tuple(map(str, found.to_rrset().rdatas)), found.ttl


def fresh(zone: Any, key: Key, values: tuple[str, ...], ttl: int | None, source: Any) -> Any:
    """A set as a record of octoDNS."""
    from octodns.record import Record
    from octodns.record.rr import Rrset

    type_, name = key
    written = [record.quoted(value) if type_ == "TXT" else value for value in values]
    return Record.from_rrset(zone, Rrset(f"{name}.", type_, ttl, written), lenient=True, source=source)


def kept_by_rules(found: Any) -> bool:
    """Whether it answers by who asks, or by what is up: its values are not all that it is."""
    return bool(getattr(found, "dynamic", None) or getattr(found, "geo", None))
