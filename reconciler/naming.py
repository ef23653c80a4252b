"""Which thing of the estate a name means: an address, a domain, a person or team, or a local part that is there once.

Domains are found by paths alone. Where people and local parts may be in any tenant, Git first searches the files as
text, all of them in one go; only those with a hit are parsed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from reconciler import canonical
from reconciler.errors import ReconcilerError
from reconciler.findings import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from reconciler.files import Files
    from reconciler.history import Repository
    from reconciler.session import Session

SHOWN = 10  # tenants that are looked into, and named where a name is in several


class Meant(NamedTuple):
    """What a name means: `kind` is address, domain or person, `tenant` is empty for the agency's own people."""

    kind: str
    name: str
    tenant: str


def meant(session: Session, name: str) -> Meant:
    """What a name means. Raises ReconcilerError where nothing has it, or several have."""
    asked = name.strip()
    if not asked.strip("@"):
        raise ReconcilerError("name an address, a domain or a person")
    if "@" in asked:
        address = canonical.address(asked.rpartition("/")[2])
        return Meant("address", address, _holder(session, canonical.domain_of(address), asked))
    domain = _domain(session, asked)
    if domain:
        return Meant("domain", domain, _holder(session, domain, asked))
    found = _agency(session, asked)
    if found is None:
        found = _one(asked, [*_in_tenants(session, asked)]) or _one(asked, [*_local_parts(session, asked)])
    if found is None:
        raise ReconcilerError(_nobody(session, asked))
    return found


def domain_meant(session: Session, name: str) -> Meant:
    """The domain that a name means. Raises ReconcilerError where it means something else, too."""
    found = meant(session, name)
    if found.kind != "domain":
        raise ReconcilerError(f"{name} is no domain; `reconciler who {name}` tells of it")
    return found


def named_in(session: Session, person: str) -> list[str]:
    """The tenants whose mailboxes, domains or assets name one of the agency's people, by their text."""
    return _containing(session, ("domains/*", "dns/*", "tenant.yaml", "control.yaml"), person)


def _holder(session: Session, domain: str, asked: str) -> str:
    """The tenant that holds a domain, or the nearest above it that is held."""
    holders = session.estate.holders.get(domain)
    if not holders:
        near = did_you_mean(domain, session.estate.domains)
        raise ReconcilerError(f"no tenant of this estate holds {domain}, so nobody here answers for {asked}.{near}")
    among = [holder for holder in holders if not session.request.tenants or holder in session.request.tenants]
    if not among:
        raise ReconcilerError(f"{domain} is not held by {', '.join(session.request.tenants)} but by {holders[0]}")
    return among[0]


def _domain(session: Session, asked: str) -> str:
    """The domain that a name is, or that it is below: of a record's name the domain it belongs to."""
    labels = canonical.domain(asked.rpartition("/")[2]).split(".")
    names = (".".join(labels[start:]) for start in range(len(labels) - 1))
    return next((name for name in names if name in session.estate.holders), "")


def _agency(session: Session, asked: str) -> Meant | None:
    data = session.estate.agency.data
    found = _ids(data.get("people", {}), data.get("teams", {}), asked) if not session.request.tenants else []
    return Meant("person", found[0], "") if found else None


def _ids(people: dict[str, dict[str, str]], teams: Iterable[str], asked: str) -> list[str]:
    """People and teams with that id; else people with that full name."""
    key = asked.casefold()
    by_id = [name for name in (*people, *teams) if name.casefold() == key]
    return by_id or [name for name, said in people.items() if said.get("name", "").casefold() == key]


def _in_tenants(session: Session, asked: str) -> Iterator[Meant]:
    def here(files: Files) -> Iterator[Meant]:
        said = files.tenant_file
        for name in _ids(said.get("people", {}), said.get("teams", {}), asked):
            yield Meant("person", name, files.tenant)

    return _search(session, asked, "tenant.yaml", here)


def _local_parts(session: Session, asked: str) -> Iterator[Meant]:
    def here(files: Files) -> Iterator[Meant]:
        for domain, said in files.domains.items():
            names = {name for part in ("mailboxes", "shared", "aliases", "forwards") for name in said.get(part, {})}
            same = {canonical.address(name, domain) for name in names if name.casefold() == asked.casefold()}
            for name in sorted(same):
                yield Meant("address", name, files.tenant)

    return _search(session, asked, "domains/*", here)


def _search(session: Session, asked: str, part: str, here: Callable[[Files], Iterator[Meant]]) -> Iterator[Meant]:
    """What has the name, in the tenants whose files hold it as text; of very many the first ones do."""
    tenants = _containing(session, (part,), asked)
    for start in range(0, len(tenants), SHOWN):
        some = session.estate.parsed(tenants[start : start + SHOWN]).values()
        found = [what for tenant in some for what in here(tenant.files)]
        yield from found
        if len(found) > 1:
            return


def _containing(session: Session, parts: Sequence[str], word: str) -> list[str]:
    """The tenants with a file among those parts in which a word stands by itself, whatever its case."""
    alone = re.compile(rf"(?<![\w.@-]){re.escape(word.casefold())}(?![\w.@-])")
    folders = [f"tenants/{name}" for name in session.request.tenants or ("*",)]
    paths = [f":(glob){folder}/{part}" for folder in folders for part in parts]
    lines = _lines(session.estate.repository, session.estate.commit, word, paths)
    return sorted({path.split("/")[1] for path, line in lines if alone.search(line.casefold())})


def _lines(repository: Repository, commit: str, text: str, paths: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(path, line) of each line at a commit in which a text stands, whatever its case; `paths` are patterns.

    Git searches twenty thousand files in half the time that it takes to hand them over.
    """
    plain = ("--text", "--no-color", "--no-line-number", "--no-column", "--no-recurse-submodules", "--threads=1")
    done = repository.attempt("grep", "-z", "-i", "-F", *plain, "-e", text, commit, "--", *paths)
    if done.returncode > 1:  # 1: it stands nowhere
        done.check_returncode()
    for entry in done.stdout.split("\n"):
        name, _, line = entry.partition("\0")
        yield name.partition(":")[2], line


def _one(asked: str, found: Sequence[Meant]) -> Meant | None:
    """The only one that has the name, None where nothing has. Raises ReconcilerError where several have."""
    if len(found) < 2:
        return found[0] if found else None
    more = [f"  … (at least {len(found)})"] if len(found) > SHOWN else []
    names = [f"  {what.name}{f' --tenant {what.tenant}' if what.kind == 'person' else ''}" for what in found[:SHOWN]]
    raise ReconcilerError("\n".join([f"{asked} is more than one; say which:", *names, *more]))


def _nobody(session: Session, asked: str) -> str:
    if session.estate.has(asked):
        return (
            f"{asked} is a tenant: see `reconciler inventory --tenant {asked}`, or name an address, a domain, a person"
        )
    data = session.estate.agency.data
    known = {*data.get("people", {}), *data.get("teams", {}), *session.estate.domains}
    tenants = list(session.request.tenants) or sorted(session.estate.tenants)[:SHOWN]
    for tenant in session.estate.parsed(tenants).values():
        known |= tenant.files.tenant_file.get("people", {}).keys()
        known |= {name for said in tenant.files.domains.values() for name in said.get("mailboxes", {})}
    return f"nothing here is called {asked}: no address, domain, person or team.{did_you_mean(asked, known)}"
