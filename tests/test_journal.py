"""The journal: what a run says before its first write and after its last, and what `log` and `history` make of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from tests.estates import AGENCY, BOXES, CONTOSO, NORTHWIND, ROOT, accepts, contoso, dns, mail, make, northwind, tenant

REF = "refs/reconciler/tenants/northwind"
UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
ANNA = "Anna Ops <anna@agency.example>"
CANARY = "hunter2-canary"


@pytest.fixture
def estate(tmp_path):
    return make(tmp_path / "estate", northwind(), contoso())


def intent(estate, commit=f"{REF}~1"):
    return json.loads(estate.git("show", f"{commit}:intent.json"))


def outcome(estate, commit=REF):
    return json.loads(estate.git("show", f"{commit}:run.json"))


def by_address(found):
    return {change["address"]: change for change in found["changes"]}


def moved(estate, quota="1 GiB"):
    """Jane gets a quota."""
    return mail({**BOXES, "jane": f"{{owner: jane, quota: {quota}}}"}, "aliases:\n  info: [jane]\n")


# ---------------------------------------------------------------------- what is said, and when


def test_the_intent_is_there_before_the_first_write(estate, monkeypatch):
    """When a provider is first told to write, the ref already holds the intent."""
    from reconciler import runner

    seen = []
    write = runner.World.write

    def watched(world, batch):
        seen.append((estate.git("ls-tree", "--name-only", REF).split(), estate.world().get("mail.sqlite")))
        return write(world, batch)

    monkeypatch.setattr(runner.World, "write", watched)
    estate.applied({})
    assert seen[0][0] == ["intent.json", "ledger.jsonl"]
    assert estate.git("ls-tree", "--name-only", REF).split() == ["ledger.jsonl", "run.json"]


def test_what_an_intent_says(estate):
    """Who, when, which commit, which plan, which version; each change with before and after; who holds the tenant."""
    plan = estate.one()
    estate.applied({})
    said = intent(estate)
    assert (said["actor"], said["commit"], said["digest"]) == (ANNA, estate.head, plan["digest"])
    assert UTC.fullmatch(said["began"])
    assert re.fullmatch(r"[0-9a-f]{12}", said["run"])
    assert (said["holder"]["pid"], said["lease"], said["unlocked"]) == (os.getpid(), 120, None)
    found = by_address(said)
    assert set(found) == {change["address"] for change in plan["changes"]}
    jane = found["mailhost:mailbox/jane@northwind.example"]
    assert (jane["action"], jane["claim"]["before"], jane["claim"]["after"]["state"]) == ("create", None, "active")
    assert (jane["origin"]["file"], jane["origin"]["line"], jane["origin"]["author"]) == (NORTHWIND, 4, "Anna Ops")


def test_what_an_outcome_says(estate):
    """The same heading, when it ended, and of each change what came of it; the intent is gone."""
    estate.applied({})
    before = estate.head
    estate.applied(moved(estate))
    said = outcome(estate)
    assert (said["actor"], said["commit"], said["result"]) == (ANNA, estate.head, "applied")
    assert said["run"] == intent(estate)["run"] != outcome(estate, f"{REF}~2")["run"]
    assert UTC.fullmatch(said["ended"])
    [jane] = said["changes"]
    assert (jane["action"], jane["fields"]) == ("update", {"quota": {"from": 5 * 2**30, "to": 2**30}})
    assert (jane["result"], jane["error"], jane["origin"]["commit"]) == ("applied", None, estate.head)
    assert outcome(estate, f"{REF}~2")["commit"] == before


def test_a_change_that_failed_says_why(estate):
    """What was not made stands there too, with the provider's error."""
    estate.applied({})
    estate.write({**moved(estate), **dns("with: {dmarc: quarantine}\n")})
    zone = estate.zone().rename(estate.root / "kept.zone")
    estate.zone().symlink_to(zone)
    assert estate.apply().code == 1
    said = outcome(estate)
    jane, dmarc = (
        by_address(said)[name]
        for name in ("mailhost:mailbox/jane@northwind.example", "zones:record/TXT/_dmarc.northwind.example")
    )
    assert (said["result"], jane["result"], dmarc["result"]) == ("failed", "applied", "not applied")
    assert "northwind.example.zone" in dmarc["error"]
    assert "(not applied)" in estate.run("history", "_dmarc.northwind.example").out


def test_moves_of_the_ledger_alone_have_an_outcome_and_no_intent(estate):
    """What is adopted is noted without a lock: nothing is written to a provider."""
    estate.applied({})
    estate.git("update-ref", "-d", REF)
    assert estate.apply().code == 0
    assert estate.git("rev-list", "--count", REF) == "1"
    said = outcome(estate)
    assert (said["result"], said["changes"]) == ("applied", [])
    steps = {step["address"]: step["what"] for step in said["steps"]}
    assert steps["mailhost:mailbox/jane@northwind.example"] == "adopt"
    assert ("adopt", "mailbox/jane@northwind.example") in history(estate, "jane@northwind.example")


def test_no_secret_is_in_it(estate, monkeypatch):
    """A provider's setting that comes from the environment is in no object of the ledger, whatever was done."""
    monkeypatch.setenv("DATABASE", f"sqlite:///{estate.root}/var/{CANARY}.sqlite")
    estate.applied({"reconciler.yaml": AGENCY.replace('"sqlite:///var/mail.sqlite"', "{env: DATABASE}")})
    assert (estate.root / "var" / f"{CANARY}.sqlite").exists()
    estate.write(moved(estate))
    (estate.root / "var" / f"{CANARY}.sqlite").unlink()
    (estate.root / "var" / f"{CANARY}.sqlite").mkdir()
    estate.apply()
    history = estate.git("log", "--all", "-p", "--format=fuller", "--glob=refs/reconciler")
    assert "intent.json" in history
    assert CANARY not in history


def test_the_actor_is_who_logged_in_where_git_knows_no_name(estate, monkeypatch):
    """login@host, and nothing fails."""
    for name in [name for name in os.environ if name.startswith(("GIT_AUTHOR_", "GIT_COMMITTER_"))]:
        monkeypatch.delenv(name)
    estate.git("config", "user.useConfigOnly", "true")
    monkeypatch.setenv("LOGNAME", "deploy")
    assert estate.apply().code == 0
    assert outcome(estate)["actor"].startswith("deploy <deploy@")


# ---------------------------------------------------------------------- it cannot be written


def unwritable(estate):
    """The folder that Git's objects go to is none."""
    pack = estate.root / ".git" / "objects" / "pack"
    pack.rename(pack.with_name("kept"))
    pack.touch()


def reference(estate):
    """The tenants' refs cannot be made."""
    estate.git("update-ref", "refs/reconciler/tenants", estate.head)


@pytest.mark.parametrize("broken", [unwritable, reference])
def test_without_a_journal_nothing_is_written(estate, broken):
    """Exit 1, why, and not a byte of the live systems."""
    broken(estate)
    before = estate.world()
    done = estate.apply()
    assert (done.code, {found["result"] for found in done.json["tenants"]}) == (1, {"failed"})
    assert all("the ledger was not written" in found["error"] for found in done.json["tenants"])
    assert estate.world() == before


def test_a_full_disk_stops_it_before_the_first_write(estate):
    """No file may grow: nothing is written; with room again the next run makes everything."""
    before = estate.world()
    command = [sys.executable, "-m", "reconciler", "apply", "--yes", "--estate", str(estate.root)]
    limited = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *command]
    done = subprocess.run(limited, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the ledger was not written" in done.stdout
    assert estate.world() == before
    estate.applied({})


BREAKS = """
from reconciler import cli, runner
from pathlib import Path
write = runner.World.write
def then_break(world, batch):
    answer = write(world, batch)
    if batch.provider == "zones":
        Path(".git/kept").mkdir()
        Path(".git/objects/pack").rename(".git/kept/pack")
        Path(".git/objects/info/alternates").write_text("../kept")  # what is there can be read
        Path(".git/objects/pack").touch()
    return answer
runner.World.write = then_break
cli.main()
"""


def test_an_outcome_that_cannot_be_written_is_looked_at_by_the_next_run(estate):
    """The writes are made, exit 1 says that they are not noted; the next run notes them and writes nothing."""
    command = [sys.executable, "-c", BREAKS, "apply", "--yes", "--tenant", "northwind"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=estate.root, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "the next run looks what was made" in done.stdout) == (1, True)
    (estate.root / ".git" / "objects" / "pack").unlink()
    live = {name: content for name, content in estate.world().items() if name != "ledgers"}
    assert estate.run("log", "--format", "json").json["runs"][0]["tenants"] == [
        {"tenant": "northwind", "result": "unfinished", "done": 0, "not_done": 9}
    ]
    made = [change["result"] for change in history_of(estate, "northwind")]
    assert made == ["not known"] * 9
    assert "9 of its 9 changes are there" in estate.run("plan", "--tenant", "northwind").out
    assert estate.apply("--yes", "--tenant", "northwind").code == 0
    assert {name: content for name, content in estate.world().items() if name != "ledgers"} == live
    assert estate.git("ls-tree", "--name-only", REF).split() == ["ledger.jsonl", "run.json"]


def test_what_a_killed_run_made_is_in_its_history(estate):
    """As the run after it saw it: who made it, in which run, though that run never said so itself."""
    command = [
        sys.executable,
        "-c",
        BREAKS.replace('Path(".git/kept").mkdir()', "__import__('os').kill(__import__('os').getpid(), 9)  # "),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, "apply", "--yes", "--tenant", "northwind"], cwd=estate.root, env=environment, check=False)
    killed = intent(estate, REF)["run"]
    estate.applied({})
    told = history_of(estate, "jane@northwind.example")
    assert [(change["action"], change["result"], change["applied"]["run"]) for change in told] == [
        ("create", "applied", killed)
    ]
    assert (told[0]["applied"]["actor"], told[0]["applied"]["ended"]) == (ANNA, None)
    results = {found["run"]: found["tenants"] for found in estate.run("log", "--format", "json").json["runs"]}
    assert results[killed] == [{"tenant": "northwind", "result": "unfinished", "done": 9, "not_done": 0}]


def history_of(estate, name):
    return estate.run("history", name, "--format", "json").json["changes"]


@pytest.mark.parametrize(
    "broken",
    [
        lambda said: [], lambda said: "x", lambda said: {**said, "format": "reconciler.intent/9"},
        lambda said: {**said, "holder": "nobody"}, lambda said: {**said, "holder": {}},
        lambda said: {**said, "lease": "long"}, lambda said: {**said, "scopes": [1]},
        lambda said: {**said, "changes": [{"address": "mailhost:nothing/x", "claim": {}}]},
        lambda said: {**said, "run": {}}, lambda said: {**said, "actor": 5}, lambda said: {**said, "commit": ["--all"]},
        lambda said: {**said, "holder": {**said["holder"], "pid": "../.."}}, lambda said: {**said, "began": "\x1b[2J"},
        lambda said: claiming(said, domain=["x"]), lambda said: claiming(said, after={"to": 5}),
        lambda said: claiming(said, before={"to": [["x"]]}), lambda said: claiming(said, entry={"said": {"to": 5}}),
    ],
)  # fmt: skip
def test_an_intent_that_cannot_be_read_stops_its_tenant(estate, broken):
    """PL301, as for a ledger: nothing is planned there, whatever somebody put into the ref."""
    estate.applied({})
    put_intent(estate, json.dumps(broken(intent(estate))).encode())
    found = estate.one()
    assert [f["code"] for f in found["findings"] if f["severity"] == "error"] == ["PL301"]
    assert {estate.run("log").code, estate.run("history", "northwind").code} <= {0, 1}


def claiming(said, **parts):
    """The intent with something else in its claim of an alias."""
    changes = [
        {**change, "claim": {**change["claim"], **parts}} if ":alias/" in change["address"] else change
        for change in said["changes"]
    ]
    return {**said, "changes": changes}


BROKEN = {
    "a run": {"run": {"a": "b"}}, "an actor": {"actor": None}, "a beginning": {"began": [None]},
    "an end": {"ended": {}}, "an escape": {"run": "\x1b[2J"}, "a reason": {"no_remote": {}},
    "what it settled": {"settled": {}},
    "what was settled": {"settled": {"run": "x", "made": [5], "unclear": []}}, "a result": {"result": {"a": 5}},
    "no change": {"changes": [5]}, "no steps": {"steps": "x"}, "a step": {"steps": [{"address": "x"}]},
}  # fmt: skip
CHANGED = {
    "address": 5, "action": {}, "was": [], "fields": {"to": {"from": 5}}, "origin": {"file": "x"}, "revert": "some",
    "error": 1.5, "result": None,
}  # fmt: skip


@pytest.mark.parametrize("broken", [*BROKEN, *CHANGED])
def test_a_run_that_cannot_be_read_is_said(estate, broken):
    """The same of an outcome: what looks back says that it cannot be read, a plan needs none of it."""
    estate.applied({})
    said = json.loads(estate.git("show", f"{REF}:run.json"))
    if broken in BROKEN:
        said |= BROKEN[broken]
    else:
        said["changes"][0] |= {broken: CHANGED[broken]}
    put(estate, **{"run.json": json.dumps(said).encode()})
    for command in (["log"], ["history", "northwind.example"], ["history", "northwind"]):
        run = estate.run(*command)
        assert (run.code, "run.json" in run.err) == (1, True)
    assert "last change   unknown: " in estate.run("who", "jane@northwind.example").out
    assert estate.one()["findings"] == []


def put_intent(estate, content):
    put(estate, **{"intent.json": content})


def put(estate, **files):
    blobs = {**files, "ledger.jsonl": estate.git("show", f"{REF}:ledger.jsonl").encode() + b"\n"}
    lines = "".join(
        f"100644 blob {estate._object('hash-object', '-w', '--stdin', text=text)}\t{name}\n"
        for name, text in blobs.items()
    )
    tree = estate._object("mktree", text=lines.encode())
    estate.git("update-ref", REF, estate.git("commit-tree", tree, "-p", REF, "-m", "by hand"))


# ---------------------------------------------------------------------- log


def test_the_log_of_nothing(estate):
    """Before the first apply."""
    assert estate.run("log").out == "Nothing was applied yet.\n"
    assert estate.run("log", "--format", "json").json == {"format": "reconciler.log/1", "runs": []}


def test_the_log_has_a_run_once_with_all_its_tenants(estate):
    """Newest first; a run over several tenants is one run."""
    estate.applied({})
    estate.applied(moved(estate))
    runs = estate.run("log", "--format", "json").json["runs"]
    last, first = sorted(runs, key=lambda found: len(found["tenants"]))
    counts = {found["tenant"]: (found["result"], found["done"], found["not_done"]) for found in first["tenants"]}
    assert counts == {"contoso": ("applied", 7, 0), "northwind": ("applied", 9, 0)}
    assert [(found["tenant"], found["done"]) for found in last["tenants"]] == [("northwind", 1)]
    assert (last["commit"], last["actor"], last["ended"] >= last["began"]) == (estate.head, ANNA, True)
    assert [found["began"] for found in runs] == sorted((found["began"] for found in runs), reverse=True)
    text = estate.run("log").out.splitlines()
    at = text.index(f"{last['began']}  run {last['run']} by {ANNA}, commit {estate.head[:12]}")
    assert text[at : at + 2] == [
        f"{last['began']}  run {last['run']} by {ANNA}, commit {estate.head[:12]}", "  northwind  applied: 1 made",
    ]  # fmt: skip
    [newest] = estate.run("log", "--format", "json", "--limit", "1").json["runs"]
    assert newest in runs, "it has all of its tenants, whatever else ended in the same second"
    only = estate.run("log", "--tenant", "contoso", "--format", "json").json["runs"]
    assert [found["run"] for found in only] == [first["run"]]


# ---------------------------------------------------------------------- history


@pytest.fixture
def told(estate):
    """Jane was made, moved and moved back; a name in a domain with an umlaut was made."""
    books = mail({"max": "{owner: jane}"}, domain="contoso.example")[CONTOSO].replace("contoso", "bücher")
    estate.applied({
        "tenants/contoso/domains/xn--bcher-kva.example.yaml": books,
        "tenants/contoso/dns/xn--bcher-kva.example.yaml": "domain: bücher.example\nzone: {create: true}\n",
    })  # fmt: skip
    estate.applied(moved(estate))
    estate.git("revert", "--no-edit", "HEAD")
    return estate.applied({})


def history(estate, name):
    run = estate.run("history", name, "--format", "json")
    assert (run.code, run.json["format"], run.json["name"]) == (0, "reconciler.history/1", name)
    return [(change["action"], change["address"].partition(":")[2]) for change in run.json["changes"]]


JANE = [(action, "mailbox/jane@northwind.example") for action in ("update", "update", "create")]
DMARC = [("create", "record/TXT/_dmarc.northwind.example")]
MAX = [("create", "mailbox/max@xn--bcher-kva.example")]


NAMES = {
    "jane@northwind.example": JANE, "Jane@Northwind.Example": JANE,
    "mailhost:mailbox/jane@northwind.example": JANE, "mailhost:mailbox/Jane@Northwind.example": JANE,
    "_dmarc.northwind.example": DMARC, "TXT/_dmarc.northwind.example": DMARC,
    "txt/_DMARC.Northwind.example.": DMARC, "zones:record/TXT/_dmarc.northwind.example": DMARC,
    "max@bücher.example": MAX, "MAX@BÜCHER.example": MAX, "max@xn--bcher-kva.example": MAX,
    "mailhost:mailbox/max@bücher.example": MAX,
    "nobody@northwind.example": [], "nothing.example": [], "": [], "@": [], "a/b/c": [], ":": [],
}  # fmt: skip


def test_history_finds_a_thing_however_it_is_called(told):
    """By name, by address, by record name; capitals, umlauts and a dot at the end do not matter."""
    assert {name: history(told, name) for name in NAMES} == NAMES


def test_history_of_a_domain_and_of_a_tenant(told):
    """A domain's is all that is in it and below it, a tenant's is all of its own; no other domain is in it."""
    northwind = history(told, "northwind.example")
    assert len(northwind) == 11
    assert history(told, "NORTHWIND.example") == northwind == history(told, "northwind")
    books = history(told, "bücher.example")
    assert books == history(told, "xn--bcher-kva.example")
    assert {address.endswith("xn--bcher-kva.example") for _, address in books} == {True}
    assert set(books) < set(history(told, "contoso"))
    assert history(told, "wind.example") == []


def test_history_says_who_when_and_how_to_undo(told):
    """The commit and its author, who applied it in which run, and the command."""
    last = told.run("history", "jane@northwind.example", "--format", "json").json["changes"][0]
    commit = told.git("rev-parse", "HEAD~1")
    assert last["fields"] == {"quota": {"from": 2**30, "to": 5 * 2**30}}
    assert (last["applied"]["actor"], last["applied"]["commit"], last["result"]) == (ANNA, told.head, "applied")
    text = told.run("history", "jane@northwind.example").out.splitlines()[:5]
    assert text == [
        f"{last['applied']['ended']}  ~ update mailhost:mailbox/jane@northwind.example",
        "    quota: 1 GiB -> 5 GiB",
        f"    commit {commit[:12]} by Anna Ops ({NORTHWIND}:4)",
        f"    applied by {ANNA}, run {last['applied']['run']}",
        f"    undo: git revert {commit[:12]} brings back all of it",
    ]


def test_history_tells_what_git_alone_knows(told):
    """Another owner writes nothing live, and is a part of the history; so it is beside a change that writes."""
    before, tom = told.world()["mail.sqlite"], "mailhost:mailbox/tom@northwind.example"
    told.applied(mail({**BOXES, "tom": "{owner: jane, quota: 2 GiB}"}, "aliases:\n  info: [jane]\n"))
    assert told.world()["mail.sqlite"] == before
    noted = told.run("history", "tom@northwind.example", "--format", "json").json["changes"][0]
    assert (noted["action"], noted["result"], noted["revert"]) == ("settle", "noted", "full")
    assert noted["fields"] == {"owner": {"from": "tom", "to": "jane"}}
    assert told.run("history", "tom@northwind.example").out.splitlines()[:5] == [
        f"{noted['applied']['ended']}  = settle {tom}  (in the ledger alone)",
        "    owner: tom -> jane",
        f"    commit {told.head[:12]} by Anna Ops ({NORTHWIND}:5)",
        f"    applied by {ANNA}, run {noted['applied']['run']}",
        f"    undo: git revert {told.head[:12]} brings back all of it",
    ]
    assert told.one()["applied_commit"] == told.head
    tips = told.git("for-each-ref", "refs/reconciler")
    told.applied({})
    assert told.git("for-each-ref", "refs/reconciler") == tips
    told.applied(mail({**BOXES, "tom": "{owner: tom, quota: 1 GiB}"}, "aliases:\n  info: [jane]\n"))
    made = told.run("history", "tom@northwind.example", "--format", "json").json["changes"][0]
    assert (made["action"], set(made["fields"])) == ("update", {"quota", "owner"})


LEAVING = [(code, name) for code in ("PL210", "PL213", "PL215") for name in ("northwind", "northwind.example")]


def test_history_outlives_what_it_is_about(told):
    """Of a domain that is gone from Git, too: its tenant's ref is still there."""
    limits = [("PL101", f"northwind/{kind}") for kind in ("alias", "record")]
    told.write({**dict.fromkeys(northwind()), "reconciler.yaml": AGENCY + accepts(*LEAVING, *limits, up_to=9)})
    done = told.apply()
    assert done.code == 0, done.out
    assert history(told, "jane@northwind.example")[0][0] == "retire"


def test_log_and_history_need_no_server(told):
    """With every live system gone, and the working tree too, both answer from Git alone."""
    before = told.run("log").out, told.run("history", "northwind").out
    (told.root / "var").rename(told.root / "elsewhere")
    (told.root / "var").touch()
    assert told.run("plan").code == 1
    assert (told.run("log").out, told.run("history", "northwind").out) == before


def test_a_moved_domain_takes_its_history_along(told):
    """A domain that another tenant holds now: what was done before the move is told too."""
    taken = {name.replace("tenants/northwind", "tenants/fabrikam"): text for name, text in northwind().items()}
    told.write({**dict.fromkeys(northwind()), **taken, **tenant("fabrikam")})
    told.write({"tenants/northwind/tenant.yaml": northwind()["tenants/northwind/tenant.yaml"],
                "tenants/fabrikam/tenant.yaml": tenant("fabrikam")["tenants/fabrikam/tenant.yaml"]})  # fmt: skip
    done = told.apply()
    assert done.code == 0, done.out
    moves = [(action, "mailbox/jane@northwind.example") for action in ("adopt", "forget")]
    assert sorted(history(told, "jane@northwind.example")[:2]) == moves
    assert history(told, "jane@northwind.example")[2:] == JANE
