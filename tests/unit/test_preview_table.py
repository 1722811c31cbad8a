"""A preview shows items as rows below the names of their fields, whatever the items are."""

from dataclasses import dataclass
from typing import NamedTuple

from pydantic import BaseModel

from piko_flow.dataflow.reports.preview import preview_html, preview_text, table_of


class Pair(NamedTuple):
    """A named tuple with two fields."""

    left: int
    right: int


class Order(BaseModel):
    """A model with two fields."""

    number: int
    name: str


@dataclass
class Point:
    """A dataclass with one field."""

    x: float


def test_fields_of_mappings_models_dataclasses_and_named_tuples_are_columns() -> None:
    header, rows = table_of([{"a": 1}, Order(number=7, name="x"), Point(1.5), Pair(1, 2), "plain", (3, 4)])
    assert header == ["a", "number", "name", "x", "left", "right", "value"]
    assert rows[1] == ["", "7", "x", "", "", "", ""]
    assert rows[4][-1] == "plain"
    assert rows[5][-1] == "(3, 4)"


def test_text_lines_up_and_says_when_there_is_nothing() -> None:
    assert preview_text([{"a": 1, "long": "xyz"}, {"a": 22}]).splitlines() == [
        "a   long",
        "────────",
        "1   xyz",
        "22",
    ]
    assert preview_text([]) == "no items"
    assert "no items" in preview_html([])


def test_a_line_is_at_most_100_characters_and_holds_no_control_characters() -> None:
    shown = preview_text([{f"field{n}": "v" * 300 for n in range(9)}, {"field0": "a\x1b[31m\nb"}])
    assert max(map(len, shown.splitlines())) <= 100
    assert "\x1b" not in shown


def test_a_page_escapes_what_items_hold() -> None:
    assert "<script" not in preview_html([{"<script>": "<script>"}])
