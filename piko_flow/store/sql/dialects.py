"""All that the three kinds of database are asked differently."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar, Literal

import orjson

from piko_flow.store.sql.statements import Statement, moment_text, statement, values_of

Kind = Literal["int", "bool", "word", "text", "long", "time"]
Columns = Mapping[str, Kind]
"""Columns of rows, by name: a `word` has at most 64 characters, a `text` 1,024, a `long` any number."""
NEW = re.compile(r"\{new\}(\w+)")  # the value that was to be inserted
GIVEN = re.compile(r"\bj\.(\w+)")  # a column of the rows that are given
FREE_ID = "(SELECT COALESCE(MAX(run_id), 0) + 1 FROM job_run)"


class SqlDialect(ABC):
    """How one kind of database wants things said, for PostgreSQL unless a subclass says otherwise.

    A statement is given any number of rows in one value; in its text they are a table `j`. Besides, `{now}` is
    the database's time and `{later}` that time and `:ttl` microseconds, `{at}` is an instant bound as `:at`,
    `{lock}` locks the rows that are read, and `{skip_locked}` passes over those that others have locked.
    `{join}` joins `j` (left) to a table that is to be looked up for each. Behind its name `{by_key}`, `{live}`,
    `{live_of_flow}` or `{of_flow}` say by which index, whatever the database believes: MariaDB reads small tables
    from end to end, and locks what it reads; to find the newest run of a flow it may read all runs.
    """

    name: ClassVar[str]
    mark: ClassVar[str]
    now: ClassVar[str]
    later: ClassVar[str]
    at: ClassVar[str] = ":at"
    join: ClassVar[str] = "JOIN"
    by_key: ClassVar[str] = ""
    live: ClassVar[str] = ""
    live_of_flow: ClassVar[str] = ""
    of_flow: ClassVar[str] = ""
    lock: ClassVar[str] = " FOR UPDATE"
    skip_locked: ClassVar[str] = " FOR UPDATE SKIP LOCKED"
    begin: ClassVar[str] = "BEGIN"
    transient: ClassVar[frozenset[Any]]
    """Codes of errors that say that the transaction met another and was undone."""
    closed: ClassVar[frozenset[Any]]
    """Codes of errors that say that at present nobody may write, or that the database is ending."""
    duplicate: ClassVar[Any]
    """The code of the error that says that a key is there already."""
    alone: ClassVar[tuple[tuple[str, ...], tuple[str, ...]]] = ((), ())
    """What keeps other processes from changing tables, however long it takes, and what lets them again."""
    session: ClassVar[tuple[str, ...]] = ()
    """What each new connection is told first; `{locked}` are the seconds, `{locked_ms}` the milliseconds, that a row may be waited for."""

    def statement(self, text: str, columns: Iterable[str] = (), *, each: bool = False) -> Statement:
        """The text for this database's driver, to be given rows of these columns."""
        for word in (
            "now",
            "later",
            "at",
            "join",
            "by_key",
            "live",
            "live_of_flow",
            "of_flow",
            "lock",
            "skip_locked",
        ):
            text = text.replace(f"{{{word}}}", getattr(self, word))
        return statement(text, self.mark, columns, each=each)

    def cell(self, column: str, kind: Kind) -> str:
        """A column that people edit, as something that the driver gives whatever stands there."""
        return column

    @abstractmethod
    def rows(self, columns: Columns) -> str:
        """The given rows as a table, to be followed by an alias."""

    def rows_text(self, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
        """The value that the rows are given as. Instants must be text already."""
        return orjson.dumps(list(map(values_of(columns), rows))).decode()

    @abstractmethod
    def bind(self, moment: datetime) -> Any:
        """The instant as the driver takes it."""

    def update_from(
        self, table: str, columns: Columns, *, on: str, sets: Mapping[str, str], where: str
    ) -> Statement:
        """Change the rows of `table` that match given ones."""
        text = f"UPDATE {table} SET {_changes(sets)} FROM {self.rows(columns)} AS j WHERE {on} AND {where}"
        return self.statement(text, columns)

    def delete_from(self, table: str, columns: Columns, *, where: str = "1 = 1") -> Statement:
        """Delete the rows of `table` whose columns are those of a given one."""
        names = ", ".join(columns)
        given = f"SELECT {names} FROM {self.rows(columns)} AS j"
        text = f"DELETE FROM {table} WHERE ({names}) IN ({given}) AND {where}"
        return self.statement(text, columns)

    def insert(self, table: str, columns: Columns, given: Mapping[str, str] | None = None) -> Statement:
        """Insert the given rows. `given` are columns that are not in them, as SQL."""
        return self._insert("INSERT", table, columns, given or {}, "")

    def insert_new(
        self, table: str, columns: Columns, given: Mapping[str, str] | None = None, *, key: str
    ) -> Statement:
        """Insert the given rows but those whose `key` is there already."""
        return self._insert("INSERT", table, columns, given or {}, f" ON CONFLICT ({key}) DO NOTHING")

    def upsert(
        self,
        table: str,
        columns: Columns,
        given: Mapping[str, str] | None = None,
        *,
        key: str,
        sets: Sequence[str] | Mapping[str, str],
    ) -> Statement:
        """Insert the given rows; of those whose key is there, replace the columns in `sets`, or set them as it says.

        In the values of a mapping `{new}x` is the value of column x that was to be inserted.
        """
        changes = sets if isinstance(sets, Mapping) else {name: f"{{new}}{name}" for name in sets}
        return self._insert("INSERT", table, columns, given or {}, self._on_conflict(key, changes))

    def _insert(
        self, verb: str, table: str, columns: Columns, given: Mapping[str, str], conflict: str
    ) -> Statement:
        values = ", ".join([*(f"j.{name}" for name in columns), *given.values()])
        text = f"{verb} INTO {table} ({', '.join([*columns, *given])}) SELECT {values} FROM {self.rows(columns)} AS j"
        return self.statement(text + conflict, columns)

    def _on_conflict(self, key: str, changes: Mapping[str, str]) -> str:
        said = {name: NEW.sub(r"excluded.\1", value) for name, value in changes.items()}
        return f" ON CONFLICT ({key}) DO UPDATE SET {_changes(said)}"

    @cached_property
    @abstractmethod
    def take_ids(self) -> Statement:
        """Reserve `:count` ids of runs, above those of rows that other tools made, and give the first."""

    @abstractmethod
    def line(self, columns: Columns) -> str:
        """A text of these columns of a row that is another one when one of them is; nothing else is asked of it."""

    @abstractmethod
    def digest(self, table: str, columns: Columns) -> str:
        """A scalar subquery: what differs when any of these columns differs in any row, or a row is there or not.

        The first column is the table's key.
        """


def _changes(sets: Mapping[str, str]) -> str:
    return ", ".join(f"{column} = {value}" for column, value in sets.items())


class Sqlite(SqlDialect):
    """One host, several processes. The time is that of the host, bound as a parameter.

    There is no way to a server that would have to be saved, so rows to be written are handed over one by one.
    """

    name, mark, now, later = "sqlite", "?", ":now", ":later"
    join, live = "CROSS JOIN", " INDEXED BY ix_job_run_status"
    live_of_flow = " INDEXED BY ix_job_run_live"
    of_flow = " INDEXED BY ix_job_run_flow"
    lock = skip_locked = ""  # a writer has the whole file
    begin = "BEGIN IMMEDIATE"
    transient = frozenset({5, 6})  # busy, locked
    closed = frozenset({8, 10, 13})  # read-only, input or output failed, full
    duplicate = 19
    session = (
        "PRAGMA busy_timeout = {locked_ms}",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA wal_autocheckpoint = 4000",
        "PRAGMA cache_size = -32000",
    )

    def rows(self, columns: Columns) -> str:
        said = ", ".join(f"value ->> {place} AS {name}" for place, name in enumerate(columns))
        return f"(SELECT {said} FROM json_each(:rows))"

    def bind(self, moment: datetime) -> Any:
        return moment_text(moment)

    def update_from(
        self, table: str, columns: Columns, *, on: str, sets: Mapping[str, str], where: str
    ) -> Statement:
        return self._each(f"UPDATE {table} SET {_changes(sets)} WHERE {on} AND {where}", columns)

    def delete_from(self, table: str, columns: Columns, *, where: str = "1 = 1") -> Statement:
        same = " AND ".join(f"{name} = j.{name}" for name in columns)
        return self._each(f"DELETE FROM {table} WHERE {same} AND {where}", columns)

    def _insert(
        self, verb: str, table: str, columns: Columns, given: Mapping[str, str], conflict: str
    ) -> Statement:
        values = ", ".join([*(f"j.{name}" for name in columns), *given.values()])
        text = f"{verb} INTO {table} ({', '.join([*columns, *given])}) VALUES ({values}){conflict}"
        return self._each(text, columns)

    def _each(self, text: str, columns: Columns) -> Statement:
        return self.statement(GIVEN.sub(r":\1", text), columns, each=True)

    @cached_property
    def take_ids(self) -> Statement:
        return self.statement(
            f"UPDATE run_id_block SET next_id = MAX(next_id, {FREE_ID}) + :count RETURNING next_id - :count"
        )

    def line(self, columns: Columns) -> str:
        return f"printf('{','.join(['%Q'] * len(columns))}', {', '.join(columns)})"

    def digest(self, table: str, columns: Columns) -> str:
        lines = f"SELECT {self.line(columns)} AS line FROM {table} ORDER BY {next(iter(columns))}"
        return f"(SELECT group_concat(line, ';') FROM ({lines}))"


class MySql(SqlDialect):
    """MariaDB from 10.6; MySQL 8 is asked the same and has not been tried. Texts compare by their bytes."""

    name, mark, now = "mysql", "%s", "UTC_TIMESTAMP(6)"
    later = "TIMESTAMPADD(MICROSECOND, :ttl, UTC_TIMESTAMP(6))"
    join, by_key, live = "STRAIGHT_JOIN", " FORCE INDEX (PRIMARY)", " FORCE INDEX (ix_job_run_status)"
    live_of_flow = " FORCE INDEX (ix_job_run_live)"
    of_flow = " FORCE INDEX (ix_job_run_flow)"
    begin = "START TRANSACTION"
    # Record changed since it was read, lock wait, deadlock.
    transient = frozenset({1020, 1205, 1213})
    # Shutting down, connection killed, read-only by option, by transaction and by mode.
    closed = frozenset({1053, 1927, 1290, 1792, 1836})
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
    session = (
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        # A cancelled statement goes on in MariaDB until it ends by itself; MySQL has no such variable. The rows
        # that are left out because their key is there would be warned of one by one.
        # Of MySQL every idle connection is closed: it has no time for those that are idle in a transaction.
        (
            "SET time_zone = '+00:00', innodb_lock_wait_timeout = {locked}, max_error_count = 0, "
            "net_read_timeout = {locked}, net_write_timeout = {locked}, "
            "sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO'"
            "/*M! , max_statement_time = 60, idle_transaction_timeout = {locked} */"
            "/*!80000 , wait_timeout = {locked} */"
        ),
    )
    types: ClassVar[Mapping[Kind, str]] = {
        "int": "BIGINT",
        "bool": "TINYINT",
        "word": "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "text": "VARCHAR(1024) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "long": "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "time": "DATETIME(6)",
    }

    def rows(self, columns: Columns) -> str:
        said = ", ".join(
            f"{name} {self.types[kind]} PATH '$[{place}]' NULL ON EMPTY ERROR ON ERROR"
            for place, (name, kind) in enumerate(columns.items())
        )
        return f"JSON_TABLE(:rows, '$[*]' COLUMNS ({said}))"

    def bind(self, moment: datetime) -> Any:
        return moment_text(moment)

    def update_from(
        self, table: str, columns: Columns, *, on: str, sets: Mapping[str, str], where: str
    ) -> Statement:
        changes = _changes({f"{table}.{column}": value for column, value in sets.items()})
        text = f"UPDATE {self.rows(columns)} AS j STRAIGHT_JOIN {table}{self.by_key} ON {on} SET {changes} WHERE {where}"
        return self.statement(text, columns)

    def delete_from(self, table: str, columns: Columns, *, where: str = "1 = 1") -> Statement:
        on = " AND ".join(f"{table}.{name} = j.{name}" for name in columns)
        rows = f"{self.rows(columns)} AS j STRAIGHT_JOIN {table}{self.by_key} ON {on}"
        return self.statement(f"DELETE {table} FROM {rows} WHERE {where}", columns)

    def insert_new(
        self, table: str, columns: Columns, given: Mapping[str, str] | None = None, *, key: str
    ) -> Statement:
        # IGNORE would also bend values to fit, which is why all texts are cut before they come here.
        return self._insert("INSERT IGNORE", table, columns, given or {}, "")

    def _insert(
        self, verb: str, table: str, columns: Columns, given: Mapping[str, str], conflict: str
    ) -> Statement:
        if given:  # the driver joins the rows of a statement into one only where all values are bound
            return super()._insert(verb, table, columns, given, conflict)
        values = ", ".join(f":{name}" for name in columns)
        text = f"{verb} INTO {table} ({', '.join(columns)}) VALUES ({values}){conflict}"
        return self.statement(text, columns, each=True)

    def _on_conflict(self, key: str, changes: Mapping[str, str]) -> str:
        said = {name: NEW.sub(r"VALUES(\1)", value) for name, value in changes.items()}
        return f" ON DUPLICATE KEY UPDATE {_changes(said)}"

    @cached_property
    def take_ids(self) -> Statement:
        # The connection's last id is what LAST_INSERT_ID was given, so no second statement has to ask.
        return self.statement(
            f"UPDATE run_id_block SET next_id = LAST_INSERT_ID(GREATEST(next_id, {FREE_ID})) + :count"
        )

    def cell(self, column: str, kind: Kind) -> str:
        return f"CAST({column} AS CHAR)" if kind == "time" else column  # the driver gives None for 0000-00-00

    def line(self, columns: Columns) -> str:
        told = ", ".join(
            f"QUOTE({column})" if kind in ("text", "long") else f"IFNULL({column}, '-')"
            for column, kind in columns.items()
        )
        return f"MD5(CONCAT_WS(',', {told}))"

    def digest(self, table: str, columns: Columns) -> str:
        # A CRC of one line changes with each edit of up to 32 bits, and by chance stays the same with one of four
        # billion others. Lines that are edited alike change alike: the outer CRC keeps them from cancelling out.
        told = ", ".join(
            column if kind in ("text", "long") else f"IFNULL({column}, '-')"
            for column, kind in columns.items()
        )
        line = f"CRC32(CRC32(CONCAT_WS(_utf8mb4 0x1F, {told})))"
        return f"(SELECT CONCAT(COUNT(*), ':', BIT_XOR({line})) FROM {table})"


class Postgres(SqlDialect):
    """PostgreSQL from 13."""

    name, mark, now = "postgresql", "$", "statement_timestamp()"
    later = "(statement_timestamp() + CAST(:ttl AS bigint) * interval '1 microsecond')"
    at = "CAST(:at AS timestamptz)"
    begin = "BEGIN ISOLATION LEVEL READ COMMITTED"
    # Serialisation failure, deadlock, lock timeout.
    transient = frozenset({"40001", "40P01", "55P03"})
    # Read-only, disk full, ended by an administrator, by a crash, not yet started.
    closed = frozenset({"25006", "53100", "57P01", "57P02", "57P03"})
    duplicate = "23505"
    # Both end with the transaction.
    alone = (("SELECT pg_advisory_xact_lock(8243721890455)", "SET LOCAL statement_timeout = 0"), ())
    types: ClassVar[Mapping[Kind, str]] = {
        "int": "bigint",
        "bool": "boolean",
        "word": "text",
        "text": "text",
        "long": "text",
        "time": "timestamptz",
    }

    def cell(self, column: str, kind: Kind) -> str:
        if kind == "time":  # the driver fails at years that Python has not
            return f"trim('\"' FROM CAST(to_json({column}) AS text))"
        return (
            f"CAST({column} AS text)" if kind == "long" else column
        )  # of JSON it would give Python's objects

    def rows(self, columns: Columns) -> str:
        said = ", ".join(f"{name} {self.types[kind]}" for name, kind in columns.items())
        # A function's own column list takes no name besides, so it is wrapped.
        return f"(SELECT * FROM jsonb_to_recordset(CAST(CAST(:rows AS text) AS jsonb)) AS r({said}))"

    def rows_text(self, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
        return orjson.dumps(list(rows)).decode()

    def bind(self, moment: datetime) -> Any:
        return moment.astimezone(UTC)

    @cached_property
    def take_ids(self) -> Statement:
        return self.statement(
            f"UPDATE run_id_block SET next_id = GREATEST(next_id, {FREE_ID}) + CAST(:count AS bigint) "
            "RETURNING next_id - CAST(:count AS bigint)"
        )

    def line(self, columns: Columns) -> str:
        return f"md5(CAST(ROW({', '.join(columns)}) AS text))"

    def digest(self, table: str, columns: Columns) -> str:
        line = f"CAST(ROW({', '.join(columns)}) AS text)"
        sums = (f"coalesce(sum(hashtextextended({line}, {seed})::numeric), 0)" for seed in (0, 1))
        said = " || ':' || ".join(["count(*)", *sums])
        return f"(SELECT {said} FROM {table})"


DIALECTS: Mapping[str, SqlDialect] = {one.name: one for one in (Sqlite(), MySql(), Postgres())}
