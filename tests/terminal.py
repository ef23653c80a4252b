"""A command on a terminal: a pseudo-terminal of 80 columns, what it shows, and what a person types."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.estates import ROOT

if TYPE_CHECKING:
    from pathlib import Path

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Screen:
    """What a terminal was sent, and the exit code."""

    raw: str
    code: int

    @property
    def text(self) -> str:
        """Without colours; line ends as in a file."""
        return ESCAPE.sub("", self.raw).replace("\r\n", "\n")

    @property
    def widest(self) -> int:
        """Columns of the widest line (East Asian wide characters take two)."""
        return max(
            sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line) for line in self.text.splitlines()
        )


def show(
    *arguments: str, cwd: Path, typed: str = "", prompt: str = "", columns: int = 80, env: dict[str, str] | None = None
) -> Screen:
    """Run `reconciler …` on a terminal of its own; `typed` is sent once `prompt` is seen."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **(env or {})}
    environment.pop("NO_COLOR", None) if env is None or "NO_COLOR" not in env else None
    command = [sys.executable, "-m", "reconciler", *arguments]
    process = subprocess.Popen(
        command, cwd=cwd, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    raw = _read(ours, process, typed, prompt)
    os.close(ours)
    return Screen(raw, process.wait())


def _read(terminal: int, process: subprocess.Popen[bytes], typed: str, prompt: str) -> str:
    raw, deadline = b"", time.monotonic() + 30
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                part = os.read(terminal, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            raw += part
        elif process.poll() is not None:
            break
        if typed and prompt.encode() in raw:
            os.write(terminal, typed.encode())
            typed = ""
    return raw.decode()
