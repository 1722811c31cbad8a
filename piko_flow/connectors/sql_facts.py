"""What a sink has to know of its table before it writes, asked of the database."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from piko_flow.connectors.sql_select import tokens
from piko_flow.connectors.sql_table import SqlTable
from piko_flow.connectors.sql_texts import TEXTS

Ask = Callable[[str, Mapping[str, Any]], Awaitable[Sequence[Sequence[Any]]]]
UNIQUE: Final = """SELECT index_name, column_name FROM information_schema.statistics
WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :name AND non_unique = 0"""
ZONELESS: Final = """SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:name)
AND atttypid = CAST('timestamp' AS regtype) AND NOT attisdropped"""


class NoUniqueKey(ValueError):
    """The table has no unique index over the key, so an upsert would only insert. Nothing was written."""

    def __init__(self, table: str, key: Sequence[str]) -> None:
        super().__init__(
            f"an upsert into {table} by {', '.join(key)} needs a unique index over exactly these columns, or fewer; "
            f"there is none. Make one: CREATE UNIQUE INDEX ... ON {table} ({', '.join(key)})"
        )


@dataclass(frozen=True)
class TableFacts:
    """`zoneless`: the places of columns that keep a datetime without zone, where drivers insist on that."""

    zoneless: tuple[int, ...] = ()

    def fitted(self, rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        """The rows with datetimes as their columns want them."""
        if not self.zoneless:
            return rows
        columns = list(zip(*rows, strict=True))
        for place in self.zoneless:
            columns[place] = tuple(
                value.replace(tzinfo=None) if isinstance(value, datetime) else value
                for value in columns[place]
            )
        return list(zip(*columns, strict=True))


async def look_at(table: SqlTable, dialect: str, ask: Ask) -> TableFacts:
    """Ask for the facts. Raises NoUniqueKey where the database itself would not refuse an upsert without one."""
    schema, _, name = table.name.rpartition(".")
    if dialect == "mysql" and table.key:
        indexes: dict[str, set[str]] = {}
        for index, column in await ask(UNIQUE, {"schema": schema or None, "name": name}):
            indexes.setdefault(index, set()).add(column)
        if not any(columns <= set(table.key) for columns in indexes.values()):
            raise NoUniqueKey(table.name, table.key)
    if dialect == "postgresql":
        rows = await ask(ZONELESS, {"name": TEXTS[dialect].table(table.name)})
        without = {row[0] for row in rows}
        return TableFacts(tuple(place for place, column in enumerate(table.columns) if column in without))
    return TableFacts()


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
