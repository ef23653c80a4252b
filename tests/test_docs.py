"""The documentation is true: its pages are held against the code, its commands are pasted, its JSON is compared.

A page that lags behind fails here and says how to mend it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from reconciler import cli
from reconciler import options as exits
from reconciler.findings import Origin
from reconciler.kinds import kinds
from tests import findings_page
from tests.estates import AGENCY, Estate, call, contoso, mail, make, northwind
from tests.test_json import FORMATS, conforms

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
COMMANDS = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
COOKBOOK = (DOCS / "cookbook.md").read_text(encoding="utf-8")


def sections(text):
    """{heading of the second level: what stands below it}."""
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def cells(text):
    """The first cell of each row of a section's tables, headings too."""
    return [row.split("|")[1].strip() for row in re.findall(r"^\|.*\|$", text, re.MULTILINE)]


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


# Findings


def test_the_page_of_findings_is_what_the_code_says():
    """docs/findings.md lists every rule there is, word by word: after a change, `python -m tests.findings_page`."""
    assert findings_page.PAGE.read_text(encoding="utf-8") == findings_page.page()


def test_a_code_means_one_thing():
    """No two rules share a code, and each belongs to a family that the page explains."""
    codes = Counter(rule.code for rule, _ in findings_page.rules())
    twice = [(rule.code, module) for rule, module in findings_page.rules() if codes[rule.code] > 1]
    assert twice == []
    assert {code[:2] for code in codes} <= set(findings_page.FAMILIES)


def test_a_rule_says_enough():
    """Each says what to do, or leaves that to each finding; summaries hold no data, so that people learn them."""
    silent = [rule.code for rule, _ in findings_page.rules() if not rule.fix]
    assert silent == ["PL214"]
    assert [rule.code for rule, _ in findings_page.rules() if re.search(r"[{}%]", rule.summary)] == []


def test_a_rule_says_why_it_matters():
    """Each has a sentence or two for who runs mail, and they are not its summary or its fix in other order."""
    rules = [rule for rule, _ in findings_page.rules()]
    assert [rule.code for rule in rules if not re.fullmatch(r"[A-Z`].{20,220}\.", rule.why)] == []
    assert [rule.code for rule in rules if _words(rule.why) <= _words(f"{rule.summary} {rule.fix}")] == []


def _words(text):
    return set(re.findall(r"\w+", text.lower()))


# Commands


def options(command):
    """{every spelling of a command's options, and of those below it}."""
    below = [command, *getattr(command, "commands", {}).values()]
    params = [param for each in below for param in each.params]
    spelled = [name for param in params if param.param_type_name == "option" for name in param.opts]
    return {*spelled, "-h", "--help"}


def documented(section):
    return {name for cell in cells(section) for name in re.findall(r"`(-[-\w]+)`", cell)}


def test_every_command_has_a_section_and_no_other():
    """docs/reference/commands.md knows the commands that `reconciler --help` knows."""
    known = set(cli.cli.commands)
    assert {name.removeprefix("reconciler ") for name in sections(COMMANDS) if name.startswith("reconciler ")} == known
    assert set(re.findall(r"^    reconciler (\w+)", COMMANDS, re.MULTILINE)) == known


@pytest.mark.parametrize("name", sorted(cli.cli.commands))
def test_every_option_is_explained_and_no_other(name):
    """A command's table and the common one hold its options, no more and no less; each format is named."""
    command, parts = cli.cli.commands[name], sections(COMMANDS)
    text = parts[f"reconciler {name}"]
    common = documented(parts["Common options"]) if "--estate" in options(command) else {"-h", "--help"}
    assert documented(text) | common == options(command)
    formats = [choice for p in command.params if p.name == "form" for choice in p.type.choices]
    assert [choice for choice in formats if f"`{choice}`" not in text] == []


def test_every_exit_code_is_explained():
    """The table of exit codes holds those of the command line."""
    codes = {0, *exits._WORST_FIRST, exits.USAGE}
    assert {int(cell) for cell in cells(sections(COMMANDS)["Exit codes"]) if cell.isdigit()} == codes


@pytest.mark.parametrize("path", sorted({*ROOT.glob("*.md"), *DOCS.rglob("*.md")}), ids=lambda path: path.name)
def test_no_page_speaks_of_a_command_that_is_not_there(path):
    """Whatever stands as `reconciler COMMAND --option` in a page can be typed."""
    text = path.read_text(encoding="utf-8")
    for name, rest in re.findall(r"(?:`|^\$? *)reconciler ([a-z]+)([^`\n|]*)", text, re.MULTILINE):
        assert name in cli.cli.commands, f"reconciler {name}"
        assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= options(cli.cli.commands[name]), f"reconciler {name}{rest}"


# README


@pytest.fixture(scope="module")
def pasted(tmp_path_factory):
    """A home in which every shell block of the README but the installation was pasted, and what was said."""
    home = tmp_path_factory.mktemp("home")
    tool = home / "bin" / "reconciler"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -P -m reconciler "$@"\n')
    tool.chmod(0o755)
    script = "".join(block for block in blocks(README, "sh") if "pip install" not in block)
    path = f"{tool.parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail"], input=script, cwd=home, env={**os.environ, "HOME": str(home), "PATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return home, done.stdout


def test_the_readme_can_be_pasted(pasted):
    """Following the README makes an estate, a client and one more mailbox, and reverts the latter."""
    home, said = pasted
    assert "('jane@northwind.example', 5368709120)" in said
    assert "what is live is what Git says" in said
    assert said.index("+ create mailbox tom@northwind.example") < said.index("! retire mailbox tom@northwind.example")
    assert "your-agency.example." in (home / "estate" / "var" / "zones" / "northwind.example.zone").read_text()


def test_the_readme_shows_what_is_printed(pasted):
    """The plan that the README shows of the first client is printed so, the lines between `…` as they are."""
    _, said = pasted
    shown = next(block for block in blocks(README, "console") if block.startswith("northwind"))
    for piece in shown.split("…\n"):
        assert piece.strip("\n") in said


def test_the_readme_names_the_owner_and_the_resetter(pasted):
    """`who` answers as the README shows it, but for the commit."""
    _, said = pasted
    shown = next(block for block in blocks(README, "console") if block.startswith("jane@"))
    first, last = shown.split("…\n")
    assert first in said
    assert re.search(rf"^{re.escape(last.rpartition(' ')[0])} [0-9a-f]{{12}}\b", said, re.MULTILINE)


def test_the_readme_stays_short():
    """A newcomer reads it to the end."""
    assert README.count("\n") <= 200


# Cookbook


ENTRY = re.compile(r"^([a-z_]+):.*\n(?:(?: .*)?\n)*", re.MULTILINE)  # a key of a file's top level with what it holds


def put_in(text, block):
    """A file's text with a block of the cookbook written into it, by the rule that the page says of itself."""
    for new in ENTRY.finditer(block):
        first, *lines = new[0].splitlines(keepends=True)
        old = next((found[0] for found in ENTRY.finditer(text) if found[1] == new[1]), "")
        entry = old if old and lines else first
        for line in lines:
            name = re.match(r"  [\w.-]+:", line)
            entry = (re.sub(rf"^{re.escape(name[0])}.*\n", "", entry, flags=re.MULTILINE) if name else entry) + line
        text = text.replace(old, entry, 1) if old else text + entry
    return text


@pytest.fixture(scope="module")
def week(pasted, tmp_path_factory):
    """{heading: [(plan that the page shows, plan that is printed)]}, all of the cookbook pasted in one go.

    A colleague of Anna's writes: what she approves she does not commit herself (OW014).
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_AUTHOR_NAME", "Bela Varga")
        patch.setenv("GIT_AUTHOR_EMAIL", "bela@agency.example")
        return cooked(pasted, tmp_path_factory)


def cooked(pasted, tmp_path_factory):
    estate = Estate(tmp_path_factory.mktemp("week") / "estate")
    shutil.copytree(pasted[0] / "estate", estate.root, symlinks=True)
    said = {}
    for heading, text in sections(COOKBOOK).items():
        for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            if language == "yaml":
                name, _, lines = block.removeprefix("# ").partition("\n")
                path = estate.root / name
                estate.save({name: put_in(path.read_text() if path.exists() else "", lines)})
            elif language == "sh":
                subprocess.run(["bash", "-e"], input=block, cwd=estate.root, text=True, check=True, capture_output=True)
            else:
                said.setdefault(heading, []).append((block, planned(estate, heading)))
    return said


def planned(estate, message):
    """What `reconciler plan` says of what was pasted. Unless it is refused it is applied, as the page has it."""
    if estate.git("status", "--porcelain"):
        estate.commit(message)
    plan = estate.run("plan")
    assert estate.run("apply", "--yes").code == plan.code, plan.out
    return plan.out


@pytest.mark.parametrize("heading", sections(COOKBOOK))
def test_the_cookbook_shows_what_is_printed(heading, week):
    """Each task gives the plans that the page shows, line by line but for `…` and dates."""
    for shown, printed in week[heading]:
        pieces = map(re.escape, re.split(r"^…\n", shown, flags=re.MULTILINE))
        pattern = re.sub(r"20\d\d\\-\d\d\\-\d\d", r"20\\d\\d-\\d\\d-\\d\\d", "(?:.*\n)*?".join(pieces))
        assert re.search(f"^{pattern}", printed, re.MULTILINE), f"shown:\n{shown}\nprinted:\n{printed}"


# JSON


FREE = {"from", "to", "git", "live", "error"}  # any value may stand here
MAPS = {"fields", "counted"}  # their keys are data


def merged(shapes):
    """One shape for what several values have; keys that only some of them have show up as a difference later."""
    known = [shape for shape in shapes if shape is not None]
    if known and all(isinstance(shape, dict) for shape in known):
        return {key: merged([shape.get(key) for shape in known]) for key in {key for shape in known for key in shape}}
    if known and all(isinstance(shape, list) for shape in known):
        return [merged([item for shape in known for item in shape])]
    return next(iter(sorted(known)), None)


def shape(value):
    """The keys of a document and the types of what they hold; None where a null or an empty list tells nothing."""
    if isinstance(value, dict):
        return {
            key: None if key in FREE else merged([shape(v) for v in item.values()]) if key in MAPS else shape(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [merged([shape(item) for item in value])]
    return None if value is None else type(value).__name__


def assert_alike(one, other, path=""):
    """The two shapes agree wherever both know something."""
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys(), path
        for key in one:
            assert_alike(one[key], other[key], f"{path}.{key}")
    elif isinstance(one, list) and isinstance(other, list):
        assert_alike(one[0], other[0], f"{path}[]")
    else:
        assert one is None or other is None or one == other, f"{path}: {one}, {other}"


QUESTIONS = (
    ["who", "info@northwind.example"],
    ["inventory", "northwind.example"],
    ["records", "northwind.example"],
    ["baseline"],
)


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """{format: what the program really says} of a story in which nearly everything happens at once."""
    more = "aliases:\n  info: [jane]\n  press: [jane]\n"
    boxes = {"jane": "{owner: jane, quota: 10 GiB}", "tom": "{owner: tom}"}
    estate = make(tmp_path_factory.mktemp("json") / "estate", northwind(boxes, more), contoso()).applied()
    estate.applied(northwind({"jane": boxes["jane"]}, more))  # Tom is retired: his purge is later
    insert = "INSERT INTO alias (address, goto, domain, active) VALUES (?, ?, 'northwind.example', 1)"
    estate.sql(insert, "old@northwind.example", "somebody@mail.example")
    estate.sql(insert, "hello@northwind.example", "jane@northwind.example")
    estate.sql("DELETE FROM alias WHERE address = 'press@northwind.example'")
    estate.sql("UPDATE mailbox SET quota = 1073741824 WHERE username = 'jane@northwind.example'")
    estate.edit_zone("", "www 3600 IN A 192.0.2.1")
    estate.zone("contoso.example").write_text("no zone file")
    closed = AGENCY.replace("nameservers:", "read_only: true, nameservers:")
    more = "aliases:\n  info: [jane, hostmaster@agency.example]\n  hello: [jane]\n"
    names = "with: {dmarc: reject}\nrecords:\n  - {name: old, type: CNAME, mode: drop, reason: moved}\n"
    ours = northwind({"jane": boxes["jane"]}, more, names)
    theirs = mail({"jane": "{owner: jane}"}, "aliases:\n  info: [jane]\n", "contoso.example")
    estate.write({"reconciler.yaml": closed, **ours, **theirs})
    plan = estate.plan("--enforce", "all")
    said = [plan, estate.run("validate", "--format", "json").json, estate.apply().json]
    said.append(estate.run("plan", "--format", "json", "--no-such-option").json)
    said += [
        estate.run(*command, "--format", "json").json
        for command in (["drift"], ["log"], ["history", "northwind"], ["trace", "info@northwind.example"], *QUESTIONS)
    ]
    said.append(estate.run("import", "--drift", "--format", "json").json | {"plan": {}})
    estate.write({"tenants/contoso/tenant.yaml": "tenant: contoso\nname: Contoso\n"})
    said.append(estate.run("rollback", "--format", "json", estate.head).json | {"plan": {}})
    said.append(call("explain", "RT001", "--format", "json").json)
    return {answer["format"]: answer for answer in said}


@pytest.mark.parametrize(
    "example",
    blocks((DOCS / "reference" / "json.md").read_text(encoding="utf-8"), "json"),
    ids=lambda text: re.search(r"reconciler\.\w+", text)[0],
)
def test_json_is_as_documented(example, answers):
    """Each example of docs/reference/json.md has the keys and types of a real answer, level by level."""
    documented = json.loads(example)
    assert_alike(shape(documented), shape(answers[documented["format"]]))


@pytest.mark.parametrize("name", sorted(path.name.partition(".")[0] for path in FORMATS.iterdir()))
def test_an_example_is_of_its_format(name, answers):
    """What tests/formats has a schema of is documented in that form, and answered in it."""
    text = (DOCS / "reference" / "json.md").read_text(encoding="utf-8")
    examples = (json.loads(block) for block in blocks(text, "json"))
    (example,) = (found for found in examples if found["format"] == f"reconciler.{name}/1")
    conforms(example)
    conforms(answers[example["format"]])


def test_every_json_format_is_documented(answers):
    """docs/reference/json.md has an example of each format, and the story of this test fills every list."""
    text = (DOCS / "reference" / "json.md").read_text(encoding="utf-8")
    assert {json.loads(block)["format"] for block in blocks(text, "json")} == set(answers)
    tenants = answers["reconciler.plan/1"]["tenants"]
    lists = [key for key, value in tenants[0].items() if isinstance(value, list)]
    assert [key for key in lists if not any(tenant[key] for tenant in tenants)] == []


# Schemas


def keys(name, *path):
    """The keys that a schema has at a place: `$defs`, then a definition's name, or the top."""
    node = json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    for step in path:
        node = node[step]
    return set(node["properties"])


def of(name, *definitions):
    """The keys of some definitions of a schema together."""
    return set().union(*(keys(name, "$defs", definition) for definition in definitions))


# Per kind: the keys with which YAML speaks of it, those among them that are no attribute, attributes by another name.
# A forward on a mailbox's own name says `to` of it, standing under `shared` says `login`. Of a record, name and type
# are its name, and mode is how it meets the template.
SAID = {
    "domain": ({"owner", "alias_of"}, set(), {}),
    "mailbox": (of("domain", "mailbox", "shared", "forward"), set(), {"copies_to": "to", "login": None}),
    "alias": (of("domain", "alias", "forward") | keys("domain", "properties", "catch_all"), {"keep_copy"}, {}),
    "dkim_key": (of("dns", "dkimKey"), set(), {}),
    "dkim_signing": ({"sign"}, set(), {"selectors": "sign"}),
    "record": (of("dns", "record") | {"absent"}, {"name", "type", "mode"}, {"without": "absent"}),
}


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_schemas_and_tables_speak_of_the_same_things(kind):
    """Each attribute that Git can say has a key in a schema, and each key there is an attribute of the kind's table."""
    said, apart, renamed = SAID[kind]
    attributes = {row.name for row in kinds()[kind].attributes if not row.computed}
    assert {renamed.get(name, name) for name in attributes} - {None} == said - apart


def test_the_keys_named_here_stand_in_the_schemas():
    """What this test calls a key of a file is one."""
    assert {"owner", "alias_of"} <= keys("domain")
    assert "absent" in keys("dns")
    assert {"sign", "keys", "overlap"} == keys("dns", "properties", "dkim")


# Architecture, guides, threat model


def test_the_example_of_a_kind_is_one():
    """The file that docs/adding-a-kind.md shows can be imported, and its table makes resources."""
    names = {}
    (example,) = blocks((DOCS / "adding-a-kind.md").read_text(encoding="utf-8"), "python")
    exec(compile(example, "example", "exec", dont_inherit=True), names)
    notice = names["KIND"].resource("mailhost", "Jane@A.example", {"text": "I am away."}, domain="a.example")
    assert str(notice.address) == "mailhost:notice/jane@a.example"
    assert names["KIND"].refs(notice)[0].name == "jane@a.example"


def test_the_example_of_a_check_is_one():
    """The file that docs/adding-a-check.md shows finds what it says, with a code that no rule has."""
    names = {}
    (example,) = blocks((DOCS / "adding-a-check.md").read_text(encoding="utf-8"), "python")
    exec(compile(example, "example", "exec", dont_inherit=True), names)
    origin = Origin("x.yaml", ("mailboxes",))
    boxes = [
        kinds()["mailbox"].resource(
            "mailhost", f"{name}@a.example", {"owner": "jane"}, domain="a.example", origin=origin
        )
        for name in ("bill", "bi11", "tom")
    ]
    (found,) = names["check"]({box.address: box for box in boxes})
    assert (found.code, found.subject) == ("RT040", "bi11@a.example")
    assert found.code not in {rule.code for rule, _ in findings_page.rules()}


def test_the_tree_is_the_tree():
    """docs/architecture.md names each file and folder of the package, and nothing else."""
    text = sections((DOCS / "architecture.md").read_text(encoding="utf-8"))["The tree"]
    drawn = re.findall(r"^      (\w+(?:\.py|/))  ", text, re.MULTILINE)
    there = {path.name + "/" * path.is_dir() for path in (ROOT / "reconciler").iterdir() if path.name != "__pycache__"}
    assert sorted(drawn) == sorted(there - {"py.typed"})


def test_what_holds_a_threat_is_a_test_that_is_there():
    """Each test that docs/threat-model.md names exists, in the file it names."""
    text = (DOCS / "threat-model.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", text)
    assert len(named) > len(sections(text))
    texts = {file: (ROOT / "tests" / file).read_text(encoding="utf-8") for file, _ in named}
    assert [(file, test) for file, test in named if f"def {test}(" not in texts[file]] == []
