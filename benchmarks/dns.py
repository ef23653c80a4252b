"""Times plans and an apply on name servers that are asked over the network, beside octodns-sync on the same.

    python -m benchmarks.dns                         2,000 zones, five rounds
    python -m benchmarks.dns --tenants 50 --runs 2   a quick look

For each server, PowerDNS by its HTTP API and Knot by zone transfers, an estate of zones without mail is made and
applied; octodns-sync gets what then stands on the server as its source. So both tools read the same zones from the
same server and take turns: first plans that find nothing to do, then one changed record in each of every fourth zone,
which ours makes and octodns-sync takes back. PowerDNS is also read by serials, and through octoDNS's own class by our
`octodns` provider. Every number is of a whole process. Works under var/benchmarks, which it empties first.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import urllib.request
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import dns.query
import dns.tsigkeyring
import dns.zone
import yaml

from benchmarks import make_estate, peer
from benchmarks.run import ENVIRONMENT, FOLDER, PEER, TOOL, Sample, measure
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
    ours: dict[str, str]  # {what the table calls it: a provider in reconciler.yaml}; the first one writes the zones
    theirs: dict[str, Any]  # a provider in octodns.yaml
    keyring: Any = None


@contextmanager
def powerdns(folder: Path, _zones: list[str]) -> Iterator[Server]:
    """PowerDNS without a zone: our first apply makes them."""
    peer.set_up(folder, folder)
    with peer.powerdns(folder):
        url = f"http://127.0.0.1:{peer.API_PORT}"
        settings = f'type: powerdns, url: "{url}", key: {peer.API_KEY}, nameservers: [ns1.agency.example.]'
        given = {"host": "127.0.0.1", "port": peer.API_PORT, "api_key": peer.API_KEY}
        class_ = f"class: octodns_powerdns.PowerDnsProvider, settings: {json.dumps(given)}"
        make_zone(url, HOME)
        ours = {
            "PowerDNS": f"{{{settings}}}",
            "PowerDNS, serials": f"{{{settings}, trust_serials: true}}",
            "PowerDNS, octodns": f"{{type: octodns, {class_}, identity: {HOME}}}",
        }
        yield Server(peer.DNS_PORT, ours, peer.API)


def make_zone(url: str, name: str) -> None:
    """A zone for the identity that the provider `octodns` leaves."""
    zone = {"name": f"{name}.", "kind": "Native", "nameservers": ["ns1.agency.example."]}
    headers = {"X-API-Key": peer.API_KEY, "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/api/v1/servers/localhost/zones", json.dumps(zone).encode(), headers)
    urllib.request.urlopen(request).close()


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
        yield Server(server.port, {"Knot": ours}, theirs, dns.tsigkeyring.from_text({"reconciler": SECRET}))


SERVERS: dict[str, Callable[[Path, list[str]], AbstractContextManager[Server]]] = {"PowerDNS": powerdns, "Knot": knot}


def copy_to_peer(server: Server, folder: Path, zones: list[str]) -> None:
    """What stands on the server, as the peer's source."""
    for name in zones:
        transfer = dns.query.xfr("127.0.0.1", name, port=server.port, relativize=False, keyring=server.keyring)
        peer.write_source(dns.zone.from_xfr(transfer, relativize=False), f"{name}.", folder / "zones")
    settings = peer.settings(folder, [f"{name}." for name in zones], server.theirs)
    (folder / "octodns.yaml").write_text(yaml.safe_dump(settings))


def measure_plans(name: str, server: Server, bin_folder: Path) -> dict[str, Sample]:
    """Either tool fails here where it finds something to do."""
    ours = {f"plan, {key}": measure([*TOOL, "plan", "--exit-code"], estate(key)) for key in server.ours}
    theirs = measure(peer.command(bin_folder, FOLDER / name), FOLDER)
    if "No changes were planned" not in said():
        raise RuntimeError(f"octodns-sync found changes on {name}: the comparison would not be of the same work")
    return {**ours, f"octodns-sync, {name}": theirs}


def measure_change(name: str, bin_folder: Path, zones: list[str], number: int) -> dict[str, Sample]:
    """Ours changes a TXT set in some zones, octodns-sync finds it changed and brings back what was there."""
    folder = estate(name)
    for zone in zones:
        file = folder / "tenants" / zone.partition(".")[0] / "dns" / f"{zone}.yaml"
        file.write_text(re.sub(r"site-verification=[^\"]*", f"site-verification={zone}-{number}", file.read_text()))
    make_estate.commit_all(folder)
    ours = measure([*TOOL, "apply", "--yes"], folder)
    made = f"Applied: {len(zones)} changes, 0 not made" in said()
    theirs = measure([*peer.command(bin_folder, FOLDER / name), "--doit"], FOLDER)
    if not made or said().count("  Update") != len(zones):
        raise RuntimeError(f"not all of {len(zones)} changes were made on {name}")
    return {f"apply, {name}": ours, f"octodns-sync --doit, {name}": theirs}


def estate(key: str) -> Path:
    return FOLDER / key.replace(", ", "-") / "estate"


def said() -> str:
    """What the command that was measured last printed."""
    return (FOLDER / "output.log").read_text()


def measure_all(options: argparse.Namespace) -> dict[str, list[Sample]]:
    zones = [f"{make_estate.name_of(number)}.example" for number in range(options.tenants)]
    bin_folder = peer.install(PEER)
    found: dict[str, list[Sample]] = defaultdict(list)
    with ExitStack() as running:
        servers = {name: running.enter_context(start(FOLDER / name, zones)) for name, start in SERVERS.items()}
        for name, server in servers.items():
            for key, settings in server.ours.items():
                make_estate.make(estate(key), options.tenants, settings, mail=False)
                sample = measure([*TOOL, "apply", "--yes"], estate(key))
                print(f"set-up: first apply of {options.tenants:,} zones to {key} took {sample.seconds:.0f} s")
            copy_to_peer(server, FOLDER / name, zones)
        for measured in (
            lambda name, _: measure_plans(name, servers[name], bin_folder),
            lambda name, number: measure_change(name, bin_folder, zones[::4], number),
        ):
            for number in range(options.runs):
                samples = {key: value for name in SERVERS for key, value in measured(name, number).items()}
                for key, sample in samples.items():
                    found[key].append(sample)
                told = ", ".join(f"{key} {sample.seconds:.2f}" for key, sample in samples.items())
                print(f"round {number + 1} of {options.runs}: {told}")
    return found


def report(found: dict[str, list[Sample]], options: argparse.Namespace) -> str:
    title = f"{options.tenants:,} zones"
    lines = [f"{title:<32} {'median s':>8} {'min .. max':>16} {'CPU s':>7} {'MB':>5}  peer takes times as long"]
    for key, samples in found.items():
        times = sorted(sample.seconds for sample in samples)
        cpu, rss = statistics.median(sample.cpu for sample in samples), max(sample.rss for sample in samples) / 1e6
        command, name = key.split(", ")[:2]
        theirs = found[f"octodns-sync{' --doit' if command == 'apply' else ''}, {name}"]
        ratio = statistics.median(sample.seconds for sample in theirs) / statistics.median(times)
        last = "" if command.startswith("octodns") else f"  {ratio:.1f}"
        span = f"{times[0]:.2f} .. {times[-1]:.2f}"
        lines.append(f"{key:<32} {statistics.median(times):8.2f} {span:>16} {cpu:7.2f} {rss:5.0f}{last}")
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
    ENVIRONMENT["XDG_CACHE_HOME"] = str(FOLDER / "cache")
    print(report(measure_all(options), options))


if __name__ == "__main__":
    main()
