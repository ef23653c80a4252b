"""Git: desired state comes from its objects at a commit, and a change says who made it."""

from __future__ import annotations

import os
import stat
import subprocess

import pytest

from tests.estates import NORTHWIND, NORTHWIND_DNS, Estate, call, contoso, dns, mail, make, northwind, summary

OLD, NEW = {"jane": "{owner: jane}"}, {"jane": "{owner: jane}", "kim": "{owner: tom}"}


@pytest.fixture
def estate(tmp_path):
    return make(tmp_path / "estate", northwind(OLD, ""))


def mailboxes(run):
    return {c["name"].partition("@")[0] for t in run.json["tenants"] for c in t["changes"] if c["kind"] == "mailbox"}


def origin(estate, name):
    (found,) = [change["origin"] for change in estate.one()["changes"] if change["name"] == name]
    return found


# ---------------------------------------------------------------------- which files are read


def test_head_is_read_and_not_the_working_tree(estate):
    """An edit that is not committed is no desired state, nor is a file that Git does not know."""
    estate.save({**mail(NEW, ""), "tenants/extra/tenant.yaml": "tenant: extra\nname: E\n"})
    run = estate.run("plan", "--format", "json")
    assert (mailboxes(run), [t["tenant"] for t in run.json["tenants"]]) == ({"jane"}, ["northwind"])


def test_a_staged_file_is_not_committed_either(estate):
    """The index is no commit."""
    estate.save(mail(NEW, ""))
    estate.git("add", "--all")
    assert mailboxes(estate.run("plan", "--format", "json")) == {"jane"}


def test_the_working_tree_is_read_where_it_is_asked_for(estate):
    """`--worktree`: edits and new files, in validate and plan; nothing is announced as not committed."""
    estate.save({**mail(NEW, ""), "tenants/extra/tenant.yaml": "tenant: extra\nname: E\n"})
    run = estate.run("plan", "--worktree", "--format", "json")
    assert (mailboxes(run), run.err) == ({"jane", "kim"}, "")
    assert [t["tenant"] for t in run.json["tenants"]] == ["extra", "northwind"]
    estate.save(mail({"jane": "{owner: nobody}"}, ""))
    assert (estate.run("validate").code, estate.run("validate", "--worktree").code) == (0, 1)
    (estate.root / NORTHWIND).unlink()
    assert estate.run("validate", "--worktree").code == 1


def test_an_older_commit_is_planned(estate):
    """`--rev` takes an id, a short one, a branch, a tag; the plan names the whole id."""
    old = estate.head
    estate.git("tag", "-a", "-m", "x", "v1")
    new = estate.write(mail(NEW, ""))
    for name in (old, old[:10], "HEAD~1", "v1"):
        run = estate.run("plan", "--rev", name, "--format", "json")
        assert (mailboxes(run), run.json["commit"]) == ({"jane"}, old)
    assert estate.run("plan", "--rev", "main", "--format", "json").json["commit"] == new


def test_an_older_commit_can_be_applied(estate):
    """Rolling back without a revert: what the newer commit brought is let go again."""
    old = estate.head
    estate.applied(mail(NEW, ""))
    run = estate.run("plan", "--rev", old, "--format", "json")
    assert summary(run.json["tenants"][0]["changes"]) == {("retire", "kim@northwind.example")}
    assert estate.apply("--yes", "--rev", old).code == 0
    assert estate.run("plan", "--rev", old, "--exit-code").code == 0
    assert estate.one()["applied_commit"] == old


def test_files_are_read_as_git_has_them(estate):
    """No filter, line-end conversion or attribute of the checkout stands between a commit and its plan."""
    estate.git("config", "filter.evil.smudge", "sed s/jane/mallory/")
    estate.git("config", "core.autocrlf", "true")
    estate.write({".gitattributes": "*.yaml filter=evil text eol=crlf\n"})
    assert mailboxes(estate.run("plan", "--format", "json")) == {"jane"}


def test_no_program_of_the_repository_runs(estate, tmp_path):
    """Hooks, a file-system monitor and a pager that somebody configured are not started by any command."""
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\necho $0 >> {tmp_path}/sprung\n")
    trap.chmod(trap.stat().st_mode | stat.S_IXUSR)
    for hook in (
        "post-checkout",
        "reference-transaction",
        "post-index-change",
        "pre-commit",
        "post-commit",
        "fsmonitor-watchman",
    ):
        (estate.root / ".git" / "hooks").mkdir(exist_ok=True)
        (estate.root / ".git" / "hooks" / hook).symlink_to(trap)
    for key in ("core.fsmonitor", "core.pager", "core.editor", "credential.helper", "core.sshCommand"):
        estate.git("config", key, str(trap))
    (tmp_path / "sprung").unlink(missing_ok=True)
    for command in (["validate"], ["plan"], ["apply", "--yes"], ["plan", "--worktree"]):
        assert estate.run(*command).code == 0
    assert not (tmp_path / "sprung").exists()


# ---------------------------------------------------------------------- where the estate lies


@pytest.fixture
def inside(tmp_path):
    """An estate in a folder of a larger repository, with another estate's look-alike beside it."""
    whole = Estate(tmp_path / "repo")
    whole.root.mkdir()
    whole.git("init", "--quiet", "--initial-branch=main")
    whole.save({"tenants/outside/tenant.yaml": "no: [yaml", "reconciler.yaml": "not: this"})
    estate = make(whole.root / "mail" / "estate", northwind(OLD, ""))
    (estate.root / ".git").rename(tmp_path / "unused")
    whole.commit("The whole repository")
    return estate


def test_an_estate_may_lie_in_a_subfolder(inside, tmp_path, monkeypatch):
    """Its paths are relative to itself; what lies beside it does not exist; it is planned and applied."""
    run = inside.run("plan", "--format", "json")
    assert [t["tenant"] for t in run.json["tenants"]] == ["northwind"]
    assert {c["origin"]["file"] for c in run.json["tenants"][0]["changes"]} == {NORTHWIND, NORTHWIND_DNS}
    assert {c["origin"]["author"] for c in run.json["tenants"][0]["changes"]} == {"Anna Ops"}
    assert inside.apply().code == 0
    assert inside.database.exists()
    monkeypatch.chdir(inside.root)
    assert call("plan", "--exit-code").code == 0
    monkeypatch.chdir(tmp_path)
    assert call("plan", "--exit-code", "--estate", "repo/mail/estate").code == 0


def test_an_edit_in_a_subfolder_is_announced_by_its_own_path(inside):
    """Relative to the estate, and only what belongs to it."""
    inside.save(mail(NEW, ""))
    (inside.root.parents[1] / "reconciler.yaml").write_text("changed: too\n")
    first = inside.run("plan").out.splitlines()[0]
    assert first.endswith(f": {NORTHWIND}")


def test_the_top_of_such_a_repository_is_another_estate(inside):
    """Not found by climbing up or down: the folder that is named counts."""
    run = call("validate", "--estate", inside.root.parents[1], "--format", "json")
    assert run.code == 1
    assert inside.run("validate").code == 0
    assert (
        call("validate", "--estate", inside.root / "tenants", "--format", "json").json["findings"][0]["code"] == "IN304"
    )


def test_a_linked_worktree_and_a_detached_head_work(estate, tmp_path):
    """Each checkout plans its own HEAD; the ledgers are the repository's."""
    old = estate.head
    estate.applied(mail(NEW, ""))
    other = Estate(tmp_path / "linked")
    estate.git("worktree", "add", "--quiet", "--detach", str(other.root), old)
    assert other.plan()["commit"] == old
    assert other.one()["applied_commit"] == estate.head


# ---------------------------------------------------------------------- who


def by(name, estate, files):
    """A commit by somebody else; gives its id."""
    estate.save(files)
    estate.git("add", "--all")
    estate.git(
        "-c",
        f"user.name={name}",
        "-c",
        "user.email=x@y.example",
        "commit",
        "--quiet",
        f"--author={name} <x@y.example>",
        "-m",
        name,
    )
    return estate.head


def test_a_change_names_the_last_commit_of_its_file_and_its_author(estate):
    """Since what was applied: the file's own last commit, not the newest of the estate."""
    estate.applied({})
    first = by("Jane Roe", estate, mail(NEW, ""))
    second = by("Zoë Ünal", estate, dns("with: {dmarc: quarantine}\n"))
    by("Somebody Else", estate, contoso())
    assert origin(estate, "kim@northwind.example") == {
        "file": NORTHWIND,
        "line": 5,
        "commit": first,
        "author": "Jane Roe",
    }
    dmarc = origin(estate, "TXT/_dmarc.northwind.example")
    assert (dmarc["file"], dmarc["commit"], dmarc["author"]) == (NORTHWIND_DNS, second, "Zoë Ünal")


def test_a_merged_change_names_who_wrote_it(estate):
    """Not who merged it."""
    estate.applied({})
    estate.git("checkout", "--quiet", "-b", "feature")
    wrote = by("Jane Roe", estate, mail(NEW, ""))
    estate.git("checkout", "--quiet", "main")
    estate.write({"README.md": "# Other work\n"})
    estate.git("merge", "--quiet", "--no-ff", "-m", "Merge", "feature")
    assert origin(estate, "kim@northwind.example")["commit"] == wrote


def test_a_removed_file_names_the_commit_that_took_it_out(estate):
    """The line it had, in a file that is no more, and who removed it."""
    estate.applied({})
    removed = by("Tom Poe", estate, {NORTHWIND_DNS: None, NORTHWIND: None, "tenants/northwind/tenant.yaml": None})
    found = origin(estate, "jane@northwind.example")
    assert found == {"file": NORTHWIND, "line": 4, "commit": removed, "author": "Tom Poe"}


def test_a_change_by_the_agencys_file_has_an_author_too(estate):
    """Another MX in reconciler.yaml changes a record whose own file nobody touched: its commit is said."""
    estate.applied({})
    text = (estate.root / "reconciler.yaml").read_text()
    estate.write({"reconciler.yaml": text.replace("10 mx1.", "10 mx9.")})
    found = origin(estate, "MX/northwind.example")
    assert (found["commit"], found["author"]) == (estate.head, "Anna Ops")


def test_a_name_full_of_control_characters_does_not_break_the_log(estate):
    """Author names are data: separators and escapes in them stay in them."""
    estate.applied({})
    env = {**os.environ, "GIT_AUTHOR_NAME": "Eve\x1b[31m\x02\x01x", "GIT_AUTHOR_EMAIL": "e@x.example"}
    estate.save(mail(NEW, ""))
    estate.git("add", "--all")
    subprocess.run(["git", "commit", "--quiet", "-m", "x\x01y"], cwd=estate.root, env=env, check=True)
    found = origin(estate, "kim@northwind.example")
    assert found["commit"] == estate.head
    assert "\x1b" not in estate.run("plan").out


def test_a_history_that_was_rewritten_still_has_authors(estate):
    """What was applied is a commit this clone does not have: the whole history is asked instead."""
    estate.applied({})
    ledger = estate.git("show", "refs/reconciler/tenants/northwind:ledger.jsonl").replace(estate.head, "0" * 40)
    estate.put_ledger(f"{ledger}\n".encode())
    wrote = by("Jane Roe", estate, mail(NEW, ""))
    assert origin(estate, "kim@northwind.example")["commit"] == wrote
    assert estate.apply().code == 0
