"""What makes a pipeline another one for a run that is to be resumed, and what does not."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from piko_flow import Batch, CpuMap, Filter, Fold, On, Parse, Pipeline, Retry, Route, Sink, Source, Transform
from tests.runs import python


@dataclass(frozen=True)
class Adder:
    more: int

    def __call__(self, item: int) -> int:
        return item + self.more


class Doubler(Adder):
    def __call__(self, item: int) -> int:
        return 2 * item


def add(more: int, item: int) -> int:
    return item + more


def closed_over(more: int) -> Callable[[int], int]:
    return lambda item: item + more


def read_up() -> Iterator[int]:
    yield from (1, 2)


def read_down() -> Iterator[int]:
    yield from (2, 1)


def with_stage(stage: Any) -> Pipeline:
    closed: Pipeline = Source([1]) >> stage >> Sink(print)
    return closed


def is_above_1(item: int) -> bool:
    return item > 1


def is_above_2(item: int) -> bool:
    return item > 2


def total(value: int, item: int) -> int:
    return value + item


PAIRS: dict[str, tuple[Pipeline, Pipeline]] = {
    "a source's function": (Source(read_up) >> Sink(print), Source(read_down) >> Sink(print)),
    "a constant": (with_stage(Transform(lambda x: x + 1)), with_stage(Transform(lambda x: x + 2))),
    "a partial's argument": (
        with_stage(Transform(functools.partial(add, 1))),
        with_stage(Transform(functools.partial(add, 2))),
    ),
    "what a closure holds": (with_stage(Transform(closed_over(1))), with_stage(Transform(closed_over(2)))),
    "what an object holds": (with_stage(Transform(Adder(1))), with_stage(Transform(Adder(2)))),
    "an object's class": (with_stage(Transform(Adder(1))), with_stage(Transform(Doubler(1)))),
    "a predicate of a route": (
        with_stage(Route(On(is_above_1, Filter(is_above_1)), On(int, Filter(is_above_1)))),
        with_stage(Route(On(is_above_2, Filter(is_above_1)), On(int, Filter(is_above_1)))),
    ),
    "a model": (with_stage(Parse(int)), with_stage(Parse(float))),
    "an option": (
        with_stage(Transform(Adder(1), retry=Retry(2))),
        with_stage(Transform(Adder(1), retry=Retry(3))),
    ),
    "a count": (with_stage(Batch(2)), with_stage(Batch(3))),
    "a key": (
        with_stage(Fold(total, start=int, key=lambda x: x % 2)),
        with_stage(Fold(total, start=int, key=lambda x: x % 3)),
    ),
    "a worker's function": (with_stage(CpuMap(Adder(1))), with_stage(CpuMap(Adder(2)))),
    "a name": (with_stage(Transform(Adder(1), name="a")), with_stage(Transform(Adder(1), name="b"))),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_another(pair: tuple[Pipeline, Pipeline]) -> None:
    one, other = pair
    assert one.plan().fingerprint == one.plan().fingerprint
    assert one.plan().fingerprint != other.plan().fingerprint


def test_the_data_and_the_line_do_not_count() -> None:
    one = Source(list(range(10))) >> Transform(Adder(1)) >> Sink(print)
    other = Source(list(range(500_000))) >> Transform(Adder(1)) >> Sink(print)
    assert one.plan().fingerprint == other.plan().fingerprint


class Counter:
    def __init__(self) -> None:
        self.seen = 0
        self.myself = self

    def __call__(self, item: int) -> int:
        self.seen += 1
        return item


def test_what_a_run_changes_does_not_count() -> None:
    arrived: list[int] = []
    pipeline = Source([1, 2]) >> Transform(Counter()) >> Sink(lambda item: arrived.append(item))
    before = pipeline.plan().fingerprint
    pipeline.run_sync()
    assert arrived == [1, 2]
    assert pipeline.plan().fingerprint == before


def test_another_process_gives_the_same() -> None:
    script = "from tests.unit.test_fingerprint import PAIRS; print(*[p.plan().fingerprint for pair in PAIRS.values() for p in pair])"
    assert python("-c", script).stdout.split() == [
        pipeline.plan().fingerprint for pair in PAIRS.values() for pipeline in pair
    ]
