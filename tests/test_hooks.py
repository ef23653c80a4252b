"""Without a forge: real pushes to a bare repository with our hooks; its mail system and zones lie in its `var/`."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from reconciler import hooks
from tests.estates import AGENCY, BOXES, NORTHWIND, ROOT, Estate, Run, call, contoso, mail, make, northwind
from tests.test_locks import at_work
from tests.test_pausing import freeze

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

INFO = "aliases:\n  info: [jane]\n"
MIA = mail({**BOXES, "mia": "{owner: jane}"}, INFO)
BAD = mail(BOXES, "aliases:\n  info: [nobody]\n")
TENANT = "refs/reconciler/tenants/northwind"


@dataclass(frozen=True)
class Hub:
    """The bare repository, and the clone of somebody who pushes to it."""

    bare: Estate
    a: Estate

    def push(self, *arguments: str, clone: Estate | None = None) -> Run:
        """`git push` as a person does it: what the hooks say stands on stderr."""
        command = ["git", "push", "origin", *(arguments or ("main",))]
        return self.run(command, clone or self.a)

    def run(self, command: list[str], clone: Estate) -> Run:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=clone.root, env=environment, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return Run(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def pushing(self, clone: Estate | None = None) -> Iterator[subprocess.Popen[str]]:
        """A push that goes on meanwhile, from the moment that it is being applied."""
        command, environment = ["git", "push", "origin", "main"], {**os.environ, "PYTHONPATH": str(ROOT)}
        root = (clone or self.a).root
        with subprocess.Popen(command, cwd=root, env=environment, stdout=-1, stderr=-1, text=True) as process:
            assert process.stderr is not None
            while "Applying main" not in process.stderr.readline():
                assert process.poll() is None
            yield process

    def pushed(self, files: Mapping[str, str | bytes | None]) -> Run:
        """A commit on main, pushed."""
        self.a.write(files)
        return self.push()

    def hooked(self, files: Mapping[str, str | bytes | None], branch: str = "main") -> tuple[Run, Callable[[], Run]]:
        """What the hooks say of a commit in this process, which is faster: before, and (call it) after the push."""
        old, new = self.bare.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}"), self.a.write(files)
        self.bare.git("fetch", "--quiet", str(self.a.root), f"+{new}:refs/pushed")
        stdin = f"{old or '0' * 40} {new} refs/heads/{branch}\n".encode()

        def run(hook: str) -> Run:
            with chdir(self.bare.root):
                return call("hook", hook, stdin=stdin)

        def after() -> Run:
            self.bare.git("update-ref", f"refs/heads/{branch}", new)
            return run("post-receive")

        return run("pre-receive"), after

    def clone(self, name: str) -> Estate:
        folder = self.bare.root.parent / name
        self.a.git("clone", "--quiet", str(self.bare.root), str(folder))
        return Estate(folder)

    @property
    def main(self) -> str:
        return self.bare.git("rev-parse", "main")

    @property
    def plans(self) -> list[Path]:
        return sorted((self.bare.root / "reconciler" / "plans").glob("*.json"))

    def boxes(self) -> set[str]:
        """Mailboxes in which somebody can log in."""
        left = "LEFT JOIN reconciler_mailbox AS r ON r.username = m.username"
        rows = self.bare.sql(
            f"SELECT m.username FROM mailbox AS m {left} WHERE m.active AND NOT coalesce(r.blocked, 0)"
        )
        return {name.partition("@")[0] for (name,) in rows}

    def deploy(self) -> None:
        """Main as it is in the clone, brought here by hand: hooks are for pushes."""
        self.bare.git("fetch", "--quiet", str(self.a.root), "main:main")

    def cron(self) -> Run:
        """What cron runs each hour."""
        return call("hook", "post-receive", self.bare.root)


def bare(folder: Path) -> Estate:
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(folder)], check=True)
    return Estate(folder)


def begun(folder: Path) -> Hub:
    """With hooks, and nothing pushed yet."""
    found = Hub(bare(folder / "estate.git"), make(folder / "a", northwind(), contoso()))
    found.a.git("remote", "add", "origin", "../estate.git")
    assert call("hook", "install", found.bare.root).code == 0
    return found


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Hub, Run]:
    """The first push of all, and what it said."""
    found = begun(tmp_path_factory.mktemp("first"))
    return found, found.push()


@pytest.fixture
def hub(first: tuple[Hub, Run], tmp_path: Path) -> Hub:
    """The first push went through, and everything is applied."""
    for estate in (first[0].bare, first[0].a):
        shutil.copytree(estate.root, tmp_path / estate.root.name)
    return Hub(Estate(tmp_path / "estate.git"), Estate(tmp_path / "a"))


# ---------------------------------------------------------------------- the story


def test_the_first_push(first: tuple[Hub, Run]) -> None:
    """Nothing is deployed that could be trusted: it is compared with the ledger alone, then applied."""
    hub, said = first
    assert (said.code, "create mailbox jane@northwind.example" in said.err, "PL310" in said.err) == (0, True, True)
    assert "Applied: 16 changes, 0 not made." in said.err
    assert (hub.boxes(), hub.plans) == ({"jane", "tom"}, [])


def test_a_mailbox_comes_and_goes_and_comes_back(hub: Hub) -> None:
    """A branch is shown, main is applied, a revert retires the mailbox, its revert has it as it was."""
    looked, after = hub.hooked(MIA, "mia")
    assert (looked.code, "create mailbox mia@northwind.example" in looked.err) == (0, True)
    assert "contoso" not in looked.err
    assert "mia: only looked at." in looked.err
    assert (after(), hub.boxes()) == (Run(0, "", ""), {"jane", "tom"})
    assert hub.push().code == 0
    assert hub.boxes() == {"jane", "tom", "mia"}
    hub.bare.sql("UPDATE mailbox SET password = 'hers' WHERE username LIKE 'mia@%'")
    for said, boxes in (("retire", {"jane", "tom"}), ("restore", {"jane", "tom", "mia"})):
        hub.a.git("revert", "--no-edit", "HEAD" if said == "retire" else "HEAD^")
        done, after = hub.hooked({})
        assert (done.code, f"{said} mailbox mia@northwind.example" in done.err) == (0, True)
        assert (after().code, hub.boxes()) == (0, boxes)
    assert hub.bare.sql("SELECT password FROM mailbox WHERE username LIKE 'mia@%'") == [("hers",)]
    assert hub.bare.run("plan", "--exit-code").code == 0


# ---------------------------------------------------------------------- what is refused


def test_what_fails_its_checks_is_not_pushed(hub: Hub) -> None:
    """The branch stays where it was, nothing is applied, and the finding is shown with its line."""
    before, world = hub.main, hub.bare.world()
    done = hub.pushed(BAD)
    assert (done.code, hub.main) == (1, before)
    assert f"RT001 {NORTHWIND}:7:10" in done.err
    assert "main stays where it is" in done.err
    assert (hub.bare.world(), hub.plans) == (world, [])


def test_what_its_plan_refuses_is_not_pushed(hub: Hub) -> None:
    """A folder that goes with a client in it: the limits hold before anything moves."""
    done, _ = hub.hooked(dict.fromkeys(contoso()))
    assert (done.code, "PL213" in done.err, hub.plans) == (3, True, [])


def test_a_system_that_cannot_be_read_refuses_a_push_and_a_new_place_for_it_does_not(hub: Hub) -> None:
    """Nobody knows what the push would do; but the way out of a server that is gone must be open."""
    hub.bare.database.rename(hub.bare.root / "elsewhere.sqlite")
    hub.bare.database.mkdir()
    done, _ = hub.hooked(MIA)
    assert (done.code, "not read: mailhost" in done.err) == (3, True)
    hub.a.git("reset", "--quiet", "--hard", "HEAD^")
    elsewhere = AGENCY.replace("sqlite:///var/mail.sqlite", "sqlite:///elsewhere.sqlite")
    done, after = hub.hooked({"reconciler.yaml": elsewhere})  # and nothing that uses it
    assert (done.code, "PL311" in done.err) == (0, True)
    assert after().code == 0
    assert hub.bare.run("plan", "--exit-code").code == 0


def test_the_deployed_branch_goes_forward_only(hub: Hub) -> None:
    """Nobody takes back or deletes what was applied."""
    before = hub.main
    hub.a.git("commit", "--quiet", "--amend", "--message", "Otherwise")
    assert "goes forward only" in hub.push("--force", "main").err
    assert "which nobody deletes" in hub.push("--delete", "main").err
    assert hub.main == before


def test_nobody_pushes_a_ledger(hub: Hub) -> None:
    """Whoever could would say what was applied; nor does an apply of a clone pass by the hooks."""
    before = hub.bare.git("for-each-ref", "refs/reconciler")
    (hub.a.root / "var").symlink_to(hub.bare.root / "var")
    done = hub.push(f"+main:{TENANT}")
    assert (done.code, "this repository alone writes it" in done.err) == (1, True)
    hub.a.write(MIA)
    alone = hub.a.apply("--tenant", "northwind", "--yes")
    assert alone.json["tenants"][0]["result"] == "failed"
    assert hub.bare.git("for-each-ref", "refs/reconciler") == before


def test_a_replaced_commit_is_read_as_it_is(hub: Hub) -> None:
    """Who may push `refs/replace/` has nothing applied that is not in the branch."""
    hub.a.write(dict.fromkeys(contoso()), "Another main")
    other = hub.a.head
    hub.a.git("reset", "--quiet", "--hard", "HEAD^")
    assert hub.push(f"{other}:refs/replace/{hub.main}").code == 0
    assert hub.bare.run("plan", "--exit-code").code == 0
    assert hub.cron() == Run(0, "", "")


# ---------------------------------------------------------------------- what is only looked at


def test_a_branch_is_taken_whatever_is_wrong_with_it(hub: Hub) -> None:
    """What is wrong is said; of one that main has left behind that too."""
    hub.a.write({"README.md": "Read me"})
    hub.deploy()
    hub.a.git("reset", "--quiet", "--hard", "HEAD^")
    done, _ = hub.hooked(BAD, "bad")
    assert (done.code, "RT001" in done.err) == (0, True)
    assert "A push of it to main is refused" in done.err
    assert "main has gone on since bad left it" in done.err
    done, after = hub.hooked({"reconciler.yaml": "version: 2\n"}, "bad")
    assert (done.code, "error IN023 reconciler.yaml:1:1" in done.err) == (0, True)
    assert after() == Run(0, "", "")


def test_what_touches_no_tenant_is_one_line(hub: Hub) -> None:
    """A page beside the estate: no plan, no run."""
    done, after = hub.hooked({"README.md": "Read me"})
    assert (done.code, done.err) == (0, "No tenant is touched: there is nothing to plan.\n")
    assert after() == Run(0, "", "")


def test_a_branch_sends_no_secret_to_a_host_of_its_own(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is planned with the providers that are deployed, and so is a push to main that another hook may refuse."""
    monkeypatch.setenv("KEY", "canary")
    evil = 'dns: {evil: {type: powerdns, url: "http://127.0.0.1:1", key: {env: KEY}}, zones:'
    evil = AGENCY.replace("dns: {zones:", evil).replace("dns: zones,", "dns: evil,")
    for branch, code in (("evil", 0), ("main", 3)):
        done, _ = hub.hooked({"reconciler.yaml": evil}, branch)
        assert (done.code, "canary" in done.err) == (code, False)
        assert "northwind.example: evil: the trusted commit has no provider of this name" in done.err


def test_hostile_names_are_written_out(hub: Hub) -> None:
    """Nothing in the name of a branch or a file, nor in a message, is obeyed by a terminal."""
    branch = "x\N{RIGHT-TO-LEFT OVERRIDE}\N{CONTROL SEQUENCE INTRODUCER}31m-$(touch pwned)`id`"
    hub.a.write({"tenants/northwind/domains/\x1b]0;x\x07.yaml": "x: [\x1b]0;y\x07"}, "\x1b[31m red")
    done = hub.push(f"main:refs/heads/{branch.replace(' ', '')}")
    assert done.code == 0
    said = "".join(line for line in done.err.splitlines() if line.startswith("remote:"))
    assert not {"\x1b", "\x07", "\x9b", "\N{RIGHT-TO-LEFT OVERRIDE}"} & set(said)
    assert "\\u202e" in said
    assert not list(hub.bare.root.rglob("pwned"))


def test_a_long_plan_is_shortened_and_shows_all_that_goes(hub: Hub) -> None:
    """What takes away stands first; of the rest there is a count, and all of it is applied."""
    many = "".join(f"  a{number}: [jane]\n" for number in range(150))
    done, after = hub.hooked(mail(BOXES, f"aliases:\n{many}"))
    said = done.err.splitlines()
    assert (done.code, len(said) < 110) == (0, True)
    assert said[0] == "  - delete alias info@northwind.example"
    assert "and 50 more changes that take nothing away" in done.err
    assert "Applied: 151 changes, 0 not made." in after().err


# ---------------------------------------------------------------------- what comes between


def test_what_a_freeze_holds_is_made_when_it_is_over(hub: Hub) -> None:
    """By the run that cron starts, at most as it was shown; until then it is kept, and cron is quiet."""
    done, after = hub.hooked({**freeze(), **MIA})
    assert (done.code, "(held: freeze until" in done.err) == (0, True)
    done = after()
    assert (done.code, hub.boxes()) == (0, {"jane", "tom"})
    assert f"to go on: reconciler hook post-receive {hub.bare.root}" in done.err
    assert hub.cron() == Run(0, "", "")
    assert len(hub.plans) == 1
    hub.a.write({"reconciler.yaml": AGENCY, **mail({**BOXES, "mia": "{owner: jane}", "pat": "{owner: jane}"}, INFO)})
    hub.deploy()  # nobody was shown Pat's mailbox
    assert hub.cron().code == 4
    hub.a.write(MIA)
    hub.deploy()
    done = hub.cron()
    assert (done.code, "northwind  applied: 1 done" in done.err) == (0, True)
    assert (hub.boxes(), hub.plans) == ({"jane", "tom", "mia"}, [])


def test_what_is_due_is_made_without_a_push(hub: Hub) -> None:
    """Each hour: what a day or a policy brings about, also where no plan that is kept shows the tenant."""
    hub.a.write({"reconciler.yaml": AGENCY.replace("retention: 30 days", "retention: 30 days, drift: enforce")})
    hub.deploy()
    hub.bare.sql("UPDATE mailbox SET quota = 1 WHERE username LIKE 'tom@%'")
    done = hub.cron()
    assert (done.code, "northwind  applied: 1 done" in done.err) == (0, True)
    assert hub.cron() == Run(0, "", "")


def test_a_box_that_was_changed_between_is_stale(hub: Hub) -> None:
    """What is found after the push is not what was shown: nothing is written there, and what to do is said."""
    done, after = hub.hooked(mail({**BOXES, "tom": "{owner: tom, quota: 3 GiB}"}, INFO))
    assert (done.code, "quota: 2 GiB -> 3 GiB" in done.err) == (0, True)
    hub.bare.sql("UPDATE mailbox SET quota = 1 WHERE username LIKE 'tom@%'")
    done = after()
    assert (done.code, "northwind  stale" in done.err) == (4, True)
    assert "quota: 1 bytes -> 3 GiB" in done.err
    again = f"apply --estate {hub.bare.root} --tenant northwind"
    assert f"reconciler {again}" in done.err
    assert hub.bare.sql("SELECT quota FROM mailbox WHERE username LIKE 'tom@%'") == [(1,)]
    assert call(*again.split(), "--yes").code == 0
    assert hub.cron() == Run(0, "", "")
    assert hub.plans == []


def test_a_run_that_is_killed_is_gone_on_with_by_the_next_push(hub: Hub) -> None:
    """What was shown is kept until it is made; whoever pushes something else after it has both applied."""
    script = hub.bare.root / "hooks" / "post-receive"
    whole = script.read_text()
    killed = "import os; from reconciler import cli, runner; runner.World.write = lambda *_: os.kill(os.getpid(), 9)"
    script.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{killed}; cli.main()' hook post-receive\n")
    done = hub.pushed(MIA)
    assert (done.code, hub.boxes(), len(hub.plans)) == (0, {"jane", "tom"}, 1)
    script.write_text(whole)
    _, after = hub.hooked(mail({"jane": "{owner: jane, quota: 1 GiB}"}, "", "contoso.example"))
    done = after()
    assert ("northwind  applied: 1 done" in done.err, "contoso  applied: 1 done" in done.err) == (True, True)
    assert (hub.boxes(), hub.plans) == ({"jane", "tom", "mia"}, [])


def test_a_push_waits_for_who_is_at_work(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds the tenant ends first; one who takes too long leaves the push for the next run."""
    hub.a.write(MIA)
    hub.deploy()
    with at_work(hub.bare, "--tenant", "northwind") as first:
        hub.a.write(mail({**BOXES, "mia": "{owner: jane}", "pat": "{owner: jane}"}, INFO))
        monkeypatch.setattr(hooks, "PATIENCE", 0.0)
        assert hub.cron().code == 5
        with hub.pushing() as second:
            first.step()
            assert first.end()[0] == 0
            said = second.communicate()[1]
        assert "northwind  applied: 1 done" in said
    assert (hub.boxes(), hub.plans) == ({"jane", "tom", "mia", "pat"}, [])


def test_of_two_pushers_one_has_to_merge_and_both_are_applied(hub: Hub) -> None:
    """Nobody pushes over another; and one that waits for another's run goes on from the head that is there then."""
    b = hub.clone("b")
    hub.a.write(MIA)
    hub.deploy()
    b.write(mail({"jane": "{owner: jane, quota: 1 GiB}"}, "", "contoso.example"))
    assert hub.push(clone=b).code == 1
    b.git("pull", "--quiet", "--rebase", "origin", "main")
    with (hub.bare.root / "reconciler" / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with hub.pushing(b) as second:
            time.sleep(0.2)
            assert second.poll() is None
            fcntl.flock(file, fcntl.LOCK_UN)
            assert "contoso  applied: 1 done" in second.communicate()[1]
    assert hub.plans == []


# ---------------------------------------------------------------------- the repository itself


def test_the_commands_work_on_the_bare_repository_and_in_a_clone(hub: Hub) -> None:
    """The ledger lies beside the branch: in a clone it is fetched with the first question that asks for it."""
    hub.a.write(MIA)
    hub.deploy()
    assert hub.bare.apply().code == 0
    clone = hub.clone("b")
    assert "northwind" in clone.run("log").out
    for estate in (hub.bare, clone):
        assert "applied" in estate.run("who", "mia@northwind.example").out
        assert "create" in estate.run("history", "mia@northwind.example").out
    assert hub.bare.run("validate", "--changed-since", "HEAD^").out.startswith("1 tenant ")
    done = hub.bare.run("rollback", "HEAD")
    assert (done.code, "retire mailbox mia@northwind.example" in done.out) == (0, True)
    assert hub.bare.git("branch", "--list", "rollback-HEAD")


def test_a_ledger_that_is_kept_elsewhere_is_fetched_before_a_push(hub: Hub) -> None:
    """Git lets nobody move a ref who sees what is pushed: the ledger is fetched beside it."""
    elsewhere = bare(hub.bare.root.parent / "ledgers.git")
    hub.a.write({"reconciler.yaml": f"{AGENCY}ledger: {{remote: {elsewhere.root}}}\n"})
    hub.deploy()
    elsewhere.git("fetch", "--quiet", str(hub.bare.root), "refs/reconciler/*:refs/reconciler/*")
    hub.bare.git("update-ref", "-d", TENANT)
    done = hub.pushed(MIA)
    assert (done.code, "Plan: 1 to create." in done.err, "applied: 1 done" in done.err) == (0, True, True)
    assert elsewhere.git("rev-parse", TENANT) == hub.bare.git("rev-parse", TENANT)


def test_what_a_clone_calls_origin_is_the_bare_repository_itself(hub: Hub) -> None:
    """`ledger: {remote: origin}` means the same to all of them."""
    hub.a.write({"reconciler.yaml": f"{AGENCY}ledger: {{remote: origin}}\n"})
    hub.deploy()
    assert hub.cron() == Run(0, "", "")
    assert "PL305" not in hub.a.run("plan").out


def test_hooks_are_installed_once_and_never_over_others(tmp_path: Path) -> None:
    """A second time nothing is done, an older one of ours is written anew, a foreign one stays and is named."""
    estate = bare(tmp_path / "it's.git")
    folder = estate.root / "hooks"
    assert "Wrote pre-receive and post-receive" in call("hook", "install", estate.root).out
    assert "Both are there already" in call("hook", "install", estate.root).out
    script = folder / "pre-receive"
    whole = script.read_text()
    assert f"exec {sys.executable} -P -m reconciler hook pre-receive" in whole
    script.write_text(whole.replace(sys.executable, "/usr/bin/python2"))
    assert "Wrote pre-receive:" in call("hook", "install", estate.root).out
    assert script.read_text() == whole
    (folder / "post-receive").write_text("#!/bin/sh\n")
    done = call("hook", "install", estate.root)
    assert (done.code, "there is a hook already" in done.err) == (1, True)
    assert f"{sys.executable} -P -m reconciler hook post-receive" in done.err
    assert (folder / "post-receive").read_text() == "#!/bin/sh\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("config", "core.bare", "false"), "is no bare repository"),
        (("config", "core.hooksPath", "/elsewhere"), "Git looks for hooks in /elsewhere"),
        (("remote", "add", "origin", "/elsewhere"), "remote rename origin upstream"),
        (("update-ref", "--no-deref", "HEAD", "main"), "HEAD of"),
    ],
)
def test_where_hooks_would_not_do_none_are_installed(tmp_path: Path, command: tuple[str, ...], said: str) -> None:
    """A working tree, hooks that Git looks for elsewhere, a ledger that goes elsewhere, no branch to deploy."""
    estate = bare(tmp_path / "estate.git")
    estate.git("fetch", "--quiet", str(make(tmp_path / "a", northwind()).root), "main:main")
    estate.git(*command)
    done = call("hook", "install", estate.root)
    assert (done.code, said in done.err) == (1, True)
    assert not (estate.root / "hooks" / "pre-receive").exists()


def test_the_page_about_it_can_be_pasted(tmp_path: Path) -> None:
    """docs/bare-repository.md: from nothing to the first mailbox, on a server and at a desk that are one here."""
    page = (ROOT / "docs" / "bare-repository.md").read_text(encoding="utf-8")
    tool = tmp_path / "reconciler"
    tool.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -P -m reconciler "$@"\n')
    tool.chmod(0o755)
    script = "".join(re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    script = script.replace("git@mail.agency.example:", "").replace("/srv/git", f"{tmp_path}/srv")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    command = ["bash", "-e", "-c", f"exec 2>&1\n{script}"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    shown = "".join(re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)).splitlines()
    said = [line.rstrip() for line in done.stdout.splitlines()]
    assert [line for line in shown if not any(each.startswith(line.partition("…")[0].rstrip()) for each in said)] == []
    assert "Jane Roe (jane), +44 20 5550100" in done.stdout
