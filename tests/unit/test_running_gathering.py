"""How often and how fast: waits between attempts, and Throttle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piko_flow import Batch, LocalEngine, Retry, Sink, Source, Throttle, run, start
from piko_flow.dataflow.running.operators import gathering
from piko_flow.testing import CollectingSink, Stall, items, turns, until


@given(st.integers(1, 100), st.integers(0, 10_000), st.integers(0, 1_000_000))
def test_waits_double_and_never_pass_the_limit(attempt: int, first: int, limit: int) -> None:
    retry = Retry(attempts=200, first=first / 1000, limit=limit / 1000)
    wait = retry.delay(attempt)
    assert wait == min(first * 2 ** (attempt - 1), limit) / 1000
    assert retry.delay(attempt + 1) >= wait


def test_a_wait_may_be_shorter_than_a_timedelta_can_say_and_doubles_all_the_same() -> None:
    retry = Retry(attempts=9_999, first=1.19e-07, limit=30.0)
    assert [retry.delay(attempt) for attempt in (1, 2, 21)] == [1.19e-07, 2.38e-07, 1.19e-07 * 2**20]
    assert retry.delay(9_000) == 30.0


def test_a_wait_may_be_a_timedelta() -> None:
    retry = Retry(first=timedelta(milliseconds=250), limit=timedelta(seconds=1))
    assert [retry.delay(attempt) for attempt in (1, 2, 3, 4)] == [0.25, 0.5, 1.0, 1.0]


async def test_a_throttle_lets_so_many_pass_and_no_more() -> None:
    sink: CollectingSink[int] = CollectingSink()
    async with start(items(100) >> Throttle(3, per=3600) >> sink) as active:
        await until(lambda: len(sink.written) == 3)
        await turns(200)
        assert sink.written == [0, 1, 2]
        active.cancel()
        assert (await active.wait()).outcome == "cancelled"


@pytest.mark.parametrize(
    "gather",
    [
        lambda sink: Batch(100, within=0.01) >> sink,
        lambda sink: Batch(100, within=0.01, weight=float) >> sink,
        lambda sink: CollectingSink(batch=100, within=0.01),
    ],
    ids=["Batch", "Batch by weight", "Sink"],
)
async def test_a_list_is_handed_on_when_its_time_has_come(gather: Callable[[Any], Any]) -> None:
    stalled = Stall()

    async def read() -> AsyncIterator[int]:
        yield 1
        yield 2
        await stalled.happen()
        yield 3

    end = gather(CollectingSink())
    sink = end if isinstance(end, CollectingSink) else list(end.leaves())[-1]
    async with start(Source(read) >> end):
        await until(lambda: sink.written)
        stalled.release()
    assert [call.items for call in sink.record.calls if call.step == "write"] in (
        [(1, 2), (3,)],
        [([1, 2],), ([3],)],
    )


class Clock:
    """A clock that only sleeping moves, and what was slept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = 0.0
        self.slept: list[float] = []
        pause = asyncio.sleep

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            self.time += seconds
            await pause(0)

        monkeypatch.setattr(gathering, "monotonic", lambda: self.time)
        monkeypatch.setattr(
            gathering, "asyncio", SimpleNamespace(sleep=sleep, Event=asyncio.Event, timeout=asyncio.timeout)
        )


@pytest.mark.parametrize("parallel", [1, 3])
async def test_units_share_one_pace(parallel: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    times: list[float] = []
    written: list[int] = []
    go_on = gathering.RateLimiter.passed

    def passed(self: gathering.RateLimiter, items: int) -> None:
        times.extend([clock.time] * items)  # in the sink it may be later: another unit has slept meanwhile
        go_on(self, items)

    monkeypatch.setattr(gathering.RateLimiter, "passed", passed)
    pipeline = items(50, units=50) >> Throttle(2, per=1) >> Sink(written.append)
    await run(pipeline, engine=LocalEngine(parallel=parallel))
    assert sorted(written) == list(range(50))
    assert len(times) == 50
    assert times[-1] >= 24
    assert all(later - earlier >= 1 for earlier, later in zip(times, times[2:], strict=False))


async def test_a_throttle_does_not_wait_when_nothing_is_left_to_hand_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    await run(items(6) >> Throttle(3, per=7) >> CollectingSink())
    assert clock.slept == [7]


async def test_a_drain_does_not_wait_for_an_empty_throttle() -> None:
    async def read() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    sink: CollectingSink[int] = CollectingSink()
    async with start(Source(read) >> Throttle(1, per=3600) >> sink) as active:
        await until(lambda: sink.written == [1])
        active.drain()
        assert (await active.wait()).outcome == "drained"


async def test_a_unit_waits_for_what_another_has_on_its_way() -> None:
    shared = gathering.RateLimiter(1, 0.0)
    await shared.wait()
    shared.taken(1)
    waiting = asyncio.create_task(shared.wait())
    await turns(20)
    assert not waiting.done()
    shared.passed(1)
    await waiting
    assert shared.free == 1
