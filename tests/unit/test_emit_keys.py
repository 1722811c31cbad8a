"""What is emitted has the key that its sink asks for, or is refused with one message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from piko_flow.connectors.spool import NotKept, Spool
from piko_flow.control.flows.run_context import Emitted
from piko_flow.control.runs.emitting import Emissions, Writer
from piko_flow.errors import RequestRefused


class Order(BaseModel):
    id: int


class Refund(BaseModel):
    card: str


@pytest.mark.parametrize(
    ("payload", "key", "error", "told"),
    [
        (
            {"a": 1},
            "id",
            RequestRefused,
            "class dict, which has no such field. Emit Order, or write emit",
        ),
        (3, "id", RequestRefused, "class int, which has no such field. Emit Order, or write emit"),
        (
            Order(id=1),
            "number",
            RequestRefused,
            "class Order, which has no such field. Name in register",
        ),
        (object(), "id", NotKept, "a value of type object has no form in JSON"),
        (Refund(card="1"), "card", NotKept, r"as its models are: .*\.Order \(name it in models=\[Refund\]"),
        (Refund(card="1"), lambda item: item.card, NotKept, r"as its models are: .*\.Order"),
        (Order(id=1), lambda item: item.number, AttributeError, "no attribute 'number'"),
    ],
)
async def test_an_item_without_the_key_is_refused_but_its_class_is_told_first(
    tmp_path: Path, payload: object, key: Any, error: type[Exception], told: str
) -> None:
    written: list[object] = []
    writer = Writer(folder=tmp_path)
    writer.register_spool("orders", Spool(written.append, models=[Order]), key=key)
    async with writer:
        with pytest.raises(error, match=told):
            await writer.emit(Emitted(payload, "orders", None), Emissions())
        await writer.emit(Emitted({"a": 1}, "orders", "given"), Emissions())
    assert written == [{"a": 1}]


async def test_without_a_spool_an_item_without_the_key_is_refused_as_well() -> None:
    written: list[object] = []
    writer = Writer()
    writer.register("orders", written.append, key="id")
    async with writer:
        with pytest.raises(
            RequestRefused, match=r"its field 'id'.*class int, which has no such field. Name in"
        ):
            await writer.emit(Emitted(3, "orders", None), Emissions())
        await writer.emit(Emitted({"id": 1}, "orders", None), Emissions())
    assert written == [{"id": 1}]
