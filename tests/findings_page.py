"""`python -m tests.findings_page` writes docs/findings.md: every rule in the code, so that the page cannot lag behind.

`tests/test_docs.py` fails while the page is not what this makes.
"""

import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import reconciler
from reconciler.findings import Rule

PAGE = Path(__file__).resolve().parent.parent / "docs" / "findings.md"
FAMILIES = {
    "IN": ("Input", "What somebody wrote cannot be used. An error stops its tenant, or whatever uses it: exit code 1."),
    "OW": (
        "Ownership",
        "Who answers for what, and who could take it over. An error refuses its tenant: exit code 3, of `validate` 1.",
    ),
    "RT": (
        "Routing",
        "Where mail would go, or who would read it. An error refuses its tenant: exit code 3, of `validate` 1.",
    ),
    "DN": ("DNS", "What the domain's records say together. An error refuses its tenant: exit code 3, of `validate` 1."),
    "PL": (
        "Plan",
        "What making it so would do to what is live. An error refuses its tenant: exit code 3; PL301, PL309: 1.",
    ),
    "LV": ("Live", "What the world sees of what was applied. An error says that the tenant has failed: exit code 1."),
}
COLUMNS = "| code | | what, and why it matters | what to do | made in |\n|---|---|---|---|---|\n"
HEAD = """\
# Findings

<!-- Made by `python -m tests.findings_page`; edit the rules in the code instead. -->

Whatever is found has a code, which never changes its meaning, a severity and a place. An *error* stops or refuses, a
*warning* is to be read and an *info* to be known; warnings change no exit code. The finding itself names the thing it
is about and says what it met there.

A finding of routing, of DNS or of a plan is lifted by name, code and subject as it prints them, with an `accept` entry
in the tenant's [control.yaml](reference/files.md#tenantstenantcontrolyaml); RT004 needs one on both sides. A finding
of input is never lifted, and neither is a domain that another tenant or everybody holds (DN040, DN044, DN045).
"""


def modules() -> list[ModuleType]:
    """Every module of the package but `__main__`, which runs when it is imported."""
    names = [info.name for info in pkgutil.walk_packages(reconciler.__path__, "reconciler.")]
    return [importlib.import_module(name) for name in sorted(names) if not name.endswith("__main__")]


def rules() -> list[tuple[Rule, str]]:
    """(rule, dotted name of the module that makes it), by code."""
    found = []
    for module in modules():
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        made = re.findall(r"^(\w+) = Rule\(", source, re.MULTILINE)
        calls = re.findall(r"(?<!class )\bRule\(", source)
        assert len(made) == len(calls), f"{module.__name__}: a rule is not a constant"
        found += [(getattr(module, name), module.__name__) for name in made if module.__name__ != Rule.__module__]
    return sorted(found, key=lambda pair: pair[0].code)


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for family, (title, text) in FAMILIES.items():
        rows = [_row(rule, module) for rule, module in rules() if rule.code.startswith(family)]
        parts += [f"\n## {title}\n\n{text}\n\n{COLUMNS}", *rows]
    return "".join(parts)


def _row(rule: Rule, module: str) -> str:
    said = (f"{rule.summary}. {rule.why}", rule.fix or "The finding says it.")
    what, fix = (text[:1].upper() + text[1:] for text in said)
    file = module.removeprefix("reconciler.").replace(".", "/") + ".py"
    return f"| {rule.code} | {rule.severity} | {_cell(what)} | {_cell(fix)} | `{file}` |\n"


def _cell(text: str) -> str:
    """Text that no table and no HTML takes for its own: `<domain>` would vanish, a bar would end the cell."""
    pieces = re.split(r"(`[^`]*`)", text)
    escaped = [piece if piece.startswith("`") else piece.replace("<", "&lt;").replace("*", "\\*") for piece in pieces]
    return "".join(escaped).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
