"""A few items as a table, for a notebook or a terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from piko_flow.errors import shorten

CELL = 40  # characters of a value that a cell shows
STYLE = "text-align:left;padding:3px 10px"
WIDEST = 100  # characters of a line
VALUE = "value"  # the one column of items that have no fields


def preview_text(items: Sequence[Any]) -> str:
    """A line for each item below the names of their fields, cut to 100 characters; "no items" when there are none."""
    if not items:
        return "no items"
    header, rows = table_of(items)
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]
    lines.insert(1, "─" * min(max(map(len, lines)), WIDEST))
    return "\n".join(line if len(line) <= WIDEST else f"{line[: WIDEST - 1]}…" for line in lines)


def preview_html(items: Sequence[Any]) -> str:
    """The same as an HTML table."""
    if not items:
        return "<p>no items</p>"
    header, rows = table_of(items)
    names = "".join(f'<th style="{STYLE}">{escape(name)}</th>' for name in header)
    lines = "".join(_html_row(row) for row in rows)
    return f'<table style="font-size:13px"><thead><tr>{names}</tr></thead><tbody>{lines}</tbody></table>'


def table_of(items: Sequence[Any]) -> tuple[list[str], list[list[str]]]:
    """The names of all fields in the order first met, and a row of shortened values for each item."""
    fields = [fields_of(item) for item in items]
    header = list(dict.fromkeys(name for values in fields for name in values))
    return header, [[_cell(values[name]) if name in values else "" for name in header] for values in fields]


def fields_of(item: Any) -> dict[str, Any]:
    """The fields of a mapping, a Pydantic model, a dataclass or a named tuple; anything else is one value."""
    if isinstance(item, Mapping) and item:
        return {str(name): value for name, value in item.items()}
    if names := getattr(type(item), "model_fields", None):
        return {name: getattr(item, name) for name in names}
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        return {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    if isinstance(item, tuple) and (names := getattr(item, "_fields", None)):
        return dict(zip(names, item, strict=True))
    return {VALUE: item}


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) and value.isprintable() else shorten(value, CELL)
    return text if len(text) <= CELL else f"{text[: CELL - 1]}…"


def _html_row(cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f'<td style="{STYLE}">{escape(cell)}</td>' for cell in cells) + "</tr>"
