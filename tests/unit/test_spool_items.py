"""What a spool keeps comes back as it was, and nothing else is kept."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from piko_flow import On, Route, Sink
from piko_flow.connectors.spool import NotKept
from tests.unit.spooling import Letters, Place, away, files, spool, told


class Order(BaseModel):
    id: int
    price: Decimal = Decimal(0)
    at: datetime | None = None


class Refund(BaseModel):
    id: int
    hidden: str = Field(default="", exclude=True)


@dataclasses.dataclass
class Visit:
    page: str
    seconds: float = 0.0


class Colour(Enum):
    RED = "red"


PLAIN: list[Any] = [
    None,
    True,
    0,
    -(2**70),
    1.5,
    1e300,
    "text",
    "\x00\u2028é😀",
    "\ud800",
    [],
    {},
    [1, [2, {"a": None}]],
    {"a": {"b": [1.5, "c"]}},
    {"$float": "no tag"},
    {1: "a", (2, 3): "b"},
    (1, "a", None),
    ((1,), [2], (3, (4,))),
    {1, 2},
    frozenset({"a"}),
    b"\x00\xff",
    Decimal("1.10"),
    UUID(int=7),
    datetime(2026, 1, 1, 12, 0, 0, 5, UTC),
    datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(2026, 1, 1),
    date(2026, 2, 28),
    time(1, 2, 3),
    timedelta(days=-1, microseconds=3),
    math.inf,
    -math.inf,
]


@pytest.mark.parametrize("item", PLAIN, ids=repr)
async def test_plain_values_come_back_as_they_were(tmp_path: Path, item: Any) -> None:
    place = Place()
    async with spool(place, tmp_path).opened() as live:
        await live.accept([item])
        await live.accept([{"value": item}, {"value": 1}])
        await live.accept([(item, 1), (2, item)])
    back = place.items
    assert back == [item, {"value": item}, {"value": 1}, (item, 1), (2, item)]
    assert [type(back[0]), type(back[1]["value"]), type(back[3][0])] == [type(item)] * 3


async def test_not_a_number_comes_back(tmp_path: Path) -> None:
    place = Place()
    async with spool(place, tmp_path).opened() as live:
        await live.accept([math.nan])
        await live.accept([{"value": math.nan}])
    assert math.isnan(place.items[0])
    assert math.isnan(place.items[1]["value"])


async def test_a_member_of_an_enum_comes_back_as_its_value(tmp_path: Path) -> None:
    place = Place()
    async with spool(place, tmp_path).opened() as live:
        await live.accept([Colour.RED])
    assert place.items == ["red"]


@pytest.mark.parametrize(
    "item",
    [object(), {"a": object()}, print, 1 + 2j],
    ids=["object", "inside", "function", "complex"],
)
async def test_what_has_no_form_in_json_is_refused(tmp_path: Path, item: Any) -> None:
    async with spool(Place(), tmp_path).opened() as live:
        with pytest.raises(NotKept, match="item 2 of the list"):
            await live.accept([1, 2, item, 4])
        assert (await live.state()).items == 0


async def test_models_come_back_as_models_in_their_order_among_others(tmp_path: Path) -> None:
    items = [
        Order(id=1, price=Decimal("2.50"), at=datetime(2026, 1, 1, tzinfo=UTC)),
        Visit("a", 1.5),
        3,
        Order(id=2),
    ]
    place = Place()
    async with spool(place, tmp_path, models=[Order, Visit]).opened() as live:
        await live.accept(items, keys=["a", "b", "c", "d"])
    assert place.items == items


async def test_the_classes_that_the_sink_names_are_known(tmp_path: Path) -> None:
    taken: list[object] = []

    def order(item: Order) -> None:
        taken.append(item)

    def visit(item: Visit) -> None:
        taken.append(item)

    async with spool(Route(On(Order, Sink(order)), On(Visit, Sink(visit))), tmp_path).opened() as live:
        await live.accept([Visit("a"), Order(id=1)])
    assert sorted(taken, key=repr) == [Order(id=1), Visit("a")]


async def test_a_model_that_nobody_named_is_refused_with_what_to_do(tmp_path: Path) -> None:
    async with spool(Place(), tmp_path, models=[Order]).opened() as live:
        with pytest.raises(NotKept, match=r"models=\[Visit\]"):
            await live.accept([Visit("a")])


async def test_a_model_whose_json_loses_something_is_refused(tmp_path: Path) -> None:
    async with spool(Place(), tmp_path, models=[Refund]).opened() as live:
        await live.accept([Refund(id=1)])
        with pytest.raises(NotKept, match="comes back with another hidden"):
            await live.accept([Refund(id=1, hidden="secret")])


async def test_items_of_an_unknown_model_are_kept_and_told_and_the_others_written(tmp_path: Path) -> None:
    async with away(Place(gated=True), tmp_path, models=[Order, Visit]) as live:
        await live.accept([Order(id=1)])
        await live.accept([Visit("a")])
        await live.accept([7])
    place = Place()
    async with spool(place, tmp_path, models=[Visit]).opened(flush=0) as live:
        await place.has(2)
        state = await told(live, lambda state: state.items == 1)
        assert "Order is not among the models" in state.unreadable
    assert place.items == [Visit("a"), 7]
    place = Place()
    async with spool(place, tmp_path, models=[Order]).opened():
        await place.has(1)
    assert place.items == [Order(id=1)]
    assert files(tmp_path) == []


def stricter_order() -> type[BaseModel]:
    """The same class in a later version, which takes no number from 100 on."""
    return type(
        "Order",
        (BaseModel,),
        {
            "__module__": __name__,
            "__qualname__": "Order",
            "__annotations__": {"id": int},
            "id": Field(lt=100),
        },
    )


async def test_an_item_that_its_class_takes_no_more_is_a_dead_letter(tmp_path: Path) -> None:
    async with away(Place(gated=True), tmp_path, models=[Order]) as live:
        await live.accept([Order(id=1), Order(id=200), Order(id=3)])
    place, letters = Place(), Letters()
    async with spool(place, tmp_path, models=[stricter_order()]).opened(dead_letters=letters):
        await letters.has(1)
    assert [item.id for item in place.items] == [1, 3]
    assert letters.taken[0].payload["id"] == 200
    assert letters.taken[0].error_type == "ValidationError"


async def test_an_item_that_its_class_takes_no_more_is_a_dead_letter_also_beside_one_of_an_unknown_model(
    tmp_path: Path,
) -> None:
    async with away(Place(gated=True), tmp_path, models=[Order, Visit]) as live:
        await live.accept([Order(id=200)])
        await live.accept([Visit("a")])
        await live.accept([7])
    place, letters = Place(), Letters()
    async with spool(place, tmp_path, models=[stricter_order()]).opened(dead_letters=letters) as live:
        await letters.has(1)
        await place.has(1)
        state = await told(live, lambda state: (state.items, state.dead_letters) == (1, 0))
        assert "Visit is not among the models" in state.unreadable
    assert place.items == [7]
    assert letters.taken[0].payload["id"] == 200
    async with spool(place, tmp_path, models=[Visit]).opened():
        await place.has(2)
    assert place.items == [7, Visit("a")]


async def test_what_a_list_of_poison_waits_for_may_hold_an_item_that_its_class_takes_no_more(
    tmp_path: Path,
) -> None:
    async with away(Place(gated=True), tmp_path, models=[Order]) as live:
        await live.accept([1, 2, 3])
        await live.accept([Order(id=200)])
        await live.accept([7])

    def mood(items: list[Any]) -> None:
        if {1, 2, 3} & set(items):
            raise ValueError("poison")

    place, letters = Place(mood), Letters()
    options: dict[str, Any] = {"models": [stricter_order()], "batch": 3}
    async with spool(place, tmp_path, **options).opened(dead_letters=letters) as live:
        await place.wrote(7)
        for number in range(1000, 1010):  # others are written, so it is not the sink
            await live.accept([number])
            await place.wrote(number)
        await letters.has(4)
    assert {letter.error_type for letter in letters.taken} == {"ValidationError", "ValueError"}
    assert place.items == [7, *range(1000, 1010)]
