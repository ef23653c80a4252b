"""The house holds: layers, homes of packages, sizes, docstrings, links. Rules that need no running program.

A new module needs a place in LAYERS, a new package a home in HOMES; both are data, here at the top.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "reconciler"

# From the top: a module imports what stands below it, never its own layer. A folder is one place.
SHELL = (
    {"__main__"},
    {"cli"},
    {"cli_checks", "cli_ci", "cli_hook", "cli_past", "cli_questions"},
    {"options"},
    {"output"},
    {"ci", "hooks"},
    {"adopting", "conforming", "engine", "handing", "inquiries", "rulebook", "validation"},
    {"importing", "rollback"},
    {"rollout"},
    {"last_change"},
    {"asked", "drafts", "known", "lookup", "past", "quoting", "reviewers", "widened", "reach", "removed"},
    {"consulting", "moving", "surveys"},
    {"crossing", "handover", "naming", "runs", "watching"},
    {"session"},
    {"trust"},
    {"estate", "hub", "request", "runner", "spread", "starter"},
    {"proving", "seen"},
    {"branching"},
    {"journal", "offline", "tenant_files"},
    {"following", "hearsay", "probing", "swap", "verifying"},
    {"signing", "tables"},
    {"edits", "schema", "templates", "ledger", "providers", "forges", "suffixes", "witnesses"},
    {"spans"},
    {"compact", "documents", "entries", "facts", "history", "holders"},
    {"around", "fetching", "reviewed", "tree"},
)
CORE = (
    {"plan"},
    {"baseline", "stages"},
    {"comparing", "permit"},
    {"dues", "renames", "stale"},
    {"believed", "claims", "holding", "identities", "pausing", "waves"},
    {"apply", "checks", "imports", "questions", "reports"},
    {"record_edits"},
    {"editing", "review"},
    {"compile", "diff", "looking", "order", "tracing"},
    {"consents"},
    {"absent", "codeowners", "resets"},
    {"cutover", "people", "rules", "undeclared"},
    {"agency", "files", "thing"},
    {"proof"},
    {"closed"},
    {"ids", "parts", "wording", "mta_sts", "routes", "tags"},
    {"kinds"},
    {"results"},
    {"effects"},
    {"changes"},
    {"answers", "model", "canonical", "tags", "verdicts"},
    {"errors", "estate_rules", "faults", "forms", "shapes"},
    {"findings"},
    {"__init__"},
)
LAYERS = SHELL + CORE

# What the core may import: parts of the standard library that compute, and never look at the world.
PURE = {
    "__future__", "abc", "base64", "binascii", "bisect", "collections", "collections.abc", "copy", "dataclasses",
    "datetime", "decimal", "difflib", "enum", "functools", "graphlib", "hashlib", "heapq", "html", "ipaddress",
    "itertools", "json", "math", "operator", "re", "string", "struct", "textwrap", "types", "typing", "unicodedata",
    "urllib.parse",
}  # fmt: skip
PURE_EXCEPTIONS = {
    ("canonical", "idna"): "IDNA 2008 is a table, not a service",
    ("reports", "deepdiff"): "describes a change inside a nested value",
    ("kinds", "importlib"): "a new kind is a new file: the folder is the registry",
    ("kinds", "pkgutil"): "the same",
    ("kinds", "copyreg"): "a kind is code: between worker processes it travels by its name",
}

# Each package has one home; everywhere else speaks to that module.
HOMES = {
    "click": {"cli", "cli_checks", "cli_ci", "cli_hook", "cli_past", "cli_questions", "options", "output"},
    "cryptography": {"providers"},
    "deepdiff": {"reports"},
    "dkim": {"verifying"},
    "dns": {"providers", "facts", "hearsay", "witnesses"},
    "git": {"starter"},
    "github": {"forges"},
    "idna": {"canonical"},
    "jinja2": {"templates"},
    "jsonschema": {"schema"},
    "jsonschema_rs": {"schema"},
    "octodns": {"providers"},
    "orjson": {"compact"},
    "psycopg": {"providers"},
    "publicsuffixlist": {"suffixes"},
    "pymysql": {"providers"},
    "requests": {"forges"},
    "rich": {"output"},
    "yaml": {"documents", "spans"},
}

MAX_FUNCTION = 40  # lines, docstring not counted
MAX_FILE = {"forges": 350, "providers": 350}  # lines; 250 elsewhere

CODE = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
TEXTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def place(path: Path) -> str:
    """Where a file stands in LAYERS: its name, or the folder it lies in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=[str(path.relative_to(ROOT)) for path in paths])


each_module = each(CODE)
each_core_module = each([path for path in CODE if any(place(path) in layer for layer in CORE)])


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """(dotted name, line) of every import of a file, those for types and those inside functions too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            deeper = module == "reconciler" or module.startswith("reconciler.")
            yield from ((f"{module}.{alias.name}" if deeper else module, node.lineno) for alias in node.names)


def inner(name: str) -> str | None:
    """The place that an import of ours names; a public name of the package itself is `__init__`'s."""
    top, _, rest = name.partition(".")
    first = rest.partition(".")[0]
    if top != "reconciler":
        return None
    return first if first and any(first in layer for layer in LAYERS) else "__init__"


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, without the docstring."""
    documented = ast.get_docstring(function, clean=False) is not None
    doc = function.body[0]
    return function.end_lineno - function.lineno + 1 - documented * (doc.end_lineno - doc.lineno + 1)


@each_module
def test_a_module_has_a_place(path):
    """Nobody adds a module without saying in which layer it stands."""
    assert any(place(path) in layer for layer in LAYERS), f"{path.name}: give it a place in LAYERS"


@each_module
def test_imports_point_down(path):
    """A module imports lower layers only, for types too; the files of a folder may import each other."""
    rank = {name: depth for depth, layer in enumerate(LAYERS) for name in layer}
    here = place(path)
    upward = [
        f"{path.name}:{line} {name}"
        for name, line in imports(path)
        if (there := inner(name)) not in (None, here) and rank[there] <= rank.get(here, -1)
    ]
    assert upward == []


@each_core_module
def test_the_core_computes_and_never_looks_at_the_world(path):
    """The core imports itself and pure parts of the standard library, and asks no clock: today is an argument."""
    here = place(path)
    impure = [
        f"{path.name}:{line} {name}"
        for name, line in imports(path)
        if inner(name) is None and name not in PURE and (here, name.partition(".")[0]) not in PURE_EXCEPTIONS
    ]
    clocks = [
        f"{path.name}:{node.lineno} .{node.func.attr}()"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in {"now", "today", "utcnow"}
    ]
    assert impure + clocks == []


@each_module
def test_a_package_is_imported_at_home_only(path):
    """A third-party package is known to one place, so replacing it is one file's work."""
    tops = {(name.partition(".")[0], line) for name, line in imports(path)}
    foreign = {(top, line) for top, line in tops if top not in sys.stdlib_module_names and top != "reconciler"}
    strays = [f"{path.name}:{line} {top}" for top, line in foreign if place(path) not in HOMES.get(top, ())]
    assert strays == []


@each_module
def test_only_the_command_line_prints(path):
    """Library code returns data; what is shown, and where, is decided in cli.py."""
    names = {node.func.id: node.lineno for node in ast.walk(tree(path)) if is_call_by_name(node)}
    assert place(path) == "cli" or "print" not in names, f"print in line {names.get('print')}"


def is_call_by_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


@each_module
def test_no_error_is_swallowed(path):
    """There is no bare `except:`, and nothing that is caught broadly is dropped."""
    handlers = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ExceptHandler)]
    bare = [node.lineno for node in handlers if node.type is None]
    dropped = [node.lineno for node in handlers if is_broad(node) and isinstance(node.body[0], ast.Pass | ast.Continue)]
    assert bare + dropped == []


def is_broad(handler: ast.ExceptHandler) -> bool:
    return isinstance(handler.type, ast.Name) and handler.type.id in {"Exception", "BaseException"}


@each_module
def test_public_names_say_what_they_are(path):
    """Modules, and their public functions and classes, carry a docstring."""
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    public = [n for n in tree(path).body if isinstance(n, definitions) and not n.name.startswith("_")]
    assert ast.get_docstring(tree(path)), "the module has none"
    assert [node.name for node in public if not ast.get_docstring(node)] == []


@each(TESTS)
def test_each_test_says_what_holds(path):
    """A test that fails tells its reader in a line what no longer holds."""
    assert [f.name for f in functions(path) if f.name.startswith("test_") and not ast.get_docstring(f)] == []


@each_module
def test_sizes_stay_readable(path):
    """Functions stay under 40 lines, files under 250 (providers under 350)."""
    long = {f.name: length(f) for f in functions(path) if length(f) > MAX_FUNCTION}
    lines = path.read_text(encoding="utf-8").count("\n")
    assert long == {}
    assert lines <= MAX_FILE.get(place(path), 250)


@each(TEXTS)
def test_links_lead_somewhere(path):
    """Every relative link of the documentation names a file or folder that is there."""
    targets = re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
    local = [target.partition("#")[0] for target in targets if "://" not in target and not target.startswith("mailto:")]
    assert [target for target in local if not (path.parent / target).exists()] == []


def test_help_loads_no_heavy_package():
    """`reconciler --help` answers at once: none of the packages that cost time is loaded for it."""
    code = "import sys; from reconciler.cli import main; sys.argv = ['reconciler', '--help']\n"
    code += "try: main()\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "Usage" in run.stdout
    heavy = (set(HOMES) - {"click"}) | {"asyncio", "multiprocessing", "sqlite3", "ssl"}
    assert heavy & set(run.stderr.split()) == set()


def test_actions_are_pinned():
    """A tag can be moved to other code; a commit cannot."""
    uses = re.findall(r"\buses: (\S+)(.*)", "".join(p.read_text() for p in (ROOT / ".github").rglob("*.yml")))
    assert uses
    assert [use for use, note in uses if not re.search(r"@[0-9a-f]{40}$", use) or not re.match(r" # v\d", note)] == []
