"""Strict YAML: the bytes of one file become plain data, or findings that say all that is wrong with them.

PyYAML's C parser makes events of bytes, a builder of our own makes data of events. No loader of PyYAML runs: no file
can name a type, repeat a part of itself or have `no` read as false, and what nests too deep is refused before the next
bracket is read. Positions are not kept, as few need one: `spans` reads that one file again.

A value is one line of visible text: what else stands in a name ends in mail headers, zone files and SQL maps.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from reconciler import faults
from reconciler.errors import InputError
from reconciler.findings import Finding, Origin, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_BYTES, MAX_LEVELS, MAX_DIGITS = 2**20, 20, 18
MAX_FINDINGS = 100  # per file: a hostile one can hold a problem in every byte
_SCALAR, _MAPPING_END = yaml.ScalarEvent, yaml.MappingEndEvent  # looked up once: they are asked for at every event
_NEVER = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff"  # C1, separators, bidi, BOM
_IN_FILE = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f{_NEVER}]")
_IN_VALUE = re.compile(f"[\x00-\x1f{_NEVER}]")
_WHOLE = re.compile("0|-?[1-9][0-9]*")
_WORDS = {"true": True, "false": False, "null": None}
_BEGIN = frozenset("-0123456789") | {word[:1] for word in ("", *_WORDS)}  # of what may be more than text
_NO_KEYS = frozenset({"", "<<"})
_SAID = (  # what libyaml says -> what it is about, and what to do (where the rule does not say it)
    ("directive|incompatible YAML", faults.DIRECTIVE, ""),
    ("tag", faults.TAG, ""),
    ("anchor|alias", faults.ANCHOR, ""),
    (
        "mapping values are not allowed",
        faults.SYNTAX,
        "A text that holds `: ` goes in quotes; else check the indentation.",
    ),
    (
        "cannot start any token",
        faults.SYNTAX,
        "Indent with spaces; a text that begins with `@`, `%` or ` goes in quotes.",
    ),
    ("did not find expected key", faults.SYNTAX, "Indent the line like its neighbours."),
    ("", faults.SYNTAX, ""),
)


class Document(NamedTuple):
    """One file as it was read: its path in the estate, its bytes, and its top-level mapping as plain data."""

    file: str
    raw: bytes
    data: dict[str, Any]


def parse(file: str, raw: bytes) -> Document:
    """The file as data. Raises InputError with a finding for everything in it that is not strict YAML."""
    findings = _unreadable(file, raw)
    builder = _Builder(file, raw, findings)
    data: dict[str, Any] = {}
    try:
        data = data if findings else builder.document()
    except yaml.MarkedYAMLError as error:
        builder.broken(error)
    if findings:
        raise InputError(bounded(findings))
    return Document(file, raw, data)


def bounded(findings: Iterable[Finding]) -> list[Finding]:
    """The first 100 findings of a file, and a last one that says so where there are more."""
    shown = list(islice(findings, MAX_FINDINGS + 1))
    if len(shown) > MAX_FINDINGS:
        shown[-1] = faults.MORE.at(shown[-1].subject, f"{MAX_FINDINGS} are shown; here is the next.", shown[-1].origin)
    return shown


def _at(node: Any) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _unreadable(file: str, raw: bytes) -> list[Finding]:
    """What keeps bytes from being text at all; nothing else is looked for then."""
    if len(raw) > MAX_BYTES:
        return [faults.LARGE.at(file, f"It has {len(raw):,} bytes; {MAX_BYTES:,} are allowed.", Origin(file, (), 1, 1))]
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return [
            faults.ENCODING.at(
                file, f"Byte 0x{raw[error.start]:02x} is bad.", _behind(file, raw[: error.start].decode())
            )
        ]
    if text.startswith("\ufeff"):
        return [faults.BOM.at(file, "Its first character is U+FEFF.", Origin(file, (), 1, 1))]
    if text.replace("\n", "").isprintable():  # spares nearly all files the search
        return []
    found = islice(_IN_FILE.finditer(text), MAX_FINDINGS + 1)
    return [faults.CHARACTER.at(file, _named(match[0]), _behind(file, text[: match.start()])) for match in found]


def _behind(file: str, before: str) -> Origin:
    """The position behind a piece of text; a line ends with LF, CR or both, as in YAML."""
    line = before.count("\n") + before.count("\r") - before.count("\r\n") + 1
    return Origin(file, (), line, len(before) - max(before.rfind("\n"), before.rfind("\r")))


def _named(character: str) -> str:
    return f"U+{ord(character):04X} ({unicodedata.name(character, 'a control character')}) makes a text read otherwise."


class _Builder:
    """Events of one file -> data and findings. Where there is a finding, the data is worth nothing."""

    def __init__(self, file: str, raw: bytes, findings: list[Finding]) -> None:
        self.file, self.findings = file, findings
        self.next: Callable[[], Any] = yaml.CBaseLoader(raw).get_event

    def problem(self, rule: Rule, event: Any, what: str, fix: str = "") -> None:
        origin = Origin(self.file, (), *_at(event))
        self.findings.append(rule.at(self.file, what, origin, fix=fix))
        if rule in {faults.DEEP, faults.DIRECTIVE} or len(self.findings) > MAX_FINDINGS:
            raise InputError(bounded(self.findings))

    def broken(self, error: yaml.MarkedYAMLError) -> None:
        said = f"{error.context or ''} {error.problem}".strip()
        begun = f", begun in line {error.context_mark.line + 1}" if error.context_mark else ""
        rule, fix = next((rule, fix) for words, rule, fix in _SAID if re.search(words, said))
        self.problem(rule, yaml.Event(error.problem_mark), f"The parser says: {said}{begun}.", fix)

    def document(self) -> dict[str, Any]:
        """The top-level mapping; empty where there is none. Raises MarkedYAMLError where it is no YAML at all."""
        _, start = self.next(), self.next()  # the stream begins, the document begins
        top = self.next() or start  # a stream without a document has ended
        if top is not start and (start.version or start.tags):
            self.problem(faults.DIRECTIVE, start, "It changes how what follows is read.")
        if type(top) is not yaml.MappingStartEvent:
            self.problem(faults.TOP, top, "It is empty, or begins with a list or a single value.")
            return {}
        data: dict[str, Any] = self.value(top, top, 1)
        self.next()  # the end of the document
        if type(after := self.next()) is yaml.DocumentStartEvent:
            self.problem(faults.SECOND, after, "Only the first would be read.")
        return data

    def value(self, event: Any, owner: Any, level: int) -> Any:
        """What begins at `event`; `owner` is where a missing value is shown: its key, or itself in a list."""
        if type(event) is _SCALAR:
            return self.scalar(event, owner)
        self.plain(event)
        if type(event) is yaml.AliasEvent:
            return None
        if level > MAX_LEVELS:
            self.problem(faults.DEEP, event, f"This is level {level}; {MAX_LEVELS} are allowed.")
        return self.mapping(level) if type(event) is yaml.MappingStartEvent else self.sequence(level)

    def mapping(self, level: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        seen: dict[str, Any] = {}
        following = self.next
        while type(event := following()) is not _MAPPING_END:
            key = self.key(event, seen, level)
            inner = following()  # most values are single words: the shorter way for them
            data[key] = self.scalar(inner, event) if type(inner) is _SCALAR else self.value(inner, event, level + 1)
        return data

    def sequence(self, level: int) -> list[Any]:
        data: list[Any] = []
        while type(event := self.next()) is not yaml.SequenceEndEvent:
            data.append(self.value(event, event, level + 1))
        return data

    def key(self, event: Any, seen: dict[str, Any], level: int) -> str:
        """The key as written. `seen` maps the keys of its mapping, in lower case, to the events they came in."""
        if type(event) is not _SCALAR:
            self.problem(faults.COMPLEX, event, "Keys are single words or addresses.")
            self.value(event, event, level + 1)
            return ""
        text: str = event.value
        if event.anchor is not None or event.tag is not None or not text.isprintable():
            self.plain(event)
        if (first := seen.setdefault(text.lower(), event)) is not event:
            self.problem(faults.DUPLICATE, event, f"`{text}` stands in line {first.start_mark.line + 1} already.")
        if text in _NO_KEYS:
            self.problem(faults.MERGE if text else faults.EMPTY_KEY, event, "Each key is written out where it holds.")
        return text

    def scalar(self, event: Any, owner: Any) -> str | int | bool | None:
        text: str = event.value
        if event.anchor is not None or event.tag is not None or not text.isprintable():
            self.plain(event)
        if text[:1] not in _BEGIN or not event.implicit[0]:
            return text  # in quotes, a block, or surely text
        if text in _WORDS:
            return _WORDS[text]
        if text == "":
            self.problem(faults.EMPTY, owner, f"Nothing follows `{getattr(owner, 'value', '')}`.")
        elif _WHOLE.fullmatch(text):
            if len(text.lstrip("-")) <= MAX_DIGITS:
                return int(text)
            self.problem(faults.NUMBER, event, f"It has more than {MAX_DIGITS} digits.")
        return text

    def plain(self, event: Any) -> None:
        """Nothing but what is seen: no anchor, no tag, no character without a shape."""
        if event.anchor is not None:
            self.problem(faults.ANCHOR, event, f"`{event.anchor}` makes a value depend on another place of the file.")
        elif event.tag is not None:
            self.problem(faults.TAG, event, f"`{event.tag}` says how the value is read.")
        elif type(event) is yaml.ScalarEvent and not event.value.isprintable():
            for match in _IN_VALUE.finditer(event.value):
                self.problem(faults.CHARACTER, event, _named(match[0]))
