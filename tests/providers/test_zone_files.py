"""Zone files: the contract, and what is theirs alone: comments, serials, whole files, real servers."""

from __future__ import annotations

import fcntl
import os
import re
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from reconciler.errors import Conflict, Missing, ProviderError, Refused, Unreachable
from reconciler.model import Scope
from reconciler.providers import zone_files
from tests.providers.contract import NAME, OURS, DnsContract, World, apply, change, create, make, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reconciler.model import Resource

FOREIGN = """\
; bought 2019, ask Anna
shop 60 IN  A  192.0.2.9 ; the shop
     60 IN  AAAA 2001:db8::9
@ TXT "site-verification=1"   ; for the shop
old._domainkey TXT ( "v=DKIM1; k=rsa; "  ; first half
    "p=abc" )
fp SSHFP 1 1 0123456789abcdef0123456789abcdef01234567
"""
ZONE = f"""\
$TTL 1h
@ IN SOA ns1.a.example. hostmaster.a.example. (
        2026112401 ; serial
        86400 7200 3600000 3600 )
  IN NS ns1
{FOREIGN}"""


def record(name: str, *values: str, ttl: int | None = None) -> Resource:
    return make("record", name, "a.example", values=values, **({} if ttl is None else {"ttl": ttl}))


MX = record("MX/a.example", "10 mx.a.example.")
SPF = record("TXT/a.example", "v=spf1 -all")


class TestZoneFiles(DnsContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        folder = tmp_path / "var" / "zones"
        file = folder / "a.example.zone"

        def connect() -> zone_files.ZoneFiles:
            return zone_files.connect(NAME, {"directory": "var/zones"}, str(tmp_path))

        def plant() -> Callable[[], object]:
            file.write_text(file.read_text() + FOREIGN)
            return lambda: [line for line in FOREIGN.splitlines() if line not in file.read_text().splitlines()]

        def tamper(thing: Resource) -> None:
            others = [line for line in file.read_text().splitlines() if " MX " not in line]
            file.write_text("\n".join([*others, *(f"@ MX {value}" for value in thing.get("values")), ""]))

        def sever() -> None:
            folder.rename(tmp_path / "away")
            folder.write_text("no folder")

        return World(connect, plant, tamper, sever)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A zone somebody wrote by hand."""
    file = tmp_path / "a.example.zone"
    file.write_text(ZONE)
    return file


@pytest.fixture
def zones(file: Path) -> zone_files.ZoneFiles:
    return zone_files.connect(NAME, {"directory": str(file.parent)}, "/")


def values(zones: zone_files.ZoneFiles, scope: Scope = OURS) -> dict[str, tuple[str, ...]]:
    return {address.name: thing.get("values") for address, thing in read(zones, scope).items()}


@pytest.mark.parametrize("text", [ZONE, ZONE.replace("\n", "\r\n"), ZONE.replace("Anna", "Jörg \udcff")])
def test_what_others_wrote_stays_byte_for_byte(file: Path, zones: zone_files.ZoneFiles, text: str) -> None:
    """Making our records, changing and removing them leaves the hand-written file as it was but for the serial."""
    before = text.encode("utf-8", "surrogateescape")
    file.write_bytes(before)
    create(zones, OURS, [MX, SPF])
    later = SPF.having(values=("v=spf1 mx -all",))
    apply(zones, OURS, change(MX, MX.having(ttl=60)), change(SPF, later))
    apply(zones, OURS, change(MX.having(ttl=60), None), change(later, None))
    assert file.read_bytes() == before.replace(b"2026112401", b"2026112404")


def test_the_serial_moves_once_per_batch(file: Path, zones: zone_files.ZoneFiles) -> None:
    """Ten changes of a batch are one step of the serial, and after the highest comes the lowest (RFC 1982)."""
    create(zones, OURS, [record(f"A/n{n}.a.example", "192.0.2.1") for n in range(10)])
    assert "2026112402 ; serial" in file.read_text()
    file.write_text(ZONE.replace("2026112401", str(2**32 - 1)))
    create(zones, OURS, [MX])
    assert " 1 ; serial" in file.read_text()


def test_a_semicolon_outside_quotes_cuts_a_text(file: Path, zones: zone_files.ZoneFiles) -> None:
    """As servers read it: of a key that was pasted without quotes its beginning is live, which is not what Git says."""
    file.write_text(f"{ZONE}k._domainkey TXT v=DKIM1; k=rsa; p=abc\n")
    assert values(zones)["TXT/k._domainkey.a.example"] == ("v=DKIM1",)


def test_lines_that_stay_keep_their_comments(file: Path, zones: zone_files.ZoneFiles) -> None:
    """In a set that changes, a value that stays keeps its line; the others come and go beside it."""
    file.write_text(ZONE + "@ MX 10 mx1 ; the old one\n  MX 20 mx2 ; spare\nlast A 192.0.2.1\n")
    live = read(zones)[MX.address]
    apply(zones, OURS, change(live, live.having(values=("10 mx3.a.example.", "20 mx2.a.example."))))
    assert "a.example. 3600 IN MX 10 mx3.a.example.\n  MX 20 mx2 ; spare\nlast A" in file.read_text()


def test_a_record_keeps_its_owner_when_the_line_before_goes(file: Path, zones: zone_files.ZoneFiles) -> None:
    """A line without an owner gets one written when the record it leaned on is removed."""
    before = values(zones)
    file.write_text(ZONE + "www A 192.0.2.1\n    TXT kept\n")
    apply(zones, OURS, change(read(zones)[record("A/www.a.example", "192.0.2.1").address], None))
    assert values(zones) == {**before, "TXT/www.a.example": ("kept",)}
    assert "\nwww.a.example.    TXT kept\n" in file.read_text()


def test_a_new_set_takes_the_default_ttl_and_a_shared_one_keeps_its_own(zones: zone_files.ZoneFiles) -> None:
    """Without a TTL of ours a set gets an hour; beside a neighbour's value the set's TTL stays."""
    uncached = record("A/now.a.example", "192.0.2.1", ttl=0)
    create(zones, OURS, [MX, record("TXT/a.example", "v=spf1 -all", ttl=60), uncached])
    live = read(zones)
    assert live[uncached.address].get("ttl") == 0
    assert (live[MX.address].get("ttl"), live[SPF.address].get("ttl")) == (3600, 3600)


def test_a_ttl_that_moved_is_a_conflict(file: Path, zones: zone_files.ZoneFiles) -> None:
    """A TTL somebody else changed meanwhile is not overwritten by ours, and stays when we change only values."""
    create(zones, OURS, [MX.having(ttl=300)])
    file.write_text(file.read_text().replace(" 300 IN MX", " 900 IN MX"))
    with pytest.raises(Conflict):
        apply(zones, OURS, change(MX.having(ttl=300), MX.having(ttl=60)))
    apply(zones, OURS, change(MX.having(ttl=300), MX.having(ttl=300, values=("0 .",))))
    assert read(zones)[MX.address].attributes == {"values": ("0 .",), "ttl": 900}


def test_a_cname_has_its_name_alone(file: Path, zones: zone_files.ZoneFiles) -> None:
    """A batch that would put a CNAME beside another record is refused whole; freeing the name first is fine."""
    with pytest.raises(Conflict, match="beside A, AAAA"):
        create(zones, OURS, [MX, record("CNAME/shop.a.example", "a.test.")])
    assert file.read_text() == ZONE
    live = read(zones)
    gone = [change(live[record(f"{kind}/shop.a.example").address], None) for kind in ("A", "AAAA")]
    apply(zones, OURS, *gone, change(None, record("CNAME/shop.a.example", "a.test.")))
    assert "CNAME/shop.a.example" in values(zones)


def test_a_cname_has_one_value(file: Path, zones: zone_files.ZoneFiles) -> None:
    """Two values for a type that has one are refused whole, on a new name and on one that is there."""
    two = record("CNAME/web.a.example", "a.test.", "b.test.")
    with pytest.raises(Refused, match="can have one value, not 2"):
        create(zones, OURS, [MX, two])
    assert file.read_text() == ZONE
    one = record("CNAME/web.a.example", "a.test.")
    create(zones, OURS, [one])
    before = file.read_text()
    with pytest.raises(Refused, match="can have one value, not 2"):
        apply(zones, OURS, change(one, two))
    assert file.read_text() == before


@pytest.mark.parametrize("extra", ["", "$GENERATE 1-2 n$ A 192.0.2.$\n"])
def test_a_second_cname_is_not_hidden(file: Path, zones: zone_files.ZoneFiles, extra: str) -> None:
    """A name with two CNAMEs is its domain's error, because servers refuse that zone; the same one twice is one."""
    file.write_text(f"{ZONE}web CNAME a.test.\nweb CNAME b.test.\n{extra}")
    error = zones.read([OURS])["a.example"]
    assert isinstance(error, ProviderError)
    assert "web.a.example. has two CNAME records" in str(error)
    file.write_text(f"{ZONE}web CNAME a.test.\nweb CNAME a.test.\n{extra}")
    assert values(zones)["CNAME/web.a.example"] == ("a.test.",)


def test_many_aliases_are_read_at_once(file: Path, zones: zone_files.ZoneFiles) -> None:
    """The time to read and change a zone grows with its records, not with their square."""
    file.write_text(ZONE + "".join(f"n{number} CNAME web.a.test.\nmany A 192.0.2.1\n" for number in range(20_000)))
    start = time.process_time()
    assert len(values(zones)) > 20_000
    create(zones, OURS, [record(f"A/new{number}.a.example", "192.0.2.1") for number in range(300)])
    assert time.process_time() - start < 5  # seconds; the square took minutes


@pytest.mark.parametrize(
    "line",
    [
        "$GENERATE 1-99999999 n$ A 192.0.2.1",
        "$generate 0-65536 n$ A 192.0.2.1",
        "$GENERATE 1-40000 n$ A 192.0.2.1\n$GENERATE 1-40000 m$ A 192.0.2.1",
        "($GENERATE 1-99999999 n$ A 192.0.2.1)",
        "$GENERATE (\n1-99999999 n$ A 192.0.2.1)",
        "$GENERATE 1-9999999999999999999999 n$ A 192.0.2.1",
    ],
)
def test_a_flood_of_generated_records_is_not_expanded(file: Path, zones: zone_files.ZoneFiles, line: str) -> None:
    """More than 65,536 of them are their domain's error before any is made; a step counts."""
    file.write_text(f"{ZONE}{line}\n")
    start = time.process_time()
    error = zones.read([OURS])["a.example"]
    assert isinstance(error, ProviderError)
    assert re.search(r"a\.example\.zone:1[34]: \$GENERATE", str(error))
    assert time.process_time() - start < 2
    file.write_text(f"{ZONE}$GENERATE 0-99999/50000 n$ A 192.0.2.1 ; $GENERATE 1-99999999\n")
    assert {"A/n0.a.example", "A/n50000.a.example"} < values(zones).keys()


@pytest.mark.parametrize("what", ["pipe", "device", "folder"])
def test_what_is_no_regular_file_is_not_opened(file: Path, zones: zone_files.ZoneFiles, what: str) -> None:
    """A pipe would never answer and a device never end: both are refused for reading and writing."""
    file.unlink()
    make_it = {"pipe": lambda: os.mkfifo(file), "device": lambda: file.symlink_to("/dev/zero"), "folder": file.mkdir}
    make_it[what]()
    with pytest.raises(Refused, match="no regular file"):
        values(zones)
    with pytest.raises(Refused, match="no regular file"):
        create(zones, OURS, [MX])


@pytest.mark.parametrize(
    "line",
    [
        "x LOC 60 0 0 N 5 0 0 E 1e999m", "x APL 1:10.0.0.0/99999", "x TYPE65535 \\# 99999999 00", "x NAPTR 1 1 a",
        "x WKS 1.2.3.4 6 99999999", "x 99999999999999999999999999999999999999999w A 1.2.3.4", "x HINFO " + "\\0" * 9,
    ],
)  # fmt: skip
def test_whatever_stands_in_a_file_stops_no_other_domain(file: Path, zones: zone_files.ZoneFiles, line: str) -> None:
    """What makes a parser stumble is its domain's error or stands for itself; no change crashes."""
    file.write_text(f"{ZONE}{line}\n")
    (file.parent / "b.example.zone").write_text(ZONE)
    answer = zones.read([OURS, Scope("b.example", "b.example")])
    assert isinstance(answer["a.example"], tuple | ProviderError)
    assert isinstance(answer["b.example"], tuple)
    with suppress(ProviderError):
        create(zones, OURS, [MX])


@pytest.mark.parametrize(
    "soa", ['SOA "a(b" c 1 2 3 4 5', "SOA a b", 'SOA "a b" c 1 2 3 4 5', f"SOA a b {'9' * 5000} 2 3 4"]
)
def test_an_odd_soa_is_refused(file: Path, zones: zone_files.ZoneFiles, soa: str) -> None:
    """Where the serial cannot be found for sure, nothing is written."""
    text = f"$TTL 60\n@ {soa}\n"
    file.write_text(text)
    with pytest.raises(Refused):
        create(zones, OURS, [MX])
    assert file.read_text() == text


def test_a_value_beyond_the_alphabet_is_refused(file: Path, zones: zone_files.ZoneFiles) -> None:
    """What no zone file can hold is refused like any other value, nothing is written."""
    for name, value in [("HINFO/a.example", '"ü" "名"'), ("CAA/a.example", '0 issue "名"'), ("SPF/a.example", '"名"')]:
        with pytest.raises(Refused):
            create(zones, OURS, [record(name, value)])
    assert file.read_text() == ZONE


def test_a_folder_without_locks_is_an_error(
    file: Path, zones: zone_files.ZoneFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems have none."""

    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(Unreachable, match="No locks available"):
        create(zones, OURS, [MX])
    assert file.read_text() == ZONE


def test_a_server_that_fails_without_a_word_is_an_error(file: Path) -> None:
    """An exit code alone says that the zone was not taken."""
    zones = zone_files.ZoneFiles(NAME, file.parent, reload=["false"])
    with pytest.raises(ProviderError, match="exit code 1"):
        create(zones, OURS, [MX])
    assert file.read_text() == ZONE


def test_a_value_cannot_smuggle_in_a_record(file: Path, zones: zone_files.ZoneFiles) -> None:
    """Whatever a value holds, nothing but its own set changes, or nothing is written."""
    evils = ["10 mx.\nevil A 192.0.2.66", "10 mx. ; gone", "10 mx. ( ", '10 "', "$INCLUDE /etc/passwd", "10 \udcff."]
    for evil in evils:
        with pytest.raises(Refused):
            create(zones, OURS, [record("MX/a.example", evil)])
        assert file.read_text() == ZONE
    evil_text = record("TXT/a.example", 'x"\nevil A 192.0.2.66\n" (')
    create(zones, OURS, [evil_text])
    assert "A/evil.a.example" not in values(zones)
    for name in ("A/www.other.example", "NS/a.example", "SOA/a.example", "A/x y.a.example", "A/;.a.example"):
        with pytest.raises(Refused):
            create(zones, OURS, [record(name, "192.0.2.1")])


def test_a_missing_zone_says_how_it_is_made(tmp_path: Path) -> None:
    """Without `create` a zone that is not there is an error for its domain alone, and nothing is made."""
    zones = zone_files.connect(NAME, {"directory": "zones"}, str(tmp_path))
    strict = Scope("b.example", "b.example")
    answer = zones.read([OURS, strict])
    assert answer["a.example"] == ()
    assert isinstance(answer["b.example"], Missing)
    assert "zone: {create: true}" in str(answer["b.example"])
    with pytest.raises(Missing):
        apply(zones, strict, change(None, make("record", "A/b.example", "b.example", values=["192.0.2.1"])))
    assert list(tmp_path.rglob("*.zone")) == []


def test_a_new_zone_names_its_servers(tmp_path: Path) -> None:
    """A zone made here has SOA and NS of the settings' nameservers and starts at serial 1."""
    servers = ["ns1.agency.example", "ns2.agency.example."]
    zones = zone_files.connect(NAME, {"directory": "deep/zones", "nameservers": servers}, str(tmp_path))
    create(zones, OURS, [MX])
    text = (tmp_path / "deep/zones/a.example.zone").read_text()
    assert text.startswith("$ORIGIN a.example.\n$TTL 3600\n@ IN SOA ns1.agency.example. hostmaster.agency.example. 1 ")
    assert "@ IN NS ns1.agency.example.\n@ IN NS ns2.agency.example.\n" in text


def test_two_domains_share_a_zone(zones: zone_files.ZoneFiles) -> None:
    """A domain inside another's zone is read and written there; the upper one sees all that is below it."""
    labs = Scope("labs.a.example", "a.example")
    mx = make("record", "MX/labs.a.example", "labs.a.example", values=["10 mx.a.example."], ttl=60)
    create(zones, labs, [mx])
    answer = zones.read([OURS, labs])
    assert [thing.address for thing in answer["labs.a.example"]] == [mx.address]
    assert mx.address in {thing.address for thing in answer["a.example"]}


@pytest.mark.parametrize("zone", ["../a.example", "a/b.example", "a..example", "/etc/a", "", ".", "-x.example", "a\n"])
def test_a_zone_name_cannot_leave_the_folder(tmp_path: Path, zone: str) -> None:
    """A name that is no plain host name is refused on reading and writing."""
    zones = zone_files.connect(NAME, {"directory": "zones"}, str(tmp_path))
    scope = Scope("a.example", zone, create=True)
    assert isinstance(zones.read([scope])["a.example"], Refused)
    with pytest.raises(Refused):
        create(zones, scope, [MX])
    assert list(tmp_path.iterdir()) == []


def test_a_broken_file_is_its_own_domains_error(file: Path, zones: zone_files.ZoneFiles) -> None:
    """What cannot be read whole is an error with file and line; other domains are answered."""
    (file.parent / "b.example.zone").write_text("$TTL 60\n@ SOA a. b. 1 2 3 4 5\n@ MX ten mx.\n")
    answer = zones.read([OURS, Scope("b.example", "b.example")])
    assert isinstance(answer["a.example"], tuple)
    assert "b.example.zone:3:" in str(answer["b.example"])
    (file.parent / "b.example.zone").write_text("$TTL 60\n@ SOA a. b. 1 2 3 4 5\n$INCLUDE /etc/passwd\n")
    error = zones.read([Scope("b.example", "b.example")])["b.example"]
    assert isinstance(error, ProviderError)
    assert "root:" not in str(error)


def test_what_is_only_readable_is_never_half_written(file: Path, zones: zone_files.ZoneFiles) -> None:
    """A file with $GENERATE or without $TTL is read by dnspython; changing it is refused with its line."""
    broad = ZONE.replace("2026112401", "9" * 5000)
    for text, line in [(ZONE + "$GENERATE 1-2 n$ A 192.0.2.$\n", 13), (ZONE.replace("$TTL 1h\n", ""), 1), (broad, 2)]:
        file.write_text(text)
        assert "A/shop.a.example" in values(zones)
        with pytest.raises(Refused, match=f"a.example.zone:{line} is read"):
            create(zones, OURS, [MX])
        assert file.read_text() == text


def test_the_file_keeps_its_permissions_and_nothing_is_left_beside(file: Path, zones: zone_files.ZoneFiles) -> None:
    """The new file has the old one's mode and owner; what a killed run left is ignored, then gone."""
    file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(file, 65534, 65534)
    before = file.stat()
    (file.parent / ".reconciler-new").write_text("$TTL 1\n@ SOA half")
    assert "A/shop.a.example" in values(zones)
    create(zones, OURS, [MX])
    after = file.stat()
    assert stat.S_IMODE(after.st_mode) == 0o640
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert list(file.parent.iterdir()) == [file]


def test_a_failed_write_leaves_the_old_file(
    file: Path, zones: zone_files.ZoneFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk fails before the rename, the old zone is there, whole."""

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unreachable, match="cannot be written: No space left on device"):
        create(zones, OURS, [MX])
    assert file.read_text() == ZONE


def test_a_link_is_read_and_never_replaced(file: Path, zones: zone_files.ZoneFiles) -> None:
    """A zone file that is a symbolic link is refused on writing, and so is an empty one."""
    file.rename(file.with_suffix(".real"))
    file.symlink_to(file.with_suffix(".real"))
    assert "A/shop.a.example" in values(zones)
    with pytest.raises(Refused, match="symbolic link"):
        create(zones, OURS, [MX])
    file.unlink()
    file.touch()
    assert values(zones) == {}
    with pytest.raises(Refused, match="one SOA"):
        create(zones, OURS, [MX])


def test_an_unknown_reload_is_refused(tmp_path: Path) -> None:
    """`reload` names a server; it is never a command."""
    with pytest.raises(Refused, match="one of bind, knot, nsd"):
        zone_files.connect(NAME, {"directory": ".", "reload": "rm -rf /"}, str(tmp_path))
