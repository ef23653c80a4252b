"""Unbound, a resolver that validates, started privately. It asks one server for one zone, and refuses other names."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.servers import free_port, wait_for_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIGURATION = """
server:
    interface: 127.0.0.1@{port}
    do-not-query-localhost: no
    do-ip6: no
    chroot: ""
    username: ""
    directory: "{folder}"
    pidfile: "{folder}/unbound.pid"
    use-syslog: no
    num-threads: 1
    module-config: "validator iterator"
    ede: yes
    val-log-level: 2
    local-zone: "." refuse
    local-zone: "{zone}." transparent
    {anchor}
remote-control:
    control-enable: no
stub-zone:
    name: "{zone}"
    stub-addr: 127.0.0.1@{server}
"""


@contextmanager
def resolving(folder: Path, zone: str, server: int, anchor: str = "") -> Iterator[str]:
    """Its address while it runs. `server` is the zone's port on loopback, `anchor` the DS that it trusts, if any."""
    port = free_port()
    trusted = f'trust-anchor: "{zone}. DS {anchor}"' if anchor else ""
    file = folder / "unbound.conf"
    file.write_text(CONFIGURATION.format(folder=folder, zone=zone, server=server, port=port, anchor=trusted))
    with (folder / "unbound.log").open("wb") as log:
        process = subprocess.Popen(["/usr/sbin/unbound", "-d", "-c", str(file)], stdout=log, stderr=log)
    try:
        wait_for_port(port, folder / "unbound.log")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
