"""What Git alone answers, all servers down: who reviews which file, who owns what and may reset it, what there is."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from reconciler import documents, last_change
from tests.estates import AGENCY, CONTOSO, NORTHWIND, accepts, call, contoso, control, dns, make, northwind, tenant
from tests.test_json import conforms

ROLES = "roles: {dns_auth: [ops], mailbox_admin: [ops], reset_approver: [ops]}"
ANNA = '  anna: {name: Anna Ops, contact: "+49 30 1234567", account: "@anna"}'


def agency(people: str) -> str:
    """The agency's file with other people, teams and roles."""
    rest = AGENCY.replace(f"{ROLES}\n", "")
    return re.sub(r"^people:.*(?=^inside:)", f"people:\n{people}\n", rest, flags=re.MULTILINE | re.DOTALL)


BELA = '  bela: {name: Bela Varga, contact: "+49 30 1234568", account: "@bela"}'
STAFF = agency(f"{ANNA}\n{BELA}\nteams: {{ops: {{members: [anna, bela]}}}}\n{ROLES}")
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


# ---------------------------------------------------------------------- who

SOON = (datetime.now(UTC).date() + timedelta(days=60)).isoformat()


@pytest.fixture
def applied(tmp_path):
    """Northwind as it was applied, with a shared box, a forward, a twin; and Contoso, with people of the same ids."""
    boxes = {"jane": "{owner: jane}", "tom": "{owner: tom}"}
    why = f"keep_copy: true, owner: jane, reason: travels, approved_by: ops, expires: {SOON}"
    more = (
        "shared:\n  desk: {owner: jane, members: {jane: full, tom: read}}\n"
        "aliases:\n  info: [desk]\n"
        f"forwards:\n  jane: {{to: [jane@phone.example], {why}}}\n"
    )
    said = "domain: twin.example\nowner: jane\nalias_of: northwind.example\n"
    twin = {
        "tenants/northwind/domains/twin.example.yaml": said,
        "tenants/northwind/dns/twin.example.yaml": "domain: twin.example\ndns: null\n",
    }
    estate = make(tmp_path / "estate", northwind(boxes, more), twin, contoso(), agency=STAFF)
    return estate.applied()


def ask(estate, name, *arguments):
    run = estate.run("who", name, "--format", "json", *arguments)
    assert run.code == 0, run.out
    return conforms(run.json)


def text(estate, name, *arguments):
    run = estate.run("who", name, *arguments)
    assert run.code == 0, run.err
    return run.out


def test_the_first_lines_name_owner_and_resetter(applied):
    """The newcomer's question: whose is it, who may reset it; by name, with where to reach them."""
    lines = text(applied, "jane@northwind.example").splitlines()
    assert lines[0] == "jane@northwind.example: mailbox of Northwind Ltd (northwind)"
    assert lines[1] == "owner         Jane Roe (jane), +44 20 5550100"
    assert lines[2] == "may reset it  Anna Ops (anna), +49 30 1234567, team ops"
    assert max(map(len, lines)) <= 80


def test_who_tells_where_mail_comes_from_and_goes_to(applied):
    """Members with their rights, what points at it, copies that leave, memberships of others."""
    desk, jane = ask(applied, "desk@northwind.example"), ask(applied, "jane@northwind.example")
    assert desk["kind"] == "shared"
    assert [(m["address"], m["right"], m["owner"]["name"]) for m in desk["details"]["members"]] == [
        ("jane@northwind.example", "full", "Jane Roe"),
        ("tom@northwind.example", "read", "Tom Roe"),
    ]
    assert [(m["address"], m["kind"]) for m in desk["details"]["mail_from"]] == [
        ("info@northwind.example", "alias"),
        ("desk@twin.example", "alias domain"),
    ]
    assert [(to["address"], to["where"], to["expires"]) for to in jane["details"]["mail_to"]] == [
        ("jane@northwind.example", "kept", None),
        ("jane@phone.example", "outside", SOON),
    ]
    assert jane["details"]["member_of"] == [{"address": "desk@northwind.example", "right": "full"}]
    assert jane["may_change"][0]["path"] == NORTHWIND
    assert jane["may_change"][0]["holders"][0]["people"][0]["id"] == "anna"


def test_a_change_that_was_applied_is_told_by_the_journal(applied):
    """Commit, author, date, run; the command that undoes it; a later edit of another line is not taken for it."""
    by_tom = by("Tom Poe", applied, NORTHWIND, "tom: {owner: tom}", "tom: {owner: tom, quota: 2 GiB}")
    assert applied.apply().code == 0
    assert applied.run("rollback", by_tom[:12]).code == 0
    by("Jane Roe", applied, NORTHWIND, "jane: {owner: jane}", "jane: {owner: jane, name: Jane}")
    last = ask(applied, "tom@northwind.example")["last_change"]
    assert (last["commit"], last["author"], last["action"]) == (by_tom, "Tom Poe", "update")
    assert last["undo"] == f"reconciler rollback {by_tom[:12]}"
    assert last["applied"]["actor"].startswith("Anna Ops")


def by(name, estate, file, old, new):
    """A commit by somebody else; gives its id."""
    text = (estate.root / file).read_text()
    assert old in text
    estate.save({file: text.replace(old, new)})
    estate.git("-c", f"user.name={name}", "commit", "--quiet", "--all", f"--author={name} <x@y.example>", "-m", name)
    return estate.head


def test_a_change_that_is_not_applied_yet_is_told_by_git(applied):
    """Who wrote the line, of the lines of this thing alone; a revert undoes it."""
    by_jane = by("Jane Roe", applied, NORTHWIND, "jane: {owner: jane}", "jane: {owner: jane, name: Jane}")
    by("Tom Poe", applied, NORTHWIND, "tom: {owner: tom}", "tom: {owner: tom, quota: 2 GiB}")
    last = ask(applied, "jane@northwind.example")["last_change"]
    assert (last["commit"], last["author"], last["applied"]) == (by_jane, "Jane Roe", None)
    assert last["undo"] == f"git revert {by_jane[:12]}"
    assert "not applied yet" in text(applied, "jane@northwind.example")
    assert ask(applied, "northwind.example")["last_change"]["author"] == "Tom Poe"


def test_before_the_first_apply_git_alone_tells(estate):
    """No ledger yet: the commit that wrote it."""
    last = ask(estate, "jane@northwind.example")["last_change"]
    assert (last["commit"], last["author"], last["applied"]) == (estate.head, "Anna Ops", None)


def test_a_shallow_clone_says_that_it_does_not_know(estate, tmp_path):
    """It would name whoever made its oldest commit."""
    estate.write({"README.md": "x"})
    estate.git("clone", "--quiet", "--depth=1", f"file://{estate.root}", str(tmp_path / "shallow"))
    for name in ("jane@northwind.example", "northwind.example"):
        run = call("who", name, "--estate", tmp_path / "shallow")
        assert (run.code, "last change   unknown: shallow clone" in run.out) == (0, True)


def test_a_long_way_back_is_not_gone(estate, monkeypatch):
    """Beyond so many commits that it would take too long it is unknown; what was applied is told all the same."""
    monkeypatch.setattr(last_change, "_FEWEST", 1)
    monkeypatch.setattr(last_change, "_ENTRIES", 2)
    estate.write({"README.md": "x"})
    assert "unknown: more than 1 commits" in ask(estate, "jane@northwind.example")["last_change"]["unknown"]
    estate.applied()
    assert ask(estate, "jane@northwind.example")["last_change"]["applied"]


def test_a_ledger_that_cannot_be_read_is_said(applied):
    """Nothing is made up of it; owner and resetter are told all the same."""
    applied.put_ledger(b"no ledger")
    data = ask(applied, "jane@northwind.example")
    assert data["owner"]["name"] == "Jane Roe"
    assert "cannot be read" in data["last_change"]["unknown"]


@pytest.mark.parametrize(
    ("name", "found", "via"),
    [
        ("Jane@Northwind.Example", "jane@northwind.example", None),
        ("jane+x@northwind.example", "jane@northwind.example", "plus address"),
        ("desk@twin.example", "desk@northwind.example", "alias domain"),
        ("mailhost:mailbox/jane@northwind.example", "jane@northwind.example", None),
        ("desk", "desk@northwind.example", None),
        ("NORTHWIND.example.", "northwind.example", None),
        ("_dmarc.northwind.example", "northwind.example", None),
    ],
)
def test_a_name_may_be_written_in_many_ways(applied, name, found, via):
    """Canonical forms, plus addresses, alias domains, addresses of a plan, a local part that is there once."""
    data = ask(applied, name)
    assert (data["name"], data["via"], data["asked"]) == (found, via, name)


def test_names_are_read_in_their_own_script(tmp_path):
    """An IDN domain by its U-labels or its A-labels."""
    files = {"tenants/northwind/domains/xn--bcher-kva.example.yaml": "domain: bücher.example\nowner: jane\n"}
    estate = make(tmp_path / "estate", northwind(), files, agency=ACCOUNTS)
    for name in ("bücher.example", "Bücher.Example", "xn--bcher-kva.example"):
        assert ask(estate, name)["name"] == "xn--bcher-kva.example"


def test_a_full_name_is_found_whatever_its_case(tmp_path):
    """Also with letters outside ASCII, in an estate that lies below the top of its repository."""
    named = tenant("northwind", '  oez: {name: Özlem Weiß, contact: "+44 20 5550101"}\n')
    estate = make(tmp_path / "repo" / "our mail", northwind(), named, agency=ACCOUNTS)
    (estate.root / ".git").rename(tmp_path / "repo" / ".git")
    estate.commit()
    for name in ("Özlem Weiß", "özlem weiß", "ÖZLEM WEIß", "OEZ"):
        assert (ask(estate, name)["name"], ask(estate, name)["tenant"]["id"]) == ("oez", "northwind")


def test_what_nothing_has_is_not_made_up(applied):
    """Exit code 1, the nearest name; with JSON one document that says so; several of a name are all told."""
    run = applied.run("who", "jnae@northwind.example")
    assert (run.code, run.out) == (1, "")
    assert "not declared: mail for it is refused. Did you mean `jane@northwind.example`?" in run.err
    assert "Did you mean `northwind.example`?" in applied.run("who", "x@northwnd.example").err
    assert applied.run("who", "nobody", "--format", "json").json["format"] == "reconciler.error/1"
    assert "name an address, a domain or a person" in applied.run("who", " ").err
    assert "northwind is a tenant" in applied.run("who", "northwind").err
    run = applied.run("who", "jane")
    assert (run.code, "jane --tenant contoso\n  jane --tenant northwind" in run.err) == (1, True)
    assert (
        "is not held by contoso but by northwind" in applied.run("who", "northwind.example", "--tenant", "contoso").err
    )


def test_who_of_a_person_tells_what_they_have(applied):
    """What they own, read, hold and approve; who may reset them; their second factor, where somebody attested it."""
    data = ask(applied, "jane", "--tenant", "northwind")
    assert (data["kind"], data["owner"]["contact"]) == ("person", "+44 20 5550100")
    assert [item["name"] for item in data["details"]["owns"] if item["kind"] in {"domain", "mailbox", "shared"}] == [
        "northwind.example", "twin.example", "jane@northwind.example", "desk@northwind.example"
    ]  # fmt: skip
    assert data["may_reset"][0]["people"][0]["id"] == "anna"
    assert "2nd factor    unknown: nobody attested one" in text(applied, "jane", "--tenant", "northwind")
    anna = ask(applied, "Anna Ops")
    assert (anna["tenant"], anna["details"]["teams"]) == (None, ["ops"])
    assert [role["role"] for role in anna["details"]["roles"]] == ["dns_auth", "mailbox_admin", "reset_approver"]
    assert [item["subject"] for item in ask(applied, "ops")["details"]["approvals"]] == ["jane@northwind.example"]


def test_who_of_the_agencys_people_looks_into_the_tenants_that_name_them(applied):
    """Found by their text, without reading every tenant."""
    applied.write({CONTOSO: (applied.root / CONTOSO).read_text().replace("owner: jane}", "owner: anna}")})
    anna = ask(applied, "anna")
    assert anna["details"]["tenants"] == ["contoso"]
    assert anna["details"]["owns"] == [{"kind": "mailbox", "name": "jane@contoso.example"}]
    old = "absent: [{name: '@', type: TXT, value: old, reason: a left-over, approved_by: anna}]\n"
    applied.write(dns(old))
    assert ask(applied, "anna")["details"]["tenants"] == ["contoso", "northwind"]


def test_a_retired_mailbox_is_still_known(applied):
    """Git declares it no more; whose it was, until when it is kept and how to get it back is told."""
    gone = by("Anna Ops", applied, NORTHWIND, "  tom: {owner: tom}\n", "")
    by("Anna Ops", applied, NORTHWIND, ", tom: read", "")
    assert applied.apply().code == 0
    data = ask(applied, "tom@northwind.example")
    assert (data["kind"], data["owner"]["id"], data["last_change"]["action"]) == ("retired", "tom", "retire")
    assert data["last_change"]["commit"] == gone
    assert "kept until" in text(applied, "tom@northwind.example")
    assert ask(applied, "tom+shop@northwind.example")["name"] == "tom@northwind.example"


def test_a_domain_tells_whom_it_depends_on(applied):
    """Owner, who changes mail and DNS, its registrar, how much is in it."""
    said = "kind: registrar, name: Gandi, held_by: ops, reset_to: a@agency.example, domains: [northwind.example]"
    applied.write(tenant("northwind", f"assets: [{{{said}}}]\n"))
    data = ask(applied, "northwind.example")
    assert data["details"]["counts"] == {"mailbox": 2, "shared": 1, "alias": 3, "forward": 1, "catch_all": 0}
    assert [part["role"] for part in data["may_change"]] == ["mailbox_admin", "dns_auth"]
    assert [(a["name"], a["held_by"]["team"], a["reset_to"]) for a in data["details"]["assets"]] == [
        ("Gandi", "ops", "a@agency.example")
    ]
    assert "registrar: Gandi" in text(applied, "northwind.example")


# ---------------------------------------------------------------------- all servers down


def test_questions_are_answered_with_every_server_down(applied, monkeypatch):
    """No provider is opened, no socket, no remote: what is in this clone is enough."""
    elsewhere = STAFF.replace("sqlite:///var/mail.sqlite", "postgresql://db.invalid/mail").replace(
        "var/zones", "/nowhere"
    )
    applied.write({"reconciler.yaml": elsewhere})
    applied.git("remote", "add", "origin", "https://git.invalid/estate.git")
    monkeypatch.setattr("socket.socket", None)
    (applied.root / "var").rename(applied.root.parent / "gone")
    assert "Jane Roe" in text(applied, "jane@northwind.example")
    assert ask(applied, "northwind.example")["last_change"]["applied"]
    assert applied.run("inventory").code == 0
    assert applied.run("codeowners").code == 0


def test_only_the_tenant_concerned_is_parsed(applied, monkeypatch):
    """However many tenants there are: domains are found by paths, people by the text of the files."""
    parsed, parse = [], documents.parse
    monkeypatch.setattr(documents, "parse", lambda file, raw: parsed.append(file) or parse(file, raw))
    for name in ("northwind.example", "jane@northwind.example", "desk"):
        parsed.clear()
        ask(applied, name)
        assert {file for file in parsed if file.startswith("tenants/contoso")} == set()


def test_what_is_not_committed_is_announced_and_not_told(applied):
    """The first line names the file; on stderr where stdout is for a program."""
    text = (applied.root / NORTHWIND).read_text()
    applied.save({NORTHWIND: text.replace("jane: {owner: jane}", "jane: {owner: tom}")})
    for command in (["who", "jane@northwind.example"], ["inventory", "northwind.example"]):
        run = applied.run(*command)
        assert run.out.splitlines()[0] == f"Not committed, so not part of this: {NORTHWIND}"
        assert "Jane Roe" in run.out
        assert NORTHWIND in applied.run(*command, "--format", "json").err
    assert NORTHWIND in applied.run("codeowners").err
    assert "Not committed" not in applied.run("who", "contoso.example").out


# ---------------------------------------------------------------------- inventory


SURFACE = ["registrar", "dns_provider", "admin_addresses", "mx", "forwards", "catch_all", "external_aliases", "mfa"]
OBJECTS = ["domains", "mailboxes", "aliases", "forwards", "mail_authentication", "admin_access"]


def inventory(estate, *arguments):
    """{domain: (reset surface, objects)}."""
    data = conforms(estate.run("inventory", "--format", "json", *arguments).json)
    assert data["format"] == "reconciler.inventory/1"
    domains = [domain for one in data["tenants"] for domain in one["domains"]]
    return {domain["domain"]: (domain["reset_surface"], domain["objects"]) for domain in domains}


def test_each_item_has_value_source_and_age(applied):
    """Applied: from the ledger, so many days old. Edited since: declared. A second factor: attested."""
    text = (applied.root / "tenants/northwind/tenant.yaml").read_text()
    applied.write({"tenants/northwind/tenant.yaml": text.replace('5550100"}', '5550100", mfa_attested: 2026-01-01}')})
    surface, objects = inventory(applied, "northwind.example")["northwind.example"]
    assert (list(surface), list(objects)) == (SURFACE, OBJECTS)
    assert [set(item) for item in (*surface.values(), *objects.values())] == [{"value", "source", "since", "age"}] * 14
    assert (surface["mx"]["value"], surface["mx"]["source"], surface["mx"]["age"]) == (
        ["10 mx1.agency.example."],
        "ledger",
        0,
    )
    assert [(item["address"], item["to"]) for item in surface["forwards"]["value"]] == [
        ("jane@northwind.example", ["jane@phone.example"])
    ]
    assert surface["catch_all"] | {"since": None, "age": None} == {
        "value": [],
        "source": "declared",
        "since": None,
        "age": None,
    }
    assert {item["address"] for item in surface["external_aliases"]["value"]} == {
        "abuse@northwind.example", "postmaster@northwind.example"
    }  # fmt: skip
    assert surface["mfa"]["source"] == "attested"
    assert {p["person"]: p["mfa_attested"] for p in surface["mfa"]["value"]} == {
        "jane": "2026-01-01", "anna": None, "bela": None
    }  # fmt: skip
    assert objects["mail_authentication"]["value"]["spf"] == "v=spf1 include:spf.agency.example -all"
    assert objects["mail_authentication"]["value"]["dmarc"] == "v=DMARC1; p=none"
    by("Tom Poe", applied, NORTHWIND, "info: [desk]", "info: [jane]")
    assert inventory(applied, "northwind.example")["northwind.example"][1]["aliases"]["source"] == "declared"


def test_what_nobody_can_say_is_unknown_and_never_none(applied):
    """No asset names it, its zone or its mail are not ours, nobody attested: unknown, in text too."""
    surface, objects = inventory(applied)["twin.example"]
    assert {name for name in SURFACE if surface[name]["source"] == "unknown"} == {
        "registrar",
        "dns_provider",
        "mx",
        "mfa",
    }
    assert objects["mail_authentication"] == {"value": None, "source": "unknown", "since": None, "age": None}
    applied.write(
        {"tenants/northwind/domains/parked.example.yaml": "domain: parked.example\nowner: jane\nmail: null\n"}
    )
    surface, objects = inventory(applied, "parked.example")["parked.example"]
    assert {surface[name]["source"] for name in ("forwards", "catch_all", "external_aliases", "admin_addresses")} == {
        "unknown"
    }
    assert objects["mailboxes"]["source"] == "unknown"
    lines = applied.run("inventory", "parked.example").out.splitlines()
    assert "    forwarding rules    unknown" in lines


def test_an_inventory_is_of_all_or_of_some(applied):
    """Everything, a tenant, a domain; a tenant that cannot be used is said and the others are told."""
    assert set(inventory(applied)) == {"northwind.example", "twin.example", "contoso.example"}
    assert set(inventory(applied, "--tenant", "contoso")) == {"contoso.example"}
    assert applied.run("inventory", "nowhere.example").code == 1
    applied.write({CONTOSO: "domain: contoso.example\nowner: [\n"})
    run = applied.run("inventory", "--format", "json")
    assert (run.code, len(run.json["tenants"])) == (1, 1)
    assert run.json["findings"][0]["file"] == CONTOSO
    assert applied.run("inventory", "--tenant", "contoso").code == 1


def test_a_file_beside_the_tenants_is_nobodys(applied):
    """As `init` leaves one: the agency's people and teams are told all the same."""
    applied.write({"tenants/.gitkeep": "ops\nanna\n"})
    assert ask(applied, "anna")["details"]["tenants"] == []
    assert ask(applied, "ops")["kind"] == "team"


def test_a_removal_that_is_not_applied_is_told_by_git(applied):
    """The commit that took it out and its revert, not what made it; mail for it still arrives."""
    gone = by("Tom Poe", applied, NORTHWIND, "  info: [desk]\n", "  help: [desk]\n")
    by("Jane Roe", applied, NORTHWIND, "jane: {owner: jane}", "jane: {owner: jane, name: Jane}")
    data = ask(applied, "info@northwind.example")
    last = data["last_change"]
    assert (data["kind"], data["details"]["was"], data["applied"]) == ("removed", "alias", False)
    assert (last["commit"], last["author"], last["undo"]) == (gone, "Tom Poe", f"git revert {gone[:12]}")
    assert "not applied yet: mail for it still arrives" in text(applied, "info@northwind.example")


def test_what_was_taken_out_points_to_its_history(applied):
    """Nothing is left of an alias; the journal knows what it was."""
    by("Tom Poe", applied, NORTHWIND, "  info: [desk]\n", "  help: [desk]\n")
    assert applied.apply().code == 0
    run = applied.run("who", "info@northwind.example")
    assert (run.code, "`reconciler history info@northwind.example`" in run.err) == (1, True)


def test_what_git_says_and_nobody_applied_is_told_as_such(applied):
    """It reads `blocked` from the commit on, though it is so only after an apply."""
    assert ask(applied, "tom@northwind.example")["applied"] is True
    by("Jane Roe", applied, NORTHWIND, "tom: {owner: tom}", "tom: {owner: tom, state: blocked}")
    assert ask(applied, "tom@northwind.example")["applied"] is False
    assert "not applied   this is what Git says" in text(applied, "tom@northwind.example")


def test_a_clone_without_ledgers_says_so(applied, tmp_path):
    """A colleague's fresh clone: nothing is said to be not applied; who, inventory and trace say what is missing."""
    applied.git("clone", "--quiet", str(applied.root), str(tmp_path / "clone"))
    for command in (
        ("who", "jane@northwind.example"),
        ("inventory", "northwind.example"),
        ("trace", "jane@northwind.example"),
    ):
        run = call(*command, "--estate", tmp_path / "clone")
        assert run.out.startswith("No ledger in this clone: ")
        assert "not applied yet" not in run.out
    data = call("who", "jane@northwind.example", "--format", "json", "--estate", tmp_path / "clone").json
    assert (data["ledgers"], data["applied"], data["last_change"]["applied"]) == (False, None, None)


def test_the_commit_that_made_the_estate_has_no_undo(tmp_path):
    """Its revert would take reconciler.yaml with it: `who` and `history` name no command, `rollback` says why."""
    estate = make(tmp_path / "estate", northwind(), agency=ACCOUNTS)
    first = estate.git("rev-list", "--max-parents=0", "HEAD").strip()
    assert estate.apply().code == 0
    assert ask(estate, "jane@northwind.example")["last_change"]["undo"] is None
    assert "undo          by hand, in tenants/northwind/domains/northwind.example.yaml:" in text(
        estate, "jane@northwind.example"
    )
    assert "undo: by hand: with that commit the estate began" in estate.run("history", "jane@northwind.example").out
    run = estate.run("rollback", first)
    assert (run.code, f"the estate began with {first[:12]}" in run.err) == (1, True)
    assert "rollback" not in estate.git("branch", "--list")


def test_how_much_a_commit_takes_back_is_told(applied):
    """A commit of several files: its revert takes all of them back."""
    applied.write(
        {
            CONTOSO: (applied.root / CONTOSO).read_text() + "# x\n",
            NORTHWIND: (applied.root / NORTHWIND)
            .read_text()
            .replace("tom: {owner: tom}", "tom: {owner: tom, quota: 2 GiB}"),
        }
    )
    assert ask(applied, "tom@northwind.example")["last_change"]["files"] == 2
    assert "all of that commit, 2 files" in text(applied, "tom@northwind.example")


def test_what_comes_by_another_form_is_seen(applied):
    """An alias that names a box by its twin's domain or by a plus address sends it mail all the same."""
    said = "domain: northwind.test\nowner: jane\nalias_of: northwind.example\n"
    twin = {"tenants/northwind/domains/northwind.test.yaml": said}
    estate = applied
    by("Tom Poe", estate, NORTHWIND, "  info: [desk]\n", "  info: [tom@northwind.test]\n  shop: [tom+shop]\n")
    estate.write(twin)
    found = {said["address"] for said in ask(estate, "tom@northwind.example")["details"]["mail_from"]}
    assert {"info@northwind.example", "shop@northwind.example"} <= found


def test_an_alias_domain_shows_through_what_it_could_be_taken_over(applied):
    """The addresses of its original answer there too: none of them is none."""
    said = "domain: northwind.test\nowner: jane\nalias_of: northwind.example\n"
    applied.write({"tenants/northwind/domains/northwind.test.yaml": said})
    (tenant_,) = applied.run("inventory", "northwind.test", "--format", "json").json["tenants"]
    (domain,) = tenant_["domains"]
    admins = {one["address"] for one in domain["reset_surface"]["admin_addresses"]["value"]}
    assert "abuse@northwind.example" in admins
    assert [one["address"] for one in domain["reset_surface"]["forwards"]["value"]] == ["jane@northwind.example"]
    assert domain["reset_surface"]["catch_all"]["value"] == []
    assert "alias of northwind.example: the addresses below" in applied.run("inventory", "northwind.test").out


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_an_age_counts_from_the_day_it_was_there(tmp_path, zone):
    """Days are those of the estate's time zone: a commit of this minute is of today, wherever that is."""
    agency = STAFF.replace("Europe/Berlin", zone)
    estate = make(tmp_path / "estate", northwind(), agency=agency).applied({})
    mx = inventory(estate, "northwind.example")["northwind.example"][0]["mx"]
    assert (mx["source"], mx["age"], mx["since"]) == ("ledger", 0, datetime.now(ZoneInfo(zone)).date().isoformat())


# ---------------------------------------------------------------------- approvals, odd arguments


def test_every_place_of_an_approval_is_told(applied):
    """Acceptances of the agency, aliases in their long form and records that must be absent are approvals too."""
    agency = (applied.root / "reconciler.yaml").read_text()
    long_form = f"{{to: [x@vendor.example], owner: jane, reason: press, approved_by: ops, expires: {SOON}}}"
    applied.write({"reconciler.yaml": agency + accepts(("PL101", "northwind/alias"))})
    boxes = (applied.root / NORTHWIND).read_text().replace("aliases:\n", f"aliases:\n  press: {long_form}\n")
    applied.write({NORTHWIND: boxes, **dns("absent: [{name: old, type: TXT, reason: done, approved_by: ops}]\n")})
    told = {(item["what"], item["subject"]) for item in ask(applied, "ops")["details"]["approvals"]}
    assert told >= {
        ("accept", "PL101 northwind/alias"), ("aliases", "press@northwind.example"), ("absent", "TXT old")
    }  # fmt: skip


def test_a_forward_names_who_answers_for_it(applied):
    """The owner of a forward need not be the owner of the mailbox under it."""
    boxes = (applied.root / NORTHWIND).read_text()
    assert "owner: jane, reason: travels" in boxes
    applied.write({NORTHWIND: boxes.replace("owner: jane, reason: travels", "owner: tom, reason: travels")})
    forward = next(to for to in ask(applied, "jane@northwind.example")["details"]["mail_to"] if to["reason"])
    assert forward["owner"]["id"] == "tom"
    assert "approved by ops; Tom Roe (tom) answers for it" in text(applied, "jane@northwind.example")


def test_a_retired_mailbox_says_as_what_it_was_asked(applied):
    """By a plus address, or a name in an alias domain."""
    by("Anna Ops", applied, NORTHWIND, "  tom: {owner: tom}\n", "")
    by("Anna Ops", applied, NORTHWIND, ", tom: read", "")
    assert applied.apply().code == 0
    asked = {name: ask(applied, name) for name in ("tom+shop@northwind.example", "tom@twin.example")}
    assert {(data["name"], data["kind"]) for data in asked.values()} == {("tom@northwind.example", "retired")}
    assert [data["via"] for data in asked.values()] == ["plus address", "alias domain"]


@pytest.mark.parametrize(
    "words", [("who", "\udcff"), ("who", "jane@\udcff"), ("trace", "\udcff"), ("validate", "--tenant", "\udcff")]
)
def test_bytes_that_are_no_text_are_wrong_usage(applied, words):
    """A name in another encoding than UTF-8 is told, not a fault."""
    run = applied.run(*words)
    assert (run.code, run.out) == (64, "")
    assert "is no UTF-8 text" in run.err


def test_what_a_terminal_would_obey_is_shown_as_text(applied):
    """A name that is not there is quoted on stderr: with its escapes written out."""
    run = applied.run("who", "x\x1b[2Jy")
    assert run.code == 1
    assert "\x1b" not in run.err
    assert "x\\x1b[2Jy" in run.err


def test_trace_of_a_person_names_who(applied):
    """`trace` takes addresses; who asks for a person is led to `who`."""
    run = applied.run("trace", "jane")
    assert (run.code, "or ask `reconciler who jane`" in run.err) == (64, True)


def test_codeowners_without_accounts_says_so(applied):
    """A file that names nobody protects nothing: that is said beside it."""
    agency = (applied.root / "reconciler.yaml").read_text()
    applied.write({"reconciler.yaml": re.sub(r"""account: ["']?@[^,}"']*["']?,? ?""", "", agency)})
    run = applied.run("codeowners")
    assert (run.code, "@" in run.out) == (0, False)
    assert "the file names nobody" in run.err


def test_what_is_not_ours_is_said_in_the_inventory(applied):
    """A domain whose mail is elsewhere: why its addresses are unknown."""
    assert "mail is not ours" not in applied.run("inventory", "northwind.example").out
    applied.write(
        {"tenants/northwind/domains/parked.example.yaml": "domain: parked.example\nowner: jane\nmail: null\n"}
    )
    found = applied.run("inventory", "parked.example")
    assert "its mail is not ours: what its addresses are, nobody here knows" in found.out
    data = applied.run("inventory", "parked.example", "--format", "json").json["tenants"][0]["domains"][0]
    assert (data["ours"]["mail"], data["alias_of"]) == (False, None)
