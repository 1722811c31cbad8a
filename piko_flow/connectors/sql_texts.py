"""The SQL that each kind of database is told, with the places that its driver fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final


class SqlTexts:
    """The texts for SQLite and PostgreSQL, unless a subclass says otherwise. Values are always bound by the driver."""

    name: ClassVar[str]
    mark: ClassVar[str] = '"'

    def quoted(self, name: str) -> str:
        """One name, whatever is in it."""
        return self.mark + name.replace(self.mark, self.mark * 2) + self.mark

    def table(self, name: str) -> str:
        """A table, with its schema if there is a dot in the name."""
        return ".".join(map(self.quoted, name.split(".")))

    def literal(self, text: str) -> str:
        """A statement of a user, as the driver leaves it as it is."""
        return text

    def place(self, number: int) -> str:
        """Where the driver puts the value of this number, counted from 1."""
        return "?"

    def insert(self, table: str, columns: Sequence[str]) -> str:
        """Insert one row."""
        names = ", ".join(map(self.quoted, columns))
        places = ", ".join(self.place(number) for number in range(1, len(columns) + 1))
        return f"INSERT INTO {self.table(table)} ({names}) VALUES ({places})"

    def upsert(self, table: str, columns: Sequence[str], key: Sequence[str]) -> str:
        """Insert one row, or replace what is there under its key."""
        others = [self.quoted(column) for column in columns if column not in key]
        keys = ", ".join(map(self.quoted, key))
        if not others:
            return f"{self.insert(table, columns)} ON CONFLICT ({keys}) DO NOTHING"
        changes = ", ".join(f"{column} = excluded.{column}" for column in others)
        return f"{self.insert(table, columns)} ON CONFLICT ({keys}) DO UPDATE SET {changes}"

    def write(self, table: str, columns: Sequence[str], key: Sequence[str]) -> str:
        """Insert one row; where there is a key, replace what is there under it."""
        return self.upsert(table, columns, key) if key else self.insert(table, columns)

    def delete_span(self, table: str, column: str) -> str:
        """Delete the rows whose column is at or after the first value and before the second."""
        name = self.quoted(column)
        return f"DELETE FROM {self.table(table)} WHERE {name} >= {self.place(1)} AND {name} < {self.place(2)}"


class SqliteTexts(SqlTexts):
    """SQLite, which takes a name in double quotes for a text where there is no such column; one in backticks never."""

    name, mark = "sqlite", "`"


class MySqlTexts(SqlTexts):
    """MariaDB and MySQL. The driver joins rows to one statement where `VALUES` holds places alone."""

    name, mark = "mysql", "`"

    def quoted(self, name: str) -> str:
        """One name; the driver takes a single % for a place."""
        return self.literal(super().quoted(name))

    def literal(self, text: str) -> str:
        return text.replace("%", "%%")

    def place(self, number: int) -> str:
        return "%s"

    def upsert(self, table: str, columns: Sequence[str], key: Sequence[str]) -> str:
        others = [column for column in columns if column not in key] or [key[0]]
        changes = ", ".join(f"{name} = VALUES({name})" for name in map(self.quoted, others))
        return f"{self.insert(table, columns)} ON DUPLICATE KEY UPDATE {changes}"


class PostgresTexts(SqlTexts):
    """PostgreSQL."""

    name = "postgresql"

    def place(self, number: int) -> str:
        return f"${number}"


TEXTS: Final[Mapping[str, SqlTexts]] = {
    one.name: one for one in (SqliteTexts(), MySqlTexts(), PostgresTexts())
}
