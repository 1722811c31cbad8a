"""The ids of units: the same split has the same id in every process, and no two splits share one."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from pydantic import BaseModel

from piko_flow import PipelineError, Sink, Source
from piko_flow.testing import CollectingSink
from tests.runs import python


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    ONE = 1


class Shop(BaseModel):
    name: str
    opened: date | None = None


class Place(NamedTuple):
    row: int
    column: int


@dataclass(frozen=True)
class Range:
    low: int | None
    high: int | None


class Shard:
    """Says what it is; its repr has an address."""

    def __init__(self, number: int) -> None:
        self.number = number

    @property
    def split_id(self) -> str:
        return f"shard {self.number}"


class Nameless:
    """Says nothing that another process would say, too."""


class WithNumber:
    split_id = 3


MOMENT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
SPLITS: dict[str, list[Any]] = {
    "numbers": [3, 4, -3, 2**80, 0],
    "kinds of one": [1, 1.0, True, "1", b"1", Decimal(1), Size.ONE, (1,), [1], {1}, {1: 1}],
    "kinds of nothing": [0, 0.0, False, "", b"", None, (), [], {}, set(), timedelta(0)],
    "fractions": [
        0.1,
        0.1 + 1e-17 + 1e-16,
        Decimal("0.10"),
        Decimal("0.1"),
        float("inf"),
        float("nan"),
        -0.0,
    ],
    "texts": ["b", "a", "a\0", "é", "a,b", "('a',)", "\ud800"],
    "paths": [Path("data/b.csv"), Path("data/a.csv"), "data/a.csv"],
    "pairs": [("a", 1), ("b", 2), ("a1",), ("a", "1"), ("a", (1,)), (("a", 1),), ["a", 1], ("",), ("", "")],
    "instants": [
        MOMENT,
        MOMENT.replace(tzinfo=None),
        MOMENT.astimezone(timezone(timedelta(hours=1))),
        MOMENT.date(),
    ],
    "spans": [time(3), timedelta(hours=3), timedelta(microseconds=1), time(3, tzinfo=UTC)],
    "sets": [{"a", "b", "c"}, frozenset("abc"), {"a", "b"}, {1, "1"}],
    "mappings": [{"a": 1, "b": 2}, {"a": 2, "b": 1}, {"a": {"b": 1}}, {"a": 1}],
    "ranges": [range(3), range(0, 6, 2), (0, 3, 1), slice(0, 3)],
    "values": [
        Colour.RED,
        Colour.BLUE,
        UUID(int=1),
        UUID(int=2),
        Range(None, 3),
        Range(3, None),
        Place(3, 4),
        (3, 4),
    ],
    "models": [Shop(name="a"), Shop(name="b"), Shop(name="a", opened=date(2026, 1, 1)), {"name": "a"}],
    "objects that say what they are": [Shard(1), Shard(2), "shard 1"],
}


def read_split(split: Any) -> Iterator[Any]:
    yield split


def unit_ids(splits: list[Any]) -> list[str]:
    return [unit.id for unit in (Source(read_split, splits=splits) >> CollectingSink()).plan().units]


def without_places(splits: list[Any]) -> list[str]:
    """The ids without the number of the unit that they begin with."""
    return [unit.partition("-")[2] for unit in unit_ids(splits)]


def test_the_same_splits_have_the_same_ids_in_another_process() -> None:
    program = (
        "import json; from tests.unit.test_split_ids import SPLITS, unit_ids; "
        "print(json.dumps({name: unit_ids(splits) for name, splits in SPLITS.items()}))"
    )
    for seed in ("1", "2"):
        printed = python("-c", program, PYTHONHASHSEED=seed)
        assert json.loads(printed.stdout) == {name: unit_ids(splits) for name, splits in SPLITS.items()}


@pytest.mark.parametrize("name", SPLITS)
def test_different_splits_have_different_ids(name: str) -> None:
    assert len(set(without_places(SPLITS[name]))) == len(SPLITS[name])


def test_an_id_tells_the_place_too() -> None:
    assert unit_ids([3, 4])[0] != unit_ids([5, 4])[0]
    assert unit_ids([3, 4])[1] == unit_ids([5, 4])[1]
    assert len(set(unit_ids([3, 3, 3]))) == 3


def test_the_order_in_which_a_mapping_was_filled_does_not_count() -> None:
    assert unit_ids([{"a": 1, "b": 2}]) == unit_ids([{"b": 2, "a": 1}])


def looping() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    ("split", "got"),
    [
        (Nameless(), "got a split that holds Nameless"),
        (("a", Nameless()), "got a split that holds Nameless"),
        ({"shop": object()}, "got a split that holds object"),
        (WithNumber(), "got a split_id of type int"),
        (lambda: 3, "got a split that holds function"),
        (looping(), "got a split that is nested too deep"),
    ],
)
def test_a_split_that_does_not_say_what_it_is_is_refused_while_planning(split: Any, got: str) -> None:
    pipeline = Source(read_split, splits=[1, split]) >> Sink(print)
    with pytest.raises(PipelineError) as caught:
        pipeline.plan()
    assert caught.value.got == got
    assert "split_id" in caught.value.advice
    assert caught.value.what == "Source 'read_split'"
