"""parse(render(x)) == x: every type that may be declared, through every form in which a provider writes and reads it.

What the servers themselves make of it is for the contract; here are thousands of values that no server need be asked.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import dns.message
import dns.rdatatype
import dns.rrset
import dns.update
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from octodns.provider.base import BaseProvider
from octodns.zone import Zone

from reconciler.changes import Batch
from reconciler.errors import Refused
from reconciler.kinds import record
from reconciler.providers import _master, _octo, _rrsets, _sets, _wire, _zone_text, octodns, rfc2136
from reconciler.providers._primary import _Transfer
from reconciler.reports import handed
from reconciler.results import Handed
from tests.providers.contract import NAME, OURS, change, make
from tests.providers.test_wire import answer
from tests.servers.dns import SECRET

if TYPE_CHECKING:
    from reconciler.model import Resource
    from reconciler.providers._sets import Sets

ZONE = "a.example"
SOA = "ns1.agency.example. hostmaster.agency.example. 7 86400 7200 3600000 3600"

label = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
host = st.one_of(
    st.lists(label, min_size=1, max_size=3).map(lambda labels: ".".join([*labels, "example."])),
    st.sampled_from(["xn--bcher-kva.example.", f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 61}."]),
)
alias = st.one_of(host, host.map(lambda name: f"_x.{name}" if len(name) < 250 else name))
short, byte = st.integers(0, 65535), st.integers(0, 255)
ascii_text = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'), max_size=300)
# Any bytes there are: those that are no UTF-8 stand as surrogates; and the lengths at which strings are cut.
text = st.one_of(
    st.binary(max_size=600).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    ascii_text,
    st.sampled_from(["", " ", '"', "\\", "\\065", ";", "v=DKIM1; k=rsa; p=" + "A" * 392, "é" * 200, "@", "$TTL 1"]),
    st.sampled_from([254, 255, 256, 509, 510, 511, 4096]).map(lambda size: "x" * size),
)
VALUES = {
    "A": st.ip_addresses(v=4).map(str),
    "AAAA": st.ip_addresses(v=6).map(str),
    "CAA": st.builds('{} {} "{}"'.format, byte, st.from_regex(r"[a-z0-9]{1,15}", fullmatch=True), ascii_text),
    "CNAME": alias,
    "MX": st.builds("{} {}".format, short, st.one_of(host, st.just("."))),
    "SRV": st.builds("{} {} {} {}".format, short, short, short, st.one_of(host, st.just("."))),
    "TLSA": st.builds(
        "{} {} {}".format, st.integers(0, 3), st.integers(0, 1),
        st.one_of(
            st.binary(min_size=32, max_size=32).map(lambda raw: f"1 {raw.hex()}"),
            st.binary(min_size=64, max_size=64).map(lambda raw: f"2 {raw.hex()}"),
            st.binary(min_size=1, max_size=900).map(lambda raw: f"0 {raw.hex()}"),
        ),
    ),
    "TXT": text,
}  # fmt: skip
NAMES = [
    ZONE, f"*.{ZONE}", f"*.sub.{ZONE}", f"_25._tcp.mx.{ZONE}", f"s1._domainkey.{ZONE}", f"xn--bcher-kva.{ZONE}",
    f"a+b=c/d.{ZONE}", f"{'w' * 63}.{'x' * 63}.{'y' * 63}.{ZONE}",
]  # fmt: skip


PATH = Path("a.example.zone")
DATA = {"server": "127.0.0.1", "key": {"name": "reconciler", "secret": SECRET}, "identity": "reconciler.example"}


def as_sets(thing: Resource) -> Sets:
    type_, _, name = thing.address.name.partition("/")
    return {(type_, name): (thing.get("values"), thing.get("ttl"))}


def file(thing: Resource) -> Sets:
    """A zone file, as the line reader finds it, which has to know each of our own lines."""
    return _zone_text.gathered(_master.lines(_written(thing), ZONE))


def file_of_dnspython(thing: Resource) -> Sets:
    """The same file for who is more thorough."""
    return _zone_text.by_dnspython(_written(thing), ZONE, PATH)


def _written(thing: Resource) -> str:
    before = f"$TTL 60\n@ IN SOA {SOA}\n@ IN NS ns1.agency.example.\n"
    return _zone_text.changed(before, Batch(NAME, OURS, (change(None, thing),)))


def text_to_hand_over(thing: Resource) -> Sets:
    """What `records` prints, in front of which a zone needs its SOA."""
    told = [(name, type_, ttl or 0, values) for (type_, name), (values, ttl) in as_sets(thing).items()]
    printed = handed.text(Handed("0" * 40, "acme", ZONE, tuple(told), (), ()))
    return _zone_text.by_dnspython(f"{ZONE}. 60 IN SOA {SOA}\n{printed}", ZONE, PATH)


def wire(thing: Resource) -> Sets:
    """An UPDATE; and its records in a transfer, as a server that took them answers it."""
    provider = rfc2136.connect(NAME, DATA, "/")
    edits = [edit for key, aim in as_sets(thing).items() for edit in provider._edits(key, None, *aim)]
    said = dns.message.from_wire(provider._message(ZONE, edits, ()).to_wire())
    assert isinstance(said, dns.update.UpdateMessage)
    soa = dns.rrset.from_text(f"{ZONE}.", 60, "IN", "SOA", SOA)
    rows = [
        (rrset.name, dns.rdatatype.to_text(rrset.rdtype), rrset.ttl, rdata.to_wire() or b"")
        for rrset in (soa, *said.update, soa)
        for rdata in rrset
    ]
    transfer = _Transfer(NAME, ZONE)
    assert transfer.take(_wire.message(answer(rows)))
    return provider._sets({key: found for key, found in transfer.zone.items() if key[0] != "SOA"})


def powerdns(thing: Resource) -> Sets:
    """The JSON of a new zone; that of a change of one says the same."""
    made = _rrsets.fresh(ZONE, "Native", as_sets(thing))
    nothing = _rrsets.Zone("Native", "", {}, {})
    edits = [_rrsets.edit(key, aim, nothing) for key, aim in as_sets(thing).items()]
    assert [{"changetype": "REPLACE", **rrset} for rrset in made["rrsets"]] == edits
    return _rrsets.zone(json.loads(json.dumps(made))).sets


def octo(thing: Resource) -> Sets | None:
    """octoDNS' own records; None where the provider refuses to write such a set."""
    provider = octodns.OctoDns(NAME, _octo.Octo(NAME, BaseProvider, {}), "reconciler.example")
    ((key, (values, ttl)),) = as_sets(thing).items()
    try:
        provider._holdable(key, None, {*values})
    except Refused:
        return None
    return {key: _octo.said(_octo.fresh(Zone(f"{ZONE}.", []), key, values, ttl, None))}


RENDERINGS = (file, file_of_dnspython, text_to_hand_over, wire, powerdns, octo)


def test_every_type_has_values_here() -> None:
    """A type that is new begins here."""
    assert VALUES.keys() == set(record.TYPES)


@pytest.mark.fuzz
@pytest.mark.parametrize("type_", record.TYPES)
@settings(max_examples=settings().max_examples // 5)
@given(st.data())
def test_what_is_written_is_read(type_: str, draw: st.DataObject) -> None:
    """parse(render(x)) == x: values, TTL and name, in every form."""
    alone = type_ == "CNAME"  # which has one value, and cannot stand beside the zone's own SOA
    values = draw.draw(st.lists(VALUES[type_], min_size=1, max_size=1 if alone else 4))
    name, ttl = draw.draw(st.sampled_from(NAMES[alone:])), draw.draw(st.integers(0, 2**31 - 1))
    thing = make("record", f"{type_}/{name}", ZONE, values=values, ttl=ttl)
    for rendering in RENDERINGS:
        found = rendering(thing)
        if found is not None:
            assert _sets.canonical(found) == as_sets(thing), rendering.__name__
