"""The workflows that every estate gets: what starts them, what each job may and knows, and that they run."""

import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
import yaml

from reconciler import __version__
from tests.forge.actions import Actions
from tests.forge.api import serve
from tests.forge.github import GitHub
from tests.servers import need
from tests.test_forge import commit, git

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = {path.stem: path for path in (ROOT / ".github" / "workflows").glob("*.yml")}
SHIPPED = {name: yaml.safe_load(path.read_text()) for name, path in WORKFLOWS.items() if name != "ci"}
PARSER = next((ROOT / "var").glob("workflow-parser-*.cjs"), ROOT / "var" / "workflow-parser")

SAME = "github.event.pull_request.head.repo.full_name == github.repository"
APPLIES = "vars.RECONCILER_APPLY == 'true'"
WRITES = {
    "actions": "read", "checks": "read", "contents": "write", "issues": "write", "pull-requests": "write",
    "statuses": "write",
}  # fmt: skip
# Each job: what starts it, on which condition, with which environment (and so which secrets), what its token may.
MATRIX = {
    ("plan", "plan"): (
        {"pull_request"}, SAME, "plan",
        {"contents": "read", "checks": "write", "issues": "write", "pull-requests": "write"},
    ),
    ("plan", "fork"): ({"pull_request"}, SAME.replace("==", "!="), None, {"contents": "read"}),
    ("apply", "apply"): ({"push", "schedule", "workflow_dispatch"}, APPLIES, "apply", WRITES),
    ("purge", "purge"): ({"workflow_dispatch"}, APPLIES, "purge", WRITES),
    ("drift", "drift"): ({"schedule", "workflow_dispatch"}, APPLIES, "plan", {"contents": "write", "issues": "write"}),
}  # fmt: skip
COMMANDS = {
    "plan": "reconciler ci plan",
    "fork": "reconciler ci plan --offline",
    "apply": 'reconciler ci apply --digest "$DIGEST"',
    "purge": 'reconciler ci apply --purge --tenant "$TENANT"',
    "drift": "reconciler ci drift",
}  # fmt: skip


def jobs():
    return {(name, job): said for name, workflow in SHIPPED.items() for job, said in workflow["jobs"].items()}


def steps(key):
    return [step for said in jobs().values() for step in said["steps"] if key in step]


def test_what_starts_a_job_and_what_it_may_is_as_written_here():
    """Trigger, condition, environment and permissions of every job: a change of one is a change here."""
    found = {
        (name, job): (set(SHIPPED[name][True]), said["if"], said.get("environment"), said["permissions"])
        for (name, job), said in jobs().items()
    }  # `on` is true in YAML 1.1, which this loader speaks
    assert found == MATRIX
    assert [workflow["permissions"] for workflow in SHIPPED.values()] == [{}] * 4


def test_only_main_is_planned_on_and_applied():
    """A branch that nobody reviewed names no providers for a plan, and starts no apply."""
    assert SHIPPED["plan"][True]["pull_request"]["branches"] == ["main"]
    assert SHIPPED["apply"][True]["push"] == {"branches": ["main"]}
    refs = [step["with"].get("ref") for step in steps("uses") if "/checkout@" in step["uses"]]
    assert sorted(refs, key=str) == [None, None, "main", "main", "main"]


def test_no_secret_but_the_token_of_the_job_is_handed_on():
    """As shipped no workflow knows a secret, and the token goes to the one step that talks to GitHub."""
    for path in (path for name, path in WORKFLOWS.items() if name != "ci"):
        lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
        assert "secrets." not in "\n".join(lines)
    holders = {step["run"] for step in steps("env") if "GITHUB_TOKEN" in step["env"]}
    assert holders == set(COMMANDS.values())
    assert all("env" not in said for said in [*SHIPPED.values(), *jobs().values()])
    assert all(step["with"]["persist-credentials"] is False for step in steps("uses") if "/checkout@" in step["uses"])


def test_the_tool_is_the_released_one():
    """What runs with credentials is this very version from the package index, not what a pull request brings."""
    for (_, job), said in jobs().items():
        install, work = (step["run"] for step in said["steps"] if "run" in step)
        assert install == f'pip install --disable-pip-version-check "mail-reconciler[github]=={__version__}"'
        assert work == COMMANDS[job]


def test_no_expression_stands_in_a_script():
    """What a shell runs is as written here: a title or an input is no part of it."""
    assert [step["run"] for step in steps("run") if "${{" in step["run"]] == []
    assert all(workflow["defaults"] == {"run": {"shell": "bash"}} for workflow in SHIPPED.values())


def test_an_apply_is_never_cut_short():
    """Applies and purges wait for each other, and none is thrown out of the queue; every job ends some day."""
    queue = {"group": "apply", "cancel-in-progress": False, "queue": "max"}
    assert SHIPPED["apply"]["concurrency"] == SHIPPED["purge"]["concurrency"] == queue
    assert SHIPPED["plan"]["concurrency"]["cancel-in-progress"] is True
    assert all(said["timeout-minutes"] <= 60 for said in jobs().values())


def test_zizmor_finds_nothing():
    """What is known of attacks on workflows does not work on ours: to an auditor, and without an exception."""
    tool = Path(sys.executable).with_name("zizmor")
    run = subprocess.run(
        [tool, "--offline", "--no-config", "--persona", "auditor", *WORKFLOWS.values()],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
    assert not [name for name, path in WORKFLOWS.items() if "zizmor:" in path.read_text()]


@need("node", str(PARSER))
def test_github_can_read_them(tmp_path):
    """GitHub's own parser has nothing to say of them, and something of a file with a slip."""
    run = subprocess.run([PARSER, *WORKFLOWS.values()], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "")
    slip = tmp_path / "slip.yml"
    slip.write_text(WORKFLOWS["plan"].read_text().replace("github.token", "gitub.token", 1))
    run = subprocess.run([PARSER, slip], capture_output=True, text=True, check=False)
    assert (run.returncode, "Unrecognized named-value: 'gitub'" in run.stdout) == (1, True)


# ---------------------------------------------------------------------- the runner of the tests

LOOKS = """\
name: plan
on: pull_request
permissions: {}
jobs:
  plan:
    if: github.event.pull_request.head.repo.full_name == github.repository && vars.SWITCH == 'on'
    runs-on: ubuntu-24.04
    environment: plan
    permissions: {contents: read, pull-requests: write}
    steps: &steps
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683
        with: {fetch-depth: 0}
      - shell: bash
        run: |
          mkdir -p var/ci
          git log --format=%H -1 > var/ci/plan.json
          echo "password ${PASSWORD:-none}, reversed $(rev <<< "$PASSWORD"), branches $(git branch -r | wc -l)"
          curl --silent --header "Authorization: Bearer $TOKEN" --data '{"body": "said"}' \\
            "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues/1/comments" | grep -o 'not accessible' || true
          printf '# One\\n\\nline\\n' >> "$GITHUB_STEP_SUMMARY"
        env: {PASSWORD: "${{ secrets.PASSWORD }}", TOKEN: "${{ github.token }}"}
      - uses: actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02
        with:
          name: kept-${{ github.event.pull_request.head.sha }}
          path: |
            var/ci/plan.json
            var/ci/plan.md
  fork:
    if: github.event.pull_request.head.repo.full_name != github.repository
    runs-on: ubuntu-24.04
    environment: plan
    permissions: {contents: read, pull-requests: write}
    steps: *steps
"""


@pytest.fixture
def actions(tmp_path):
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "estate.git")
    git(tmp_path, "clone", "--quiet", "estate.git", "clone")
    clone = tmp_path / "clone"
    (clone / ".github" / "workflows").mkdir(parents=True)
    (clone / ".github" / "workflows" / "plan.yml").write_text(LOOKS)
    commit(clone, "first", "main")
    commit(clone, "second", "feature")
    with serve(GitHub(tmp_path / "estate.git")) as api:
        made = Actions(api, tmp_path)
        made.secrets = {"plan": {"PASSWORD": "sesame"}}
        made.variables = {"SWITCH": "on"}
        yield made


def test_a_pull_request_runs_with_what_its_job_is_granted(actions):
    """The merge is checked out; the secret of the environment is there, and masked; the token may what it says."""
    github = actions.api.github
    pull = github.open_pull("nora", "feature", "A feature")
    runs = actions.pull(pull)
    assert {job: run.result for job, run in runs.items()} == {"plan": "success", "fork": "skipped"}
    assert "password ***, reversed emases, branches 2" in runs["plan"].log
    assert "# One\n\nline" in runs["plan"].summary
    assert [comment["body"] for comment in github.comments[1]] == ["said"]
    (kept,) = github.artifacts.values()
    assert kept["name"] == f"kept-{pull.head}"
    with zipfile.ZipFile(BytesIO(github.archives[kept["id"]])) as packed:
        assert packed.namelist() == ["plan.json"]
        assert packed.read("plan.json").decode().strip() == github.git("rev-parse", "refs/pull/1/merge")


def test_a_fork_gets_no_secret_and_a_token_that_reads(actions, tmp_path):
    """Whatever its workflow asks for."""
    github = actions.api.github
    git(tmp_path, "clone", "--quiet", "--bare", "estate.git", "fork.git")
    pull = github.open_pull("mallory", "feature", "A feature", fork=tmp_path / "fork.git")
    runs = actions.pull(pull)
    assert {job: run.result for job, run in runs.items()} == {"plan": "skipped", "fork": "success"}
    assert "password none" in runs["fork"].log
    assert "not accessible" in runs["fork"].log
    assert github.comments[1] == []


def test_a_variable_switches_a_job(actions):
    """Without the repository's variable the job is skipped."""
    actions.variables = {}
    pull = actions.api.github.open_pull("nora", "feature", "A feature")
    assert {run.result for run in actions.pull(pull).values()} == {"skipped"}
