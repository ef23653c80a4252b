"""Small worlds for tests of the core: what Git says, what is live, what the ledger has; no files, no processes.

    world = World(domain("a.example"), mailbox("jane@a.example"))      # what is live already
    plan = world.plan([domain("a.example"), alias("info@a.example", "jane@a.example")])
    outcome = world.apply(plan)
    world.live, world.ledger.entries

The live systems are two of the `memory` type, one for mail, one for DNS: they refuse what points to nowhere, names that
are taken and changes that are stale. The ledger goes through its text form after every run, as the real one does.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import strategies as st

from reconciler import apply as applying
from reconciler import canonical, ledger, runner
from reconciler.agency import Agency
from reconciler.changes import Batch, Change, Facts, TenantPlan
from reconciler.compile import Compiled
from reconciler.findings import Origin
from reconciler.kinds import dkim_key, kinds
from reconciler.kinds.record import label
from reconciler.model import Address, Computed, Entry, Ref, Resource, Scope
from reconciler.plan import plan_tenant, scopes
from reconciler.providers.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from reconciler.apply import Outcome
    from reconciler.effects import Live, Record
    from reconciler.errors import ReconcilerError

T = TypeVar("T")

MAIL, DNS = "mailhost", "zones"
TENANT, TODAY, COMMIT = "acme", "2026-11-24", "c0ffee" * 6 + "c0ff"
SIDES = {MAIL: "mail", DNS: "dns"}
KEEP, OVERLAP = 30, 7  # days
QUOTA, TTL = 5 * 2**30, 3600  # what new things start with: bytes, seconds


# ---------------------------------------------------------------------- things


def thing(
    kind: str, name: str, /, *, keep: int | None = None, initial: dict[str, Any] | None = None, **said: Any
) -> Resource:
    """A resource as Git declares it; its domain is the last two labels of its name."""
    host = canonical.domain_of(label(name) if kind == "record" else name)
    home = ".".join(host.split(".")[-2:])
    origin = Origin(f"tenants/{TENANT}/{'dns' if kind == 'record' else 'domains'}/{home}.yaml", (kind, name))
    provider = DNS if kind == "record" else MAIL
    return kinds()[kind].resource(
        provider, name, said, domain=home, tenant=TENANT, origin=origin, initial=initial, keep=keep
    )


def domain(name: str, /, **said: Any) -> Resource:
    return thing("domain", name, **said)


def mailbox(name: str, /, **said: Any) -> Resource:
    return thing("mailbox", name, keep=KEEP, initial={} if "quota" in said else {"quota": QUOTA}, **said)


def shared(name: str, /, **members: str) -> Resource:
    """A shared mailbox; members are local parts of its own domain."""
    host = canonical.domain_of(name)
    return mailbox(name, login=False, members={f"{member}@{host}": right for member, right in members.items()})


def alias(name: str, /, *to: str, **said: Any) -> Resource:
    return thing("alias", name, to=to, **said)


def record(name: str, /, *values: Any, **said: Any) -> Resource:
    """`record("MX/a.example", "10 mx.agency.example.")`."""
    keep = OVERLAP if any(isinstance(value, Computed) for value in values) else None
    return thing("record", name, keep=keep, initial={} if "ttl" in said else {"ttl": TTL}, values=values, **said)


def key(selector: str, host: str, **said: Any) -> Resource:
    return thing("dkim_key", dkim_key.name(selector, host), keep=OVERLAP, **{"type": "rsa", "bits": 2048, **said})


def key_record(selector: str, host: str) -> Resource:
    """The record of a key, whose text is known when the key was made."""
    name = dkim_key.name(selector, host)
    return record(f"TXT/{name}", Computed(Address(MAIL, "dkim_key", name), "public"))


def signing(host: str, *selectors: str) -> Resource:
    return thing("dkim_signing", host, selectors=selectors)


def dkim(host: str, *selectors: str) -> list[Resource]:
    """Keys, their records, and the signing with all of them."""
    both = [part for selector in selectors for part in (key(selector, host), key_record(selector, host))]
    return [*both, signing(host, *selectors)]


def entry(said: Resource, **parts: Any) -> Entry:
    """The ledger's line of a thing that was applied as Git said it."""
    line = Entry(said=dict(said.attributes), domain=said.domain, keep=said.keep, commit=COMMIT)
    return line._replace(**parts)


def retired(box: Resource) -> Resource:
    """A thing in its retired form."""
    return box.having(**kinds()[box.address.kind].retired)


def change(live: Resource | None, aim: Resource | None, *, desired: Resource | None = None, **parts: Any) -> Change:
    """A declared change of one thing; a retirement has an aim and no `desired`, everything else wants its aim."""
    found = aim or live
    assert found is not None
    kind = kinds()[found.address.kind]
    goes = aim is None or (live is not None and aim == retired(live) and bool(kind.retired))
    wanted = desired or (None if goes else aim)
    line = None if aim is None else entry(aim)
    made = Change(kind, found.address, TENANT, found.domain, wanted, live, None, aim, line)
    return made._replace(**parts)


# ---------------------------------------------------------------------- a world


class World(runner.World):
    """A live mail and name server with what is on them, and the ledger of the one tenant that has things there.

    The ledger keeps the intent of a run that did not say what came of it, and the next plan is given it. `tip` counts
    its commits: a plan knows the one that it was made from.

    `fault` is asked at each batch, with "before" and then with "after" it was written: an exception it returns is
    what the provider ends the batch with.
    """

    def __init__(self, *live: Resource) -> None:
        self._ours: dict[str, str] = {}
        self._agency, self._resolver = Agency({}), "none"
        self.ledger, self.tip = ledger.Ledger(TENANT), 0
        self.intent: bytes | None = None
        self.records: list[Record] = []
        self.begun: list[str] = []
        self.fault: Callable[[str, Batch], Exception | None] = lambda _when, _batch: None
        self.providers = {
            name: Memory(
                name,
                side=side,
                fail_before=lambda batch: self.fault("before", batch),
                fail_after=lambda batch: self.fault("after", batch),
            )
            for name, side in SIDES.items()
        }
        for found in live:
            self.put(found)

    def copy(self) -> World:
        """Another world that is as this one is now."""
        other = World(*self.live.values())
        other.ledger, other.tip, other.intent = self.ledger, self.tip, self.intent
        return other

    def provider(self, name: str) -> Any:
        return self.providers[name]

    def put(self, found: Resource) -> None:
        """Somebody makes or changes a thing by hand; nothing is asked."""
        memory = self.providers[found.address.provider]
        held = memory.kinds[found.address.kind]
        attributes = {name: value for name, value in found.attributes.items() if name in held}
        memory.things[found.address] = Resource(found.address, attributes, found.domain)

    def take(self, address: Address) -> None:
        """Somebody removes a thing by hand."""
        self.providers[address.provider].things.pop(address, None)

    @property
    def live(self) -> dict[Address, Resource]:
        return {address: found for memory in self.providers.values() for address, found in memory.things.items()}

    def plan(
        self,
        state: Iterable[Resource],
        *,
        accept: Sequence[Mapping[str, Any]] = (),
        read: Callable[[Live], Live] = lambda live: live,
        today: str = TODAY,
    ) -> TenantPlan:
        """The plan for what Git says; `read` may change what was read on its way."""
        declared = {found.address: found for found in state}
        hosts = sorted({found.domain for found in declared.values()})
        asked = [(name, Scope(host, host)) for host in hosts for name in SIDES]
        compiled = Compiled(TENANT, declared, asked)
        facts = self.facts(hosts, accept=accept, today=today)
        wanted = scopes(compiled, self.ledger.reach, facts)
        live = read(self.read(wanted))
        made = plan_tenant(compiled, self.ledger.entries, live, wanted, facts, self.ledger.intent)
        return made._replace(tip=str(self.tip))

    def facts(self, hosts: Sequence[str], *, accept: Sequence[Mapping[str, Any]] = (), today: str = TODAY) -> Facts:
        return Facts(
            today=today,
            commit=COMMIT,
            inside=frozenset(hosts),
            domains=dict.fromkeys(hosts, TENANT),
            providers=SIDES,
            provider_kinds={name: memory.kinds for name, memory in self.providers.items()},
            cautions={},
            read_only=frozenset(),
            accept=accept,
        )

    def apply(self, plan: TenantPlan) -> Outcome:
        """Make it so, as the engine does."""
        return runner.drive([applying.apply(plan)], self, self)[0]

    def begin(self, plans: Sequence[TenantPlan]) -> Mapping[str, ReconcilerError]:
        for plan in plans:
            self.begun.append(plan.tenant)
            self.intent = intent(plan)
            self._note(ledger.noted(self.ledger, plan.settled, plan.scopes))
        return {}

    def lost(self) -> Mapping[str, ReconcilerError]:
        return {}

    def record(self, records: Sequence[Record]) -> Mapping[str, ReconcilerError]:
        for found in records:
            self.records.append(found)
            self.intent = self.intent if found.unseen else None
            self._note(ledger.advanced(self.ledger, found, COMMIT))
        return {}

    def _note(self, after: ledger.Ledger) -> None:
        self.tip += 1
        read = ledger._read(TENANT, str(self.tip), ledger.text(after), self.intent)
        assert isinstance(read, ledger.Ledger), read
        self.ledger = read


def intent(plan: TenantPlan) -> bytes:
    """What a run says before its first write, as the journal has it."""
    said = dict.fromkeys(("run", "began", "actor", "commit", "digest", "unlocked"), "")
    changes = [{"address": str(change.address), "claim": ledger.claim(change)} for change in plan.changes]
    whole = {"holder": {**dict.fromkeys(ledger.HOLDER, ""), "pid": 0}, "lease": 1, "scopes": ledger.listed(plan.scopes)}
    return json.dumps({**said, **whole, "format": ledger.INTENT_FORMAT, "changes": changes}).encode()


def converge(world: World, state: Iterable[Resource], **options: Any) -> TenantPlan:
    """Plan, apply, and say so when that is refused or fails."""
    plan = world.plan(state, **options)
    assert not plan.refused, plan.findings
    assert world.apply(plan).failed == []
    return plan


def alike(live: Mapping[Address, Resource]) -> dict[Address, dict[str, Any]]:
    """A live state in a form that can be compared between worlds: each makes key pairs of its own."""
    return {
        address: {name: _without_key(value) for name, value in sorted(found.attributes.items())}
        for address, found in sorted(live.items())
    }


def _without_key(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_without_key, value))
    return value.partition("p=")[0] if isinstance(value, str) and value.startswith("v=DKIM1") else value


# ---------------------------------------------------------------------- random estates

HOSTS = ("a.example", "b.example")
LOCALS = ("jane", "tom", "desk", "info")
OUTSIDE = "crm@vendor.example"
# What nobody declares: it stands in every random world, at names and in sets that Git uses too where that may be.
FOREIGN = (
    mailbox("old@a.example", quota=1),
    alias("fax@a.example", "old@a.example"),
    record("A/www.a.example", "192.0.2.1", ttl=60),
    record("TXT/a.example", "token=1", ttl=900),
)
# A takeover, and the removals that a mistake would look like.
REFUSED = dict.fromkeys(("PL202", "PL210", "PL215", "PL219"), HOSTS) | {"PL213": (TENANT,)}
ACCEPT = [{"finding": code, "subject": name, "approved_by": "ops"} for code, names in REFUSED.items() for name in names]
ACCEPT += [{"finding": "PL101", "subject": f"{TENANT}/{kind}", "up_to": 99, "approved_by": "ops"} for kind in kinds()]


class Said(list[Resource]):
    """What Git says, shown in few words when a law does not hold."""

    def __repr__(self) -> str:
        return "".join(f"\n    {_short(found)}" for found in self) or "nothing"


class Edits(list[tuple[str, Resource]]):
    """What people do by hand, one after another."""

    def __repr__(self) -> str:
        return "".join(f"\n    {what} {_short(found)}" for what, found in self) or "nothing"


def _short(found: Resource) -> str:
    rows = {row.name: row.default for row in kinds()[found.address.kind].attributes}
    said = {name: value for name, value in found.attributes.items() if value != rows[name]}
    return f"{found.address} {said}"


class _Digits:
    """A number as a row of choices, the first one first: drawing one number is much cheaper than many choices."""

    def __init__(self, number: int) -> None:
        self._rest = number

    def one(self, options: Sequence[T]) -> T:
        self._rest, digit = divmod(self._rest, len(options))
        return options[digit]

    def some(self, options: Sequence[T]) -> list[T]:
        """One or two of them."""
        return sorted({self.one(options), self.one(options)}, key=str)

    def said(self, **options: Sequence[Any]) -> dict[str, Any]:
        """A value for each name, but for those that come to None."""
        chosen = {name: self.one(values) for name, values in options.items()}
        return {name: value for name, value in chosen.items() if value is not None}


_NUMBER = st.integers(0, 2**24)


NUMBERS = 1 + len(HOSTS) * (1 + len(LOCALS))
_NUMBERS = st.tuples(*[_NUMBER] * NUMBERS)


@st.composite
def states(draw: st.DrawFn) -> Said:
    """What Git may say: one domain or two, each with a few names and record sets. References lead somewhere."""
    return state_of(draw(_NUMBERS))


def state_of(numbers: Sequence[int]) -> Said:
    """The state that some numbers stand for: one, then one a domain, then one a name."""
    digits = [_Digits(number) for number in numbers]
    hosts = digits.pop().one([(), HOSTS[:1], HOSTS, HOSTS[:1], HOSTS])
    found = Said()
    for host in hosts:
        choice = digits.pop()
        found += [domain(host), *_signed(choice, host), *_records(choice, host)]
    names = {f"{local}@{host}": digits.pop() for host in hosts for local in LOCALS}
    sorts = {name: choice.one(["", "mailbox", "alias", "shared"]) for name, choice in names.items()}
    targets = [name for name, sort in sorts.items() if sort]
    for name, choice in names.items():
        later = targets[targets.index(name) + 1 :] if sorts[name] else []
        boxes = [other for other in targets if sorts[other] == "mailbox"]
        found += _addressed(choice, sorts[name], name, boxes, later)
    return found


def _addressed(choice: _Digits, sort: str, name: str, boxes: list[str], later: list[str]) -> list[Resource]:
    """The mailbox, shared mailbox or alias of one name; an alias points to boxes, to later names or outside."""
    if sort == "alias":
        return [alias(name, *choice.some([OUTSIDE, *boxes, *later]))]
    if sort == "shared" and boxes:
        return [
            mailbox(name, login=False, members={member: choice.one(["full", "read"]) for member in choice.some(boxes)})
        ]
    said = choice.said(
        state=["active", "active", "blocked", "paused"], quota=[None, 1, 2], name=[None, "Jane Roe"],
        copies_to=[(), (OUTSIDE,)], owner=["jane", "tom"],
    )  # fmt: skip
    return [mailbox(name, **said)] if sort else []


def _records(choice: _Digits, host: str) -> list[Resource]:
    ttl: list[dict[str, int]] = [{}, {"ttl": 300}, {"ttl": 600}]
    texts = choice.one([[], ["v=spf1 -all"], ["v=spf1 ~all"]]) + choice.one(
        [[], ["site=1"], ["site=2"], ["site=1", "site=2"]]
    )
    found = [record(f"TXT/{host}", *texts, **choice.one(ttl))] if texts else []
    mx = choice.one(["", "10 mx1.agency.example.", "20 mx2.agency.example."])
    found += [record(f"MX/{host}", mx, **choice.one(ttl))] if mx else []
    web = choice.one([[], ["CNAME"], ["A"], ["A", "AAAA"]])
    values = {"CNAME": "web.agency.example.", "A": "192.0.2.7", "AAAA": "2001:db8::7"}
    return found + [record(f"{type_}/autoconfig.{host}", values[type_], **choice.one(ttl)) for type_ in web]


def _signed(choice: _Digits, host: str) -> list[Resource]:
    selectors = choice.one([(), ("s1",), ("s2",), ("s1", "s2")])
    used = choice.one([selectors, selectors[:1], ()])
    keys = [part for selector in selectors for part in (key(selector, host), key_record(selector, host))]
    return keys + ([signing(host, *used)] if used else [])


@st.composite
def edits(draw: st.DrawFn) -> Edits:
    """They make some things of another estate, and remove some."""
    things = draw(states()) or [domain(HOSTS[1])]
    choices = [_Digits(number) for number in draw(st.lists(_NUMBER, max_size=4))]
    return Edits((choice.one(["put", "put", "take"]), choice.one(things)) for choice in choices)


def tamper(world: World, done: Edits) -> None:
    """Do it, but for what no server takes: a name twice, mail in a domain that is not there."""
    for what, found in done:
        if what == "take":
            world.take(found.address)
        elif _fits(world.live, found):
            world.put(found.having(**_by_hand(found)))


def _fits(live: Mapping[Address, Resource], found: Resource) -> bool:
    kind, name = kinds()[found.address.kind], found.address.name
    if kind.name not in {"record", "domain"} and Address(MAIL, "domain", found.domain) not in live:
        return False
    elsewhere = {*HOSTS} - {found.domain}
    if any(ref.namespace == "address" and canonical.domain_of(ref.name) in elsewhere for ref in _refs(found)):
        return False  # the reference world keeps its target, whether or not a plan was told to look there
    others = [(kinds()[other.kind], other.name) for other in live if other != found.address]
    return not any(
        other.namespace == kind.namespace
        and other.slot(theirs) == kind.slot(name)
        and (other.alone(theirs) or kind.alone(name))
        for other, theirs in others
    )


def _refs(found: Resource) -> Sequence[Ref]:
    return kinds()[found.address.kind].refs(found)


def _by_hand(found: Resource) -> dict[str, Any]:
    text = "v=DKIM1; k=rsa; p=BYHAND"
    values = found.get("values")
    if found.address.kind == "record":
        return {
            "values": tuple(text if isinstance(v, Computed) else v for v in values),
            "ttl": found.attributes.get("ttl", TTL),
        }
    return {"public": text} if found.address.kind == "dkim_key" else {}


def inhabited() -> World:
    """A world in which only foreign things are, and their domain."""
    return World(domain("a.example"), *FOREIGN)
