"""What values are when they arrive: large arrays and bytes, and instances of classes that no worker can import."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import BaseModel

from piko_flow.dataflow.workers import transport
from piko_flow.dataflow.workers.pool import CallResult, WorkerPool
from piko_flow.dataflow.workers.shipping import pack


async def call(function: Any, items: list[Any], times: int = 1) -> CallResult:
    async with WorkerPool(1) as pool:
        shipment = pack(function, stage="work", where="here.py:1")
        for _ in range(times - 1):
            await pool.call(shipment, items)
        return await pool.call(shipment, items)


@pytest.mark.parametrize("length", [10, 2_000, 20_000, 1_000_000])
async def test_arrays_arrive_equal_aligned_and_writable(length: int) -> None:
    def fill(array: Any) -> tuple[Any, bool]:
        array[0] = 7  # the worker's own copy
        return array, bool(array.flags.aligned)

    items = [np.arange(length, dtype="float64"), np.arange(length, dtype="int16")]
    result = await call(fill, items)
    for item, (array, aligned) in zip(items, result.results, strict=True):
        assert aligned
        assert array.flags.aligned
        assert item[0] == 0
        assert array[0] == 7
        assert (array[1:] == item[1:]).all()
        array[1] = 9
        assert array.dtype == item.dtype


async def test_an_array_that_may_not_be_written_stays_so() -> None:
    frozen = np.arange(100_000)
    frozen.flags.writeable = False
    result = await call(lambda array: (array, bool(array.flags.writeable)), [frozen])
    array, writable = result.results[0]
    assert not writable
    assert not array.flags.writeable


async def test_arrays_that_are_not_contiguous_arrive_equal() -> None:
    items = [np.arange(1_000_000).reshape(1000, 1000)[::2, ::3], np.asfortranarray(np.ones((500, 300)))]
    result = await call(lambda array: array * 2, items)
    for item, array in zip(items, result.results, strict=True):
        assert (array == item * 2).all()


async def test_long_bytes_and_text_arrive_equal() -> None:
    items: list[Any] = [b"x" * 10, b"y" * 100_000, bytearray(b"z" * 5_000_000), "ü" * 3_000_000]
    result = await call(lambda item: item + item, items)
    assert result.results == [item + item for item in items]


async def test_more_arrays_may_live_than_there_are_file_descriptors() -> None:
    kept: list[Any] = []
    async with WorkerPool(1) as pool:
        shipment = pack(lambda size: np.full(size, size), stage="work", where="here.py:1")
        for _ in range(transport.MAPPED_FILES + 50):
            kept += (await pool.call(shipment, [transport.MAPPED_SIZE // 8 + 1])).results
    assert all(array[-1] == transport.MAPPED_SIZE // 8 + 1 for array in kept)


async def test_instances_of_a_class_defined_in_a_function_keep_their_class() -> None:
    class Order(BaseModel):
        number: int
        seen: ClassVar[list[int]] = []

    @dataclass
    class Receipt:
        order: Order

    def sign(order: Order) -> Receipt:
        assert isinstance(order, Order)
        return Receipt(order)

    Order.seen.append(1)
    before = {kind: dict(vars(kind)) for kind in (Order, Receipt)}
    result = await call(sign, [Order(number=1), Order(number=2)], times=3)
    assert result.errors == {}
    assert [type(receipt) for receipt in result.results] == [Receipt, Receipt]
    assert result.results == [Receipt(Order(number=1)), Receipt(Order(number=2))]
    assert {kind: dict(vars(kind)) for kind in (Order, Receipt)} == before
    assert all(vars(kind)[name] is value for kind in before for name, value in before[kind].items())


async def test_members_of_an_enum_defined_in_a_function_stay_themselves() -> None:
    class Size(enum.Enum):
        SMALL = 1
        LARGE = 2

    result = await call(lambda size: (size, size is Size.SMALL), [Size.SMALL, Size.LARGE])
    assert result.results[0] == (Size.SMALL, True)
    assert result.results[1][0] is Size.LARGE


async def test_an_exception_defined_in_a_function_keeps_its_class() -> None:
    class OutOfStock(Exception):
        pass

    def sell(item: int) -> int:
        raise OutOfStock(item)

    result = await call(sell, [4])
    assert type(result.errors[0]) is OutOfStock
    assert result.errors[0].args == (4,)


async def test_functions_can_be_items_and_results() -> None:
    result = await call(lambda function: lambda item: function(item) + 1, [lambda item: item * 2])
    assert result.results[0](20) == 41


async def test_a_class_known_to_a_worker_is_made_there_once() -> None:
    class Counted:
        made: ClassVar[int] = 0

        def __init_subclass__(cls) -> None:
            Counted.made += 1

    def count(item: Counted, kind: type[Counted] = Counted) -> int:
        assert isinstance(item, kind)  # so the function keeps the class there between two calls
        type(item).made += 1
        return type(item).made

    async with WorkerPool(1) as pool:
        shipment = pack(count, stage="work", where="here.py:1")
        counts = [(await pool.call(shipment, [Counted()])).results[0] for _ in range(3)]
        replaced = pool.replaced
    assert (counts, replaced) == ([1, 2, 3], 0)
    assert Counted.made == 0
