"""Zones whose serial has not moved: what is not read again, and all that is, on a real PowerDNS."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from reconciler.errors import Conflict
from reconciler.providers import powerdns
from reconciler.providers._kept import AGE, Kept
from tests.providers.contract import NAME, OURS, apply, change, create, make, read
from tests.servers import need
from tests.servers.dns import PowerDns
from tests.servers.faults import Faulty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from reconciler.model import Resource

pytestmark = need("pdns_server")
IDENTITY = "0123456789abcdef" * 2
MX = make("record", "MX/a.example", "a.example", values=["10 mx.a.example."], ttl=3600)
SPF = make("record", "TXT/a.example", "a.example", values=["v=spf1 -all"], ttl=3600)
ELSEWHERE = MX.having(values=("10 other.example.",))
BEHIND = "UPDATE records SET content = 'other.example' WHERE type = 'MX'"  # no serial moves


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PowerDns]:
    with PowerDns(tmp_path_factory.mktemp("pdns")) as server:
        yield server


@pytest.fixture
def between(running: PowerDns) -> Iterator[Faulty]:
    """In front of a server with an identity and one zone."""
    connect(running.url).identify(IDENTITY)
    create(connect(running.url), OURS, [MX])
    with Faulty(running.api) as between:
        yield between
    running.clear()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def connect(url: str, *, trusts: bool = False) -> powerdns.PowerDns:
    return powerdns.connect(NAME, {"url": url, "key": PowerDns.key, "trust_serials": trusts}, "/")


def another_run(between: Faulty) -> tuple[bool, Resource]:
    """What a new run reads of the MX, and whether it asked for the zone."""
    between.asked.clear()
    found = read(connect(between.url, trusts=True))[MX.address]
    return any("/zones/a.example." in path for _, path in between.asked), found


def files(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file()]


def test_a_zone_with_the_same_serial_is_not_read_again(between: Faulty, running: PowerDns) -> None:
    """In later runs, until somebody changes something by the API; then once more."""
    asked = [another_run(between)[0] for _ in range(3)]
    running.put("A/www.a.example", "192.0.2.1")
    asked += [another_run(between)[0] for _ in range(2)]
    running.put("MX/a.example", "10 other.example.")
    assert another_run(between) == (True, ELSEWHERE)
    assert asked == [True, False, False, True, False]


def test_what_is_not_asked_for_is_not_kept(between: Faulty, cache: Path) -> None:
    """Without the setting nothing is kept, and nothing that was kept is believed."""
    zones = connect(between.url)
    for _ in range(2):
        between.asked.clear()
        read(zones)
        assert any("/zones/a.example." in path for _, path in between.asked)
    assert files(cache) == []


def test_a_change_is_made_of_what_is_there(between: Faulty, running: PowerDns) -> None:
    """A change behind the serial is not seen by a plan, yet nothing is written over it; from the first write on all
    is read anew.
    """
    another_run(between)
    running.sql(BEHIND)
    zones = connect(between.url, trusts=True)
    assert read(zones)[MX.address] == MX
    with pytest.raises(Conflict):
        apply(zones, OURS, change(MX, MX.having(ttl=60)))
    assert read(zones)[MX.address] == ELSEWHERE
    apply(zones, OURS, change(None, SPF))
    assert read(zones)[SPF.address] == SPF
    assert another_run(between) == (True, ELSEWHERE)


@pytest.mark.parametrize("method", ["", "EPOCH"])
def test_a_serial_that_need_not_move_is_not_trusted(between: Faulty, running: PowerDns, method: str) -> None:
    """Where the API leaves it as it is, or moves it once a second at most."""
    running.ask("PUT", "/zones/a.example.", {"soa_edit_api": method})
    assert [another_run(between)[0] for _ in range(2)] == [True, True]


def test_serial_0_is_not_trusted(between: Faulty, running: PowerDns) -> None:
    """It says nothing: a zone in the list without a SOA has it, too."""
    running.sql("UPDATE records SET content = replace(content, ' 1 ', ' 0 ') WHERE type = 'SOA'")
    assert [another_run(between)[0] for _ in range(2)] == [True, True]


def test_a_system_without_identity_is_read(between: Faulty, running: PowerDns, cache: Path) -> None:
    """Nobody could tell it from another one; and what is kept of one is not believed of the next."""
    running.ask("DELETE", "/zones/reconciler-identity.invalid.")
    assert [another_run(between)[0] for _ in range(2)] == [True, True]
    assert files(cache) == []
    for identity in (IDENTITY, IDENTITY[::-1]):
        connect(running.url).identify(identity)
        assert [another_run(between)[0] for _ in range(2)] == [True, False]
        running.ask("DELETE", "/zones/reconciler-identity.invalid.")


def says(**more: object) -> Callable[[Path], object]:
    def write(path: Path) -> object:
        return path.write_text(json.dumps({**json.loads(path.read_text()), **more}))

    return write


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff"),
        lambda path: path.write_bytes(path.read_bytes()[:-9]),
        lambda path: path.write_bytes(b"[" * 100_000),
        lambda path: path.write_bytes(b"9" * 5000),
        lambda path: path.write_bytes(b"null"),
        says(serial=7),
        says(serial=True),
        says(zone="b.example"),
        says(sets={}),
        says(sets=[5]),
        says(sets=[{"type": "MX", "name": "a.example", "ttl": 60, "values": [5]}]),
        says(sets=[{"type": "MX", "name": "a.example", "ttl": None, "values": []}]),
        lambda path: path.chmod(0o622),
        lambda path: os.utime(path, (0, time.time() - AGE - 1)),
        lambda path: os.utime(path, (0, time.time() + 3600)),
        lambda path: (path.unlink(), path.mkdir()),
    ],
)
def test_a_file_that_cannot_be_trusted_counts_as_none(
    between: Faulty, cache: Path, harm: Callable[[Path], object]
) -> None:
    """Torn, of something else, old, or anybody's to write: the zone is read."""
    another_run(between)
    harm(files(cache)[0])
    assert another_run(between) == (True, MX)
    assert len(files(cache)) < 2


def test_files_are_for_their_owner(between: Faulty, cache: Path) -> None:
    """They say what a client has in DNS, and nothing else: no key, no address of the server."""
    another_run(between)
    (file,) = files(cache)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert PowerDns.key not in file.read_text()
    assert json.loads(file.read_text()).keys() == {"zone", "serial", "sets"}


@pytest.mark.parametrize("home", ["{}/file", "/dev/null"])
def test_a_cache_that_cannot_be_written_costs_nothing(
    between: Faulty, cache: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    """Then each run reads."""
    (cache / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", home.format(cache))
    assert [another_run(between) for _ in range(2)] == [(True, MX)] * 2


def test_a_name_is_no_path() -> None:
    """Whatever a zone is called, its file is in the folder; values of any bytes are given back as they were."""
    kept = Kept(IDENTITY)
    sets = {("TXT", "x"): (("\udcff", "ü"), 60)}
    for zone in ("0/25.2.0.192.in-addr.arpa", "..", "../../x", "x\0", "x" * 300):
        kept.keep(zone, 1, sets)
        assert kept.sets(zone, 1) == (None if len(zone) > 250 else sets)
