"""The line reader of master files is held equal to dnspython, and rewriting loses nothing."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import dns.rdata
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reconciler.changes import Batch
from reconciler.errors import ProviderError
from reconciler.model import Scope
from reconciler.providers import _master, _sets, _zone_text
from tests.providers.contract import change, make

ZONE = "a.example"
HEAD = "@ 60 IN SOA ns1 hostmaster ( 7 ; serial\n\t1 2 3 4 )\n"
gaps = st.sampled_from([" ", "\t", "  \t "])
ttls = st.sampled_from(["", "0", "300", "1h", "2W", "1h30m"])
hosts = st.sampled_from(["mx", "mx.a.example.", "Mx.B.Example.", ".", "@", "a-b_c.d", "a+b", "a\\+b.c\\="])
octets = st.integers(0, 255)
numbers = st.integers(0, 65535)
raw_strings = st.text("ab é\\\";()'@$\tv=", max_size=12).map(lambda text: text.encode().decode("latin-1"))


def in_quotes(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def bare(text: str) -> str:
    return "".join(f"\\{ord(ch):03d}" if ch in " \t" else f"\\{ch}" if ch in '"\\;()' else ch for ch in text)


strings = st.lists(
    st.one_of(raw_strings.map(in_quotes), raw_strings.filter(bool).map(bare), st.just('"\\065\\255\\000"')),
    min_size=1,
    max_size=3,
)
data = st.one_of(
    st.tuples(st.just("A"), st.tuples(octets, octets, octets, octets).map(lambda parts: ".".join(map(str, parts)))),
    st.tuples(st.just("aaaa"), st.ip_addresses(v=6).map(str)),
    st.tuples(st.just("MX"), st.tuples(numbers, hosts).map(lambda parts: "{} {}".format(*parts))),
    st.tuples(
        st.just("SRV"), st.tuples(numbers, numbers, numbers, hosts).map(lambda parts: "{} {}\t{} {}".format(*parts))
    ),
    st.tuples(st.just("TXT"), st.tuples(strings, gaps).map(lambda parts: parts[1].join(parts[0]))),
    st.tuples(st.just("CAA"), st.sampled_from(['0 issue "ca.example; a=b"', "128 iodef x", '0 issue ";"', '1 a ""'])),
    st.tuples(st.just("TLSA"), st.sampled_from([f"3 1 1 {'Ab' * 32}", "3 1 0 ab cd  ef", "0 0 0 00"])),
    st.tuples(st.just("SSHFP"), st.just("1 1 0123456789abcdef0123456789abcdef01234567")),
    st.tuples(st.just("PTR"), hosts),
    st.tuples(st.just("NS"), hosts),
)


@st.composite
def records(draw):
    """A record in one of the many ways people write it, over several lines or with a comment."""
    owner = draw(
        st.sampled_from(["@", "", "", "www", "Www.Sub", "_x._tcp.a.example.", "*", "elsewhere.test.", "a+b", "a\\+b.c"])
    )
    type_, text = draw(data)
    ttl, class_ = draw(ttls), draw(st.sampled_from(["", "IN", "in"]))
    head = draw(st.sampled_from([[ttl, class_], [class_, ttl]]))
    gap = draw(gaps)
    words = gap.join(word for word in [*head, type_] if word)
    layout = draw(
        st.sampled_from(["{} {}", "{} ( {} )", '{} (\n {} ; ( why\n ; "\n)', "{} {}  ; \"it's\n", "{} {}\n\n;x\n"])
    )
    return f"{owner}{gap}{layout.format(words, text)}\n"


@st.composite
def cnames(draw):
    return f"alias{draw(st.integers(0, 99))} CNAME {draw(hosts)}\n"


directives = st.sampled_from(
    ["$TTL 1d\n", "$ORIGIN sub\n", "$ORIGIN a.example.\n", "$origin . ; root\n", "\n", " ; x\n"]
)
bodies = st.lists(st.one_of(records(), records(), cnames(), directives), max_size=12).map("".join)
heads = st.sampled_from([HEAD, f"$TTL 2h\n{HEAD}"])
zones = st.tuples(heads, bodies).map("".join)


def fast(text):
    """What the line reader finds; None where it gives up."""
    try:
        found = [line for line in _master.lines(text, ZONE) if _sets.at_or_below(line.name, ZONE)]
        _zone_text.lonely(found)
        return normal(_zone_text.gathered(found))
    except _master.Odd:
        return None


def slow(text):
    """What dnspython finds; None where that is nothing whole."""
    try:
        return normal(_zone_text.by_dnspython(text, ZONE, Path("zone")))
    except ProviderError:
        return None


def normal(sets):
    return {
        (type_, name): (_sets.resource("", type_, name, values, ttl, "").get("values"), ttl)
        for (type_, name), (values, ttl) in sets.items()
    }


@pytest.mark.fuzz
@given(bodies)
def test_both_readers_agree(body):
    """What people write in a file with a $TTL is read without dnspython, and dnspython reads the same."""
    text = f"$TTL 2h\n{HEAD}{body}"
    assert fast(text) == slow(text) or ("CNAME" in text and fast(text) is None)


@pytest.mark.fuzz
@given(heads, bodies.filter(bool), st.data())
def test_both_readers_agree_on_damaged_files(head, body, draw):
    """With a character exchanged, the line reader finds what dnspython finds or gives up."""
    at = draw.draw(st.integers(0, len(body) - 1))
    found = fast(text := head + body[:at] + draw.draw(st.sampled_from([*'"();\\ \n@.$1a\r', ""])) + body[at + 1 :])
    assert found in (None, slow(text)) or "NS" in text


strange = st.sampled_from(
    ["x LOC 60 0 0 N 5 0 0 E 1e999m", "x TYPE9 \\# 99 0", "$GENERATE 1-3 a${0,9,x} A 1.2.3.$", 'x CAA 0 a "\\""',
     "$TTL 9w9w", "$ORIGIN .", "$ORIGIN \\000.", "( @ 5 SOA a b 1 2 3 4 5 )", "\\@ A 1.2.3.4", 'x A 1.2.3.4 ( ; "\n)',
     "x NSEC3 1 1 1 - - A", 'x SVCB 1 . alpn="\\,"', "x HIP 2 1 1", 'x SOA "a(b" c 1', "x DNAME a\nx DNAME b"]
)  # fmt: skip


@pytest.mark.fuzz
@given(heads, st.lists(st.one_of(records(), cnames(), strange.map("{}\n".format)), max_size=6).map("".join), st.data())
def test_no_text_makes_reading_or_changing_crash(head, body, draw):
    """Whatever stands in a file, and whatever value is put there, the errors are the provider's own."""
    text = head + body
    at = draw.draw(st.integers(0, len(text)))
    text = text[:at] + draw.draw(st.text(st.characters(max_codepoint=255), max_size=3)) + text[at:]
    with suppress(ProviderError):
        _zone_text.read(text, ZONE, Path("zone"))
    key = draw.draw(st.sampled_from(["TXT/a.example", "CNAME/www.a.example", "CAA/a.example", "HINFO/a.example"]))
    thing = make("record", key, ZONE, values=draw.draw(st.lists(st.text(max_size=9), min_size=1, max_size=2)))
    with suppress(ProviderError, _master.Odd):
        _zone_text.changed(text, Batch("live", Scope(ZONE, ZONE), (change(None, thing),)))


def test_the_usual_file_needs_no_dnspython():
    """The line reader does not give up on what people usually write."""
    records = 'www 300 IN A 192.0.2.1 ; x\n IN 1d AAAA ::1\nk TXT ( "v=DKIM1; "\n "p=a" )\n@ MX 10 mx\n'
    found = fast(f"$TTL 1h\n{HEAD} NS ns1\n{records}")
    assert found == slow(f"$TTL 1h\n{HEAD} NS ns1\n{records}")
    assert len(found or ()) == 4


@pytest.mark.fuzz
@given(st.binary(max_size=1100))
def test_text_is_split_and_escaped_and_read_back(raw):
    """TXT of any bytes becomes strings of at most 255 bytes that dnspython and the line reader join to the same."""
    text = raw.decode("utf-8", "surrogateescape")
    written = _master.quoted(text)
    strings = dns.rdata.from_text("IN", "TXT", written).strings
    assert b"".join(strings) == raw
    assert all(len(part) == 255 for part in strings[:-1])
    line = _master.lines(f"a.example. 60 IN TXT {written}", ZONE)[0]
    assert _master.value(line) == text


@pytest.mark.parametrize(("size", "count"), [(0, 1), (1, 1), (254, 1), (255, 1), (256, 2), (510, 2), (511, 3)])
def test_where_strings_are_cut(size, count):
    """255 bytes are one string, one more makes two."""
    assert _master.quoted("x" * size).count('"') == 2 * count


@pytest.mark.fuzz
@given(zones, st.data())
def test_rewriting_changes_what_it_shall_and_nothing_else(text, draw):
    """After records are taken out and put in, dnspython reads the rest as before, and every other line is there."""
    before = slow(text)
    assume(fast(text) is not None and before is not None)
    found = _master.lines(text, ZONE)
    keys = sorted({line.key for line in found if line.type not in _sets.NOT_OURS})
    gone = draw.draw(st.sets(st.sampled_from(keys))) if keys else set()
    new = ("TXT", draw.draw(st.sampled_from(["fresh.a.example", *(name for type_, name in gone if type_ == "TXT")])))
    drop = {line for line in found if line.key in gone}
    changed = _master.rewritten(text, found, drop, [_master.fresh_line(new, 60, "new; text")])
    after = slow(changed)
    inside = {key for key in gone if _sets.at_or_below(key[1], ZONE)}
    rest = {key: held for key, held in before.items() if key not in inside}
    assert after == rest | ({new: (("new; text",), 60)} if _sets.at_or_below(new[1], ZONE) else {})
    comments = [row for row in text.split("\n") if row.lstrip().startswith(";") and not row.startswith(' ; "')]
    assert all(changed.split("\n").count(row) >= comments.count(row) for row in comments)
    assert changed.count(" 8 ; serial\n") == 1
