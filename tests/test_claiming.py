"""A domain enters a mail server when public DNS shows control of it: a name server on loopback stands for that."""

import pytest

from tests.estates import AGENCY, accepting, accepts, contoso, make, northwind, summary, tenant
from tests.servers.answering import Answering

DOMAIN = "northwind-traders.com"
FILE = f"tenants/northwind/domains/{DOMAIN}.yaml"
OURS_MX, OURS_NS = ["10 mx1.agency.example."], ["NS2.agency.example.", "ns.registrar.net."]
THEIR_MX, THEIR_NS = ["10 mx.elsewhere.net."], ["ns1.elsewhere.net."]
TAKEN = {(DOMAIN, "MX"): THEIR_MX, (DOMAIN, "NS"): THEIR_NS}


def client(domain=DOMAIN, name="northwind"):
    """A client with a domain that somebody could hold."""
    boxes = f"domain: {domain}\nowner: jane\nmailboxes:\n  jane: {{owner: jane}}\n"
    return {
        **tenant(name),
        f"tenants/{name}/domains/{domain}.yaml": boxes,
        f"tenants/{name}/dns/{domain}.yaml": f"domain: {domain}\nzone: {{create: true}}\n",
    }


@pytest.fixture
def public(monkeypatch):
    """Answers that DNS has while a test runs; gives what was asked."""
    servers = []

    def start(records, **more):
        server = Answering(records, **more).__enter__()
        servers.append(server)
        monkeypatch.setenv("RECONCILER_RESOLVER", server.address)
        return server.asked

    yield start
    for server in servers:
        server.__exit__(None, None, None)


def found(estate, name="northwind", *arguments):
    """[(code, severity, subject)] of what a plan says of a tenant's claims."""
    plan = next(t for t in estate.plan(*arguments)["tenants"] if t["tenant"] == name)
    mine = [f for f in plan["findings"] if f["code"] in {"DN046", "DN047"}]
    return [(f["code"], f["severity"], f["subject"]) for f in mine]


@pytest.mark.parametrize(
    "records",
    [
        {(DOMAIN, "MX"): [*THEIR_MX, *OURS_MX], (DOMAIN, "NS"): THEIR_NS},
        {(DOMAIN, "MX"): THEIR_MX, (DOMAIN, "NS"): OURS_NS},
        {(f"_reconciler.{DOMAIN}", "TXT"): ["something", "northwind"], **TAKEN},
        {(f"_reconciler.{DOMAIN}", "TXT"): ["northwind"]},
    ],
    ids=["MX", "NS", "TXT beside others' MX and NS", "TXT alone"],
)
def test_control_is_shown_by_mx_delegation_or_txt(tmp_path, public, records):
    """Each alone is enough, and then nothing is said."""
    public(records)
    estate = make(tmp_path / "estate", client())
    assert found(estate) == []
    assert estate.apply().code == 0


@pytest.mark.parametrize(
    ("records", "detail"),
    [
        (TAKEN, "Its mail goes to mx.elsewhere.net, its zone is at ns1.elsewhere.net"),
        ({(f"_reconciler.{DOMAIN}", "TXT"): ["contoso", "northwind2"], **TAKEN}, "says `northwind`"),
        ({(DOMAIN, "MX"): ["10 xmx1.agency.example.", "5 a.net."], (DOMAIN, "NS"): THEIR_NS}, "a.net and 1 more"),
    ],
    ids=["others'", "another tenant's proof", "a host that only looks like ours"],
)
def test_what_public_dns_shows_to_be_anothers_is_refused(tmp_path, public, records, detail):
    """Delegated elsewhere, with mail elsewhere, and no proof: said at the domain's line, and the tenant is refused."""
    public(records)
    estate = make(tmp_path / "estate", client())
    (finding,) = (f for f in estate.one()["findings"] if f["code"] == "DN046")
    assert (finding["severity"], finding["file"], finding["line"]) == ("error", FILE, 1)
    assert detail in finding["detail"]
    assert estate.apply().code == 3
    assert estate.run("validate").code == 0


def test_the_agency_accepts_it_by_name_and_the_tenant_does_not(tmp_path, public):
    """Only reconciler.yaml is the agency's; after that it is said who accepted it."""
    public(TAKEN)
    estate = make(tmp_path / "estate", client(), accepting("DN046", DOMAIN))
    assert found(estate) == [("DN046", "error", DOMAIN)]
    estate.write({"reconciler.yaml": f"{AGENCY}{accepts(('DN046', DOMAIN))}"})
    assert found(estate) == [("DN046", "info", DOMAIN)]
    assert estate.apply().code == 0
    assert found(estate) == []


@pytest.mark.parametrize(
    ("records", "more"),
    [
        ({}, {}),
        (TAKEN, {"failing": [DOMAIN]}),
        (TAKEN, {"failing": [f"_reconciler.{DOMAIN}"]}),
        ({(DOMAIN, "NS"): THEIR_NS}, {}),
        ({(DOMAIN, "NS"): THEIR_NS, (DOMAIN, "MX"): ["0 ."]}, {}),
    ],
    ids=["no such domain", "no answer", "no answer for the proof", "no MX", "null MX"],
)
def test_where_dns_shows_nothing_it_is_a_warning(tmp_path, public, records, more):
    """Nothing is refused for what is not known, and it is not called fine."""
    public(records, **more)
    estate = make(tmp_path / "estate", client())
    assert found(estate) == [("DN047", "warning", DOMAIN)]
    assert estate.apply().code == 0


def test_nobody_to_ask_is_a_warning_but_for_names_that_nobody_can_hold(tmp_path):
    """The tests' own domains end in .example: without an answer nothing is said of those (RFC 6761)."""
    estate = make(tmp_path / "estate", northwind(), client(), client("contoso.com", "contoso"))
    assert found(estate) == [("DN047", "warning", DOMAIN)]
    assert found(estate, "contoso") == [("DN047", "warning", "contoso.com")]


def test_an_answer_counts_whatever_the_name_ends_in(tmp_path, public):
    """Where a resolver knows a reserved name, what it says is judged as any other."""
    public({("northwind.example", "MX"): THEIR_MX, ("northwind.example", "NS"): THEIR_NS})
    assert found(make(tmp_path / "estate", northwind())) == [("DN046", "error", "northwind.example")]


def test_a_zone_of_our_own_proves_nothing(tmp_path, public):
    """The zone is made, the mail domain comes later: what our name server says is not what the world is told."""
    public(TAKEN)
    estate = make(tmp_path / "estate", client())
    boxes = f"domain: {DOMAIN}\nowner: jane\n"
    estate.write({FILE: f"{boxes}mail: null\n"})
    assert found(estate) == []
    assert estate.apply().code == 0
    assert estate.zone(DOMAIN).exists()
    estate.write({FILE: boxes})
    assert found(estate) == [("DN046", "error", DOMAIN)]


def test_a_name_inside_a_zone_is_judged_by_that_zones_delegation(tmp_path, public):
    """Where a domain has no NS of its own those above it count: ours, or another's."""
    inside = f"lab.{DOMAIN}"
    estate = make(tmp_path / "estate", client(inside))
    asked = public({(DOMAIN, "NS"): OURS_NS})
    assert found(estate) == []
    assert (DOMAIN, "NS") in asked
    assert ("com", "NS") not in asked
    public({(DOMAIN, "NS"): THEIR_NS, (inside, "MX"): THEIR_MX})
    assert found(estate) == [("DN046", "error", inside)]


def test_what_shows_that_it_is_ours_is_asked_first(tmp_path, public):
    """Delegated to us it is proven; the MX and the proof, which the plan may be about to publish, are not asked for."""
    asked = public({(DOMAIN, "NS"): OURS_NS})
    assert found(make(tmp_path / "estate", client())) == []
    assert [question for question in asked if question[0].endswith(DOMAIN)] == [(DOMAIN, "NS")]


def test_a_name_in_a_zone_above_is_not_asked_for_before_it_is_there(tmp_path, public):
    """Its records go into the zone above: the delegation of that one counts, and no resolver learns to say no."""
    inside = f"lab.{DOMAIN}"
    zone = {f"tenants/northwind/dns/{inside}.yaml": f"domain: {inside}\nzone: {{name: {DOMAIN}, create: true}}\n"}
    asked = public({(DOMAIN, "NS"): OURS_NS})
    assert found(make(tmp_path / "estate", {**client(inside), **zone})) == []
    assert [question for question in asked if question[0].endswith(DOMAIN)] == [(DOMAIN, "NS")]


def test_only_what_enters_is_asked_about(tmp_path, public):
    """What the ledger has was judged when it came in; a move between tenants brings nothing in either."""
    public({(DOMAIN, "MX"): OURS_MX})
    estate = make(tmp_path / "estate", client(), contoso()).applied({})
    asked = public(TAKEN)
    more = f"domain: {DOMAIN}\nowner: jane\nmailboxes:\n  jane: {{owner: jane}}\n  tom: {{owner: tom}}\n"
    estate.write({FILE: more})
    assert found(estate) == []
    estate.write(
        {
            FILE: None,
            f"tenants/northwind/dns/{DOMAIN}.yaml": None,
            FILE.replace("northwind/", "contoso/"): more,
            f"tenants/contoso/dns/{DOMAIN}.yaml": f"domain: {DOMAIN}\nzone: {{create: true}}\n",
        }
    )
    assert found(estate, "contoso") == found(estate) == []
    assert [name for name, _ in asked if name.endswith(DOMAIN)] == []


def test_a_twin_that_becomes_a_domain_of_its_own_was_here_before(tmp_path, public):
    """It enters as a twin, and is asked about then; a later change of the same domain brings nothing in."""
    estate = make(tmp_path / "estate", northwind(), client())
    estate.write({FILE: f"domain: {DOMAIN}\nowner: jane\nalias_of: northwind.example\n"})
    assert found(estate) == [("DN047", "warning", DOMAIN)]
    assert estate.apply().code == 0
    public(TAKEN)
    estate.write(client())
    assert ("update", DOMAIN) in summary(estate.one()["changes"])
    assert found(estate) == []


def test_what_is_adopted_enters_too(tmp_path, public):
    """A domain that stands on the mail server already, equal to what Git says, is taken on as ours: the same holds."""
    public({(DOMAIN, "MX"): OURS_MX})
    estate = make(tmp_path / "estate", client()).applied({})
    estate.git("update-ref", "-d", "refs/reconciler/tenants/northwind")
    public(TAKEN)
    assert found(estate, "northwind", "--enforce", "all") == [("DN046", "error", DOMAIN)]
