"""What a source asks of a database: a table or a SELECT, of a window, in pages by key or in one go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from piko_flow.connectors.sql_facts import positional
from piko_flow.connectors.sql_rows import adapted_one
from piko_flow.connectors.sql_texts import TEXTS, SqlTexts
from piko_flow.errors import shorten


@dataclass(frozen=True)
class KeyRange:
    """The keys of one split, `[low, high)`; None is no bound."""

    low: int | None = None
    high: int | None = None


@dataclass(frozen=True)
class Query:
    """`what` is the name of a table, or a SELECT if `is_select`.

    Rows come in the order of `order`; those of a span are `[start, end)` of `column`, where None is no bound, but a
    row without a value there has no place in a span.
    """

    what: str
    is_select: bool
    columns: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    key: str | None = None
    column: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def asked(self) -> str:
        """What messages call it."""
        if self.is_select:
            return "read the rows of a SELECT"
        if len(self.what.split()) > 1:  # a table may be named so, but most likely a statement was meant
            rule = "what begins with neither SELECT nor WITH is a table's name"
            return f"read the table named {shorten(self.what)} ({rule})"
        return f"read table {self.what}"

    def text(
        self, dialect: str, *, span: Sequence[Any], keys: KeyRange, last: Sequence[Any], limit: int | None
    ) -> tuple[str, list[Any]]:
        """The statement for the rows after `last` (the values of `order` in the last row), and its values."""
        texts = TEXTS[dialect]
        values = self._given(dialect)
        conditions = [*self._within(texts, span, values), *self._range(texts, keys, values)]
        if last:
            conditions.append(self._after(texts, last, values))
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        text = f"SELECT {self._selected(texts)} FROM {self._from(texts)}{where}"
        if limit is not None:
            text += f" ORDER BY {', '.join(map(texts.quoted, self.order))} LIMIT {limit}"
        return positional(text, values, dialect)

    def ends(self, dialect: str, *, span: Sequence[Any]) -> tuple[str, list[Any]]:
        """The statement for the lowest and the highest key, and its values."""
        assert self.key is not None
        texts = TEXTS[dialect]
        values = self._given(dialect)
        conditions = self._within(texts, span, values)
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        key = texts.quoted(self.key)
        return positional(f"SELECT MIN({key}), MAX({key}) FROM {self._from(texts)}{where}", values, dialect)

    def without_key(self, dialect: str, *, span: Sequence[Any], last: Sequence[Any]) -> tuple[str, list[Any]]:
        """The statement for a row without a key, and its values; with `last` one whose column is not before that."""
        texts, values = TEXTS[dialect], self._given(dialect)
        conditions = [*self._within(texts, span, values), f"{texts.quoted(self.order[-1])} IS NULL"]
        if last:
            values["piko_first"] = last[0]
            conditions.append(f"{texts.quoted(self.order[0])} >= :piko_first")
        where = " AND ".join(conditions)
        return positional(f"SELECT 1 FROM {self._from(texts)} WHERE {where} LIMIT 1", values, dialect)

    def probe(self, dialect: str, *, start: Any = None) -> tuple[str, list[Any]]:
        """The statement for one value of the window's column, and its values; with `start` of a row from there on."""
        assert self.column is not None
        texts, values = TEXTS[dialect], {**self._given(dialect), "piko_start": start}
        name = texts.quoted(self.column)
        condition = f"{name} IS NOT NULL" if start is None else f"{name} >= :piko_start"
        return positional(
            f"SELECT {name} FROM {self._from(texts)} WHERE {condition} LIMIT 1", values, dialect
        )

    def some(self, dialect: str, *, span: Sequence[Any]) -> tuple[str, list[Any]]:
        """The statement for one value of the window's column that lies within the span, and its values."""
        assert self.column is not None
        texts, values = TEXTS[dialect], self._given(dialect)
        where = " AND ".join(self._within(texts, span, values))
        name = texts.quoted(self.column)
        return positional(f"SELECT {name} FROM {self._from(texts)} WHERE {where} LIMIT 1", values, dialect)

    def _given(self, dialect: str) -> dict[str, Any]:
        """The user's values; PostgreSQL's driver takes those that its columns want, as they are."""
        if dialect == "postgresql":
            return dict(self.values)
        return {name: adapted_one(value, dialect) for name, value in self.values.items()}

    def _selected(self, texts: SqlTexts) -> str:
        if not self.columns:
            return "*"
        return ", ".join(map(texts.quoted, dict.fromkeys([*self.columns, *self.order])))

    def _from(self, texts: SqlTexts) -> str:
        # The line ends so that a comment at the end of a SELECT does too.
        return f"({texts.literal(self.what)}\n) AS piko_rows" if self.is_select else texts.table(self.what)

    def _within(self, texts: SqlTexts, span: Sequence[Any], values: dict[str, Any]) -> list[str]:
        if not span:
            return []
        assert self.column is not None
        name = texts.quoted(self.column)
        found = []
        for place, sign, value in (("piko_start", ">=", span[0]), ("piko_end", "<", span[1])):
            if value is not None:
                values[place] = value
                found.append(f"{name} {sign} :{place}")
        return found or [f"{name} IS NOT NULL"]

    def _range(self, texts: SqlTexts, keys: KeyRange, values: dict[str, Any]) -> list[str]:
        found = []
        for name, sign, value in (("piko_low", ">=", keys.low), ("piko_high", "<", keys.high)):
            if value is not None:
                assert self.key is not None
                values[name] = value
                found.append(f"{texts.quoted(self.key)} {sign} :{name}")
        return found

    def _after(self, texts: SqlTexts, last: Sequence[Any], values: dict[str, Any]) -> str:
        if len(self.order) == 1:
            values["piko_last"] = last[0]
            return f"{texts.quoted(self.order[0])} > :piko_last"
        first, second = map(texts.quoted, self.order)
        values.update(piko_first=last[0], piko_last=last[1])
        # Said twice so that an index over the first column is used.
        return f"{first} >= :piko_first AND ({first} > :piko_first OR {second} > :piko_last)"
