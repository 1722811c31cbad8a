"""What a sink has to know of its table before it writes, asked of the database."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from piko_flow.connectors.sql_rows import TableFacts, bound
from piko_flow.connectors.sql_select import tokens
from piko_flow.connectors.sql_table import SqlTable
from piko_flow.connectors.sql_texts import TEXTS
from piko_flow.dataflow.stages.sink import Part

Ask = Callable[[str, Mapping[str, Any]], Awaitable[Sequence[Sequence[Any]]]]
UNIQUE: Final = """SELECT s.index_name, s.column_name, COALESCE(c.generation_expression, '') = ''
AND (c.column_default IS NULL OR c.column_default = 'NULL' OR LOCATE('uuid(', LOWER(c.column_default)) > 0)
FROM information_schema.statistics s LEFT JOIN information_schema.columns c ON c.table_schema = s.table_schema
AND c.table_name = s.table_name AND c.column_name = s.column_name
WHERE s.table_schema = COALESCE(:schema, DATABASE()) AND s.table_name = :name AND s.non_unique = 0"""
"""The columns of unique indexes; the last one says whether a row that brings no value gets one that is in no other."""
ZONELESS: Final = """SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:name)
AND atttypid = CAST('timestamp' AS regtype) AND NOT attisdropped"""


class NoUniqueKey(ValueError):
    """An upsert by the key would not do what it says, because of the table's unique indexes. Nothing was written.

    There is none over the key, so it would only insert; or in MariaDB and MySQL there is an `other` one, by which it
    would replace rows of other keys.
    """

    def __init__(self, table: str, key: Sequence[str], other: str = "") -> None:
        by = f"an upsert into {table} by {', '.join(key)}"
        if other:
            super().__init__(
                f"{by} would also replace rows that are alike in the unique index {other}, whatever their key: this "
                "database asks all unique indexes. Drop that one, take its columns as the key, or leave a column of it "
                "out of columns= that the database numbers itself"
            )
            return
        super().__init__(
            f"{by} needs a unique index over exactly these columns, or fewer; "
            f"there is none. Make one: CREATE UNIQUE INDEX ... ON {table} ({', '.join(key)})"
        )


def span_removal(table: SqlTable, facts: TableFacts, part: Part, dialect: str) -> tuple[str, list[Any]]:
    """The statement that removes what the table has of the part's window, and its values."""
    assert table.window_column is not None
    assert part.window_start is not None
    assert part.window_end is not None
    zoned = table.window_place not in facts.zoneless
    values = [bound(one, dialect, zoned=zoned) for one in (part.window_start, part.window_end)]
    return TEXTS[dialect].delete_span(table.name, table.window_column), values


async def look_at(table: SqlTable, dialect: str, ask: Ask) -> TableFacts:
    """Ask for the facts. Raises NoUniqueKey where the database itself would not refuse an upsert that goes wrong."""
    schema, _, name = table.name.rpartition(".")
    if dialect == "mysql" and table.key:
        _check_unique(table, await ask(UNIQUE, {"schema": schema or None, "name": name}))
    if dialect == "postgresql":
        rows = await ask(ZONELESS, {"name": TEXTS[dialect].table(table.name)})
        without = {row[0] for row in rows}
        return TableFacts(tuple(place for place, column in enumerate(table.columns) if column in without))
    return TableFacts()


def _check_unique(table: SqlTable, rows: Sequence[Sequence[Any]]) -> None:
    """Raise NoUniqueKey unless an index over the key decides alone which row is replaced.

    It does where each other index holds its columns too, or one that no written row shares with another.
    """
    indexes: dict[str, set[str]] = {}
    apart: set[str] = set()
    for index, column, own in rows:
        indexes.setdefault(index, set()).add(column)
        if own and column not in table.columns:
            apart.add(index)
    known = [columns for columns in indexes.values() if columns <= set(table.key)]
    if not known:
        raise NoUniqueKey(table.name, table.key)
    wrong = [
        [name for name, columns in indexes.items() if name not in apart and not one <= columns]
        for one in known
    ]
    if fewest := min(wrong, key=len):
        raise NoUniqueKey(table.name, table.key, fewest[0])


def positional(text: str, values: Mapping[str, Any], dialect: str) -> tuple[str, list[Any]]:
    """A text with `:names` as the driver wants it, and the values in their order."""
    given: list[Any] = []

    def place(found: re.Match[str]) -> str:
        name: str | None = found["name"]
        if name is None:
            return found[0]
        given.append(values[name])
        return TEXTS[dialect].place(len(given))

    return tokens(dialect).sub(place, text), given
