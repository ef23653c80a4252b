"""Checks over what a domain's files let out, or let in that nobody declared: forwards, the catch-all, their days."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.findings import Origin, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from reconciler.compile import Compiled
    from reconciler.files import Files
    from reconciler.findings import Finding

LONGEST, SOON = 366, 14  # days
MOST = 5  # outside addresses of one name
_SHOWN = 3  # targets in a sentence

ENDED = Rule(
    "RT003",
    "warning",
    "A redirect has ended",
    "Take it out; or, if it is still needed, have it approved anew with another `expires`.",
    why="From the day after `expires` on mail goes another way than the line seems to say.",
    dated=True,
)
ENDLESS = Rule(
    "RT020",
    "warning",
    "A redirect holds for more than a year",
    "Give it an earlier `expires`, and prolong it then if it is still needed.",
    why="What is only looked at again in years outlives whoever asked for it, and mail goes on leaving.",
)
MANY_OUT = Rule(
    "RT021",
    "warning",
    "One name leaves to many",
    "Let the other side spread it, or use a mailing list.",
    why="Mail that is passed on to many outside is what spammers do: the server that does it is soon refused.",
)
ENDS_SOON = Rule(
    "RT022",
    "info",
    "A redirect ends soon",
    "Prolong it while there is time, or tell those who count on it.",
    why="From the day after `expires` on mail for the name is refused, or goes to the mailbox of that name alone.",
    dated=True,
)
CATCHES_ABSENT = Rule(
    "RT031",
    "warning",
    "The catch-all takes what must not exist",
    "Take the catch-all out, or say where mail for this name goes.",
    why="`absent` takes the address away, and all the same mail for it is still delivered, to others.",
)
BESIDE = Rule(
    "RT032",
    "info",
    "A plus address with a way of its own",
    "Nothing, if that is meant; else take it out, and the name before the plus answers for it.",
    why="Whoever has the name before the plus counts on all of its plus addresses (RFC 5233); this one is not theirs.",
)
KEPT_AND_GONE = Rule(
    "RT033",
    "warning",
    "A forward takes the place of a retired mailbox",
    "Let it go to an address here, whose owner passes on what may leave.",
    why="Who writes to somebody who has left counts on reaching the company, and not another one.",
)


def check(files: Files, compiled: Compiled, today: str, outside: Callable[[str], bool]) -> Iterator[Finding]:
    """Every finding of this theme, on a day (ISO). `outside` says of a domain whether it is nobody's here."""
    names = {address.name for address in compiled.state if address.kind in {"mailbox", "alias"}}
    ours = {address.name for address in compiled.state if address.kind == "domain"}
    for host in files.domains.keys() & ours:
        said, file = files.domains[host], f"{files.folder}/domains/{host}.yaml"
        retired = frozenset(canonical.address(name, host) for name in said.get("retired", ()))
        for name, redirect, path in _redirects(host, said):
            yield from _days(name, redirect, Origin(file, path), today, names)
            yield from _targets(name, redirect, Origin(file, path), outside, retired)
        if f"@{host}" in names:
            yield from _absent(host, said, file)
    for address, resource in compiled.state.items():
        if "+" in address.name and address.name in names and resource.origin is not None:
            base = canonical.base_address(address.name)
            if base != address.name and base in names:
                yield BESIDE.at(address.name, f"{base} is declared too, and does not get it.", resource.origin)


def _redirects(host: str, said: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], tuple[str, ...]]]:
    """(address, what is said, its path) of each forward and of the catch-all; an alias may name a day as well."""
    for section in ("aliases", "forwards"):
        for name, redirect in said.get(section, {}).items():
            if isinstance(redirect, dict):
                yield canonical.address(name, host), redirect, (section, name)
    if "catch_all" in said:
        yield f"@{host}", said["catch_all"], ("catch_all",)


def _days(
    name: str, redirect: Mapping[str, Any], origin: Origin, today: str, names: AbstractSet[str]
) -> Iterator[Finding]:
    if "expires" not in redirect:
        return
    end, now = redirect["expires"], date.fromisoformat(today)
    place = origin._replace(path=(*origin.path, "expires"))
    if end < today:
        yield ENDED.at(name, f"It led to {_listed(redirect['to'])} and ended on {end}. {_now(name, names)}", place)
    elif end <= (now + timedelta(days=SOON)).isoformat():
        yield ENDS_SOON.at(name, f"{end} is its last day.", place)
    elif end > (now + timedelta(days=LONGEST)).isoformat():
        days = (date.fromisoformat(end) - now).days
        yield ENDLESS.at(name, f"It holds until {end}: {days} days, more than {LONGEST}.", place)


def _now(name: str, names: AbstractSet[str]) -> str:
    """What becomes of mail for a name whose redirect has ended."""
    if name.startswith("@"):
        return "Mail for names that are not declared is refused."
    if name in names:
        return "Its mail stays in the mailbox of that name."
    caught = f"@{canonical.domain_of(name)}" in names
    return "The catch-all takes its mail." if caught else "Mail for it is refused."


def _listed(targets: Sequence[str]) -> str:
    more = f" and {len(targets) - _SHOWN} more" if len(targets) > _SHOWN else ""
    return ", ".join(targets[:_SHOWN]) + more


def _targets(
    name: str, redirect: Mapping[str, Any], origin: Origin, outside: Callable[[str], bool], retired: AbstractSet[str]
) -> Iterator[Finding]:
    host = canonical.domain_of(name)
    targets = {canonical.address(text, host) for text in redirect["to"]}
    leaving = sorted(to for to in targets if outside(canonical.domain_of(to)))
    if len(leaving) > MOST:
        yield MANY_OUT.at(name, f"It goes to {len(leaving)} addresses outside, more than {MOST}.", origin)
    if leaving and name in retired:
        what = f"{name} stands under `retired`, and mail for it goes to {_listed(leaving)}."
        yield KEPT_AND_GONE.at(name, what, origin)


def _absent(host: str, said: Mapping[str, Any], file: str) -> Iterator[Finding]:
    for index, item in enumerate(said.get("absent", ())):
        name = canonical.address(item["alias"], host)
        what = f"{name} shall not exist, and the catch-all of {host} takes its mail."
        yield CATCHES_ABSENT.at(name, what, Origin(file, ("absent", index)))
