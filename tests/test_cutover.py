"""A domain moves from another mail server, stage by stage, on a clock of the test; and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from reconciler import estate as estates
from reconciler import journal
from tests.estates import AGENCY, NORTHWIND_DNS, dns, make, northwind

if TYPE_CHECKING:
    from pathlib import Path

    from tests.estates import Estate

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 12, 1, 9, 0, tzinfo=BERLIN)
OLD, NEW = ["10 mx.oldhost.example."], ["10 mx1.agency.example."]
MOVING = "cutover: {from: oldhost, ttl: 5 min, mx: '2026-12-05 22:00', watch: 3 days}\n"
SRV = "records: [{name: _imaps._tcp, type: SRV, values: ['0 1 993 imap.agency.example.']}]\n"
SERVERS = AGENCY.replace(
    "servers:\n", "servers:\n  oldhost: {mx: [10 mx.oldhost.example.], spf: spf.oldhost.example}\n"
)
MX = "record/MX/northwind.example"


class Clock:
    """The time of the estate and of the journal, wherever it stands."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = START
        clock = self

        class Moved(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
                return clock.time.astimezone(tz or UTC)

        monkeypatch.setattr(estates, "datetime", Moved)
        monkeypatch.setattr(journal, "datetime", Moved)

    def at(self, text: str) -> None:
        self.time = datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def estate(tmp_path: Path, clock: Clock) -> Estate:
    """A domain that is ours in DNS, its mail at another server: MX and SPF are that one's, with a TTL of a day."""
    old = (
        "server: oldhost\nrecords: [{name: '@', type: MX, values: [10 mx.oldhost.example.], ttl: 1 day, mode: replace, "
        "reason: still there}]\n"
    )
    return make(tmp_path / "estate", northwind(names=old), agency=SERVERS).applied()


def begin(estate: Estate, more: str = MOVING + SRV) -> None:
    estate.write({NORTHWIND_DNS: dns(more)[NORTHWIND_DNS]})


def live(estate: Estate) -> dict[str, Any]:
    """What the zone says of the mail: MX, its TTL, SPF, and whether programs are led to us."""
    lines = [line.split() for line in estate.zone().read_text().splitlines()]
    mx = [line for line in lines if "MX" in line]
    spf = next(" ".join(line) for line in lines if "TXT" in line and "v=spf1" in " ".join(line))
    return {
        "mx": [" ".join(line[-2:]) for line in mx],
        "ttl": {int(line[1]) for line in mx},
        "old": "spf.oldhost.example" in spf,
        "new": "spf.agency.example" in spf,
        "srv": any("SRV" in line for line in lines),
    }


def planned(estate: Estate) -> tuple[set[str], set[str], list[tuple[str | None, str]]]:
    """(what is declared, what is due, what is later and why) of the domain's records."""
    tenant = estate.plan()["tenants"][0]
    assert {change["reason"] for change in tenant["due"]} <= {"stage"}
    later = [(w["when"], w["why"]) for w in tenant["later"] if w["address"].endswith(MX)]
    names = [
        {c["address"].split(":")[1] for c in tenant[key] if "record/" in c["address"]} for key in ("changes", "due")
    ]
    return names[0], names[1], later


def test_a_domain_moves_in_stages(estate: Estate, clock: Clock) -> None:
    """TTL first, the MX when the moment has come, the old server leaves SPF at the end; `--due` makes each."""
    begin(estate)
    assert planned(estate)[0] == {MX, "record/TXT/northwind.example"}
    assert estate.apply().code == 0
    assert live(estate) == {"mx": OLD, "ttl": {300}, "old": True, "new": True, "srv": False}
    assert planned(estate) == (set(), set(), [("2026-12-05", "cut-over, 2026-12-05 22:00: the MX moves then")])
    clock.at("2026-12-05 21:59")
    assert estate.run("apply", "--due").code == 0
    assert live(estate)["mx"] == OLD
    clock.at("2026-12-05 22:00")
    assert planned(estate)[1] == {MX, "record/SRV/_imaps._tcp.northwind.example"}
    assert estate.run("apply", "--due").code == 0
    assert live(estate) == {"mx": NEW, "ttl": {300}, "old": True, "new": True, "srv": True}
    assert planned(estate)[2] == [("2026-12-08", "cut-over, 2026-12-08 22:00: both servers are watched until then")]
    clock.at("2026-12-08 22:00")
    assert planned(estate)[1] == {MX, "record/TXT/northwind.example"}
    assert estate.run("apply", "--due").code == 0
    assert live(estate) == {"mx": NEW, "ttl": {3600}, "old": False, "new": True, "srv": True}
    assert "PL231" in {finding["code"] for finding in estate.plan()["tenants"][0]["findings"]}
    begin(estate, SRV)
    assert planned(estate) == (set(), set(), [])


def test_the_old_ttl_has_to_run_out(estate: Estate, clock: Clock) -> None:
    """Begun two hours before the moment: the MX waits for those who keep the old answer a day, and the plan warns."""
    clock.at("2026-12-05 20:00")
    begin(estate)
    late = [f for f in estate.plan()["tenants"][0]["findings"] if f["code"] == "PL232"]
    assert late[0]["detail"].startswith(
        "Lowered now, its TTL of 86400 s has run out 2026-12-06 20:00, not 2026-12-05 22:00."
    )
    assert estate.apply().code == 0
    clock.at("2026-12-06 19:00")
    assert planned(estate)[2] == [("2026-12-06", "cut-over, 2026-12-06 20:00: the old TTL of 86400 s has to run out")]
    clock.at("2026-12-06 20:00")
    assert planned(estate)[1] == {MX, "record/SRV/_imaps._tcp.northwind.example"}


def test_no_stage_is_skipped(estate: Estate, clock: Clock) -> None:
    """Long after all moments, what was never prepared is prepared first, and each stage waits for the one before."""
    clock.at("2027-01-01 00:00")
    begin(estate)
    assert estate.apply().code == 0
    assert live(estate)["mx"] == OLD
    clock.time += timedelta(days=1)
    assert estate.run("apply", "--yes").code == 0
    assert (live(estate)["mx"], live(estate)["old"]) == (NEW, True)
    assert estate.run("apply", "--yes").code == 0
    assert live(estate)["old"]
    clock.time += timedelta(days=3)
    assert estate.run("apply", "--yes").code == 0
    assert not live(estate)["old"]


def test_without_a_moment_it_waits(estate: Estate) -> None:
    """The day is not set yet: everything is prepared, and the plan says what is missing."""
    begin(estate, "cutover: {from: oldhost}\n")
    assert estate.apply().code == 0
    assert planned(estate)[2] == [(None, "cut-over, no moment is set for the MX to move (`cutover.mx`)")]


@pytest.mark.parametrize("stage", ["2026-12-01 10:00", "2026-12-05 22:00", "2026-12-08 22:00"])
def test_it_goes_back_from_every_stage(estate: Estate, clock: Clock, stage: str) -> None:
    """The revert of the commit that began it: MX, TTL and SPF are the old server's again."""
    before = live(estate)
    begin(estate)
    estate.apply()
    for moment in ("2026-12-05 22:00", "2026-12-08 22:00"):
        if moment <= stage:
            clock.at(moment)
            assert estate.run("apply", "--due").code == 0
    estate.git("revert", "--no-edit", "HEAD")
    assert estate.apply().code == 0
    assert live(estate) == before


def test_a_domain_that_has_arrived_is_left_alone(tmp_path: Path, clock: Clock) -> None:
    """The block is added to a domain whose mail is ours already: its MX is not taken back to the old server."""
    estate = make(tmp_path / "estate", northwind(), agency=SERVERS).applied()
    begin(estate)
    assert MX not in planned(estate)[0]
    assert "PL231" in {finding["code"] for finding in estate.plan()["tenants"][0]["findings"]}


@pytest.mark.parametrize(
    ("name", "why"), [("nowhere", "is none under `servers`"), ("bare", "has no `mx` under `servers`")]
)
def test_a_server_that_is_not_described_is_bad_input(tmp_path: Path, name: str, why: str) -> None:
    """Where the mail is now has to be known."""
    agency = AGENCY.replace("servers:\n", "servers:\n  bare: {spf: spf.bare.example}\n")
    estate = make(tmp_path / "estate", northwind(names=f"cutover: {{from: {name}}}\n"), agency=agency)
    found = [f for f in estate.run("validate", "--format", "json").json["findings"] if f["code"] == "IN240"]
    assert (found[0]["line"], why in found[0]["detail"]) == (3, True)
