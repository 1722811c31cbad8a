"""All that the three kinds of database are asked differently."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar, Literal

from piko_flow.store.sql.statements import Statement, moment_text, statement

Kind = Literal["int", "bool", "text", "long", "time"]
Columns = Mapping[str, Kind]
NEW = re.compile(r"\{new\}(\w+)")  # the value that was to be inserted


class SqlDialect(ABC):
    """How one kind of database wants things said. `rows` is a table made of the JSON text bound as `:rows`.

    In texts for `statement`, `{now}` is the database's time and `{later}` that time and `:ttl` microseconds,
    `{at}` an instant that is bound as `:at`,
    `{lock}` locks the rows that are read, and `{skip_locked}` passes over those that others have locked.
    `{join}` joins bound rows (left) to a table that is to be looked up for each, whatever the database believes
    of its other indexes; `{loose}` before a column keeps SQLite from such a belief.
    """

    name: ClassVar[str]
    mark: ClassVar[str]
    now: ClassVar[str]
    later: ClassVar[str]
    at: ClassVar[str] = ":at"
    join: ClassVar[str] = "JOIN"
    loose: ClassVar[str] = ""
    lock: ClassVar[str] = " FOR UPDATE"
    skip_locked: ClassVar[str] = " FOR UPDATE SKIP LOCKED"
    begin: ClassVar[str] = "BEGIN"
    transient: ClassVar[frozenset[Any]]
    """Codes of errors that say that the transaction met another and was undone."""
    duplicate: ClassVar[Any]
    """The code of the error that says that a key is there already."""
    alone: ClassVar[tuple[tuple[str, ...], tuple[str, ...]]]
    """What keeps other processes from changing tables, however long it takes, and what lets them again."""
    types: ClassVar[Mapping[Kind, str]]
    session: ClassVar[tuple[str, ...]] = ()
    """What each new connection is told first."""

    def statement(self, text: str) -> Statement:
        """The text for this database's driver."""
        for word in ("now", "later", "at", "join", "loose", "lock", "skip_locked"):
            text = text.replace(f"{{{word}}}", getattr(self, word))
        return statement(text, self.mark)

    def json_text(self, column: str) -> str:
        """A JSON column as the text that it holds."""
        return column

    @abstractmethod
    def rows(self, columns: Columns) -> str:
        """The bound rows as a table, to be given an alias."""

    @abstractmethod
    def bind(self, moment: datetime) -> Any:
        """The instant as the driver takes it."""

    def update_from(
        self, table: str, columns: Columns, *, on: str, sets: Mapping[str, str], where: str
    ) -> Statement:
        """Change the rows of `table` that match bound rows `j`."""
        changes = ", ".join(f"{column} = {value}" for column, value in sets.items())
        return self.statement(
            f"UPDATE {table} SET {changes} FROM {self.rows(columns)} AS j WHERE {on} AND {where}"
        )

    def delete_from(self, table: str, columns: Columns) -> Statement:
        """Delete the rows of `table` whose columns are those of a bound row."""
        names = ", ".join(columns)
        return self.statement(
            f"DELETE FROM {table} WHERE ({names}) IN (SELECT {names} FROM {self.rows(columns)} AS j)"
        )

    def insert(self, table: str, columns: Columns, given: Mapping[str, str] | None = None) -> Statement:
        """Insert the bound rows. `given` are columns not in the rows, as SQL."""
        names, values = _listed(columns, given or {})
        return self.statement(f"INSERT INTO {table} ({names}) SELECT {values} FROM {self.rows(columns)} AS j")

    def insert_new(
        self, table: str, columns: Columns, given: Mapping[str, str] | None = None, *, key: str
    ) -> Statement:
        """Insert the bound rows; one whose `key` is there already is left out. `given` are columns not in the rows."""
        names, values = _listed(columns, given or {})
        return self.statement(
            f"INSERT INTO {table} ({names}) SELECT {values} FROM {self.rows(columns)} AS j WHERE true "
            f"ON CONFLICT ({key}) DO NOTHING"
        )

    def upsert(
        self,
        table: str,
        columns: Columns,
        given: Mapping[str, str] | None = None,
        *,
        key: str,
        sets: Sequence[str] | Mapping[str, str],
    ) -> Statement:
        """Insert the bound rows; of those whose key is there, replace the columns in `sets` (or set them as it says).

        In the values of a mapping `{new}x` is the value of column x that was to be inserted.
        """
        names, values = _listed(columns, given or {})
        changes = sets if isinstance(sets, Mapping) else {name: f"{{new}}{name}" for name in sets}
        return self.statement(
            f"INSERT INTO {table} ({names}) SELECT {values} FROM {self.rows(columns)} AS j WHERE true "
            + self._on_conflict(table, key, changes)
        )

    def _on_conflict(self, table: str, key: str, changes: Mapping[str, str]) -> str:
        said = ", ".join(f"{name} = {self._new(value)}" for name, value in changes.items())
        return f"ON CONFLICT ({key}) DO UPDATE SET {said}"

    def _new(self, value: str) -> str:
        return NEW.sub(r"excluded.\1", value)

    @cached_property
    @abstractmethod
    def take_ids(self) -> Statement:
        """Reserve `:count` ids of runs and give the first."""

    @abstractmethod
    def digest(self, table: str, columns: Sequence[str], rest: str = "") -> str:
        """A scalar subquery: what differs when any of these columns differs in any row, or a row is there or not."""


def _listed(columns: Columns, given: Mapping[str, str]) -> tuple[str, str]:
    names = ", ".join([*columns, *given])
    return names, ", ".join([*(f"j.{name}" for name in columns), *given.values()])


class Sqlite(SqlDialect):
    """One host, several processes. The time is that of the host, bound as a parameter."""

    name, mark, now, later = "sqlite", "?", ":now", ":later"
    join, loose = "CROSS JOIN", "+"
    lock = skip_locked = ""  # a writer has the whole file
    begin = "BEGIN IMMEDIATE"
    transient = frozenset({5, 6})  # busy, locked
    duplicate = 19
    alone = ((), ())  # the transaction has the whole file
    types: ClassVar[Mapping[Kind, str]] = {}  # a value has the type it has
    session = (
        "PRAGMA busy_timeout = 10000",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = OFF",
    )

    def rows(self, columns: Columns) -> str:
        said = ", ".join(f"value ->> '$.{name}' AS {name}" for name in columns)
        return f"(SELECT {said} FROM json_each(:rows))"

    def update_from(
        self, table: str, columns: Columns, *, on: str, sets: Mapping[str, str], where: str
    ) -> Statement:
        # The plus keeps the planner from the index of states: a bound row finds its run by the primary key.
        guarded = where.replace(f"{table}.status", f"+{table}.status")
        return super().update_from(table, columns, on=on, sets=sets, where=guarded)

    def bind(self, moment: datetime) -> Any:
        return moment_text(moment)

    @cached_property
    def take_ids(self) -> Statement:
        return self.statement("UPDATE run_id_block SET next_id = next_id + :count RETURNING next_id - :count")

    def digest(self, table: str, columns: Sequence[str], rest: str = "") -> str:
        said = " || ',' || ".join(f"quote({column})" for column in columns)
        return f"(SELECT group_concat(line, ';') FROM (SELECT {said} AS line FROM {table} {rest} ORDER BY 1))"


class MySql(SqlDialect):
    """MariaDB from 10.6; MySQL 8 is asked the same and has not been tried. Texts compare by their bytes."""

    name, mark, now = "mysql", "%s", "UTC_TIMESTAMP(6)"
    later = "TIMESTAMPADD(MICROSECOND, :ttl, UTC_TIMESTAMP(6))"
    join = "STRAIGHT_JOIN"
    begin = "START TRANSACTION"
    # Record changed since it was read, lock wait, deadlock.
    transient = frozenset({1020, 1205, 1213})
    duplicate = 1062
    alone = (
        (
            "SELECT GET_LOCK(CONCAT('piko_flow:', DATABASE()), 25)",
            "SET time_zone = '+00:00' /*M! , max_statement_time = 0 */",
        ),
        (
            "SET time_zone = '+00:00' /*M! , max_statement_time = 60 */",
            "SELECT RELEASE_LOCK(CONCAT('piko_flow:', DATABASE()))",
        ),
    )
    types: ClassVar[Mapping[Kind, str]] = {
        "int": "BIGINT",
        "bool": "TINYINT",
        "text": "VARCHAR(1024) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "long": "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "time": "DATETIME(6)",
    }
    session = (
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        # A cancelled statement goes on in MariaDB until it ends by itself; MySQL has no such variable.
        (
            "SET time_zone = '+00:00', innodb_lock_wait_timeout = 10, max_error_count = 0, "
            "sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO'"
            "/*M! , max_statement_time = 60 */"
        ),
    )

    def rows(self, columns: Columns) -> str:
        said = ", ".join(
            f"{name} {self.types[kind]} PATH '$.{name}' NULL ON EMPTY ERROR ON ERROR"
            for name, kind in columns.items()
        )
        return f"JSON_TABLE(:rows, '$[*]' COLUMNS ({said}))"

    def bind(self, moment: datetime) -> Any:
        return moment_text(moment)

    def update_from(
        self, table: str, columns: Columns, *, on: str, sets: Mapping[str, str], where: str
    ) -> Statement:
        changes = ", ".join(f"{table}.{column} = {value}" for column, value in sets.items())
        return self.statement(
            f"UPDATE {self.rows(columns)} AS j STRAIGHT_JOIN {table} ON {on} SET {changes} WHERE {where}"
        )

    def delete_from(self, table: str, columns: Columns) -> Statement:
        on = " AND ".join(f"{table}.{name} = j.{name}" for name in columns)
        return self.statement(f"DELETE {table} FROM {self.rows(columns)} AS j STRAIGHT_JOIN {table} ON {on}")

    def insert_new(
        self, table: str, columns: Columns, given: Mapping[str, str] | None = None, *, key: str
    ) -> Statement:
        # IGNORE would also bend values to fit, which is why all texts are cut before they come here.
        names, values = _listed(columns, given or {})
        return self.statement(
            f"INSERT IGNORE INTO {table} ({names}) SELECT {values} FROM {self.rows(columns)} AS j"
        )

    def _on_conflict(self, table: str, key: str, changes: Mapping[str, str]) -> str:
        said = ", ".join(f"{name} = {self._new(value)}" for name, value in changes.items())
        return f"ON DUPLICATE KEY UPDATE {said}"

    def _new(self, value: str) -> str:
        return NEW.sub(r"VALUES(\1)", value)

    @cached_property
    def take_ids(self) -> Statement:
        # The connection's last id is what LAST_INSERT_ID was given, so no second statement has to ask.
        return self.statement("UPDATE run_id_block SET next_id = LAST_INSERT_ID(next_id) + :count")

    def digest(self, table: str, columns: Sequence[str], rest: str = "") -> str:
        line = ", ',', ".join(f"QUOTE({column})" for column in columns)
        halves = (f"CONV({side}(line_hash, 16), 16, 10)" for side in ("LEFT", "RIGHT"))
        said = ", ':', ".join(f"BIT_XOR(CAST({half} AS UNSIGNED))" for half in halves)
        return f"(SELECT CONCAT(COUNT(*), ':', {said}) FROM (SELECT MD5(CONCAT({line})) AS line_hash FROM {table} {rest}) AS d)"


class Postgres(SqlDialect):
    """PostgreSQL from 13."""

    name, mark, now = "postgresql", "$", "statement_timestamp()"
    later = "(statement_timestamp() + CAST(:ttl AS bigint) * interval '1 microsecond')"
    at = "CAST(:at AS timestamptz)"
    begin = "BEGIN ISOLATION LEVEL READ COMMITTED"
    # Serialisation failure, deadlock, lock timeout.
    transient = frozenset({"40001", "40P01", "55P03"})
    duplicate = "23505"
    # Both end with the transaction.
    alone = (("SELECT pg_advisory_xact_lock(8243721890455)", "SET LOCAL statement_timeout = 0"), ())
    types: ClassVar[Mapping[Kind, str]] = {
        "int": "bigint",
        "bool": "boolean",
        "text": "text",
        "long": "text",
        "time": "timestamptz",
    }

    def json_text(self, column: str) -> str:
        return f"CAST({column} AS text)"  # the driver would give Python's objects

    def rows(self, columns: Columns) -> str:
        said = ", ".join(f"{name} {self.types[kind]}" for name, kind in columns.items())
        # A function's own column list takes no name besides, so it is wrapped.
        return f"(SELECT * FROM jsonb_to_recordset(CAST(CAST(:rows AS text) AS jsonb)) AS r({said}))"

    def bind(self, moment: datetime) -> Any:
        return moment.astimezone(UTC)

    @cached_property
    def take_ids(self) -> Statement:
        return self.statement(
            "UPDATE run_id_block SET next_id = next_id + CAST(:count AS bigint) "
            "RETURNING next_id - CAST(:count AS bigint)"
        )

    def digest(self, table: str, columns: Sequence[str], rest: str = "") -> str:
        line = f"CAST(ROW({', '.join(columns)}) AS text)"
        said = " || ':' || ".join(
            f"coalesce(sum(hashtextextended({line}, {seed})::numeric), 0)" for seed in (0, 1)
        )
        return f"(SELECT count(*) || ':' || {said} FROM {table} {rest})"


DIALECTS: Mapping[str, SqlDialect] = {one.name: one for one in (Sqlite(), MySql(), Postgres())}
