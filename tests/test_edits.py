"""A value put into a file or taken out of it: no other character of the file moves."""

from __future__ import annotations

import pytest

from reconciler import documents, edits

FILE = """\
# a client
domain: a.example   # theirs
mailboxes:
  # people
  jane:    {owner: jane, quota: 2 GiB}   # the boss
  tom:
    owner: tom
    name: >-
      Tom Poe

  # machines
  scan: {owner: jane,
         name: 'The scanner'}
aliases:
  info: [jane, tom]   # the front desk
  all:
    - jane   # first
    - tom
list:
- {name: a, values: [x]}
# the end
"""


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (("mailboxes", "jane", "quota"), "4 GiB", "2 GiB}", "4 GiB}"),
        (("mailboxes", "jane", "state"), "blocked", "2 GiB}", "2 GiB, state: blocked}"),
        (("mailboxes", "tom", "owner"), "jane", "owner: tom\n", "owner: jane\n"),
        (("mailboxes", "tom", "name"), "yes", ">-\n      Tom Poe\n", '"yes"\n'),
        (("mailboxes", "tom", "quota"), "1 GiB", "Tom Poe\n", "Tom Poe\n    quota: 1 GiB\n"),
        (("mailboxes", "scan", "name"), "S: #1", "'The scanner'", '"S: #1"'),
        (("mailboxes", "scan", "quota"), "1 GiB", "'The scanner'}", "'The scanner', quota: 1 GiB}"),
        (("mailboxes", "new"), {"owner": "tom"}, "scanner'}\n", "scanner'}\n  new: {owner: tom}\n"),
        (("aliases", "info", 1), "x@b.example", "tom]", "x@b.example]"),
        (("aliases", "info", 9), "max", "tom]", "tom, max]"),
        (("aliases", "all", 9), "max", "    - tom\n", "    - tom\n    - max\n"),
        (("aliases", "all", 0), "max", "- jane ", "- max "),
        (("list", 9), {"name": "b"}, "[x]}\n", "[x]}\n- {name: b}\n"),
        (("forwards", "out"), {"to": ["z"]}, "[x]}\n", "[x]}\nforwards:\n  out: {to: [z]}\n"),
        (("more", 0), {"name": "b"}, "[x]}\n", "[x]}\nmore:\n  - {name: b}\n"),
        (("alias_of",), "b.example", "[x]}\n", "[x]}\nalias_of: b.example\n"),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_value_is_put_where_it_belongs(path, value, old, new, ending):
    """In the style of its neighbours, behind the last of them, and in the place of what is there."""
    assert FILE.count(old) == 1
    text, wanted = (said.replace("\n", ending) for said in (FILE, FILE.replace(old, new)))
    made = edits.put(text, path, value)
    assert made == wanted
    documents.parse("f.yaml", made.encode())


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (("mailboxes", "jane", "owner"), "{owner: jane, quota", "{quota"),
        (("mailboxes", "jane", "quota"), ", quota: 2 GiB", ""),
        (("mailboxes", "tom", "owner"), "    owner: tom\n", ""),
        (("mailboxes", "tom"), "  tom:\n    owner: tom\n    name: >-\n      Tom Poe\n", ""),
        (("mailboxes", "scan"), "  scan: {owner: jane,\n         name: 'The scanner'}\n", ""),
        (("aliases", "info"), "  info: [jane, tom]   # the front desk\n", ""),
        (("aliases", "info", 0), "[jane, tom]", "[tom]"),
        (("aliases", "all", 0), "    - jane   # first\n", ""),
        (("list", 0, "values", 0), ", values: [x]", ""),
        (("list", 0), "list:\n- {name: a, values: [x]}\n", ""),
        (("nothing", "there"), "# the end\n", "# the end\n"),
    ],
)
def test_what_is_taken_out_leaves_its_neighbours(path, old, new):
    """And no empty list or mapping, which no file may hold; comments of its lines go with it."""
    assert FILE.count(old) == 1
    made = edits.drop(FILE, path)
    assert made == FILE.replace(old, new)
    documents.parse("f.yaml", made.encode())


def test_a_file_may_end_without_a_line_end():
    """What is added begins a line of its own."""
    assert edits.put("domain: a.example\nowner: jane", ("alias_of",), "b.example") == (
        "domain: a.example\nowner: jane\nalias_of: b.example\n"
    )


def test_what_is_empty_gets_its_first_value():
    """In brackets, as it stands."""
    assert edits.put("domain: a.example\naliases: {}\n", ("aliases", "info"), ["jane"]) == (
        "domain: a.example\naliases: {info: [jane]}\n"
    )
