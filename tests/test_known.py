"""Findings that held before: an urgent change is not held up by what was wrong yesterday."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.checks import routing
from tests.estates import Estate, accepting, call, contoso, control, dns, mail, make, northwind, tenant

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = "aliases:\n  info: [jane, jnae]\n"
BOXES = {"jane": "{owner: jane}", "tom": "{owner: tom}"}


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    """An alias to nowhere that somebody accepted, applied; the acceptance is gone since."""
    found = make(tmp_path / "estate", northwind(BOXES, NOWHERE), accepting("RT001", "info@northwind.example"))
    return found.applied({})


def one(found: list[dict[str, Any]], code: str = "RT001") -> dict[str, Any]:
    (finding,) = (finding for finding in found if finding["code"] == code)
    return finding


def test_what_held_at_the_applied_commit_refuses_nothing(tmp_path: Path) -> None:
    """Two merges after an apply: the first breaks an alias, the second is urgent; by `--changed-since` it passes."""
    estate = make(tmp_path / "estate", northwind(BOXES), contoso()).applied({})
    broken = estate.write(mail(BOXES, NOWHERE))
    assert one(estate.one()["findings"])["known"] is False
    assert (estate.run("plan").code, estate.run("validate").code) == (3, 1)
    estate.write(mail({**BOXES, "new": "{owner: jane}"}, NOWHERE))
    found = one(estate.one("--changed-since", broken)["findings"])
    assert (found["known"], found["severity"]) == (True, "error")
    assert (
        estate.run("plan", "--changed-since", broken).code,
        estate.run("validate", "--changed-since", broken).code,
    ) == (0, 0)
    text = estate.run("plan", "--changed-since", broken).out
    assert "Points to nowhere (known already)" in text
    assert "to accept it" not in text
    assert "Refused" not in text


def test_an_acceptance_that_is_taken_out_is_not_known(estate: Estate) -> None:
    """What somebody had accepted refuses once nobody does: it was told, not wrong, before."""
    estate.write(control(""))
    assert one(estate.one()["findings"])["known"] is False
    assert estate.run("plan").code == 3


def test_a_finding_that_got_worse_is_not_known(tmp_path: Path) -> None:
    """The same alias points to nowhere twice: the new one refuses, the old one does not."""
    estate = make(tmp_path / "estate", northwind(BOXES, NOWHERE))
    before = estate.head
    estate.write(mail(BOXES, "aliases:\n  info: [jane, jnae, tmo]\n"))
    found = [f for f in estate.one("--changed-since", before)["findings"] if f["code"] == "RT001"]
    assert [(f["known"], "tmo@" in f["detail"]) for f in found] == [(True, False), (False, True)]


def test_what_the_day_brought_is_a_warning(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that a day can bring about: where it held at the commit applied last, by today, it only warns."""
    monkeypatch.setattr(routing, "NOWHERE", routing.NOWHERE._replace(dated=True))
    broken = estate.write(control(""))
    estate.write(mail({**BOXES, "new": "{owner: tom}"}, NOWHERE))
    found = one(estate.one("--changed-since", broken)["findings"])
    assert (found["known"], found["severity"]) == (True, "warning")
    assert one(estate.one()["findings"])["severity"] == "error"


def test_only_what_changed_is_looked_at(tmp_path: Path) -> None:
    """Tenants whose files are as they were are left out; a change of the agency's files concerns all."""
    estate = make(tmp_path / "estate", northwind(), contoso())
    before = estate.head
    estate.write(mail({"jane": "{owner: tom}"}, "", "contoso.example"))
    assert [found["tenant"] for found in estate.plan("--changed-since", before)["tenants"]] == ["contoso"]
    estate.write({"README.md": "Nothing is read from it"})
    assert "1 tenant " in estate.run("validate", "--changed-since", before).out
    estate.write({"reconciler.yaml": (estate.root / "reconciler.yaml").read_text() + "freeze: []\n"})
    assert len(estate.plan("--changed-since", before)["tenants"]) == 2
    assert estate.run("validate", "--changed-since", "nothing").code == 1


def test_the_working_tree_is_compared_too(tmp_path: Path) -> None:
    """Files that Git does not know yet are changes."""
    estate = make(tmp_path / "estate", northwind())
    for name, text in contoso().items():
        (estate.root / name).parent.mkdir(parents=True, exist_ok=True)
        (estate.root / name).write_text(str(text))
    found = estate.plan("--worktree", "--changed-since", "HEAD")
    assert [tenant["tenant"] for tenant in found["tenants"]] == ["contoso"]


def test_a_base_that_cannot_be_read_makes_nothing_known(tmp_path: Path) -> None:
    """Its reconciler.yaml is none that this version reads: everything counts."""
    estate = make(tmp_path / "estate", northwind(BOXES, NOWHERE))
    agency = (estate.root / "reconciler.yaml").read_text()
    broken = estate.write({"reconciler.yaml": "version: 99\n"})
    estate.write({"reconciler.yaml": agency})
    assert one(estate.one("--changed-since", broken)["findings"])["known"] is False


def test_sarif_names_rule_place_and_baseline(tmp_path: Path) -> None:
    """A log of one run; paths begin at the repository's root, and what is known is unchanged."""
    estate = make(tmp_path / "repository" / "clients", northwind(BOXES, NOWHERE))
    run = json.loads(estate.run("validate", "--format", "sarif").out)["runs"][0]
    (result,) = run["results"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "RT001"
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "tenants/northwind/domains/northwind.example.yaml"
    assert (place["region"], result["level"]) == ({"startLine": 7, "startColumn": 16}, "error")
    again = json.loads(estate.run("plan", "--format", "sarif", "--changed-since", "HEAD").out)["runs"][0]["results"]
    assert [r["ruleId"] for r in again] == []
    assert json.loads(estate.run("validate", "--rev", "nothing", "--format=sarif").out)["version"] == "2.1.0"


def test_annotations_cannot_be_broken_out_of(tmp_path: Path) -> None:
    """A name with what GitHub reads as the end of a property, of a command or of a line is only text."""
    estate = make(
        tmp_path / "estate", northwind(BOXES, 'aliases:\n  info: ["x%0A::set-output name=a,b::c@nowhere.example"]\n')
    )
    lines = estate.run("validate", "--format", "github").out.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["::error"] * len(lines)
    assert lines[0].startswith("::error file=tenants/northwind/domains/northwind.example.yaml,line=7,col=")
    assert "%250A" in "".join(lines)
    assert all(line.count("::") >= 2 and "\r" not in line for line in lines)


def test_paths_begin_at_the_repository(tmp_path: Path) -> None:
    """An estate in a folder of a repository: GitHub finds the file."""
    estate = make(tmp_path / "repository", northwind(BOXES, NOWHERE))
    inner = estate.root / "clients"
    inner.mkdir()
    for part in ("reconciler.yaml", "tenants", "domain-templates"):
        estate.git("mv", part, f"clients/{part}")
    estate.git("commit", "--quiet", "--message", "moved")
    done = call("validate", "--estate", inner, "--format", "github")
    assert done.out.startswith("::error file=clients/tenants/northwind/")


def test_the_text_quotes_the_line(tmp_path: Path) -> None:
    """With a caret below the column; a long line is cut around it."""
    estate = make(tmp_path / "estate", northwind(BOXES, NOWHERE))
    said = estate.run("validate").out.splitlines()
    assert said[1:3] == ["      7 |   info: [jane, jnae]", "        |                ^"]
    many = ", ".join(["jane"] * 40)
    estate.write(mail(BOXES, f"aliases:\n  info: [{many}, jnae]\n"))
    quoted, caret = estate.run("validate").out.splitlines()[1:3]
    assert max(len(quoted), len(caret)) <= 80
    assert quoted[caret.index("^") :].startswith("jnae]")


def test_no_password_is_quoted(tmp_path: Path) -> None:
    """Of a file with a password no line is shown, and no line that looks as if it held a secret."""
    estate = make(
        tmp_path / "estate", northwind({"jane": "{owner: jane, password: hunter2}", "tom": "{owner: tmo, qouta: 1}"})
    )
    assert "hunter2" not in estate.run("validate").out
    assert "qouta: 1" not in estate.run("validate").out.replace("`qouta`", "")
    estate.write(northwind({"jane": "{owner: jane, pasword_: hunter2}"}))
    assert "hunter2" not in estate.run("validate").out


def test_a_code_is_explained() -> None:
    """What it means, why it matters, what to do; an unknown one names the nearest."""
    done = call("explain", "rt001")
    assert (done.code, "Points to nowhere" in done.out, "Why it matters: " in done.out) == (0, True, True)
    assert call("explain", "RT001", "--format", "json").json["format"] == "reconciler.rule/1"
    wrong = call("explain", "RT0001")
    assert (wrong.code, "did you mean RT001?" in wrong.err) == (1, True)


TOKEN = "site-verification=0123456789abcdef"


def records(domain: str, *values: str) -> dict[str, str]:
    """The tenant's DNS file with these TXT values at the domain's own name."""
    listed = ", ".join(f'"{value}"' for value in values)
    more = f'records: [{{name: "@", type: TXT, values: [{listed}]}}]\n' if values else ""
    return dns(more, domain)


def test_who_copies_a_value_is_stopped_and_not_whom_it_was_copied_from(tmp_path: Path) -> None:
    """Both are told; the one who had it can still be changed."""
    estate = make(tmp_path / "estate", northwind(BOXES), contoso(), records("northwind.example", TOKEN)).applied({})
    estate.write(records("contoso.example", TOKEN))
    copier, owner = (
        one(found["findings"], "DN038") for found in estate.run("plan", "--format", "json").json["tenants"]
    )
    assert (copier["known"], owner["known"]) == (False, True)
    assert {found["result"] for found in estate.apply().json["tenants"]} == {"refused", "nothing"}


@pytest.mark.parametrize("command", ["plan", "validate"])
def test_a_copy_is_found_where_only_its_tenant_is_looked_at(tmp_path: Path, command: str) -> None:
    """By `--tenant`, by `--changed-since`: whom it was copied from need not be among those asked for."""
    estate = make(tmp_path / "estate", northwind(BOXES), contoso(), records("northwind.example", TOKEN)).applied({})
    base = estate.head
    estate.write(records("contoso.example", TOKEN))
    for options in (("--tenant", "contoso"), ("--changed-since", base)):
        found = estate.run(command, *options, "--format", "json").json
        one(found["findings"] if command == "validate" else found["tenants"][0]["findings"], "DN038")


def test_where_nothing_changes_no_other_tenant_is_read(tmp_path: Path) -> None:
    """A plan of one tenant with a token of its own and nothing to do is as fast as one without."""
    estate = make(tmp_path / "estate", northwind(BOXES), contoso(), records("northwind.example", TOKEN)).applied({})
    estate.write(records("contoso.example", TOKEN))
    assert [f["code"] for f in estate.one("--tenant", "northwind")["findings"] if f["code"] == "DN038"] == []


def test_an_approval_of_other_terms_is_not_known(tmp_path: Path) -> None:
    """Of a team of two one leaves, and the owner is left: that is a warning, until its forward goes elsewhere."""
    duo = "teams: {duo: {members: [jane, tom]}}\n"
    terms = "owner: jane, reason: r, approved_by: duo, expires: 2099-01-01"
    estate = make(tmp_path / "estate", northwind(BOXES, f"forwards: {{orders: {{to: [a@vendor.example], {terms}}}}}\n"))
    estate.applied(tenant("northwind", duo))
    gone = tenant("northwind", duo)["tenants/northwind/tenant.yaml"].replace(
        "tom: {", "tom: {left: 2020-01-01, successor: jane, "
    )
    estate.write({"tenants/northwind/tenant.yaml": gone})
    found = one(estate.one()["findings"], "OW007")
    assert (found["known"], found["severity"], estate.run("plan").code) == (True, "warning", 0)
    estate.write(mail(BOXES, f"forwards: {{orders: {{to: [loot@vendor.example], {terms}}}}}\n"))
    assert (one(estate.one()["findings"], "OW007")["known"], estate.run("plan").code) == (False, 3)


def test_a_reset_to_a_leaver_does_not_hold_the_leaving_up(tmp_path: Path) -> None:
    """Ann is reached at Tom's box; Tom leaves today: said as a warning, and his box is blocked all the same."""
    ann = "  ann: {name: Ann Lee, contact: tom@northwind.example}\n"
    reached = tenant("northwind", ann)["tenants/northwind/tenant.yaml"]
    estate = make(tmp_path / "estate", northwind(BOXES), {"tenants/northwind/tenant.yaml": reached}).applied({})
    estate.write(
        {"tenants/northwind/tenant.yaml": reached.replace("tom: {", "tom: {left: 2020-01-01, successor: jane, ")}
    )
    found = one(estate.one()["findings"], "OW031")
    assert (found["known"], found["severity"], estate.run("plan").code) == (True, "warning", 0)


def test_what_is_found_across_tenants_can_be_accepted(tmp_path: Path) -> None:
    """Both sides agree to a pointer at a name that is still to come: the one who points says so, and it is let pass."""
    both = control(
        "accept:\n"
        "  - {finding: RT004, subject: info@northwind.example, reason: r, expires: 2099-01-01}\n"
        "  - {finding: RT001, subject: info@northwind.example, reason: r, expires: 2099-01-01}\n"
    )
    theirs = {"tenants/contoso/control.yaml": both["tenants/northwind/control.yaml"].replace("northwind", "contoso", 1)}
    estate = make(
        tmp_path / "estate", northwind(BOXES, "aliases: {info: [new@contoso.example]}\n"), contoso(), both, theirs
    )
    found = one(estate.run("validate", "--format", "json").json["findings"])
    assert (found["severity"], found["detail"].startswith("Accepted by")) == ("info", True)
    assert estate.run("validate").code == 0


def test_a_new_name_of_the_tenant_makes_nothing_new(tmp_path: Path) -> None:
    """What held under the old name is known under the new one, by the ledger and by `--changed-since`."""
    kim = tenant("northwind", "  kim: {name: Kim Foe, left: 2020-01-01}\n")
    vacant = "roles: {dns_auth: [kim]}\n"
    estate = make(tmp_path / "estate", northwind(), kim, control(vacant)).applied({})
    broken = estate.write(mail(BOXES, NOWHERE))
    files = {**northwind(BOXES, NOWHERE), **kim, **control(vacant)}
    moved = {
        p.replace("northwind/", "newco/", 1): t.replace("tenant: northwind", "tenant: newco") for p, t in files.items()
    }
    moved["tenants/newco/control.yaml"] += "renamed_from: northwind\n"
    estate.write({**dict.fromkeys(files), **moved})
    found = [finding for planned in estate.plan()["tenants"] for finding in planned["findings"]]
    assert (one(found, "OW009")["subject"], one(found, "OW009")["known"]) == ("newco/dns_auth", True)
    assert one(found)["known"] is False
    since = estate.run("validate", "--changed-since", broken, "--format", "json")
    assert (since.code, {finding["known"] for finding in since.json["findings"]}) == (0, {True})
