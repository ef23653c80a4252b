"""Postfix, Dovecot and opendkim, started privately on a mail database, with the very blocks of docs/servers.md.

Nothing of this machine's own mail is read or changed: queue, mail, sockets and logs live in one folder, ports are on
loopback, outside mail goes to a sink in this process. The start takes 0.1-0.4 s, so a test may have a stack of its own.
"""

from __future__ import annotations

import base64
import hashlib
import imaplib
import os
import pwd
import re
import secrets
import shutil
import signal
import smtplib
import sqlite3
import subprocess
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.servers import free_port, wait_for_port
from tests.servers.settings import DOVECOT, POSTFIX, SERVICES, Source, recipes
from tests.servers.sink import Sink, letter, parsed

if TYPE_CHECKING:
    from email.message import EmailMessage

OURS = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace")


class MailStack:
    """The servers on one database, running inside `with`. Their users must be able to enter its folder and theirs.

    `own_login_query` puts another password query in place of the recipe's (what a PostfixAdmin host has).
    """

    def __init__(
        self, database: Path | Source, folder: Path, *, own_login_query: str = "", opendkim: bool = False
    ) -> None:
        self.database = database if isinstance(database, Source) else Source("sqlite", str(database))
        self.folder, self.own_login_query = folder, own_login_query
        self.smtp, self.submission, self.imap, self.doveadm, self.milter = (free_port() for _ in range(5))
        self.api_key = secrets.token_hex(16)
        self.sink = Sink()
        self._opendkim, self._stack = opendkim, ExitStack()
        self._running: list[subprocess.Popen[bytes]] = []
        self._signer: subprocess.Popen[bytes] | None = None

    # Starting and stopping

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._stop)
            self._start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        threading.Thread(target=self.sink.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self._make_folders()
        self._write_configuration()
        if self._opendkim:
            # Killed at the end: it keeps nothing, but takes five seconds to say goodbye.
            self._signer = self._run("opendkim", "-f", "-x", self.folder / "opendkim.conf")
        self._run("dovecot", "-F", "-c", self.folder / "dovecot.conf")
        self._run("/usr/lib/postfix/sbin/master", "-c", self.folder / "postfix", "-d")
        for port in (self.smtp, self.submission, self.imap, self.doveadm, *([self.milter] if self._opendkim else [])):
            wait_for_port(port, self.folder / "log")

    def _run(self, *command: object) -> subprocess.Popen[bytes]:
        words = [str(part) for part in command]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "MAIL_CONFIG": str(self.folder / "postfix")}
        with (self.folder / "log" / "started.log").open("ab") as log:
            # A session of its own: Postfix's master ends its whole process group when it ends.
            process = subprocess.Popen(words, env=environment, stdout=log, stderr=log, start_new_session=True)
        self._running.append(process)
        return process

    def _stop(self) -> None:
        for process in self._running:
            process.send_signal(signal.SIGKILL if process is self._signer else signal.SIGTERM)
        for process in self._running:
            process.wait(20)
        self.sink.shutdown()
        self.sink.server_close()

    def _make_folders(self) -> None:
        postfix, vmail = pwd.getpwnam("postfix"), pwd.getpwnam("vmail")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        for name in ("postfix/sql", "log", "run", "state", "queue"):
            (self.folder / name).mkdir(parents=True)
        for name, owner in {"data": postfix, "mail": vmail}.items():
            (self.folder / name).mkdir()
            os.chown(self.folder / name, owner.pw_uid, owner.pw_gid)
        queue = self.folder / "queue"
        (queue / "pid").mkdir()
        for name in OURS:
            (queue / name).mkdir(mode=0o700)
            shutil.chown(queue / name, "postfix")
        for name, mode in {"public": 0o710, "maildrop": 0o730}.items():
            (queue / name).mkdir()
            (queue / name).chmod(mode)
            shutil.chown(queue / name, "postfix", "postdrop")
        if self.database.type == "sqlite":
            Path(self.database.name).touch()
            Path(self.database.name).chmod(0o644)  # throw-away; a real one is for three users (docs/servers.md)

    # Configuration

    def _write_configuration(self) -> None:
        known, files = recipes(), {}
        private = {name: getattr(self, name) for name in ("folder", "smtp", "submission", "imap")}
        options = known["/etc/postfix/master.cf"].rstrip("\n")
        files["postfix/main.cf"] = (
            POSTFIX.format(**private, sink=self.sink.server_address[1]) + known["/etc/postfix/main.cf"]
        )
        files["postfix/master.cf"] = SERVICES.format(**private, submission_options=options)
        files["dovecot.conf"] = (
            DOVECOT.format(**private, uid=pwd.getpwnam("vmail").pw_uid) + known["/etc/dovecot/local.conf"]
        )
        files["sql.conf"] = self._login_query(known["/etc/dovecot/reconciler-sql.conf.ext"])
        files["opendkim.conf"] = known["/etc/opendkim.conf"] + "Syslog no\n"
        for path, text in known.items():
            if path.startswith("/etc/postfix/sql/"):
                files[f"postfix/sql/{Path(path).name}"] = text
        for name, text in files.items():
            self._write(self.folder / name, text)

    def _login_query(self, text: str) -> str:
        if not self.own_login_query:
            return text
        return re.sub(r"password_query = (?:.*\\\n)*.*\n", f"password_query = {self.own_login_query}\n", text)

    def _write(self, path: Path, text: str) -> None:
        file = Path(self.database.name)
        text = self.database.translated(text)
        here = {
            "/var/lib/reconciler": file.parent,
            "sqlite3://mail/.sqlite": f"sqlite3://{file.stem}/{file.suffix}",
            "/etc/postfix/sql": self.folder / "postfix" / "sql",
            "/etc/dovecot/reconciler-sql.conf.ext": self.folder / "sql.conf",
            "/var/spool/postfix": self.folder / "queue",
            "/var/vmail": self.folder / "mail",
            "127.0.0.1:8891": f"127.0.0.1:{self.milter}",
            "inet:8891@": f"inet:{self.milter}@",
            "port = 8080": f"port = {self.doveadm}",
            "CHANGE-ME": self.api_key,
        }
        for example, real in here.items():
            text = text.replace(example, str(real))
        path.write_text(text, encoding="utf-8")
        os.utime(path, (0, time.time() - 60))  # Postfix waits a second or two for a file that has only just changed

    # What people do

    def set_password(self, address: str, password: str) -> None:
        """The owner sets a password: salted SHA-256 in Dovecot's spelling. The reconciler has no part in it."""
        salt = secrets.token_bytes(8)
        digest = base64.b64encode(hashlib.sha256(password.encode() + salt).digest() + salt).decode()
        with closing(sqlite3.connect(self.database.name)) as database, database:
            done = database.execute(
                "UPDATE mailbox SET password = ? WHERE username = ?", ("{SSHA256}" + digest, address)
            )
        assert done.rowcount == 1, f"no mailbox {address} in {self.database.name}"

    def send(self, sender: str, recipient: str, message: EmailMessage | None = None) -> None:
        """From the outside, to port 25; returns when it is delivered. Raises what smtplib raises."""
        with smtplib.SMTP("127.0.0.1", self.smtp, timeout=30) as client:
            client.send_message(message or letter(sender=sender, to=recipient), sender, [recipient])
        self.settle()

    def submit(
        self, login: str, password: str, sender: str, recipient: str, message: EmailMessage | None = None
    ) -> None:
        """As a person who has logged in; returns when it is delivered. Raises what smtplib raises."""
        with smtplib.SMTP("127.0.0.1", self.submission, timeout=30) as client:
            client.login(login, password)
            client.send_message(message or letter(sender=sender, to=recipient), sender, [recipient])
        self.settle()

    def settle(self) -> None:
        """Waits until Postfix has nothing under way: all is delivered, bounced or put off."""
        deadline = time.monotonic() + 30
        while any(p.is_file() for name in ("maildrop", "incoming", "active") for p in self._queued(name)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"mail is still under way after 30 s; see {self.folder / 'log'}")
            time.sleep(0.02)

    def _queued(self, name: str) -> list[Path]:
        return list((self.folder / "queue" / name).iterdir())

    def messages(self, login: str, password: str, folder: str = "INBOX") -> list[EmailMessage]:
        """What a person sees in a folder over IMAP; raises imaplib's error where login or folder is refused."""
        client = imaplib.IMAP4("127.0.0.1", self.imap, timeout=30)
        try:
            client.login(login, password)
            state, detail = client.select(f'"{folder}"', readonly=True)
            if state != "OK":
                raise imaplib.IMAP4.error(detail[0])
            _, parts = client.fetch("1:*", "(RFC822)") if detail != [b"0"] else ("OK", [])
            return [parsed(part[1]) for part in parts if isinstance(part, tuple)]
        finally:
            client.logout()
