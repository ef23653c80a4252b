"""Templates: parameters, conditions, facts, and the two that are shipped."""

from __future__ import annotations

import hashlib

import pytest

from tests.estates import AGENCY, ROOT, accepting, codes, control, dns, mail, make, northwind

OWN = "domain-templates/own/1.yaml"
ROLES = "aliases: {info: [jane], postmaster: [jane], abuse: [jane]}\n"  # whatever the template gives
SHIPPED = AGENCY.replace("mini/1", "standard/1")


@pytest.fixture
def estate(tmp_path):
    return make(tmp_path / "estate", northwind(more=ROLES, names="template: own/1\n"), {OWN: "template: own/1\n"})


def records(estate, template="", more="template: own/1\n", records_of="northwind.example"):
    """{type/name: values} that the template gives the domain, with `@` for the domain."""
    files = {OWN: f"template: own/1\n{template}"} if template else {}
    estate.write({**files, **dns(more)})
    run = estate.run("plan", "--format", "json")
    assert run.code == 0, run.out
    changes = [change for change in run.json["tenants"][0]["changes"] if change["kind"] == "record"]
    return {c["name"].replace(records_of, "@"): c["fields"]["values"]["to"] for c in changes}


def refused(estate, template, more="template: own/1\n"):
    """The codes of what is wrong with the template or its use."""
    estate.write({OWN: f"template: own/1\n{template}", **dns(more)})
    run = estate.run("validate", "--format", "json")
    assert run.code == 1
    return codes(run.json["findings"])


def test_when_compares_parameters_with_lists(estate):
    """A record with `when` is there for each value of its list and for no other; several must all hold."""
    template = """parameters:
  a: {enum: [x, y, z], default: x}
  b: {enum: ["off", "on"], default: "on"}
records:
  - {name: one, type: TXT, when: {a: [x, y]}, values: [one]}
  - {name: two, type: TXT, when: {a: [y], b: ["on"]}, values: [two]}
  - {name: three, type: TXT, when: {b: ["off"]}, values: [three]}
"""
    assert set(records(estate, template)) == {"TXT/one.@"}
    assert set(records(estate, more="template: own/1\nwith: {a: y}\n")) == {"TXT/one.@", "TXT/two.@"}
    assert set(records(estate, more='template: own/1\nwith: {a: z, b: "off"}\n')) == {"TXT/three.@"}


def test_values_come_from_a_list_of_facts_or_a_parameter(estate):
    """`values_from` names server.mx, or a parameter that is a list."""
    template = """parameters:
  hosts: {type: array, items: {type: string}, default: [192.0.2.1]}
records:
  - {name: "@", type: MX, values_from: server.mx}
  - {name: www, type: A, values_from: hosts}
"""
    assert records(estate, template) == {"MX/@": ["10 mx1.agency.example."], "A/www.@": ["192.0.2.1"]}
    assert records(estate, more="template: own/1\nwith: {hosts: [192.0.2.7, 192.0.2.8]}\n")["A/www.@"] == [
        "192.0.2.7",
        "192.0.2.8",
    ]


@pytest.mark.parametrize("path", ["server.nothing", "server.spf", "nothing", "domain"])
def test_values_from_what_is_no_list_is_an_error(estate, path):
    """A fact that nobody gives, or that is a text, is no list of values."""
    assert refused(estate, f'records:\n  - {{name: "@", type: MX, values_from: {path}}}\n') == {"IN231"}


def test_expressions_fill_in_text_only(estate):
    """Parameters, the domain, server facts, four filters; an empty expression leaves no gap; structure stays."""
    template = """parameters:
  senders: {type: array, items: {type: string}, default: []}
  who: {type: string, default: "Team A"}
records:
  - {name: a, type: TXT, values: ["v {{ server.spf }} {{ senders | join(' ') }} end"]}
  - {name: b, type: TXT, values: ["{{ domain }}/{{ who | lower }}/{{ who | upper }}/{{ server.no | default('none') }}"]}
  - {name: c, type: TXT, values: ["{{ senders | join(', ') }}|"]}
"""
    found = records(estate, template)
    assert found["TXT/a.@"] == ["v spf.agency.example end"]
    assert found["TXT/b.@"] == ["northwind.example/team a/TEAM A/none"]
    found = records(estate, more="template: own/1\nwith: {senders: [\"x', y: [z\", '}}{{ 1']}\n")
    assert found["TXT/c.@"] == ["x', y: [z, }}{{ 1|"]


def test_a_parameter_without_a_default_must_be_given(estate):
    """Missing: an error that names it; given: used."""
    template = 'parameters:\n  id: {type: string}\nrecords:\n  - {name: "@", type: TXT, values: ["id={{ id }}"]}\n'
    assert refused(estate, template) == {"IN232"}
    assert records(estate, more="template: own/1\nwith: {id: abc}\n") == {"TXT/@": ["id=abc"]}


@pytest.mark.parametrize(
    ("rule", "value", "fits"),
    [
        ("{type: integer}", "5", True), ("{type: integer}", '"5"', False), ("{type: integer}", "true", False),
        ("{type: boolean}", "true", True), ("{type: boolean}", "1", False), ("{type: string}", "on", True),
        ("{type: string}", "7", False), ("{enum: [1, 2]}", "1", True), ("{enum: [1, 2]}", "true", False),
        ("{enum: [1, 2]}", '"1"', False), ("{type: array, items: {type: string}}", "[a, b]", True),
        ("{type: array, items: {type: string}}", "[a, 1]", False), ("{type: array, items: {type: string}}", "a", False),
        ("{type: array, items: {enum: [a, b]}}", "[a, c]", False),
    ],
)  # fmt: skip
def test_parameters_are_typed(estate, rule, value, fits):
    """A value is of the type its rule says, and nothing is converted."""
    estate.write(
        {OWN: f"template: own/1\nparameters:\n  p: {rule}\n", **dns(f"template: own/1\nwith: {{p: {value}}}\n")}
    )
    assert estate.run("validate").code == (0 if fits else 1)


def test_a_parameter_that_only_another_template_has_may_be_inherited(estate):
    """The tenant's `with` is for all its domains: a template that knows less is not broken by it."""
    estate.write(control("with: {dmarc: reject}\n"))
    assert estate.run("validate").code == 0


def test_another_template_version_is_another_template(estate):
    """own/2 beside own/1: a domain moves by saying so, and only then."""
    first = 'records:\n  - {name: a, type: TXT, values: ["one"]}\n'
    estate.write({"domain-templates/own/2.yaml": "template: own/2\n" + first.replace("one", "two")})
    assert records(estate, first) == {"TXT/a.@": ["one"]}
    assert records(estate, more="template: own/2\n") == {"TXT/a.@": ["two"]}


def test_an_edited_template_moves_all_its_domains(estate):
    """No file of the tenant's changed: the change comes from its file all the same, with the template's commit."""
    records(estate, 'records:\n  - {name: a, type: TXT, values: ["one"]}\n')
    estate.applied({OWN: 'template: own/1\nrecords:\n  - {name: a, type: TXT, values: ["two"]}\n'})
    estate.write({OWN: 'template: own/1\nrecords:\n  - {name: a, type: TXT, values: ["three"]}\n'})
    (change,) = estate.one()["changes"]
    assert change["origin"]["commit"] == estate.head
    assert (change["action"], change["fields"]["values"]) == ("update", {"from": ["two"], "to": ["three"]})


# ---------------------------------------------------------------------- the shipped ones


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A domain on standard/1, as an estate has it from `init`, without its DKIM key (which takes long to make)."""
    return make(tmp_path_factory.mktemp("shipped") / "estate", northwind(), agency=SHIPPED)


def test_standard_1_is_a_whole_baseline(shipped):
    """MX, SPF, DKIM, DMARC none, SRV for submission and IMAP, three role addresses; MTA-STS and TLS-RPT off."""
    shipped.write(dns())
    run = shipped.run("plan", "--format", "json")
    (found,) = run.json["tenants"]
    values = {
        c["name"].replace("northwind.example", "@"): c["fields"]["values"]["to"]
        for c in found["changes"]
        if c["kind"] == "record"
    }
    assert values == {
        "MX/@": ["10 mx1.agency.example."],
        "TXT/@": ["v=spf1 include:spf.agency.example -all"],
        "TXT/_dmarc.@": ["v=DMARC1; p=none; rua=mailto:dmarc@northwind.example"],
        "TXT/s1._domainkey.@": [{"known": "after apply"}],
        "SRV/_imap._tcp.@": ["0 0 0 ."],
        "SRV/_imaps._tcp.@": ["0 1 993 i.agency.test."],
        "SRV/_submission._tcp.@": ["10 1 587 s.agency.example."],
        "SRV/_submissions._tcp.@": ["0 1 465 s.agency.example."],
    }
    names = {c["name"] for c in found["changes"] if c["kind"] == "alias"}
    assert {f"{name}@northwind.example" for name in ("abuse", "dmarc", "postmaster")} <= names
    assert [c["fields"]["selectors"]["to"] for c in found["changes"] if c["kind"] == "dkim_signing"] == [["s1"]]


def test_the_id_of_mta_sts_moves_with_its_policy_alone(shipped):
    """RFC 8461, 3.1: another id whenever the policy is another (mode, MX hosts), the same id otherwise."""
    ids = {}
    facts = 'mx: ["10 mx.other.example."], spf: s.other.example, submission: s.agency.example, imap: i.agency.test'
    more = f"  other: {{{facts}}}\npeople:"
    untried = accepting("DN036", "TXT/_mta-sts.northwind.example")
    shipped.write({"reconciler.yaml": SHIPPED.replace("people:", more, 1), **untried})
    for name, said in {
        "testing": "with: {mta_sts: testing}\n",
        "again": "with: {mta_sts: testing, dmarc: reject, senders: [a]}\n",
        "enforce": 'with: {mta_sts: enforce, tls_rpt: "on"}\n',
        "elsewhere": "server: other\nwith: {mta_sts: testing}\n",
    }.items():
        found = records(shipped, more=f"dkim: null\n{said}")
        (value,) = found["TXT/_mta-sts.@"]
        ids[name] = value.removeprefix("v=STSv1; id=")
    assert all(1 <= len(i) <= 32 and i.isalnum() for i in ids.values())
    assert ids["testing"] == ids["again"]
    assert len(set(ids.values())) == 3
    policy = "version: STSv1\r\nmode: testing\r\nmx: mx1.agency.example\r\nmax_age: 604800\r\n"
    assert ids["testing"] == hashlib.sha256(policy.encode()).hexdigest()[:32]


def test_tls_rpt_is_switched_on(shipped):
    """One TXT record more (RFC 8460)."""
    found = records(shipped, more='dkim: null\nwith: {tls_rpt: "on"}\n')
    assert found["TXT/_smtp._tls.@"] == ["v=TLSRPTv1; rua=mailto:dmarc@northwind.example"]


def test_parked_1_is_a_domain_without_mail(shipped):
    """Null MX, SPF that allows nobody, DMARC reject, revoked keys: and it applies and settles."""
    shipped.write(
        {"tenants/northwind/domains/northwind.example.yaml": "domain: northwind.example\nowner: jane\nmail: null\n"}
    )
    assert records(shipped, more="template: parked/1\n") == {
        "MX/@": ["0 ."],
        "TXT/@": ["v=spf1 -all"],
        "TXT/_dmarc.@": ["v=DMARC1; p=reject; sp=reject; adkim=s; aspf=s"],
        "TXT/*._domainkey.@": ["v=DKIM1; p="],
    }
    shipped.applied({})
    assert shipped.run("plan", "--exit-code").code == 0


def test_the_shipped_templates_validate_as_a_new_estate_has_them(tmp_path):
    """What `init` writes is what the checkout has."""
    estate = make(tmp_path / "estate", northwind(), agency=SHIPPED)
    for name in ("standard", "parked"):
        file = f"domain-templates/{name}/1.yaml"
        assert (estate.root / file).read_bytes() == (ROOT / file).read_bytes()
    estate.write(mail())
    assert estate.run("validate").code == 0
