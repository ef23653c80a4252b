"""A ledger belongs to one live system: what happens when another one, or none, stands behind a provider's name."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from reconciler import holders, journal
from reconciler.providers.zone_files import ZoneFiles
from tests.estates import AGENCY, BOXES, accepts, codes, contoso, control, mail, make, northwind, summary, tenant

REF = "refs/reconciler/tenants/northwind"
FILE = ".reconciler-identity"
INFO = "aliases:\n  info: [jane]\n"


@pytest.fixture
def estate(tmp_path):
    """Northwind and Contoso, applied."""
    return make(tmp_path / "estate", northwind(), contoso()).applied({})


def known(estate, tenant="northwind"):
    """The identities that a tenant's ledger holds."""
    text = estate.git("show", f"refs/reconciler/tenants/{tenant}:ledger.jsonl")
    return json.loads(text.splitlines()[0])["identities"]


def live(estate):
    """The identities that the systems say they have."""
    ((mailhost,),) = estate.sql("SELECT identity FROM reconciler_identity")
    return {"mailhost": mailhost, "zones": (estate.root / "var/zones" / FILE).read_text().strip()}


def released(*names):
    said = ", ".join(f"{name}: the old host is gone" for name in names)
    return {"reconciler.yaml": f"{AGENCY}released: {{{said}}}\n"}


def elsewhere(estate):
    """Somebody else's mail database, with a mailbox that is called like one of ours."""
    files = northwind({"jane": "{owner: jane, quota: 1 GiB}"}, "")
    return make(estate.root.parent / "elsewhere", files).applied({}).database


def emptied_database(estate):
    for (table,) in estate.sql("SELECT name FROM sqlite_master WHERE type = 'table'"):
        estate.sql(f"DROP TABLE {table}")


def refused(estate, *names, new=""):
    """A plan and an apply are refused for these providers, with both ways out, and nothing at all is written.

    Of the `new` tenant all is planned, and refused too.
    """
    world = estate.world()
    plan = estate.run("plan", "--format", "json")
    assert plan.code == 3, plan.out
    for one in plan.json["tenants"]:
        found = [finding for finding in one["findings"] if finding["code"] == "PL306"]
        assert [finding["subject"] for finding in found] == list(names)
        for finding in found:
            assert "`--enforce all`" in finding["detail"]
            assert f"`released: {{{finding['subject']}: REASON}}`" in finding["detail"]
            assert (finding["file"], finding["line"] > 1) == ("reconciler.yaml", True)
        silent = [one["changes"], one["drift"], one["forgotten"], one["adopted"], one["unread"]]
        assert one["tenant"] == new or not [
            item for part in silent for item in part if _address(item).partition(":")[0] in names
        ]
    done = estate.apply()
    assert (done.code, {tenant["result"] for tenant in done.json["tenants"]}) == (3, {"refused"})
    assert estate.world() == world
    return True


def _address(item):
    return item if isinstance(item, str) else item["address"]


def settled(estate):
    """A second plan has nothing to do, and an apply of it writes nothing."""
    assert [tenant["changes"] for tenant in estate.plan()["tenants"]] == [[] for _ in estate.plan()["tenants"]]
    world = estate.world()
    assert estate.apply().code == 0
    return estate.world() == world


# ---------------------------------------------------------------------- the first apply


def test_the_first_apply_leaves_it_on_both_sides(estate):
    """Random, in the systems and in the ledger of each tenant that has things there; a second run changes nothing."""
    assert live(estate) == known(estate) == known(estate, "contoso")
    assert all(re.fullmatch("[0-9a-f]{32}", identity) for identity in live(estate).values())
    assert len(set(live(estate).values())) == 2
    assert settled(estate)


def test_a_plan_leaves_none(tmp_path):
    """Only an apply writes; a plan makes neither a folder nor a file nor a table."""
    estate = make(tmp_path / "estate", northwind())
    assert estate.plan()["summary"]["create"] > 0
    assert not (estate.root / "var").exists()


def test_a_later_tenant_takes_the_one_that_is_there(estate):
    """What is there already belongs to the estate: nobody gives it another one."""
    before = live(estate)
    fabrikam = {name.replace("contoso", "fabrikam"): text for name, text in contoso().items()}
    estate.applied({name: text.replace("contoso", "fabrikam") for name, text in fabrikam.items()})
    assert (known(estate, "fabrikam"), live(estate)) == (before, before)


def test_adopting_leaves_it_too(estate):
    """A ledger that only takes in what is live knows the system too, and gives it an identity where it has none."""
    estate.git("update-ref", "-d", REF)
    estate.sql("DROP TABLE reconciler_identity")
    estate.write(dict.fromkeys(contoso()))
    estate.git("update-ref", "-d", "refs/reconciler/tenants/contoso")
    plan = estate.one()
    assert (plan["changes"], len(plan["adopted"])) == ([], 9)
    assert estate.apply().code == 0
    assert known(estate) == live(estate)


def test_a_read_only_provider_gets_none(tmp_path):
    """Nothing is written there, an identity least of all; what is done elsewhere has its own."""
    agency = AGENCY.replace("directory: var/zones,", "directory: var/zones, read_only: true,")
    estate = make(tmp_path / "estate", northwind(), agency=agency)
    assert estate.apply().code == 0
    assert not (estate.root / "var/zones").exists()
    assert known(estate) == {"mailhost": known(estate)["mailhost"]}


def test_while_it_is_read_only_nobody_asks(estate):
    """Nothing can be lost there: what is gone is told as drift. Writable again, the system must be the one it was."""
    estate.write(
        {"reconciler.yaml": AGENCY.replace("type: postfix_dovecot,", "type: postfix_dovecot, read_only: true,")}
    )
    shutil.copy(elsewhere(estate), estate.database)
    before = known(estate)
    plan = estate.one()
    assert (codes(plan["findings"]), plan["changes"], plan["forgotten"]) == ({"PL201"}, [], [])
    assert estate.apply().code == 0
    assert known(estate) == before
    estate.write({"reconciler.yaml": AGENCY})
    assert refused(estate, "mailhost")


# ---------------------------------------------------------------------- another system behind the name


def test_another_database_is_refused(estate):
    """Somebody else's mail system is neither compared with our ledger nor written, though it looks much the same."""
    estate.write(mail({**BOXES, "max": "{owner: jane}"}, ""))
    shutil.copy(elsewhere(estate), estate.database)
    assert refused(estate, "mailhost")
    assert summary(estate.one()["changes"]) == set()


def test_an_emptied_database_is_refused(estate):
    """It is not a thousand things removed by hand, and not a ledger to forget."""
    estate.write(mail({"jane": BOXES["jane"]}, ""))
    emptied_database(estate)
    assert refused(estate, "mailhost")


def test_a_database_that_is_not_there_is_refused_and_not_made(estate):
    """A path that leads nowhere, a disk that is not mounted: nothing is made in its place."""
    estate.database.unlink()
    assert refused(estate, "mailhost")
    assert not estate.database.exists()


@pytest.mark.parametrize("create", [True, False])
def test_another_zone_folder_is_refused(estate, create):
    """Swapped or gone, whether a missing zone would be made or not: the folder is not ours, whatever it holds."""
    if not create:
        names = "tenants/{0}/dns/{0}.example.yaml"
        estate.write({names.format(t): f"domain: {t}.example\n" for t in ("northwind", "contoso")})
    (estate.root / "var/zones").rename(estate.root / "away")
    assert refused(estate, "zones")
    shutil.copytree(estate.root / "away", estate.root / "var/zones")
    (estate.root / "var/zones" / FILE).write_text("f" * 32)
    assert refused(estate, "zones")


def test_a_new_tenant_does_not_begin_it_anew(estate):
    """While the others' ledgers know another system, nobody's first apply makes the missing database."""
    fabrikam = {name.replace("contoso", "fabrikam"): text for name, text in contoso().items()}
    estate.write({name: text.replace("contoso", "fabrikam") for name, text in fabrikam.items()})
    estate.database.unlink()
    assert refused(estate, "mailhost", new="fabrikam")
    assert not estate.database.exists()


def test_both_at_once_are_two_findings(estate):
    """A server rebuilt empty, with all that was on it."""
    shutil.rmtree(estate.root / "var")
    assert refused(estate, "mailhost", "zones")


def test_what_refers_to_it_is_not_planned_either(tmp_path):
    """The record of a key that lies in the other system is not said anything of."""
    estate = make(tmp_path / "estate", northwind(names="dkim: {sign: [s1], keys: {s1: {type: ed25519}}}\n"))
    estate.write({"tenants/northwind/dns/northwind.example.yaml": "domain: northwind.example\nzone: {create: true}\n"
                  "dkim: {sign: [], keys: {s1: {type: rsa}}}\n"})  # fmt: skip
    estate.applied({})
    estate.database.unlink()
    assert refused(estate, "mailhost")
    assert (estate.one()["changes"], estate.one()["drift"]) == ([], [])


def test_it_is_not_lifted_by_an_acceptance(estate):
    """There are two ways out, and leaving a system out of sight is none of them."""
    estate.database.unlink()
    said = "finding: PL306, subject: mailhost, reason: seen, approved_by: ops, expires: 2099-12-31"
    estate.write({"reconciler.yaml": f"{AGENCY}accept:\n  - {{{said}}}\n"})
    assert refused(estate, "mailhost")
    assert "to accept it" not in estate.run("plan").out


def test_put_back_in_its_place_it_is_ours_again(estate):
    """Nothing has to be said when the right disk is mounted again."""
    estate.database.rename(estate.root / "away")
    assert refused(estate, "mailhost")
    (estate.root / "away").rename(estate.database)
    assert settled(estate)


def test_a_side_that_is_let_go_asks_nothing(estate):
    """`mail: null` lets go of the lines there, whatever stands behind the name; nothing is written."""
    estate.database.unlink()
    estate.write(control(f"mail: null\n{accepts(('PL101', 'northwind/alias'), up_to=3)}"))
    assert codes(estate.one()["findings"]) == {"PL227"}
    assert estate.apply("--yes", "--tenant", "northwind").code == 0
    assert known(estate) == {"zones": live_zone(estate)}
    assert not estate.database.exists()


def live_zone(estate):
    return (estate.root / "var/zones" / FILE).read_text().strip()


def test_what_is_no_identity_is_an_error_and_no_other_system(estate):
    """A damaged identity is a provider that cannot be read: exit 1, nothing planned there, nothing written."""
    estate.sql("UPDATE reconciler_identity SET identity = x'00ff'")
    (estate.root / "var/zones" / FILE).write_text("")
    world = estate.world()
    assert {unread["provider"] for unread in estate.one()["unread"]} == {"mailhost", "zones"}
    assert estate.apply().code == 1
    assert estate.world() == world


@pytest.mark.parametrize("other", [True, False])
def test_a_swap_between_plan_and_apply_is_seen(estate, monkeypatch, other):
    """The last look is before the first write: nothing goes into a system that was not planned for."""
    from reconciler import engine

    estate.write(mail({**BOXES, "max": "{owner: jane}"}, ""))
    apply, theirs = engine.apply, elsewhere(estate)

    def swapped(*arguments):
        estate.database.rename(estate.root / "away")
        if other:
            shutil.copy(theirs, estate.database)
        return apply(*arguments)

    monkeypatch.setattr(engine, "apply", swapped)
    before = known(estate)
    done = estate.apply()
    northwind_ = done.json["tenants"][1]
    assert (done.code, northwind_["result"], northwind_["done"]) == (1, "failed", [])
    assert "another system stands behind this name since the plan was made" in northwind_["error"]
    assert (estate.database.exists(), known(estate)) == (other, before)
    (estate.root / "away").rename(estate.database)
    assert summary(estate.one()["changes"]) == {
        ("create", "max@northwind.example"), ("delete", "info@northwind.example"),
    }  # fmt: skip


def test_of_another_system_nothing_else_is_said(estate):
    """That a zone is missing and would be made for `localhost.` is no news of a folder that is not ours."""
    estate.write({"reconciler.yaml": re.sub(", nameservers: [^]]*]", "", AGENCY)})
    (estate.root / "var/zones").rename(estate.root / "away")
    assert codes(estate.one()["findings"]) == {"PL306"}


def test_who_does_not_answer_is_not_asked_again(estate, monkeypatch):
    """A dead server costs one patience: it is not read, and which one it is nobody asks."""
    asked = []
    monkeypatch.setattr(ZoneFiles, "identity", lambda _self: asked.append("zones"))
    (estate.root / "var/zones").rename(estate.root / "away")
    (estate.root / "var/zones").write_text("no folder")
    run = estate.run("plan", "--format", "json")
    assert (run.code, asked) == (1, [])
    assert {unread["provider"] for tenant in run.json["tenants"] for unread in tenant["unread"]} == {"zones"}


# ---------------------------------------------------------------------- the ways out


def test_released_lets_go_and_begins_anew(estate):
    """In an empty system all is made as for the first time, and the ledger belongs to it; then `released` is idle."""
    shutil.rmtree(estate.root / "var")
    before = known(estate)
    estate.write(released("mailhost", "zones"))
    plan = estate.one()
    assert {action for action, _ in summary(plan["changes"])} == {"create"}
    assert "PL306" not in codes(plan["findings"])
    assert estate.apply().code == 0
    assert live(estate) == known(estate) == known(estate, "contoso")
    assert not set(before.values()) & set(live(estate).values())
    assert settled(estate)
    assert codes(estate.one()["findings"]) == {"PL307"}
    shutil.rmtree(estate.root / "var/zones")
    estate.write({"reconciler.yaml": AGENCY})
    assert refused(estate, "zones")


def test_released_meets_what_is_there_as_a_first_plan_does(estate):
    """What is alike is adopted, what differs is a takeover, what Git lacks is forgotten, not removed."""
    shutil.copy(elsewhere(estate), estate.database)
    estate.write({**released("mailhost"), **mail({"jane": "{owner: jane}", "max": "{owner: jane}"}, "")})
    world, plan = estate.world(), estate.one()
    assert summary(plan["changes"]) == {("create", "max@northwind.example")}
    assert "mailhost:mailbox/jane@northwind.example" in plan["adopted"]
    assert {"mailhost:mailbox/tom@northwind.example", "mailhost:alias/info@northwind.example"} <= {*plan["forgotten"]}
    assert not any(address.startswith("zones:") for address in plan["forgotten"])
    assert estate.world() == world
    assert estate.apply("--yes", "--tenant", "northwind").code == 0
    assert known(estate) == live(estate)
    assert known(estate, "contoso") != live(estate)


def test_released_names_a_provider(estate):
    """A name that no provider has is an error of the file, with its line."""
    estate.write(released("mailhots"))
    run = estate.run("validate", "--format", "json")
    (finding,) = [f for f in run.json["findings"] if f["severity"] == "error"]
    assert (run.code, finding["code"], finding["subject"]) == (1, "IN208", "mailhots")


def test_released_alone_changes_nothing(estate):
    """While the right system is there, it lets go of nothing: it warns that it would, the next time."""
    estate.write(released("mailhost"))
    plan = estate.one()
    assert (plan["forgotten"], plan["changes"], codes(plan["findings"])) == ([], [], {"PL307"})


def test_a_rebuilt_system_is_compared_as_ever(estate):
    """`--enforce all`: it is the same one; what is gone is drift and made again, and the ledger takes its identity."""
    before = known(estate)
    shutil.rmtree(estate.root / "var/zones")
    assert refused(estate, "zones")
    plan = estate.run("plan", "--enforce", "all", "--format", "json").json["tenants"][1]
    assert {drift["field"] for drift in plan["drift"]} == {"exists"}
    assert (plan["forgotten"], codes(plan["findings"])) == ([], {"PL201"})
    assert not (estate.root / "var/zones").exists()
    assert estate.apply("--yes", "--enforce", "all").code == 0
    assert (estate.root / "var/zones/northwind.example.zone").exists()
    assert known(estate) == known(estate, "contoso") == live(estate)
    assert known(estate)["zones"] != before["zones"]
    assert settled(estate)


def test_one_thing_put_back_does_not_say_that_it_is_the_same_one(estate):
    """`--enforce ADDRESS` is about that thing: of the system behind the name it says nothing."""
    estate.database.unlink()
    run = estate.run("plan", "--enforce", "mailhost:mailbox/jane@northwind.example", "--format", "json")
    assert (run.code, codes(run.json["tenants"][1]["findings"])) == (3, {"PL306"})


def test_what_is_not_made_begins_nothing(tmp_path):
    """An apply of due changes alone leaves no identity in a system that gets nothing by it."""
    estate = make(tmp_path / "estate", northwind())
    assert estate.apply("--due").code == 0
    assert not (estate.root / "var").exists()


def test_what_was_not_reviewed_keeps_its_system(estate):
    """A tenant that no reviewed plan shows lets go of nothing, and its ledger belongs to the system it knew."""
    shutil.rmtree(estate.root / "var/zones")
    estate.write(released("zones"))
    before = estate.git("rev-parse", REF)
    reviewed = estate.root / "reviewed.json"
    reviewed.write_text(estate.run("plan", "--tenant", "contoso", "--format", "json").out)
    assert estate.apply("--plan", str(reviewed)).code == 0
    assert known(estate, "contoso") == live(estate)
    assert (known(estate) == live(estate), estate.git("rev-parse", REF)) == (False, before)


def test_of_another_system_nobody_says_that_drift_is_over(estate):
    """Since when something was changed by hand is kept while the system that it is in is out of sight."""
    estate.sql("DELETE FROM alias WHERE address = 'info@northwind.example'")
    estate.run("drift", "--record")
    noted = estate.git("rev-parse", "refs/reconciler/drift")
    estate.database.rename(estate.root / "away")
    estate.run("drift", "--record")
    assert estate.git("rev-parse", "refs/reconciler/drift") == noted


# ---------------------------------------------------------------------- a run that was killed


@pytest.fixture
def killed(monkeypatch):
    """An apply that ends after its writes and before it says so."""

    def kill(estate):
        with monkeypatch.context() as patched:
            patched.setattr(journal.Journal, "record", _die)
            with pytest.raises(Killed):
                estate.apply()
        monkeypatch.setattr(holders, "_gone", lambda _holder: True)

    return kill


class Killed(BaseException):
    """As SIGKILL: nobody handles it."""


def _die(_journal, records):
    if records:
        raise Killed
    return {}


def test_a_first_run_that_was_killed_left_one_to_go_on_with(tmp_path, killed):
    """The system has it, the ledger not yet: the next run finds its things there and takes it."""
    estate = make(tmp_path / "estate", northwind())
    killed(estate)
    before = live(estate)
    assert estate.apply().code == 0
    assert known(estate) == live(estate) == before


def test_what_a_killed_run_claims_of_the_old_system_is_not_looked_for_in_the_new(estate, killed):
    """Refused as ever, the intent kept; released, all is made in the new system, what the run meant to change too."""
    estate.write({**mail({"jane": "{owner: jane, quota: 1 GiB}", "tom": BOXES["tom"]}, INFO)})
    killed(estate)
    shutil.rmtree(estate.root / "var")
    assert refused(estate, "mailhost", "zones")
    estate.write(released("mailhost", "zones"))
    plan = estate.one()
    assert (("create", "jane@northwind.example") in summary(plan["changes"]), plan["drift"]) == (True, [])
    assert estate.apply().code == 0
    assert (known(estate), settled(estate)) == (live(estate), True)


# ---------------------------------------------------------------------- a ledger from before


@pytest.mark.parametrize("there", [True, False])
def test_a_ledger_without_identities_takes_the_one_it_meets(estate, there):
    """The next apply notes it, though nothing else is to do; where the system has none it gets one with a write."""
    text = estate.git("show", f"{REF}:ledger.jsonl")
    estate.put_ledger(re.sub(r'"identities":{[^}]*}', '"x":0', text, count=1).encode() + b"\n")
    if not there:
        estate.sql("DROP TABLE reconciler_identity")
        (estate.root / "var/zones" / FILE).unlink()
        estate.write(dict.fromkeys(contoso()))
        estate.git("update-ref", "-d", "refs/reconciler/tenants/contoso")
        assert settled(estate)
        estate.write(mail({"jane": "{owner: jane, quota: 1 GiB}", "tom": BOXES["tom"]}, INFO))
    before = summary(estate.one()["changes"])
    assert before == (set() if there else {("update", "jane@northwind.example")})
    assert estate.apply().code == 0
    if there:
        assert known(estate) == live(estate)
    else:
        assert known(estate) == {"mailhost": estate.sql("SELECT identity FROM reconciler_identity")[0][0]}
    assert settled(estate)


def test_a_new_tenant_alone_begins_no_system_that_others_know(estate):
    """`--tenant` of one that has no ledger: a missing database is not made while other ledgers know it."""
    estate.database.rename(estate.root / "away")
    fresh = tenant("newco") | {
        path.replace("contoso", "newco"): text.replace("contoso", "newco") for path, text in contoso().items()
    }
    estate.write(fresh)
    done = estate.apply("--tenant", "newco", "--yes")
    assert (done.code, estate.database.exists()) == (3, False)
    found = estate.plan("--tenant", "newco")["tenants"][0]
    assert {f["code"] for f in found["findings"]} >= {"PL306"}
    (estate.root / "away").rename(estate.database)
    assert estate.apply("--tenant", "newco", "--yes").code == 0
