"""What the settings of providers may look like: each check yields where a problem is and why, and quotes no value.

A setting of `{env: NAME}` or `{file: NAME}` counts as text: what it stands for is known when the provider connects.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    Problem = tuple[tuple[str | int, ...], str]  # keys below the provider's own, what is wrong

_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")


def refuse(provider: str, found: Iterable[Problem]) -> None:
    """Raises Refused for the first of these problems."""
    for path, why in found:
        raise Refused(f"{provider}: `{'.'.join(map(str, path))}` {why}")


def deferred(value: Any) -> bool:
    """Whether it is `{env: NAME}` or `{file: NAME}`."""
    named = isinstance(value, dict) and value.keys() in ({"env"}, {"file"})
    return named and all(isinstance(name, str) for name in value.values())


def texts(settings: Mapping[str, Any], *keys: str) -> Iterator[Problem]:
    """These settings are text, where they are there."""
    for key in keys:
        value = settings.get(key, "-")
        if not deferred(value) and not (isinstance(value, str) and value and "\0" not in value):
            yield (key,), "must be text: in quotes, and not empty"


def choice(settings: Mapping[str, Any], key: str, values: Collection[str]) -> Iterator[Problem]:
    """This setting is one of the values, where it is there."""
    value = settings.get(key)
    if value is not None and not deferred(value) and not (isinstance(value, str) and value in values):
        yield (key,), f"must be one of {', '.join(values)}"


def switch(settings: Mapping[str, Any], key: str) -> Iterator[Problem]:
    """This setting is yes or no, where it is there."""
    if not isinstance(settings.get(key, False), bool):
        yield (key,), "must be true or false"


def servers(settings: Mapping[str, Any], key: str) -> Iterator[Problem]:
    """This setting is a list of name servers with their ports, at least one, where it is there."""
    names = settings.get(key, ["localhost"])
    if not isinstance(names, list) or not names:
        yield (key,), "must be a list of name servers"
        return
    for index, name in enumerate(names):
        yield from _server((key, index), name)


def server(settings: Mapping[str, Any], key: str) -> Iterator[Problem]:
    """This setting is a name server with its port, where it is there."""
    yield from _server((key,), settings.get(key, "localhost"))


def _server(path: tuple[str | int, ...], name: Any) -> Iterator[Problem]:
    try:
        canonical.server(name if isinstance(name, str) else "")
    except ValueError:
        yield path, "is no name server: write HOST or HOST:PORT, an IPv6 address in brackets"


def zone(settings: Mapping[str, Any], key: str) -> Iterator[Problem]:
    """This setting is the name of a zone, where it is there as text."""
    name = settings.get(key)
    if isinstance(name, str) and name:
        try:
            canonical.check_domain(name)
        except ValueError:
            yield (key,), "must be the name of a zone, such as reconciler.agency.example"


def hosts(settings: Mapping[str, Any], key: str) -> Iterator[Problem]:
    """This setting is a list of host names (RFC 1123), at least one, where it is there."""
    names = settings.get(key, ["localhost"])
    if not isinstance(names, list) or not names:
        yield (key,), "must be a list of host names"
        return
    for index, name in enumerate(names):
        if not isinstance(name, str) or not _HOST.fullmatch(canonical.domain(name)):
            yield (key, index), "is no host name"
