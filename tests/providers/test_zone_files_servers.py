"""NSD, Knot and BIND serve the zones that are written, and take a change when the provider tells them to."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import dns.exception
import dns.flags
import dns.message
import dns.query
import pytest

from reconciler.errors import ProviderError
from reconciler.providers import _sets, zone_files
from tests.providers.contract import NAME, OURS, DnsContract, apply, change, create, make
from tests.servers import SBIN, free_port, need, wait_for_port

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIGURATIONS = {
    "nsd": """
server:
    ip-address: 127.0.0.1@{port}
    username: ""
    chroot: ""
    zonesdir: "{run}/zones"
    zonelistfile: "{run}/zone.list"
    database: ""
    pidfile: "{run}/nsd.pid"
    xfrdfile: "{run}/xfrd.state"
    xfrdir: "{run}"
    server-count: 1
remote-control:
    control-enable: yes
    control-interface: "{run}/nsd.ctl"
zone:
    name: a.example
    zonefile: a.example.zone
""",
    "knot": """
server:
    rundir: "{run}"
    listen: 127.0.0.1@{port}
database:
    storage: "{run}"
template:
  - id: default
    storage: "{run}/zones"
    file: "%s.zone"
    zonefile-sync: -1
zone:
  - domain: a.example
""",
    "bind": """
options {{
  directory "{run}"; pid-file "{run}/named.pid"; session-keyfile "{run}/session.key";
  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no;
}};
key "k" {{ algorithm hmac-sha256; secret "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="; }};
controls {{ inet 127.0.0.1 port {control} allow {{ 127.0.0.1; }} keys {{ "k"; }}; }};
zone "a.example" {{ type primary; file "{run}/zones/a.example.zone"; }};
""",
}
RNDC = """
key "k" {{ algorithm hmac-sha256; secret "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="; }};
options {{ default-key "k"; default-server 127.0.0.1; default-port {control}; }};
"""
COMMANDS = {"nsd": ["nsd", "-d", "-c"], "knot": ["knotd", "-c"], "bind": ["named", "-g", "-n", "1", "-c"]}
SERVERS = [
    pytest.param("nsd", marks=need("nsd", "nsd-control")),
    pytest.param("knot", marks=need("knotd", "knotc")),
    pytest.param("bind", marks=need("named", "rndc")),
]


@contextmanager
def serving(server: str, run: Path) -> Iterator[int]:
    """The server on the folder `zones` in `run`; yields its port."""
    port, control = free_port(), free_port()
    (run / "conf").write_text(CONFIGURATIONS[server].format(run=run, port=port, control=control))
    (run / "rndc.conf").write_text(RNDC.format(control=control))
    with (run / "log").open("wb") as log:
        process = subprocess.Popen([*COMMANDS[server], str(run / "conf")], stdout=log, stderr=log)
    try:
        answered(port, "a.example", "SOA", (run / "log").read_text)
        wait_for_control(server, run, control)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def wait_for_control(server: str, run: Path, port: int) -> None:
    """Servers answer before they can be told to reload."""
    if server == "bind":
        wait_for_port(port)
    deadline = time.monotonic() + 15
    while server != "bind" and not (run / {"nsd": "nsd.ctl", "knot": "knot.sock"}[server]).exists():
        assert time.monotonic() < deadline, (run / "log").read_text()
        time.sleep(0.01)


def values(port: int, name: str, type_: str) -> set[str]:
    """What the server answers with authority; TXT as its joined text."""
    reply = dns.query.tcp(dns.message.make_query(name, type_), "127.0.0.1", port=port, timeout=2)
    assert reply.flags & dns.flags.AA, reply
    return {_sets.text_of(rdata) for found in reply.answer for rdata in found}


def answered(port: int, name: str, type_: str, log=str, wanted=None) -> set[str]:
    """The answer, once there is one (or the one that is wanted): servers load in their own time."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        with suppress(OSError, EOFError, AssertionError, dns.exception.DNSException):
            found = values(port, name, type_)
            if found and wanted in (None, found):
                return found
        time.sleep(0.02)
    raise TimeoutError(f"{name} {type_}: {log()}")


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a server whose programs are found."""
    monkeypatch.setenv("PATH", SBIN, prepend=":")
    return request.param


@pytest.fixture
def run() -> Iterator[Path]:
    """A folder with a short name: sockets stand in it (108 bytes at most)."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_server_answers_what_was_written_and_takes_a_change(server: str, run: Path) -> None:
    """Every sample and every odd value is answered as it was aimed at, and after a reload the change is."""
    contract = DnsContract()
    things = [*contract.samples("a.example"), *contract.odd("a.example")]
    silent = zone_files.connect(NAME, {"directory": "zones"}, str(run))
    create(silent, OURS, things)
    with serving(server, run) as port:
        for thing in things:
            type_, _, name = thing.address.name.partition("/")
            assert values(port, name, type_) == set(thing.get("values")), thing.address
        control = "rndc.conf" if server == "bind" else "conf"
        settings = {"directory": "zones", "reload": server, "control": control}
        telling = zone_files.connect(NAME, settings, str(run))
        was, _, ours = contract.moved("a.example")
        apply(telling, OURS, change(was, ours))
        answered(port, "a.example", "MX", (run / "log").read_text, wanted=set(ours.get("values")))


def test_a_server_that_does_not_take_it_is_an_error(server: str, run: Path) -> None:
    """When the server is down a new zone is there for it to find, a changed one is as before; the error says so."""
    (run / "conf").write_text(CONFIGURATIONS[server].format(run=run, port=free_port(), control=free_port()))
    (run / "rndc.conf").write_text(RNDC.format(control=free_port()))
    control = "rndc.conf" if server == "bind" else "conf"
    zones = zone_files.connect(NAME, {"directory": "zones", "reload": server, "control": control}, str(run))
    with pytest.raises(ProviderError, match=r"is new, and .* did not take it") as error:
        create(zones, OURS, [make("record", "A/a.example", "a.example", values=["192.0.2.1"])])
    assert "QUFB" not in str(error.value)
    before = (run / "zones/a.example.zone").read_text()
    assert "IN A 192.0.2.1" in before
    with pytest.raises(ProviderError, match=r"did not take .*, which is as before"):
        create(zones, OURS, [make("record", "AAAA/a.example", "a.example", values=["2001:db8::1"])])
    assert (run / "zones/a.example.zone").read_text() == before
