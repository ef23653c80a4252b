"""Real PostgreSQL and MariaDB for tests: on loopback, below the ephemeral ports, in a folder of their own.

Each server is started as its own user (neither runs as root) and only what was started here is stopped.
"""

from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import psycopg
import pymysql

from tests.servers import binary, free_port
from tests.servers.postfixadmin import PROGRAM, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PASSWORD = "s3cret@/:pass wörd"
PHP_TYPES = {"sqlite": "sqlite", "postgresql": "pgsql", "mariadb": "mysqli"}


@dataclass(frozen=True)
class Server:
    """A running server: `fresh()` makes an empty database and gives its URL."""

    scheme: str
    user: str
    port: int
    create: Callable[[str], None]
    numbers: Iterator[int] = field(default_factory=count)

    def url(self, database: str, password: str = PASSWORD) -> str:
        return f"{self.scheme}://{self.user}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def fresh(self) -> str:
        database = f"mail{next(self.numbers)}"
        self.create(database)
        return self.url(database)


@contextmanager
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server that wants a password (SCRAM)."""
    programs = Path(binary("initdb") or "").parent
    with _folder("postgres") as folder:
        (folder / "password").write_text(PASSWORD, encoding="utf-8")
        secret = [f"--pwfile={folder / 'password'}", "--auth=scram-sha-256"]
        _run("postgres", programs / "initdb", "-D", folder / "data", "-U", "admin", "--no-sync", "-E", "UTF8", *secret)
        port = free_port()
        options = f"-p {port} -h 127.0.0.1 -k {folder} -F"
        control = (programs / "pg_ctl", "-D", folder / "data", "-l", folder / "log")
        _run("postgres", *control, "-w", "start", "-o", options)
        try:
            yield Server("postgresql", "admin", port, lambda name: _create_postgresql(port, name))
        finally:
            _run("postgres", *control, "-m", "immediate", "-w", "stop")


def _create_postgresql(port: int, name: str) -> None:
    login: dict[str, Any] = {"port": port, "user": "admin", "password": PASSWORD, "dbname": "postgres"}
    with psycopg.connect(host="127.0.0.1", **login, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())


@contextmanager
def mariadb() -> Iterator[Server]:
    """A MariaDB server whose user `admin` wants a password."""
    with _folder("mysql") as folder:
        data, port = folder / "data", free_port()
        user = [f"--user={pwd.getpwuid(folder.stat().st_uid).pw_name}"] if os.geteuid() == 0 else []
        common = ["--no-defaults", f"--datadir={data}", *user]
        _run("mysql", "mariadb-install-db", *common, "--skip-test-db", "--auth-root-authentication-method=normal")
        (folder / "init.sql").write_text(
            f"CREATE USER admin@localhost IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO admin@localhost;\n", "utf-8"
        )
        quick = [
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-flush-method=nosync",
            "--skip-innodb-doublewrite",
            "--skip-log-bin",
            "--innodb-buffer-pool-size=64M",
        ]
        listen = ["--bind-address=127.0.0.1", f"--port={port}", f"--socket={folder / 'socket'}"]
        command = [binary("mariadbd") or "", *common, *listen, *quick, f"--init-file={folder / 'init.sql'}"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait(lambda: _login_mariadb(port).close(), process)
            yield Server("mariadb", "admin", port, lambda name: _create_mariadb(port, name))
        finally:
            process.kill()  # its folder is thrown away; a good end takes seconds
            process.wait(20)


def _login_mariadb(port: int) -> pymysql.connections.Connection:
    return pymysql.connect(host="127.0.0.1", port=port, user="admin", password=PASSWORD.encode())


def _create_mariadb(port: int, name: str) -> None:
    with _login_mariadb(port) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")


def _wait(answers: Callable[[], None], process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        try:
            return answers()
        except pymysql.OperationalError:
            assert process.poll() is None, "the server went away while starting"
            time.sleep(0.05)
    raise TimeoutError("the server did not answer within 15 seconds")


@contextmanager
def _folder(user: str) -> Iterator[Path]:
    """A folder that the server's own user can write in; pytest's are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="reconciler-"))
    if os.geteuid() == 0:
        shutil.chown(folder, user)
        folder.chmod(0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(user: str, *command: object) -> None:
    words = [str(word) for word in command]
    prefix = ["runuser", "-u", user, "--"] if os.geteuid() == 0 and user == "postgres" else []
    subprocess.run([*prefix, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")


def install_postfixadmin(url: str, folder: Path) -> None:
    """Lets PostfixAdmin's own PHP code make its tables in an empty database; its program is copied into `folder`."""
    target = urlsplit(url)
    type_ = PHP_TYPES[target.scheme]
    name = target.path[1:]
    shutil.copytree(PROGRAM, folder, ignore=shutil.ignore_patterns("config.*.php", "templates_c"))
    (folder / "templates_c").mkdir()
    shutil.copy(PROGRAM.parents[2] / SETTINGS, folder)
    login = {"dbtype": type_, "dbname": name, "dbserver": "127.0.0.1", "dbport": target.port or ""}
    login |= {"dbuser": target.username or "", "dbpass": unquote(target.password or "")}
    lines = "".join(f"${key}='{value}';" for key, value in login.items())
    (folder / "dbconfig.inc.php").write_text(f"<?php {lines}", "utf-8")
    (folder / "config.local.php").write_text(f"<?php $CONF['database_port'] = '{target.port or ''}';", "utf-8")
    if type_ == "sqlite":
        Path(name).touch()
    done = subprocess.run(["php", "-q", "public/upgrade.php"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"PostfixAdmin's upgrade.php failed:\n{done.stdout}{done.stderr}"


def dump(url: str, sql: Sql) -> list[str]:
    """The statements that make the tables of a database once more."""
    target = urlsplit(url)
    if target.scheme == "sqlite":
        return [
            row[0] for row in sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
        ]
    if target.scheme == "mariadb":
        return ["SET foreign_key_checks = 0", *(sql(f"SHOW CREATE TABLE {row[0]}")[0][1] for row in sql("SHOW TABLES"))]
    words = ["pg_dump", "--schema-only", "-h", "127.0.0.1", "-p", str(target.port), "-U", "admin", target.path[1:]]
    environment = {**os.environ, "PGPASSWORD": PASSWORD}
    text = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout
    lines = [line for line in text.splitlines() if not line.startswith(("\\", "SET ", "SELECT pg_catalog.set_config"))]
    return ["\n".join(lines)]


class Sql:
    """A plain connection to a database by its URL, for looking at it and changing it behind the provider's back."""

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        login: dict[str, Any] = {"host": "127.0.0.1", "port": target.port, "user": target.username}
        self.connection: Any
        if target.scheme == "sqlite":
            self.connection = sqlite3.connect(target.path[1:], isolation_level=None)
        elif target.scheme == "postgresql":
            self.connection = psycopg.connect(**login, password=PASSWORD, dbname=target.path[1:], autocommit=True)
        else:
            self.connection = pymysql.connect(
                **login, password=PASSWORD.encode(), database=target.path[1:], autocommit=True
            )

    def __call__(self, text: str) -> list[tuple[Any, ...]]:
        cursor = self.connection.cursor()
        cursor.execute(text)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def close(self) -> None:
        self.connection.close()
