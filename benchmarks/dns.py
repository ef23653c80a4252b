"""Times a plan with nothing to do on name servers that are asked over the network, beside octodns-sync on the same.

    python -m benchmarks.dns                         2,000 zones, five rounds
    python -m benchmarks.dns --tenants 50 --runs 2   a quick look

For each server, PowerDNS by its HTTP API and Knot by zone transfers, an estate is made and applied; octodns-sync gets
what then stands on the server as its source. So both tools read the same zones from the same server, find nothing to
do, and take turns. Every number is of a whole process. Works under var/benchmarks, which it empties first.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import dns.query
import dns.tsigkeyring
import dns.zone
import yaml

from benchmarks import make_estate, peer
from benchmarks.run import FOLDER, PEER, TOOL, Sample, measure
from tests.servers.dns import SECRET, UpdatedKnot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

HOME = "reconciler.agency.example"
EMPTY = """\
$TTL 3600
@ IN SOA ns1.agency.example. hostmaster.agency.example. 1 86400 7200 3600000 3600
@ IN NS ns1.agency.example.
@ IN NS ns2.agency.example.
"""


class Server(NamedTuple):
    """A running name server, and what each tool is told of it."""

    port: int
    ours: str  # a provider in reconciler.yaml
    theirs: dict[str, Any]  # a provider in octodns.yaml
    keyring: Any = None


@contextmanager
def powerdns(folder: Path, _zones: list[str]) -> Iterator[Server]:
    """PowerDNS without a zone: our first apply makes them."""
    peer.set_up(folder, folder)
    with peer.powerdns(folder):
        settings = f'type: powerdns, url: "http://127.0.0.1:{peer.API_PORT}", key: {peer.API_KEY}'
        servers = "nameservers: [ns1.agency.example., ns2.agency.example.]"
        yield Server(peer.DNS_PORT, f"{{{settings}, {servers}}}", peer.API)


@contextmanager
def knot(folder: Path, zones: list[str]) -> Iterator[Server]:
    """Knot with empty zones, which no UPDATE could make."""
    files = folder / "served"
    for name in (*zones, HOME):
        files.mkdir(parents=True, exist_ok=True)
        (files / f"{name}.zone").write_text(EMPTY)
    (folder / "zones").mkdir()
    with UpdatedKnot(files, folder / "run") as server:
        key = f"{{name: reconciler, secret: {SECRET}}}"
        ours = f'{{type: rfc2136, server: "127.0.0.1:{server.port}", identity: {HOME}, key: {key}}}'
        theirs = {"class": "octodns_bind.Rfc2136Provider", "host": "127.0.0.1", "port": server.port}
        theirs |= {"key_name": "reconciler", "key_secret": SECRET, "key_algorithm": "hmac-sha256"}
        yield Server(server.port, ours, theirs, dns.tsigkeyring.from_text({"reconciler": SECRET}))


SERVERS: dict[str, Callable[[Path, list[str]], AbstractContextManager[Server]]] = {"PowerDNS": powerdns, "Knot": knot}


def copy_to_peer(server: Server, folder: Path, zones: list[str]) -> None:
    """What stands on the server, as the peer's source."""
    for name in zones:
        transfer = dns.query.xfr("127.0.0.1", name, port=server.port, relativize=False, keyring=server.keyring)
        peer.write_source(dns.zone.from_xfr(transfer, relativize=False), f"{name}.", folder / "zones")
    settings = peer.settings(folder, [f"{name}." for name in zones], server.theirs)
    (folder / "octodns.yaml").write_text(yaml.safe_dump(settings))


def measure_round(name: str, bin_folder: Path) -> dict[str, Sample]:
    """Either tool fails here where it finds something to do."""
    ours = measure([*TOOL, "plan", "--exit-code"], FOLDER / name / "estate")
    theirs = measure(peer.command(bin_folder, FOLDER / name), FOLDER)
    if "No changes were planned" not in (FOLDER / "output.log").read_text():
        raise RuntimeError(f"octodns-sync found changes on {name}: the comparison would not be of the same work")
    return {f"plan, {name}": ours, f"octodns-sync, {name}": theirs}


def measure_all(options: argparse.Namespace) -> dict[str, list[Sample]]:
    zones = [f"{make_estate.name_of(number)}.example" for number in range(options.tenants)]
    bin_folder = peer.install(PEER)
    found: dict[str, list[Sample]] = defaultdict(list)
    with ExitStack() as running:
        for name, start in SERVERS.items():
            server = running.enter_context(start(FOLDER / name, zones))
            make_estate.make(FOLDER / name / "estate", options.tenants, server.ours, mail=False)
            sample = measure([*TOOL, "apply", "--yes"], FOLDER / name / "estate")
            print(f"set-up: first apply of {options.tenants:,} zones to {name} took {sample.seconds:.0f} s")
            copy_to_peer(server, FOLDER / name, zones)
        for number in range(options.runs):
            samples = {key: value for name in SERVERS for key, value in measure_round(name, bin_folder).items()}
            for key, sample in samples.items():
                found[key].append(sample)
            print(f"round {number + 1} of {options.runs}: " + ", ".join(f"{k} {s[0]:.2f}" for k, s in samples.items()))
    return found


def report(found: dict[str, list[Sample]], options: argparse.Namespace) -> str:
    title = f"{options.tenants:,} zones"
    lines = [f"{title:<28} {'median s':>8} {'min .. max':>16} {'CPU s':>7} {'MB':>5}"]
    for key, samples in found.items():
        times = sorted(sample.seconds for sample in samples)
        cpu, rss = statistics.median(sample.cpu for sample in samples), max(sample.rss for sample in samples) / 1e6
        span = f"{times[0]:.2f} .. {times[-1]:.2f}"
        lines.append(f"{key:<28} {statistics.median(times):8.2f} {span:>16} {cpu:7.2f} {rss:5.0f}")
    for name in SERVERS:
        ours, theirs = (statistics.median(s[0] for s in found[f"{tool}, {name}"]) for tool in ("plan", "octodns-sync"))
        lines.append(
            f"On {name} octodns-sync takes {theirs / ours:.1f} times as long as plan, which plans the mail too."
        )
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dns")
    parser.add_argument("--tenants", type=int, default=2_000, help="zones, one of each tenant")
    parser.add_argument("--runs", type=int, default=5)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    print(report(measure_all(options), options))


if __name__ == "__main__":
    main()
