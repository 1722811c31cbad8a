"""Items as a small table, for terminals and notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from html import escape
from typing import Any

WIDEST = 40  # characters of a cell


def preview_text(items: Sequence[Any]) -> str:
    """The items as aligned columns, a line each; items without fields have one column."""
    if not items:
        return "(no items)"
    columns, rows = _table(items)
    widths = [max(len(line[place]) for line in (columns, *rows)) for place in range(len(columns))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (columns, *rows)
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def preview_html(items: Sequence[Any]) -> str:
    """The items as an HTML table; everything is escaped."""
    if not items:
        return "<p>no items</p>"
    columns, rows = _table(items)
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _table(items: Sequence[Any]) -> tuple[list[str], list[list[str]]]:
    records = [_record(item) for item in items]
    columns = list(dict.fromkeys(name for record in records for name in record))
    return columns, [
        [_cell(record[name]) if name in record else "" for name in columns] for record in records
    ]


def _record(item: Any) -> dict[str, Any]:
    """An item's fields by name; the item itself under "item" if it has none."""
    if isinstance(item, Mapping):
        return {str(name): value for name, value in item.items()}
    if hasattr(type(item), "model_fields"):
        return {name: getattr(item, name) for name in type(item).model_fields}
    if is_dataclass(item) and not isinstance(item, type):
        return {field.name: getattr(item, field.name) for field in fields(item)}
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return dict(zip(item._fields, item, strict=True))
    return {"item": item}


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"
