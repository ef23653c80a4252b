"""Public DNS as a provider: what is asked by name is told, silence is no absence, and nothing is ever written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.changes import Batch
from reconciler.errors import ProviderError, Refused
from reconciler.model import Scope
from reconciler.providers import resolver
from tests.estates import make, northwind
from tests.servers import SBIN, need
from tests.servers.answering import Answering
from tests.test_proof import agency, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.estates import Estate

THERE = {
    ("northwind.example", "MX"): ["10 mx.oldhost.example."],
    ("northwind.example", "TXT"): ["v=spf1 include:spf.agency.example -all", "site-verification=1"],
    ("_dmarc.northwind.example", "CNAME"): ["dmarc.vendor.example."],
    ("dmarc.vendor.example", "TXT"): ["v=DMARC1; p=none"],
}


def settings(server: Answering) -> str:
    return f'{{type: resolver, read_only: true, server: "{server.address}"}}'


def estate_of(folder: Path, server: Answering) -> Estate:
    return make(folder / "estate", northwind(), agency=agency(settings(server)))


def asked(server: str, *names: str) -> dict[str, tuple[str, ...]]:
    answer = resolver.connect("public", {"read_only": True, "server": server}, "/").ask({"a.example": names})[
        "a.example"
    ]
    if isinstance(answer, ProviderError):
        raise answer
    return {thing.address.name: thing.get("values") for thing in answer}


def test_what_public_dns_says_otherwise_is_for_a_person(tmp_path: Path) -> None:
    """An MX that differs is todo with both values; what is alike, a record behind an alias too, is adopted."""
    with Answering(THERE) as server:
        estate = estate_of(tmp_path, server)
        found = estate.plan()["tenants"][0]
        assert [(c["address"], c["fields"]) for c in found["todo"]] == [
            (
                "zones:record/MX/northwind.example",
                {"values": {"from": ["10 mx.oldhost.example."], "to": ["10 mx1.agency.example."]}},
            )
        ]
        assert found["adopted"] == ["zones:record/TXT/_dmarc.northwind.example", "zones:record/TXT/northwind.example"]
        assert found["unmanaged"]["counted"] == {"TXT": 1}
        assert not [f for f in found["findings"] if f["severity"] == "error"]
        assert "reconciler records northwind.example" in estate.run("plan").out
        assert estate.apply().code == 0
        server.records = {**THERE, ("northwind.example", "MX"): ["10 mx1.agency.example."]}
        assert estate.plan()["tenants"][0]["todo"] == []


def test_only_what_somebody_wants_to_know_is_asked(tmp_path: Path) -> None:
    """One question for each record set of Git and of the ledger, asked once."""
    with Answering(THERE) as server:
        estate_of(tmp_path, server).plan()
        assert sorted(server.asked) == [
            ("_dmarc.northwind.example", "TXT"),
            ("northwind.example", "MX"),
            ("northwind.example", "TXT"),
        ]


@pytest.mark.parametrize("how", ["mute", "failing"])
def test_a_question_without_answer_is_no_absence(tmp_path: Path, how: str) -> None:
    """A resolver that is silent or fails for one name: nothing of the domain's DNS is planned, and the plan says so."""
    with Answering(THERE, **{how: ["northwind.example"]}) as server:
        run = estate_of(tmp_path, server).run("plan", "--format", "json")
        found = run.json["tenants"][0]
        assert (run.code, found["complete"], found["todo"]) == (1, False, [])
        assert "no resolver answered for northwind.example MX" in found["unread"][0]["error"]


def test_values_come_as_they_are() -> None:
    """Bytes that are no UTF-8, capitals, names to be brought into one form; what is not there is left out."""
    there = {
        ("a.example", "TXT"): ["Keeps Capitals", "x" * 600],
        ("a.example", "CAA"): ['0 Issue "CA.example"'],
        ("w.a.example", "AAAA"): ["2001:DB8::1"],
    }
    with Answering(there) as server:
        found = asked(
            server.address, "TXT/a.example", "CAA/a.example", "AAAA/w.a.example", "A/w.a.example", "MX/n.a.example"
        )
    assert found == {
        "AAAA/w.a.example": ("2001:db8::1",),
        "CAA/a.example": ('0 issue "CA.example"',),
        "TXT/a.example": ("Keeps Capitals", "x" * 600),
    }


def test_nothing_is_written() -> None:
    """Whoever calls it all the same is refused."""
    public = resolver.connect("public", {"read_only": True}, "/")
    for write in (
        lambda: public.apply(Batch("public", Scope("a.example", "a.example"), ())),
        lambda: public.identify("a" * 32),
    ):
        with pytest.raises(Refused):
            write()
    assert public.identity() is None


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ("read_only: false", "read_only"),
        ("server: ns1.a.example, read_only: true", "server"),
        ("server: none, read_only: true", "server"),
        ("server: 53, read_only: true", "server"),
        ("", "read_only"),
    ],
)
def test_settings_that_cannot_be_are_bad_input(tmp_path: Path, said: str, where: str) -> None:
    """It is read only, and a resolver is an address: a name would need a resolver to be found."""
    text = f"{{type: resolver{', ' if said else ''}{said}}}"
    estate = make(tmp_path / "estate", northwind(), agency=agency(text))
    run = estate.run("validate", "--format", "json")
    assert run.code == 1
    assert f"`{where}`" in " ".join(f["detail"] for f in run.json["findings"])


@need("nsd", "nsd-control")
def test_a_real_server_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NSD in a resolver's place: another clone's apply is what public DNS says."""
    monkeypatch.setenv("PATH", SBIN, prepend=":")
    run = tmp_path / "run"
    run.mkdir()
    with serving(run) as nsd:
        ours = make(tmp_path / "ours", northwind(), agency=agency(nsd.settings()))
        text = f'{{type: resolver, read_only: true, server: "127.0.0.1:{nsd.port}"}}'
        theirs = make(tmp_path / "theirs", northwind(), agency=agency(text))
        assert len(theirs.plan()["tenants"][0]["todo"]) == 3
        assert ours.apply().code == 0
        assert theirs.plan()["tenants"][0]["todo"] == []
