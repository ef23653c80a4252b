"""The estate's CODEOWNERS: what the file should say, and what is wrong with the one that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler import codeowners
from reconciler.checks.codeowners import stale, unasked
from reconciler.errors import InputError
from reconciler.files import Files
from reconciler.findings import accepted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from reconciler.findings import Finding
    from reconciler.session import Session
    from reconciler.tenant_files import Tenant

Lines = tuple[str, ...]


def of_tenant(session: Session, tenant: Tenant) -> tuple[Lines | None, list[Finding]]:
    """A tenant's lines, None where its files cannot be used; and who of those in its roles cannot be asked."""
    agency, today = session.estate.agency, session.today
    if not tenant.sound:
        return None, []
    found = accepted(unasked(tenant.files, agency, today), session.accept(tenant), today)
    placed = [finding._replace(origin=session.estate.located(tenant, finding.origin)) for finding in found]
    return codeowners.of_tenant(tenant.files, agency, today), placed


def of_agency(session: Session) -> list[Finding]:
    """Who of those in the agency's roles cannot be asked."""
    found = accepted(unasked(Files(""), session.estate.agency, session.today), session.agency_accept, session.today)
    return session.estate.located_all(list(found))


def findings(session: Session, parts: Iterable[tuple[Lines | None, list[Finding]]]) -> Iterator[Finding]:
    """What is to be said of the file, where there is one. `parts` are those of all tenants, as `of_tenant` gives them.

    Of some tenants, or with some that cannot be used, nobody knows what it should say.
    """
    files = map(session.estate.tree.get, codeowners.PLACES)
    file = next((file for file in files if file is not None and file.regular), None)
    if file is None:
        return
    yield from of_agency(session)
    lines: list[Lines | None] = []
    for some, found in parts:
        yield from found
        lines.append(some)
    sound = [some for some in lines if some is not None]
    if len(sound) == len(lines) and not session.request.tenants:
        content = session.estate.repository.read([file])[file.path].decode(errors="replace")
        old = stale(file.path, content, _text(session, sound))
        yield from accepted(old, session.agency_accept, session.today)


def made(session: Session) -> tuple[str, list[Finding]]:
    """The file, and who of those in its roles cannot be asked. Raises InputError where a tenant cannot be used."""
    all_lines: list[Lines] = []
    estate = session.estate
    asked = of_agency(session)
    for tenant in estate.parsed([name for name in session.names if estate.has(name)]).values():
        lines, found = of_tenant(session, tenant)
        if lines is None:
            raise InputError([f._replace(origin=estate.located(tenant, f.origin)) for f in tenant.findings])
        all_lines.append(lines)
        asked += found
    return _text(session, all_lines), asked


def _text(session: Session, lines: Sequence[Lines]) -> str:
    prefix = session.estate.repository.git("rev-parse", "--show-prefix").decode(errors="replace").removesuffix("\n")
    return codeowners.text(session.estate.agency, lines, session.today, prefix)
