"""How much a fused loop does at once: many quick items, few slow ones, and never long without letting others run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piko_flow import FlatMap, Sink, Source, Transform, run, tasks
from piko_flow.dataflow.reports.observer import SilentObserver
from piko_flow.dataflow.running import unit_state
from piko_flow.dataflow.running.operators import concurrent, fused, loop, reader
from piko_flow.dataflow.running.operators.reader import (
    LONGEST_STEP,
    LOOK,
    QUICK_CHUNK,
    SLOW_CHUNK,
    ChunkSize,
    between_looks,
    some,
)


class Clock:
    """A clock that only the stages of a test move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = 0.0
        for module in (tasks, concurrent, fused, loop, reader, unit_state):
            monkeypatch.setattr(module, "monotonic", lambda: self.time)

    def takes(self, seconds: Callable[[int], float]) -> Callable[[int], int]:
        """A function that takes so long for an item and gives it."""

        def work(item: int) -> int:
            self.time += seconds(item)
            return item

        return work

    def slowly(self, values: Iterable[int], seconds: Callable[[int], float]) -> Callable[[], Iterator[int]]:
        """A source's function whose items take so long to read."""
        return lambda: map(self.takes(seconds), values)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Chunks(SilentObserver):
    """What a stage was told to have worked on at once: how many items, and how long."""

    def __init__(self) -> None:
        self.items: list[int] = []
        self.seconds: list[float] = []

    def chunk_finished(self, stage: str, *, items: int, seconds: float) -> None:
        self.items.append(items)
        self.seconds.append(seconds)


def test_chunks_of_quick_items_double_up_to_the_longest() -> None:
    paced = ChunkSize(100)
    limits = []
    for _ in range(9):
        limits.append(paced.limit)
        paced.adapt(paced.limit, QUICK_CHUNK / 2)
    assert limits == [1, 2, 4, 8, 16, 32, 64, 100, 100]


def test_a_chunk_after_a_slow_one_is_as_long_as_takes_the_time_of_a_quick_one() -> None:
    paced = ChunkSize(1024)
    paced.limit = 512
    paced.adapt(512, (QUICK_CHUNK + SLOW_CHUNK) / 2)
    assert paced.limit == 512
    paced.adapt(512, SLOW_CHUNK * 1.01)
    assert paced.limit == 168
    paced.adapt(168, 168 * 0.01)
    assert paced.limit == 1


@given(st.integers(1, 5000), st.floats(0, 100))
def test_looks_at_the_clock_are_as_far_apart_as_the_items_allow(items: int, seconds: float) -> None:
    step = between_looks(items, seconds)
    assert 1 <= step <= LONGEST_STEP
    assert step == 1 or step * seconds / items <= LOOK * 1.000001


def test_items_that_come_slowly_are_not_waited_for(clock: Clock) -> None:
    values = map(clock.takes(lambda item: 0.01 if item >= 100 else 0.0), range(1000))
    assert some(values, 80, LONGEST_STEP) == list(range(80))
    assert some(values, 500, LONGEST_STEP) == list(range(80, 144))  # the look that found them slow
    assert some(values, 500, 1) == [144]
    assert some(iter(range(3)), 500, 1) == [0, 1, 2]
    assert some(iter([]), 500, 1) == []


async def test_chunks_grow_while_work_is_quick(clock: Clock) -> None:
    told = Chunks()
    work = Transform(clock.takes(lambda item: 0.000_000_1))
    await run(Source(range(2047)) >> work >> Sink(str), observer=told)
    assert told.items == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]


async def test_a_loop_is_not_held_by_items_that_become_slow(clock: Clock) -> None:
    told = Chunks()
    work = Transform(clock.takes(lambda item: 0.005 if item >= 3000 else 0.0))
    await run(Source(range(4000)) >> work >> Sink(str), observer=told)
    assert sum(told.items) == 4000
    slow = [(items, seconds) for items, seconds in zip(told.items, told.seconds, strict=True) if seconds > 0]
    assert slow[0][0] >= 64
    assert slow[0][1] <= LONGEST_STEP * 0.005 + 1e-9
    assert {items for items, _ in slow[1:]} == {1}


@pytest.mark.parametrize("on", ["loop", "thread"])
async def test_what_a_slow_source_has_given_is_handed_on_at_once(on: Any, clock: Clock) -> None:
    got: list[float] = []

    async def note(item: int) -> None:
        got.append(clock.time)

    await run(Source(clock.slowly(range(100), lambda item: 0.01), on=on) >> Sink(note))
    assert len(got) == 100
    assert all(time <= (item + 3) * 0.01 for item, time in enumerate(got))


async def test_a_source_that_becomes_slow_gathers_only_a_few(clock: Clock) -> None:
    got: list[tuple[int, float]] = []

    async def note(item: int) -> None:
        got.append((item, clock.time))

    source = Source(clock.slowly(range(3000), lambda item: 0.01 if item >= 2000 else 0.0))
    await run(source >> Sink(note))
    late = [time - max(item - 1999, 0) * 0.01 for item, time in got]
    assert max(late) <= (LONGEST_STEP + 1) * 0.01
    assert max(late[2000 + LONGEST_STEP :]) <= 0.02 + 1e-9


async def test_a_flat_map_that_gives_slowly_holds_back_no_more_than_one_item(clock: Clock) -> None:
    got: list[float] = []

    async def note(item: int) -> None:
        got.append(clock.time)

    def several(item: int) -> Iterator[int]:
        return map(clock.takes(lambda item: 0.01), range(100))

    await run(Source([0]) >> FlatMap(several) >> Sink(note))
    assert all(time <= (item + 3) * 0.01 for item, time in enumerate(got))
