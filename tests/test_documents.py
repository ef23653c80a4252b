"""Strict YAML: what is taken, what is refused and where, and that nothing a file holds can do more than that."""

import pickle
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import documents, schema, spans
from reconciler.errors import InputError

SAMPLE = b"""\
# a domain
domain: northwind.example
mailboxes:
  jane: {owner: jane, quota: 10 GiB}
  "tom":
    owner: tom
aliases:
  info: [reception, jane@x.example]
absent:
- {alias: old}
-
  alias: older
"""


def parse(text):
    """The data of a file that is given as text or bytes."""
    return documents.parse("f.yaml", text.encode() if isinstance(text, str) else text).data


def refusals(text):
    """(code, line, column) of every finding of a file."""
    with pytest.raises(InputError) as refused:
        parse(text)
    assert all(finding.severity == "error" for finding in refused.value.findings)
    return [(finding.code, finding.origin.line, finding.origin.column) for finding in refused.value.findings]


def test_a_file_becomes_plain_data():
    """Blocks, brackets, quotes and comments give dicts, lists and text, and the document keeps its bytes."""
    document = documents.parse("tenants/a/domains/northwind.example.yaml", SAMPLE)
    assert document.data == {
        "domain": "northwind.example",
        "mailboxes": {"jane": {"owner": "jane", "quota": "10 GiB"}, "tom": {"owner": "tom"}},
        "aliases": {"info": ["reception", "jane@x.example"]},
        "absent": [{"alias": "old"}, {"alias": "older"}],
    }
    assert (document.file, document.raw) == ("tenants/a/domains/northwind.example.yaml", SAMPLE)
    assert pickle.loads(pickle.dumps(document)) == document


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_yaml_says(end):
    """LF, CRLF and CR alike end a line, and count as one in positions."""
    assert parse(f"a: 1{end}b: x{end}") == {"a": 1, "b": "x"}
    assert refusals(f"a: 1{end}b:{end}c: !x y{end}") == [("IN016", 2, 1), ("IN007", 3, 4)]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *[("true", True), ("false", False), ("null", None)],
        *[("0", 0), ("7", 7), ("-7", -7), ("10", 10), ("999999999999999999", 10**18 - 1)],
        *[('"1"', "1"), ("'true'", "true"), ("|-\n  1", "1"), (">-\n  null", "null"), ('""', "")],
    ],
)
def test_plain_words_and_whole_numbers_are_typed(written, value):
    """`true`, `false`, `null` and whole numbers are typed where they stand plain, and text in quotes."""
    found = parse(f"a: {written}\n")["a"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "written",
    [
        *["+4930123456", "007", "-0", "-07", "1e3", "1.5", "0x10", "0o7", "1_000", "12:30", "٣"],
        *["on", "off", "yes", "no", "y", "True", "TRUE", "False", "Null", "NULL", "~", ".inf", ".nan"],
        *["2027-03-31", "10%", "=", "10 GiB", "1 hour", "v=spf1 -all", "<<", "Zoë 🎉", "a#b", "http://x.example"],
    ],
)
def test_all_else_is_text(written):
    """What other YAML readers take for a number, a date or a truth is the text that stands there."""
    assert parse(f"a: {written}\n") == {"a": written}
    assert parse(f"a: [{written}]\n") == {"a": [written]}


@pytest.mark.parametrize("key", ["1", "true", "null", "007", "2027-03-31", "on", "~"])
def test_keys_are_text_as_written(key):
    """A key is never a number, a truth or null."""
    assert parse(f"{key}: x\n") == {key: "x"}


BAD = {
    "too large": ("a: " + "x" * 2**21, [("IN001", 1, 1)]),
    "one byte too large": ("a: " + "x" * (2**20 - 2), [("IN001", 1, 1)]),
    "Latin-1": (b"a: ok\nname: Zo\xeb\n", [("IN002", 2, 9)]),
    "UTF-16": ("a: b".encode("utf-16"), [("IN002", 1, 1)]),
    "half a character": (b"a: \xc3", [("IN002", 1, 4)]),
    "a surrogate": (b"a: \xed\xa0\x80", [("IN002", 1, 4)]),
    "byte order mark": (b"\xef\xbb\xbfa: b\n", [("IN003", 1, 1)]),
    "a later one": ("a: b\n# \ufeff\n", [("IN004", 2, 3)]),
    "NUL": (b"a: b\nc: d\x00e\n", [("IN004", 2, 5)]),
    "escape": (b"a: b\x1b[2J\n", [("IN004", 1, 5)]),
    "C1": ("a: b\n\nc: \x85\n", [("IN004", 3, 4)]),
    "line separator": ("a: b\u2028c: d\n", [("IN004", 1, 5)]),
    "bidi": ("a: b\nowner: jane\u202e\n", [("IN004", 2, 12)]),
    "bidi in a comment": ("a: b # \u2066x\n", [("IN004", 1, 8)]),
    "two of them": ("a: \u202e\nb: \u202d\n", [("IN004", 1, 4), ("IN004", 2, 4)]),
    "NUL escaped": ('a: b\nc: "x\\0"\n', [("IN004", 2, 4)]),
    "bidi escaped": ('a: "\\u202e"\n', [("IN004", 1, 4)]),
    "bidi escaped in a key": ('"\\u200f": x\n', [("IN004", 1, 1)]),
    "CR and LF in an address": (
        'aliases:\n  info: ["a@b.example\\r\\nBcc: c@d.example"]\n',
        [("IN004", 2, 10), ("IN004", 2, 10)],
    ),
    "a block of two lines": ("a: |-\n  b\n  c\n", [("IN004", 1, 4)]),
    "tab in a value": ("a: b\tc\n", [("IN004", 1, 4)]),
    "a bracket not closed": ("a: [b\nc: d\n", [("IN005", 2, 2)]),
    "a quote not closed": ("a: 'b\nc: d\n", [("IN005", 3, 1)]),
    "indentation": ("a:\n  b: c\n d: e\n", [("IN005", 3, 2)]),
    "tab as indentation": ("a:\n\tb: c\n", [("IN005", 2, 1)]),
    "colon in a text": ("a: b: c\n", [("IN005", 1, 5)]),
    "at sign": ("a: @x\n", [("IN005", 1, 4)]),
    "5,000 levels of brackets": ("a: " + "[" * 5000 + "]" * 5000, [("IN006", 1, 23)]),
    "1,400 levels of lines": ("".join(" " * n + "a:\n" for n in range(1400)), [("IN006", 21, 21)]),
    "brackets that never close": ("{a: " + "[" * 100_000, [("IN006", 1, 24)]),
    "keys in keys": (
        "? " * 5000 + "a",
        [("IN011", 1, 2 * n + 3) for n in range(19)] + [("IN011", 1, 41), ("IN006", 1, 41)],
    ),
    "tag": ("a: !!python/object:os.system x\n", [("IN007", 1, 4)]),
    "tag of one's own": ("a: b\nc: !env X\n", [("IN007", 2, 4)]),
    "tag on a list": ("a: !!set [b]\n", [("IN007", 1, 4)]),
    "tag on the whole": ("!!map\na: b\n", [("IN007", 1, 1)]),
    "tag on a key": ("!!str a: b\n", [("IN007", 1, 1)]),
    "tag without a handle": ("a: !x!y z\n", [("IN007", 1, 4)]),
    "anchor": ("a: &x b\n", [("IN008", 1, 4)]),
    "anchor on a key": ("&x a: b\n", [("IN008", 1, 1)]),
    "alias to nowhere": ("a: *x\n", [("IN008", 1, 4)]),
    "alias as a key": ("a: b\n*x : c\n", [("IN011", 2, 1), ("IN008", 2, 1)]),
    "stars in a text": ("a: ** b\n", [("IN008", 1, 5)]),
    "alias bomb": (
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
        [("IN008", line, column) for line, column in [(1, 4), (2, 4), (2, 8), (2, 12), (3, 4), (3, 8), (3, 12)]],
    ),
    "merge key": ("a: {b: c}\nd:\n  <<: {e: f}\n", [("IN009", 3, 3)]),
    "%YAML": ("%YAML 1.1\n---\na: b\n", [("IN010", 1, 1)]),
    "%YAML of the future": ("%YAML 3.0\n---\na: b\n", [("IN010", 1, 1)]),
    "%TAG": ("%TAG ! tag:x,2000:\n---\na: b\n", [("IN010", 1, 1)]),
    "%UNKNOWN": ("# x\n%FOO bar\n---\na: b\n", [("IN010", 2, 5)]),
    "a list as a key": ("a: b\n[c, d]: e\n", [("IN011", 2, 1)]),
    "a list as a key, and nothing behind it": ("? - a\n", [("IN011", 1, 3), ("IN016", 1, 3)]),
    "a mapping as a key": ("? {a: b}\n: c\n", [("IN011", 1, 3)]),
    "two documents": ("a: b\n---\nc: d\n", [("IN012", 2, 1)]),
    "nothing": ("", [("IN013", 1, 1)]),
    "comments alone": ("# a: b\n", [("IN013", 2, 1)]),
    "a list": ("- a: b\n", [("IN013", 1, 1)]),
    "a text": ("\na\n", [("IN013", 2, 1)]),
    "empty key": ("a: b\n'': c\n", [("IN014", 2, 1)]),
    "duplicate key": ("a: b\nc: {d: e, d: f}\na: g\n", [("IN015", 2, 11), ("IN015", 3, 1)]),
    "duplicate but for capitals": ("Jane: a\njane: b\n", [("IN015", 2, 1)]),
    "duplicate but for quotes": ("É: a\n'é': b\n", [("IN015", 2, 1)]),
    "three of a key": ("a: 1\na: 2\nA: 3\n", [("IN015", 2, 1), ("IN015", 3, 1)]),
    "empty value": ("a:\nb: c\n", [("IN016", 1, 1)]),
    "empty value in brackets": ("a: {b, c: , d: e}\n", [("IN016", 1, 5), ("IN016", 1, 8)]),
    "empty item": ("a:\n- b\n-\n", [("IN016", 3, 2)]),
    "19 digits": ("a: 1234567890123456789\nb: -1234567890123456789\n", [("IN017", 1, 4), ("IN017", 2, 4)]),
    "5,000 digits": ("a: " + "9" * 5000, [("IN017", 1, 4)]),
}


@pytest.mark.parametrize(("text", "expected"), BAD.values(), ids=BAD.keys())
def test_what_is_not_strict_is_refused_where_it_stands(text, expected):
    """Each thing the contract rules out has its own code, and a line and column that point at it."""
    assert refusals(text) == expected


def test_all_of_a_file_is_told_at_once():
    """Findings before a syntax error are told beside it."""
    assert refusals("a: !x 1\nb:\nA: *y\nc: [\n") == [
        ("IN007", 1, 4),
        ("IN016", 2, 1),
        ("IN015", 3, 1),
        ("IN008", 3, 4),
        ("IN005", 5, 1),
    ]


def test_a_duplicate_names_both_lines():
    """The second of two equal keys is where it is told, and it names the line of the first."""
    with pytest.raises(InputError) as refused:
        parse("x: 1\nJane: a\ny: 2\njane: b\n")
    (finding,) = refused.value.findings
    assert finding.origin.line == 4
    assert "`jane` stands in line 2 already" in finding.detail


def test_a_summary_holds_nothing_of_the_file():
    """What is told under one code reads the same for everyone, so that people learn it."""
    said = {}
    for text, _ in BAD.values():
        with pytest.raises(InputError) as refused:
            parse(text)
        for finding in refused.value.findings:
            assert said.setdefault(finding.code, finding.summary) == finding.summary
    assert sorted(said) == [f"IN{number:03}" for number in range(1, 18)]


def test_a_file_full_of_problems_is_told_in_part_and_says_so():
    """A hundred findings of a file are told; a last one says that there are more."""
    codes = [code for code, _, _ in refusals("a: [" + "!x y, " * 5000 + "]")]
    assert codes == ["IN007"] * 100 + ["IN018"]
    codes = [code for code, _, _ in refusals("a: b\n" + "\u202e\n" * 5000)]
    assert codes == ["IN004"] * 100 + ["IN018"]
    assert len(refusals("a: [" + "!x y, " * 100 + "]")) == 100


def test_twenty_levels_are_taken():
    """The limit is 20 levels of mappings and lists, scalars in the last not counted."""
    assert parse("a: " + "[" * 19 + "x" + "]" * 19)
    assert refusals("a: " + "[" * 20 + "x" + "]" * 20) == [("IN006", 1, 23)]


@pytest.mark.parametrize("text", ["{a: " + "[" * 1_000_000, "? " * 500_000, "a: " + "{b: " * 250_000, "- " * 500_000])
def test_what_is_refused_is_refused_fast(text):
    """A file made to be slow costs no more than one of its size."""
    before = time.process_time()
    assert refusals(text)
    assert time.process_time() - before < 2


def test_nothing_of_pyyaml_that_makes_objects_is_used():
    """A file cannot run code: neither a loader nor a constructor sees its events."""
    marker = "documents_test_marker"
    assert refusals(f"a: !!python/object/apply:sys.modules.__setitem__ [{marker}, 1]\n") == [("IN007", 1, 4)]
    assert marker not in sys.modules


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), (1, 1)),
        (("domain",), (2, 1)),
        (("mailboxes",), (3, 1)),
        (("mailboxes", "jane"), (4, 3)),
        (("mailboxes", "jane", "quota"), (4, 23)),
        (("mailboxes", "tom"), (5, 3)),
        (("mailboxes", "tom", "owner"), (6, 5)),
        (("aliases", "info", 0), (8, 10)),
        (("aliases", "info", 1), (8, 21)),
        (("absent", 0), (10, 3)),
        (("absent", 1), (12, 3)),
        (("absent", 1, "alias"), (12, 3)),
        (("mailboxes", "jane", "state"), (4, 3)),
        (("mailboxes", "nobody", "state", 3), (3, 1)),
        (("nothing",), (1, 1)),
        (("aliases", "info", 2), (8, 3)),
    ],
)
def test_a_path_leads_to_its_line(path, place):
    """A key is found where it begins, a list's item too, and what is not there at its nearest parent."""
    assert spans.locate(documents.parse("f.yaml", SAMPLE), path) == place


def test_columns_count_characters():
    """Letters beyond ASCII, and beyond 16 bits, are one column each."""
    document = documents.parse("f.yaml", "é: {ü🎉: a, b: c}\n".encode())
    assert spans.locate(document, ("é", "b")) == (1, 12)


def test_shipped_folders_are_the_checkouts_here():
    """In a checkout the schemas are the repository's own; a wheel's are beside the package (test_wheel.py)."""
    assert (schema.shipped("schemas") / "domain.schema.json").is_file()


PIECES = st.sampled_from(
    [
        *["a", "A", "b", "1", "-", " ", ":", ": ", "\n", "\n  ", "- ", "? ", "[", "]", "{", "}", ",", "&x", "*x", "!"],
        *["!!s", "%", "%YAML 1.2", "|", ">", "'", '"', "\\", "\\u202e", "#", "---", "...", "\n---\n", "<<", "\t", "\r"],
        *["@", "`", "~", "\0", "é"],
    ]
)


@pytest.mark.fuzz
@given(st.one_of(st.binary(), st.text().map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_any_bytes_give_data_or_findings(raw):
    """Whatever a file holds, the answer is a mapping or an InputError with a place in it."""
    answered(raw)


@pytest.mark.fuzz
@given(st.lists(PIECES, max_size=40).map("".join).map(str.encode))
def test_any_heap_of_yaml_gives_data_or_findings(raw):
    """So it is for files that are nearly YAML; and what is taken can be found again, place by place."""
    document = answered(raw)
    if document is not None:
        lines = raw.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for path in paths(document.data, ()):
            line, column = spans.locate(document, path)
            assert 1 <= line <= len(lines)
            assert 1 <= column <= len(lines[line - 1]) + 1
            assert (line, column) != (1, 1) or path == (next(iter(document.data)),)


def answered(raw):
    """The document, or None where it was refused properly."""
    refused = ()
    try:
        document = documents.parse("f.yaml", raw)
    except InputError as error:
        document, refused = None, error.findings
    assert (document is None) == bool(refused)
    assert all(finding.origin.line >= 1 and finding.origin.column >= 1 for finding in refused)
    return document


def paths(data, path):
    """Every path that leads somewhere in plain data."""
    steps = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, value in steps:
        yield (*path, step)
        yield from paths(value, (*path, step))
