"""Whose a domain is: delegated, public, a provider's. Examples of each finding lie in tests/checks."""

from pathlib import Path

import publicsuffixlist
import pytest

from reconciler import suffixes
from reconciler.checks.domains import above
from tests.estates import AGENCY, accepts, control, mail, make, northwind, tenant

BELOW = "tenants/contoso/domains/labs.northwind.example.yaml"


def held(name="contoso", domain="labs.northwind.example"):
    """A client with a domain below northwind's."""
    said = f"domain: {domain}\nowner: jane\nmailboxes:\n  jane: {{owner: jane}}\n"
    zone = f"domain: {domain}\nzone: {{create: true}}\n"
    return {
        **tenant(name), f"tenants/{name}/domains/{domain}.yaml": said, f"tenants/{name}/dns/{domain}.yaml": zone,
    }  # fmt: skip


def found(estate, command="validate", *arguments):
    """(code, severity, file) of what a command finds about whose a domain is."""
    data = estate.run(command, "--format", "json", *arguments).json
    every = [*data["findings"], *(f for t in data.get("tenants", ()) for f in t["findings"])]
    return {(f["code"], f["severity"], f["file"]) for f in every if f["code"].startswith("DN04")}


# ---------------------------------------------------------------------- public suffixes


def test_the_short_way_answers_as_the_list_does():
    """Whatever stands in the list, as a name, below a wildcard or below an exception, international or not."""
    listed = [line for line in Path(publicsuffixlist.PSLFILE).read_text(encoding="utf-8").splitlines() if line]
    names = [line.lstrip("!*.").split()[0] for line in listed if not line.startswith("//") and line.strip()]
    ascii_names = [name if name.isascii() else name.encode("idna").decode() for name in names]
    asked = [f"{ahead}{name}" for name in ascii_names for ahead in ("", "www.", "a.b.")]
    whole = publicsuffixlist.PublicSuffixList()
    assert suffixes.public(asked) == {name for name in asked if "." in name and whole.is_public(name)} | {
        name for name in ascii_names if "." not in name
    }
    assert suffixes.public(["agency.example", "xn--.example", "xn--\udcff.example", ""]) == frozenset()


def test_a_sound_estate_never_makes_the_index(monkeypatch, tmp_path):
    """Reading the list's lines is enough for domains that are in none of them."""
    suffixes._whole.cache_clear()
    monkeypatch.setattr(publicsuffixlist.PublicSuffixList, "__init__", pytest.fail)
    assert make(tmp_path / "estate", northwind()).run("validate").code == 0


# ---------------------------------------------------------------------- above and below


def test_the_nearest_domain_above_counts():
    """Found by walking up the labels, whatever else there is."""
    domains = {"a.example", "c.a.example", "example"}
    assert above("d.c.a.example", domains) == "c.a.example"
    assert above("x.b.a.example", domains) == "a.example"
    assert above("aa.example", domains - {"example"}) is None


def test_one_tenant_alone_is_judged_as_all_are(tmp_path):
    """`--tenant` sees the tenant above too, in validate and in plan, and refuses no other."""
    estate = make(tmp_path / "estate", northwind(), held())
    wrong = {("DN040", "error", BELOW)}
    assert found(estate) == found(estate, "validate", "--tenant", "contoso") == wrong
    assert found(estate, "plan", "--tenant", "contoso") == wrong
    assert found(estate, "plan", "--tenant", "northwind") == set()
    assert estate.run("plan", "--tenant", "contoso").code == 3
    estate.write(control("delegates: {LABS.northwind.example: contoso}\n"))
    assert found(estate) == found(estate, "plan", "--tenant", "contoso") == set()


def test_what_was_delegated_is_the_tenants_to_delegate(tmp_path):
    """Of three domains below each other each asks the one right above, even where the first and the last are one's."""
    own_again = mail({"jane": "{owner: jane}"}, "", "northwind.labs.northwind.example")
    estate = make(tmp_path / "estate", northwind(), held(), own_again)
    own = "tenants/northwind/domains/northwind.labs.northwind.example.yaml"
    estate.write(control("delegates:\n  labs.northwind.example: contoso\n  x.labs.northwind.example: northwind\n"))
    assert found(estate) == {
        ("DN040", "error", own), ("DN042", "warning", "tenants/northwind/control.yaml"),
    }  # fmt: skip
    estate.write(control("delegates: {labs.northwind.example: contoso}\n"))
    estate.write(control("delegates: {northwind.labs.northwind.example: northwind}\n", "contoso"))
    assert found(estate) == set()


def test_a_control_file_that_cannot_be_read_refuses_its_own_tenant_alone(tmp_path):
    """Whether the domain is delegated is unknown then: said to the tenant below, and no error there."""
    estate = make(tmp_path / "estate", northwind(), held())
    estate.write({"tenants/northwind/control.yaml": "tenant: northwind\ndelegates: [\n"})
    assert found(estate) == {("DN040", "info", BELOW)}
    assert estate.run("validate", "--tenant", "contoso").code == 0
    assert estate.run("validate", "--tenant", "northwind").code == 1


def test_many_domains_below_one_ask_its_tenant_once(tmp_path, monkeypatch):
    """The delegating file is read and parsed once, however many domains it delegates."""
    from reconciler import tenant_files

    names = [f"c{number}" for number in range(30)]
    lines = "".join(f"  {name}.northwind.example: {name}\n" for name in names)
    below = [held(name, f"{name}.northwind.example") for name in names]
    estate = make(tmp_path / "estate", northwind(), control(f"delegates:\n{lines}"), *below)
    asked = []
    real = tenant_files.delegates
    monkeypatch.setattr(tenant_files, "delegates", lambda *a: asked.append(a) or real(*a))
    assert found(estate) == set()
    assert len(asked) == 1


# ---------------------------------------------------------------------- everybody's


def test_no_acceptance_makes_everybodys_domain_ours(tmp_path):
    """Neither the tenant's nor the agency's, and none is offered."""
    accept = accepts(("DN045", "gmail.com"))
    estate = make(
        tmp_path / "estate", northwind(), held("northwind", "gmail.com"), control(accept), agency=f"{AGENCY}{accept}"
    )
    run = estate.run("plan")
    assert run.code == 3
    assert "error DN045" in run.out
    assert "to accept it" not in run.out
