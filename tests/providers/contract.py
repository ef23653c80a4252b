"""The suite every backend passes: a test of a new one says how its world is built and inherits the rest.

    class TestMyBackend(DnsContract):          # or MailContract
        @pytest.fixture
        def world(self, tmp_path):
            return World(connect=…, plant=…, tamper=…, sever=…)

The samples hold every kind of a side; what a backend does not store (`Provider.kinds`) is left out of them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.changes import Batch, Change
from reconciler.errors import Conflict, ProviderError
from reconciler.kinds import kinds
from reconciler.model import Address, Resource, Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from reconciler.providers import Provider

NAME = "live"  # what every provider under test is called
OURS = Scope("a.example", "a.example", create=True)
IDN = Scope("xn--bcher-kva.example", "xn--bcher-kva.example", create=True)


@dataclass(frozen=True)
class World:
    """One live system, empty at first, and what can happen to it without the provider."""

    connect: Callable[[], Provider]  # a provider called NAME on this world; each call a new one
    # Adds foreign things (to a.example, the samples are there) and returns a function that looks at them.
    plant: Callable[[], Callable[[], object]]
    # Makes live be as this resource: an alias with other `to` (mail) or an MX set with other `values` (dns).
    tamper: Callable[[Resource], None]
    sever: Callable[[], None]  # from now on new providers can neither read nor write
    secrets: tuple[str, ...] = ()  # texts that may stand in no message: settings, password hashes


def make(kind: str, name: str, domain: str, /, **attributes: Any) -> Resource:
    """A resource of the provider under test."""
    return kinds()[kind].resource(NAME, name, attributes, domain=domain)


def change(live: Resource | None, aim: Resource | None) -> Change:
    """A declared change of one thing from `live` to `aim`."""
    thing = aim or live
    assert thing is not None
    kind = kinds()[thing.address.kind]
    return Change(kind, thing.address, "acme", thing.domain, aim, live, None, aim, None)


def renamed(live: Resource, aim: Resource) -> Change:
    """A change that gives what is live the name of `aim`."""
    return change(live._replace(address=aim.address), aim)._replace(was=live.address)


def apply(provider: Provider, scope: Scope, *changes: Change) -> Mapping[Address, Mapping[str, Any]]:
    return provider.apply(Batch(NAME, scope, changes))


def read(provider: Provider, scope: Scope = OURS) -> dict[Address, Resource]:
    """All that is live in one domain."""
    answer = provider.read([scope])[scope.domain]
    if isinstance(answer, ProviderError):
        raise answer
    return {resource.address: resource for resource in answer}


def stored(provider: Provider, resources: Iterable[Resource]) -> list[Resource]:
    """What of these resources the provider can hold."""
    found = [resource for resource in resources if resource.address.kind in provider.kinds]
    return [
        resource.having(**{name: value for name, value in resource.attributes.items() if name in held})
        for resource in found
        for held in [provider.kinds[resource.address.kind] | {"owner"}]
    ]


def create(provider: Provider, scope: Scope, resources: Sequence[Resource]) -> None:
    apply(provider, scope, *(change(None, resource) for resource in resources))


def assert_live(provider: Provider, scope: Scope, aims: Sequence[Resource]) -> None:
    """Live holds these things and no other, and each attribute aimed at reads as it was aimed at."""
    live = read(provider, scope)
    assert set(live) == {aim.address for aim in aims}
    for aim in aims:
        local = {row.name for row in kinds()[aim.address.kind].attributes if row.local}
        aimed = {name: value for name, value in aim.attributes.items() if name not in local}
        assert {name: live[aim.address].get(name) for name in aimed} == aimed, aim.address
        assert live[aim.address].domain == scope.domain


def texts(error: BaseException | None) -> Iterator[str]:
    """Everything a log could show of an exception."""
    while error is not None:
        yield f"{error} {error!r} {error.__dict__}"
        error = error.__cause__ or error.__context__


class Contract:
    """What holds for every backend, whatever its side. `samples`, `updates` and `odd` are the side's."""

    def samples(self, domain: str) -> list[Resource]:
        raise NotImplementedError

    def updates(self, domain: str) -> dict[tuple[str, str], dict[str, Any]]:
        raise NotImplementedError

    def odd(self, domain: str) -> list[Resource]:
        raise NotImplementedError

    def moved(self, domain: str) -> tuple[Resource, Resource, Resource]:
        """One of the samples: as it is, as somebody else sets it, as we want to set it."""
        raise NotImplementedError

    @pytest.fixture
    def world(self) -> World:
        raise NotImplementedError

    @pytest.fixture
    def provider(self, world: World) -> Iterator[Provider]:
        provider = world.connect()
        yield provider
        provider.close()

    @pytest.fixture
    def filled(self, provider: Provider) -> list[Resource]:
        """The samples of a.example, made."""
        things = stored(provider, self.samples(OURS.domain))
        create(provider, OURS, things)
        return things

    def test_empty_reads_empty(self, provider: Provider) -> None:
        """A system with nothing in it answers every domain with nothing."""
        assert dict(provider.read([OURS, IDN])) == {OURS.domain: (), IDN.domain: ()}

    def test_what_is_written_is_read(self, world: World, provider: Provider, filled: list[Resource]) -> None:
        """After create, update and delete a new reader finds exactly what was aimed at."""
        assert_live(world.connect(), OURS, filled)
        live = read(provider)
        moves = {Address(NAME, *key): values for key, values in self.updates(OURS.domain).items()}
        moved = [live[address].having(**values) for address, values in moves.items() if address in live]
        aims = stored(provider, moved)
        apply(provider, OURS, *(change(live[aim.address], aim) for aim in aims))
        after = {thing.address: thing for thing in (*filled, *aims)}
        assert_live(world.connect(), OURS, list(after.values()))
        live = read(provider)
        apply(provider, OURS, *(change(live[thing.address], None) for thing in reversed(filled)))
        assert read(world.connect()) == {}

    def test_twice_is_harmless(self, provider: Provider, filled: list[Resource]) -> None:
        """The same batch a second time is refused or has nothing to do; live stays."""
        before = read(provider)
        with suppress(Conflict):
            create(provider, OURS, filled)
        assert read(provider) == before
        removal = [change(before[thing.address], None) for thing in reversed(filled)]
        apply(provider, OURS, *removal)
        with suppress(Conflict):
            apply(provider, OURS, *removal)
        assert read(provider) == {}

    @pytest.mark.parametrize("what", ["update", "delete", "create"])
    def test_stale_changes_are_refused(
        self, world: World, provider: Provider, filled: list[Resource], what: str
    ) -> None:
        """When live is no longer as it was read, Conflict is raised and nothing of the whole batch is written."""
        was, other, ours = self.moved(OURS.domain)
        live = read(provider)
        world.tamper(other)
        tampered = read(provider)
        assert tampered != live
        stale = {"update": change(was, ours), "delete": change(was, None), "create": change(None, ours)}[what]
        good = next(thing for thing in reversed(filled) if thing.address != was.address)
        with pytest.raises(Conflict):
            apply(provider, OURS, change(live[good.address], None), stale)
        assert read(world.connect()) == tampered

    def test_gone_is_stale_too(self, provider: Provider, filled: list[Resource]) -> None:
        """An update of what somebody deleted does not bring it back."""
        was, _, ours = self.moved(OURS.domain)
        apply(provider, OURS, change(read(provider)[was.address], None))
        with pytest.raises(Conflict):
            apply(provider, OURS, change(was, ours))
        assert was.address not in read(provider)

    def test_foreign_things_survive(self, world: World, provider: Provider, filled: list[Resource]) -> None:
        """What nobody declared is as before after our things were changed and removed."""
        look = world.plant()
        before = look()
        live = read(provider)
        _, _, ours = self.moved(OURS.domain)
        apply(provider, OURS, change(live[ours.address], ours))
        assert look() == before
        live = read(provider)
        mine = {thing.address: thing for thing in (*filled, ours) if thing.address.kind != "domain"}
        read_back = [thing if "values" in thing.attributes else live[thing.address] for thing in mine.values()]
        apply(provider, OURS, *(change(thing, None) for thing in reversed(read_back)))
        assert look() == before

    def test_only_asked_domains_are_answered(self, provider: Provider, filled: list[Resource]) -> None:
        """An answer holds each domain asked, all of it and nothing else."""
        others = stored(provider, self.samples(IDN.domain))
        create(provider, IDN, others)
        assert set(provider.read([IDN])) == {IDN.domain}
        assert set(provider.read([OURS, IDN])) == {OURS.domain, IDN.domain}
        assert provider.read([]) == {}
        assert_live(provider, OURS, filled)
        assert_live(provider, IDN, others)

    def test_unreachable_is_never_empty(self, world: World, filled: list[Resource]) -> None:
        """A system that cannot be asked raises or answers the error, and writing to it raises."""
        world.sever()
        provider = world.connect()
        with pytest.raises(ProviderError):
            read(provider)
        was, _, ours = self.moved(OURS.domain)
        with pytest.raises(ProviderError):
            apply(provider, OURS, change(was, ours))

    def test_odd_names_and_values(self, world: World, provider: Provider) -> None:
        """Plus signs, capitals, IDN, quotes, wildcards, long and binary text come back as they went in."""
        things = stored(provider, self.odd(IDN.domain))
        create(provider, IDN, things)
        assert_live(world.connect(), IDN, things)
        live = read(provider, IDN)
        apply(provider, IDN, *(change(live[thing.address], None) for thing in reversed(things)))
        assert read(provider, IDN) == {}

    def test_no_secret_in_any_message(self, world: World, provider: Provider, filled: list[Resource]) -> None:
        """Neither a refused nor an unreachable write says what is secret."""
        was, other, ours = self.moved(OURS.domain)
        world.tamper(other)
        with pytest.raises(Conflict) as stale:
            apply(provider, OURS, change(was, ours))
        world.sever()
        with pytest.raises(ProviderError) as severed:
            read(world.connect())
        said = " ".join([*texts(stale.value), *texts(severed.value)])
        assert not [secret for secret in world.secrets if secret in said]

    def test_computed_values_are_answered(self, provider: Provider) -> None:
        """What the system makes up itself (a public key) is returned by apply and read back the same."""
        computed = {kind.name: row.name for kind in kinds().values() for row in kind.attributes if row.computed}
        things = stored(provider, self.samples(OURS.domain))
        answer = apply(provider, OURS, *(change(None, thing) for thing in things))
        live = read(provider)
        for address in (thing.address for thing in things if thing.address.kind in computed):
            name = computed[address.kind]
            assert answer[address][name] == live[address].get(name)
            assert answer[address][name].startswith("v=DKIM1; ")

    def test_an_identity_is_left_once(self, world: World, provider: Provider) -> None:
        """None at first; what was left there is found by everybody, and no other takes its place."""
        assert provider.identity() is None
        provider.identify("a" * 32)
        provider.identify("a" * 32)
        with pytest.raises(Conflict):
            world.connect().identify("b" * 32)
        assert (provider.identity(), world.connect().identity()) == ("a" * 32, "a" * 32)

    def test_an_identity_is_no_thing(self, world: World, provider: Provider, filled: list[Resource]) -> None:
        """Writing leaves none, leaving one moves nothing that is live, and writing goes on beside it."""
        before = read(provider)
        assert provider.identity() is None
        provider.identify("a" * 32)
        assert read(world.connect()) == before
        apply(provider, OURS, *(change(before[thing.address], None) for thing in reversed(filled)))
        assert (read(provider), world.connect().identity()) == ({}, "a" * 32)

    def test_of_two_identities_one_stays(self, world: World) -> None:
        """Two runs that meet in a new system: one leaves its own, the other is told."""
        names = ["a" * 32, "b" * 32]
        start = Barrier(len(names))

        def leave(identity: str) -> bool:
            provider = world.connect()
            start.wait()
            try:
                provider.identify(identity)
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(len(names)) as pool:
            left = list(pool.map(leave, names))
        assert sorted(left) == [False, True]
        assert world.connect().identity() == names[left.index(True)]

    def test_an_identity_that_cannot_be_read_is_an_error(self, world: World, filled: list[Resource]) -> None:
        """A system that cannot be asked is not one without an identity."""
        world.sever()
        for ask in (world.connect().identity, lambda: world.connect().identify("a" * 32)):
            with pytest.raises(ProviderError):
                ask()

    def test_closing_twice(self, provider: Provider, filled: list[Resource]) -> None:
        """A provider can be closed twice."""
        provider.close()
        provider.close()


class MailContract(Contract):
    """The mail side: domain, mailbox, alias, dkim_key, dkim_signing."""

    def samples(self, domain: str) -> list[Resource]:
        return [
            make("domain", domain, domain),
            make("mailbox", f"jane@{domain}", domain, quota=5 * 2**30, name="Jane Röe", owner="jane"),
            make("mailbox", f"lobby@{domain}", domain, state="blocked", quota="unlimited"),
            make("mailbox", f"desk@{domain}", domain, login=False, members={f"jane@{domain}": "full"}),
            make("alias", f"info@{domain}", domain, to=[f"desk@{domain}", f"jane@{domain}"]),
            make("alias", f"@{domain}", domain, to=[f"jane@{domain}"]),
            make("dkim_key", f"s1._domainkey.{domain}", domain, type="rsa", bits=2048),
            make("dkim_signing", domain, domain, selectors=["s1"]),
        ]

    def updates(self, domain: str) -> dict[tuple[str, str], dict[str, Any]]:
        leaving = {"copies_to": ("jane@phone.example",), "keep_copy": False}
        return {
            ("mailbox", f"jane@{domain}"): {"state": "paused", "quota": 2**30, **leaving},
            ("mailbox", f"lobby@{domain}"): {"state": "active", "name": "Lobby"},
            ("mailbox", f"desk@{domain}"): {"members": {f"jane@{domain}": "read", f"lobby@{domain}": "full"}},
            ("alias", f"info@{domain}"): {"to": ("crm@vendor.example", f"jane@{domain}")},
        }

    def moved(self, domain: str) -> tuple[Resource, Resource, Resource]:
        was = self.samples(domain)[4]
        return was, was.having(to=(f"lobby@{domain}",)), was.having(to=(f"jane@{domain}",))

    def odd(self, domain: str) -> list[Resource]:
        jane = f"jane@{domain}"
        odd_locals = ["jane+news", "a_b", "axb", "q#$&=^{}~z", "x" * 64, "Big.Boss"]
        return [
            make("domain", domain, domain),
            make("mailbox", jane, domain, name='O\'Brien; -- "名" \\ %s :x'),
            make("mailbox", f"O'Brien+Sons@{domain}", domain, copies_to=["o'b+x@Bücher.test"]),
            *(make("alias", f"{local}@{domain}", domain, to=[jane]) for local in odd_locals),
        ]

    def test_an_alias_takes_a_retired_name(self, world: World, provider: Provider, filled: list[Resource]) -> None:
        """An alias and a retired mailbox share a name; restored, the mailbox has it alone again."""
        live = read(provider)
        jane, desk = live[filled[1].address], live[filled[3].address]
        retired = jane.having(**kinds()["mailbox"].retired)
        alias = make("alias", jane.address.name, OURS.domain, to=[desk.address.name])
        apply(provider, OURS, change(jane, retired), change(None, alias))
        after = {thing.address: thing for thing in (*filled, retired, alias)}
        assert_live(world.connect(), OURS, list(after.values()))
        apply(provider, OURS, change(alias, None), change(retired, jane))
        assert_live(world.connect(), OURS, filled)

    def test_a_mailbox_gets_another_name(self, world: World, provider: Provider, filled: list[Resource]) -> None:
        """What led there follows in the same batch, the name it left is free, and back again all is as before."""
        live = read(provider)
        jane, desk, info, catch_all = (live[filled[index].address] for index in (1, 3, 4, 5))
        smith = jane._replace(address=jane.address._replace(name=f"jane.smith@{OURS.domain}"), tenant="")
        to = {jane.address.name: smith.address.name}
        followed = [
            desk.having(members={smith.address.name: "full"}),
            info.having(to=(desk.address.name, smith.address.name)),
            catch_all.having(to=(smith.address.name,)),
        ]
        left = make("alias", jane.address.name, OURS.domain, to=list(to.values()))
        there = [change(live[thing.address], thing) for thing in followed]
        apply(provider, OURS, renamed(jane, smith), *there, change(None, left))
        after = {thing.address: thing for thing in (*filled, *followed, smith, left) if thing.address != jane.address}
        assert_live(world.connect(), OURS, list(after.values()))
        with pytest.raises(Conflict):
            apply(provider, OURS, renamed(jane, smith))
        back = [change(thing, live[thing.address]) for thing in followed]
        apply(provider, OURS, change(left, None), renamed(smith, jane), *back)
        assert_live(world.connect(), OURS, filled)

    def test_a_name_that_is_taken_is_no_new_name(self, provider: Provider, filled: list[Resource]) -> None:
        """Another mailbox is there: nothing of either moves."""
        live = read(provider)
        lobby = live[filled[2].address]
        with pytest.raises(Conflict):
            apply(provider, OURS, renamed(lobby, live[filled[1].address].having(**lobby.attributes)))
        assert read(provider) == live

    def test_a_twin_domain(self, world: World, provider: Provider, filled: list[Resource]) -> None:
        """A domain that is another's twin is read as that, and can become one of its own."""
        twin = make("domain", IDN.domain, IDN.domain, alias_of=OURS.domain)
        create(provider, IDN, [twin])
        assert_live(world.connect(), IDN, [twin])
        apply(provider, IDN, change(twin, twin.having(alias_of=None)))
        assert_live(world.connect(), IDN, [twin.having(alias_of=None)])


class DnsContract(Contract):
    """The DNS side: records."""

    def record(self, name: str, domain: str, *values: str, ttl: int = 3600) -> Resource:
        """`TXT/_dmarc` of a domain; `TXT/@` for its own name."""
        type_, _, label = name.partition("/")
        full = domain if label == "@" else f"{label}.{domain}"
        return make("record", f"{type_}/{full}", domain, values=values, ttl=ttl)

    def samples(self, domain: str) -> list[Resource]:
        return [
            self.record("MX/@", domain, "10 mx1.agency.example.", "20 mx2.agency.example."),
            self.record("TXT/@", domain, "v=spf1 include:spf.agency.example -all", ttl=300),
            self.record("TXT/_dmarc", domain, f"v=DMARC1; p=none; rua=mailto:dmarc@{domain}"),
            self.record("CAA/@", domain, '0 issue "ca.example; policy=ev"', '128 iodef "mailto:ops@a.example"'),
            self.record("SRV/_imaps._tcp", domain, "0 1 993 imap.agency.example."),
            self.record("SRV/_pop3._tcp", domain, "0 0 0 ."),
            self.record("CNAME/autoconfig", domain, "web.agency.example."),
            self.record("A/www", domain, "192.0.2.1", "192.0.2.20"),
            self.record("AAAA/www", domain, "2001:db8::1"),
            self.record("TLSA/_25._tcp.mx", domain, f"3 1 1 {'ab' * 32}"),
        ]

    def updates(self, domain: str) -> dict[tuple[str, str], dict[str, Any]]:
        return {
            ("record", f"MX/{domain}"): {"values": ("10 mx3.agency.example.",), "ttl": 300},
            ("record", f"TXT/{domain}"): {"values": ("v=spf1 -all",), "ttl": 600},
            ("record", f"TXT/_dmarc.{domain}"): {"values": ("google-site-verification=1", "v=DMARC1; p=reject")},
            ("record", f"CAA/{domain}"): {"values": ('0 issue "other.example"', '128 iodef "mailto:ops@a.example"')},
            ("record", f"AAAA/www.{domain}"): {"values": ("2001:db8::2", "2001:db8::3")},
        }

    def moved(self, domain: str) -> tuple[Resource, Resource, Resource]:
        was = self.samples(domain)[0]
        return was, was.having(values=("10 other.example.",)), was.having(values=("10 mx3.agency.example.",))

    def odd(self, domain: str) -> list[Resource]:
        texts = ["", " two  spaces ", 'a "quoted" \\ back;slash', "é and \udcff\udc80", "tab\t\x07\x00", "@", "\\065"]
        return [
            self.record("MX/*", domain, "0 ."),
            self.record("CNAME/c+d", domain, "e+f.a.example."),
            self.record("A/*.Sub", domain, "192.0.2.7"),
            self.record("TXT/a+b._report", domain, "v=DMARC1"),
            self.record("TXT/müller", domain, *texts),
            self.record("TXT/_Capital", domain, "Keeps Capitals", "keeps capitals"),
            *(self.record(f"TXT/n{size}", domain, "x" * size) for size in (254, 255, 256, 510, 511, 4000)),
            self.record("TXT/multi", domain, "é" * 200),
            self.record("TXT/s1._domainkey", domain, f"v=DKIM1; k=rsa; p={'A' * 392}"),
        ]

    def test_neighbours_in_a_set_stay(self, world: World, provider: Provider) -> None:
        """TXT values belong to whoever declared them: ours come, change and go beside a neighbour's."""
        token = self.record("TXT/@", OURS.domain, "site-verification=1")
        ours, later = (self.record("TXT/@", OURS.domain, text) for text in ("v=spf1 -all", "v=spf1 ~all"))
        create(provider, OURS, [token])
        for live, aim, values in [(None, ours, ours), (ours, later, later), (later, None, None)]:
            apply(provider, OURS, change(live, aim))
            mine = values.get("values") if values else ()
            assert_live(world.connect(), OURS, [token.having(values=("site-verification=1", *mine))])

    def test_a_second_value_of_a_tag_is_a_conflict(self, provider: Provider) -> None:
        """Where an SPF record that nobody read is there by now, no second one is made."""
        theirs, ours = (self.record("TXT/@", OURS.domain, text) for text in ("v=spf1 ?all", "v=spf1 -all"))
        create(provider, OURS, [theirs])
        with pytest.raises(Conflict):
            create(provider, OURS, [ours])
        assert_live(provider, OURS, [theirs])

    @pytest.mark.parametrize("label", ["www", "@"])
    def test_a_cname_has_its_name_alone(self, provider: Provider, label: str) -> None:
        """Beside an address, or beside the SOA at the zone's own name, it is refused, and nothing is written."""
        www = self.record("A/www", OURS.domain, "192.0.2.1")
        create(provider, OURS, [www])
        with pytest.raises(ProviderError):
            create(provider, OURS, [self.record(f"CNAME/{label}", OURS.domain, "web.agency.example.")])
        assert_live(provider, OURS, [www])
