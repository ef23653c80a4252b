"""`reconciler init`: a new estate, ready to be committed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reconciler import __version__
from reconciler.errors import InputError
from reconciler.findings import Origin, Rule
from reconciler.schema import shipped

if TYPE_CHECKING:
    import git

NOT_EMPTY = Rule(
    "IN306",
    "error",
    "The folder is not empty",
    "Name a new folder, or an empty one.",
    why="Files that are there would be overwritten, or one client's data get into another repository.",
)
IGNORED = Rule(
    "IN309",
    "error",
    "Git ignores the folder",
    "Name a folder outside of that repository, or take the line out that ignores it.",
    why="What is applied is a commit, and nothing in that folder could be committed.",
)


_WORKFLOWS = ("plan.yml", "apply.yml", "purge.yml", "drift.yml")


class Made(NamedTuple):
    """What `init` made: the names in its folder, and the repository around it where it is not its own."""

    names: list[str]
    part_of: Path | None


_AGENCY = """\
# The agency's file: where mail and DNS live, who works here, what holds where a client says nothing.
# Every key is described in schemas/reconciler.schema.json; editors with YAML support show it.
version: 1
timezone: UTC
providers:
  mail:
    mailhost: {type: postfix_dovecot, database: "sqlite:///var/mail.sqlite"}
  dns:
    zones: {type: zone_files, directory: var/zones, nameservers: [ns1.agency.example]}
servers:
  primary:
    mx: ["10 mx1.agency.example."]
    spf: spf.agency.example
    submission: smtp.agency.example
    imap: imap.agency.example
people:
  anna: {name: Anna Ops, contact: "+49 30 1234567"}
teams:
  ops: {members: [anna]}
roles: {dns_auth: [ops], mailbox_admin: [ops], reset_approver: [ops]}
inside: [agency.example]
defaults:
  mail: mailhost
  dns: zones
  server: primary
  template: standard/1
  quota: 5 GiB
  ttl: 1 hour
  retention: 30 days
"""

_README = f"""\
# Mail and DNS of our clients

Made for reconciler {__version__}. Keep this repository private: it says who works where.

1. Edit `reconciler.yaml`: your providers, servers and people.
2. Add a client: `tenants/<client>/tenant.yaml` and `tenants/<client>/domains/<domain>.yaml`.
3. Commit, then `reconciler validate`, `reconciler plan`, `reconciler apply`.

On GitHub the workflows in `.github/workflows/` plan each pull request. Once the repository variable `RECONCILER_APPLY`
is `true` they apply what is merged and report drift. They say where the secrets that `reconciler.yaml` names go.

A first client:

```yaml
# tenants/northwind/tenant.yaml
tenant: northwind
name: Northwind Traders Ltd
people:
  jane: {{name: Jane Roe, contact: jane@personal.example}}
```

```yaml
# tenants/northwind/domains/northwind.example.yaml
domain: northwind.example
owner: jane
mailboxes:
  jane: {{owner: jane}}
aliases:
  info: [jane]
```

```yaml
# tenants/northwind/dns/northwind.example.yaml
domain: northwind.example
zone: {{create: true}}
```
"""


def start(folder: Path) -> Made:
    """Write a new estate. Raises InputError for a folder that is in use, or that Git ignores."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError([NOT_EMPTY.at(str(folder), f"{folder} has something in it.", Origin(str(folder)))])
    around = _around(folder)
    if around is not None:
        _refuse_ignored(folder, around)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reconciler.yaml").write_text(_AGENCY, encoding="utf-8")
    (folder / "README.md").write_text(_README, encoding="utf-8")
    (folder / ".gitignore").write_text("var/\n", encoding="utf-8")
    (folder / "tenants").mkdir()
    (folder / "tenants" / ".gitkeep").touch()
    for part in ("schemas", "domain-templates"):
        shutil.copytree(shipped(part), folder / part)
    if around is None:  # below the top of a repository GitHub would not look
        _write_workflows(folder / ".github" / "workflows")
    names = sorted(path.name for path in folder.iterdir())
    if around is None:
        _new(folder)
    return Made(names, None if around is None else _root(around))


def _write_workflows(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in _WORKFLOWS:
        shutil.copy(shipped(".github") / "workflows" / name, folder)


def _around(folder: Path) -> git.Repo | None:
    """The repository that a folder lies in, whether it is there yet or not."""
    import git

    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    try:
        found = git.Repo(there, search_parent_directories=True)
    except git.InvalidGitRepositoryError:
        return None
    return None if found.working_tree_dir is None else found


def _refuse_ignored(folder: Path, around: git.Repo) -> None:
    """Raises InputError where Git would not take what belongs to an estate."""
    paths = [folder.resolve() / name for name in ("reconciler.yaml", "tenants/northwind/tenant.yaml")]
    ignored = around.ignored(*paths)
    if ignored:
        line = around.git.check_ignore("--verbose", ignored[0]).partition("\t")[0]
        what = f"It lies in the repository {_root(around)}, which ignores it ({line})."
        raise InputError([IGNORED.at(str(folder), what, Origin(str(folder)))])


def _root(repository: git.Repo) -> Path:
    return Path(str(repository.working_tree_dir))


def _new(folder: Path) -> None:
    import git

    git.Repo.init(folder, initial_branch="main")
