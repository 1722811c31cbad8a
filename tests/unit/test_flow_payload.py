"""Items as JSON text: what is kept, and what becomes of what JSON cannot hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from pydantic import BaseModel, SecretStr

from piko_flow.control.params.payload import LONGEST, StoredPayload, encode_payload


class Order(BaseModel):
    number: int
    key: SecretStr = SecretStr("hidden")


@dataclass
class Point:
    x: int


HERE = "tests.unit.test_flow_payload"
KEPT: list[tuple[Any, str, Any]] = [
    ({"a": [1, None, True]}, "dict", {"a": [1, None, True]}),
    ("text \0 ✓", "str", "text \0 ✓"),
    (Order(number=1), f"{HERE}.Order", {"number": 1, "key": "**********"}),
    (Point(2), f"{HERE}.Point", {"x": 2}),
    ([Point(2)], "list", [{"x": 2}]),
    (datetime(2026, 1, 1, tzinfo=UTC), "datetime.datetime", "2026-01-01T00:00:00Z"),
    (Decimal("1.10"), "decimal.Decimal", "1.10"),
    (b"\xff\x00", "bytes", "_wA="),
    ({1}, "set", [1]),
    (float("nan"), "float", "NaN"),
    (None, "NoneType", None),
]


@pytest.mark.parametrize(("item", "kind", "value"), KEPT, ids=[kind for _, kind, _ in KEPT])
def test_an_item_is_kept_as_json(item: Any, kind: str, value: Any) -> None:
    assert orjson.loads(encode_payload(item)) == {"type": kind, "value": value}


def test_numbers_of_any_size_are_kept() -> None:
    assert encode_payload(2**80) == f'{{"type":"int","value":{2**80}}}'


def test_what_json_cannot_hold_is_kept_as_its_repr() -> None:
    class Odd:
        def __repr__(self) -> str:
            return "an odd thing"

    assert orjson.loads(encode_payload([Odd()]))["repr"] == "[an odd thing]"
    endless: list[Any] = []
    endless.append(endless)
    assert orjson.loads(encode_payload(endless))["repr"] == "[[...]]"


def test_what_is_too_large_is_kept_as_the_beginning_of_its_repr() -> None:
    text = encode_payload("x" * (LONGEST + 1))
    assert len(text) < 3000
    assert orjson.loads(text)["repr"].startswith("'xxx")


def test_an_item_that_is_text_already_stays_as_it_is() -> None:
    assert encode_payload(StoredPayload(encode_payload(3))) == encode_payload(3)
