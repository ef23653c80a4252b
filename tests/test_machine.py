"""A year in the life of an estate: random edits of its files, reverts, hands on live, applies of every sort, days.

The command line runs over a real repository and a real ledger; once on the reference world, once on SQLite and zone
files. After every step the promises are asked for. `make fuzz` lives many more years.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, event, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.estates import make, tenant
from tests.hands import HOST, Hands, MemoryHands, ServerHands, Things

if TYPE_CHECKING:
    from tests.estates import Estate, Run

LOCALS = ("jane", "tom", "desk", "press", "orders")
FILES = {part: f"tenants/northwind/{part}/{HOST}.yaml" for part in ("domains", "dns")}
FILES["control"] = "tenants/northwind/control.yaml"
HEADS = {"domains": {"domain": HOST, "owner": "jane"}, "control": {"tenant": "northwind"}}
HEADS["dns"] = {"domain": HOST, "zone": {"create": True}}
BOXES = ("mailboxes", "shared")
SECTIONS = (*BOXES, "aliases", "forwards")
ALWAYS = ("alias/postmaster", "alias/abuse")  # of the template, in the domain
APPROVED = {"reason": "said so", "approved_by": "ops"}
# Removals that a mistake would look like, and takeovers: whether they are accepted is an edit of its own.
ACCEPT = [
    {"finding": code, "subject": subject, **APPROVED}
    for code, subject in (*((code, HOST) for code in ("PL202", "PL210", "PL215", "PL219")), ("PL213", "northwind"))
]
Said = dict[str, dict[str, dict[str, Any]]]  # file -> section -> name -> what is said
FOREIGN = (
    ("alias", f"fax@{HOST}", {"to": ["fax@vendor.example"]}),
    ("mailbox", f"old@{HOST}", {}),
    ("record", f"A/legacy.{HOST}", {"values": ["192.0.2.1"]}),
    ("record", f"TXT/legacy.{HOST}", {"values": ["token=1"]}),
)


# ---------------------------------------------------------------------- what Git says


def text_of(part: str, said: dict[str, dict[str, Any]]) -> str:
    """A file with a line per thing, so that Git merges them one by one."""
    lines = [f"{key}: {json.dumps(value)}" for key, value in HEADS[part].items()]
    for section, things in sorted(said.items()):
        if section == "":
            lines += [f"{name}: {json.dumps(value)}" for name, value in sorted(things.items())]
        elif things:
            listed = section in {"records", "absent", "holds", "accept"}
            lines.append(f"{section}:")
            lines += [f"  {'-' if listed else json.dumps(n) + ':'} {json.dumps(v)}" for n, v in sorted(things.items())]
    return "".join(f"{line}\n" for line in lines)


def said_in(part: str, text: str) -> dict[str, dict[str, Any]]:
    """The inverse; a name of a listed thing is what sorts it."""
    found: dict[str, dict[str, Any]] = {}
    section = ""
    for line in text.splitlines():
        if top := re.fullmatch(r"(\w+):(?: (.+))?", line):
            section = "" if top[2] else top[1]
            if top[2] and top[1] not in HEADS[part]:
                found.setdefault("", {})[top[1]] = json.loads(top[2])
        elif item := re.fullmatch(r'  (?:-|"(.+?)":) (.+)', line):
            value = json.loads(item[2])
            found.setdefault(section, {})[item[1] or key_of(value)] = value
    return found


def key_of(value: dict[str, Any]) -> str:
    """What a listed thing is known by."""
    return " ".join(str(value[key]) for key in ("finding", "subject", "alias", "name", "type", "value") if key in value)


def repaired(said: Said) -> Said:
    """Without what leads to nowhere and what stands twice."""
    boxes = said["domains"]
    mailboxes = boxes.setdefault("mailboxes", {})
    for name, box in list(boxes.setdefault("shared", {}).items()):
        box["members"] = {member: right for member, right in box["members"].items() if member in mailboxes}
        if not box["members"]:
            del boxes["shared"][name]
    forwards, aliases = boxes.setdefault("forwards", {}), boxes.setdefault("aliases", {})
    for name in [name for name, forward in forwards.items() if ("keep_copy" in forward) != (name in mailboxes)]:
        del forwards[name]
    for name in sorted(aliases, reverse=True):
        later = [*mailboxes, *boxes["shared"], *(other for other in aliases if other > name)]
        aliases[name] = [to for to in aliases[name] if to in later or "@" in to]
        if not aliases[name]:
            del aliases[name]
    return unsaid(said)


def unsaid(said: Said) -> Said:
    """Without what is declared among what must not exist, is retired or is released."""
    boxes, let_go = said["domains"], said["control"].setdefault("released", {})
    names = {name for section in SECTIONS for name in boxes.get(section, {})}
    for found in (boxes.setdefault("absent", {}), boxes.setdefault("retired", {})):
        for name in names & found.keys():
            del found[name]
    forbidden = {f"mailhost:alias/{name}@{HOST}" for name in boxes["absent"]}  # both at once never come to rest
    for address in (declared(said, "").keys() | forbidden) & let_go.keys():
        del let_go[address]
    return said


def declared(said: Said, today: str) -> dict[str, dict[str, Any]]:
    """{address: a few of its attributes} of what Git says on a day; `today` empty: whatever has not expired."""
    boxes, found = said["domains"], dict[str, dict[str, Any]]()
    for section in BOXES:
        for name, box in boxes.get(section, {}).items():
            found[f"mailhost:mailbox/{name}@{HOST}"] = {"state": box.get("state", "active")}
    for name in boxes.get("aliases", {}):
        found[f"mailhost:alias/{name}@{HOST}"] = {}
    for name, forward in boxes.get("forwards", {}).items():
        if "keep_copy" not in forward and forward["expires"] >= today:
            found[f"mailhost:alias/{name}@{HOST}"] = {}
    found |= {f"mailhost:{name}@{HOST}": {} for name in ALWAYS}
    found[f"mailhost:domain/{HOST}"] = {}
    found[f"zones:record/MX/{HOST}"] = found[f"zones:record/TXT/_dmarc.{HOST}"] = {}
    found[f"zones:record/TXT/{HOST}"] = {"values": ["v=spf1 include:spf.agency.example -all"]}
    for item in said["dns"].get("records", {}).values():
        label = HOST if item["name"] == "@" else f"{item['name']}.{HOST}"
        there = found.setdefault(f"zones:record/{item['type']}/{label}", {})
        there["values"] = [*there.get("values", ()), *item["values"]]
    return found


# ---------------------------------------------------------------------- what people do

local = st.sampled_from(LOCALS)
ahead = st.sampled_from([-40, -2, 0, 2, 40])
value_of = {
    "mailboxes": st.fixed_dictionaries(
        {"owner": st.sampled_from(["jane", "tom"])},
        optional={
            "quota": st.sampled_from(["1 GiB", "2 GiB"]),
            "name": st.sampled_from(["Jane Roe", "Jo: #1"]),
            "state": st.sampled_from(["active", "blocked", "paused"]),
        },
    ),
    "shared": st.fixed_dictionaries(
        {"owner": st.just("jane"), "members": st.dictionaries(local, st.sampled_from(["full", "read"]), min_size=1)}
    ),
    "aliases": st.lists(st.sampled_from([*LOCALS, "hostmaster@agency.example"]), min_size=1, max_size=3, unique=True),
}
something = st.sampled_from(sorted(value_of)).flatmap(lambda section: st.tuples(st.just(section), value_of[section]))


class Machine(RuleBasedStateMachine):
    """One estate."""

    hands_of: type[Hands]

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.days = 0
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr("reconciler.estate.datetime", self._clock())
        root = Path(self.folder.name) / "estate"
        self.said: Said = {"domains": {}, "dns": {}, "control": {"accept": {key_of(item): item for item in ACCEPT}}}
        self.estate: Estate = make(root, tenant("northwind"), self.files(), agency=self.hands_of.agency())
        self.hands = self.hands_of(self.estate)
        self.commits: list[str] = []
        self.last: Any = None
        self.ours: set[str] = set()  # what applies made and nobody has let go of since

    def teardown(self) -> None:
        self.patch.undo()
        self.folder.cleanup()

    def _clock(self) -> type[datetime]:
        machine = self

        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return datetime.now(tz) + timedelta(days=machine.days)

        return Clock

    # ------------------------------------------------------------------ edits

    def day(self, offset: int) -> str:
        now = datetime.now(ZoneInfo("Europe/Berlin")).date()
        return (now + timedelta(days=self.days + offset)).isoformat()

    def files(self) -> dict[str, str]:
        return {FILES[part]: text_of(part, said) for part, said in self.said.items()}

    def commit(self) -> None:
        files = self.files()
        assert {part: said_in(part, files[FILES[part]]) for part in FILES} == {
            part: {section: things for section, things in said.items() if things} for part, said in self.said.items()
        }
        before = self.estate.head
        self.estate.save(files)
        if self.estate.git("status", "--porcelain"):
            self.estate.commit()
            self.commits.append(self.estate.head)
        note("" if before == self.estate.head else self.estate.git("show", "--format=", "-U0", "HEAD"))

    def section(self, part: str, section: str) -> dict[str, Any]:
        return self.said[part].setdefault(section, {})

    def edit(self) -> None:
        self.said = repaired(self.said)
        self.commit()

    def name(self, section: str, name: str, value: Any) -> None:
        for other in SECTIONS:
            if other != section and not (section == "mailboxes" and other == "forwards"):
                self.section("domains", other).pop(name, None)
        self.section("domains", section)[name] = value

    @initialize(boxes=st.dictionaries(local, value_of["mailboxes"], min_size=1, max_size=3))
    def begin(self, boxes: dict[str, Any]) -> None:
        self.section("domains", "mailboxes").update(boxes)
        self.edit()
        self.applied(["--yes"])

    @rule(wanted=st.dictionaries(local, something, min_size=1, max_size=3))
    def declare(self, wanted: dict[str, tuple[str, Any]]) -> None:
        for name, (section, value) in wanted.items():
            self.name(section, name, value)
        self.edit()

    @rule(name=local, to=local, follow=st.booleans())
    def rename(self, name: str, to: str, follow: bool) -> None:
        """A mailbox gets another name; what led there may follow."""
        boxes = self.section("domains", "mailboxes")
        if name not in boxes or name == to:
            return
        self.name("mailboxes", to, {**boxes.pop(name), "renamed_from": name})
        for box in self.section("domains", "shared").values() if follow else ():
            box["members"] = {to if member == name else member: right for member, right in box["members"].items()}
        aliases = self.section("domains", "aliases") if follow else {}
        for alias, targets in aliases.items():
            aliases[alias] = sorted({to if target == name else target for target in targets})
        self.edit()

    @rule(name=local, keep=st.booleans(), end=ahead)
    def forward(self, name: str, keep: bool, end: int) -> None:
        said = {"to": ["crm@vendor.example"], "owner": "jane", **APPROVED, "expires": self.day(end)}
        if name in self.section("domains", "mailboxes"):
            self.section("domains", "forwards")[name] = {**said, "keep_copy": keep}
        else:
            self.name("forwards", name, said)
        self.edit()

    @rule(names=st.lists(local, min_size=1, max_size=2), sections=st.sampled_from(["all", "forwards"]))
    def let_go(self, names: list[str], sections: str) -> None:
        for name in names:
            for section in SECTIONS if sections == "all" else ("forwards",):
                self.section("domains", section).pop(name, None)
        self.edit()

    @rule(
        name=st.sampled_from(["@", "x", "www"]),
        type_=st.sampled_from(["TXT", "A"]),
        number=st.integers(1, 2),
        ttl=st.sampled_from([None, "5 min"]),
        gone=st.booleans(),
    )
    def records(self, name: str, type_: str, number: int, ttl: str | None, gone: bool) -> None:
        value = f"site={number}" if type_ == "TXT" else f"192.0.2.{number}"
        item = {"name": name, "type": type_, "values": [value], **({"ttl": ttl} if ttl and name != "@" else {})}
        if gone:
            self.section("dns", "records").pop(key_of(item), None)
        else:
            self.section("dns", "records")[key_of(item)] = item
        self.edit()

    @rule(name=st.sampled_from([*LOCALS, "left"]), there=st.booleans())
    def absent(self, name: str, there: bool) -> None:
        found = self.section("domains", "absent")
        found |= {name: {"alias": name, **APPROVED}}
        if not there:
            del found[name]
        self.edit()

    @rule(whole=st.booleans(), there=st.booleans(), name=st.sampled_from(["@", "x"]))
    def absent_record(self, whole: bool, there: bool, name: str) -> None:
        item = {"name": name, "type": "TXT", "value": "gone=1", "reason": "left over"}
        item = {"name": "left", "type": "A", "reason": "left over"} if whole else item
        self.section("dns", "absent").pop(key_of(item), None)
        if there:
            self.section("dns", "absent")[key_of(item)] = item
        self.edit()

    @rule(name=local, kind=st.sampled_from(["mailbox", "alias"]), there=st.booleans())
    def release(self, name: str, kind: str, there: bool) -> None:
        found = self.section("control", "released")
        found |= {f"mailhost:{kind}/{name}@{HOST}": "somebody else's"}
        if not there:
            del found[f"mailhost:{kind}/{name}@{HOST}"]
        self.edit()

    @rule(on=st.sampled_from([None, None, -1, 0, 3]), keep=st.sampled_from([0, 9]))
    def retire(self, on: int | None, keep: int) -> None:
        said = {"on": self.day(on or 0), "keep": f"{keep} days", **APPROVED}
        self.said["control"]["retire"] = {} if on is None else {HOST: said}
        self.edit()

    @rule(
        where=st.sampled_from(["domains", "control"]),
        key=st.sampled_from(["retention", "drift"]),
        value=st.integers(0, 2),
    )
    def policy(self, where: str, key: str, value: int) -> None:
        self.section(where, "")[key] = f"{value} days" if key == "retention" else ["report", "enforce", "report"][value]
        self.edit()

    @rule(name=local, until=ahead, there=st.booleans(), whole=st.booleans())
    def hold(self, name: str, until: int, there: bool, whole: bool) -> None:
        subject = HOST if whole else f"{name}@{HOST}"
        self.section("control", "holds").pop(subject, None)
        if there:
            self.section("control", "holds")[subject] = {"subject": subject, **APPROVED, "until": self.day(until)}
        self.edit()

    @rule(name=local, when=ahead)
    def purge_early(self, name: str, when: int) -> None:
        self.section("domains", "retired")[name] = {"purge": self.day(when), **APPROVED}
        self.edit()

    @rule(there=st.sampled_from([True, True, False]))
    def acceptance(self, there: bool) -> None:
        self.said["control"]["accept"] = {key_of(item): item for item in ACCEPT if there}
        self.edit()

    @precondition(lambda self: self.commits)
    @rule(data=st.data())
    def revert(self, data: st.DataObject) -> None:
        """Back to an earlier commit's parent, where the files merge and are still as this test writes them."""
        self.reverted(data.draw(st.sampled_from(self.commits[::-1])))

    def reverted(self, commit: str) -> bool:
        done = subprocess.run(
            ["git", "revert", "--no-edit", commit], check=False, cwd=self.estate.root, capture_output=True
        )
        if done.returncode:
            subprocess.run(["git", "revert", "--abort"], check=False, cwd=self.estate.root, capture_output=True)
            self.estate.git("reset", "--quiet", "--hard")
            return False
        texts = {part: (self.estate.root / path).read_text() for part, path in FILES.items()}
        said = {part: said_in(part, text) for part, text in texts.items()}
        if any(text_of(part, said[part]) != text for part, text in texts.items()):
            self.estate.git("reset", "--quiet", "--hard", "HEAD~1")
            return False
        self.said = said
        self.commits.append(self.estate.head)
        note(self.estate.git("show", "--format=", "-U0", "HEAD"))
        return True

    # ------------------------------------------------------------------ hands on live

    @rule(name=st.sampled_from([*LOCALS, "left", "postmaster"]), to=st.sampled_from(["jane", "tom", "x@mail.example"]))
    def redirect(self, name: str, to: str) -> None:
        live, address = self.hands.things(), f"{name}@{HOST}"
        if f"mailhost:domain/{HOST}" in live and f"mailhost:mailbox/{address}" not in live:
            self.hands.put("alias", address, to=[to if "@" in to else f"{to}@{HOST}"])

    @rule(name=local, quota=st.sampled_from([1, 2**30, None]))
    def box(self, name: str, quota: int | None) -> None:
        """Make one, set its quota, or let its owner log in again."""
        live, address = self.hands.things(), f"{name}@{HOST}"
        there, other = f"mailhost:mailbox/{address}" in live, f"mailhost:alias/{address}" in live
        if quota is None and there:
            self.hands.put("mailbox", address, state="active")
        elif quota is not None and f"mailhost:domain/{HOST}" in live and (there or not other):
            self.hands.put("mailbox", address, quota=quota)

    @rule(name=st.sampled_from([*LOCALS, "postmaster"]))
    def lose(self, name: str) -> None:
        for address in (f"mailhost:{kind}/{name}@{HOST}" for kind in ("mailbox", "alias")):
            if address in self.hands.things():
                self.hands.take(*address.partition(":")[2].split("/", 1))

    @rule(
        name=st.sampled_from(["A/www", "A/left", "TXT/x", "TXT/@"]),
        number=st.integers(1, 2),
        what=st.sampled_from(["put", "add", "take"]),
    )
    def zone(self, name: str, number: int, what: str) -> None:
        name = f"{name}.{HOST}".replace("@.", "")
        live = self.hands.things()
        if f"zones:record/MX/{HOST}" not in live:
            return
        values = list(live.get(f"zones:record/{name}", {}).get("values", ()))
        text = name.startswith("TXT")
        fresh = (["gone=1"] if number == 1 else ["site=2"]) if text else [f"192.0.2.{number}"]
        if what == "take":
            self.hands.take("record", name)
        else:
            self.hands.put("record", name, values=sorted({*fresh, *(values if what == "add" and text else ())}))

    @rule(found=st.sampled_from(FOREIGN))
    def foreign(self, found: Any) -> None:
        """Something that nobody ever declares."""
        kind, name, said = found
        live = self.hands.things()
        if f"mailhost:domain/{HOST}" in live and f"zones:record/MX/{HOST}" in live and not self.hands.raw(kind, name):
            self.hands.put(kind, name, **said)

    # ------------------------------------------------------------------ days, plans, applies

    @rule(days=st.sampled_from([1, 3, 10, 31]))
    def pass_days(self, days: int) -> None:
        self.days += days

    @rule(back=st.integers(0, 13))
    def plan_earlier(self, back: int) -> None:
        day = (datetime.now(ZoneInfo("Europe/Berlin")).date() - timedelta(days=back)).isoformat()
        self.twice("--as-of", day)

    @rule(enforce=st.sampled_from([(), (), ("--enforce", "all")]))
    def plan(self, enforce: tuple[str, ...]) -> None:
        self.twice(*enforce)

    def moved(self) -> bool:
        """Whether an apply can find something other than the last one did."""
        return self.last != (len(self.commits), self.days, self.hands.moves)

    @precondition(moved)
    @rule(purge=st.booleans())
    def apply(self, purge: bool) -> None:
        self.applied(["--yes", *(["--purge"] if purge else [])])

    @precondition(moved)
    @rule()
    def apply_declared(self) -> None:
        self.applied(["--yes"])

    @rule(purge=st.booleans(), enforce=st.booleans())
    def apply_due(self, purge: bool, enforce: bool) -> None:
        self.applied(["--due", *(["--purge"] if purge else []), *(["--enforce", "all"] if enforce else [])])

    @precondition(moved)
    @rule()
    def enforce(self) -> None:
        self.applied(["--yes", "--enforce", "all"])

    @rule(wanted=st.dictionaries(local, st.one_of(st.none(), something), min_size=1, max_size=3))
    def there_and_back(self, wanted: dict[str, Any]) -> None:
        """From rest: what a plan calls fully revertible is undone by the revert of its commit."""
        self.applied(["--yes", "--enforce", "all"])
        first = self.planned()
        if any(first[part] for part in ("changes", "due", "drift")) or refused(first):
            return
        was, head = self.hands.things(), self.estate.head
        for name, said in wanted.items():
            if said is not None:
                self.name(said[0], name, said[1])
            for section in SECTIONS if said is None else ():
                self.section("domains", section).pop(name, None)
        self.edit()
        commit, plan = self.estate.head, self.planned()
        if refused(plan) or commit == head or self.applied(["--yes"]).code:
            return
        if not self.reverted(commit) or refused(back := self.planned()) or self.applied(["--yes"]).code:
            return
        now = self.hands.things()
        lost = {change["address"] for change in plan["changes"] if change["revert"] != "full"}
        lost |= {item["address"] for item in (*plan["due"], *plan["later"])} | {*plan["adopted"], *plan["forgotten"]}
        lost |= {*back["forgotten"]}  # the revert brings back a `released` that lets it go
        event("back")
        assert [(a, was.get(a), now.get(a)) for a in {*was, *now} - lost if was.get(a) != now.get(a)] == []

    def twice(self, *arguments: str) -> None:
        """A plan writes nothing and says the same in the same bytes."""
        before = self.estate.world()
        first, second = (self.estate.run("plan", "--format", "json", *arguments) for _ in range(2))
        assert sober(first.out) == sober(second.out)
        assert self.estate.world() == before

    def planned(self, *arguments: str) -> Any:
        """The plan: a code of the contract, a digest of the declared changes alone."""
        run = self.estate.run("plan", "--format", "json", *arguments)
        assert (run.code in {0, 1, 3}, run.err) == (True, ""), run
        (found,) = run.json["tenants"]
        covered = [[c["address"], c["action"], c["was"], pairs(c)] for c in found["changes"]]
        assert found["digest"] == sha256(sorted(covered))
        assert run.json["digest"] == sha256([["northwind", found["digest"]]])
        assert run.code == 0 or refused(found)
        return {**found, "code": run.code}

    def applied(self, said: list[str]) -> Run:
        """Apply, and everything that must hold of it."""
        enforce = said[said.index("--enforce") :][:2] if "--enforce" in said else []
        plan, before, ledger = self.planned(*enforce), self.hands.things(), self.ledger()
        passwords, world = self.hands.passwords(), self.estate.world()
        foreign = [self.hands.raw(kind, name) for kind, name, _ in FOREIGN]
        run = self.estate.apply(*said)
        note(f"apply {said}: {run.code}")
        assert (run.code, run.err) == (plan["code"], ""), f"{run.out}{run.err}"
        after = self.hands.things()
        assert foreign == [self.hands.raw(kind, name) for kind, name, _ in FOREIGN]
        if run.code:
            event(f"refused: {[f['code'] for f in plan['findings'] if f['severity'] == 'error']}")
            assert self.estate.world() == world
            return run
        now = self.hands.passwords()
        assert {n: now[n] for n in now.keys() & passwords.keys()} == {n: p for n, p in passwords.items() if n in now}
        for change in run.json["tenants"][0]["done"] if passwords else ():
            if change["action"] == "rename":
                new, old = (address.partition("/")[2] for address in (change["address"], was(plan, change["address"])))
                assert now[new] == passwords[old]
        self.removed(said, before, after, ledger, plan)
        self.told(said, plan, run.json["tenants"][0]["done"])
        known = self.ledger()
        gone = {change["address"] for change in run.json["tenants"][0]["done"] if change["action"] == "delete"}
        self.ours = (self.ours | (after.keys() - before.keys())) & after.keys() - gone - {*plan["forgotten"]}
        assert self.ours <= known.keys()
        self.rest(said, enforce, plan)
        if "--yes" in said:
            self.last = (len(self.commits), self.days, self.hands.moves)
        return run

    def told(self, said: list[str], plan: Any, done: list[Any]) -> None:
        """An apply makes what its plan showed: without --yes nothing declared, without --purge no purge."""
        event(", ".join(sorted({f"{change['action']}" for change in done})))
        shown = [*plan["due"], *(plan["changes"] if "--yes" in said else ())]
        assert {c["address"] for c in done} <= {c["address"] for c in shown}
        assert "--purge" in said or "purge" not in {c["action"] for c in done}

    def removed(self, said: list[str], before: Things, after: Things, ledger: dict[str, Any], plan: Any) -> None:
        """What went was ours or is named absent, and Git does not declare it; a mailbox was due and not held."""
        today = self.day(0)
        wanted = declared(self.said, today) if not self.leaving(today) else {}
        for address in before.keys() - after.keys():
            assert address not in wanted
            named = [c for c in (*plan["changes"], *plan["due"]) if c["address"] == address and c["action"] == "delete"]
            assert address in ledger or (named and named[0]["revert"] == "none"), address
            renamed = [c for c in plan["changes"] if c["was"] == address]
            if renamed:
                assert renamed[0]["address"] in after
            elif ":mailbox/" in address:
                self.purged(said, address, ledger[address])
        for address, attributes in wanted.items():
            if address in before and "values" in attributes:
                lost = {*before[address]["values"]} - {*after[address]["values"]}
                assert not lost & {*attributes["values"]}
            if address in before and before[address].get("state") == "active" == attributes.get("state"):
                assert after[address]["state"] == "active"

    def purged(self, said: list[str], address: str, line: dict[str, Any]) -> None:
        assert "--purge" in said
        name, today = address.partition("/")[2], self.day(0)
        early = self.section("domains", "retired").get(name.partition("@")[0], {}).get("purge", "9999")
        assert min(line["retired"], early) <= today
        holds = self.section("control", "holds").values()
        assert not [h for h in holds if h["subject"] in {name, HOST} and h["until"] >= today]

    def leaving(self, today: str) -> bool:
        return any(said["on"] <= today for said in self.section("control", "retire").values())

    def rest(self, said: list[str], enforce: list[str], plan: Any) -> None:
        """What is left to do after an apply: nothing declared, nothing due but purges, no drift that is enforced."""
        left = self.planned()
        if "--yes" in said:
            noted = {f"zones:record/TXT/{label}" for label in (HOST, f"x.{HOST}")}  # a value named absent stood alone
            waited = {item["address"] for item in plan["later"]}  # for what was put back at the same time
            changes = [change for change in left["changes"] if change["address"] not in waited]
            assert (changes, left["adopted"], {*left["forgotten"]} - noted) == ([], [], set())
        purges = any(item["action"] == "purge" for item in left["due"])
        waiting = {"purge": "mailbox", "delete": "domain"} if purges else {}  # a domain goes with its last mailbox
        assert "--yes" not in said or [c for c in left["due"] if waiting.get(c["action"]) != c["kind"]] == []
        if "--purge" in said:  # what was just retired for no day is due from now on; what was shown is gone
            assert not {c["address"] for c in plan["due"] if c["action"] == "purge"} & {*self.ledger()}
        if enforce and "--yes" in said:
            taken = {item["address"] for item in plan["later"] if item["why"].startswith("its place is taken")}
            assert [drift for drift in left["drift"] if drift["address"] not in taken] == []

    def ledger(self) -> dict[str, Any]:
        show = ["git", "show", "refs/reconciler/tenants/northwind:ledger.jsonl"]
        lines = subprocess.run(show, check=False, cwd=self.estate.root, capture_output=True).stdout.splitlines()[1:]
        return {line["address"]: line for line in map(json.loads, lines)}


def was(plan: Any, address: str) -> str:
    return str(next(change["was"] for change in plan["changes"] if change["address"] == address))


def refused(plan: Any) -> bool:
    return plan.get("code", 0) != 0 or any(f["severity"] == "error" for f in plan["findings"])


def sober(text: str) -> str:
    return re.sub(r'"read_at": "[^"]*"', "", text)


def pairs(change: Any) -> Any:
    return {name: [field["from"], field["to"]] for name, field in change["fields"].items()}


def sha256(data: Any) -> str:
    text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


class MemoryMachine(Machine):
    hands_of = MemoryHands


class ServerMachine(Machine):
    hands_of = ServerHands


@pytest.mark.fuzz
@pytest.mark.parametrize(("machine", "lives"), [(MemoryMachine, 8), (ServerMachine, 6)], ids=["memory", "servers"])
def test_a_life_keeps_every_promise(machine: type[Machine], lives: int, request: pytest.FixtureRequest) -> None:
    """Whatever people do in whatever order: the same few lives in every run, others for an hour with `make fuzz`."""
    many = request.config.getoption("--hypothesis-profile") == "fuzz"
    budget = settings(
        max_examples=60 * lives if many else lives, stateful_step_count=30 if many else 15,
        suppress_health_check=list(HealthCheck), derandomize=not many,
    )  # fmt: skip
    run_state_machine_as_test(machine, settings=budget)  # type: ignore[no-untyped-call]
