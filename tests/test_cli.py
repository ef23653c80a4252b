"""The command line: usage, exit codes, where answers go, and what people see on a terminal and off it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.estates import (
    NORTHWIND,
    ROOT,
    accepting,
    call,
    contoso,
    control,
    dns,
    mail,
    make,
    northwind,
    tenant,
)  # fmt: skip
from tests.terminal import ESCAPE, show

COMMANDS = ("init", "validate", "plan", "apply")


@pytest.fixture
def estate(tmp_path):
    return make(tmp_path / "estate", northwind())


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """An applied estate with a change, drift and a finding to show; nothing here applies it."""
    estate = make(tmp_path_factory.mktemp("cli") / "estate", northwind()).applied({})
    estate.sql("UPDATE mailbox SET quota = 1 WHERE username = 'tom@northwind.example'")
    estate.write(
        {
            **mail({"tom": "{owner: tom, quota: 2 GiB}"}, "aliases:\n  info: [tom]\n"),
            **dns("with: {dmarc: quarantine}\n"),
        }
    )
    return estate


# ---------------------------------------------------------------------- usage

WRONG = {
    "no such command": ["plann"],
    "no such option": ["plan", "--tenat", "x"],
    "no such format": ["plan", "--format", "yaml"],
    "an argument too many": ["plan", "northwind"],
    "an option without its value": ["plan", "--tenant"],
    "init without a folder": ["init"],
    "markdown of validate": ["validate", "--format", "markdown"],
    "apply off a terminal without saying what was reviewed": ["apply"],
    "apply of the working tree": ["apply", "--yes", "--worktree"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_wrong_usage_is_64_and_says_so_on_stderr(estate, arguments):
    """Nothing on stdout, a sentence on stderr, exit 64, nothing written."""
    where = [] if arguments[0] in {"init", "plann"} else ["--estate", estate.root]
    run = call(*arguments, *where)
    assert (run.code, run.out) == (64, "")
    assert run.err.startswith("reconciler: ")
    assert not (estate.root / "var").exists()


@pytest.mark.parametrize("arguments", [["plan", "--nothing"], ["apply"], ["apply", "--yes", "--worktree"]])
def test_wrong_usage_is_one_json_document_where_json_is_asked_for(estate, arguments):
    """A program that reads stdout gets a document whatever happens."""
    for form in (["--format", "json"], ["--format=json"]):
        run = call(*arguments, "--estate", estate.root, *form)
        assert run.code == 64
        assert isinstance(run.json, dict)


def test_without_a_command_the_commands_are_shown():
    """`reconciler` alone is a question for help."""
    run = call()
    assert all(f"  {command} " in run.out + run.err for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    """`--help` and `-h` name every option, in lines of at most 100 columns, and end with 0."""
    run = call(command, "--help")
    assert (run.code, run.out) == (0, call(command, "-h").out)
    assert run.out.startswith(f"Usage: reconciler {command}")
    assert max(map(len, run.out.splitlines())) <= 100


def test_options_that_mean_the_same_everywhere_are_everywhere():
    """The contract's common options, on each command that reads an estate."""
    for command in ("validate", "plan", "apply"):
        text = call(command, "--help").out
        for option in ("--estate", "--rev", "--tenant", "--format", "--output", "--no-color", "-v"):
            assert option in text, (command, option)
        assert ("--worktree" in text) == (command != "apply")


def test_the_version_is_said():
    """`--version` names the program and its version."""
    from reconciler import __version__

    assert call("--version").out == f"reconciler, version {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes(shell):
    """Click's own completion: the script that a shell sources, and the words it asks for."""
    script = _completing(shell, "source", "")
    assert "_RECONCILER_COMPLETE" in script
    words = _completing("bash", "complete", "reconciler pl")
    assert "plan" in words


def _completing(shell, what, words):
    env = {
        **os.environ,
        "_RECONCILER_COMPLETE": f"{shell}_{what}",
        "COMP_WORDS": words,
        "COMP_CWORD": "1",
        "PYTHONPATH": str(ROOT),
    }
    code = "import sys; sys.argv = ['reconciler']; from reconciler.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False).stdout


# ---------------------------------------------------------------------- init


def test_init_makes_an_estate_that_is_ready_to_commit(tmp_path):
    """Everything the contract names, in a new repository, nothing committed, var/ ignored; it validates at once."""
    folder = tmp_path / "new" / "estate"
    run = call("init", folder)
    assert run.code == 0
    names = {path.name for path in folder.iterdir()}
    said = {"README.md", "reconciler.yaml", "schemas", "domain-templates", "tenants"}
    assert names == said | {".git", ".github", ".gitignore"}
    assert {path.name for path in (folder / "tenants").iterdir()} <= {".gitkeep"}
    assert "var/" in (folder / ".gitignore").read_text().splitlines()
    assert subprocess.run(["git", "rev-parse", "--verify", "-q", "HEAD"], cwd=folder, check=False).returncode != 0
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    subprocess.run(["git", "commit", "--quiet", "-m", "An estate"], cwd=folder, check=True)
    assert call("validate", "--estate", folder).code == 0
    plan = call("plan", "--estate", folder, "--exit-code", "--format", "json")
    assert (plan.code, plan.json["tenants"]) == (0, [])


def test_the_first_client_of_the_readme_works(tmp_path):
    """The YAML that a new estate's README shows is planned and applied as it stands there."""
    folder = tmp_path / "estate"
    call("init", folder)
    blocks = (folder / "README.md").read_text().split("```yaml\n")[1:]
    for block in blocks:
        text = block.partition("```")[0]
        path = folder / text.splitlines()[0].removeprefix("# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    subprocess.run(["git", "commit", "--quiet", "-m", "A client"], cwd=folder, check=True)
    assert call("validate", "--estate", folder).code == 0
    assert call("apply", "--yes", "--estate", folder).code == 0
    assert call("plan", "--exit-code", "--estate", folder).code == 0


def test_init_in_a_folder_of_a_repository_makes_no_second_one(tmp_path):
    """An estate may lie in a larger repository; that it becomes a part of it is said."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    run = call("init", tmp_path / "mail")
    assert run.code == 0
    assert f"{tmp_path}/mail lies in the Git repository {tmp_path}: the estate becomes a part of it" in run.err
    assert [path.name for path in (tmp_path / "mail").glob(".git*")] == [".gitignore"]
    assert call("validate", "--worktree", "--estate", tmp_path / "mail").code == 0


def test_init_in_a_repository_of_its_own_says_nothing_of_it(tmp_path):
    """A note is for what may not be meant."""
    assert call("init", tmp_path / "mail").err == ""


@pytest.mark.parametrize("pattern", ["mail/", "tenants/", "*.yaml", "/deep"])
def test_init_in_a_folder_that_is_ignored_writes_nothing(tmp_path, pattern):
    """Nothing there could be committed, and so nothing ever applied: it is said (IN309) before anything is made."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text(f"# ours\n{pattern}\n")
    run = call("init", tmp_path / "deep" / "mail")
    assert run.code == 1
    assert "IN309" in run.err
    assert f"the repository {tmp_path}, which ignores it (.gitignore:2:{pattern})" in run.err
    assert {path.name for path in tmp_path.iterdir()} == {".git", ".gitignore"}


def test_init_takes_an_empty_folder_and_no_other(tmp_path):
    """What is in use is left as it is, with exit 1."""
    (tmp_path / "empty").mkdir()
    assert call("init", tmp_path / "empty").code == 0
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes.txt").write_text("mine")
    for folder in (tmp_path / "used", tmp_path / "used" / "notes.txt", tmp_path / "empty"):
        run = call("init", folder)
        assert run.code == 1
        assert "IN306" in run.err
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["notes.txt"]


# ---------------------------------------------------------------------- where answers go


@pytest.mark.parametrize(
    "command", [["validate"], ["plan"], ["plan", "--format", "json"], ["plan", "--format", "markdown"]]
)
def test_an_answer_goes_to_a_file(changed, command, tmp_path):
    """`--output FILE` holds exactly what stdout would; stdout stays empty."""
    file = tmp_path / "answer"
    run = changed.run(*command, "--output", str(file))
    shown = changed.run(*command)
    moment = [line for line in shown.out.splitlines() if "read_at" not in line]
    assert (run.code, run.out) == (shown.code, "")
    assert [line for line in file.read_text().splitlines() if "read_at" not in line] == moment


def test_what_was_applied_goes_to_a_file_with_its_plan(estate, tmp_path):
    """The text of an apply is its plan and its result, in a file too."""
    file = tmp_path / "answer"
    assert estate.run("apply", "--yes", "--output", str(file)).code == 0
    text = file.read_text()
    assert "Plan: 9 to create." in text
    assert "Applied: 9 changes" in text


def test_a_file_that_cannot_be_written_is_said(estate):
    """No traceback: a sentence, and an exit code that is not 0."""
    run = estate.run("plan", "--output", "/proc/nowhere/answer")
    assert run.code in {1, 64}
    assert "/proc/nowhere/answer" in run.err
    assert "Traceback" not in run.err


@pytest.mark.parametrize("command", [["validate"], ["plan"], ["apply", "--yes"]])
def test_a_file_that_is_not_committed_is_announced_first(estate, command):
    """The first line of the text says which files differ; with another format the first line of stderr does."""
    estate.applied({})
    assert "Not committed" not in estate.run(*command).out
    estate.save(
        {
            NORTHWIND: (estate.root / NORTHWIND).read_text() + "# later\n",
            "tenants/northwind/control.yaml": "tenant: x\n",
        }
    )
    text = estate.run(*command)
    first = text.out.splitlines()[0]
    assert text.code == 0
    assert NORTHWIND in first
    assert "control.yaml" in first
    data = estate.run(*command, "--format", "json")
    assert NORTHWIND in data.err.splitlines()[0]
    assert isinstance(data.json, dict)


def test_only_what_was_read_is_announced(estate):
    """Another tenant's edit does not concern `--tenant`; a README does not concern anybody."""
    estate.write(contoso())
    estate.save({"tenants/contoso/tenant.yaml": "tenant: contoso\n", "README.md": "# Hello\n"})
    assert "Not committed" not in estate.run("plan", "--tenant", "northwind").out
    assert "tenants/contoso/tenant.yaml" in estate.run("plan").out.splitlines()[0]
    assert "README" not in estate.run("plan").out.splitlines()[0]


def test_a_reader_that_leaves_early_is_no_error_message(changed):
    """`reconciler plan | head -1` ends without a traceback."""
    command = f"{sys.executable} -m reconciler plan --format json | head -1"
    run = subprocess.run(
        command,
        shell=True,
        cwd=changed.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == "{\n"
    assert "Traceback" not in run.stderr


# ---------------------------------------------------------------------- exit codes


def test_exit_codes_of_a_plan(changed, tmp_path):
    """0 with changes; 2 with `--exit-code`; 3 when a check refuses, 1 for bad input, the first of several counts."""
    assert changed.run("plan").code == 0
    assert changed.run("plan", "--exit-code").code == 2
    estate = make(tmp_path / "estate", northwind(more="aliases:\n  info: [kim]\n"), contoso())
    assert estate.run("plan", "--exit-code").code == 3
    assert estate.run("plan", "--exit-code", "--tenant", "contoso").code == 2
    estate.write(tenant("contoso", "nothing: x\n"))
    assert estate.run("plan", "--exit-code").code == 1
    assert estate.run("plan", "--exit-code", "--tenant", "northwind").code == 3
    assert estate.run("validate", "--tenant", "northwind").code == 1


def test_warnings_change_no_exit_code(estate):
    """A line that gives a domain to nobody is a warning; validate and plan still end with 0."""
    estate.applied(control("delegates: {labs.northwind.example: contoso}\n"))
    for command in (["validate"], ["plan"], ["plan", "--exit-code"]):
        run = estate.run(*command)
        assert (run.code, "warning DN041" in run.out) == (0, True)


# ---------------------------------------------------------------------- on a terminal and off it


def test_off_a_terminal_nothing_is_coloured_wrapped_or_shortened(changed):
    """A pipe gets each line whole, without an escape sequence, even where the environment claims colours."""
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "FORCE_COLOR": "1",
        "TERM": "xterm-256color",
        "COLUMNS": "40",
        "CLICOLOR_FORCE": "1",
    }
    run = subprocess.run(
        [sys.executable, "-m", "reconciler", "plan"],
        cwd=changed.root,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "\x1b" not in run.stdout
    assert run.stdout == changed.run("plan").out
    assert max(map(len, run.stdout.splitlines())) > 100
    assert "…" not in run.stdout


def test_on_a_terminal_the_plan_is_coloured_and_fits_80_columns(changed):
    """Colours, no line wider than the terminal, and not a word lost against the plain text."""
    screen = show("plan", cwd=changed.root)
    plain = changed.run("plan").out
    assert ESCAPE.search(screen.raw)
    assert screen.widest <= 80
    assert screen.text.split() == plain.split()


def test_colours_can_be_switched_off(changed):
    """`--no-color` and NO_COLOR: the same words, no colour."""
    for arguments, env in ((["--no-color"], {}), ([], {"NO_COLOR": "1"})):
        screen = show("plan", *arguments, cwd=changed.root, env=env)
        assert "\x1b[3" not in screen.raw
        assert screen.widest <= 80


def test_on_a_terminal_apply_asks(tmp_path):
    """It shows the plan and asks; no leaves everything as it is, yes makes it so."""
    estate = make(tmp_path / "estate", northwind())
    no = show("apply", cwd=estate.root, typed="n\n", prompt="[y/N]")
    assert "Plan: 9 to create." in no.text
    assert not estate.database.exists()
    assert estate.git("for-each-ref", "refs/reconciler") == ""
    yes = show("apply", cwd=estate.root, typed="y\n", prompt="[y/N]")
    assert (yes.code, "Applied: 9 changes" in yes.text) == (0, True)
    assert estate.run("plan", "--exit-code").code == 0


# ---------------------------------------------------------------------- hostile values

EVIL = "\x1b]0;gone\x07\x1b[2J \u202etxt\u202c `code` | @everyone\n::error::x <b>"
SEEN = ("\\x1b]0;gone", "\\x1b[2J", "\\u202e", "\\n::error::x")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Live data that somebody else wrote: a display name, an unmanaged alias and a TXT value with all of it."""
    estate = make(tmp_path_factory.mktemp("evil") / "estate", northwind({"jane": "{owner: jane, name: J}"}))
    estate.applied({}).sql("UPDATE mailbox SET name = ?", EVIL)
    estate.sql(
        "INSERT INTO alias (address, goto, domain, active) VALUES (?, ?, 'northwind.example', 1)",
        "a\x1b[31m`|@here\u202e\n@northwind.example", "x@evil.example",
    )  # fmt: skip
    estate.edit_zone('"v=DMARC1; p=none"', '"v=DMARC1; p=\\027[31m|`@all`\\010"')
    estate.write({**mail({"jane": "{owner: jane, name: K}"}, ""), **dns("with: {dmarc: quarantine}\n")})
    return estate


def test_hostile_values_stay_visible_text(hostile):
    """What a terminal would obey or hide is written out, in plain text and on a terminal alike."""
    run = hostile.run("plan")
    assert all(seen in run.out for seen in SEEN)
    assert not set(run.out) & set("\x1b\x07\u202e\u202c\r\x08")
    assert run.out.count("::error::") == 1
    assert not any(line.startswith("::error::") for line in run.out.splitlines())
    screen = show("plan", cwd=hostile.root)
    assert "\x1b]" not in screen.raw
    assert "\x1b[2J" not in screen.raw
    assert "\u202e" not in screen.raw


def test_hostile_values_stay_in_code_spans(hostile):
    """In Markdown every foreign value stands in a code span that it cannot end: no mention, no HTML, no table."""
    text = hostile.run("plan", "--format", "markdown").out
    assert "everyone" in text
    outside = _outside_code(text)
    for word in ("@everyone", "@here", "@all", "::error::", "evil", "<b>", "\x1b", "\u202e"):
        assert word not in outside.replace("<b>northwind</b>", ""), word


def _outside_code(text):
    """Markdown without its code spans, as CommonMark finds them: from a run of backticks to the next as long."""
    out, rest = [], text
    while "`" in rest:
        before, _, after = rest.partition("`")
        length = 1 + len(after) - len(after.lstrip("`"))
        body = after[length - 1 :]
        end = _closing(body, length)
        out.append(before)
        rest = body[end + length :] if end >= 0 else body
    return "".join([*out, rest])


def _closing(body, length):
    start = body.find("`")
    while start >= 0:
        run = len(body[start:]) - len(body[start:].lstrip("`"))
        if run == length:
            return start
        start = body.find("`", start + run)
    return -1


def test_hostile_values_are_data_in_json(hostile):
    """JSON says them as they are, escaped as JSON does; no raw control character is in the text."""
    run = hostile.run("plan", "--format", "json")
    (change,) = [c for c in run.json["tenants"][0]["changes"] if c["kind"] == "mailbox"]
    assert change["fields"]["name"]["from"] == EVIL
    assert not set(run.out) & set("\x1b\x07")


def test_hostile_yaml_is_visible_in_findings(tmp_path):
    """An unknown key full of escapes is quoted visibly, never sent to the terminal."""
    estate = make(
        tmp_path / "estate", {**northwind(), NORTHWIND: 'domain: northwind.example\nowner: jane\n"\\e[31mx": 1\n'}
    )
    run = estate.run("validate")
    assert run.code == 1
    assert "\x1b" not in run.out


# ---------------------------------------------------------------------- Markdown


def test_markdown_says_first_what_is_taken_away(changed):
    """The verdict, then what is retired and deleted, then one folded section per tenant."""
    text = changed.run("plan", "--format", "markdown").out
    verdict, takes, folded = (text.index(part) for part in ("## Plan:", "### Takes away", "<details>"))
    assert verdict < takes < folded
    assert "jane@northwind.example" in text[takes:folded]
    assert text.count("<details>") == text.count("</details>") == 1


def test_markdown_fits_a_comment_and_says_what_it_leaves_out(tmp_path):
    """400 changes and 200 removals: at most 65,536 UTF-16 units, every removal named, the shortening announced."""
    boxes = {f"person-with-a-long-name-{n:03}": "{owner: jane, quota: 1 GiB}" for n in range(400)}
    old = {f"person-who-is-leaving-{n:03}": "{owner: jane}" for n in range(200)}
    estate = make(tmp_path / "estate", northwind(old, "")).applied({})
    estate.write({**mail(boxes, ""), **accepting("PL103", "northwind.example")})
    text = estate.run("plan", "--format", "markdown").out
    assert len(text.encode("utf-16-le")) // 2 <= 65_536
    assert all(f"person-who-is-leaving-{n:03}@northwind.example" in text for n in range(200))
    assert "left out" in text


def test_output_names_nothing_but_what_is_asked(changed):
    """A quiet estate says so in a few lines; `-v` shows its tenants too."""
    quiet = make(changed.root.parent / "quiet", northwind()).applied({})
    assert quiet.run("plan").out.count("\n") <= 5
    assert "northwind" not in quiet.run("plan").out
    assert "northwind" in quiet.run("plan", "-v").out
    assert json.loads(quiet.run("plan", "--format", "json", "-v").out)["tenants"][0]["changes"] == []
