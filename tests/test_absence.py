"""Things that Git lets go by name: what must not exist, what is released, a domain that is taken out in stages."""

from __future__ import annotations

import pytest

from tests.estates import control, dns, mail, make, northwind
from tests.test_due import INFO, JANE, TOM, changes, day, due

OLD = "mailhost:alias/old@northwind.example"
SPF = "zones:record/TXT/northwind.example"
INFO_ONLY = "aliases:\n  info: [jane]\n"
ABSENT = "absent:\n  - {alias: old, reason: left over, approved_by: ops}\n"


@pytest.fixture
def estate(tmp_path):
    return make(tmp_path / "estate", northwind()).applied({})


# ---------------------------------------------------------------------- absent


def test_what_must_not_exist_is_deleted_once(estate):
    """An alias nobody ever declared: a declared deletion that no revert brings back; then the ledger says absent."""
    estate.redirect("old", "somebody@mail.example")
    assert changes(estate.one()) == []
    estate.write(mail(more=INFO_ONLY + ABSENT))
    found = estate.one()
    assert (changes(found), found["changes"][0]["revert"]) == ([(OLD, "delete")], "none")
    assert estate.apply().code == 0
    assert estate.sql("SELECT count(*) FROM alias WHERE address = 'old@northwind.example'") == [(0,)]
    found = estate.one()
    assert (changes(found), found["drift"], found["unmanaged"]["listed"]) == ([], [], [])


def test_back_again_it_is_drift(estate):
    """It was deleted as Git said; whoever makes it again is reported, and under enforce it goes."""
    estate.applied(mail(more=INFO_ONLY + ABSENT))
    estate.redirect("old", "somebody@mail.example")
    found = estate.one()
    assert (changes(found), [(d["address"], d["field"], d["risk"]) for d in found["drift"]]) == (
        [], [(OLD, "exists", "high")],
    )  # fmt: skip
    assert due(estate.one("--enforce", "all")) == [(OLD, "delete", "drift")]


def test_what_is_declared_is_not_absent(estate):
    """Both at once is an error; nothing of it is planned."""
    estate.write(mail(more="aliases:\n  old: [jane]\n" + ABSENT))
    assert "IN234" in {f["code"] for f in estate.one()["findings"]}
    assert estate.run("plan").code == 1


def test_it_never_names_a_mailbox(estate):
    """`absent` speaks of aliases: the mailbox of that name stays."""
    estate.write(mail(more=INFO_ONLY + ABSENT.replace("old", "tom")))
    assert changes(estate.one()) == []


def test_a_stale_value_goes_and_its_neighbours_stay(estate):
    """A second SPF beside ours, and a token of somebody else's: only the named value is taken out."""
    estate.edit_zone("", '@ 3600 IN TXT "v=spf1 include:old.example -all"\n@ 3600 IN TXT "token=1"')
    stale = 'absent:\n  - {name: "@", type: TXT, value: "v=spf1 include:old.example -all", reason: second SPF}\n'
    estate.write(dns(stale))
    found = estate.one()
    assert changes(found) == [(SPF, "update")]
    assert estate.apply().code == 0, estate.run("plan").out
    text = estate.zone().read_text()
    assert ("old.example" in text, "token=1" in text, "include:spf.agency.example" in text) == (False, True, True)
    found = estate.one()
    assert (changes(found), found["drift"]) == ([], [])


def test_a_stale_value_nobody_declares_goes_alone(estate):
    """At a name where Git has nothing else."""
    estate.edit_zone("", 'x 3600 IN TXT "gone=1"\nx 3600 IN TXT "stays=1"')
    estate.write(dns('absent:\n  - {name: x, type: TXT, value: "gone=1", reason: left over}\n'))
    (change,) = estate.one()["changes"]
    assert (change["action"], change["fields"]["values"], change["revert"]) == (
        "delete", {"from": ["gone=1"], "to": None}, "none",
    )  # fmt: skip
    assert estate.apply().code == 0
    assert ("gone=1" in estate.zone().read_text(), "stays=1" in estate.zone().read_text()) == (False, True)
    assert changes(estate.one()) == []


STALE = 'absent:\n  - {name: x, type: TXT, value: "gone=1", reason: left over}\n'
X = "zones:record/TXT/x.northwind.example"
TWO = f'{STALE}  - {{name: x, type: TXT, value: "more=1", reason: left over}}\n'


def told(found):
    """What a plan says of drift: where, of which part, and of which risk."""
    return [(d["address"], d["field"], d["risk"]) for d in found["drift"]]


def quiet(estate):
    """Whether nothing is left: another plan has no changes, and another apply moves no ledger."""
    tips = estate.git("for-each-ref", "refs/reconciler")
    found, done = estate.one(), estate.apply()
    return (changes(found), found["forgotten"], done.code, estate.git("for-each-ref", "refs/reconciler")) == (
        [], [], 0, tips,
    )  # fmt: skip


def test_a_stale_value_that_comes_back_is_drift(estate):
    """It was taken out once; back again it is reported by name, and goes when somebody says so. Neighbours stay."""
    estate.edit_zone("", 'x 3600 IN TXT "gone=1"\nx 3600 IN TXT "stays=1"')
    estate.applied(dns(STALE))
    assert quiet(estate)
    estate.edit_zone('"stays=1"', '"stays=1"\nx 3600 IN TXT "gone=1"')
    found = estate.one()
    assert (changes(found), due(found), told(found)) == ([], [], [(X, "exists", "high")])
    assert "gone=1 is there again" in next(f["detail"] for f in found["findings"] if f["subject"] == X)
    assert quiet(estate)
    assert due(estate.one("--enforce", X)) == [(X, "delete", "drift")]
    assert estate.apply("--yes", "--enforce", X).code == 0
    assert ("gone=1" in estate.zone().read_text(), "stays=1" in estate.zone().read_text()) == (False, True)
    assert (told(estate.one()), quiet(estate)) == ([], True)


def test_a_stale_value_that_was_never_there_is_noted(estate):
    """Rows 24 and 27: the ledger notes the absence, so what comes later is drift; named no more, it is nobody's."""
    estate.applied(dns(STALE))
    assert quiet(estate)
    estate.edit_zone("", 'x 3600 IN TXT "gone=1"')
    assert told(estate.one()) == [(X, "exists", "high")]
    estate.applied(dns())
    found = estate.one()
    assert (changes(found), told(found), found["unmanaged"]["counted"]) == ([], [], {"TXT": 1})


def test_one_stale_value_comes_back_and_another_is_new(estate):
    """Git moved on what must not stand there: both go, as declared; so does all when the whole set must go."""
    estate.applied(dns(STALE))
    estate.edit_zone("", 'x 3600 IN TXT "gone=1"\nx 3600 IN TXT "more=1"')
    estate.write(dns(TWO))
    (change,) = estate.one()["changes"]
    assert (change["action"], change["fields"]["values"]["from"]) == ("delete", ["gone=1", "more=1"])
    assert (told(estate.one()), estate.apply().code, quiet(estate)) == ([], 0, True)
    estate.edit_zone("", 'x 3600 IN TXT "other=1"')
    estate.write(dns("absent:\n  - {name: x, type: TXT, reason: left over}\n"))
    assert changes(estate.one()) == [(X, "delete")]
    assert (estate.apply().code, quiet(estate), "other=1" in estate.zone().read_text()) == (0, True, False)
    estate.applied(dns(STALE))
    estate.edit_zone("", 'x 3600 IN TXT "gone=1"')
    assert (changes(estate.one()), told(estate.one())) == ([], [(X, "exists", "high")])


@pytest.mark.parametrize("value", ["gone=1", "v=spf1 include:old.example -all"])
def test_a_stale_value_beside_ours_comes_back(estate, value):
    """In a set that Git declares the values have drifted; a change of ours leaves it alone until it is put back."""
    stale = f'absent:\n  - {{name: "@", type: TXT, value: "{value}", reason: old}}\n'
    estate.applied(dns(stale))
    assert quiet(estate)
    estate.edit_zone("", f'@ 3600 IN TXT "{value}"')
    found = estate.one()
    assert (changes(found), told(found)) == ([], [(SPF, "values", "high")])
    assert (found["drift"][0]["live"], quiet(estate)) == (sorted([*found["drift"][0]["git"], value]), True)
    estate.write(dns(f"with: {{senders: ['include:new.example']}}\n{stale}"))
    assert changes(estate.one()) == [(SPF, "update")]
    assert (estate.apply().code, quiet(estate)) == (0, True)
    assert (value in estate.zone().read_text(), "new.example" in estate.zone().read_text()) == (True, True)
    assert due(estate.one("--enforce", "all")) == [(SPF, "update", "drift")]
    assert estate.apply("--yes", "--enforce", "all").code == 0
    assert (value in estate.zone().read_text(), told(estate.one()), quiet(estate)) == (False, [], True)


def test_a_stale_value_lifts_no_other_refusal(estate):
    """What else of the set is not ours yet still needs its own word."""
    address = "zones:record/TXT/y.northwind.example"
    estate.edit_zone("", 'y 3600 IN TXT "v=spf1 ~all"\ny 3600 IN TXT "gone=1"')
    records = "records:\n  - {name: y, type: TXT, values: ['v=spf1 -all']}\n"
    estate.write(dns(f"{records}{STALE.replace('name: x', 'name: y')}"))
    assert (changes(estate.one()), estate.run("plan").code) == ([(address, "update")], 3)


# ---------------------------------------------------------------------- released


def test_what_is_released_is_let_go_untouched(estate):
    """The ledger forgets it, nothing is written, and then it is nobody's."""
    estate.write({**mail(more=""), **control(f'released: {{"{INFO}": vendor keeps it}}\n')})
    found = estate.one()
    assert (changes(found), found["forgotten"]) == ([], [INFO])
    assert estate.apply().code == 0
    found = estate.one()
    assert ([item["address"] for item in found["unmanaged"]["listed"]], found["forgotten"]) == ([INFO], [])


# ---------------------------------------------------------------------- retire


def retiring(estate, on):
    said = f"retire: {{northwind.example: {{on: {on}, keep: 9 days, reason: left, approved_by: ops}}}}\n"
    estate.write(control(said))
    return estate.one()


def test_a_domain_leaves_on_its_day(estate):
    """Before the day nothing happens; from it on everything of the domain is due to go, in stages, with no refusal."""
    found = retiring(estate, day(2))
    assert (changes(found), found["due"]) == ([], [])
    found = retiring(estate, day(0))
    assert changes(found) == []
    assert {(a, action) for a, action, reason in due(found) if reason == "stage"} >= {
        (JANE, "retire"), (TOM, "retire"), (INFO, "delete"), ("zones:record/MX/northwind.example", "delete"),
    }  # fmt: skip
    assert estate.apply("--due").code == 0
    found = estate.one()
    assert (changes(found), found["due"]) == ([], [])
    assert {(w["address"], w["when"]) for w in found["later"] if w["action"] == "purge"} == {
        (JANE, day(9)), (TOM, day(9)),
    }  # fmt: skip


@pytest.mark.parametrize("said", ["--yes", "--due"])
def test_a_domain_waits_for_purges_that_nobody_asked_for(estate, said):
    """Kept for no day, its mailboxes are due to be purged; without `--purge` they stay, and so does the domain."""
    retiring(estate, day(0))
    kept = (estate.root / "tenants/northwind/control.yaml").read_text()
    estate.write({"tenants/northwind/control.yaml": kept.replace("9 days", "0 days")})
    assert estate.apply(said).code == 0
    domain = "mailhost:domain/northwind.example"
    everything = {(JANE, "purge"), (TOM, "purge"), (domain, "delete")}
    assert {(address, action) for address, action, _ in due(estate.one())} == everything
    again = estate.apply(said)
    assert (again.code, again.json["tenants"][0]["done"]) == (0, []), again.out
    assert estate.apply(said, "--purge").code == 0
    assert estate.sql("SELECT count(*) FROM domain") == [(0,)]


def test_a_domain_whose_files_go_with_its_retirement(estate):
    """`retire` names it: taking the files away is no mistake, and is not refused as one."""
    gone = {f"tenants/northwind/{part}/northwind.example.yaml": None for part in ("domains", "dns")}
    estate.write(gone)
    assert estate.run("plan").code == 3
    retiring(estate, day(0))
    assert estate.run("plan").code == 0
    assert (JANE, "retire", "stage") in due(estate.one())
