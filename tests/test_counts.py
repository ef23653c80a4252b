"""Speed as counts: what a command starts, opens, asks and loads, whatever the machine.

A number that depends on how many objects there are is a bug here, long before a clock would show it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager

import pytest

from tests.estates import AGENCY, ROOT, dns, mail, make, northwind, tenant

TENANTS = 90  # below the number of files from which worker processes share the work: here all is seen
HEAVY = {
    "rich",
    "git",
    "dns",
    "jsonschema",
    "cryptography",
    "deepdiff",
    "psycopg",
    "pymysql",
    "asyncio",
    "multiprocessing",
}


def client(number, boxes=3):
    """One of many equal clients."""
    name = f"c{number:03}"
    said = {f"box{n}": "{owner: jane}" for n in range(boxes)}
    return {**tenant(name), **mail(said, "", f"{name}.example"), **dns("", f"{name}.example")}


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Many clients, applied."""
    estate = make(tmp_path_factory.mktemp("many") / "estate", *map(client, range(TENANTS)))
    return estate.applied({})


class Seen:
    """What a command did, as the interpreter itself reports it (PEP 578), and every SQL statement."""

    def __init__(self):
        self.processes, self.files, self.statements, self.connections = [], [], [], 0

    @property
    def git(self):
        return Counter(next(word for word in command if word in VERBS) for command in self.processes)


VERBS = {
    "cat-file", "config", "fast-import", "fetch", "for-each-ref", "log", "ls-files", "ls-tree", "multi-pack-index",
    "push", "rev-parse", "status", "update-ref", "var",
}  # fmt: skip
_watching: list[Seen] = []


def _hook(event, arguments):
    if not _watching:
        return
    seen = _watching[-1]
    if event == "subprocess.Popen":
        seen.processes.append([str(word) for word in arguments[1]])
    elif event == "open" and isinstance(arguments[0], str):
        seen.files.append(arguments[0])


sys.addaudithook(_hook)


@contextmanager
def watching(monkeypatch):
    """Counts what happens inside."""
    seen, connect = Seen(), sqlite3.connect

    def counted(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.set_trace_callback(seen.statements.append)
        seen.connections += 1
        return connection

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", counted)
        _watching.append(seen)
        try:
            yield seen
        finally:
            _watching.pop()


def seen_of(monkeypatch, estate, *command, code=0):
    with watching(monkeypatch) as seen:
        run = estate.run(*command)
    assert run.code == code, run.out + run.err
    return seen


# ---------------------------------------------------------------------- processes


@pytest.mark.parametrize(
    "command", [["validate"], ["plan"], ["plan", "--format", "json"], ["plan", "--tenant", "c007"]]
)
def test_a_command_starts_a_handful_of_git_processes(many, monkeypatch, command):
    """A fixed few, however many tenants and files there are, and nothing but Git."""
    seen = seen_of(monkeypatch, many, *command)
    assert {words[0] for words in seen.processes} == {"git"}
    assert max(seen.git.values()) <= 2
    assert len(seen.processes) <= 8


def test_an_apply_starts_as_few(many, monkeypatch):
    """A first apply of many tenants: three write the intents of a whole chunk of them, three what came of it."""
    estate = make(many.root.parent / "fresh", *map(client, range(TENANTS)))
    seen = seen_of(monkeypatch, estate, "apply", "--yes")
    chunks = -(-TENANTS // 40)
    assert max(seen.git[verb] for verb in ("fast-import", "update-ref")) <= 2 * chunks
    assert len(seen.processes) <= 16 + 6 * chunks


def test_what_an_apply_leaves_has_one_index(many):
    """Each chunk leaves two packs; afterwards no Git process has to open them one by one."""
    assert (many.root / ".git" / "objects" / "pack" / "multi-pack-index").is_file()


def test_the_number_of_processes_does_not_depend_on_the_size(many, monkeypatch, tmp_path):
    """The same plan of one tenant and of many starts the same processes."""
    small = make(tmp_path / "small", client(0)).applied({})
    assert seen_of(monkeypatch, small, "plan").git == seen_of(monkeypatch, many, "plan").git


# ---------------------------------------------------------------------- SQL


def test_statements_of_a_plan_are_per_chunk_of_tenants(many, monkeypatch):
    """Some ten a chunk of forty tenants: these take three chunks."""
    seen = seen_of(monkeypatch, many, "plan")
    assert 1 <= seen.connections <= 2 * 3  # what is there, and which system it is
    assert 3 <= len(seen.statements) <= 3 * 14


def test_statements_of_a_plan_do_not_depend_on_the_objects(monkeypatch, tmp_path):
    """One tenant with 2 or with 200 mailboxes: the same statements, and none of them writes."""
    counts = set()
    for boxes in (2, 200):
        estate = make(tmp_path / f"e{boxes}", client(0, boxes)).applied({})
        seen = seen_of(monkeypatch, estate, "plan")
        counts.add(len(seen.statements))
        assert not [
            text for text in seen.statements if text.split()[0].upper() in {"INSERT", "UPDATE", "DELETE", "CREATE"}
        ]
    assert len(counts) == 1


def test_an_apply_reads_each_domain_a_fixed_number_of_times(monkeypatch, tmp_path):
    """Statements that read do not grow with the objects; those that write are one per row that changes."""
    reads = set()
    for boxes in (2, 100):
        estate = make(tmp_path / f"e{boxes}", client(0, boxes))
        seen = seen_of(monkeypatch, estate, "apply", "--yes")
        reads.add(sum(text.lstrip().upper().startswith("SELECT") for text in seen.statements))
    assert len(reads) == 1


def test_a_settled_apply_writes_nothing(many, monkeypatch):
    """Nothing to do: no statement that writes, no ledger, no zone file opened for writing."""
    seen = seen_of(monkeypatch, many, "apply", "--yes")
    assert not [
        text
        for text in seen.statements
        if text.split()[0].upper() not in {"SELECT", "BEGIN", "PRAGMA", "ROLLBACK", "COMMIT"}
    ]
    assert "fast-import" not in seen.git


# ---------------------------------------------------------------------- files


def test_a_plan_opens_each_zone_once_and_no_file_of_the_estate(many, monkeypatch):
    """Documents come from Git's objects; live zones are read once each."""
    seen = seen_of(monkeypatch, many, "plan")
    ours = [name for name in seen.files if name.startswith(str(many.root))]
    zones = [name for name in ours if name.endswith(".zone")]
    assert (len(zones), len(set(zones))) == (TENANTS, TENANTS)
    assert [name for name in ours if "/tenants/" in name or name.endswith("reconciler.yaml")] == []


def test_a_plan_of_one_tenant_opens_its_own_zones(many, monkeypatch):
    """`--tenant` asks the live systems for that tenant's domains alone."""
    seen = seen_of(monkeypatch, many, "plan", "--tenant", "c007")
    assert [name for name in seen.files if name.endswith(".zone")] == [str(many.zone("c007.example"))]
    asked = [text for text in seen.statements if ".example'" in text]
    assert asked
    assert all("c007.example" in text and "c008.example" not in text for text in asked)


def test_validate_touches_no_live_system(many, monkeypatch):
    """No connection, no zone, no provider's driver."""
    seen = seen_of(monkeypatch, many, "validate")
    assert (seen.connections, [name for name in seen.files if "/var/" in name.removeprefix(str(many.root))]) == (0, [])


# ---------------------------------------------------------------------- modules


def loaded(*arguments, cwd):
    """The top-level modules that a command of its own has loaded when it ends."""
    code = (
        "import sys, json, atexit\n"
        "names = lambda: json.dumps(sorted({name.partition('.')[0] for name in sys.modules}))\n"
        "atexit.register(lambda: print(names(), file=sys.stderr))\n"
        "from reconciler.cli import main\n"
        "main()"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


def third_party(modules):
    """Those that are neither Python's own nor ours."""
    return {name for name in modules - set(sys.stdlib_module_names) if not name.startswith("_")} - {"reconciler"}


def test_help_loads_click_alone(many):
    """Of third-party packages nothing but the one that reads the command line."""
    modules = loaded("--help", cwd=many.root)
    assert third_party(modules) <= {"click", "sitecustomize"}
    assert modules & (HEAVY | {"sqlite3", "ssl", "yaml", "jinja2", "idna"}) == set()


def test_a_settled_plan_of_a_tenant_loads_few_packages(many):
    """`plan --tenant` where nothing changes: YAML, the fast schema, the lists of names, templates; nothing slow."""
    modules = loaded("plan", "--tenant", "c007", cwd=many.root)
    assert modules & HEAVY == set()
    assert third_party(modules) <= {
        "click", "yaml", "cython_runtime", "jsonschema_rs", "idna", "jinja2", "markupsafe", "publicsuffixlist",
        "sitecustomize",
    }  # fmt: skip


def test_a_valid_estate_needs_no_slow_schema(many):
    """jsonschema explains a no; a yes is jsonschema-rs's alone."""
    assert {"jsonschema", "dns", "rich"} & loaded("validate", cwd=many.root) == set()


def test_a_template_without_expressions_needs_no_engine(tmp_path):
    """Jinja2 is loaded for `{{`, not for a plain template."""
    estate = make(
        tmp_path / "estate", northwind(names="template: own/1\n"), agency=AGENCY, template="template: mini/1\n"
    )
    estate.write(
        {
            "domain-templates/own/1.yaml": 'template: own/1\nrecords:\n  - {name: "@", type: A, values: [192.0.2.1]}\n',
            **mail(more="aliases: {postmaster: [jane], abuse: [jane]}\n"),
        }
    )
    estate.applied({})
    assert "jinja2" not in loaded("plan", "--tenant", "northwind", cwd=estate.root)
