"""Rollout: canary tenants are applied first, then waves; one that fails stops the ones after it."""

from __future__ import annotations

import pytest

from reconciler.waves import waves
from tests.estates import AGENCY, dns, mail, make, tenant

NAMES = ("adatum", "contoso", "fabrikam", "northwind")
ROLLOUT = {"reconciler.yaml": f"{AGENCY}rollout: {{canary: [northwind], wave: 2}}\n"}
PRESS = "aliases:\n  press: [jane]\n"


def everybody(more=""):
    """Four clients with one domain each."""
    found = {}
    for name in NAMES:
        domain = f"{name}.example"
        found |= {**tenant(name), **mail({"jane": "{owner: jane}"}, more, domain), **dns("", domain)}
    return found


def out_of_order(estate, name):
    """From now on the mail system takes no new alias of a client."""
    estate.sql(
        f"CREATE TRIGGER refuse BEFORE INSERT ON alias WHEN NEW.address LIKE '%@{name}.example' "
        "BEGIN SELECT RAISE(ABORT, 'out of order'); END"
    )


def results(run):
    """{tenant: what became of it}."""
    return {found["tenant"]: found["result"] for found in run.json["tenants"]}


@pytest.fixture
def estate(tmp_path):
    """Four clients, applied; now each gets an alias, and Northwind is the canary."""
    estate = make(tmp_path / "estate", everybody()).applied({})
    estate.write({**everybody(PRESS), **ROLLOUT})
    return estate


WAVES = {
    "canaries first, then by name": ({"canary": ["d", "b"], "wave": 2}, [["d", "b"], ["a", "c"], ["e"]]),
    "a canary that is not there": ({"canary": ["x"], "wave": 3}, [["a", "b", "c"], ["d", "e"]]),
    "no canary": ({"wave": 4}, [["a", "b", "c", "d"], ["e"]]),
    "no size": ({"canary": ["a"]}, [["a"], ["b", "c", "d", "e"]]),
    "no rollout": ({}, [["a", "b", "c", "d", "e"]]),
}


@pytest.mark.parametrize("how", WAVES)
def test_canaries_go_first_then_waves_by_name(how):
    """As `rollout` says; a part that is left out changes nothing."""
    rollout, wanted = WAVES[how]
    assert waves(["e", "d", "c", "b", "a"], rollout) == wanted


def test_when_nothing_fails_everybody_is_applied(estate):
    """Three waves, one after another, in one run."""
    done = estate.apply()
    assert (done.code, set(results(done).values())) == (0, {"applied"})
    assert all(found["changes"] == [] for found in estate.plan()["tenants"])


def test_a_canary_that_fails_stops_everybody_else(estate):
    """Nothing is written at the others, and each says why and how to go on."""
    out_of_order(estate, "northwind")
    before = estate.sql("SELECT address FROM alias WHERE address NOT LIKE '%northwind%'")
    done = estate.apply()
    assert (done.code, results(done)) == (1, dict.fromkeys(NAMES, "skipped") | {"northwind": "failed"})
    assert estate.sql("SELECT address FROM alias WHERE address NOT LIKE '%northwind%'") == before
    found = done.json["tenants"][0]
    assert found["error"] == "not begun, for northwind failed in a wave before"
    assert found["not_done"][0]["why"] == found["error"]
    assert found["rerun"] == "reconciler apply --tenant adatum --yes"
    assert "adatum  skipped: 0 done" in estate.run("apply", "--yes").out
    estate.sql("DROP TRIGGER refuse")
    assert set(results(estate.apply()).values()) == {"applied"}


def test_a_wave_that_fails_stops_the_ones_after_it(estate):
    """Its neighbours in the wave are done, and so is the canary; Fabrikam is not begun."""
    out_of_order(estate, "adatum")
    done = estate.apply()
    wanted = {"northwind": "applied", "adatum": "failed", "contoso": "applied", "fabrikam": "skipped"}
    assert (done.code, results(done)) == (1, wanted)


def test_a_canary_that_cannot_be_read_stops_everybody_else(estate):
    """Nothing was learnt from it."""
    estate.zone().write_text("no zone file")
    done = estate.apply()
    assert (done.code, results(done)) == (1, dict.fromkeys(NAMES, "skipped") | {"northwind": "failed"})


def test_a_canary_that_is_refused_is_no_failure(estate):
    """A tenant's own mistake is its own: the others go on."""
    estate.write(mail({"jane": "{owner: jane}"}, "aliases:\n  press: [nobody]\n"))
    done = estate.apply()
    assert (done.code, results(done)) == (3, dict.fromkeys(NAMES, "applied") | {"northwind": "refused"})


def test_without_rollout_a_failure_stops_nobody(estate):
    """Tenants are islands: what the database refuses of the first keeps no lock that the others would wait for."""
    estate.write({"reconciler.yaml": AGENCY})
    out_of_order(estate, "adatum")
    done = estate.apply()
    assert (done.code, results(done)) == (1, dict.fromkeys(NAMES, "applied") | {"adatum": "failed"})


def test_a_canary_that_is_no_tenant_is_told(estate):
    """A slip in its name would mean that nobody goes first."""
    estate.write({"reconciler.yaml": f"{AGENCY}rollout: {{canary: [northwind, nortwind]}}\n"})
    findings = estate.run("validate", "--format", "json").json["findings"]
    assert [(f["code"], f["severity"], f["subject"]) for f in findings] == [("IN235", "warning", "nortwind")]
