"""The texts of mail's records taken apart, whatever they are, and SPF counted to its end."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.answers import Answer
from reconciler.checks.breadth import too_broad
from reconciler.checks.counting import Count
from reconciler.checks.dmarc import Policy
from reconciler.checks.keys import judged
from reconciler.tags import heard, spf_faults, tags, terms

LETTERS = st.text('v=spf1DMARC;:/.,%{}+-~? abcdefghijklmnopqrstuvwxyz0189!\t\\"@é', max_size=80)


@given(LETTERS)
def test_no_text_is_too_strange(text):
    """Every text has terms, faults, a policy and a verdict, or is said to be no list; nothing else is raised."""
    for value in (text, f"v=spf1 {text}", f"v=DMARC1; {text}", f"v=DKIM1; p={text}"):
        assert set(heard(value)) <= set(terms(value))
        spf_faults(value)
        judged(value)
        assert Policy(value).rung is not None
        with suppress(ValueError):
            assert all(name == name.lower() for name in tags(value))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("v=spf1;", "no space"),
        ("v=spf1 ip4:192.0.2.0/33", "no address or network"),
        ("v=spf1 ip6:192.0.2.1", "no address or network"),
        ("v=spf1 ip4:2001:db8::1", "no address or network"),
        ("v=spf1 a/33", "no such length"),
        ("v=spf1 mx:a.example//129", "no such length"),
        ("v=spf1 include:", "names no domain"),
        ("v=spf1 include:spf", "names no domain"),
        ("v=spf1 include:http://a.example", "names no domain"),
        ("v=spf1 all:a.example", "after it"),
        ("v=spf1 inlcude:a.example", "no mechanism"),
        ("v=spf1 redirect=a.example redirect=b.example", "stands twice"),
        ("v=spf1 include:%x.a.example", "a macro that is none"),
        ("v=spf1 exists:%{i}%{", "a macro that is none"),
        ("v=spf1 exists:%{i}.%{d0}", "a macro that is none"),
        ("v=spf1 exists:%{t}.a.example", "a macro that is none"),
        ("v=spf1 a:%{d}/24 mx:%(d}", "a macro that is none"),
        ("v=spf1 unknown=100%", "a macro that is none"),
        ("v=spf1 exists:%{i}a", "names no domain"),
        ("v=spf1 exists:%{i}.1", "names no domain"),
        ("v=spf1 include:é.example", "no term may have"),
        ("v=spf1 ip4:192.0.2.0/08", "no address or network"),
        ("v=spf1 ip4:192.0.2.0/255.255.255.0", "no address or network"),
        ("v=spf1 ip6:2001:db8::/032", "no address or network"),
        ("v=spf1 a/08", "no such length"),
        ("v=spf1 mx:a.example//064", "no such length"),
    ],
)
def test_a_fault_of_spf_is_named(text, fault):
    """What makes a receiver give up on the whole record."""
    assert fault in "; ".join(spf_faults(text))


@pytest.mark.parametrize(
    "text",
    [
        "v=spf1 -all",
        "V=SPF1 MX A ~ALL",
        "v=spf1 a/24 a//64 a:a.example/24//64 mx/0 ptr ptr:a.example ip4:192.0.2.0/24 ip6:2001:db8::/32 ?all",
        "v=spf1 exists:%{ir}.%{v}._spf.%{D02r-+} exists:%{l.}%%%_%-.a-1. a:%{d}/0//0 ip6:::/0 ip4:0.0.0.0/0 a=%{c}%_",
        "v=spf1 include:_spf.a.example. exists:%{i}._spf.%{d2} redirect=%{d} unknown=whatever exp=e.a.example",
    ],
)
def test_sound_spf_has_no_fault(text):
    """Everything that RFC 7208 knows, unknown modifiers included."""
    assert spf_faults(text) == ()


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("ip4:0.0.0.0/0", "all of IPv4"),
        ("ip4:128.0.0.0/1 mx ip4:0.0.0.0/1", "all of IPv4"),
        ("ip6:::/0", "all of IPv6"),
        ("a/0", "all of IPv4"),
        ("mx:mx.example/0 ", "all of IPv4"),
        ("a:%{d}//0", "all of IPv6"),
        ("-ip4:10.0.0.0/8 ip4:0.0.0.0/0", "more than a /7 of IPv4"),
        ("ip4:16.0.0.0/7 ip4:20.0.0.0/16", "more than a /7 of IPv4"),
        ("a/6", "more than a /7 of IPv4"),
        ("ip6:2000::/3", "more than a /12 of IPv6"),
        ("ip4:17.0.0.0/8 ip4:17.0.0.0/9 ip4:17.0.0.1 ip4:53.0.0.0/8", ""),
        ("ip6:2001:db8::/32 ip6:2a01::/16", ""),
        ("a/24 mx/16//64 ip4:192.0.2.1", ""),
        ("~ip4:0.0.0.0/0 ip4:1.0.0.0/1", ""),
        ("?a/0 ip4:0.0.0.0/1", ""),
        ("-all ip4:0.0.0.0/0", ""),
        ("ip4=0.0.0.0/0 a=/0", ""),
    ],
)
def test_networks_of_everybody_are_found(said, what):
    """By what they come to together; the first term that names an address decides, as receivers do it."""
    assert spf_faults(f"v=spf1 {said} -all") == ()
    assert too_broad(f"v=spf1 {said} -all") == what


def test_many_networks_are_summed_up_at_once():
    """Hundreds of kilobytes do not keep anybody waiting."""
    value = " ".join(["v=spf1", *(f"ip4:{n >> 8 & 255}.{n & 255}.0.0/{n % 20 + 12}" for n in range(20000)), "-all"])
    began = time.process_time()
    assert too_broad(value)
    assert time.process_time() - began < 5


ED25519 = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("", ""),
        ("h=sha1 : SHA256; s=tlsrpt:email; ", ""),
        ("s=*; ", ""),
        ("h=sha1; ", "is not sha256"),
        ("h=; ", "is not sha256"),
        ("s=tlsrpt; ", "not for mail"),
    ],
)
def test_a_key_that_no_message_can_use(said, fault):
    """Signatures are made with sha256 (RFC 8301), and a key may be for other services alone (RFC 6376, 3.6.1)."""
    assert fault in judged(f"v=DKIM1; {said}k=ed25519; p={ED25519}")[0]
    assert judged(f"v=DKIM1; {said}p=") == ("", 0)


def test_what_follows_a_key_spoils_it():
    """Base64 ends with its `=`, and a key with its last byte."""
    example = Path(__file__).parent / "checks/DN031-a-key-of-1024-bits/good"
    key = (example / "tenants/northwind/dns/northwind.example.yaml").read_text().partition("['")[2].partition("']")[0]
    assert judged(key) == ("", 2048)
    assert "after its end" in judged(f"{key}==")[0]
    assert "no RSA key" in judged(f"{key}AAAA")[0]


def counted(value, records, name="a.example"):
    """The count of a value where the records are all there is."""
    return Count(name, value, lambda question: records.get(question, Answer("nxdomain")))


def spf(value):
    return Answer("found", (value,))


def test_lookups_are_counted_through_includes_and_redirects():
    """Each include, a, mx, ptr, exists and redirect costs one, those of what is included too; networks cost none."""
    records = {
        ("b.example", "TXT"): spf("v=spf1 a mx ip4:192.0.2.1 include:c.example ?all"),
        ("c.example", "TXT"): spf("v=spf1 exists:%{i}.c.example ptr -all include:never.example"),
        ("d.example", "TXT"): spf("v=spf1 ip4:192.0.2.2 -all"),
        ("b.example", "A"): Answer("empty"),
        ("b.example", "AAAA"): spf("2001:db8::1"),
        ("b.example", "MX"): spf("10 mx.b.example."),
    }
    count = counted("v=spf1 include:b.example redirect=d.example", records)
    assert (count.lookups, count.voids, count.faults, count.open) == (7, [], [], set())
    assert counted("v=spf1 include:b.example -all redirect=d.example", records).lookups == 6


def test_what_is_not_there_is_counted_and_named():
    """A name without an address is a void lookup; an include without SPF, or with two, ends the judgement."""
    records = {
        ("b.example", "TXT"): Answer("found", ("v=spf1 -all", "v=spf1 mx")),
        ("mx.example", "MX"): Answer("found", tuple(f"{n} m{n}.example." for n in range(11))),
        ("e.example", "A"): Answer("empty"),
        ("e.example", "AAAA"): Answer("empty"),
    }
    count = counted("v=spf1 a:e.example a:f.example include:b.example include:g.example mx:mx.example -all", records)
    assert [status for _, status in count.voids] == ["empty", "nxdomain", "nxdomain"]
    told = "; ".join(count.faults)
    assert ("b.example has 2 SPF" in told, "g.example" in told, "11 hosts" in told) == (True, True, True)


def test_a_hostile_tree_of_includes_ends():
    """A circle is named; a tree that doubles with each level is not walked to its end."""
    records = {(f"n{n}.example", "TXT"): spf(f"v=spf1 {f'include:n{n + 1}.example ' * 9}-all") for n in range(99)}
    began = time.process_time()
    assert 10 < counted("v=spf1 include:n0.example -all", records).lookups < 100
    assert time.process_time() - began < 1
    circle = {("b.example", "TXT"): spf("v=spf1 include:a.example -all")}
    assert counted("v=spf1 include:b.example -all", circle).circle


def test_what_nobody_was_asked_is_open_and_what_nobody_answers_is_unknown():
    """Both leave the count at what could be seen."""
    answers = {("b.example", "TXT"): Answer("failed")}
    count = Count("a.example", "v=spf1 mx include:b.example -all", answers.get)
    assert (count.lookups, count.open, count.unknown) == (2, {("a.example", "MX")}, {("b.example", "TXT")})
