"""Drift into YAML: the values that live has are written into the files, as a commit on a branch.

The opposite of putting drift back. Each thing is written by itself, and what the files say then is read by the strict
loader, judged by schema and checks, and compiled: it must say what live has of that thing, and of everything else what
it said before. What cannot be said in that way is left as it is, with the reason, and stays drift.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler import branching, documents, edits, imports, seen, tenant_files
from reconciler.editing import Edit, Where
from reconciler.errors import InputError, ReconcilerError
from reconciler.findings import accepted
from reconciler.kinds import kinds
from reconciler.model import MISSING
from reconciler.people import people_of
from reconciler.reports.imports import message
from reconciler.results import Import, Imported
from reconciler.tree import File

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from reconciler.changes import Drift, Plan
    from reconciler.compile import Compiled
    from reconciler.findings import Finding
    from reconciler.history import Repository
    from reconciler.model import Address, Resource
    from reconciler.session import Session
    from reconciler.tenant_files import Tenant

_ACCEPTED = "it is accepted; name it with --address to write it all the same"
_CHARACTERS = "it holds characters that stand in no file here; have it put back"
_OTHERWISE = "an edit of it would say something else too; write it by hand"


def make(
    session: Session, found: Plan, addresses: Sequence[str], branch: str, plan: Callable[[str, tuple[str, ...]], Plan]
) -> Import:
    """The drift of a plan in YAML, committed on `branch`. `plan` makes that of a commit for some tenants.

    `addresses` are those asked for; none: all that nobody accepted. Raises ReconcilerError; then there is no branch.
    """
    repository = session.estate.repository
    known = {str(drift.address) for tenant in found.tenants for drift in tenant.drift}
    if strange := sorted({*addresses} - known):
        raise ReconcilerError(f"{strange[0]} has not drifted; `reconciler drift` shows what has")
    found = seen.told(repository, session.refs.remote, found)
    drafts = [_drafted(session, found, tenant.tenant, addresses) for tenant in found.tenants if tenant.drift]
    written = tuple(item for draft in drafts for item in draft.written)
    left = tuple(item for draft in drafts for item in draft.left)
    if not written:
        return Import(found, "", "", (), left, None)
    branching.free(repository, branch)
    made = Import(found, branch, "", written, left, None)
    contents = {file: draft.raws[file] for draft in drafts for file in made.files if file in draft.raws}
    commit = _committed(repository, found.commit, contents, message(made))
    planned = plan(commit, tuple(dict.fromkeys(item.tenant for item in written)))
    branching.make(repository, branch, commit)
    return made._replace(commit=commit, plan=planned)


def _committed(repository: Repository, base: str, contents: dict[str, bytes], said: str) -> str:
    with branching.worktree(repository, base) as folder:
        for file, raw in contents.items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_bytes(raw)
        branching.commit(repository, folder, said)
        return branching.head(repository, folder)


def _drafted(session: Session, found: Plan, name: str, addresses: Sequence[str]) -> _Draft:
    """A tenant's files with all of its drift written that can be."""
    planned = next(tenant for tenant in found.tenants if tenant.tenant == name)
    draft = _Draft(session, session.estate.parsed([name])[name], f"found live on {found.as_of}, changed outside Git")
    for drift in imports.together([d for d in planned.drift if not addresses or str(d.address) in addresses]):
        free = [d for d in drift if addresses or d.accepted is None]
        draft.left += [draft.item(d, _ACCEPTED) for d in drift if d not in free]
        if free:
            draft.write(free)
    return draft


class _Draft:
    """One tenant's files in the making: `raws` are their bytes, `compiled` what they come to."""

    def __init__(self, session: Session, tenant: Tenant, reason: str) -> None:
        self._session, self._reason = session, reason
        self._tenant, self.compiled = tenant, session.estate.compile(tenant)
        self._people = people_of(tenant.files, session.estate.agency, session.today)
        self.raws = {file: document.raw for file, document in tenant.documents.items()}
        self.written: list[Imported] = []
        self.left: list[Imported] = []

    def write(self, drift: Sequence[Drift]) -> None:
        """Write some drift of one thing, all of it or nothing; notes which."""
        noted = [self.item(found) for found in drift]
        said = imports.edits(drift, Where(self._tenant.files, self.compiled.state, self._reason))
        try:
            why = said if isinstance(said, str) else self._try(said, drift)
        except InputError as error:
            why = _told(error.findings[0])
        files = () if isinstance(said, str) else tuple(sorted({edit.file for edit in said}))
        (self.left if why else self.written).extend(
            item._replace(files=() if why else files, why=why) for item in noted
        )

    def item(self, drift: Drift, why: str = "") -> Imported:
        """A drift, and whom it affects: the owner of the thing, else of its domain."""
        thing = self.compiled.state.get(drift.address)
        said = self._tenant.files.domains.get(thing.domain, {}) if thing is not None else {}
        owner = "" if thing is None else thing.attributes.get("owner") or said.get("owner", "")
        name = self._people.persons.get(owner, {}).get("name")
        whom = f"{name} ({owner})" if name else owner
        return Imported(self._tenant.files.tenant, drift, whom, why=why)

    def _try(self, said: Sequence[Edit], drift: Sequence[Drift]) -> str:
        """Make the edits, or say why they are none. Raises InputError where the result is no strict YAML."""
        if not all(map(_writable, (edit.value for edit in said))):
            return _CHARACTERS
        raws = dict(self.raws)
        for edit in said:
            raws[edit.file] = _edited(edit, raws.get(edit.file))
        files = [File(file, None, True) for file in sorted(raws)]  # noqa: FBT003  (regular)
        tenant = tenant_files.parse(self._tenant.files.tenant, files, raws)
        compiled = self._session.estate.compile(tenant)
        wrong = next(self._worse(tenant, compiled), None)
        if wrong is not None:
            return _told(wrong)
        if not all(self._as_meant(address, compiled, drift) for address in {**self.compiled.state, **compiled.state}):
            return _OTHERWISE
        self.raws, self._tenant, self.compiled = raws, tenant, compiled
        return ""

    def _worse(self, tenant: Tenant, compiled: Compiled) -> Iterator[Finding]:
        """What the files say by now that is refused and was not before."""
        accept, today = self._session.accept(tenant), self._session.today
        before = {(found.code, found.subject, found.detail) for found in self.compiled.findings}
        for found in accepted(compiled.findings, accept, today):
            if found.severity == "error" and (found.code, found.subject, found.detail) not in before:
                yield found

    def _as_meant(self, address: Address, compiled: Compiled, drift: Sequence[Drift]) -> bool:
        """Whether a thing is declared as before, but for what drifted: that as live has it."""
        before, after = self.compiled.state.get(address), compiled.state.get(address)
        live = {found.field: found.live for found in drift if found.address == address}
        wanted = None if "exists" in live or before is None else before.having(**live)
        return _compared(wanted) == _compared(after)


def _compared(thing: Resource | None) -> dict[str, Any] | None:
    return thing and {row.name: thing.get(row.name) for row in kinds()[thing.address.kind].compared}


def _edited(edit: Edit, raw: bytes | None) -> bytes:
    """A file with an edit made; one that is not there yet begins with its domain. Raises InputError."""
    domain = edit.file.rpartition("/")[2].removesuffix(".yaml")
    text = f"domain: {domain}\n" if raw is None else raw.decode()
    text = edits.drop(text, edit.path) if edit.value is MISSING else edits.put(text, edit.path, edit.value)
    return documents.parse(edit.file, text.encode()).raw


def _writable(value: Any) -> bool:
    """Whether each text in a value is one line of visible characters."""
    if isinstance(value, dict):
        return all(map(_writable, (*value, *value.values())))
    return all(map(_writable, value)) if isinstance(value, list) else not isinstance(value, str) or value.isprintable()


def _told(finding: Finding) -> str:
    return f"{finding.code} {finding.summary}: {finding.detail}"
