"""What the files would say if they said what live has: the edits that a drift comes to, or why no edit can say it.

What only a person knows is not made up: who approved that mail leaves, and until when. Nor is the end of what keeps
mail written down for having happened. Whoever makes the edits compiles the files anew and compares: that their sum says
what live has, and nothing else, is seen there.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, cast

from reconciler import canonical
from reconciler.editing import SIGNER, Edit, items
from reconciler.model import MISSING
from reconciler.record_edits import record
from reconciler.wording import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reconciler.changes import Drift
    from reconciler.editing import Answer, Path, Where
    from reconciler.model import Resource, Value

UNDECLARED = "Git does not declare it; declare it, or have it put back"
_NAMED_ABSENT = "it is named under `absent`; take that line out and declare it, or have it put back"
_GONE = "what it held is gone too: take it out of the files by hand, or have an empty one made"
_LOGIN = "whose login it is, and who shares it, is for a person to say: move it between `mailboxes` and `shared`"
_MEMBERS = "only what stands under `shared` has members"
_COPY = "mail leaves by it: write it under `forwards`, with owner, reason, approver and end date"
_KEPT = "no file says of a mailbox that it keeps nothing and sends nothing on; have it put back"
_TEMPLATE = "the template gives it; name another template, or have it put back"
_TOGETHER = {"members": "login", "keep_copy": "copies_to", "ttl": "values"}  # parts of one line of a file


def together(drift: Sequence[Drift]) -> list[list[Drift]]:
    """The drift in groups that are written or left as one."""
    groups: dict[Any, list[Drift]] = {}
    for found in drift:
        groups.setdefault((found.address, _TOGETHER.get(found.field, found.field)), []).append(found)
    return list(groups.values())


def edits(drift: Sequence[Drift], where: Where) -> Answer:
    """What one group of `together` comes to."""
    address = drift[0].address
    git = where.state.get(address)
    if git is None or git.origin is None:
        return UNDECLARED
    if any(found.field == "exists" and found.live for found in drift):
        return _NAMED_ABSENT
    return _KINDS[address.kind]({found.field: found.live for found in drift}, git, where)


def _mailbox(live: Mapping[str, Value], git: Resource, where: Where) -> Answer:
    assert git.origin is not None
    file, path = git.origin.file, git.origin.path
    if "exists" in live:
        return _GONE
    if "login" in live:
        return _LOGIN
    if "members" in live:
        return _members(live["members"], git, where) if path[0] == "shared" else _MEMBERS
    if "copies_to" in live or "keep_copy" in live:
        return _forward(live, git, where)
    ((field, value),) = live.items()
    said = shown(field, value) if field == "quota" else value
    return [Edit(file, (*path, field), said)]


def _members(live: Mapping[str, str], git: Resource, where: Where) -> Answer:
    assert git.origin is not None
    path = (*git.origin.path, "members")
    written = _said(where, git.domain, path)
    known = {canonical.address(text, git.domain): text for text in written}
    new = [Edit(git.origin.file, (*path, known.get(a, _short(a, git))), right) for a, right in live.items()]
    old = [Edit(git.origin.file, (*path, text)) for address, text in known.items() if address not in live]
    return [edit for edit in new if written.get(edit.path[-1]) != edit.value] + old


def _forward(live: Mapping[str, Value], git: Resource, where: Where) -> Answer:
    file, written = where.boxes(git.domain), where.files.domains[git.domain].get("forwards", {})
    name = next((text for text in written if canonical.address(text, git.domain) == git.address.name), None)
    copies = live.get("copies_to", git.get("copies_to"))
    if name is None:
        return _COPY if copies else _KEPT
    if not copies:
        return [Edit(file, ("forwards", name))]
    keeps = [Edit(file, ("forwards", name, "keep_copy"), live["keep_copy"])] if "keep_copy" in live else []
    return [*keeps, *_targets(file, ("forwards", name, "to"), written[name]["to"], copies, git)]


def _alias(live: Mapping[str, Value], git: Resource, where: Where) -> Answer:
    assert git.origin is not None
    file, path = where.boxes(git.domain), git.origin.path
    own = path[0] in {"aliases", "forwards", "catch_all"}
    if "exists" in live:
        return [Edit(file, path)] if own else _TEMPLATE
    if not own:
        return [Edit(file, ("aliases", _short(git.address.name, git)), [_short(to, git) for to in live["to"]])]
    said = _said(where, git.domain, path)
    place, written = (path, said) if isinstance(said, list) else ((*path, "to"), said["to"])
    return _targets(file, place, written, live["to"], git)


def _domain(live: Mapping[str, Value], git: Resource, where: Where) -> Answer:
    if "exists" in live:
        return _GONE
    return [Edit(where.boxes(git.domain), ("alias_of",), live["alias_of"] or MISSING)]


def _signing(live: Mapping[str, Value], git: Resource, where: Where) -> Answer:
    assert git.origin is not None
    if "exists" in live:
        return SIGNER
    file = where.names(git.domain)
    block = where.files.dns.get(git.domain, {}).get("dkim")
    if block is not None:
        return items(file, ("dkim", "sign"), block["sign"], live["selectors"])
    keys = [thing for thing in where.state.values() if thing.address.kind == "dkim_key" and thing.domain == git.domain]
    said: dict[str, Any] = {
        "sign": list(live["selectors"]),
        "keys": {key.address.name.partition(".")[0]: _key(key) for key in keys},
    }
    return [Edit(file, ("dkim",), said | ({"overlap": f"{keys[0].keep} days"} if keys else {}))]


def _key(key: Resource) -> Mapping[str, Any]:
    """A key as a `dkim` block has it: of Ed25519 there is one length."""
    names = ("type", "bits") if key.get("type") == "rsa" else ("type",)
    return {name: key.get(name) for name in names}


def _said(where: Where, domain: str, path: Path) -> Any:
    """What a domain's mail file says under some keys."""
    return reduce(lambda said, key: said[key], path, cast("Any", where.files.domains[domain]))


def _targets(file: str, path: Path, written: Sequence[str], live: Sequence[str], git: Resource) -> list[Edit]:
    known = [canonical.address(text, git.domain) for text in written]
    return items(file, path, known, live, lambda address: _short(address, git))


def _short(address: str, git: Resource) -> str:
    """An address as a file of its own domain writes it."""
    local, _, host = address.rpartition("@")
    return local if host == git.domain else address


_KINDS: Mapping[str, Callable[[Mapping[str, Value], Resource, Where], Answer]] = {
    "alias": _alias,
    "dkim_key": lambda _live, _git, _where: SIGNER,
    "dkim_signing": _signing,
    "domain": _domain,
    "mailbox": _mailbox,
    "record": record,
}
