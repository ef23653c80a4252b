"""domain-templates/ -> plain data. A template is YAML; only inside string values may Jinja2 expressions stand.

Structure is never generated: a template says which records there are, expressions only fill in text. What an
expression may be is decided on Jinja's syntax tree before anything runs: names, attributes, items, constants and
an allow-list of filters. So a template can neither compute without end nor reach into Python; the sandbox is the
second wall. Templates are compiled once; rendering a domain is a few microseconds.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from reconciler import mta_sts
from reconciler.checks.declared import FILE_NAME
from reconciler.compile import TemplateError
from reconciler.estate_rules import EXPRESSION, NO_TEMPLATE, PARAMETER, UNDEFINED
from reconciler.findings import Origin, did_you_mean
from reconciler.kinds.site import Baseline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from reconciler.documents import Document
    from reconciler.findings import Finding, Rule


FILTERS = frozenset({"join", "default", "lower", "upper"})
MAX_SOURCE = 1000  # characters a text with expressions may have
MAX_TEXT = 4096  # characters a rendered value may have: a DNS TXT value of that length is a mistake or an attack
_SPACES = re.compile(r" {2,}")
_TYPES: dict[str, type] = {"string": str, "integer": int, "boolean": bool, "array": list}


class Template:
    """One template, ready to be rendered for many domains."""

    def __init__(self, name: str, document: Document) -> None:
        self.name, self.document = name, document
        self.data: Mapping[str, Any] = document.data
        self._compiled: dict[str, tuple[Callable[..., str], tuple[str, ...]]] = {}  # with the names it uses
        self._rendered: dict[tuple[Any, ...], str] = {}

    def check(self) -> Iterator[Finding]:
        """What is wrong with its name and its expressions."""
        if self.data["template"] != self.name:
            what = f"The file is `{self.name}.yaml`, it says `{self.data['template']}`."
            yield FILE_NAME.at(self.name, what, Origin(self.document.file, ("template",)))
        for path, text in _texts(self.data, ()):
            if "{{" in text or "{%" in text or "{#" in text:
                problem = _problem(self._environment, text)
                if problem:
                    yield EXPRESSION.at(self.name, f"{problem}.", Origin(self.document.file, path))

    def render(self, parameters: Mapping[str, Any], facts: Mapping[str, Any]) -> Baseline:
        """The template's records, DKIM keys and role addresses for one domain. Raises TemplateError."""
        values = self._parameters(parameters, facts)
        names = {**values, "domain": facts["domain"], "server": facts["server"]}
        names["mta_sts_id"] = mta_sts.policy_id(str(values.get("mta_sts", "off")), tuple(facts["server"].get("mx", ())))
        records = tuple(
            self._record(record, names, facts) for record in self.data.get("records", ()) if _holds(record, values)
        )
        aliases = {name: self._fill(targets, names, facts) for name, targets in self.data.get("aliases", {}).items()}
        return Baseline(records, self.data.get("dkim"), aliases)

    def _parameters(self, said: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
        """Every parameter with its value. Names the domain's own file misspells are errors, inherited ones are not."""
        known = self.data.get("parameters", {})
        for name in facts["said"]:
            if name not in known:
                self._fail(
                    PARAMETER, f"`{name}` is no parameter of {self.name}.{did_you_mean(name, known)}", facts, name
                )
        values = {}
        for name, rule in known.items():
            value = said.get(name, rule.get("default"))
            if value is None or not _fits(value, rule):
                what = f"`{name}` cannot be {value!r}" if name in said else f"`{name}` must be given"
                what += f"; it takes {', '.join(map(str, rule['enum']))}" if "enum" in rule else ""
                self._fail(PARAMETER, what, facts, name)
            values[name] = value
        return values

    def _record(self, record: Mapping[str, Any], names: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
        filled = {key: record[key] for key in ("type", "ttl") if key in record}
        filled["name"] = self._fill(record["name"], names, facts)
        if "values_from" in record:
            filled["values"] = self._look_up(record["values_from"], names, facts)
        else:
            filled["values"] = self._fill(record["values"], names, facts)
        return filled

    def _look_up(self, path: str, names: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
        node: Any = names
        for part in path.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        if not isinstance(node, list):
            self._fail(UNDEFINED, f"{self.name} wants the list `{path}`, which nothing gives", facts)
        return [str(item) for item in node]

    def _fill(self, node: Any, names: Mapping[str, Any], facts: Mapping[str, Any]) -> Any:
        if isinstance(node, list):
            return [self._fill(item, names, facts) for item in node]
        if isinstance(node, dict):
            return {key: self._fill(value, names, facts) for key, value in node.items()}
        if not isinstance(node, str) or "{{" not in node:
            return node
        return self._text(node, names, facts)

    def _text(self, text: str, names: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
        if text not in self._compiled:
            from jinja2.meta import find_undeclared_variables

            tree = self._environment.parse(text)
            used = tuple(sorted(find_undeclared_variables(tree)))  # before: compiling changes the tree
            self._compiled[text] = self._environment.from_string(tree).render, used
        render, used_names = self._compiled[text]
        key = (text, *(_hashable(names.get(name)) for name in used_names))
        if key not in self._rendered:  # what does not speak of the domain is the same for thousands of them
            self._rendered[key] = self._once(render, names, facts)
        return self._rendered[key]

    def _once(self, render: Callable[..., str], names: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
        from jinja2 import TemplateError as JinjaError

        try:
            # Runs of spaces are what an empty expression leaves behind between two words.
            result = _SPACES.sub(" ", render(**names))
        except (JinjaError, TypeError) as error:
            self._fail(UNDEFINED, f"{self.name}: {error}", facts)
        if len(result) > MAX_TEXT or not result.isprintable():
            self._fail(UNDEFINED, f"{self.name} gives a text that is not one line of up to {MAX_TEXT}", facts)
        return result

    @cached_property
    def _environment(self) -> Any:
        from jinja2 import StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
        environment.globals.clear()  # Jinja's own functions are no facts of ours
        environment.filters = {name: environment.filters[name] for name in FILTERS} | {"join": _join}
        environment.finalize = _plain
        return environment

    def _fail(self, rule: Rule, what: str, facts: Mapping[str, Any], parameter: str = "") -> Any:
        origin = facts["places"].get(parameter, facts["origin"])
        raise TemplateError(rule.at(facts["domain"], f"{what}.", origin))


class Library:
    """Every template of the estate, by name (`standard/1`); one that `findings` speak of is not usable."""

    def __init__(self, documents: Mapping[str, Document]) -> None:
        templates = {name: Template(name, document) for name, document in documents.items()}
        self.findings = tuple(finding for template in templates.values() for finding in template.check())
        bad = {finding.subject for finding in self.findings}
        self._templates = {name: template for name, template in templates.items() if name not in bad}

    def render(self, name: str, parameters: Mapping[str, Any], facts: Mapping[str, Any]) -> Baseline:
        """What the template called `name` gives a domain. Raises TemplateError."""
        if name not in self._templates:
            what = f"There is no usable template `{name}`."
            raise TemplateError(NO_TEMPLATE.at(facts["domain"], what, facts["origin"]))
        return self._templates[name].render(parameters, facts)


def _hashable(value: Any) -> Any:
    """A value as part of a key: a list by its items, a server's facts by being that very object."""
    return tuple(value) if isinstance(value, list) else id(value) if isinstance(value, dict) else value


def _holds(record: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    when: Mapping[str, list[Any]] = record.get("when", {})
    return all(values.get(name) in wanted for name, wanted in when.items())


def _fits(value: Any, rule: Mapping[str, Any]) -> bool:
    if "enum" in rule:
        return value in rule["enum"] and type(value) in {type(item) for item in rule["enum"]}
    if type(value) is not _TYPES[rule["type"]]:
        return False
    return not isinstance(value, list) or all(_fits(item, rule.get("items", {"type": "string"})) for item in value)


def _texts(node: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    items: Any = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from _texts(value, (*path, key))
    if isinstance(node, str):
        yield path, node


def _of_server(node: Any, nodes: Any) -> bool:
    key = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", "")
    return isinstance(node.node, nodes.Name) and node.node.name == "server" and not str(key).startswith("_")


def _plain(value: Any) -> Any:
    """Only text and numbers may come out of an expression: a list or a method is a slip. Raises TypeError."""
    if not isinstance(value, str | int | float):
        raise TypeError(f"an expression gives a {type(value).__name__}, not text")
    return value


def _join(values: Any, separator: str = "") -> str:
    """`join` of a list, no longer than a value may be. Raises TypeError."""
    if not isinstance(values, list) or sum(len(str(v)) + len(separator) for v in values) > MAX_TEXT:
        raise TypeError(f"`join` takes a list that gives up to {MAX_TEXT} characters")
    return separator.join(str(value) for value in values)


def _problem(environment: Any, text: str) -> str | None:
    """What in the text is not allowed, or None."""
    from jinja2 import TemplateSyntaxError, nodes

    allowed = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const)
    if len(text) > MAX_SOURCE:
        return f"a text with an expression has at most {MAX_SOURCE} characters"
    try:
        tree = environment.parse(text)
    except TemplateSyntaxError as error:
        return f"{error.message}"
    except RecursionError:
        return "it is nested too deep"
    for node in tree.find_all(nodes.Node):
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            return f"the filter `{node.name}` is not allowed"
        if isinstance(node, nodes.Getattr | nodes.Getitem) and not _of_server(node, nodes):
            return "attributes are those of `server` (`server.spf`)"
        if not isinstance(node, (*allowed, nodes.Filter)):
            return f"`{type(node).__name__}` is not allowed"
    return None
