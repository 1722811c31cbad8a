"""The manual clock: it moves when told, wakes in order, and lets everything settle before it moves on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import pytest_asyncio

from piko_flow.testing import ManualClock, turns
from piko_flow.testing.manual_clock import START


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


Begin = Callable[..., list[asyncio.Task[None]]]
Asleep = Callable[..., list[tuple[str, float]]]


@pytest_asyncio.fixture
async def begin() -> AsyncIterator[Begin]:
    """Starts tasks, which are cancelled at the end of the test."""
    tasks: list[asyncio.Task[None]] = []

    def begin(*coroutines: Coroutine[Any, Any, None]) -> list[asyncio.Task[None]]:
        tasks.extend(map(asyncio.create_task, coroutines))
        return tasks

    yield begin
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def asleep(clock: ManualClock, begin: Begin) -> Asleep:
    """Starts tasks that sleep as long as it is said, and gives who has woken, and when."""
    told: list[tuple[str, float]] = []

    async def sleep(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        told.append((name, clock.monotonic()))

    def asleep(*sleepers: tuple[str, float]) -> list[tuple[str, float]]:
        begin(*(sleep(name, seconds) for name, seconds in sleepers))
        return told

    return asleep


async def test_it_stands_still_until_it_is_moved(clock: ManualClock) -> None:
    assert (clock.now(), clock.monotonic()) == (START, 0.0)
    await asyncio.sleep(0)
    assert (clock.now(), clock.monotonic()) == (START, 0.0)
    await clock.advance(1.5)
    assert (clock.now(), clock.monotonic()) == (START + timedelta(seconds=1.5), 1.5)


async def test_it_begins_where_it_is_told_to_and_speaks_utc() -> None:
    berlin = timezone(timedelta(hours=1))
    clock = ManualClock(datetime(2026, 3, 29, 1, 30, tzinfo=berlin))
    assert (clock.now(), clock.now().tzinfo) == (datetime(2026, 3, 29, 0, 30, tzinfo=UTC), UTC)
    await clock.advance_to(datetime(2026, 3, 29, 2, 30, tzinfo=berlin))
    assert (clock.now().tzinfo, clock.monotonic()) == (UTC, 3600.0)


def test_a_naive_start_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        ManualClock(datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("sleepers", "woken"),
    [
        ([("c", 3), ("a", 1), ("late", 9), ("b", 2)], [("a", 1), ("b", 2), ("c", 3)]),
        ([("b", 1), ("a", 1), ("c", 1), ("late", 9)], [("b", 1), ("a", 1), ("c", 1)]),
        ([("shortest", 1e-12), ("late", 9)], [("shortest", 1e-06)]),
    ],
    ids=["in the order of their times", "of one instant, in the order in which they fell asleep", "at once"],
)
async def test_sleepers_wake_each_at_its_own_time(
    clock: ManualClock, asleep: Asleep, sleepers: list[tuple[str, float]], woken: list[tuple[str, float]]
) -> None:
    told = asleep(*sleepers)
    await clock.advance(5)
    assert told == woken
    assert (clock.sleepers, clock.next_wake) == (1, START + timedelta(seconds=9))


async def test_who_sleeps_again_on_the_way_is_woken_again(clock: ManualClock, begin: Begin) -> None:
    beats: list[float] = []

    async def beat() -> None:
        while True:
            await clock.sleep(0.25)
            beats.append(clock.monotonic())

    begin(beat())
    await clock.advance(1)
    assert beats == [0.25, 0.5, 0.75, 1.0]


async def test_what_a_sleeper_sets_off_is_done_before_the_next_one_wakes(
    clock: ManualClock, begin: Begin
) -> None:
    events: list[str] = []
    woken = asyncio.Event()

    async def first() -> None:
        await clock.sleep(1)
        woken.set()

    async def set_off() -> None:
        await woken.wait()
        await turns(50)
        events.append(f"set off at {clock.monotonic()}")

    async def second() -> None:
        await clock.sleep(1.000001)
        events.append(f"second at {clock.monotonic()}")

    begin(set_off(), first(), second())
    await clock.advance(2)
    assert events == ["set off at 1.0", "second at 1.000001"]


async def test_all_is_at_rest_when_advance_returns(clock: ManualClock, begin: Begin) -> None:
    done: list[int] = []

    async def long() -> None:
        await turns(500)
        done.append(500)

    begin(long())
    await clock.advance(0)
    assert done == [500]


async def test_a_cancelled_sleeper_is_forgotten(clock: ManualClock) -> None:
    task = asyncio.create_task(clock.sleep(10))
    await clock.settle()
    assert clock.sleepers == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (task.cancelled(), clock.sleepers, clock.next_wake) == (True, 0, None)


async def test_a_sleeper_that_is_cancelled_as_it_wakes_does_not_stop_the_others(
    clock: ManualClock, begin: Begin, asleep: Asleep
) -> None:
    told = asleep(("a", 1), ("b", 1))
    await clock.settle()
    begin()[0].cancel()
    await clock.advance(1)
    assert told == [("b", 1.0)]


async def test_sleeping_for_nothing_is_a_turn_of_the_loop(clock: ManualClock) -> None:
    await clock.sleep(0)
    await clock.sleep(-1)
    assert clock.monotonic() == 0.0


async def test_it_is_not_put_back(clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="not put back"):
        await clock.advance(-1)


async def test_one_task_moves_it(clock: ManualClock, begin: Begin) -> None:
    async def moves() -> None:
        await clock.sleep(1)
        await clock.advance(1)

    (moving,) = begin(moves())
    await clock.advance(3)
    with pytest.raises(RuntimeError, match="moved already"):
        await moving


async def test_a_loop_that_never_rests_is_told_of(
    clock: ManualClock, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def spin() -> None:
        while True:
            await turns(1)

    monkeypatch.setattr("piko_flow.testing.manual_clock.TURNS", 1000)
    begin(spin())
    with pytest.raises(AssertionError, match="still busy after 1000 turns"):
        await clock.advance(1)
    assert clock.monotonic() == 0.0


async def test_somebody_who_sleeps_too_little_is_told_of(
    clock: ManualClock, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nervous() -> None:
        while True:
            await clock.sleep(1e-9)

    monkeypatch.setattr("piko_flow.testing.manual_clock.WAKES", 1000)
    begin(nervous())
    with pytest.raises(AssertionError, match="more than 1000 sleepers woke"):
        await clock.advance(1)


async def test_a_sleeper_on_another_loop_is_told_of(clock: ManualClock, begin: Begin) -> None:
    begin(clock.sleep(1))
    await clock.settle()
    with pytest.raises(RuntimeError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, clock.advance(1))


async def test_a_year_of_hours_passes_while_three_tasks_count_them(clock: ManualClock, begin: Begin) -> None:
    hours = [0, 0, 0]

    async def count(task: int) -> None:
        while True:
            await clock.sleep(3600)
            hours[task] += 1

    begin(*map(count, range(3)))
    await clock.advance_to(START + timedelta(days=365))
    assert hours == [8760, 8760, 8760]
