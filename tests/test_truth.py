"""Every row of docs/truth-table.md through the whole engine: commits, hands, plans, applies, ledgers in Git.

Each row is a tenant of one estate, and in it stands each combination of the row's signs, for a mailbox, an alias and
records. What is live is edited in the files of the reference world. The estate is lived through twice, under `report`
and under `enforce`: what the ledger has is applied, hands move what is live, Git moves, the live systems are out of
reach for a moment, and then there is a plan, an apply and another plan. What all of them said is kept; each test looks
at one row in it. Identity, what a thing is called and where it lives, has stories of its own at the end.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from reconciler.errors import Refused
from reconciler.providers.memory import Memory
from tests.estates import (
    AGENCY,
    BOXES,
    NORTHWIND,
    NORTHWIND_DNS,
    accepting,
    codes,
    contoso,
    control,
    dns,
    mail,
    make,
    northwind,
)  # fmt: skip
from tests.test_diff import LATER, OBJECTS, PAGE, PARTS, cell, signs
from tests.test_due import changes, day, due

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reconciler.changes import Batch
    from tests.estates import Estate, Files

MEMORY = AGENCY.replace(
    AGENCY[AGENCY.index("providers:") : AGENCY.index("\nservers:")],
    """\
providers:
  mail: {mailhost: {type: memory, file: var/mail.json, side: mail}}
  dns: {zones: {type: memory, file: var/dns.json, side: dns}}
limits:  # wide: what a row takes away is for the row to say
  removals:
    {mailbox: {count: 99}, alias: {count: 99}, record: {count: 99}, domain: {count: 99}, dkim_key: {count: 99}}""",
)
POLICIES = ("report", "enforce")
GIB = 2**30
Attributes = dict[str, Any]
ANYTHING: Attributes = {}  # of which nothing is wanted


class Line(NamedTuple):
    """A line of a domain's files: below `section`, in a mapping under `name`, or in a list."""

    section: str
    name: str
    text: str


@dataclass(frozen=True)
class Story:
    """One thing in one row: what Git says of it in three commits, and what a hand does before the last of them.

    `hand` holds what live gets (None: it is taken away, nothing: it stays); `past` the attributes that an older
    version left out of the ledger. Per policy, `ends` is what is live in the end and `lines` what the ledger says then.
    """

    tenant: str
    row: str
    label: str
    kind: str
    name: str
    git: tuple[tuple[Line, ...], ...]
    hand: Attributes | None = field(default_factory=dict)
    near: tuple[tuple[str, str, Attributes], ...] = ()  # other things that the hand makes
    past: tuple[str, ...] = ()
    control: tuple[tuple[str, str], ...] = ()  # lists of control.yaml
    ends: dict[str, Attributes | None] = field(default_factory=dict)
    lines: dict[str, Attributes | None] = field(default_factory=dict)

    @property
    def domain(self) -> str:
        return f"{self.tenant}.example"

    @property
    def keeps(self) -> bool:
        return self.kind == "mailbox"

    @property
    def address(self) -> str:
        return f"{'zones' if self.kind == 'record' else 'mailhost'}:{self.kind}/{self.name}"

    def wanted(self, policy: str) -> set[str]:
        """The words of the page."""
        row = next(found for found in (OBJECTS if self.tenant[0] == "o" else PARTS) if found.id == self.row)
        return cell(getattr(row, policy), keeps=self.keeps) - {"nothing"}

    def plan(self, policy: str) -> set[str]:
        """The words of the plan, which keeps apart what one comparison brings about."""
        return self.wanted(policy) | EXTRA.get((self.tenant, policy), set())

    def left(self, policy: str) -> set[str]:
        """The words of the plan after the apply."""
        words = self.wanted(policy)
        if refused(words):
            return words
        stays = {word for word in words if word in {"later", "unmanaged"}}
        if policy == "report" or not any("(drift)" in word for word in self.plan(policy)):
            stays |= {word for word in words if word.startswith("drift")}
        kept = any(word.startswith(("retire", "ledger: retire")) for word in words)
        return stays | ({"later"} if kept else set())


# Made together in `compare`, shown apart in a plan: what Git declares, and what the policy puts back.
EXTRA = {("p18", "enforce"): {"update (drift)"}}


def refused(words: set[str]) -> bool:
    """Whether the row stops its tenant for good; a takeover is accepted in the end."""
    return any(word.startswith("error") for word in words)


# ---------------------------------------------------------------------- objects


class Sort(NamedTuple):
    """A kind of thing: its line in Git, and how it is live, by sign."""

    kind: str
    section: str
    git: dict[str, str]
    live: dict[str, Attributes]
    key: str = "{name}@{domain}"


def _records(type_: str, **values: str) -> Sort:
    git = {sign: f"{{name: NAME, type: {type_}, values: ['{value}']}}" for sign, value in values.items()}
    live = {sign: {"values": [value]} for sign, value in values.items()}
    return Sort("record", "records", git, live, f"{type_}/{{name}}.{{domain}}")


SORTS = {
    "box": Sort(
        "mailbox",
        "mailboxes",
        {sign: f"{{owner: jane, quota: {size} GiB}}" for sign, size in zip("xyz", (1, 2, 3), strict=True)},
        {sign: {"quota": size * GIB, "state": "active"} for sign, size in zip("xyz", (1, 2, 3), strict=True)}
        | {"r": {"quota": GIB, "state": "blocked"}},
    ),
    "alias": Sort(
        "alias",
        "aliases",
        {"x": "[jane]", "y": "[tom]"},
        {sign: {"to": [f"{name}@DOMAIN"]} for sign, name in zip("xyz", ("jane", "tom", "kim"), strict=True)},
    ),
    "a": _records("A", x="192.0.2.1", y="192.0.2.2", z="192.0.2.3"),
    "mx": _records("MX", x="10 x.example.", y="10 y.example.", z="10 z.example."),
    "spf": _records("TXT", x="v=spf1 -all", y="v=spf1 ~all", z="v=spf1 ?all"),
}


def _possible(sort: str, cells: tuple[str, ...]) -> bool:
    """What keeps data is never named absent, and the rest is never retired."""
    return not {"x°", "r"} & set(cells) if sort != "box" else "absent" not in cells


def _in_git(sort: str, sign: str, name: str) -> tuple[Line, ...]:
    there = SORTS[sort]
    if sign in {"–", "x°"}:
        return ()
    if sign != "absent":
        return (Line(there.section, name, there.git[sign].replace("NAME", name)),)
    if sort == "alias":
        return (Line("absent", "", f"{{alias: {name}, reason: left over, approved_by: ops}}"),)
    type_ = there.key.partition("/")[0]
    return (Line("absent in DNS", "", f"{{name: {name}, type: {type_}, reason: left over}}"),)


def _object(row: Any, sort: str, cells: tuple[str, ...], number: int, how: str = "") -> Story:
    ledger, git, live = cells
    tenant, name = f"o{row.id}", f"{sort}{number}"
    there, domain = SORTS[sort], f"{tenant}.example"
    last = _in_git(sort, git, name)
    if how or row.id == "19":
        last += (Line("retired", name, f"{{purge: {day(-1)}, reason: erasure, approved_by: ops}}"),)
    first = _in_git(sort, "x" if ledger == "x°" else ledger, name)
    form = {sign: json.loads(json.dumps(said).replace("DOMAIN", domain)) for sign, said in there.live.items()}
    ours, said, keeps = _said(sort, "x", domain), _said(sort, git, domain), sort == "box"
    base = {"–": None, "absent": {"absent": True}, "x": ours, "x°": {"retired": "", **ours}}
    label = "-".join([sort, *cells, *filter(None, [how])])
    return Story(
        tenant, row.id, label, there.kind, there.key.format(name=name, domain=domain),
        (first, () if ledger == "x°" else first, last),
        hand=None if live == "–" else form[live],
        near=(("alias", f"old@{domain}", {"to": [f"{name}@{domain}"]}),) if how == "referred" else (),
        control=(("holds", f"{{subject: {name}@{domain}, reason: legal, approved_by: ops}}"),) if how == "held" else (),
        ends={policy: _end(_cell(row, policy, keeps=keeps), form, cells) for policy in POLICIES},
        lines={policy: _line(_cell(row, policy, keeps=keeps), base, cells, said) for policy in POLICIES},
    )  # fmt: skip


def _said(sort: str, sign: str, domain: str) -> Attributes:
    """What the ledger keeps of Git's word."""
    if sign not in {"x", "y"}:
        return {}
    said = {name: value for name, value in SORTS[sort].live[sign].items() if name != "state"}
    return json.loads(json.dumps({"said": said}).replace("DOMAIN", domain))


def _cell(row: Any, policy: str, *, keeps: bool) -> set[str]:
    return cell(getattr(row, policy), keeps=keeps)


def _end(words: set[str], form: dict[str, Attributes], cells: tuple[str, ...]) -> Attributes | None:
    """What is live after a row's change, or what was there already."""
    live = form.get(cells[2])
    verbs = set() if refused(words) else {_verb(word) for word in words}
    if verbs & {"create", "update", "restore"}:
        return form[cells[1]]
    if verbs & {"delete", "purge"}:
        return None
    return {**live, "state": "blocked"} if "retire" in verbs and live else live


def _line(
    words: set[str], base: dict[str, Attributes | None], cells: tuple[str, ...], said: Attributes
) -> Attributes | None:
    """The ledger's line after a row: as it was where nothing or only drift is told, else what Git says by now."""
    if refused(words) or all(word.startswith(("nothing", "drift", "later", "unmanaged")) for word in words):
        return base[cells[0]]
    if any("retire" in word for word in words):
        return base["x°"]
    return base["absent"] if cells[1] == "absent" else said or None


def _verb(word: str) -> str:
    """`update` of "update, takeover" and of "update (drift)"."""
    return re.split("[ ,]", word)[0]


def _objects() -> list[Story]:
    found = []
    for row in OBJECTS:
        every = product(signs(row.ledger), signs(row.git), signs(row.live))
        cases = [(sort, cells) for cells in every for sort in SORTS if _possible(sort, cells)]
        hows = ("held", "referred") if row.id == "18b" else ("",)
        found += [_object(row, *case, number, how) for number, (case, how) in enumerate(product(cases, hows))]
    return found


# ---------------------------------------------------------------------- parts


def _part(
    row: str, label: str, kind: str, name: str, *git: Line | tuple[Line, ...] | None, hand: Attributes | None = None,
    report: Attributes | None = None, enforce: Attributes | None = None, line: Attributes | None = ANYTHING,
    **more: Any,
) -> Story:  # fmt: skip
    """A case: Git in its two or three commits, the hand's work, what is live in the end under both policies.

    `D` in a value stands for the domain. Without `enforce` both policies come to the same.
    """
    tenant = f"p{row.rstrip('ab') if row.startswith('12') else row}"
    domain = f"{tenant}.example"
    commits = tuple(() if said is None else (said,) if isinstance(said, Line) else said for said in git)
    three = commits if len(commits) == 3 else (commits[0], *commits)

    def here(said: Any) -> Any:
        return json.loads(json.dumps(said).replace("@D", f"@{domain}"))

    ends = {"report": here(report or {}), "enforce": here(enforce or report or {})}
    lines = {policy: here(line) for policy in POLICIES}
    return Story(
        tenant, row, label, kind, name.replace("@D", f"@{domain}").replace(".D", f".{domain}"), three,
        hand=here(hand or {}), ends=ends, lines=lines, **more,
    )  # fmt: skip


def _box(row: str, label: str, *git: str | None, **more: Any) -> Story:
    """About a mailbox of which Git says this besides its owner."""
    said = [None if text is None else Line("mailboxes", label, f"{{owner: jane{text}}}") for text in git]
    return _part(row, label, "mailbox", f"{label}@D", *said, **more)


def _desk(row: str, label: str, *git: str, **more: Any) -> Story:
    """About who may read a shared mailbox."""
    said = [Line("shared", label, f"{{owner: jane, members: {{{text}}}}}") for text in git]
    return _part(row, label, "mailbox", f"{label}@D", *said, **more)


def _txt(row: str, label: str, *git: str, type_: str = "TXT", **more: Any) -> Story:
    """About the values of a record."""
    said = [Line("records", label, f"{{name: {label}, type: {type_}, values: [{text}]}}") for text in git]
    return _part(row, label, "record", f"{type_}/{label}.D", *said, **more)


def _key(row: str, label: str, kind: str, *git: str | None, **more: Any) -> Story:
    """About a DKIM key or its record."""
    name = f"{'TXT/' if kind == 'record' else ''}s1._domainkey.D"
    said = [None if text is None else Line("dkim", "", f"{{sign: [], keys: {{s1: {text}}}}}") for text in git]
    return _part(row, label, kind, name, *said, **more)


def _size(gib: int) -> Attributes:
    return {"quota": gib * GIB}


def _rights(**members: str) -> Attributes:
    return {"members": {f"{name}@D": right for name, right in members.items()}}


def _values(*values: str) -> Attributes:
    return {"values": list(values)}


ONE, TWO, FIVE = ", quota: 1 GiB", ", quota: 2 GiB", 5 * GIB  # five: what the estate starts a mailbox with
OURS, MOVED, HANDS = "v=spf1 -all", "v=spf1 ~all", "v=spf1 ?all"
OLD_KEY, NEW_KEY = "v=DKIM1; k=ed25519; p=AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=", "v=DKIM1; k=rsa; p=bmV3"
RSA = "{type: rsa}"


def _accepted(tenant: str) -> dict[str, Any]:
    """The hand's three gibibytes, by name."""
    subject = f"finding: PL201, subject: 'mailhost:mailbox/quota@{tenant}.example', field: quota, value: 3 GiB"
    return {"control": (("accept", f"{{{subject}, approved_by: ops, expires: 2099-12-31}}"),)}


PART_STORIES = [
    _box("1", "quota", "", "", hand=_size(3), report=_size(3), line={"said": {"quota": None}}),
    _box("2a", "quota", ONE, ONE, report=_size(1)),
    _desk("2a", "desk", "jane: full", "jane: full", report=_rights(jane="full")),
    _box("2b", "quota", ONE, ONE, hand=_size(3), report=_size(3), enforce=_size(1), line={"said": _size(1)}),
    _desk("2b", "desk", "jane: full", "jane: full", hand=_rights(jane="read"), report=_rights(jane="read"),
          enforce=_rights(jane="full")),
    _txt("2b", "txt", f"t=1, {OURS}", f"t=1, {OURS}", hand=_values(OURS), report=_values(OURS),
         enforce=_values("t=1", OURS)),
    _box("3a", "quota", ONE, TWO, report=_size(2), line={"said": _size(2)}),
    _box("3b", "quota", ONE, TWO, hand=_size(2), report=_size(2), line={"said": _size(2)}),
    _desk("3b", "desk", "jane: read", "jane: full", hand=_rights(jane="full"), report=_rights(jane="full"),
          line={"said": _rights(jane="full")}),
    _box("3c", "quota", ONE, TWO, hand=_size(3), report=_size(2), line={"said": _size(2)}),
    _txt("3c", "txt", f"t=1, {MOVED}", f"t=1, {OURS}", hand=_values("t=1", HANDS), report=_values("t=1", OURS)),
    _box("4a", "quota", "", ONE, hand=_size(1), report=_size(1), line={"said": _size(1), "before": _size(1)}),
    _desk("4a", "desk", "jane: full", "jane: full, tom: read", hand=_rights(jane="full", tom="read"),
          report=_rights(jane="full", tom="read")),
    _box("4b", "quota", "", ONE, hand=_size(3), report=_size(1), line={"said": _size(1), "before": _size(3)}),
    _box("4c", "state", "", ", state: paused", past=("state",), hand={"state": "blocked"}, report={"state": "paused"}),
    _txt("4d", "txt", "t=1", f"t=1, {OURS}", hand=_values("t=1", HANDS), report=_values("t=1", OURS)),
    _desk("4d", "desk", "jane: full", "jane: full, tom: full", hand=_rights(jane="full", tom="read"),
          report=_rights(jane="full", tom="full")),
    _box("5", "state", "", "", past=("state",), hand={"state": "paused"}, report={"state": "paused"},
         enforce={"state": "active"}, line={"said": {"state": "active"}}),
    _box("6", "quota", "", ONE, "", report=_size(5), line={"said": {"quota": None}, "before": None}),
    _box("7", "quota", "", ONE, "", hand=_size(3), report=_size(3), line={"said": {"quota": None}, "before": None}),
    _box("8", "same", ONE, "", report=_size(1), line={"said": {"quota": None}, "before": None}),
    _box("8", "quota", ONE, "", hand=_size(3), report=_size(3), line={"said": {"quota": None}, "before": None}),
    _desk("9a", "desk", "jane: full, tom: read", "jane: full", report=_rights(jane="full")),
    _desk("9a", "more", "jane: full, tom: read", "jane: full", hand=_rights(jane="full", tom="full"),
          report=_rights(jane="full")),
    _txt("9a", "txt", f"t=1, {OURS}", "t=1", hand=_values("t=1", HANDS), report=_values("t=1")),
    _desk("9b", "desk", "jane: full, tom: read", "jane: full", hand=_rights(jane="full"), report=_rights(jane="full"),
          line={"said": _rights(jane="full")}),
    _txt("9b", "txt", f"t=1, {OURS}", "t=1", hand=_values("t=1"), report=_values("t=1"), line={"said": _values("t=1")}),
    _txt("10a", "txt", OURS, OURS, hand=_values("t=1", OURS), report=_values("t=1", OURS)),
    _txt("10a", "caa", "'0 issue \"x.example\"'", "'0 issue \"x.example\"'", type_="CAA",
         hand=_values('0 issue "x.example"', '0 issue "z.example"'),
         report=_values('0 issue "x.example"', '0 issue "z.example"')),
    _desk("10b", "desk", "jane: full", "jane: full", hand=_rights(jane="full", tom="read"),
          report=_rights(jane="full", tom="read"), enforce=_rights(jane="full")),
    _box("10b", "quota", "", "", hand=_rights(tom="read"), report=_rights(tom="read"), enforce=_rights()),
    _key("12a", "key", "dkim_key", RSA, RSA, hand={"public": NEW_KEY}, report={"public": NEW_KEY}),
    _key("12b", "record", "record", RSA, RSA, enforce=_values(NEW_KEY)),
    _key("13a", "record", "record", None, RSA),
    _part("13b", "record", "record", "TXT/s1._domainkey.D",
          Line("records", "", f"{{name: s1._domainkey, type: TXT, values: ['{OLD_KEY}']}}"),
          Line("dkim", "", f"{{sign: [], keys: {{s1: {RSA}}}}}")),
    _key("14a", "key", "dkim_key", RSA, "{type: rsa, bits: 4096}", report={"bits": 2048}),
    _key("14b", "key", "dkim_key", None, RSA, hand={"type": "rsa", "bits": 1024, "public": OLD_KEY},
         report={"bits": 1024}, line=None),
    _key("14c", "key", "dkim_key", RSA, RSA, hand={"bits": 1024}, report={"bits": 1024}, line={"said": {"bits": 2048}}),
    _part("15", "owner", "mailbox", "owner@D", Line("mailboxes", "owner", "{owner: jane}"),
          Line("mailboxes", "owner", "{owner: tom}"), report=_size(5), line={"said": {"owner": "tom"}}),
    _box("16", "quota", ONE, ONE, hand=_size(3), report=_size(3), line={"said": _size(1)}, **_accepted("p16")),
    _box("17", "quota", ONE, TWO, hand=_size(3), report=_size(2), line={"said": _size(2)}, **_accepted("p17")),
    _box("18", "quota", f"{ONE}, state: paused", f"{TWO}, state: paused", hand={"state": "active"},
         report={**_size(2), "state": "active"}, enforce={**_size(2), "state": "paused"}, line={"said": _size(2)}),
    _desk("18", "desk", "jane: read, tom: full", "jane: full, tom: full", hand=_rights(jane="read", tom="read"),
          report=_rights(jane="full", tom="read"), enforce=_rights(jane="full", tom="full")),
]  # fmt: skip
STORIES = [*_objects(), *PART_STORIES]
TENANTS = {story.tenant: [other for other in STORIES if other.tenant == story.tenant] for story in STORIES}


# ---------------------------------------------------------------------- the estate and its life


def _files(tenant: str, stage: int) -> Files:
    """The files of a row in one of its commits."""
    lines = list(dict.fromkeys(line for story in TENANTS[tenant] for line in story.git[stage]))
    people = "".join(f"  {who}: {{name: {who.title()} Roe}}\n" for who in ("jane", "tom"))
    boxes = {"mailboxes": ["  jane: {owner: jane}\n", "  tom: {owner: tom}\n"]}
    names: dict[str, list[str]] = {}
    for line in lines:
        if line.section == "dkim":
            names["dkim"] = [f"  {key}: {value}\n" for key, value in _dkim(line.text)]
        elif line.section in {"records", "absent in DNS"}:
            names.setdefault(line.section.removesuffix(" in DNS"), []).append(f"  - {line.text}\n")
        elif line.section == "absent":
            boxes.setdefault("absent", []).append(f"  - {line.text}\n")
        else:
            boxes.setdefault(line.section, []).append(f"  {line.name}: {line.text}\n")
    folder, domain = f"tenants/{tenant}", f"{tenant}.example"
    return {
        f"{folder}/tenant.yaml": f"tenant: {tenant}\nname: Row {tenant}\npeople:\n{people}",
        f"{folder}/domains/{domain}.yaml": f"domain: {domain}\nowner: jane\n{_sections(boxes)}",
        f"{folder}/dns/{domain}.yaml": f"domain: {domain}\nzone: {{create: true}}\n{_sections(names)}",
    }


def _dkim(text: str) -> list[tuple[str, str]]:
    return [("sign", "[]"), ("keys", text.partition("keys: ")[2][:-1])]


def _sections(found: dict[str, list[str]]) -> str:
    return "".join(f"{section}:\n{''.join(lines)}" for section, lines in found.items())


def _controls() -> Files:
    """What control.yaml files say in the last commit."""
    found: dict[str, dict[str, list[str]]] = {}
    for story in STORIES:
        for section, text in story.control:
            found.setdefault(story.tenant, {}).setdefault(section, []).append(f"  - {text}\n")
    return {f"tenants/{tenant}/control.yaml": f"tenant: {tenant}\n{_sections(said)}" for tenant, said in found.items()}


class World:
    """The files that the reference world is kept in, and the hand in them."""

    def __init__(self, estate: Estate) -> None:
        self.paths = {"mailhost": estate.root / "var/mail.json", "zones": estate.root / "var/dns.json"}

    def things(self) -> dict[str, Attributes]:
        """{address: attributes} of all that is live."""
        found = {}
        for provider, path in self.paths.items():
            for kind, name, _, attributes in json.loads(path.read_text())["things"]:
                found[f"{provider}:{kind}/{name}"] = attributes
        return found

    def edit(self, wanted: dict[str, tuple[str, Attributes | None]]) -> None:
        """By hand, {address: (its domain, the attributes that it gets or, with None, that it is gone)}."""
        for provider, path in self.paths.items():
            data = json.loads(path.read_text())
            things = {f"{provider}:{thing[0]}/{thing[1]}": thing for thing in data["things"]}
            for address, (domain, attributes) in wanted.items():
                if not address.startswith(f"{provider}:"):
                    continue
                kind, _, name = address.partition(":")[2].partition("/")
                old = things.pop(address, [kind, name, domain, {}])
                if attributes is not None:
                    things[address] = [*old[:3], {**old[3], **attributes}]
            path.write_text(json.dumps({**data, "things": list(things.values())}))

    def bytes(self) -> dict[str, bytes]:
        return {name: path.read_bytes() for name, path in self.paths.items()}


Ledgers = dict[str, Attributes]


def ledgers(estate: Estate) -> Ledgers:
    """{address: line} of every tenant's ledger; what only tells where a line comes from is left out."""
    found = {}
    for ref in estate.git("for-each-ref", "--format=%(refname)", "refs/reconciler/tenants").split():
        for text in estate.git("show", f"{ref}:ledger.jsonl").splitlines()[1:]:
            line = json.loads(text)
            found[line["address"]] = {k: v for k, v in line.items() if k not in {"address", "commit", "file", "line"}}
    return found


def _forget_past(estate: Estate) -> None:
    """The ledger as an older version wrote it: without attributes that its tables did not have."""
    for story in STORIES:
        if not story.past:
            continue
        ref = f"refs/reconciler/tenants/{story.tenant}"
        lines = [json.loads(line) for line in estate.git("show", f"{ref}:ledger.jsonl").splitlines()]
        (line,) = [line for line in lines if line.get("address") == story.address]
        line["said"] = {name: value for name, value in line["said"].items() if name not in story.past}
        text = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
        blob = estate._object("hash-object", "-w", "--stdin", text=text)
        tree = estate._object("mktree", text=f"100644 blob {blob}\tledger.jsonl\n".encode())
        estate.git("update-ref", ref, estate.git("commit-tree", tree, "-p", ref, "-m", "An older version"))


def code(tenant: str, policy: str, words: Callable[[Story, str], set[str]]) -> int:
    """The exit code that goes with the words of a tenant's stories."""
    said = {word for story in TENANTS[tenant] for word in words(story, policy)}
    if any("takeover" in word or word.startswith("error") for word in said):
        return 3
    quiet = {"later", "unmanaged", *({"drift"} if tenant == "p16" else ())}
    return 2 if any(not word.startswith(("ledger", "info", "warning")) and word not in quiet for word in said) else 0


def _codes(estate: Estate, policy: str, words: Callable[[Story, str], set[str]]) -> dict[str, int]:
    """What each tenant's own plan ends with; those of which nothing is wanted share one plan, the worst counts."""
    calm = [tenant for tenant in TENANTS if code(tenant, policy, words) == 0]
    run = estate.run("plan", "--exit-code", *(word for tenant in calm for word in ("--tenant", tenant)))
    rest = [tenant for tenant in TENANTS if tenant not in calm or run.code]
    alone = {tenant: estate.run("plan", "--exit-code", "--tenant", tenant).code for tenant in rest}
    return {**dict.fromkeys(calm, 0), **alone}


@dataclass
class Life:
    """What was seen of the estate, before the last apply and after it."""

    policy: str
    base: Ledgers  # before anything of the last commit
    hands: dict[str, Attributes]  # live, as the hands left it
    dark: Any  # the plan while the mail could not be read
    dark_apply: Any
    dark_same: bool
    plan: Any
    codes: dict[str, int]
    refused: Any  # the apply before takeovers were accepted
    kept: Ledgers  # the ledgers after that apply
    still: dict[str, Attributes]
    ledger: Ledgers
    live: dict[str, Attributes]
    again: Any
    again_codes: dict[str, int]
    idle: bool

    def tenant(self, name: str, plan: Any = None) -> Any:
        return next(found for found in (plan or self.plan)["tenants"] if found["tenant"] == name)


@pytest.fixture(scope="module", params=POLICIES)
def life(request: Any, tmp_path_factory: Any) -> Life:
    """The estate, lived through once under each policy."""
    return lived(tmp_path_factory.mktemp("truth") / "estate", request.param)


def lived(folder: Path, policy: str) -> Life:
    agency = MEMORY.replace("defaults: {", f"defaults: {{drift: {policy}, ")
    estate = make(folder, *(_files(tenant, 0) for tenant in TENANTS), agency=agency)
    world = World(estate)
    _well(estate.apply())
    estate.write({path: text for tenant in TENANTS for path, text in _files(tenant, 1).items()})
    _well(estate.apply())
    _forget_past(estate)
    _hands(world)
    estate.write({path: text for tenant in TENANTS for path, text in _files(tenant, 2).items()} | _controls())
    base, hands, before = ledgers(estate), world.things(), world.bytes()
    world.paths["mailhost"].write_text("no world")
    dark, dark_apply = estate.run("plan", "--format", "json"), estate.apply("--yes", "--purge")
    dark_same = (ledgers(estate), world.paths["zones"].read_bytes()) == (base, before["zones"])
    world.paths["mailhost"].write_bytes(before["mailhost"])
    plan, alone = estate.plan(), _codes(estate, policy, Story.wanted)
    first = estate.apply("--yes", "--purge")
    kept, still = ledgers(estate), world.things()
    taken = {s.tenant for s in STORIES if any("takeover" in word for word in s.wanted(policy))}
    for tenant in taken:
        estate.save(accepting("PL202", f"{tenant}.example", tenant))
    estate.commit("Ours from now on")
    estate.apply("--yes", "--purge")
    ledger, live = ledgers(estate), world.things()
    again, again_alone = estate.plan(), _codes(estate, policy, Story.left)
    tips, held = estate.git("for-each-ref", "refs/reconciler"), world.bytes()
    estate.apply("--yes", "--purge")
    idle = (estate.git("for-each-ref", "refs/reconciler"), world.bytes()) == (tips, held)
    return Life(
        policy, base, hands, dark, dark_apply, dark_same, plan, alone, first, kept, still, ledger, live, again,
        again_alone, idle,
    )  # fmt: skip


def _well(done: Any) -> None:
    assert done.code == 0, f"{done.out}\n{done.err}"


def _hands(world: World) -> None:
    """What people did to the live systems meanwhile."""
    wanted: dict[str, tuple[str, Attributes | None]] = {}
    for story in STORIES:
        if story.hand or story.hand is None:
            wanted[story.address] = (story.domain, story.hand)
        for kind, name, attributes in story.near:
            wanted[f"mailhost:{kind}/{name}"] = (story.domain, attributes)
    there = world.things()
    world.edit({address: said for address, said in wanted.items() if said[1] is not None or address in there})


def words(life: Life, story: Story, plan: Any = None) -> set[str]:
    """What a plan says of a thing, in the words of the page. Of the ledger's silent steps its JSON has none."""
    found, here = life.tenant(story.tenant, plan), story.address
    refusing = {f["subject"] for f in found["findings"] if (f["code"], f["severity"]) == ("PL202", "error")}
    said = {f"ledger: {what}" for what, key in (("adopt", "adopted"), ("forget", "forgotten")) if here in found[key]}
    for change in _of(here, found["changes"]):
        takes = story.domain in refusing and change["action"] == "update"
        marks = [mark for mark, there in (("takeover", takes), ("conflict", change["conflict"])) if there]
        said.add(", ".join([change["action"], *marks]))
    said |= {f"{change['action']} ({change['reason']})" for change in _of(here, found["due"])}
    said |= {"drift of existence" if d["field"] == "exists" else "drift" for d in _of(here, found["drift"])}
    said |= {"later" for _ in _of(here, found["later"])}
    counted = story.kind == "record" and story.name.partition("/")[0] in found["unmanaged"]["counted"]
    said |= {"unmanaged"} if counted or _of(here, found["unmanaged"]["listed"]) else set()
    findings = [f for f in found["findings"] if f["subject"] == here and f["code"] != "PL201"]
    return said | {f"{finding['severity']} {finding['code']}" for finding in findings}


def _of(address: str, items: list[Any]) -> list[Any]:
    return [item for item in items if item["address"] == address]


def step(life: Life, story: Story) -> set[str]:
    """The step of the ledger that an apply took silently."""
    before, after = life.base.get(story.address), life.ledger.get(story.address)
    if before == after:
        return set()
    retired = [bool(line and line.get("retired")) for line in (before, after)]
    return {"ledger: " + {(False, True): "retire", (True, False): "restore"}.get((retired[0], retired[1]), "settle")}


ROWS = [*(f"o{row.id}" for row in OBJECTS), *(f"p{row.id}" for row in PARTS)]
each = pytest.mark.parametrize("tenant", TENANTS)


def test_every_row_has_a_story() -> None:
    """No row of the page is without one, no story without a row; 23 is every row, while nothing can be read."""
    told = {f"{story.tenant[0]}{story.row}" for story in STORIES} | {"o23"} | {f"p{row}" for row in LATER}
    assert told == set(ROWS)


@each
def test_the_rows_begin_as_they_say(life: Life, tenant: str) -> None:
    """The ledger has what the row's first cell says, and live is as the hand left it."""
    for story in TENANTS[tenant]:
        line = life.base.get(story.address)
        if tenant[0] == "o":
            found = "–" if line is None else "absent" if line.get("absent") else "x°" if line.get("retired") else "x"
            assert found == story.label.split("-")[1]
        if story.hand != {}:
            assert holds(life.hands.get(story.address), story.hand), story.label


def holds(there: Attributes | None, wanted: Attributes | None) -> bool:
    """Whether all that is wanted is there; None wants nothing to be there, and a None inside no such attribute."""
    if there is None or wanted is None:
        return there is wanted
    return all(
        holds(there.get(name, {}), value)
        if isinstance(value, dict) and name in {"said", "before"}
        else there.get(name) == value or (name == "retired" and bool(there.get(name)))
        for name, value in wanted.items()
    )


def changing(words: set[str]) -> bool:
    """Whether something live is changed by them."""
    verbs = {"create", "update", "restore", "retire", "delete", "purge"}
    return bool({_verb(word) for word in words} & verbs) and not refused(words)


@each
def test_the_plan_says_what_the_page_says(life: Life, tenant: str) -> None:
    """Changes, due, adopted, forgotten, drift, later, unmanaged, findings; and the silent steps once it is applied."""
    found, wanted = {}, {}
    for story in TENANTS[tenant]:
        found[story.label], wanted[story.label] = words(life, story), story.plan(life.policy)
        if not changing(wanted[story.label]) and not {"ledger: adopt", "ledger: forget"} & wanted[story.label]:
            found[story.label] |= step(life, story)
    assert found == wanted


@each
def test_the_apply_brings_it_about(life: Life, tenant: str) -> None:
    """Live and the ledger's line are as the row says; where nothing is to be done not a thing of it moves."""
    for story in TENANTS[tenant]:
        there, line = life.live.get(story.address), life.ledger.get(story.address)
        assert holds(there, story.ends[life.policy]), (story.label, there)
        assert holds(line, story.lines[life.policy]), (story.label, line)
        if not changing(story.plan(life.policy)):
            assert holds(there, life.hands.get(story.address)), story.label


@each
def test_the_next_plan_says_what_is_left(life: Life, tenant: str) -> None:
    """Nothing, or the same drift again, or what is later, unmanaged or still refused."""
    found = {story.label: words(life, story, life.again) for story in TENANTS[tenant]}
    assert found == {story.label: story.left(life.policy) for story in TENANTS[tenant]}


@each
def test_the_exit_code_is_the_rows(life: Life, tenant: str) -> None:
    """3 where something is refused, 2 where something is to be done or has drifted, 0 for the rest."""
    assert life.codes[tenant] == code(tenant, life.policy, Story.wanted)
    assert life.again_codes[tenant] == code(tenant, life.policy, Story.left)


@each
def test_what_is_refused_is_not_written(life: Life, tenant: str) -> None:
    """A takeover that nobody accepted, and whatever is an error, leaves live and the ledger as they were."""
    results = {found["tenant"]: found["result"] for found in life.refused.json["tenants"]}
    stopped = life.codes[tenant] == 3
    assert (results[tenant] == "refused") == stopped
    for story in TENANTS[tenant] if stopped else ():
        assert holds(life.still.get(story.address), life.hands.get(story.address)), story.label
        assert life.kept.get(story.address) == life.base.get(story.address)


@each
def test_what_cannot_be_read_is_left_alone(life: Life, tenant: str) -> None:
    """Row 23: in whichever state it is, of what was not read nothing is said, and the tenant is not applied."""
    assert life.tenant(tenant, life.dark.json)["complete"] is False
    hidden = [s for s in TENANTS[tenant] if s.kind != "record" or "_domainkey" in s.name]
    assert {story.label: words(life, story, life.dark.json) for story in hidden} == {s.label: set() for s in hidden}
    results = {found["tenant"]: found["result"] for found in life.dark_apply.json["tenants"]}
    assert results[tenant] in {"failed", "refused"}


def test_nothing_is_written_while_something_cannot_be_read(life: Life) -> None:
    """Row 23 in its whole: exit code 1, and the ledgers and what could be read are as they were."""
    assert (life.dark.code, life.dark_apply.code, life.dark_same) == (1, 1, True)


def test_one_more_apply_writes_nothing(life: Life) -> None:
    """All that is left is told again, and no byte of the live systems or of the ledgers moves."""
    assert life.idle


# ---------------------------------------------------------------------- identity

INFO = "aliases:\n  info: [jane]\n"
LATER_IDENTITY: set[str] = set()
TOLD: dict[str, str] = {}  # {case of the page: the test that tells it}


def tells(case: str) -> Any:
    """Marks the story of a case of the page."""

    def mark(test: Any) -> Any:
        TOLD[case] = test.__name__
        return test

    return mark


def _cases() -> dict[str, bool]:
    """{case of the page: whether it is of a later version}."""
    text = PAGE.read_text(encoding="utf-8").partition("\n## Identity\n")[2]
    found = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    return {case: said == "*later*" for case, _, said in found[2:]}


def test_every_case_of_identity_has_a_story() -> None:
    """As of the rows: what the page promises now is told here, what is of a later version is named here."""
    assert {case for case, later in _cases().items() if later} == LATER_IDENTITY
    assert set(TOLD) == {case for case, later in _cases().items() if not later}


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    """Northwind in the reference world, applied."""
    return make(tmp_path / "estate", northwind(), agency=MEMORY).applied({})


def untouched(estate: Estate, before: tuple[dict[str, Attributes], Ledgers]) -> bool:
    """Whether live and the ledgers are as they were."""
    return (World(estate).things(), ledgers(estate)) == before


def state(estate: Estate) -> tuple[dict[str, Attributes], Ledgers]:
    return World(estate).things(), ledgers(estate)


def still(estate: Estate, *found: str) -> bool:
    """The plan is refused for these findings, and so is the apply, which writes nothing."""
    before, run = state(estate), estate.run("plan", "--format", "json")
    said = {code for tenant in run.json["tenants"] for code in codes(tenant["findings"])}
    return (run.code, said >= set(found), estate.apply().code, untouched(estate, before)) == (3, True, 3, True)


def calm(estate: Estate) -> bool:
    """Another plan has nothing to do."""
    run = estate.run("plan", "--exit-code", "--format", "json")
    return run.code == 0 and all(
        not t["changes"] and not t["forgotten"] and not t["adopted"] for t in run.json["tenants"]
    )


@tells("alias and mailbox change places in one name")
def test_alias_and_mailbox_change_places(estate: Estate) -> None:
    """The alias becomes a mailbox, and an alias again while the box is kept; it goes before that is restored."""
    info, box = "mailhost:alias/info@northwind.example", "mailhost:mailbox/info@northwind.example"
    swapped = {**mail({**BOXES, "info": "{owner: jane}"}, ""), **accepting("RT011", "info@northwind.example")}
    estate.write(swapped)
    assert changes(estate.one()) == [(info, "delete"), (box, "create")]
    assert (estate.apply().code, info in ledgers(estate), calm(estate)) == (0, False, True)
    estate.write(mail(more=INFO))
    assert changes(estate.one()) == [(box, "retire"), (info, "create")]
    assert (estate.apply().code, bool(ledgers(estate)[box]["retired"]), info in ledgers(estate)) == (0, True, True)
    assert calm(estate)
    estate.write(swapped)
    assert changes(estate.one()) == [(info, "delete"), (box, "restore")]
    assert (estate.apply().code, World(estate).things()[box]["state"], calm(estate)) == (0, "active", True)


@tells("side turned `null`")
@pytest.mark.parametrize(("path", "side"), [(NORTHWIND, "mail"), (NORTHWIND_DNS, "dns")])
def test_a_side_that_is_let_go(estate: Estate, path: str, side: str) -> None:
    """Its lines are forgotten, nothing is written, and it is no removal."""
    live, before = World(estate).things(), ledgers(estate)
    owner = "owner: jane\n" if side == "mail" else ""
    estate.write({path: f"domain: northwind.example\n{owner}{side}: null\n"})
    found = estate.one()
    assert (found["changes"], found["due"]) == ([], [])
    assert set(found["forgotten"]) == {a for a in before if (a[:5] == "zones") == (side == "dns")}
    assert estate.apply().code == 0
    assert (World(estate).things(), set(ledgers(estate))) == (live, set(before) - set(found["forgotten"]))
    assert calm(estate)


@tells("the ledger names a provider that is not configured")
def test_a_provider_that_is_not_configured(estate: Estate) -> None:
    """Refused; nothing of it is forgotten."""
    estate.write({"reconciler.yaml": MEMORY.replace("{zones:", "{names:").replace("dns: zones", "dns: names")})
    assert still(estate, "PL218")
    assert estate.one()["forgotten"] == []


@tells("an unmanaged thing in the place we want")
def test_something_unmanaged_in_the_place(estate: Estate) -> None:
    """An alias by hand where a mailbox shall be: both remedies are named; declared as it is, it is ours."""
    new, taken = "new@northwind.example", "mailhost:alias/new@northwind.example"
    World(estate).edit({taken: ("northwind.example", {"to": ["jane@northwind.example"]})})
    estate.write(mail({**BOXES, "new": "{owner: jane}"}, INFO))
    assert still(estate, "PL208")
    (finding,) = [f for f in estate.one()["findings"] if f["code"] == "PL208"]
    assert (finding["subject"], taken in finding["detail"]) == (f"mailhost:mailbox/{new}", True)
    assert "Declare it in the YAML as it is, or remove it by hand" in finding["detail"]
    estate.write(mail(more=f"{INFO}  new: [jane]\n"))
    assert (estate.one()["adopted"], estate.apply().code, calm(estate)) == ([taken], 0, True)


def _twice(side: str, name: str) -> str:
    """An agency with a second provider of a side."""
    old = f"  {side}: {{"
    return MEMORY.replace(old, f"{old}{name}: {{type: memory, file: var/{name}.json, side: {side}}}, ")


@tells("what keeps data changes its provider")
def test_mail_stays_at_its_provider(tmp_path: Path) -> None:
    """A migration, which nobody declared: refused, nothing is made at the other one."""
    estate = make(tmp_path / "estate", northwind(), agency=_twice("mail", "second")).applied({})
    estate.write(control("mail: second\n"))
    assert still(estate, "PL217")
    assert not (estate.root / "var/second.json").exists()


@pytest.fixture
def second(tmp_path: Path) -> Estate:
    """Northwind, whose DNS goes to another provider."""
    estate = make(tmp_path / "estate", northwind(), agency=_twice("dns", "second")).applied({})
    estate.write(control("dns: second\n"))
    return estate


@tells("a record changes its provider")
def test_records_go_to_another_provider(second: Estate) -> None:
    """Made there, deleted here, in one plan."""
    made = {(c["provider"], c["action"], c["name"]) for c in second.one()["changes"]}
    names = {name for _, _, name in made}
    assert len(names) == 3
    assert made == {("second", "create", name) for name in names} | {("zones", "delete", name) for name in names}
    second.applied({})
    there = json.loads((second.root / "var/second.json").read_text())["things"]
    assert {thing[1] for thing in there} == names
    assert not any(address.startswith("zones:") for address in [*ledgers(second), *World(second).things()])
    assert calm(second)


def test_records_are_made_there_before_they_go_here(second: Estate) -> None:
    """There is no moment without them, so nobody has to accept that the MX would go; to the null MX is no move."""
    run = second.run("plan", "--format", "json")
    assert [c["action"] for c in run.json["tenants"][0]["changes"]] == ["create"] * 3 + ["delete"] * 3
    assert run.code == 0
    none = "{name: '@', type: MX, mode: replace, values: ['0 .'], reason: no mail}"
    second.write({**dns(f"records:\n  - {none}\n"), **mail({}, "")})
    assert "PL219" in codes(second.one()["findings"])


def test_records_that_cannot_be_made_there_stay_here(second: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other provider fails: what waits for it is skipped, nothing goes."""
    write, before = Memory.apply, World(second).things()

    def fail(provider: Memory, batch: Batch) -> Any:
        if batch.provider == "second":
            raise Refused("second: the disk is full")
        return write(provider, batch)

    monkeypatch.setattr(Memory, "apply", fail)
    done = second.apply()
    assert (done.code, World(second).things()) == (1, before)
    why = {item["why"] for item in done.json["tenants"][0]["not_done"]}
    assert len([text for text in why if "skipped: it needs second:record/" in text]) == 3


RELEASED = "mailhost:alias/info@northwind.example"


RENAMED = mail({"jane.smith": "{owner: jane, renamed_from: jane}", "tom": "{owner: tom}"}, "")
JANE, SMITH = "mailhost:mailbox/jane@northwind.example", "mailhost:mailbox/jane.smith@northwind.example"


@tells("`renamed_from`")
def test_a_mailbox_gets_another_name(estate: Estate) -> None:
    """One change where the new name is free; with both there an error; done already, a note."""
    estate.applied(mail(more=""))
    estate.write(RENAMED)
    assert changes(estate.one()) == [(SMITH, "rename")]
    World(estate).edit({SMITH: ("northwind.example", World(estate).things()[JANE])})
    assert still(estate, "PL212")
    World(estate).edit({SMITH: ("northwind.example", None)})
    assert (estate.apply().code, calm(estate)) == (0, True)
    assert {SMITH, JANE} & ledgers(estate).keys() == {SMITH}
    assert [f["severity"] for f in estate.one()["findings"] if f["code"] == "PL222"] == ["info"]


@tells("a plain revert of a rename")
def test_a_name_comes_back(estate: Estate) -> None:
    """The ledger remembers which one it was: the same mail under its old name."""
    estate.applied(mail(more=""))
    before = World(estate).things()
    estate.applied(RENAMED)
    estate.git("revert", "--no-edit", "HEAD")
    assert [(c["address"], c["action"], c["was"]) for c in estate.one()["changes"]] == [(JANE, "rename", SMITH)]
    assert (estate.apply().code, calm(estate), World(estate).things()) == (0, True, before)


@tells("a provider is renamed")
def test_a_provider_gets_another_name(estate: Estate) -> None:
    """Its lines move to the new name, and back by a revert; nothing live is written."""
    before = state(estate)
    named = MEMORY.replace("mailhost: {", "post: {renamed_from: mailhost, ").replace("mail: mailhost", "mail: post")
    estate.write({"reconciler.yaml": named})
    found = estate.one()
    assert [found[key] for key in ("changes", "due", "drift", "adopted", "forgotten")] == [[]] * 5
    assert [f["severity"] for f in found["findings"] if f["code"] == "PL223"] == ["info"]
    assert estate.apply().code == 0
    assert {address.partition(":")[0] for address in ledgers(estate)} == {"post", "zones"}
    assert calm(estate)
    estate.git("revert", "--no-edit", "HEAD")
    assert (estate.apply().code, untouched(estate, before), calm(estate)) == (0, True, True)


@tells("`released` in control.yaml")
def test_what_is_released(estate: Estate) -> None:
    """The ledger forgets it, live stays as it is, and then it is nobody's."""
    live = World(estate).things()
    estate.write({**mail(more=""), **control(f'released: {{"{RELEASED}": a vendor keeps it}}\n')})
    found = estate.one()
    assert (found["changes"], found["due"], found["forgotten"]) == ([], [], [RELEASED])
    assert (estate.apply().code, World(estate).things() == live, RELEASED in ledgers(estate)) == (0, True, False)
    assert [item["address"] for item in estate.one()["unmanaged"]["listed"]] == [RELEASED]
    assert calm(estate)


@tells("a domain moves to another tenant")
def test_a_domain_moves_to_another_tenant(estate: Estate) -> None:
    """In one plan: what the one forgets, the other adopts; the lines are the same, and nothing is written."""
    before = state(estate)
    people = {path: text for path, text in contoso().items() if path.endswith("tenant.yaml")}
    moved = {NORTHWIND: None, NORTHWIND_DNS: None}
    files = {**mail(more=INFO), **dns()}
    estate.write({**people, **moved, **{path.replace("northwind/", "contoso/", 1): files[path] for path in moved}})
    theirs, ours = estate.plan()["tenants"]
    assert (theirs["tenant"], theirs["changes"], ours["changes"]) == ("contoso", [], [])
    assert theirs["adopted"] == ours["forgotten"] == sorted(before[1])
    assert estate.apply().code == 0
    assert World(estate).things() == before[0]
    assert "mailbox/jane" in estate.git("show", "refs/reconciler/tenants/contoso:ledger.jsonl")
    assert "mailbox/jane" not in estate.git("show", "refs/reconciler/tenants/northwind:ledger.jsonl")
    assert calm(estate)


@tells("two providers have equal settings")
def test_two_providers_with_equal_settings(estate: Estate) -> None:
    """Bad input: two names for one system."""
    twin = _twice("dns", "twin").replace("var/twin.json", "var/dns.json")
    before = state(estate)
    estate.write({"reconciler.yaml": twin})
    assert (estate.run("plan").code, estate.apply().code, untouched(estate, before)) == (1, 1, True)


@tells("another system stands behind a provider's name, or one without an identity")
@pytest.mark.parametrize("identity", ["f" * 32, None])
def test_another_system_behind_the_name(estate: Estate, identity: str | None) -> None:
    """Refused; nothing of it is compared, so nothing of it is drift, forgotten or made."""
    path = estate.root / "var/mail.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps({"identity": identity, "things": data["things"][:2]}))
    estate.write(mail({"jane": BOXES["jane"]}, ""))
    assert still(estate, "PL306")
    found = estate.one()
    assert (found["changes"], found["drift"], found["forgotten"], found["adopted"]) == ([], [], [], [])


@tells("the same, and the provider is `released`")
def test_another_system_and_the_old_one_is_released(estate: Estate) -> None:
    """As a first plan: the ledger forgets all its lines there, and all that Git declares is made anew."""
    lines = {address for address in ledgers(estate) if address.startswith("mailhost:")}
    (estate.root / "var/mail.json").unlink()
    estate.write(
        {"reconciler.yaml": f"{MEMORY}released: {{mailhost: the host is gone}}\n", **mail({"jane": BOXES["jane"]}, "")}
    )
    found = estate.one()
    assert {c["action"] for c in found["changes"]} == {"create"}
    assert set(found["forgotten"]) == lines
    assert (estate.apply().code, calm(estate)) == (0, True)


@tells("a domain's or tenant's file is gone")
def test_a_domains_files_are_gone(estate: Estate) -> None:
    """Refused until `retire` names it; then it goes in stages, and the kept mail waits for its day."""
    estate.write({NORTHWIND: None, NORTHWIND_DNS: None})
    assert still(estate)
    said = f"{{on: {day(0)}, keep: 9 days, reason: left, approved_by: ops}}"
    estate.write(control(f"retire: {{northwind.example: {said}}}\n"))
    found = estate.one()
    assert changes(found) == []
    stages = {(action, reason) for _, action, reason in due(found)}
    assert stages == {("retire", "stage"), ("delete", "stage")}
    assert estate.apply("--due").code == 0
    found = estate.one()
    assert (changes(found), due(found)) == ([], [])
    waiting = {(w["address"], w["when"]) for w in found["later"] if w["action"] == "purge"}
    assert waiting == {(f"mailhost:mailbox/{name}@northwind.example", day(9)) for name in ("jane", "tom")}
    assert {a for a, line in ledgers(estate).items() if line.get("retired")} == {address for address, _ in waiting}


# ---------------------------------------------------------------------- beside the rows


def test_a_single_value_that_comes_back_is_drift(estate: Estate) -> None:
    """Row 26 for one value of a TXT set that Git names absent."""
    address = "zones:record/TXT/x.northwind.example"
    World(estate).edit({address: ("northwind.example", {"values": ["gone=1"]})})
    estate.applied(dns('absent:\n  - {name: x, type: TXT, value: "gone=1", reason: left over}\n'))
    World(estate).edit({address: ("northwind.example", {"values": ["gone=1"]})})
    found = estate.one()
    assert (changes(found), [(d["address"], d["field"]) for d in found["drift"]]) == ([], [(address, "exists")])


def test_what_git_alone_knows_is_in_the_history(estate: Estate) -> None:
    """Parts, row 15: another owner changes nothing live, and the history tells it."""
    estate.applied(mail({**BOXES, "tom": "{owner: jane, quota: 2 GiB}"}, INFO))
    told = estate.run("history", "tom@northwind.example", "--format", "json")
    assert '"owner"' in told.out, told.out
