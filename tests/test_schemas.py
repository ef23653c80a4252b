"""The schemas: what they take, what is told of what they refuse, and that two validators read them alike."""

import copy
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import canonical, documents, forms, schema
from reconciler.documents import Document

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.yaml"))
DOMAIN = "domain: a.example\nowner: jane\n"
CLIENT = "tenant: a\nname: A\n"
FORWARD = "owner: jane, reason: x, approved_by: ops"
UNAPPROVED = "forwards: {orders: {to: [a@b.example], owner: j, reason: x, expires: 2026-12-31}}\n"


def validate(name, text):
    """The findings of a file that is given as text."""
    return schema.validate(documents.parse("f.yaml", text.encode()), name)


def refusals(name, text):
    """(code, line, column) of each."""
    return [(finding.code, finding.origin.line, finding.origin.column) for finding in validate(name, text)]


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_examples_are_valid(path):
    """Every example of the reference is valid; the file's name begins with its schema's."""
    document = documents.parse(path.name, path.read_bytes())
    assert schema.validate(document, path.stem.partition("-")[0]) == []


def test_each_kind_of_file_has_an_example_and_a_schema():
    """No schema without a file that proves it usable."""
    assert {path.stem.partition("-")[0] for path in CORPUS} == set(schema.NAMES)
    shipped = {path.name for path in schema.shipped("schemas").iterdir()}
    assert shipped == {f"{name}.schema.json" for name in schema.NAMES}


GOOD = {
    "only what must be": ("domain", DOMAIN),
    "mail is not ours": ("domain", DOMAIN + "mail: null\n"),
    "all of a mailbox": (
        "domain",
        DOMAIN + "mailboxes: {j: {owner: j, name: J, quota: unlimited, state: paused, renamed_from: i}}\n",
    ),
    "all of an alias": ("domain", DOMAIN + f"aliases: {{i: {{to: [j], {FORWARD}, expires: 2027-01-31}}}}\n"),
    "any local part": ("domain", DOMAIN + "aliases: {ä b: [j], 007: [j], o'neil+x: [j]}\n"),
    "leap day": ("domain", DOMAIN + "observe: 2028-02-29\n"),
    "settings of a domain": ("domain", DOMAIN + "quota: 1 TiB\nretention: 52 weeks\ndrift: enforce\n"),
    "DNS is not ours": ("dns", "domain: a.example\ndns: null\ndkim: null\n"),
    "a record taken away": ("dns", "domain: a.example\nrecords: [{name: x, type: A, mode: drop, reason: old}]\n"),
    "an IDN name": ("dns", 'domain: a.example\nrecords: [{name: "*.bücher", type: A, values: ["192.0.2.1"]}]\n'),
    "free parameters": ("dns", "domain: a.example\nwith: {a: x, b: [1, y], c: true, d: 5}\n"),
    "settings of a tenant": (
        "control",
        "tenant: a\nmail: null\ndns: zones\nserver: s\ntemplate: t/1\nwith: {}\nretention: 1 day\nrenamed_from: b\n",
    ),
    "a tenant's own team": ("tenant", "tenant: a\nname: A\nteams: {it: {members: [jane]}}\n"),
    "secrets from elsewhere": (
        "reconciler",
        "version: 1\nproviders: {mail: {m: {type: x, password: {env: M}, tls: {ca: {file: F}}, renamed_from: n}}}\n",
    ),
    "ledger of this clone": ("reconciler", "version: 1\nledger: {remote: null, allowed_signers: signers}\n"),
    "accepted for the estate": (
        "reconciler",
        "version: 1\nreleased: {mailhost: moved}\naccept: [{finding: PL1, subject: gone, up_to: 3}]\n",
    ),
    "a parameter without a default": ("template", "template: a/12\nparameters: {x: {type: string}}\n"),
}


@pytest.mark.parametrize(("name", "text"), GOOD.values(), ids=GOOD.keys())
def test_what_is_allowed(name, text):
    """Keys beyond the examples that the contract names, and what may be left out."""
    assert validate(name, text) == []


BAD = {
    "unknown key": ("domain", DOMAIN + "mailboxes:\n  j: {owner: j, quotta: 1 GiB}\n", ("IN020", 4, 17)),
    "a key of the other side": ("domain", DOMAIN + "template: standard/1\n", ("IN020", 3, 1)),
    "no owner": ("domain", "domain: a.example\n", ("IN021", 1, 1)),
    "mailbox without owner": ("domain", DOMAIN + "mailboxes:\n  j: {}\n", ("IN021", 4, 3)),
    "forward without end": (
        "domain",
        DOMAIN + f"forwards: {{f: {{to: [x@y.example], {FORWARD}}}}}\n",
        ("IN021", 3, 12),
    ),
    "number for text": ("domain", DOMAIN + "mailboxes:\n  j: {owner: 7}\n", ("IN022", 4, 7)),
    "text for mapping": ("domain", DOMAIN + "mailboxes: jane\n", ("IN022", 3, 1)),
    "number for alias": ("domain", DOMAIN + "aliases: {info: 5}\n", ("IN022", 3, 11)),
    "number in alias": ("domain", DOMAIN + "aliases: {info: [a, 5]}\n", ("IN022", 3, 21)),
    "null where it says nothing": ("domain", DOMAIN + "quota: null\n", ("IN022", 3, 1)),
    "text for true": ("dns", "domain: a.example\nzone: {create: on}\n", ("IN022", 2, 8)),
    "state": ("domain", DOMAIN + "mailboxes: {j: {owner: j, state: activ}}\n", ("IN023", 3, 27)),
    "right": ("domain", DOMAIN + "shared: {r: {owner: j, members: {j: write}}}\n", ("IN023", 3, 34)),
    "drift": ("control", "tenant: a\ndrift: ignore\n", ("IN023", 2, 1)),
    "version in quotes": ("reconciler", "version: '1'\n", ("IN023", 1, 1)),
    "record type": ("dns", "domain: a.example\nrecords: [{name: x, type: PTR, values: [x]}]\n", ("IN023", 2, 21)),
    "size": ("domain", DOMAIN + "quota: 10GB\n", ("IN024", 3, 1)),
    "no size at all": ("domain", DOMAIN + "quota: 0 GiB\n", ("IN024", 3, 1)),
    "duration": ("control", "tenant: a\nretention: 30 d\n", ("IN024", 2, 1)),
    "date": ("domain", DOMAIN + "observe: 31.12.2026\n", ("IN024", 3, 1)),
    "share": ("reconciler", "version: 1\nlimits: {removals: {alias: {share: 101%}}}\n", ("IN024", 2, 29)),
    "id": ("tenant", "tenant: a\nname: A\npeople:\n  Jane Roe: {}\n", ("IN024", 4, 3)),
    "tenant's id": ("control", "tenant: ../x\n", ("IN024", 1, 1)),
    "contact in words": ("tenant", f"{CLIENT}people: {{j: {{contact: see address book}}}}\n", ("IN024", 3, 14)),
    "no contact": ("reconciler", "version: 1\npeople: {j: {contact: ''}}\n", ("IN024", 2, 14)),
    "reset in words": (
        "tenant",
        f"{CLIENT}assets: [{{kind: x, name: y, reset_to: Jane's phone}}]\n",
        ("IN024", 3, 29),
    ),
    "template's id": ("dns", "domain: a.example\ntemplate: standard\n", ("IN024", 2, 1)),
    "record name with a dot": ("dns", "domain: a.example\nabsent: [{name: x., type: A}]\n", ("IN024", 2, 11)),
    "both kinds of values": (
        "template",
        "template: a/1\nrecords: [{name: x, type: A, values: [x], values_from: y}]\n",
        ("IN024", 2, 11),
    ),
    "no target": ("domain", DOMAIN + "aliases: {info: []}\n", ("IN025", 3, 11)),
    "no member": ("domain", DOMAIN + "shared: {r: {owner: j, members: {}}}\n", ("IN025", 3, 24)),
    "empty text": ("domain", "domain: a.example\nowner: ''\n", ("IN025", 2, 1)),
    "long text": ("tenant", f"tenant: a\nname: {'x' * 4097}\n", ("IN025", 2, 1)),
    "negative count": ("reconciler", "version: 1\nlimits: {per_run: {removals: -1}}\n", ("IN025", 2, 20)),
    "no such day": ("domain", DOMAIN + "observe: 2027-02-29\n", ("IN026", 3, 1)),
    "no such moment": ("dns", 'domain: a.example\ncutover: {from: x, mx: "2026-11-31 22:00"}\n', ("IN026", 2, 20)),
    "password": ("domain", DOMAIN + "mailboxes: {j: {owner: j, password: secret}}\n", ("IN027", 3, 27)),
    "password in a free map": ("control", "tenant: a\nwith: {Password: secret}\n", ("IN027", 2, 8)),
    "password in a template": ("template", "template: a/1\npassword: secret\n", ("IN027", 2, 1)),
    "NS": ("dns", "domain: a.example\nrecords: [{name: x, type: NS, values: [x.]}]\n", ("IN028", 2, 21)),
    "SOA": ("template", "template: a/1\nrecords: [{name: x, type: SOA, values: [x]}]\n", ("IN028", 2, 21)),
    "no values": ("dns", "domain: a.example\nrecords: [{name: x, type: A}]\n", ("IN021", 2, 11)),
    "drop without reason": ("dns", "domain: a.example\nrecords: [{name: x, type: A, mode: drop}]\n", ("IN021", 2, 11)),
    "replace without reason": (
        "dns",
        "domain: a.example\nrecords: [{name: x, type: A, mode: replace, values: [x]}]\n",
        ("IN021", 2, 11),
    ),
    "provider without type": ("reconciler", "version: 1\nproviders: {dns: {z: {}}}\n", ("IN021", 2, 19)),
}


@pytest.mark.parametrize(("name", "text", "expected"), BAD.values(), ids=BAD.keys())
def test_what_is_refused_and_where(name, text, expected):
    """Each wrong value gives one finding, with its code, at the line and column of its key."""
    assert refusals(name, text) == [expected]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (
            "domain",
            DOMAIN + "mailboxes: {j: {owner: j, quotta: 1 GiB}}\n",
            "`quotta` is not known here; did you mean `quota`?",
        ),
        ("domain", DOMAIN + "Mailboxes: {}\n", "did you mean `mailboxes`?"),
        ("domain", DOMAIN + "xyz: 1\n", "Known are `domain`, `owner`, `alias_of`, "),
        ("domain", DOMAIN + "aliases: {info: 5}\n", "`info` is `5` and must be a list or a mapping of keys to values."),
        ("domain", DOMAIN + "alias_of: 5\n", "Put it in quotes if it is text."),
        ("domain", DOMAIN + "alias_of: [a]\n", "`alias_of` is a list and must be text. Write"),
        ("domain", DOMAIN + "aliases: {info: jane}\n", "Write it as a list: `[jane]`."),
        ("domain", DOMAIN + "aliases: {info: {to: []}}\n", "`to` needs an item. Write it in this form: `to: [jane]`."),
        ("domain", DOMAIN + "mailboxes: [jane]\n", "Write it in this form: `mailboxes: {NAME: {owner: jane}}`."),
        (
            "tenant",
            f"{CLIENT}assets: {{registrar: Gandi}}\n",
            "must be a list. Write it in this form: `assets: [{kind: registrar, name: Gandi, reset_to: jane@home",
        ),
        ("tenant", f"{CLIENT}assets: Gandi\n", "Write it in this form: `assets: [{kind: registrar, name: Gandi, "),
        (
            "tenant",
            f"{CLIENT}assets: [Gandi]\n",
            "Item 1 of `assets` is `Gandi` and must be a mapping of keys to values.",
        ),
        (
            "tenant",
            f"{CLIENT}people: {{tom: Tom Poe}}\n",
            'Write it in this form: `tom: {name: Jane Roe, contact: "+44 20 5550100"}`.',
        ),
        ("tenant", f"{CLIENT}people: {{tom: {{contact: 112}}}}\n", "Put it in quotes if it is text."),
        ("tenant", f"{CLIENT}people: {{tom: {{left: 2026}}}}\n", "Write it in this form: `left: 2026-12-31`."),
        ("tenant", f"{CLIENT}teams: {{board: [jane]}}\n", "Write it in this form: `board: {members: [jane, tom]}`."),
        ("dns", "domain: a.example\nzone: {create: on}\n", "Write it in this form: `create: true`."),
        ("reconciler", "version: 1\nrollout: {wave: '5'}\n", "Write it without quotes."),
        ("domain", DOMAIN + "mail: true\n", "`mail` is `true` and must be text or `null`."),
        (
            "domain",
            DOMAIN + "quota: 10GB\n",
            "`10GB` is not a size such as `10 GiB` (KiB, MiB, GiB, TiB) or `unlimited`.",
        ),
        (
            "domain",
            DOMAIN + "mailboxes: {j: {}}\n",
            "`owner` is missing in `j` under `mailboxes`. The person who answers for it, by id. Write it here, such as",
        ),
        (
            "domain",
            DOMAIN + UNAPPROVED,
            "`approved_by` is missing in `orders` under `forwards`. The person or team that",
        ),
        ("domain", DOMAIN + UNAPPROVED, "author of the change. Write it here, such as `approved_by: ops`."),
        ("domain", "owner: j\n", "`domain` is missing. The domain; the file has the same name, as A-labels. Write it"),
        (
            "tenant",
            f"{CLIENT}assets: [{{kind: x, name: y}}, {{kind: z}}]\n",
            "`name` is missing in item 2 of `assets`.",
        ),
        ("domain", DOMAIN + "mailboxes: {j: {owner: j, password: x}}\n", "The owner of a mailbox sets its password"),
        ("dns", "domain: a.example\nrecords: [{name: x, type: txt, values: [x]}]\n", "did you mean `TXT`?"),
        (
            "dns",
            "domain: a.example\nrecords: [{name: x, type: A, mode: drop}]\n",
            "`reason` is missing in item 1 of `records`. `drop` needs it. Write it here, such as `reason: ",
        ),
        ("dns", "domain: a.example\nrecords: [{name: x., type: A, values: [x]}]\n", "without a dot at its end"),
        ("reconciler", "version: '1'\n", "Write it without quotes."),
        (
            "tenant",
            f"{CLIENT}people: {{j: {{contact: see address book}}}}\n",
            "`see address book` is not an e-mail address such as `jane@home.example` or a phone number such as",
        ),
        ("domain", DOMAIN + "quota: ''\n", "An empty text is not a size such as"),
        ("domain", f"domain: a.example\nowner: j\nquota: {'9' * 999}x\n", f"`{'9' * 59}…` is not a size"),
    ],
)
def test_a_finding_says_what_to_write(name, text, words):
    """The words name what stands there, what is expected, and the nearest thing that is known."""
    (finding,) = validate(name, text)
    assert words in finding.detail


REACHED = [
    *["jane@home.example", "Jane.Roe+x@Bücher.example", "o'neil@mail.home.example", "a@home.example."],
    *["+44 20 5550100", "+49 (0)30 12345-67", "(030) 123456", "030/1234567", "+1.212.5550100", "112", "004420555"],
    *["030 123 ext. 12", "030 123x12", "030 123 Ext 5", "030 123 #5"],
]
UNREACHED = [
    *["jane", "Jane Roe", "jane@home", "@home.example", "jane at home.example", "a..b@home.example", "a@b@c.example"],
    *["Jane <jane@home.example>", "jane@home.example, tom@home.example", "jané@home.example", " a@home.example"],
    *["phone", "+", "5", "-12345", "tel: 12345", "12345 (office)", "030 123 ask for Jane", "030 123x"],
]


@pytest.mark.parametrize("contact", REACHED)
def test_a_contact_is_an_address_or_a_number(contact):
    """All common ways to write one; what has an `@` is an address that resets are followed from."""
    assert validate("tenant", f"{CLIENT}people: {{j: {{contact: {json.dumps(contact)}}}}}\n") == []
    assert ("@" in contact) == (canonical.address_in(contact) is not None)


@pytest.mark.parametrize("contact", UNREACHED)
def test_a_contact_is_nothing_else(contact):
    """Words beside it, several of them or half an address: nobody could be reached, or not by a program."""
    found = validate("tenant", f"{CLIENT}people: {{j: {{contact: {json.dumps(contact)}}}}}\n")
    assert [finding.code for finding in found] == ["IN024"]


def test_all_of_a_file_is_told_in_the_order_of_its_lines():
    """Nothing hides behind the first finding, and what is missing is named key by key."""
    text = "domain: a.example\nmail: 5\nforwards:\n  f: {to: [x@y.example]}\nquota: 1\n"
    assert refusals("domain", text) == [
        ("IN021", 1, 1),
        ("IN022", 2, 1),
        *[("IN021", 4, 3)] * 4,
        ("IN022", 5, 1),
    ]


def test_a_password_is_never_repeated():
    """The finding names the key; the secret beside it goes nowhere."""
    text = DOMAIN + "mailboxes: {j: {owner: j, password: hunter2}, k: {owner: k, PassWord: {x: hunter2}}}\n"
    findings = validate("domain", text)
    assert [finding.code for finding in findings] == ["IN027", "IN027"]
    assert "hunter2" not in repr(findings)


def test_a_summary_holds_nothing_of_the_file():
    """What is told under one code reads the same for everyone; every code has a case here."""
    said = {}
    for name, text, _ in BAD.values():
        for finding in validate(name, text):
            assert said.setdefault(finding.code, finding.summary) == finding.summary
    assert sorted(said) == [f"IN{number:03}" for number in range(20, 29)]


def test_a_file_full_of_problems_is_told_in_part_and_says_so():
    """A hundred findings, and one that says there are more."""
    text = DOMAIN + "mailboxes:\n" + "".join(f"  m{n}: {{owner: {n}}}\n" for n in range(5000))
    codes = [code for code, _, _ in refusals("domain", text)]
    assert codes == ["IN022"] * 100 + ["IN018"]


# Both validators, one reading

KEYWORDS = {
    *["type", "enum", "pattern", "format", "minLength", "maxLength", "minimum", "minItems", "items", "minProperties"],
    *["properties", "required", "additionalProperties", "propertyNames", "if", "then", "else", "not"],
    *["$schema", "$id", "$ref", "$defs", "title", "description", "examples"],
}
SCHEMAS = {name: json.loads((schema.shipped("schemas") / f"{name}.schema.json").read_bytes()) for name in schema.NAMES}


def parts(node):
    """Every schema inside a schema."""
    yield node
    for word in ("items", "additionalProperties", "propertyNames", "if", "then", "else", "not"):
        if isinstance(node.get(word), dict):
            yield from parts(node[word])
    for word in ("properties", "$defs"):
        for part in node.get(word, {}).values():
            yield from parts(part)


each_schema = pytest.mark.parametrize("name", schema.NAMES)


@each_schema
def test_a_schema_is_one(name):
    """Each is valid JSON Schema 2020-12 with an id and a title, and takes no top-level key it does not name."""
    import jsonschema

    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMAS[name]["$id"] == f"urn:mail-reconciler:schema:{name}"
    assert SCHEMAS[name]["title"]


@each_schema
def test_a_schema_uses_what_two_validators_read_alike(name):
    """Only plain keywords, one way to fail at a time, and patterns without `$`, `.`, `\\d`, `\\w` and `\\s`."""
    for part in parts(SCHEMAS[name]):
        assert set(part) <= KEYWORDS
        assert part.get("format") in {None, "date", "moment"}
        if "pattern" in part:
            inner = part["pattern"].removeprefix("^").removesuffix(r"(?![\s\S])")
            assert part["pattern"] == rf"^{inner}(?![\s\S])"
            assert re.search(r"[$^\\.]", re.sub(r"\[\^?[^]]*\]", "", inner)) is None
            assert "\\" not in inner
            assert re.search(r"[*+](?!/)", re.sub(r"\[[^]]*\]", "", inner)) is None, "repeat a bounded number of times"


@each_schema
def test_a_schema_is_closed_and_described(name):
    """Unknown keys are refused wherever keys are named, and editors have a line to show for each key."""
    conditions = [part["if"] for part in parts(SCHEMAS[name]) if "if" in part]
    setting = SCHEMAS["reconciler"]["$defs"]["provider"]["additionalProperties"]
    for part in parts(SCHEMAS[name]):
        assert "additionalProperties" in part or part == setting or "object" not in part.get("type", ())
        if part not in conditions:
            for key, value in part.get("properties", {}).items():
                target = SCHEMAS[name]["$defs"].get(value.get("$ref", "").rpartition("/")[2], {})
                assert value.get("description", target.get("description")), key


def test_what_has_one_name_has_one_meaning():
    """A definition that several schemas carry is the same in all: each file stands alone for editors."""
    seen = {}
    for whole in SCHEMAS.values():
        for name, part in whole["$defs"].items():
            assert seen.setdefault(name, part) == part


@each_schema
def test_no_definition_is_left_over(name):
    """Each definition is used, and each that is used is there."""
    text = json.dumps(SCHEMAS[name])
    assert set(re.findall(r"#/\$defs/(\w+)", text)) == set(SCHEMAS[name]["$defs"])


def conditions(root):
    """The parts of a schema that only ask: `if`, and what follows from it."""
    return [part for whole in parts(root) for word in ("if", "then", "else") for part in parts(whole.get(word, {}))]


@each_schema
def test_every_form_has_an_example_that_is_one(name):
    """Whatever is a list or a mapping, and each key that must be there, can be shown: on a line of valid YAML."""
    import jsonschema

    root = SCHEMAS[name]
    asked = conditions(root)
    required = [forms.key_of(root, [part], key) for part in parts(root) for key in part.get("required", ())]
    shaped = [(part,) for part in parts(root) if part.get("type") in ("array", "object") and part not in asked]
    named = [(part,) for part in parts(root) if "examples" in part]
    for some in [*filter(None, required), *shaped[1:], *named]:
        found = forms.example(root, some)
        assert found is not None, some
        text = forms.pair("it", found).replace(forms.ANY_KEY, "some")
        said = documents.parse("", text.encode()).data["it"]
        jsonschema.Draft202012Validator({**some[0], "$defs": root["$defs"]}).validate(said)


def verdicts(name, data):
    """(quick, thorough): is it valid?"""
    return schema._quick(name).is_valid(data), schema._thorough(name).is_valid(data)


def corpus():
    """(schema, data) of everything above."""
    yield from ((path.stem.partition("-")[0], documents.parse("", path.read_bytes()).data) for path in CORPUS)
    yield from ((name, documents.parse("", text.encode()).data) for name, text, *_ in [*GOOD.values(), *BAD.values()])


@pytest.mark.parametrize(("name", "data"), list(corpus()))
def test_both_validators_agree_on_the_corpus(name, data):
    """Good or bad, the quick verdict is the thorough one."""
    quick, thorough = verdicts(name, data)
    assert quick == thorough


TAILS = ["\n", "\r", " ", "\u2028", "\0", "x", ".", "é"]
ODD = st.sampled_from(
    [
        *[None, True, False, 0, 1, -1, 10**18, [], {}, [None], {"": 1}, [[]], "", "\n", "x", "x" * 255, "x" * 256],
        *[
            "é" * 255,
            "🎉" * 255,
            "🎉" * 256,
            "x" * 5000,
            "10 GiB",
            "0 s",
            "NS",
            "100%",
            "a/1",
            "@",
            "a..b",
            "fri 16:00",
        ],
        *["2026-02-30", "2028-02-29", "0000-01-01", "２026-01-01", "2026-01-01 24:00", "2026-W01-1", "20260101"],
    ]
)


def places(data, path=()):
    """Every path into data."""
    yield path
    steps = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, value in steps:
        yield from places(value, (*path, step))


@st.composite
def spoiled(draw):
    """A valid document in which a few things were replaced, taken away, added or given a tail."""
    name, data = draw(st.sampled_from(list(corpus())))
    data = copy.deepcopy(data)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(data))[1:] or [()]))
        if path:
            spoil(draw, data, path)
    return name, data


def spoil(draw, data, path):
    """One change at one place."""
    for step in path[:-1]:
        data = data[step]
    how = draw(st.sampled_from(["replace", "remove", "tail", "key"]))
    if how == "replace":
        data[path[-1]] = copy.deepcopy(draw(ODD))
    elif how == "remove":
        del data[path[-1]]
    elif how == "tail" and isinstance(data[path[-1]], str):
        data[path[-1]] += draw(st.sampled_from(TAILS))
    elif how == "key" and isinstance(data, dict):
        data[str(path[-1]) + draw(st.sampled_from(TAILS))] = data.pop(path[-1])


@pytest.mark.fuzz
@given(spoiled())
def test_both_validators_agree_on_anything(case):
    """No value, no tail (a newline, where `$` would match before it) and no key is read in two ways."""
    name, data = case
    quick, thorough = verdicts(name, data)
    assert quick == thorough


@pytest.mark.fuzz
@given(spoiled())
def test_each_refusal_is_explained(case):
    """Whatever is wrong, findings come out, and none where nothing is wrong."""
    name, data = case
    try:
        document = documents.parse("f.yaml", json.dumps(data, ensure_ascii=False).encode())
    except documents.InputError:
        return
    passwords = re.search("password", json.dumps(data), re.IGNORECASE) is not None and name != "reconciler"
    findings = schema.validate(document, name)
    assert passwords or bool(findings) != schema._thorough(name).is_valid(document.data)
    assert all(finding.detail and finding.origin.line for finding in findings)


def test_a_valid_file_needs_no_explainer():
    """The slow validator is not even loaded while every file is valid."""
    import subprocess
    import sys

    code = (
        "import sys; from reconciler import documents, schema\n"
        f"document = documents.parse('f', {DOMAIN.encode()!r})\n"
        "assert 'jsonschema_rs' not in sys.modules\n"
        "assert schema.validate(document, 'domain') == []\n"
        "assert 'jsonschema' not in sys.modules\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent.parent, capture_output=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, b"")


def test_validating_needs_no_bytes_twice():
    """Positions are looked up for findings alone: a valid document is not read again."""
    assert schema.validate(Document("f.yaml", b"[not read", {"domain": "a.example", "owner": "jane"}), "domain") == []
