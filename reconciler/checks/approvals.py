"""Checks over who approved: somebody who is still here, and neither the owner of the thing nor the change's author.

An approval by the person who profits from it, or by nobody one could ask, is none.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler import canonical
from reconciler.agency import FILE
from reconciler.checks.ownership import owned
from reconciler.findings import Origin, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from reconciler.files import Files
    from reconciler.findings import Finding
    from reconciler.people import People

BY_OWNER = Rule(
    "OW007",
    "error",
    "Approved by its owner",
    "Name in `approved_by` a person who is not the owner, or a team with such a member.",
    why="A second pair of eyes is what an approval is for: whoever takes over one account would else approve the rest.",
    dated=True,
)
APPROVER_LEFT = Rule(
    "OW008",
    "warning",
    "Approved by somebody who has left",
    "Let somebody who is here look at it: write their id in `approved_by`, or take it out.",
    why="Nobody is left who could say why it is there and whether it is still needed.",
    dated=True,
)


BY_AUTHOR = Rule(
    "OW014",
    "error",
    "Approved by the author of the change",
    "Name in `approved_by` somebody else, or a team with another member; who is named has to agree.",
    why="Whoever writes a forward and approves it needs nobody: one stolen account is enough to send mail outside.",
)


class Approval(NamedTuple):
    """That somebody (a person or a team) approved something. `owner` is whose it is, `said` all that is said of it."""

    by: str
    subject: str
    owner: str | None
    origin: Origin
    said: Any


def check(files: Files, people: People) -> Iterator[Finding]:
    """Every finding of this theme."""
    for approval in approvals(files):
        yield from judged(approval, people)


def judged(approval: Approval, people: People) -> Iterator[Finding]:
    """What is wrong with one approval, whoever wrote it. A team whose members nobody lists is taken at its word."""
    name = approval.by
    if name not in people.persons and not people.teams.get(name, {}).keys() & {"members"}:
        return
    here, owners = people.here(name), _owners(approval, people)
    if not here:
        yield APPROVER_LEFT.at(approval.subject, _nobody(name, people), approval.origin)
    elif owners.issuperset(here):
        what = f"{name} owns it" if name in owners else f"Of {name} only its owner is here, {here[0]}"
        yield BY_OWNER.at(approval.subject, f"{what}.", approval.origin)


def _owners(approval: Approval, people: People) -> set[str]:
    """Whose it is said to be, and whose it is now that they have left."""
    owner = approval.owner
    return set() if owner is None else {owner, people.heir(owner) or owner}


def fresh(files: Files, before: Iterable[Files]) -> Iterator[Approval]:
    """Approvals that are new, or have other terms than they had before."""
    known = {(approval.subject, _terms(approval)) for old in before for approval in approvals(old)}
    yield from (approval for approval in approvals(files) if (approval.subject, _terms(approval)) not in known)


def renewed(findings: Iterable[Finding], files: Files, before: Files) -> list[Finding]:
    """Those of approvals by owners whose terms are new: what was let pass before were others."""
    subjects = {approval.subject for approval in fresh(files, [before])}
    return [f for f in findings if f.code == BY_OWNER.code and f.subject in subjects]


def _terms(approval: Approval) -> str:
    return json.dumps(approval.said, sort_keys=True)


def by_author(
    files: Files, before: Iterable[Files], people: People, wrote: Mapping[str, AbstractSet[str]]
) -> Iterator[Finding]:
    """Approvals that are new or have other terms than before, by nobody but who wrote them.

    `wrote` are the names and e-mail addresses, in small letters, of those who changed a file since.
    """
    for approval in fresh(files, before):
        approving = set(people.here(approval.by)) - _owners(approval, people)
        authors = wrote.get(approval.origin.file, frozenset())
        if approving and all(authors & _called(people.persons[person]) for person in approving):
            names = " and ".join(sorted(approving))
            team = "" if names == approval.by else f"; of {approval.by} nobody else could have approved it"
            what = f"{names} wrote in this file since it was applied{team}."
            yield BY_AUTHOR.at(approval.subject, what, approval.origin)


def _called(person: Mapping[str, Any]) -> set[str]:
    """What Git may know somebody by, in small letters."""
    return {str(person.get(key, "")).lower() for key in ("name", "contact")} - {""}


def _nobody(name: str, people: People) -> str:
    return f"Nobody of {name} is here any more." if name in people.teams else f"{name} has left."


def approvals(files: Files) -> Iterator[Approval]:
    """Every approval that a tenant's files speak of."""
    for stem, said in files.domains.items():
        yield from _of_mail(f"{files.folder}/domains/{stem}.yaml", stem, said)
    for stem, said in files.dns.items():
        owner, file = files.domains.get(stem, {}).get("owner"), f"{files.folder}/dns/{stem}.yaml"
        for index, item in enumerate(said.get("absent", ())):
            subject = f"{stem}/{item.get('type')}/{item.get('name')}"
            yield from _said(item, subject, owner, Origin(file, ("absent", index)))
    if files.control.keys() & {"retire", "holds", "accept"}:
        yield from _of_control(files)


def wide(said: Mapping[str, Any]) -> Iterator[Approval]:
    """Those of the agency's file: exceptions that hold for all tenants, which nobody in particular owns."""
    for index, item in enumerate(said.get("accept", ())):
        yield from _said(item, f"{item['finding']} {item['subject']}", None, Origin(FILE, ("accept", index)))


def _of_mail(file: str, stem: str, said: Mapping[str, Any]) -> Iterator[Approval]:
    for section in ("forwards", "aliases"):
        for name, thing in said.get(section, {}).items():
            if type(thing) is dict:
                owner = thing.get("owner", said["owner"])
                yield from _said(thing, canonical.address(name, stem), owner, Origin(file, (section, name)))
    if "catch_all" in said:
        yield from _said(said["catch_all"], f"@{stem}", said["catch_all"]["owner"], Origin(file, ("catch_all",)))
    for index, item in enumerate(said.get("absent", ())):
        subject = canonical.address(item["alias"], stem)
        yield from _said(item, subject, said["owner"], Origin(file, ("absent", index)))
    for name, item in said.get("retired", {}).items():  # whose it was is not said any more
        yield from _said(item, canonical.address(name, stem), None, Origin(file, ("retired", name)))


def _of_control(files: Files) -> Iterator[Approval]:
    file, owners = f"{files.folder}/control.yaml", {**_forwarding(files), **dict(owned(files))}
    for domain, item in files.control.get("retire", {}).items():
        yield from _said(item, domain, owners.get(domain), Origin(file, ("retire", domain)))
    for index, item in enumerate(files.control.get("holds", ())):
        subject = canonical.address(item["subject"]) if "@" in item["subject"] else item["subject"]
        yield from _said(item, subject, owners.get(subject), Origin(file, ("holds", index)))
    for index, item in enumerate(files.control.get("accept", ())):
        subject = f"{item['finding']} {item['subject']}"
        yield from _said(item, subject, _owner(item["subject"], owners), Origin(file, ("accept", index)))


def _forwarding(files: Files) -> dict[str, str]:
    return {
        canonical.address(name, stem): forward["owner"]
        for stem, said in files.domains.items()
        for name, forward in said.get("forwards", {}).items()
    }


def _owner(subject: str, owners: Mapping[str, str]) -> str | None:
    """Whose the thing is that a finding is about: an address, a domain, or a name below one."""
    for part in subject.replace(":", "/").split("/"):
        name = part
        while name and name not in owners:
            name = name.partition("@" if "@" in name else ".")[2]
        if name:
            return owners[name]
    return None


def _said(item: Mapping[str, Any], subject: str, owner: str | None, origin: Origin) -> Iterator[Approval]:
    if "approved_by" in item:
        place = origin._replace(path=(*origin.path, "approved_by"))
        yield Approval(item["approved_by"], subject, owner, place, item)
