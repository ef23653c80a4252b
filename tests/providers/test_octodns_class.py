"""Whether a class of octoDNS can be used: any one, pointed at by the environment; without it PowerDNS's, here.

    OCTODNS_CLASS=octodns_x.XProvider OCTODNS_SETTINGS='{"token": "…"}' OCTODNS_ZONE=test.agency.example \
        .venv/bin/python -m pytest tests/providers/test_octodns_class.py

The zone is there and may be written: all happens at and below `reconciler-test` in it, which is cleared, and the
identity is `_reconciler-identity` in it, which stays.
"""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.errors import Conflict, ProviderError
from reconciler.kinds import record as records
from reconciler.model import Scope
from reconciler.providers import octodns
from tests.providers.contract import NAME, DnsContract, apply, assert_live, change, create, make, read
from tests.servers import need
from tests.servers.dns import PowerDns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.model import Resource

pytestmark = [
    *([] if "OCTODNS_CLASS" in os.environ else [need("pdns_server")]),
    pytest.mark.filterwarnings("ignore:.*DEPRECATED.*:DeprecationWarning"),  # of octoDNS, about its packages
]
LABEL = "reconciler-test"


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The settings of the provider."""
    if "OCTODNS_CLASS" in os.environ:
        found = json.loads(os.environ["OCTODNS_SETTINGS"])
        yield {"class": os.environ["OCTODNS_CLASS"], "settings": found, "identity": os.environ["OCTODNS_ZONE"]}
        return
    with PowerDns(tmp_path_factory.mktemp("pdns")) as server:
        server.ask("POST", "/zones", {"name": "a.example.", "kind": "Native", "nameservers": ["ns1.agency.example."]})
        found = {"host": "127.0.0.1", "port": server.api, "api_key": server.key}
        yield {"class": "octodns_powerdns.PowerDnsProvider", "settings": found, "identity": "a.example"}


@pytest.fixture
def zones(given: dict[str, Any]) -> octodns.OctoDns:
    return octodns.connect(NAME, given, "/")


@pytest.fixture
def scope(zones: octodns.OctoDns, given: dict[str, Any]) -> Iterator[Scope]:
    """The place to write, empty before and after."""
    scope = Scope(f"{LABEL}.{given['identity']}", given["identity"])
    clear(zones, scope)
    yield scope
    clear(zones, scope)


def clear(zones: octodns.OctoDns, scope: Scope) -> None:
    there = [change(thing, None) for thing in read(zones, scope).values()]
    if there:
        apply(zones, scope, *there)


def samples(zones: octodns.OctoDns, scope: Scope) -> list[Resource]:
    """Those of the contract that the class has a type for."""
    found = DnsContract().samples(scope.domain)
    return [thing for thing in found if f"record.{records.rtype(thing.address.name)}" not in zones.cautions]


def text(scope: Scope, *values: str, name: str = "") -> Resource:
    return make("record", f"TXT/{name}{scope.domain}", scope.domain, values=values, ttl=3600)


def test_what_is_written_is_read(zones: octodns.OctoDns, scope: Scope) -> None:
    """Every type it has is made, changed and removed, and reads back as it was aimed at."""
    things = samples(zones, scope)
    create(zones, scope, things)
    assert_live(zones, scope, things)
    moves = DnsContract().updates(scope.domain)
    aims = {thing.address: thing.having(**moves.get(thing.address[1:], {})) for thing in things}
    apply(zones, scope, *(change(thing, aims[thing.address]) for thing in things if thing != aims[thing.address]))
    assert_live(zones, scope, list(aims.values()))
    apply(zones, scope, *(change(thing, None) for thing in aims.values()))
    assert read(zones, scope) == {}


def test_texts_come_back(zones: octodns.OctoDns, scope: Scope) -> None:
    """Semicolons, spaces, capitals, and more than fits into one string (RFC 1035, 3.3.14)."""
    things = [
        text(scope, " two  spaces ", "semi;colon; ", "Keeps Capitals", "keeps capitals", "'single'", name="odd."),
        text(scope, f"v=DKIM1; k=rsa; p={'A' * 392}", name="s1._domainkey."),
        *(text(scope, "x" * size, name=f"n{size}.") for size in (255, 256, 511)),
    ]
    create(zones, scope, things)
    assert_live(zones, scope, things)


def test_what_others_have_stays(zones: octodns.OctoDns, scope: Scope, given: dict[str, Any]) -> None:
    """A value beside ours, a set beside it and the rest of the zone, while ours come, change and go."""
    whole = Scope(given["identity"], given["identity"])
    theirs = [text(scope, "site-verification=1"), text(scope, "theirs", name="other.")]
    create(zones, scope, theirs)
    before = read(zones, whole)
    ours, later = text(scope, "v=spf1 -all"), text(scope, "v=spf1 ~all")
    for live, aim in ((None, ours), (ours, later), (later, None)):
        apply(zones, scope, change(live, aim))
        mine = aim.get("values") if aim else ()
        assert read(zones, scope)[ours.address].get("values") == ("site-verification=1", *mine)
    assert read(zones, whole) == before


def test_a_stale_change_is_refused(zones: octodns.OctoDns, scope: Scope) -> None:
    """What somebody changed meanwhile is not written over, and nothing else of the batch is written either."""
    was, now, aim = (
        text(scope, f"v=DMARC1; p={policy}", name="_dmarc.") for policy in ("none", "reject", "quarantine")
    )
    create(zones, scope, [was])
    assert_live(zones, scope, [was])
    apply(zones, scope, change(was, now))
    with pytest.raises(Conflict):
        apply(zones, scope, change(was, aim), change(None, text(scope, "new")))
    assert_live(zones, scope, [now])


def test_an_identity_is_left_once(zones: octodns.OctoDns, scope: Scope, given: dict[str, Any]) -> None:
    """It stays, no other takes its place, and it is no record of the zone."""
    whole = Scope(given["identity"], given["identity"])
    before = read(zones, whole)
    identity = zones.identity() or "a" * 32
    zones.identify(identity)
    with pytest.raises(Conflict):
        zones.identify("b" * 32)
    assert zones.identity() == identity
    assert read(zones, whole) == before


def test_silence_is_no_absence(zones: octodns.OctoDns, scope: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network, and of a zone that is not there: an error, never nothing; and a write is one too."""
    missing = Scope("reconciler-test.invalid", "reconciler-test.invalid")
    assert isinstance(zones.read([missing])[missing.domain], ProviderError)
    create(zones, scope, [text(scope, "there")])
    with monkeypatch.context() as cut:
        for call in ("connect", "connect_ex", "sendto"):
            cut.setattr(socket.socket, call, _cut)
        assert isinstance(zones.read([scope])[scope.domain], ProviderError)
        with pytest.raises(ProviderError):
            create(zones, scope, [text(scope, "more", name="more.")])
    assert_live(zones, scope, [text(scope, "there")])


def _cut(*_: object, **__: object) -> None:
    raise ConnectionRefusedError
