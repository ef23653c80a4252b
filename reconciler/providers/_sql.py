"""SQLite, PostgreSQL and MariaDB/MySQL: what a URL leads to, and what differs between the three.

A session opens its own connection and closes it; nothing is shared, so threads and processes need no care. What
was not committed when it closes has not happened. Each driver is imported only when a URL asks for it. The drivers'
own exceptions are never chained: they may quote rows.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from reconciler.errors import Conflict, ProviderError, Refused, Unreachable
from reconciler.providers import _shapes
from reconciler.providers._session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from reconciler.providers._shapes import Problem

PATIENCE = 5  # seconds to wait for an answer or a lock


@dataclass(frozen=True)
class Engine:
    """What differs between the databases."""

    schemes: tuple[str, ...]
    types: Mapping[str, str]
    known: str  # asks which tables there are
    begin: tuple[str, ...]  # a transaction that writes
    snapshot: str  # a transaction that reads: all its queries see one moment
    connect: Callable[[_Target, str], tuple[Any, type[Exception]]]  # mode: ro or rwc
    explain: Callable[[Any], tuple[type[ProviderError], str]]
    loose: str = ""  # asks which tables know no transactions
    lock: str = ""  # ends a SELECT whose rows nobody else may change until the commit
    alone: str = ""  # begins the making of tables
    native: bool = False  # the driver itself knows `:name`
    table_end: str = ""
    inner_index: bool = False


class _Target(NamedTuple):
    url: SplitResult
    root: Path
    password: str

    @property
    def file(self) -> Path:
        return self.root / unquote(self.url.path.removeprefix("/"))

    def login(self, port: int, database: str) -> dict[str, Any]:
        """What both network drivers call by the same name; what follows `?` in the URL is the driver's own."""
        return {
            "host": self.url.hostname or "127.0.0.1",
            "port": self.url.port or port,
            "user": unquote(self.url.username or ""),
            database: unquote(self.url.path.removeprefix("/")),
            "connect_timeout": PATIENCE,
            **dict(parse_qsl(self.url.query)),
        }


NO_URL = (
    "must be a URL this provider knows (sqlite:///FILE, postgresql://USER@HOST/NAME, mysql://USER@HOST/NAME;"
    " in a password write @ : / # ? % as %40 %3A %2F %23 %3F %25)"
)


def problems(settings: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the settings `database` and `password`; neither is quoted."""
    yield from _shapes.texts(settings, "database")
    if settings.get("password") != "":
        yield from _shapes.texts(settings, "password")
    if isinstance(settings.get("database"), str) and _found(settings["database"]) is None:
        yield ("database",), NO_URL


def _found(text: str) -> tuple[Engine, SplitResult] | None:
    """The engine a URL is for, and its parts; None where it is not usable."""
    try:
        url = urlsplit(text)
        engine = next((engine for engine in _ENGINES if url.scheme in engine.schemes), None)
        usable = len(url.path) > 1 and (not url.netloc if engine is _SQLITE else url.port != 0 and bool(url.hostname))
    except ValueError:  # its text may quote a part of the password
        return None
    return (engine, url) if engine is not None and usable and "\0" not in unquote(url.path) else None


class Database:
    """What a URL leads to: `sqlite:///FILE` (below `root`; `sqlite:////FILE` is absolute), `postgresql://…`, `mysql://…`.

    A password in `password` takes the place of the URL's.
    """

    def __init__(self, name: str, url: str, root: str, password: str = "") -> None:
        self._name, self._url, self._root, self._password = name, url, root, password

    @contextmanager
    def session(self, *, write: bool) -> Iterator[Session]:
        """A connection of its own, closed at the end. A SQLite file that is not there reads as an empty database."""
        engine, target = self._target()
        connection, failure = self._connect(engine, target, "rwc" if write else "ro")
        found = Session(self._name, engine, connection, failure)
        try:
            yield found
        finally:
            with suppress(failure):  # of a connection that is lost
                found.close()
            connection.close()

    def _target(self) -> tuple[Engine, _Target]:
        found = _found(self._url)
        if found is None:
            raise Refused(f"{self._name}: `database` {NO_URL}")
        engine, url = found
        return engine, _Target(url, Path(self._root), self._password or unquote(url.password or ""))

    def _connect(self, engine: Engine, target: _Target, mode: str) -> tuple[Any, type[Exception]]:
        kind: type[ProviderError] = Refused
        try:
            return engine.connect(target, mode)
        except ImportError:
            why = f"its driver is not installed: pip install 'mail-reconciler[{engine.schemes[0]}]'"
        except (TypeError, ValueError):
            why = "`database` has options after `?` that its driver does not take"
        except Exception as error:  # noqa: BLE001 - the class is the driver's, which may not be there
            kind, why = engine.explain(error)
        raise kind(f"{self._name}: {why}")


def _sqlite(target: _Target, mode: str) -> tuple[Any, type[Exception]]:
    file = target.file
    if file.exists() and not file.is_file():  # a pipe would never answer, a device might act
        raise OSError(f"{file} is no regular file")
    if mode == "rwc":
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o666))  # less the umask; who may read it: docs/servers.md
    elif not file.exists():
        return sqlite3.connect(":memory:"), sqlite3.Error
    elif Path(f"{file}-journal").exists():
        mode = "rw"  # of a writer that was killed: SQLite takes its half-done transaction back, which is a write
    uri = f"file:{quote(str(file.absolute()))}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)
    connection.text_factory = _text
    return connection, sqlite3.Error


def _text(raw: bytes) -> str:
    """Text as a driver gives it; bytes that are no UTF-8 as surrogates: one bad row is not to hide all others."""
    return raw.decode("utf-8", "surrogateescape")


def _why_sqlite(error: Exception) -> tuple[type[ProviderError], str]:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_CONSTRAINT:
        return Conflict, f"nothing was written: {error}"
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return Unreachable, f"the database is locked by another program for more than {PATIENCE} s"
    if code in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL}:
        return Unreachable, str(error)
    return Refused, str(error)


def _postgresql(target: _Target, _mode: str) -> tuple[Any, type[Exception]]:
    import psycopg

    class Text(psycopg.adapt.Loader):
        def load(self, data: Any) -> str:
            return _text(bytes(data))

    login = {**target.login(5432, "dbname"), "password": target.password or None, "client_encoding": "utf8"}
    options = f"-c lock_timeout={PATIENCE}s -c client_min_messages=warning"
    connection = psycopg.connect(**login, autocommit=True, options=options, application_name="reconciler")
    if connection.info.parameter_status("server_encoding") == "SQL_ASCII":  # anything may be in its texts
        connection.execute("SET client_encoding = SQL_ASCII")
        for type_ in ("text", "varchar", "bpchar", "name"):
            connection.adapters.register_loader(type_, Text)
    return connection, psycopg.Error


def _why_postgresql(error: Any) -> tuple[type[ProviderError], str]:
    state = getattr(error, "sqlstate", None) or ""
    text = getattr(getattr(error, "diag", None), "message_primary", None) or str(error).strip().partition("\n")[0]
    if state in {"23503", "23505"}:
        return Conflict, f"nothing was written: {text}"
    refused = any(sign in text for sign in ("authentication failed", "does not exist", "pg_hba.conf", "invalid "))
    if state[:2] in {"08", "40", "53", "55", "57"} or (not state and not refused):
        return Unreachable, text
    return Refused, text


def _mysql(target: _Target, _mode: str) -> tuple[Any, type[Exception]]:
    import pymysql

    mode = "sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT,STRICT_ALL_TABLES')"
    return pymysql.connect(
        **target.login(3306, "database"),
        password=target.password.encode(),
        charset="utf8mb4",
        autocommit=True,
        read_timeout=6 * PATIENCE,
        write_timeout=6 * PATIENCE,
        init_command=f"SET SESSION {mode}, innodb_lock_wait_timeout = {PATIENCE}",
    ), pymysql.Error


_GONE = {1040, 1053, 1203, 1205, 1213, 2002, 2003, 2006, 2013, 2014}  # too many, shutdown, lock waits, no connection


def _why_mysql(error: Exception) -> tuple[type[ProviderError], str]:
    code, text = error.args if len(error.args) == 2 else (2006, "the connection is closed")
    if code in {1062, 1451, 1452}:
        return Conflict, f"nothing was written: {text}"
    return (Unreachable if code in _GONE else Refused), text or "the connection is closed"


_TYPES = {"name": "varchar(255)", "flag": "tinyint(1)", "stamp": "datetime", "number": "bigint", "text": "text"}
_SQLITE = Engine(
    schemes=("sqlite",),
    types=_TYPES,
    known="SELECT name FROM sqlite_master WHERE type IN ('table', 'view')",
    begin=("BEGIN IMMEDIATE",),
    snapshot="BEGIN",
    connect=_sqlite,
    explain=_why_sqlite,
    native=True,
)
_POSTGRESQL = Engine(
    schemes=("postgresql", "postgres"),
    types={**_TYPES, "flag": "boolean", "stamp": "timestamp with time zone"},
    known="SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_table_is_visible(oid)",
    begin=("BEGIN",),
    snapshot="BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    connect=_postgresql,
    explain=_why_postgresql,
    lock=" FOR UPDATE",
    alone="SELECT pg_advisory_xact_lock(7237128)",
)
_MYSQL = Engine(
    schemes=("mysql", "mariadb"),
    types=_TYPES,
    known="SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()",
    begin=("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION"),  # locks rows, never gaps
    snapshot="START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    loose="SELECT t.table_name FROM information_schema.tables t JOIN information_schema.engines e USING (engine)"
    " WHERE t.table_schema = DATABASE() AND e.transactions <> 'YES'",
    connect=_mysql,
    explain=_why_mysql,
    lock=" FOR UPDATE",
    table_end=" ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    inner_index=True,
)
_ENGINES = (_SQLITE, _POSTGRESQL, _MYSQL)
