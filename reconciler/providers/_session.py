"""One connection and one SQL text for all engines: `:name` parameters, `||` joins strings everywhere.

Whatever a driver raises becomes a ProviderError here, and is not chained: it may quote rows.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from reconciler.providers._sql import Engine

CHUNK = 500  # values in one IN (…): every engine takes that many
_PARAMETER = re.compile(r":(\w+)")


class Table(NamedTuple):
    """A table as it is made where it is missing: its columns, and one of them that needs an index.

    Column types may use {name} (255 characters), {flag}, {stamp} (a time), {number} and {text} (any length).
    """

    columns: str
    indexed: str = ""


class Session:
    """One connection. Its methods raise ProviderError; Conflict where a key is taken or still pointed at."""

    def __init__(self, name: str, engine: Engine, connection: Any, failure: type[Exception]) -> None:
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

    def close(self) -> None:
        """End the last statement: SQLite keeps what it locked as long as one is open, closed connection or not."""
        self._cursor.close()

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
        """Make the tables that are missing, alone: two that start on an empty database do not meet.

        Raises Refused where one of those that are there knows no transactions: half a batch could stay written.
        """
        self._transactional(tables)
        if not self.missing(tables):
            return
        self.begin(write=True)
        if self._engine.alone:
            self._call(self._cursor.execute, self._engine.alone)
        for name in self.missing(tables):
            for text in self._definition(name, tables[name]):
                self._call(self._cursor.execute, text)
        self.commit()

    def _transactional(self, tables: Iterable[str]) -> None:
        if not self._engine.loose:
            return
        self._call(self._cursor.execute, self._engine.loose)
        there = {row[0] for row in self._call(self._cursor.fetchall)}
        loose = [table for table in tables if table in there]
        if loose:
            how = "; ".join(f"ALTER TABLE {table} ENGINE=InnoDB" for table in loose)
            raise Refused(
                f"{self._name}: {', '.join(loose)}: the storage engine knows no transactions, so a batch could be"
                f" written by half; nothing was written. Convert them first: {how}"
            )

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
        except Exception as error:  # noqa: BLE001 - what a driver makes of a value it cannot bind or decode
            kind, why = Refused, f"a value is none that the database or its driver can hold ({type(error).__name__})"
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
