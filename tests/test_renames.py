"""Mailboxes that get another name: one change, the same mail, and a revert that gives the old name back."""

from __future__ import annotations

import json

import pytest

from tests.estates import AGENCY, dns, mail, make, northwind
from tests.test_due import changes

JANE, SMITH, TOM = (f"mailhost:mailbox/{name}@northwind.example" for name in ("jane", "jane.smith", "tom"))
REF = "refs/reconciler/tenants/northwind"
INFO = "mailhost:alias/info@northwind.example"
RENAMED = {"jane.smith": "{owner: jane, renamed_from: jane}", "tom": "{owner: tom}"}
SMITHS = "aliases:\n  info: [jane.smith]\n"


@pytest.fixture
def estate(tmp_path):
    return make(tmp_path / "estate", northwind()).applied({})


def codes(found):
    return {finding["code"]: finding for finding in found["findings"]}


def boxes(estate):
    return estate.sql("SELECT username, local_part, maildir, password FROM mailbox ORDER BY username")


def test_one_change_says_both_names(estate):
    """The alias that led there follows in the same batch; maildir and password stay."""
    estate.sql("UPDATE mailbox SET password = 'hers' WHERE username LIKE 'jane@%'")
    estate.write(mail(boxes=RENAMED, more=SMITHS))
    found = estate.one()
    assert changes(found) == [(SMITH, "rename"), (INFO, "update")]
    (change, _) = found["changes"]
    assert (change["was"], change["fields"], change["revert"], change["loses"]) == (JANE, {}, "full", None)
    assert estate.plan()["summary"]["rename"] == 1
    assert "was: jane@northwind.example" in estate.run("plan").out
    assert estate.apply().code == 0
    assert boxes(estate)[0] == ("jane.smith@northwind.example", "jane.smith", "northwind.example/jane/", "hers")
    found = estate.one()
    assert (changes(found), found["drift"], set(codes(found))) == ([], [], {"PL222"})


def test_a_revert_gives_the_name_back(estate):
    """Nothing in the files says so any more: the ledger remembers what the mailbox was."""
    before = boxes(estate)
    estate.applied(mail(boxes=RENAMED, more=SMITHS))
    estate.git("revert", "--no-edit", "HEAD")
    found = estate.one()
    assert changes(found) == [(JANE, "rename"), (INFO, "update")]
    assert (found["changes"][0]["was"], found["changes"][0]["revert"]) == (SMITH, "full")
    assert estate.apply().code == 0
    assert boxes(estate) == before
    assert changes(estate.one()) == []
    estate.git("revert", "--no-edit", "HEAD")
    assert changes(estate.one()) == [(SMITH, "rename"), (INFO, "update")]


def test_what_else_changed_is_part_of_it(estate):
    """A quota and a state in the same line; what was changed by hand stays, and is drift of the new name."""
    estate.sql("UPDATE mailbox SET name = 'by hand' WHERE username LIKE 'jane@%'")
    estate.write(mail(boxes={**RENAMED, "jane.smith": "{owner: jane, quota: 1 GiB, renamed_from: jane}"}, more=SMITHS))
    found = estate.one()
    assert set(found["changes"][0]["fields"]) == {"quota"}
    assert estate.apply().code == 0
    assert estate.sql("SELECT name, quota FROM mailbox WHERE username LIKE 'jane.%'") == [("by hand", 2**30)]


def test_the_old_name_may_lead_to_the_new_one(estate):
    """An alias takes the name that was left, in the same batch: no letter finds nobody."""
    estate.write(mail(boxes=RENAMED, more=SMITHS + "  jane: [jane.smith]\n"))
    old = "mailhost:alias/jane@northwind.example"
    assert sorted(changes(estate.one())) == sorted([(SMITH, "rename"), (INFO, "update"), (old, "create")])
    assert estate.apply().code == 0
    assert estate.sql("SELECT goto FROM alias WHERE address = 'jane@northwind.example'") == [
        ("jane.smith@northwind.example",)
    ]
    estate.git("revert", "--no-edit", "HEAD")
    assert sorted(changes(estate.one())) == sorted([(JANE, "rename"), (INFO, "update"), (old, "delete")])
    assert estate.apply().code == 0
    assert changes(estate.one()) == []


def test_a_chain_of_names_takes_one_step_at_a_time(estate):
    """tom gets the name that jane left: at once nobody could tell after a kill whose mail is whose."""
    before = boxes(estate)
    chain = {"jane.smith": "{owner: jane, renamed_from: jane}", "jane": "{owner: tom, renamed_from: tom}"}
    estate.write(mail(boxes=chain, more=SMITHS))
    assert "PL212" in codes(estate.one())
    estate.applied(mail(boxes=RENAMED, more=SMITHS))
    estate.applied(mail(boxes=chain, more=SMITHS))
    assert [row[::2] for row in boxes(estate)] == [
        ("jane.smith@northwind.example", "northwind.example/jane/"),
        ("jane@northwind.example", "northwind.example/tom/"),
    ]
    estate.write(northwind())
    assert "take one step at a time" in codes(estate.one())["PL212"]["detail"]
    assert estate.apply().code == 3
    estate.applied(mail(boxes=RENAMED, more=SMITHS))
    estate.applied(northwind())
    assert boxes(estate) == before


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        ({"jane.smith": "{owner: jane, renamed_from: jane}", "jane": "{owner: jane}"}, "still declared"),
        ({"tom": "{owner: tom, renamed_from: jane}"}, "is there too"),
        ({"a": "{owner: jane, renamed_from: jane}", "b": "{owner: jane, renamed_from: jane}"}, "cannot become two"),
        ({"jane": "{owner: jane}", "tom.poe": "{owner: tom, renamed_from: tim}"}, "tim@northwind.example is not in"),
    ],
)
def test_what_cannot_be_a_rename(estate, boxes, said):
    """An error at its line, and nothing of either name is planned or written."""
    estate.write(mail(boxes=boxes, more=""))
    before = estate.sql("SELECT * FROM mailbox")
    found = estate.one()
    assert said in codes(found)["PL212"]["detail"]
    assert codes(found)["PL212"]["file"] == "tenants/northwind/domains/northwind.example.yaml"
    assert estate.apply().code == 3
    assert estate.sql("SELECT * FROM mailbox") == before


def test_somebody_made_the_new_name_by_hand(estate):
    """Both are there: which mail is meant only a person can say."""
    estate.sql("INSERT INTO mailbox SELECT 'jane.smith@northwind.example', password, name, 'x/', quota, 'jane.smith',"
               " domain, created, modified, active FROM mailbox WHERE username LIKE 'jane@%'")  # fmt: skip
    estate.write(mail(boxes=RENAMED, more=SMITHS))
    assert "is there too" in codes(estate.one())["PL212"]["detail"]


def test_somebody_removed_the_old_one(estate):
    """There is nothing to rename, and a new box is not what was said."""
    estate.sql("DELETE FROM mailbox WHERE username LIKE 'jane@%'")
    estate.write(mail(boxes=RENAMED, more=SMITHS))
    assert "removed by hand" in codes(estate.one())["PL212"]["detail"]


def test_a_first_apply_makes_it_under_its_name(tmp_path):
    """An estate that is applied to an empty server has nothing to rename."""
    estate = make(tmp_path / "estate", {**northwind(), **mail(boxes=RENAMED, more=SMITHS)})
    assert (SMITH, "create") in changes(estate.one())
    assert "PL212" not in codes(estate.one())


def test_a_kept_mailbox_goes_to_nobody_else(estate):
    """Retired, it holds its owner's mail; another name does not give it to another person."""
    estate.applied(mail(boxes={"tom": "{owner: tom}"}, more=""))
    estate.write(mail(boxes={"tom": "{owner: tom}", "new": "{owner: tom, renamed_from: jane}"}, more=""))
    assert "PL220" in codes(estate.one())
    estate.write(mail(boxes={"tom": "{owner: tom}", "new": "{owner: jane, renamed_from: jane}"}, more=""))
    assert changes(estate.one()) == [("mailhost:mailbox/new@northwind.example", "rename")]
    assert estate.apply().code == 0
    assert changes(estate.one()) == []


def test_the_left_name_never_opens_the_old_mail(estate):
    """A new mailbox under the old name gets a folder of its own."""
    estate.applied(mail(boxes=RENAMED, more=SMITHS))
    estate.applied(mail(boxes={**RENAMED, "jane": "{owner: tom}"}, more=SMITHS))
    assert [row[::2] for row in boxes(estate)][:2] == [
        ("jane.smith@northwind.example", "northwind.example/jane/"),
        ("jane@northwind.example", "northwind.example/.1/jane/"),
    ]


def test_history_follows_the_name(estate):
    """Asked by the new name, what was done under the old one is told too; asked by the old one, the rename."""
    estate.applied(mail(boxes=RENAMED, more=SMITHS))
    for name in ("jane.smith@northwind.example", "jane@northwind.example"):
        told = estate.run("history", name, "--format", "json").json["changes"]
        assert [(c["address"], c["action"], c["was"]) for c in told] == [
            (SMITH, "rename", JANE),
            (JANE, "create", None),
        ]
    assert "was: jane@northwind.example" in estate.run("history", "jane.smith@northwind.example").out


def test_a_change_of_hand_since_the_plan_is_refused(estate):
    """Somebody blocks the box between look and write in the changed part: nothing is written."""
    estate.write(mail(boxes={**RENAMED, "jane.smith": "{owner: jane, quota: 1 GiB, renamed_from: jane}"}, more=SMITHS))
    estate.run("plan", "--format", "json", "--output", str(estate.root / "var/plan.json"))
    estate.sql("UPDATE mailbox SET quota = 7 WHERE username LIKE 'jane@%'")
    assert estate.apply("--plan", str(estate.root / "var/plan.json")).code == 4


# ---------------------------------------------------------------------- providers


NAMED = AGENCY.replace("mailhost: {", "post: {renamed_from: mailhost, ").replace("mail: mailhost", "mail: post")
DKIM = dns("dkim: {sign: [s1], keys: {s1: {type: rsa, bits: 1024}}}\n")


def ledger(estate):
    return [json.loads(line) for line in estate.git("show", f"{REF}:ledger.jsonl").splitlines()]


def test_a_provider_gets_another_name(tmp_path):
    """Lines, references and the identity follow, nothing is written, and the next plan is empty."""
    estate = make(tmp_path / "estate", northwind(), DKIM).applied({})
    world = estate.world()
    identity = ledger(estate)[0]["identities"]["mailhost"]
    estate.write({"reconciler.yaml": NAMED})
    found = estate.one()
    assert (changes(found), found["adopted"], found["forgotten"], found["drift"]) == ([], [], [], [])
    assert "`post` was `mailhost`" in codes(found)["PL223"]["detail"]
    assert estate.apply().code == 0
    assert {**estate.world(), "ledgers": None} == {**world, "ledgers": None}
    assert "mailhost" not in json.dumps(ledger(estate)[1:])
    assert ledger(estate)[0]["identities"]["post"] == identity
    found = estate.one()
    assert (changes(found), codes(found)) == ([], {})
    estate.git("revert", "--no-edit", "HEAD")
    assert changes(estate.one()) == []
    assert estate.apply().code == 0
    assert "post:" not in json.dumps(ledger(estate)[1:])
    assert (changes(estate.one()), codes(estate.one())) == ([], {})


def test_a_change_goes_along_with_the_name(estate):
    """One plan: the box is changed under the provider's new name."""
    estate.write(
        {"reconciler.yaml": NAMED, **mail(boxes={"jane": "{owner: jane, quota: 1 GiB}", "tom": "{owner: tom}"})}
    )
    found = estate.one()
    assert {address.partition(":")[0] for address, _ in changes(found)} == {"post"}
    assert estate.apply().code == 0
    assert estate.sql("SELECT quota FROM mailbox WHERE username LIKE 'jane@%'") == [(2**30,)]
    assert changes(estate.one()) == []


def test_another_system_under_a_new_name_is_refused(estate):
    """A new name is no way around the identity."""
    estate.write({"reconciler.yaml": NAMED.replace("var/mail.sqlite", "var/other.sqlite")})
    assert "PL306" in codes(estate.one())


@pytest.mark.parametrize("old", ["zones", "post"])
def test_a_name_is_one_providers(estate, old):
    """What is another's name, or its own, it cannot have had."""
    estate.write({"reconciler.yaml": NAMED.replace("renamed_from: mailhost", f"renamed_from: {old}")})
    run = estate.run("validate", "--format", "json")
    assert (run.code, "IN236" in {f["code"] for f in run.json["findings"]}) == (1, True)


def test_a_provider_that_goes_without_a_word_is_an_error(estate):
    """No `renamed_from`: the ledger's lines are of a provider that nobody knows."""
    estate.write({"reconciler.yaml": NAMED.replace("renamed_from: mailhost, ", "")})
    assert "PL218" in codes(estate.one())
