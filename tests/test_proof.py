"""What the world sees of a run: asked at the authoritative servers, and signing waits for it. A real NSD serves."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from reconciler import witnesses
from tests.estates import AGENCY, NORTHWIND_DNS, dns, make, northwind
from tests.providers.test_zone_files_servers import CONFIGURATIONS, answered
from tests.servers import SBIN, free_port, need

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.estates import Estate

pytestmark = need("nsd", "nsd-control")

EMPTY = "$TTL 3600\n@ IN SOA ns1 hostmaster 1 86400 7200 3600000 3600\n@ IN NS ns1\nns1 IN A 127.0.0.1\n"
SIGNED = "dkim: {sign: [s1], keys: {s1: {type: rsa}}}\n"
ROTATED = "dkim: {sign: [s2], keys: {s1: {type: rsa}, s2: {type: rsa}}}\n"
S1 = "s1._domainkey.northwind.example"


class Nsd:
    """NSD on a folder of zones: told of a change by the provider (`control`), or deaf."""

    def __init__(self, run: Path) -> None:
        self.run, self.port = run, free_port()
        self.zones = run / "zones"

    def settings(self, *, reload: bool = True) -> str:
        telling = f", reload: nsd, control: {self.run}/conf" if reload else ""
        return f'{{type: zone_files, directory: {self.zones}, authoritative: ["127.0.0.1:{self.port}"]{telling}}}'


@contextmanager
def serving(run: Path) -> Iterator[Nsd]:
    nsd = Nsd(run)
    nsd.zones.mkdir()
    (nsd.zones / "northwind.example.zone").write_text(EMPTY)
    configuration = CONFIGURATIONS["nsd"].format(run=run, port=nsd.port).replace("a.example", "northwind.example")
    (run / "conf").write_text(configuration)
    with (run / "log").open("wb") as log:
        process = subprocess.Popen(["nsd", "-d", "-c", str(run / "conf")], stdout=log, stderr=log)
    try:
        answered(nsd.port, "northwind.example", "SOA", (run / "log").read_text)
        while not (run / "nsd.ctl").exists():
            time.sleep(0.01)
        yield nsd
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def nsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nsd]:
    monkeypatch.setenv("PATH", SBIN, prepend=":")
    with TemporaryDirectory() as folder, serving(Path(folder)) as server:
        yield server


def agency(settings: str) -> str:
    line = next(line for line in AGENCY.splitlines() if "zone_files" in line)
    return AGENCY.replace(line, f"  dns: {{zones: {settings}}}")


def estate_of(folder: Path, settings: str, names: str = SIGNED) -> Estate:
    return make(folder / "estate", northwind(names=names), agency=agency(settings))


def planned(estate: Estate) -> tuple[set[str], dict[str, str], set[str]]:
    """(what is declared, what is due with its reason, what waits for a record) of the DKIM side."""
    tenant = estate.plan()["tenants"][0]
    changes = {c["address"].split(":")[1] for c in tenant["changes"]}
    due = {c["address"].split(":")[1]: c["reason"] for c in tenant["due"]}
    later = {w["address"].split(":")[1] for w in tenant["later"] if "name server" in w["why"]}
    return changes, due, later


def test_a_domain_is_signed_once_the_world_has_its_key(tmp_path: Path, nsd: Nsd) -> None:
    """Key and record first; signing waits, is due once every server has the record, and `--due` alone makes it."""
    estate = estate_of(tmp_path, nsd.settings())
    changes, due, later = planned(estate)
    assert {f"dkim_key/{S1}", f"record/TXT/{S1}"} <= changes
    assert (due, later) == ({}, {"dkim_signing/northwind.example"})
    run = estate.apply().json["tenants"][0]
    assert run["result"] == "applied"
    assert {proof["why"] for proof in run["proofs"]} == {""}
    assert any(proof["address"] == f"zones:record/TXT/{S1}" for proof in run["proofs"])
    assert planned(estate) == (set(), {"dkim_signing/northwind.example": "stage"}, set())
    done = estate.run("apply", "--due", "--format", "json").json["tenants"][0]["done"]
    assert [change["address"] for change in done] == ["mailhost:dkim_signing/northwind.example"]
    assert planned(estate) == (set(), {}, set())


def test_a_key_is_rotated_in_stages(tmp_path: Path, nsd: Nsd) -> None:
    """The new key is published, seen, signed with; until then the old one signs, and a revert ends the whole."""
    estate = estate_of(tmp_path, nsd.settings())
    estate.apply()
    estate.run("apply", "--due")
    estate.write({NORTHWIND_DNS: dns(ROTATED)[NORTHWIND_DNS]})
    changes, due, later = planned(estate)
    assert changes == {"dkim_key/s2._domainkey.northwind.example", "record/TXT/s2._domainkey.northwind.example"}
    assert (due, later) == ({}, {"dkim_signing/northwind.example"})
    assert estate.apply().code == 0
    assert planned(estate)[1] == {"dkim_signing/northwind.example": "stage"}
    assert estate.run("apply", "--due").code == 0
    assert planned(estate) == (set(), {}, set())
    estate.git("revert", "--no-edit", "HEAD")
    changes, due, later = planned(estate)
    assert "dkim_signing/northwind.example" in changes | due.keys()
    assert estate.apply().code == 0
    assert planned(estate)[0] == set()


def test_an_old_key_rests_from_the_last_signature_on(tmp_path: Path, nsd: Nsd) -> None:
    """Taken out in the commit that brings the new one: while live signs with it nothing of it is counted down."""
    estate = estate_of(tmp_path, nsd.settings())
    estate.apply()
    estate.run("apply", "--due")
    estate.write(dns("dkim: {sign: [s2], keys: {s2: {type: rsa}}}\n"))
    assert waits(estate) == {f"dkim_key/{S1}": None, f"record/TXT/{S1}": None}
    assert estate.apply().code == 0
    assert waits(estate) == {f"dkim_key/{S1}": None, f"record/TXT/{S1}": None}
    assert estate.run("apply", "--due").code == 0
    assert estate.apply().code == 0
    assert all(waits(estate).values())
    assert sorted(waits(estate)) == [f"dkim_key/{S1}", f"record/TXT/{S1}"]


def waits(estate: Estate) -> dict[str, str | None]:
    """{what is to be purged: from which day on}."""
    later = estate.plan()["tenants"][0]["later"]
    return {w["address"].split(":")[1]: w["when"] for w in later if w["action"] == "purge"}


def test_a_server_that_does_not_say_it_fails_the_run(tmp_path: Path, nsd: Nsd, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is written and the server was not told: LV001 names it, the run failed, and how to undo it is said."""
    monkeypatch.setattr(witnesses, "WITHIN", 0.3)
    estate = estate_of(tmp_path, nsd.settings(reload=False))
    run = estate.run("apply", "--yes")
    assert run.code == 1
    assert "error LV001" in run.out
    assert "to undo what was made: reconciler rollback " in run.out
    [entry] = estate.run("log", "--format", "json").json["runs"]
    assert entry["tenants"][0]["result"] == "failed"
    assert planned(estate) == (set(), {}, {"dkim_signing/northwind.example"})


def test_a_wildcard_in_the_place_of_what_is_gone_is_no_failure(
    tmp_path: Path, nsd: Nsd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once `www` is gone the zone's own `*` answers for it (RFC 4592): the record is gone all the same."""
    monkeypatch.setattr(witnesses, "WITHIN", 0.3)
    (nsd.zones / "northwind.example.zone").write_text(f"{EMPTY}* IN A 192.0.2.9\n")
    www = "records: [{name: www, type: A, values: [192.0.2.1]}]\n"
    estate = estate_of(tmp_path, nsd.settings(), www).applied()
    estate.write(dns(""))
    run = estate.apply()
    assert [change["address"] for change in run.json["tenants"][0]["done"]] == ["zones:record/A/www.northwind.example"]
    assert (run.code, [proof["why"] for proof in run.json["tenants"][0]["proofs"]]) == (0, [""])


def test_a_long_answer_is_told_in_short(tmp_path: Path, nsd: Nsd, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands there in place of ours may be as long as DNS allows: a finding quotes its beginning."""
    monkeypatch.setattr(witnesses, "WITHIN", 0.3)
    file = nsd.zones / "northwind.example.zone"
    long = " ".join(['"' + "x" * 250 + '"'] * 40)
    file.write_text(f"{EMPTY}_dmarc IN TXT {long}\n")
    subprocess.run(["nsd-control", "-c", str(nsd.run / "conf"), "reload"], check=True, capture_output=True)
    answered(nsd.port, "_dmarc.northwind.example", "TXT", (nsd.run / "log").read_text)
    (found,) = estate_of(tmp_path, nsd.settings(reload=False)).run("apply", "--yes", "--format", "json").json["tenants"]
    details = [f["detail"] for f in found["findings"] if "_dmarc" in f["subject"]]
    assert details
    assert all("xxx" in text and len(text) < 600 for text in details)


def test_what_name_servers_said_is_in_the_journal(tmp_path: Path, nsd: Nsd) -> None:
    """The evidence: each record set, each server, what was wrong."""
    estate = estate_of(tmp_path, nsd.settings())
    assert estate.apply().code == 0
    told = json.loads(estate.git("show", "refs/reconciler/tenants/northwind:run.json"))
    server = f"127.0.0.1:{nsd.port}"
    assert {"address": "zones:record/MX/northwind.example", "server": server, "why": "", "note": ""} in told["proofs"]


def test_where_no_server_is_named_nothing_is_asked(tmp_path: Path, nsd: Nsd) -> None:
    """Signing begins with the record's writing, in one apply, and no word says that anybody saw it."""
    estate = make(tmp_path / "estate", northwind(names=SIGNED))
    run = estate.apply().json["tenants"][0]
    assert run["proofs"] == []
    assert "mailhost:dkim_signing/northwind.example" in {change["address"] for change in run["done"]}


@pytest.mark.parametrize("said", ['"a b"', "1", '[""]', '["ns1:0"]', '["2001:db8::1"]', "[]"])
def test_servers_that_are_none_are_bad_input(tmp_path: Path, said: str) -> None:
    """`authoritative` is checked with the other settings."""
    settings = f"{{type: zone_files, directory: var/zones, authoritative: {said}}}"
    run = estate_of(tmp_path, settings).run("validate", "--format", "json")
    assert run.code == 1
    assert all("authoritative" in f["detail"] for f in run.json["findings"])
