"""NSD and Knot, started privately on a folder of zone files with the very blocks of docs/servers.md."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from tests.servers import free_port
from tests.servers.settings import recipes

if TYPE_CHECKING:
    from pathlib import Path

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
    storage: "{folder}/db"
log:
  - target: stderr
    any: warning
"""


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
        self._wait(names[0])
        return self

    def __exit__(self, *_exc: object) -> None:
        self.process.terminate()
        self.process.wait(20)

    def _wait(self, zone: str) -> None:
        for _ in range(100):
            with suppress(dns.exception.Timeout, OSError):
                if self._ask(zone, "SOA", timeout=0.1).answer:
                    return
        self.__exit__()
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
