"""What documents mean: which of several places wins, what a missing key means, and what each kind becomes."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tests.estates import (
    AGENCY,
    BOXES,
    NORTHWIND,
    accepting,
    codes,
    control,
    dns,
    mail,
    make,
    northwind,
    summary,
    tenant,
)  # fmt: skip

GIB = 2**30
HEX = "AB " * 32
ZONE = "northwind.example"
SPF = "v=spf1 include:spf.agency.example -all"
TWIN = "domain: northwind.test\nowner: jane\nalias_of: northwind.example\n"
FORWARD = "owner: jane, reason: travel, approved_by: ops, expires: 2099-12-31"


@pytest.fixture
def estate(tmp_path):
    return make(tmp_path / "estate", northwind())


ROLES = "aliases: {postmaster: [hostmaster@agency.example], abuse: [hostmaster@agency.example]}\n"


def wanted(estate, *files):
    """{address without provider: {field: value}} that a first plan of these files would create."""
    for group in files:
        estate.write(group)
    run = estate.run("plan", "--format", "json")
    assert run.code == 0, run.out
    found = next(tenant for tenant in run.json["tenants"] if tenant["tenant"] == "northwind")
    assert {change["action"] for change in found["changes"]} == {"create"}
    return {
        change["address"].partition(":")[2]: {name: field["to"] for name, field in change["fields"].items()}
        for change in found["changes"]
    }


def boxes(estate, *files):
    return {
        name.removeprefix("mailbox/").partition("@")[0]: said
        for name, said in wanted(estate, *files).items()
        if "mailbox/" in name
    }


def records(estate, *files):
    found = {name.removeprefix("record/"): said for name, said in wanted(estate, *files).items() if "record/" in name}
    return {name.replace("northwind.example", "@"): said for name, said in found.items()}


# ---------------------------------------------------------------------- which place wins


def test_the_nearest_quota_wins(estate):
    """A mailbox's own, then its domain's, then the tenant's, then the agency's default."""
    assert {name: said["quota"] for name, said in boxes(estate).items()} == {"jane": 5 * GIB, "tom": 2 * GIB}
    assert boxes(estate, control("quota: 6 GiB\n"))["jane"]["quota"] == 6 * GIB
    text = mail(more="quota: 7 GiB\naliases:\n  info: [jane]\n")
    assert {name: said["quota"] for name, said in boxes(estate, text).items()} == {"jane": 7 * GIB, "tom": 2 * GIB}


@pytest.mark.parametrize(
    ("said", "bytes_"), [("1 KiB", 1024), ("3 MiB", 3 * 2**20), ("2 TiB", 2 * 2**40), ("unlimited", "unlimited")]
)
def test_sizes_are_bytes(estate, said, bytes_):
    """KiB to TiB are powers of 1024; unlimited is a word."""
    assert boxes(estate, mail({"jane": f"{{owner: jane, quota: {said}}}"}))["jane"]["quota"] == bytes_


def test_defaults_only_start_what_is_created(estate):
    """The agency's default quota is where a new box begins: neither its change nor a hand's is anybody's business."""
    estate.applied({})
    estate.sql("UPDATE mailbox SET quota = 77 WHERE username = 'jane@northwind.example'")
    estate.write({"reconciler.yaml": AGENCY.replace("quota: 5 GiB", "quota: 9 GiB")})
    found = estate.one()
    assert (found["changes"], found["drift"]) == ([], [])
    estate.write(mail({**BOXES, "new": "{owner: jane}"}, "aliases:\n  info: [jane]\n"))
    (change,) = estate.one()["changes"]
    assert change["fields"]["quota"] == {"from": None, "to": 9 * GIB}


def test_a_tenants_quota_is_kept_not_only_started(estate):
    """Said by the tenant it is compared like a mailbox's own: a hand edit of it is drift."""
    estate.applied(control("quota: 6 GiB\n"))
    estate.sql("UPDATE mailbox SET quota = 77 WHERE username = 'jane@northwind.example'")
    assert [(drift["field"], drift["git"]) for drift in estate.one()["drift"]] == [("quota", 6 * GIB)]
    estate.sql("UPDATE mailbox SET quota = ? WHERE username = 'jane@northwind.example'", 6 * GIB)
    estate.write(control("quota: 8 GiB\n"))
    assert summary(estate.one()["changes"]) == {("update", "jane@northwind.example")}


def test_an_optional_attribute_goes_back_to_what_it_was(estate):
    """A quota that Git sets and no longer mentions: back to what was before; what a hand set meanwhile stays."""
    estate.applied({})
    for hand, change in ((None, [{"from": 9 * GIB, "to": 5 * GIB}]), (8 * GIB, [])):
        estate.applied(mail({"jane": "{owner: jane, quota: 9 GiB}", "tom": BOXES["tom"]}, "aliases:\n  info: [jane]\n"))
        if hand is not None:
            estate.sql("UPDATE mailbox SET quota = ? WHERE username = 'jane@northwind.example'", hand)
        estate.write(mail(more="aliases:\n  info: [jane]\n"))
        found = estate.one()
        assert [c["fields"]["quota"] for c in found["changes"]] == change
        assert all(c["revert"] == "full" for c in found["changes"])
        assert (found["drift"], estate.apply().code) == ([], 0)


def test_an_optional_attribute_that_we_made_stays(estate):
    """There was nothing before: without a mention in Git the value stays and is compared no more."""
    estate.applied({})
    estate.write(mail({"jane": "{owner: jane}", "tom": "{owner: tom}"}, "aliases:\n  info: [jane]\n"))
    assert (estate.one()["changes"], estate.apply().code) == ([], 0)
    estate.sql("UPDATE mailbox SET quota = 1 WHERE username = 'tom@northwind.example'")
    assert estate.one()["drift"] == []


def test_a_governed_attribute_goes_back_to_its_default(estate):
    """`state` always has a value: no longer mentioned means active again."""
    estate.applied(mail({"jane": "{owner: jane, state: blocked}", "tom": BOXES["tom"]}, "aliases:\n  info: [jane]\n"))
    estate.write(mail(more="aliases:\n  info: [jane]\n"))
    (change,) = estate.one()["changes"]
    assert change["fields"] == {"state": {"from": "blocked", "to": "active"}}


@pytest.mark.parametrize(
    ("files", "days"),
    [
        ({}, 30), (control("retention: 60 days\n"), 60), (mail(more="retention: 2 weeks\n"), 14),
        ({**control("retention: 60 days\n"), **mail(more="retention: 36 hours\n")}, 2),
    ],
    ids=["default", "tenant", "domain", "nearest, in whole days"],
)  # fmt: skip
def test_the_nearest_retention_wins(estate, files, days):
    """How long a removed mailbox is kept, from the day it is retired."""
    estate.applied({**mail(more=""), **files})
    said = files.get(NORTHWIND, "")
    estate.applied(mail({"tom": BOXES["tom"]}, said[said.index("retention:") :] if said else ""))
    found = estate.plan()
    when = (date.fromisoformat(found["as_of"]) + timedelta(days=days)).isoformat()
    assert [later["when"] for later in found["tenants"][0]["later"]] == [when]


def test_a_retention_holds_from_the_commit_that_says_it(estate):
    """Removed and given a longer retention in one commit: kept as long as that commit says."""
    estate.applied(mail(more=""))
    estate.applied({**mail({"tom": BOXES["tom"]}, ""), **control("retention: 60 days\n")})
    found = estate.plan()
    when = (date.fromisoformat(found["as_of"]) + timedelta(days=60)).isoformat()
    assert [later["when"] for later in found["tenants"][0]["later"]] == [when]


def test_a_longer_retention_moves_the_purge_out_and_a_shorter_never_in(estate):
    """The date is fixed when the box is retired."""
    estate.applied(mail(more=""))
    estate.applied(mail({"tom": BOXES["tom"]}, ""))
    today = date.fromisoformat(estate.plan()["as_of"])
    for said, days in (("10 days", 30), ("90 days", 90), ("10 days", 90)):
        estate.applied(control(f"retention: {said}\n"))
        (later,) = estate.one()["later"]
        assert later["when"] == (today + timedelta(days=days)).isoformat(), said


def test_parameters_merge_key_by_key(estate):
    """`with` of the agency, the tenant and the domain: each key from its nearest place."""
    estate.write(
        {"reconciler.yaml": AGENCY.replace("quota: 5 GiB", "with: {dmarc: quarantine, senders: [a]}, quota: 5 GiB")}
    )
    assert records(estate)["TXT/_dmarc.@"]["values"] == ["v=DMARC1; p=quarantine"]
    found = records(estate, control("with: {senders: [mx, 'ip4:192.0.2.1']}\n"))
    assert found["TXT/@"]["values"] == ["v=spf1 include:spf.agency.example mx ip4:192.0.2.1 -all"]
    found = records(estate, dns("with: {dmarc: reject}\n"))
    assert found["TXT/_dmarc.@"]["values"] == ["v=DMARC1; p=reject"]
    assert found["TXT/@"]["values"] == ["v=spf1 include:spf.agency.example mx ip4:192.0.2.1 -all"]


def test_the_nearest_server_and_template_win(estate):
    """A domain's own server gives other facts; its own template, or none, other records."""
    more = '  other: {mx: ["5 mx.other.example."], spf: spf.other.example}\npeople:'
    estate.write({"reconciler.yaml": AGENCY.replace("people:", more, 1)})
    assert records(estate, control("server: other\n"))["MX/@"]["values"] == ["5 mx.other.example."]
    assert records(estate, dns("server: primary\n"))["MX/@"]["values"] == ["10 mx1.agency.example."]
    own = f"template: own/1\nrecords:\n  - {{name: www, type: A, values: [192.0.2.9]}}\n{ROLES}"
    assert set(records(estate, {"domain-templates/own/1.yaml": own}, control("template: own/1\n"))) == {"A/www.@"}


@pytest.mark.parametrize("key", ["dns: zones", "server: primary", "template: mini/1", "with: {dmarc: none}"])
def test_dns_keys_do_not_stand_in_the_mail_file(estate, key):
    """Who may approve a mailbox may not change DNS: these keys have their own file."""
    estate.write({NORTHWIND: f"domain: northwind.example\nowner: jane\n{key}\n"})
    run = estate.run("validate", "--format", "json")
    assert (run.code, codes(run.json["findings"])) == (1, {"IN020"})


@pytest.mark.parametrize("key", ["mail: mailhost", "quota: 1 GiB", "retention: 1 day"])
def test_mail_keys_do_not_stand_in_the_dns_file(estate, key):
    """And the other way round."""
    estate.write(dns(f"{key}\n"))
    run = estate.run("validate", "--format", "json")
    assert (run.code, codes(run.json["findings"])) == (1, {"IN020"})


def test_a_side_that_is_null_is_neither_planned_nor_checked(estate):
    """`mail: null`: only records; a target that exists nowhere is no concern then; `dns: null`: only mail."""
    estate.write({NORTHWIND: "domain: northwind.example\nowner: jane\nmail: null\naliases: {info: [nobody]}\n"})
    assert {name.partition("/")[0] for name in wanted(estate)} == {"record"}
    estate.write({**mail(), "tenants/northwind/dns/northwind.example.yaml": "domain: northwind.example\ndns: null\n"})
    assert {name.partition("/")[0] for name in wanted(estate)} == {"domain", "mailbox", "alias"}


def test_a_tenant_may_choose_its_provider(estate):
    """`mail` in control.yaml: every address names it."""
    estate.write(
        {
            "reconciler.yaml": AGENCY.replace(
                "mail: {mailhost: {",
                'mail: {own: {type: postfix_dovecot, database: "sqlite:///var/own.sqlite"}, mailhost: {',
            )
        }
    )
    estate.applied(control("mail: own\n"))
    assert (estate.root / "var" / "own.sqlite").exists()
    assert not estate.database.exists()


# ---------------------------------------------------------------------- mail


def test_names_are_canonical_for_both_sides(estate):
    """Capitals, an IDN domain and full addresses are one form: the second plan is empty."""
    file = "tenants/northwind/domains/xn--bcher-kva.example.yaml"
    text = (
        "domain: Bücher.example\nowner: jane\nmailboxes:\n  Jane: {owner: jane}\n"
        "aliases:\n  INFO: [JANE@BÜCHER.example, jane+news]\n"
    )
    found = wanted(
        estate, {file: text, file.replace("/domains/", "/dns/"): "domain: bücher.example\nzone: {create: true}\n"}
    )
    assert found["alias/info@xn--bcher-kva.example"]["to"] == [
        "jane+news@xn--bcher-kva.example",
        "jane@xn--bcher-kva.example",
    ]
    assert "mailbox/jane@xn--bcher-kva.example" in found
    estate.applied({})
    assert estate.run("plan", "--exit-code").code == 0
    assert estate.zone("xn--bcher-kva.example").exists()


def test_every_section_becomes_what_it_says(estate):
    """Aliases in both forms, a forward, forwards on mailboxes with and without a copy, a catch-all, a shared box."""
    more = f"""shared:
  desk: {{owner: jane, name: The desk, members: {{jane: full, tom@northwind.example: read}}}}
aliases:
  info: [desk, tom]
  press: {{to: [jane], owner: tom, reason: for the book}}
forwards:
  orders: {{to: [crm@vendor.example], {FORWARD}}}
  jane: {{to: [jane@phone.example], keep_copy: true, {FORWARD}}}
  tom: {{to: [tom@phone.example], keep_copy: false, {FORWARD}}}
catch_all: {{to: [desk], {FORWARD}}}
"""
    found = wanted(estate, mail(more=more))
    at = "@northwind.example"
    assert found[f"alias/info{at}"] == {"to": [f"desk{at}", f"tom{at}"]}
    assert found[f"alias/press{at}"] == {"to": [f"jane{at}"]}
    assert found[f"alias/orders{at}"] == {"to": ["crm@vendor.example"]}
    assert found[f"alias/{at}"] == {"to": [f"desk{at}"]}
    desk, jane, tom = (found[f"mailbox/{name}{at}"] for name in ("desk", "jane", "tom"))
    assert (desk["login"], desk["members"], desk["name"]) == (
        False,
        {f"jane{at}": "full", f"tom{at}": "read"},
        "The desk",
    )
    assert (jane["copies_to"], jane["keep_copy"], jane["login"], jane["state"]) == (
        ["jane@phone.example"],
        True,
        True,
        "active",
    )
    assert (tom["copies_to"], tom["keep_copy"]) == (["tom@phone.example"], False)
    estate.applied({})
    assert estate.run("plan", "--exit-code").code == 0
    assert dict(estate.sql("SELECT address, goto FROM alias WHERE address LIKE 'jane@%' OR address LIKE 'tom@%'")) == {
        f"jane{at}": f"jane{at},jane@phone.example", f"tom{at}": "tom@phone.example",
    }  # fmt: skip


def test_an_alias_domain_is_a_twin(estate):
    """`alias_of`: its own domain and records, no addresses of its own, one row that says whose twin it is."""
    twin = "tenants/northwind/domains/northwind.test.yaml"
    estate.write({
        twin: "domain: northwind.test\nowner: jane\nalias_of: northwind.example\n",
        twin.replace("/domains/", "/dns/"): "domain: northwind.test\nzone: {create: true}\n",
    })  # fmt: skip
    found = wanted(estate)
    assert found["domain/northwind.test"] == {"alias_of": "northwind.example"}
    assert not [name for name in found if name.endswith("@northwind.test")]
    assert {"record/MX/northwind.test", "record/TXT/northwind.test"} <= set(found)
    estate.applied({})
    assert estate.sql("SELECT alias_domain, target_domain FROM alias_domain") == [
        ("northwind.test", "northwind.example")
    ]
    assert estate.run("plan", "--exit-code").code == 0
    estate.write(mail(more="aliases:\n  info: [jane@northwind.test, tom+x@northwind.test]\n"))
    assert estate.run("validate").code == 0


@pytest.mark.parametrize("more", ["mailboxes:\n  kim: {owner: jane}\n", "aliases:\n  kim: [jane@northwind.example]\n"])
def test_a_twin_has_no_addresses_of_its_own(estate, more):
    """They would be answered by two; an error, not silently left out."""
    estate.write({"tenants/northwind/domains/northwind.test.yaml": f"{TWIN}{more}"})
    assert estate.run("validate").code == 1


@pytest.mark.parametrize("of", ["northwind.test", "other.example", "contoso.example"])
def test_a_twin_is_one_of_a_domain_of_the_same_tenant(estate, of):
    """Not of itself, of nobody's, or of another tenant's."""
    estate.write({
        **tenant("contoso"), **mail({}, "", "contoso.example"),
        "tenants/northwind/domains/northwind.test.yaml": f"domain: northwind.test\nowner: jane\nalias_of: {of}\n",
    })  # fmt: skip
    run = estate.run("validate", "--format", "json")
    assert (run.code, codes(run.json["findings"])) == (1, {"IN218"})


def test_targets_may_be_inside_the_agency(estate):
    """A domain of `inside` counts as inside; its subdomain does not."""
    estate.write(mail(more="aliases:\n  info: [hostmaster@agency.example]\n"))
    assert estate.run("validate").code == 0
    estate.write(mail(more="aliases:\n  info: [hostmaster@sub.agency.example]\n"))
    assert estate.run("validate").code == 1


def test_a_domains_own_address_takes_the_place_of_the_templates(estate):
    """abuse goes to Jane here; postmaster stays the template's."""
    found = wanted(estate, mail(more="aliases:\n  abuse: [jane]\n"))
    assert found["alias/abuse@northwind.example"]["to"] == ["jane@northwind.example"]
    assert found["alias/postmaster@northwind.example"]["to"] == ["hostmaster@agency.example"]
    found = wanted(estate, mail(more="shared:\n  abuse: {owner: jane, members: {jane: full}}\n"))
    assert ("mailbox/abuse@northwind.example" in found, "alias/abuse@northwind.example" in found) == (True, False)


def test_postmaster_and_abuse_are_required(estate):
    """A domain whose mail is ours must answer at both; here neither it nor a template gives them."""
    estate.write({"reconciler.yaml": AGENCY.replace("template: mini/1, ", "")})
    assert estate.run("validate").code == 1


# ---------------------------------------------------------------------- DNS


def test_new_sets_get_the_default_ttl_and_old_ones_keep_theirs(estate):
    """Without `ttl` the live one stays, whatever it is; with `ttl` it is compared; without it again it goes back."""
    assert records(estate)["MX/@"]["ttl"] == 3600
    estate.applied({})
    estate.edit_zone("3600 IN MX", "7200 IN MX")
    found = estate.one()
    assert (found["changes"], found["drift"]) == ([], [])
    said = '{name: "@", type: MX, mode: replace, values: ["10 mx1.agency.example."], ttl: 5 min, reason: a move}'
    estate.write(dns(f"records:\n  - {said}\n"))
    (change,) = estate.one()["changes"]
    assert change["fields"] == {"ttl": {"from": 7200, "to": 300}}
    assert estate.apply().code == 0
    estate.write(dns())
    (change,) = estate.one()["changes"]
    assert change["fields"] == {"ttl": {"from": 300, "to": 7200}}


def test_a_ttl_that_others_share_is_not_compared(estate):
    """A neighbour's TXT stands in the set: the TTL is not ours alone, so it is neither drift nor written."""
    estate.applied({})
    estate.edit_zone("", '@ 120 IN TXT "MS=ms1"')
    estate.applied(dns('records:\n  - {name: "@", type: TXT, values: ["google=1"], ttl: 10 min}\n'))
    found = estate.one()
    assert (found["changes"], found["drift"]) == ([], [])


@pytest.mark.parametrize(
    ("said", "name", "values"),
    [
        ('{name: "@", type: TXT, values: ["google=1"]}', "TXT/@", ["google=1", SPF]),
        ('{name: "@", type: TXT, mode: replace, values: ["x"], reason: y}', "TXT/@", ["x"]),
        ('{name: "@", type: MX, mode: replace, values: ["5 mx.x.example."], reason: y}', "MX/@", ["5 mx.x.example."]),
        ('{name: "@", type: MX, mode: drop, reason: y}', "MX/@", None),
        ("{name: www, type: CNAME, values: [shop.x.example.]}", "CNAME/www.@", ["shop.x.example."]),
        ('{name: lists, type: MX, values: ["5 MX.X.Example."]}', "MX/lists.@", ["5 mx.x.example."]),
        ('{name: www, type: AAAA, values: ["2001:DB8:0:0:0:0:0:1"]}', "AAAA/www.@", ["2001:db8::1"]),
        (
            '{name: "@", type: CAA, values: [\'0 ISSUE "ca.example"\', "0 iodef mailto:x@y.example"]}',
            "CAA/@", ['0 iodef "mailto:x@y.example"', '0 issue "ca.example"'],
        ),
        ('{name: _x._tcp, type: SRV, values: ["1 5 61 s.x.example."]}', "SRV/_x._tcp.@", ["1 5 61 s.x.example."]),
        (f'{{name: _25._tcp, type: TLSA, values: ["3 1 1 {HEX}"]}}', "TLSA/_25._tcp.@", [f"3 1 1 {'ab' * 32}"]),
        ('{name: "*", type: A, values: [192.0.2.2, 192.0.2.1, 192.0.2.2]}', "A/*.@", ["192.0.2.1", "192.0.2.2"]),
        ("{name: Bücher, type: A, values: [192.0.2.1]}", "A/xn--bcher-kva.@", ["192.0.2.1"]),
    ],
)  # fmt: skip
def test_records_of_a_domain_stand_over_its_templates(estate, said, name, values):
    """Added, put in the place of, or dropped; canonical, and the same when read back."""
    found = records(estate, dns(f"records:\n  - {said}\n"))
    assert found.get(name, {}).get("values") == values
    estate.applied(accepting("PL209", "x"))
    assert estate.run("plan", "--exit-code").code == 0


@pytest.mark.parametrize("mode", ["replace", "drop"])
def test_a_mode_needs_its_reason(estate, mode):
    """Replacing and dropping what a template gives is said with a reason."""
    values = "" if mode == "drop" else ', values: ["5 mx.x.example."]'
    estate.write(dns(f'records:\n  - {{name: "@", type: MX, mode: {mode}{values}}}\n'))
    run = estate.run("validate", "--format", "json")
    assert (run.code, codes(run.json["findings"])) == (1, {"IN021"})


def test_dropping_what_is_not_there_is_a_warning(estate):
    """The line has no meaning (any more); exit 0."""
    estate.write(dns("records:\n  - {name: www, type: A, mode: drop, reason: gone}\n"))
    run = estate.run("validate", "--format", "json")
    assert (run.code, codes(run.json["findings"])) == (0, {"IN214"})


def test_a_domain_in_another_domains_zone(estate):
    """`zone: {name: …}`: a subdomain's records stand in its parent's file; each plans its own alone."""
    sub = "tenants/northwind/domains/labs.northwind.example.yaml"
    estate.applied({
        sub: "domain: labs.northwind.example\nowner: jane\nmailboxes:\n  kim: {owner: tom}\n",
        sub.replace("/domains/", "/dns/"): f"domain: labs.{ZONE}\nzone: {{create: true, name: {ZONE}}}\n",
    })  # fmt: skip
    assert estate.run("plan", "--exit-code").code == 0
    assert not estate.zone("labs.northwind.example").exists()
    assert estate.zone().read_text().count("v=spf1") == 2
    estate.write(dns("with: {dmarc: reject}\n"))
    assert summary(estate.one()["changes"]) == {("update", "TXT/_dmarc.northwind.example")}


# ---------------------------------------------------------------------- DKIM


def test_a_dkim_key_is_made_published_and_rests_after_its_removal(estate):
    """Key and record together; out of Git both are kept for `overlap`, then due; declared again they are as before."""
    keys = "dkim: {sign: [], keys: {e1: {type: ed25519}}, overlap: 3 days}\n"
    estate.applied(dns(keys))
    assert estate.run("plan", "--exit-code").code == 0
    ((public, private),) = estate.sql("SELECT public, private_key FROM reconciler_dkim_key")
    assert "PRIVATE" in private
    assert public.partition("p=")[2] in estate.zone().read_text().replace('" "', "")
    estate.applied(dns("dkim: {sign: [], keys: {}}\n"))
    found = estate.plan()
    when = (date.fromisoformat(found["as_of"]) + timedelta(days=3)).isoformat()
    assert {(later["address"].partition(":")[2], later["when"]) for later in found["tenants"][0]["later"]} == {
        ("dkim_key/e1._domainkey.northwind.example", when), ("record/TXT/e1._domainkey.northwind.example", when),
    }  # fmt: skip
    estate.applied(dns(keys))
    assert estate.sql("SELECT public, private_key FROM reconciler_dkim_key") == [(public, private)]
    assert estate.one()["later"] == []


def test_a_signature_comes_after_its_key_and_record(estate):
    """Signing needs the published key; a new selector is signed with in the same apply, the old key rests."""
    estate.applied(dns("dkim: {sign: [s1], keys: {s1: {type: rsa, bits: 1024}}}\n"))
    assert estate.sql("SELECT dkim_id FROM reconciler_dkim_signing") == [("s1._domainkey.northwind.example",)]
    estate.write(dns("dkim: {sign: [s2], keys: {s2: {type: rsa, bits: 1024}}}\n"))
    order = [f"{change['kind']}/{change['action']}" for change in estate.one()["changes"]]
    assert order.index("dkim_key/create") < order.index("record/create") < order.index("dkim_signing/update")
    assert estate.apply().code == 0
    assert estate.sql("SELECT dkim_id FROM reconciler_dkim_signing") == [("s2._domainkey.northwind.example",)]
    assert len(estate.one()["later"]) == 2
    assert estate.run("plan", "--exit-code").code == 0


def test_a_keys_type_cannot_change_in_place(estate):
    """Another type under the same selector would break what is signed: an error, and the remedy is a new selector."""
    estate.applied(dns("dkim: {sign: [], keys: {e1: {type: ed25519}}}\n"))
    estate.write(dns("dkim: {sign: [], keys: {e1: {type: rsa, bits: 1024}}}\n"))
    run = estate.run("plan", "--format", "json")
    assert (run.code, codes(run.json["tenants"][0]["findings"])) == (3, {"PL207"})


def test_dkim_null_is_signed_elsewhere(estate):
    """`dkim: null` in the domain's file takes the template's block away."""
    own = f"template: own/1\ndkim: {{sign: [], keys: {{e1: {{type: ed25519}}}}}}\n{ROLES}"
    estate.write({"domain-templates/own/1.yaml": own, **dns("template: own/1\n")})
    assert "dkim_key/e1._domainkey.northwind.example" in wanted(estate)
    assert not [name for name in wanted(estate, dns("template: own/1\ndkim: null\n")) if "_domainkey" in name]
