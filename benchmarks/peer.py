"""The peer of the comparison: octodns-sync, a dry run of the same zones from its YAML files to PowerDNS.

It gets the zones our first apply wrote: as octoDNS YAML for its source and as rows in the SQLite database of a
private PowerDNS, started on loopback ports and stopped again. So both tools find nothing to do in the same zones.
octoDNS is installed from PyPI into an environment of its own.
"""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import time
import urllib.request
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dns.zone
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = ("octodns==1.22.0", "octodns-bind==1.1.0", "octodns-powerdns==1.2.0")
DNS_PORT, API_PORT = 15301, 18081
API_KEY = "benchmark"
API = {"class": "octodns_powerdns.PowerDnsProvider", "host": "127.0.0.1", "port": API_PORT, "api_key": API_KEY}
SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")

POWERDNS = """\
launch=gsqlite3
gsqlite3-database={folder}/pdns.sqlite3
gsqlite3-pragma-synchronous=0
local-address=127.0.0.1
local-port={dns_port}
socket-dir={folder}
api=yes
api-key={key}
webserver=yes
webserver-address=127.0.0.1
webserver-port={api_port}
webserver-allow-from=127.0.0.1
webserver-loglevel=none
loglevel=3
daemon=no
guardian=no
"""

# Its own loader over the same files and nothing else, to see which part of a run that is.
LOAD_ONLY = """\
import sys, pathlib
from octodns.yaml import safe_load
for file in pathlib.Path(sys.argv[1]).iterdir():
    with file.open() as text: safe_load(text, enforce_order=False)
"""


def install(folder: Path) -> Path:
    """The bin folder of an environment with the peer in it."""
    if not [*folder.glob("lib/*/site-packages/octodns_bind")]:
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", *PACKAGES], check=True)
    return folder / "bin"


def set_up(folder: Path, zone_files: Path) -> None:
    """Write the peer's configuration, its zones and the database of its PowerDNS into a new folder."""
    (folder / "zones").mkdir(parents=True)
    (folder / "pdns.conf").write_text(POWERDNS.format(folder=folder, dns_port=DNS_PORT, api_port=API_PORT, key=API_KEY))
    database = sqlite3.connect(folder / "pdns.sqlite3")
    database.executescript(SCHEMA.read_text())
    names = [_convert(file, folder / "zones", database) for file in sorted(zone_files.glob("*.zone"))]
    database.commit()
    database.close()
    (folder / "octodns.yaml").write_text(yaml.safe_dump(settings(folder, names, API)))


def settings(folder: Path, names: list[str], server: dict[str, Any]) -> dict[str, Any]:
    """Its configuration: these zones, from the files in a folder to a server."""
    files = {"class": "octodns.provider.yaml.YamlProvider", "directory": f"{folder}/zones", "enforce_order": False}
    zones = {name: {"sources": ["files"], "targets": ["server"]} for name in names}
    return {"providers": {"files": files, "server": server}, "zones": zones}


def _convert(file: Path, into: Path, database: sqlite3.Connection) -> str:
    origin = f"{file.stem}."
    zone = dns.zone.from_file(str(file), origin=origin, relativize=False)
    number = database.execute("INSERT INTO domains (name, type) VALUES (?, 'NATIVE')", (file.stem,)).lastrowid
    for name, rdataset in zone.iterate_rdatasets():
        type_ = rdataset.rdtype.name
        database.executemany(
            "INSERT INTO records (domain_id, name, type, content, ttl, prio, disabled, auth) VALUES (?,?,?,?,?,?,0,1)",
            [(number, str(name).rstrip("."), type_, *_row(type_, rdata.to_text(), rdataset.ttl)) for rdata in rdataset],
        )
    write_source(zone, origin, into)
    return origin


def write_source(zone: dns.zone.Zone, origin: str, into: Path) -> None:
    """A zone as the YAML that octoDNS reads."""
    source: dict[str, list[dict[str, Any]]] = {}
    for name, rdataset in zone.iterate_rdatasets():
        type_ = rdataset.rdtype.name
        if type_ != "SOA":
            label = str(name).removesuffix(origin).rstrip(".")
            values = [_value(type_, rdata) for rdata in rdataset]
            content = {"value": values[0]} if type_ == "CNAME" else {"values": values}
            source.setdefault(label, []).append({"type": type_, "ttl": rdataset.ttl, **content})
    (into / f"{origin}yaml").write_text(yaml.safe_dump({k: source[k] for k in sorted(source)}))


def _row(type_: str, text: str, ttl: int) -> tuple[str, int, int]:
    """Content, TTL and priority as PowerDNS keeps them: names without the last dot, priorities apart."""
    priority = 0
    if type_ in {"MX", "SRV"}:
        first, text = text.split(" ", 1)
        priority = int(first)
    if type_ in {"MX", "SRV", "CNAME", "NS", "SOA"} and text != ".":
        text = " ".join(part if part == "." else part.rstrip(".") for part in text.split(" "))
    return text, ttl, priority


def _value(type_: str, rdata: Any) -> Any:
    """One value the way octoDNS writes it."""
    if type_ == "MX":
        return {"preference": rdata.preference, "exchange": str(rdata.exchange)}
    if type_ == "SRV":
        keys = ("priority", "weight", "port", "target")
        return {key: getattr(rdata, key) if key != "target" else str(rdata.target) for key in keys}
    if type_ == "CAA":
        return {"flags": rdata.flags, "tag": rdata.tag.decode(), "value": rdata.value.decode()}
    if type_ == "TXT":
        return b"".join(rdata.strings).decode().replace(";", "\\;")
    return rdata.to_text()


@contextlib.contextmanager
def powerdns(folder: Path) -> Iterator[None]:
    """PowerDNS on the database in `folder`, for as long as the block runs."""
    with (folder / "pdns.log").open("w") as log:
        server = subprocess.Popen(["pdns_server", f"--config-dir={folder}"], stdout=log, stderr=log)
        try:
            _wait(server, folder)
            yield
        finally:
            server.terminate()
            server.wait()


def _wait(server: subprocess.Popen[bytes], folder: Path) -> None:
    """Until its API answers. Raises RuntimeError when it ends, or after 10 s, naming its log."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{API_PORT}/api/v1/servers/localhost", headers={"X-API-Key": API_KEY}
    )
    for _ in range(100):
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=1):
            return
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"PowerDNS does not answer; see {folder / 'pdns.log'}")


def command(bin_folder: Path, folder: Path) -> list[str]:
    """A dry run: without --doit octodns-sync only plans."""
    return [str(bin_folder / "octodns-sync"), "--config-file", str(folder / "octodns.yaml"), "--quiet"]


def load_command(bin_folder: Path, folder: Path) -> list[str]:
    return [str(bin_folder / "python"), "-c", LOAD_ONLY, str(folder / "zones")]
