"""Real servers for the tests, on loopback and in folders of their own: they touch no configuration of this machine."""

from __future__ import annotations

import os
import random
import shutil
import socket
import time

import pytest

SBIN = "/usr/sbin:/sbin:/usr/lib/postgresql/17/bin:/usr/lib/postgresql/16/bin:/usr/lib/postgresql/15/bin"


def binary(name: str) -> str | None:
    """Where a program is; /usr/sbin counts even when it is not in PATH (Debian's ordinary users)."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{SBIN}")


def lacking(*binaries: str, root: bool = False) -> str:
    """What this machine lacks to run them, in words; empty when nothing."""
    missing = [name for name in binaries if binary(name) is None]
    wants = [f"{', '.join(missing)} not installed (as root on Debian: tests/servers/install.sh)"] if missing else []
    return "; ".join([*wants, *(["needs root"] if root and os.geteuid() != 0 else [])])


def need(*binaries: str, root: bool = False) -> pytest.MarkDecorator:
    """A mark for tests that start these programs: they skip and say why, or fail where CI=true promises them."""
    reason = lacking(*binaries, root=root)
    if reason and os.environ.get("CI") == "true":
        raise AssertionError(f"CI must run every test, but: {reason}")
    return pytest.mark.skipif(bool(reason), reason=f"NOT PROVEN HERE: {reason}")


def free_port() -> int:
    """A free port of 127.0.0.1 (TCP and UDP) below the range that outgoing connections take theirs from."""
    while True:
        port = random.randrange(10_000, 32_000)
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return port


def wait_for_port(port: int, log: object = "its log", seconds: float = 15.0) -> None:
    """Returns once a server listens there; raises TimeoutError that names the log to read."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise TimeoutError(f"nothing listens on 127.0.0.1:{port} after {seconds} s; see {log}")
