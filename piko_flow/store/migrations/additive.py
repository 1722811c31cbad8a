"""Tables brought to what they should be without taking anything away."""

from __future__ import annotations

from sqlalchemy import Connection, Table, inspect, text
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable


def bring_up(connection: Connection, table: Table) -> None:
    """Make the table, or give an existing one the columns, indexes and defaults that it lacks.

    May be begun again after it was cut off: MariaDB commits each step by itself.
    """
    there = inspect(connection)
    if not there.has_table(table.name):
        connection.execute(CreateTable(table))
        known: set[str | None] = set()
    else:
        _add_columns(connection, table, {column["name"] for column in there.get_columns(table.name)})
        known = {index["name"] for index in there.get_indexes(table.name)}
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if index.name not in known:
            connection.execute(CreateIndex(index))


def add_to(connection: Connection, table: Table) -> None:
    """Give a table the columns and indexes that it lacks, and leave all others as they are; may be begun again."""
    there = inspect(connection)
    known = {column["name"] for column in there.get_columns(table.name)}
    for column in table.columns:
        if column.name not in known:
            said = CreateColumn(column).compile(dialect=connection.dialect)
            connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {said}"))
    names = {index["name"] for index in there.get_indexes(table.name)}
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if index.name not in names:
            connection.execute(CreateIndex(index))


def _add_columns(connection: Connection, table: Table, known: set[str]) -> None:
    missing = [column for column in table.columns if column.name not in known]
    if connection.dialect.name == "mysql":
        # All in one, since each alteration may copy the table. Comparing bytes, as the new tables do, tells more
        # names apart, never fewer, so no key can be there twice.
        changes = [f"CONVERT TO CHARACTER SET utf8mb4 COLLATE {table.dialect_options['mysql']['collate']}"]
        for column in table.columns:
            verb = "MODIFY COLUMN" if column.name in known else "ADD COLUMN"
            changes.append(f"{verb} {CreateColumn(column).compile(dialect=connection.dialect)}")
        connection.execute(text(f"ALTER TABLE {table.name} {', '.join(changes)}"))
        return
    for column in missing:
        said = CreateColumn(column).compile(dialect=connection.dialect)
        connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {said}"))
