"""What a person may write as a record's value can be written, is read back equal, and is taken by name servers."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.kinds import record
from reconciler.providers import zone_files
from tests import estates
from tests.providers.contract import NAME, OURS, create, make, read
from tests.servers import binary, need

if TYPE_CHECKING:
    from pathlib import Path

CORPUS = {
    "A": ["192.0.2.1", "0.0.0.0", "255.255.255.255"],
    "AAAA": ["2001:DB8::1", "::", "::ffff:192.0.2.1", "1:2:3:4:5:6:7:8"],
    "CAA": [
        '0 issue ";"', "0 issue ;", '255 abcdefghijklmno ""', "0 issue ca.example", '0 ISSUE "ca.example; a=b (c)"',
        f'0 iodef "mailto:{"x" * 3000}@a.example"', "1 x0 !#$%&'()*+,-./:;<=>?@[]^_`{|}~", f"0 issue {'y' * 3000}",
    ],
    "CNAME": ["web.agency.example.", "_x.A-b.Example.", f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 61}."],
    "MX": ["0 .", "65535 mx.example.", "010 Bücher.example.", "5 localhost."],
    "SRV": ["0 0 0 .", "65535 65535 65535 x-1.example."],
    "TLSA": [f"3 1 1 {'ab' * 32}", f"2 0 2 {'AB ' * 64}", f"0 0 0 {'00' * 2000}", "3 1 0 a b c d"],
    "TXT": ["", "x" * 4096, "é" * 4096, '\U0001f4e7 \\ " ; ( ) $ @', "$GENERATE 1-9 a A 192.0.2.1", "v=spf1 -all"],
}  # fmt: skip
WRONG = [
    ("AAAA", "fe80::1%eth0", "interface"),
    ("CAA", '0 issue "a\\"b"', "without quotes"),
    ("CAA", '0 issue a"b', "without quotes"),
    ("CAA", '0 issue "bücher.example"', "ASCII"),
    ("CAA", '0 issue "a\tb"', "ASCII"),
    ("CAA", '0 i\u017fsue "a"', "15 letters"),
    ("CAA", '0 abcdefghijklmnop "a"', "15 letters"),
    ("CAA", '256 issue "a"', "up to 255"),
    ("TLSA", f"255 255 255 {'ab' * 32}", "private numbers"),
    ("MX", "10", "number"),
    ("MX", " ", "number"),
    ("MX", f"{'1' * 5000} mx.example.", "number"),
    ("MX", f"10 {'a.' * 127}example.", "253"),
    ("CNAME", f"{'a' * 64}.example.", "no domain name"),
]


@pytest.mark.parametrize(("type_", "text", "why"), WRONG)
def test_what_no_server_takes_is_refused_where_it_is_written(type_: str, text: str, why: str) -> None:
    """With a reason, before anything is planned."""
    with pytest.raises(ValueError, match=why):
        record.check_value(type_, text)


def test_a_cname_that_is_declared_has_one_value(tmp_path: Path) -> None:
    """The record is named; said twice it is still one."""
    said = "records:\n  - {name: web, type: CNAME, values: [%s]}\n"
    estate = estates.make(tmp_path / "estate", estates.northwind(), estates.dns(said % "a.test., b.test."))
    run = estate.run("validate", "--format", "json")
    found = [finding for finding in run.json["findings"] if finding["code"] == "IN210"]
    assert [finding["subject"] for finding in found] == ["CNAME/web.northwind.example"]
    assert "A CNAME has one value; here are 2." in found[0]["detail"]
    estate.write(estates.dns(said % "a.test., A.Test."))
    assert estate.run("validate").code == 0


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["named-checkzone", "a.example"], marks=need("named-checkzone")),
        pytest.param(["nsd-checkzone", "a.example"], marks=need("nsd-checkzone")),
    ],
)
def test_name_servers_take_the_odd_values_that_are_accepted(tmp_path: Path, command: list[str]) -> None:
    """Each type's longest, shortest and strangest, in one zone."""
    zones = zone_files.connect(NAME, {"directory": str(tmp_path), "nameservers": ["ns.test"]}, "/")
    things = [
        make("record", f"{type_}/{type_}{index}.a.example", "a.example", values=[record.check_value(type_, text)])
        for type_, texts in CORPUS.items()
        for index, text in enumerate(texts)
    ]
    create(zones, OURS, things)
    path = binary(command[0]) or ""
    done = subprocess.run(
        [path, *command[1:], str(tmp_path / "a.example.zone")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


visible = st.characters(min_codepoint=32, max_codepoint=0x24FF, exclude_categories=("Cs", "Cc"))
words = st.sampled_from(
    ["0", "1", "3", "255", "65535", "issue", "mx.a.example.", ".", '"', ";", "\\", "ab" * 32, "%", ":"]
)
pieces = st.one_of(words, st.text(visible, max_size=8), st.ip_addresses().map(str))
texts = st.lists(pieces, max_size=6).flatmap(lambda parts: st.sampled_from(["", " "]).map(lambda gap: gap.join(parts)))
odd_values = st.one_of(
    st.tuples(st.sampled_from(record.TYPES), texts),
    st.tuples(st.sampled_from(record.TYPES), st.text(visible, max_size=40)),
    st.tuples(st.just("CAA"), st.text(visible, max_size=20).map(lambda text: f'0 issue "{text}"')),
    st.tuples(st.just("CAA"), st.text("abyz09-_ſ", max_size=17).map(lambda tag: f'0 {tag} "x"')),
    st.tuples(st.just("TLSA"), st.tuples(*[st.integers(0, 4)] * 3).map(lambda n: f"{n[0]} {n[1]} {n[2]} {'ab' * 32}")),
    st.tuples(st.just("MX"), st.text("aß.-_*äé。", max_size=70).map(lambda host: f"1 {host}.")),
)


@pytest.mark.fuzz
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(odd_values)
def test_what_is_accepted_is_written_and_read_back(tmp_path: Path, odd: tuple[str, str]) -> None:
    """Whatever a person writes is a ValueError with its reason, or comes back from the zone file as it was aimed at."""
    type_, text = odd
    try:
        value = record.check_value(type_, text)
    except ValueError:
        return
    assert record.check_value(type_, value) == value
    (tmp_path / "a.example.zone").unlink(missing_ok=True)
    zones = zone_files.connect(NAME, {"directory": str(tmp_path)}, "/")
    thing = make("record", f"{type_}/x.a.example", "a.example", values=[value], ttl=60)
    create(zones, OURS, [thing])
    assert read(zones) == {thing.address: thing}
