"""SQLite, PostgreSQL and MariaDB/MySQL behind one SQL text: `:name` parameters, `||` joins strings everywhere.

A session opens its own connection and closes it; nothing is shared, so threads and processes need no care. What
was not committed when it closes has not happened. Each driver is imported only when a URL asks for it. The drivers'
own exceptions are never chained: they may quote rows.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from reconciler.errors import Conflict, ProviderError, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

PATIENCE = 5  # seconds to wait for an answer or a lock
CHUNK = 500  # values in one IN (…): every engine takes that many
_PARAMETER = re.compile(r":(\w+)")


class Table(NamedTuple):
    """A table as it is made where it is missing: its columns, and one of them that needs an index.

    Column types may use {name} (255 characters), {flag}, {stamp} (a time), {number} and {text} (any length).
    """

    columns: str
    indexed: str = ""


@dataclass(frozen=True)
class _Engine:
    """What differs between the databases."""

    schemes: tuple[str, ...]
    types: Mapping[str, str]
    known: str  # asks which tables there are
    begin: tuple[str, ...]  # a transaction that writes
    snapshot: str  # a transaction that reads: all its queries see one moment
    connect: Callable[[_Target, str], tuple[Any, type[Exception]]]  # mode: ro or rwc
    explain: Callable[[Any], tuple[type[ProviderError], str]]
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


class Session:
    """One connection. Its methods raise ProviderError; Conflict where a key is taken or still pointed at."""

    def __init__(self, name: str, engine: _Engine, connection: Any, failure: type[Exception]) -> None:
        self._name, self._engine, self._failure = name, engine, failure
        self._connection = connection
        self._cursor = connection.cursor()

    def begin(self, *, write: bool) -> None:
        """Start a transaction: one snapshot to read from, or one that takes locks."""
        for text in self._engine.begin if write else [self._engine.snapshot]:
            self._call(self._cursor.execute, text)

    def commit(self) -> None:
        """Make durable what was written."""
        self._call(self._cursor.execute, "COMMIT")

    def select(self, text: str, names: Sequence[str] = (), *, locked: bool = False) -> list[Sequence[Any]]:
        """The rows of a query whose `(…)` stands for these names, however many; `locked` until the commit."""
        end, found = self._engine.lock if locked else "", []
        for start in range(0, len(names), CHUNK):
            values = {f"n{index}": name for index, name in enumerate(names[start : start + CHUNK])}
            marks = ", ".join(f":{key}" for key in values)
            self._call(self._cursor.execute, self._text(text.replace("…", marks) + end), values)
            found += self._call(self._cursor.fetchall)
        return found

    def write(self, text: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run one statement for each of these rows of parameters."""
        self._call(self._cursor.executemany, self._text(text), list(rows))

    def missing(self, tables: Iterable[str]) -> list[str]:
        """Those of the tables that are not there, in the order given."""
        self._call(self._cursor.execute, self._engine.known)
        there = {row[0] for row in self._call(self._cursor.fetchall)}
        return [table for table in tables if table not in there]

    def make(self, tables: Mapping[str, Table]) -> None:
        """Make the tables that are missing, alone: two that start on an empty database do not meet."""
        if not self.missing(tables):
            return
        self.begin(write=True)
        if self._engine.alone:
            self._call(self._cursor.execute, self._engine.alone)
        for name in self.missing(tables):
            for text in self._definition(name, tables[name]):
                self._call(self._cursor.execute, text)
        self.commit()

    def _definition(self, name: str, table: Table) -> Iterator[str]:
        inside = f", KEY {table.indexed} ({table.indexed})" if table.indexed and self._engine.inner_index else ""
        columns = table.columns.format_map(self._engine.types)
        yield f"CREATE TABLE IF NOT EXISTS {name} ({columns}{inside}){self._engine.table_end}"
        if table.indexed and not inside:
            yield f"CREATE INDEX IF NOT EXISTS {name}_{table.indexed}_idx ON {name} ({table.indexed})"

    def _text(self, text: str) -> str:
        return text if self._engine.native else _PARAMETER.sub(r"%(\1)s", text)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except self._failure as error:
            kind, why = self._engine.explain(error)
        raise kind(f"{self._name}: {why}")


class Statements:
    """Writes that are gathered row by row and run together, one statement text at a time in order of first use."""

    def __init__(self, stamped: Collection[str]) -> None:
        self._stamped = stamped  # tables with columns `created` and `modified`
        self._rows: dict[str, list[Mapping[str, Any]]] = defaultdict(list)

    def add(self, text: str, parameters: Mapping[str, Any]) -> None:
        self._rows[text].append(parameters)

    def insert(self, table: str, values: Mapping[str, Any]) -> None:
        marks = {column: f":{column}" for column in values}
        if table in self._stamped:
            marks |= {"created": "CURRENT_TIMESTAMP", "modified": "CURRENT_TIMESTAMP"}
        self.add(f"INSERT INTO {table} ({', '.join(marks)}) VALUES ({', '.join(marks.values())})", values)  # noqa: S608

    def update(self, table: str, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        sets = [f"{column} = :{column}" for column in values]
        stamp = ["modified = CURRENT_TIMESTAMP"] if table in self._stamped else []
        self.add(f"UPDATE {table} SET {', '.join(sets + stamp)} WHERE {_all(key)}", {**key, **values})  # noqa: S608

    def delete(self, table: str, **key: Any) -> None:
        self.add(f"DELETE FROM {table} WHERE {_all(key)}", key)  # noqa: S608 - table and columns are never data

    def run(self, session: Session) -> None:
        for text, rows in self._rows.items():
            session.write(text, rows)


def _all(key: Mapping[str, Any]) -> str:
    return " AND ".join(f"{column} = :{column}" for column in key)


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
        try:
            yield Session(self._name, engine, connection, failure)
        finally:
            connection.close()

    def _target(self) -> tuple[_Engine, _Target]:
        try:
            url = urlsplit(self._url)
            engine = next((engine for engine in _ENGINES if url.scheme in engine.schemes), None)
            target = _Target(url, Path(self._root), self._password or unquote(url.password or ""))
            usable = len(url.path) > 1 and (
                not url.netloc if engine is _SQLITE else url.port != 0 and bool(url.hostname)
            )
        except ValueError:  # its text may quote a part of the password
            usable = False
        if not usable or engine is None:
            raise Refused(
                f"{self._name}: `database` is not a URL this provider knows (sqlite:///FILE, postgresql://USER@HOST/NAME,"
                " mysql://USER@HOST/NAME; in a password write @ : / # ? % as %40 %3A %2F %23 %3F %25)"
            )
        return engine, target

    def _connect(self, engine: _Engine, target: _Target, mode: str) -> tuple[Any, type[Exception]]:
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
    if mode == "rwc":
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o666))  # less the umask; who may read it: docs/servers.md
    elif not file.exists():
        return sqlite3.connect(":memory:"), sqlite3.Error
    elif file.is_dir():
        raise IsADirectoryError(f"{file} is a folder")
    elif Path(f"{file}-journal").exists():
        mode = "rw"  # of a writer that was killed: SQLite takes its half-done transaction back, which is a write
    uri = f"file:{quote(str(file.absolute()))}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None), sqlite3.Error


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

    login = {**target.login(5432, "dbname"), "password": target.password or None}
    options = f"-c lock_timeout={PATIENCE}s -c client_min_messages=warning"
    connection = psycopg.connect(**login, autocommit=True, options=options, application_name="reconciler")
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
_SQLITE = _Engine(
    schemes=("sqlite",),
    types=_TYPES,
    known="SELECT name FROM sqlite_master WHERE type IN ('table', 'view')",
    begin=("BEGIN IMMEDIATE",),
    snapshot="BEGIN",
    connect=_sqlite,
    explain=_why_sqlite,
    native=True,
)
_POSTGRESQL = _Engine(
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
_MYSQL = _Engine(
    schemes=("mysql", "mariadb"),
    types=_TYPES,
    known="SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()",
    begin=("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION"),  # locks rows, never gaps
    snapshot="START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    connect=_mysql,
    explain=_why_mysql,
    lock=" FOR UPDATE",
    table_end=" ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    inner_index=True,
)
_ENGINES = (_SQLITE, _POSTGRESQL, _MYSQL)
