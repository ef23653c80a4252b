"""`who` as lines: the first ones name the owner and who may reset, the last one how to undo what changed last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.wording import called, counted, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from reconciler.reports.lines import Line

Data = dict[str, Any]
_WIDTH = 14  # of what a line is about
_MANY = 20  # lines of one kind, before they are counted
_SIDES = {"domains": "mail", "dns": "DNS"}
_SAID = {
    "account": "account",
    "left": "left on",
    "until": "guest until",
    "sponsor": "sponsor",
    "successor": "successor",
}
_BRINGS = {"partial": "brings back a part of it", "none": "brings nothing back"}
_AS = {
    "catch-all": "the catch-all",
    "plus address": "a plus address",
    "alias domain": "a name in an alias domain",
    "alias domain and plus address": "a plus address in an alias domain",
}
_TROUBLES = {
    "left": "whose owner has left",
    "outside": "which leaves the estate",
    "shared": "read by several people",
    "nowhere": "which nobody answers for",
    "closed": "which nobody can log in to",
    "unknown": "what happens there is unknown",
}


def who_data(answer: Data) -> Data:
    """`reconciler.who/1`."""
    return {"format": "reconciler.who/1", **answer}


def who(answer: Data) -> Iterator[Line]:
    """The answer, a line a fact."""
    details = {**answer["details"], "as_of": answer["as_of"]}
    tenant = answer["tenant"]
    of = f" of {_named(tenant['name'], tenant['id'])}" if tenant else " of the agency"
    state = f", {details['state']}" if details.get("state") not in {None, "active"} else ""
    state = f", {answer['kind']}" if "was" in details else state
    kind = called(details["was"] if "was" in details else answer["kind"])
    name = f"{answer['owner']['name']}, " if answer["kind"] == "person" and answer["owner"]["name"] else ""
    yield ((visible(answer["name"]), "bold"), (visible(f": {name}{kind}{of}{state}"), ""))
    if answer["applied"] is False and answer["kind"] != "removed":
        yield from _rows("not applied", ["this is what Git says; `reconciler plan` shows what is to come"])
    if answer["via"]:
        yield from _rows("asked for", [f"{answer['asked'].strip()}, which it answers as {_AS[answer['via']]}"])
    parts = {"person": _person, "team": _person, "domain": _domain, "retired": _gone, "removed": _gone}
    yield from _owner(answer)
    yield from _rows(
        "may reset it" if answer["kind"] not in {"person", "team"} else "may reset", _holders(answer["may_reset"])
    )
    yield from _rows("reset goes to", _path(answer["reset_path"]))
    yield from _rows("may change it", _changers(answer["may_change"]))
    yield from parts.get(answer["kind"], _address)(details)
    if place := answer["declared"]:
        yield from _rows("declared in", [f"{place['file']}:{place['line']}"])
    yield from _last(answer)


def _rows(label: str, texts: Iterable[str], style: str = "") -> Iterator[Line]:
    """A label, and beside it one text a line."""
    for number, text in enumerate(texts):
        yield ((f"{label if number == 0 else '':{_WIDTH}}", "bold"), (visible(text), style))


def _few(texts: Sequence[str]) -> list[str]:
    return [*texts[:_MANY], *([f"… and {len(texts) - _MANY} more (--format json)"] if len(texts) > _MANY else [])]


def _named(name: str | None, key: str) -> str:
    return f"{name} ({key})" if name else key


def _somebody(person: Data) -> str:
    """`Jane Roe (jane), +44 20 5550100`, and that she has left where she has."""
    left = "" if person["here"] else f", has left; now {person['heir']}" if person["heir"] else ", has left"
    contact = f", {person['contact']}" if person["contact"] else ""
    return f"{_named(person['name'], person['id'])}{contact}{left if person['name'] else ', nobody we know'}"


def _owner(answer: Data) -> Iterator[Line]:
    if answer["kind"] == "person":
        yield from _rows("contact", [answer["owner"]["contact"] or "none is written down"])
    elif answer["kind"] != "team":
        yield from _rows("owner", [_somebody(answer["owner"]) if answer["owner"] else "nobody is named"])


def _holders(holders: Sequence[Data]) -> Iterator[str]:
    """One person a line; of a team with its name."""
    for holder in holders:
        team = f", team {holder['team']}" if holder["team"] else ""
        yield from (f"{_somebody(person)}{team}" for person in holder["people"] if person["here"])
    if not any(person["here"] for holder in holders for person in holder["people"]):
        yield "nobody is named: set the role in reconciler.yaml or control.yaml"


def _path(steps: Sequence[Data]) -> Iterator[str]:
    for step in steps:
        boxes = [box for box in step["arrives_in"] if box != step["to"]]
        arrives = f" -> {', '.join(boxes)}" if boxes else ""
        whose = f" ({step['owner']}'s)" if step["owner"] else ""
        trouble = f", {_TROUBLES[step['trouble']]}" if step["trouble"] else ""
        yield f"{step['to'] or 'no contact is written down'}{arrives}{whose}{trouble}"


def _changers(parts: Sequence[Data]) -> Iterator[str]:
    for part in parts:
        side = part["path"].split("/")[-2] if "/" in part["path"] else ""
        what = f"its {_SIDES[side]} in " if side in _SIDES else "in "
        yield from (_names(holder) for holder in part["holders"])
        yield f"  {what}{part['path']}" if part["holders"] else f"nobody is named: {part['role']} for {part['path']}"


def _names(holder: Data) -> str:
    people = ", ".join(_named(p["name"], p["id"]) for p in holder["people"] if p["here"]) or "nobody who is here"
    return f"team {holder['team']}: {people}" if holder["team"] else people


def _address(details: Data) -> Iterator[Line]:
    members = [f"{m['address']} ({m['right']}){_whose(m['owner'])}" for m in details["members"]]
    yield from _rows("members", _few(members))
    yield from _rows("mail goes to", _few([text for to in details["mail_to"] for text in _target(to)]))
    yield from _rows("mail comes by", _few([f"{m['address']} ({called(m['kind'])})" for m in details["mail_from"]]))
    yield from _rows("member of", _few([f"{m['address']} ({m['right']})" for m in details["member_of"]]))


def _whose(owner: Data | None) -> str:
    return f", {_named(owner['name'], owner['id'])}" if owner else ""


def _target(to: Data) -> Iterator[str]:
    until = f", until {to['expires']}" if to["expires"] else ""
    outside = ", outside the estate" if to["where"] == "outside" else ""
    yield "its own box" if to["where"] == "kept" else f"{to['address']}{outside}{until}"
    if to["reason"] and to["approved_by"]:
        whose = f"; {_named(to['owner']['name'], to['owner']['id'])} answers for it" if to["owner"] else ""
        yield f"  {to['reason']}; approved by {to['approved_by']}{whose}"


def _domain(details: Data) -> Iterator[Line]:
    things = {"mailbox": "mailbox", "shared": "shared mailbox", "alias": "alias", "forward": "forward"}
    counts = [_plural(number, things[kind]) for kind, number in details["counts"].items() if number and kind in things]
    catch = ["catch-all"] if details["counts"]["catch_all"] else []
    assets = [text for asset in details["assets"] for text in _asset(asset)]
    yield from _rows("depends on", assets or ["unknown: no asset names it"])
    if details["alias_of"]:
        yield from _rows("alias of", [details["alias_of"]])
    yield from _rows("holds", [", ".join([*counts, *catch]) or "no address"])
    yield from _rows("mail, DNS", [f"{details['mail'] or 'not ours'}, {details['dns'] or 'not ours'}"])
    yield from _rows("template", [details["template"] or "none"])


def _plural(number: int, thing: str) -> str:
    return counted(number, thing) if number == 1 or thing == "forward" else f"{number} {thing}es"


def _asset(asset: Data) -> Iterator[str]:
    ends = f", until {asset['expires']}" if asset["expires"] else ""
    yield f"{asset['kind']}: {asset['name']}{ends}"
    yield f"  held by {_names(asset['held_by'])}" if asset["held_by"] else "  held by nobody who is named"
    if asset["reset_to"]:
        yield f"  its resets go to {asset['reset_to']}"


def _person(details: Data) -> Iterator[Line]:
    seen = details["mfa_attested"]
    factor = (
        f"seen on {seen}{'' if details['attested'] else ', too long ago'}" if seen else "unknown: nobody attested one"
    )
    yield from _rows("members", [_somebody(person) for person in details["members"]])
    yield from _rows("2nd factor", [factor] if not details["members"] else [])
    for key, label in _SAID.items():
        to_come = key == "left" and (details["left"] or "") > details["as_of"]
        yield from _rows("leaves on" if to_come else label, [details[key]] if details[key] else [])
    yield from _rows("teams", [", ".join(details["teams"])] if details["teams"] else [])
    yield from _rows("roles", [r["role"] + (f" in {r['tenant']}" if r["tenant"] else "") for r in details["roles"]])
    yield from _rows("owns", _few([f"{called(o['kind'])} {o['name']}" for o in details["owns"]]))
    yield from _rows("member of", _few([f"{m['address']} ({m['right']})" for m in details["member_of"]]))
    yield from _rows("holds", _few([text for asset in details["assets"] for text in _asset(asset)]))
    yield from _rows("approved", _few([_approval(approval) for approval in details["approvals"]]))
    if len(details["tenants"]) > details["looked_into"]:
        told = f"{len(details['tenants'])} tenants name them; told of the first {details['looked_into']}, see --tenant"
        yield from _rows("tenants", [told])


def _approval(said: Data) -> str:
    until = f" until {said['expires']}" if said["expires"] else ""
    return f"{said['what']} {said['subject']}{until}"


def _gone(details: Data) -> Iterator[Line]:
    was, kept = details["was_declared"], details["kept_until"]
    live = [] if kept else ["  that is not applied yet: mail for it still arrives"]
    yield from _rows("not declared", [f"any more; it was in {was['file']}:{was['line']}", *live])
    yield from _rows("kept until", [f"{kept} or later: declared again it is as it was"] if kept else [])


def _last(answer: Data) -> Iterator[Line]:
    change, person = answer["last_change"], answer["kind"] in {"person", "team"}
    if change["unknown"]:
        yield from _rows("last change", [change["unknown"]])
        return
    day, by = (change["date"] or "")[:10], change["author"] or "unknown"
    action = f": {change['action']}" if change["action"] else ""
    yield from _rows("last change", [f"{day} by {by}, commit {change['commit'][:12]}{action}".strip()])
    run = change["applied"]
    by = run["actor"].partition(" <")[0] if run else ""
    waiting = "not applied yet" if answer["ledgers"] else "applied or not: that is not known in this clone"
    yield from _rows(" ", [f"applied {run['ended']} by {by}, run {run['run']}" if run else waiting] * (not person))
    yield from _rows("undo", _undo(change))


def _undo(change: Data) -> list[str]:
    """The command, and what it comes to besides; where there is none, why."""
    if change["undo"] is None:
        place = f"in {change['file']}:{change['line']}" if change["file"] and change["line"] else "where it stands"
        return [f"by hand, {place}", "  the estate began with that commit"]
    kept = change["action"] == "create" and change["brings_back"] == "partial"
    parts = ["what it made is retired, its mail kept" if kept else _BRINGS.get(change["brings_back"], "")]
    parts += [f"all of that commit, {change['files']} files"] if (change["files"] or 0) > 1 else []
    said = "; ".join(filter(None, parts))
    return [str(change["undo"]), *([f"  {said}"] if said else [])]
