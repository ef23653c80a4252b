"""What Git alone answers, all servers down: who reviews which file, who owns what and may reset it, what there is."""

from __future__ import annotations

import re

import pytest

from tests.estates import AGENCY, contoso, control, make, northwind

ROLES = "roles: {dns_auth: [ops], mailbox_admin: [ops], reset_approver: [ops]}"
ANNA = '  anna: {name: Anna Ops, contact: "+49 30 1234567", account: "@anna"}'


def agency(people: str) -> str:
    """The agency's file with other people, teams and roles."""
    return re.sub(r"^people:.*(?=^inside:)", f"people:\n{people}\n", AGENCY, flags=re.MULTILINE | re.DOTALL)


ACCOUNTS = agency(f"{ANNA}\nteams: {{ops: {{members: [anna]}}}}\n{ROLES}")


@pytest.fixture
def estate(tmp_path):
    return make(tmp_path / "estate", northwind(), contoso(), agency=ACCOUNTS)


# ---------------------------------------------------------------------- CODEOWNERS


def owners(text, path):
    """Who is asked for a file: the owners of the last line that matches it, as Git hosts read them."""
    found = []
    for line in text.splitlines():
        pattern, *names = line.split()[:1] + line.split()[1:] if line and not line.startswith("#") else ("",)
        if pattern and matches(pattern, path):
            found = names
    return found


def matches(pattern, path):
    if pattern == "*":
        return True
    steps, parts = pattern.strip("/").split("/"), path.split("/")
    within = len(parts) > len(steps) if pattern.endswith("/") else len(parts) == len(steps)
    return within and all(step in {"*", part} for step, part in zip(steps, parts, strict=False))


GOLDEN = """\
# Who is asked to review which file: made by `reconciler codeowners` from `roles` and `account` in the estate's files.
# Change those and make it anew. The last line that matches a file counts.

# The agency's: these, and whatever else no line below names, this file among it
* @agency/ops
/reconciler.yaml @agency/ops
/schemas/ @agency/ops
/domain-templates/ @agency/ops
/tenants/*/control.yaml @agency/ops

# All tenants, but where a line below says otherwise
/tenants/*/tenant.yaml @bela
/tenants/*/resets/ @bela
/tenants/*/domains/ @anna @bela
/tenants/*/dns/ @agency/ops

/tenants/contoso/dns/ @bela jane@contoso.example

/tenants/northwind/tenant.yaml @tom
/tenants/northwind/resets/ @tom
/tenants/northwind/domains/ @jane @agency/ops
"""
DESKS = agency(
    """\
  anna: {name: Anna Ops, account: "@anna"}
  bela: {name: Bela Varga, account: "@bela"}
  olga: {name: Olga Old, account: "@olga", left: 2020-01-01}
teams: {ops: {members: [anna], account: "@agency/ops"}, desk: {members: [anna, olga, bela]}}
roles: {agency: [ops], dns_auth: [ops], mailbox_admin: [desk], reset_approver: [bela]}"""
)
PEOPLE = (
    'teams: {heads: {members: [tom]}}\npeople:\n  jane: {name: J, account: "%s"}\n  tom: {name: T, account: "@tom"}\n'
)


def people(name, account):
    """A client whose Jane has an account."""
    return {f"tenants/{name}/tenant.yaml": f"tenant: {name}\nname: {name}\n{PEOPLE % account}"}


def test_codeowners_are_the_roles_by_path(tmp_path):
    """Golden: teams by their account or else their members', no leaver, a tenant's own roles after everybody's."""
    ours = {**northwind(), **people("northwind", "@jane")}
    theirs = {**contoso(), **people("contoso", "jane@contoso.example")}
    roles = control("roles: {mailbox_admin: [jane, ops], reset_approver: [heads]}\n")
    estate = make(
        tmp_path / "estate", ours, theirs, roles, control("roles: {dns_auth: [bela, jane]}\n", "contoso"), agency=DESKS
    )
    run = estate.run("codeowners")
    assert (run.code, run.out, run.err) == (0, GOLDEN, "")
    assert owners(run.out, "tenants/northwind/domains/northwind.example.yaml") == ["@jane", "@agency/ops"]
    assert owners(run.out, "tenants/northwind/dns/northwind.example.yaml") == ["@agency/ops"]
    assert owners(run.out, "tenants/contoso/dns/contoso.example.yaml") == ["@bela", "jane@contoso.example"]
    assert owners(run.out, "tenants/contoso/control.yaml") == ["@agency/ops"]
    assert owners(run.out, ".github/workflows/apply.yml") == ["@agency/ops"]


def test_without_a_role_of_its_own_the_agency_is_whoever_has_one(estate):
    """`agency` unsaid: the holders of the agency's other roles approve its files."""
    assert owners(estate.run("codeowners").out, "reconciler.yaml") == ["@anna"]


def test_nobody_gets_into_codeowners_by_a_strange_account(estate):
    """What is no single account counts as none: it could name others, or another file. The agency is asked instead."""
    text = 'people:\n  jane: {name: Jane, account: "@jane @mallory"}\n  tom: {name: Tom}\n'
    estate.write({"tenants/northwind/tenant.yaml": f"tenant: northwind\nname: N\n{text}"})
    estate.write(control("roles: {mailbox_admin: [jane]}\n"))
    run = estate.run("codeowners")
    assert "mallory" not in run.out
    assert owners(run.out, "tenants/northwind/domains/northwind.example.yaml") == ["@anna"]
    assert "OW061 tenants/northwind/tenant.yaml:4:3" in run.err


def test_an_estate_in_a_subfolder_has_its_paths(tmp_path):
    """CODEOWNERS lies at the top of the repository; blanks are escaped, and the rest of it is not ours to give away."""
    estate = make(tmp_path / "repo" / "our mail", northwind(), agency=ACCOUNTS)
    (estate.root / ".git").rename(tmp_path / "repo" / ".git")
    estate.commit()
    lines = estate.run("codeowners").out.splitlines()
    assert "/our\\ mail/tenants/*/dns/ @anna" in lines
    assert "/our\\ mail/ @anna" in lines
    assert not any(line.startswith("*") for line in lines)


def test_a_stale_codeowners_is_told_by_validate(estate):
    """It warns from the first line that differs, also of the working tree; made anew it is quiet, as without a file."""
    assert estate.run("validate").code == 0
    for place in ("docs/CODEOWNERS", "CODEOWNERS", ".github/CODEOWNERS"):  # each counts before those before it
        estate.write({place: "* @old\n"})
        (found,) = estate.run("validate", "--format", "json").json["findings"]
        assert (found["code"], found["severity"], found["file"], found["line"]) == ("OW060", "warning", place, 1)
        assert f"reconciler codeowners --output {place}" in found["detail"]
        assert estate.run("codeowners", "--output", str(estate.root / place)).code == 0
        assert estate.run("validate", "--worktree", "--format", "json").json["findings"] == []
        estate.commit()
        assert estate.run("validate", "--format", "json").json["findings"] == []
    estate.write({".github/CODEOWNERS": GOLDEN.split("# All tenants", maxsplit=1)[0].replace("@agency/ops", "@anna")})
    assert [f["line"] for f in estate.run("validate", "--format", "json").json["findings"]] == [10]


def test_of_some_tenants_or_broken_ones_nobody_says_that_it_is_stale(estate):
    """What is not known whole is not compared; the command itself refuses to print a part of it as all."""
    estate.write({"CODEOWNERS": "* @old\n"})
    assert estate.run("validate", "--tenant", "northwind", "--format", "json").json["findings"] == []
    estate.write({"tenants/contoso/control.yaml": "tenant: contoso\nroles: nobody\n"})
    assert {f["code"] for f in estate.run("validate", "--format", "json").json["findings"]} == {"IN022"}
    run = estate.run("codeowners")
    assert (run.code, run.out) == (1, "")


def test_an_account_that_is_missing_can_be_accepted(estate):
    """A warning by code and subject, lifted in the file that could mend it."""
    text = ACCOUNTS.replace(', account: "@anna"', "")
    estate.write({"reconciler.yaml": text, "CODEOWNERS": ""})
    found = estate.run("validate", "--format", "json").json["findings"]
    assert {(f["code"], f["severity"]) for f in found} >= {("OW061", "warning")}
    accept = "accept: [{finding: OW061, subject: anna, reason: by mail, approved_by: ops, expires: 2099-01-01}]\n"
    estate.write({"reconciler.yaml": text + accept})
    found = estate.run("validate", "--format", "json").json["findings"]
    assert ("OW061", "info") in {(f["code"], f["severity"]) for f in found}
