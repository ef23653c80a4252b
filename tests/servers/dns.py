"""NSD, Knot, BIND and PowerDNS, started privately with the very blocks of docs/servers.md.

The first three serve a folder of zone files; PowerDNS has a SQLite file of its own, which its HTTP API fills.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

import dns.exception
import dns.message
import dns.query
import dns.rdatatype
import dns.zone

from tests.servers import free_port, wait_for_port
from tests.servers.settings import recipes

NSD = """
server:
    ip-address: 127.0.0.1@{port}
    username: ""
    chroot: ""
    zonesdir: "{folder}"
    zonelistfile: "{folder}/zone.list"
    database: ""
    pidfile: "{folder}/nsd.pid"
    xfrdfile: "{folder}/xfrd.state"
    xfrdir: "{folder}"
    server-count: 1
remote-control:
    control-enable: no
"""
KNOT = """
server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
database:
    storage: "{folder}"
log:
  - target: stderr
    any: warning
"""
BIND = """
options {{
  directory "{folder}"; pid-file "{folder}/named.pid"; session-keyfile "{folder}/session.key";
  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no; empty-zones-enable no;
}};
controls {{ }};
"""
SECRET = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
# Without its caches a change made behind the API's back, in the database, is seen at once.
POWERDNS = """
launch=gsqlite3
gsqlite3-database={folder}/pdns.sqlite3
gsqlite3-pragma-synchronous=0
local-address=127.0.0.1
local-port={port}
socket-dir={folder}
loglevel=4
daemon=no
guardian=no
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
domain-metadata-cache-ttl=0
zone-cache-refresh-interval=0
"""
SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")


class NameServer:
    """A name server for every `<zone>.zone` in a folder, running inside `with`; it keeps its own files in `folder`."""

    def __init__(self, zones: Path, folder: Path) -> None:
        self.zones, self.folder, self.port = zones, folder, free_port()

    def configuration(self, names: list[str]) -> str:
        raise NotImplementedError

    def command(self, configuration: Path) -> list[str]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        names = sorted(path.name.removesuffix(".zone") for path in self.zones.glob("*.zone"))
        file = self.folder / "server.conf"
        text = self.configuration(names).replace("/var/lib/reconciler/zones", str(self.zones))
        file.write_text(text, encoding="utf-8")
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(self.command(file), stdout=log, stderr=log)
        for name in names:
            self._wait(name)
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """It is down when this returns; twice is fine."""
        self.process.terminate()
        self.process.wait(20)

    def _wait(self, zone: str) -> None:
        for _ in range(100):
            with suppress(dns.exception.Timeout, OSError):
                if self._ask(zone, "SOA", timeout=0.1).answer:
                    return
        self.stop()
        raise TimeoutError(f"no answer for {zone}: {(self.folder / 'log').read_text(encoding='utf-8')}")

    def _ask(self, name: str, rtype: str, timeout: float = 5) -> dns.message.Message:
        question = dns.message.make_query(name, rtype)
        answer, _by_tcp = dns.query.udp_with_fallback(question, "127.0.0.1", timeout, self.port)
        return answer

    def query(self, name: str, rtype: str) -> list[str]:
        """The values of one set, sorted; a TXT value's strings are joined (RFC 7208, 3.3). Empty: there is none."""
        found = self._ask(name, rtype).get_rrset(
            dns.message.ANSWER, dns.name.from_text(name), dns.rdataclass.IN, dns.rdatatype.from_text(rtype)
        )
        if rtype == "TXT":
            return sorted(b"".join(data.strings).decode() for data in found or ())
        return sorted(data.to_text() for data in found or ())


class Nsd(NameServer):
    """NSD 4."""

    def configuration(self, names: list[str]) -> str:
        zones = "".join(f"zone:\n    name: {name}\n    include-pattern: reconciler\n" for name in names)
        return NSD.format(folder=self.folder, port=self.port) + recipes()["/etc/nsd/nsd.conf"] + zones

    def command(self, configuration: Path) -> list[str]:
        return ["/usr/sbin/nsd", "-d", "-c", str(configuration)]


class Knot(NameServer):
    """Knot DNS 3."""

    def configuration(self, names: list[str]) -> str:
        zones = "zone:\n" + "".join(f"  - domain: {name}\n" for name in names)
        return KNOT.format(folder=self.folder, port=self.port) + recipes()["/etc/knot/knot.conf"] + zones

    def command(self, configuration: Path) -> list[str]:
        return ["/usr/sbin/knotd", "-c", str(configuration)]


class UpdatedKnot(Knot):
    """Knot whose zones are changed by UPDATE; `more` are further lines of each zone."""

    more = ""

    def configuration(self, names: list[str]) -> str:
        return KNOT.format(folder=self.folder, port=self.port) + updated("/etc/knot/reconciler.conf", names, self.more)


class SigningKnot(UpdatedKnot):
    """The same, which signs its zones (DNSSEC)."""

    more = "    dnssec-signing: on\n"


class UpdatedBind(NameServer):
    """BIND 9 whose zones are changed by UPDATE."""

    def configuration(self, names: list[str]) -> str:
        return BIND.format(folder=self.folder, port=self.port) + updated("/etc/bind/reconciler.conf", names)

    def command(self, configuration: Path) -> list[str]:
        return ["/usr/sbin/named", "-g", "-n", "1", "-c", str(configuration)]


def updated(file: str, names: list[str], more: str = "") -> str:
    """The block of docs/servers.md for one zone, for each of these."""
    text = recipes()[file].replace("SECRET", SECRET)
    for folder in ("/var/lib/knot", "/var/lib/bind"):
        text = text.replace(folder, "/var/lib/reconciler/zones")
    head, keyword, zone = text.partition("\nzone")
    return head + "".join(f"{keyword}{zone}{more}".replace("northwind.example", name) for name in names)


class PowerDns:
    """PowerDNS 4 on a SQLite file, running inside `with`: queries at `port`, the API at `url` with `key`."""

    key = "CHANGE-ME"
    more = ""  # further lines of its configuration

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.api = folder, free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.api}"

    def content(self) -> str:
        """Statements for what is in its database from the beginning."""
        return ""

    def __enter__(self) -> Self:
        self.sql(SCHEMA.read_text(encoding="utf-8") + self.content())
        recipe = recipes()["/etc/powerdns/pdns.d/reconciler.conf"].replace("8081", str(self.api))
        text = POWERDNS.format(folder=self.folder, port=self.port) + recipe + self.more
        (self.folder / "pdns.conf").write_text(text, encoding="utf-8")
        with (self.folder / "log").open("wb") as log:
            command = ["/usr/sbin/pdns_server", f"--config-dir={self.folder}"]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for_port(self.api, self.folder / "log")
        self._wait()
        return self

    def _wait(self) -> None:
        """Until it answers queries. Whoever writes to its database before that may bring it down."""
        for _ in range(100):
            with suppress(dns.exception.Timeout, OSError):
                dns.query.udp(dns.message.make_query("a.example", "SOA"), "127.0.0.1", 0.1, self.port)
                return
        self.stop()
        raise TimeoutError(f"no answer: {(self.folder / 'log').read_text(encoding='utf-8')}")

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """It is down when this returns; twice is fine."""
        self.process.terminate()
        self.process.wait(20)

    def sql(self, script: str) -> None:
        """Statements on its database, behind its back."""
        with closing(sqlite3.connect(self.folder / "pdns.sqlite3", timeout=30)) as database:
            database.executescript(script)

    def ask(self, method: str, path: str, data: Any = None) -> Any:
        """One request of somebody else's to the API; its JSON."""
        with closing(HTTPConnection("127.0.0.1", self.api, timeout=10)) as connection:
            body = None if data is None else json.dumps(data)
            connection.request(method, f"/api/v1/servers/localhost{path}", body, {"X-API-Key": self.key})
            answer = connection.getresponse()
            text = answer.read().decode()
        assert answer.status < 300, text
        return json.loads(text) if text else None

    def clear(self) -> None:
        """No zone any more."""
        for zone in self.ask("GET", "/zones"):
            self.ask("DELETE", f"/zones/{zone['id']}")

    def rrsets(self, zone: str) -> dict[str, Any]:
        """What the API says of a zone's sets, by `TYPE/name`."""
        found = self.ask("GET", f"/zones/{zone}.")["rrsets"]
        return {f"{rrset['type']}/{rrset['name'].removesuffix('.')}": rrset for rrset in found}

    def put(
        self, key: str, *contents: str | dict[str, Any], ttl: int = 3600, zone: str = "a.example", **more: Any
    ) -> None:
        """Somebody sets one set of a zone that is there."""
        type_, _, name = key.partition("/")
        records = [{"content": one, "disabled": False} if isinstance(one, str) else one for one in contents]
        rrset = {"name": f"{name}.", "type": type_, "ttl": 3600, "changetype": "REPLACE", "records": records, **more}
        self.ask("PATCH", f"/zones/{zone}.", {"rrsets": [rrset]})


class UpdatedPowerDns(PowerDns):
    """The same, whose zones are changed by UPDATE; as any `NameServer` it begins with those in a folder."""

    more = recipes()["/etc/powerdns/pdns.d/update.conf"]

    def __init__(self, zones: Path, folder: Path) -> None:
        folder.mkdir()
        super().__init__(folder)
        self.zones = zones

    def content(self) -> str:
        statements = [
            f"INSERT INTO tsigkeys (name, algorithm, secret) VALUES ('reconciler', 'hmac-sha256', '{SECRET}');"
        ]
        for number, path in enumerate(sorted(self.zones.glob("*.zone")), 1):
            name = path.name.removesuffix(".zone")
            statements.append(f"INSERT INTO domains (id, name, type) VALUES ({number}, '{name}', 'NATIVE');")
            for kind in ("TSIG-ALLOW-AXFR", "TSIG-ALLOW-DNSUPDATE"):
                row = f"{number}, '{kind}', 'reconciler'"
                statements.append(f"INSERT INTO domainmetadata (domain_id, kind, content) VALUES ({row});")
            zone = dns.zone.from_file(str(path), name, relativize=False)
            for owner, ttl, data in zone.iterate_rdatas():
                texts = owner.to_text(True), dns.rdatatype.to_text(data.rdtype), data.to_text().replace(". ", " ")
                row = f"{number}, '{texts[0]}', '{texts[1]}', '{texts[2].removesuffix('.')}', {ttl}, 1"
                statements.append(f"INSERT INTO records (domain_id, name, type, content, ttl, auth) VALUES ({row});")
        return "".join(statements)
