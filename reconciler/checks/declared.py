"""Checks over what a tenant declares: files called what they say, people who exist, nothing that points to nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler import canonical
from reconciler.agency import FILE, ONE_SPACE, unknown
from reconciler.findings import Origin, Rule
from reconciler.ids import Known, unusable
from reconciler.kinds.site import BAD_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from reconciler.agency import Agency
    from reconciler.files import Files
    from reconciler.findings import Finding

STILL_THERE = Rule(
    "IN239",
    "error",
    "A tenant cannot have had this name",
    "Move all of the old folder, or take `renamed_from` out.",
    why="Its ledger would go to the new name while the old one still declares mailboxes: nobody could say "
    "whose they are.",
)
KEEP_COPY = Rule(
    "IN215",
    "error",
    "Forward on a mailbox's own name",
    "Say `keep_copy: true` or `keep_copy: false` there.",
    why="Guessed wrong, the mailbox its owner reads stays empty, or mail that should have left is kept.",
)
NO_COPY = Rule(
    "IN216",
    "error",
    "`keep_copy` without a mailbox",
    "Take `keep_copy` out, or declare the mailbox.",
    why="Whoever wrote it counts on a copy that stays here, and there is none: the mail leaves for good.",
)
FILE_NAME = Rule(
    "IN201",
    "error",
    "File name and content differ",
    "Name file and folder like the id inside (A-labels).",
    why="Who may approve goes by the path: with a file called otherwise, somebody changes what is another "
    "one's to approve.",
)
NO_DOMAIN = Rule(
    "IN209",
    "error",
    "DNS file without a domain file",
    "Add domains/<domain>.yaml: it says who owns the domain.",
    why="Records would be published for a domain that nobody owns: nobody could be asked whether they may go.",
)
TWIN_ADDRESS = Rule(
    "IN228",
    "error",
    "An alias domain has no addresses of its own",
    "Declare them in the domain it is an alias of.",
    why="Every address of the other domain answers here already: which of two mailboxes gets the mail would "
    "be up to the server.",
)
NO_TENANT = Rule(
    "IN219",
    "error",
    "Tenant without a tenant.yaml",
    "Add tenants/<tenant>/tenant.yaml with `tenant` and `name`.",
    why="Nobody could say whose domains these are and whom to call, and no owner in them could be looked up.",
)


def check(files: Files, agency: Agency) -> Iterator[Finding]:
    """Every finding of this theme."""
    yield from _identity(files)
    yield from _keep_copies(files)
    yield from _twins_without_addresses(files)
    yield from _people(files, agency)


def _identity(files: Files) -> Iterator[Finding]:
    if not files.tenant_file:
        yield NO_TENANT.at(files.tenant, f"{files.folder} has no tenant.yaml.", Origin(f"{files.folder}/tenant.yaml"))
    for name, document in (("tenant", files.tenant_file), ("control", files.control)):
        if document and document["tenant"] != files.tenant:
            what = f"The folder is `{files.tenant}`, the file says `{document['tenant']}`."
            yield FILE_NAME.at(files.tenant, what, Origin(f"{files.folder}/{name}.yaml", ("tenant",)))
    for part, documents in (("domains", files.domains), ("dns", files.dns)):
        for stem, document in documents.items():
            yield from _domain_name(f"{files.folder}/{part}/{stem}.yaml", stem, document["domain"])
    for stem in files.dns.keys() - files.domains.keys():
        yield NO_DOMAIN.at(stem, f"There is no domains/{stem}.yaml.", Origin(f"{files.folder}/dns/{stem}.yaml"))


def _domain_name(file: str, stem: str, said: str) -> Iterator[Finding]:
    try:
        name = canonical.check_domain(said)
    except ValueError as error:
        yield BAD_NAME.at(said, f"{error}.", Origin(file, ("domain",)))
        return
    if name != stem:
        yield FILE_NAME.at(stem, f"The file is `{stem}.yaml`, its domain is `{name}`.", Origin(file, ("domain",)))


def _keep_copies(files: Files) -> Iterator[Finding]:
    for stem, said in files.domains.items():
        forwards = said.get("forwards", {})
        parts = ("mailboxes", "shared") if forwards else ()
        boxes = {canonical.address(n, stem) for part in parts for n in said.get(part, {})}
        for name, forward in forwards.items():
            origin, own = Origin(f"{files.folder}/domains/{stem}.yaml", ("forwards", name)), "keep_copy" in forward
            if canonical.address(name, stem) in boxes and not own:
                yield KEEP_COPY.at(name, f"`{name}` is a mailbox and a forward.", origin)
            elif own and canonical.address(name, stem) not in boxes:
                yield NO_COPY.at(name, f"`{name}` is no mailbox, so there is no copy to keep.", origin)


def _twins_without_addresses(files: Files) -> Iterator[Finding]:
    for stem, said in files.domains.items():
        for section in ("mailboxes", "shared", "aliases", "forwards", "catch_all"):
            if "alias_of" in said and section in said:
                origin = Origin(f"{files.folder}/domains/{stem}.yaml", (section,))
                yield TWIN_ADDRESS.at(stem, f"It has `alias_of` and `{section}`.", origin)


def _people(files: Files, agency: Agency) -> Iterator[Finding]:
    people, teams = files.tenant_file.get("people", {}), files.tenant_file.get("teams", {})
    wide, where = agency.data, f"{files.folder}/tenant.yaml, or in {FILE} if it is the agency's"
    known = Known({**wide.get("people", {}), **people}, {**wide.get("teams", {}), **teams}, where)
    for file, document in _documents(files):
        for path, key, value in _mentions(document) if files.tenant_file else ():
            if value not in known.persons:  # nearly all are
                yield from known.judged(key, value, Origin(file, (*path, key)))
    yield from unknown(f"{files.folder}/tenant.yaml", files.tenant_file, known)
    yield from unusable(f"{files.folder}/tenant.yaml", files.tenant_file)
    yield from unknown(f"{files.folder}/control.yaml", files.control, known)
    taken = agency.ids | people.keys()
    for section, clashing in (("people", people.keys() & agency.ids), ("teams", teams.keys() & taken)):
        for name in sorted(clashing):
            what = f"`{name}` is another person or team too."
            yield ONE_SPACE.at(name, what, Origin(f"{files.folder}/tenant.yaml", (section, name)))


_PEOPLE = frozenset({"owner", "approved_by", "held_by", "sponsor", "successor"})


def _mentions(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """(path of what holds it, key, id) wherever a document names a person or a team."""
    todo: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    while todo:
        path, node = todo.pop()
        for key, value in node.items() if type(node) is dict else enumerate(node):
            kind = type(value)
            if kind is str:
                if key in _PEOPLE:
                    yield path, key, value
            elif kind is dict or kind is list:
                todo.append(((*path, key), value))


def former(files: Files, there: Callable[[str], bool]) -> Iterator[Finding]:
    """A tenant cannot have been one that is still there."""
    old = files.control.get("renamed_from")
    if old is not None and there(old):
        origin = Origin(f"{files.folder}/control.yaml", ("renamed_from",))
        yield STILL_THERE.at(files.tenant, f"There is a tenants/{old}.", origin)


def _documents(files: Files) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield f"{files.folder}/tenant.yaml", files.tenant_file
    yield f"{files.folder}/control.yaml", files.control
    for part, documents in (("domains", files.domains), ("dns", files.dns)):
        for stem, document in documents.items():
            yield f"{files.folder}/{part}/{stem}.yaml", document
