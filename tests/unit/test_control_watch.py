"""Noticing what holds the loop of runs."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from piko_flow import Flow, Pipeline, RunContext, Sink, Source, Transform
from piko_flow.control.loop_thread import LoopThread
from piko_flow.control.replica.watch import LoopWatch, place_of
from piko_flow.control.runs.executions import Executions
from piko_flow.control.runs.outcome import Outcome
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.protocols import RunStore
from piko_flow.testing.manual_clock import ManualClock
from tests.unit.executing import Place

T = TypeVar("T")


class Scene:
    """A thread whose loop a test may hold, and a watch on it by a clock that stands still."""

    def __init__(self, thread: LoopThread) -> None:
        self.thread, self.clock = thread, ManualClock()
        self.watch = LoopWatch(thread, after=5, clock=self.clock)
        self._begun, self._enough = threading.Event(), threading.Event()

    async def hold(self) -> None:
        """Let user code hold the loop until `let_go`; returns when it does."""
        self.thread.submit(self._greedy)
        await asyncio.to_thread(self._begun.wait)

    async def _greedy(self) -> None:
        self._begun.set()
        self._enough.wait()

    async def let_go(self) -> None:
        """Let the loop turn again; returns when everything that waited has had its turn."""
        self._enough.set()
        await self.thread.call(_turn)


async def _turn() -> None:
    await asyncio.sleep(0)


async def _awaited(answer: Awaitable[T]) -> T:
    return await answer


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with LoopThread("runs") as thread:
        yield Scene(thread)


async def test_a_loop_that_turns_is_not_reported(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        scene.watch.look()
        await scene.thread.call(_turn)
        await scene.clock.advance(60)
    assert (scene.watch.blocked_by, caplog.records) == ("", [])


async def test_a_loop_that_is_held_is_reported_once_with_the_line_that_holds_it_and_once_when_it_turns(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    await scene.hold()
    scene.watch.look()
    await scene.clock.advance(4)
    scene.watch.look()
    assert scene.watch.blocked_by == ""
    for _ in range(3):
        await scene.clock.advance(1)
        scene.watch.look()
    assert "test_control_watch.py" in scene.watch.blocked_by
    assert "in _greedy" in scene.watch.blocked_by
    await scene.let_go()
    assert scene.watch.blocked_by == ""
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 2
    assert "is held since 5.0 s by" in told[0]
    assert "turns again" in told[1]


async def test_a_loop_that_is_held_a_second_time_is_reported_a_second_time(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        scene._begun.clear()
        scene._enough.clear()
        await scene.hold()
        scene.watch.look()
        await scene.clock.advance(6)
        scene.watch.look()
        assert scene.watch.blocked_by
        await scene.let_go()
    assert sum("is held since" in record.getMessage() for record in caplog.records) == 2


def same(item: int) -> int:
    return item


class Held:
    """Flows whose function holds the loop of runs until it is let go."""

    def __init__(self) -> None:
        self.begun, self.enough = threading.Event(), threading.Event()

    def hold(self, item: int) -> int:
        self.begun.set()
        self.enough.wait()
        return item

    async def hold_and_wait(self, item: int) -> int:
        return self.hold(item)

    def fused(self) -> Pipeline:
        stages = (
            Transform(same, name="first")
            >> Transform(self.hold, name="greedy")
            >> Transform(same, name="last")
        )
        return Source([1], name="numbers") >> stages >> Sink(list[int]().append, name="kept")

    def concurrent(self) -> Pipeline:
        greedy = Transform(self.hold_and_wait, name="greedy", concurrency=2)
        return Source([1], name="numbers") >> greedy >> Sink(list[int]().append, name="kept")

    async def job(self, run: RunContext[Any]) -> None:
        self.hold(1)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("fused", "run 1 of orders, stage greedy, at "),
        ("concurrent", "run 1 of orders, stage greedy "),
        ("job", "run 1 of orders at "),
    ],
)
async def test_a_run_that_holds_the_loop_is_told_with_its_flow_and_stage(
    scene: Scene, kind: str, told: str
) -> None:
    held, place = Held(), Place()
    target: Any = getattr(held, kind) if kind == "job" else getattr(held, kind)()
    flow = Flow.register("orders", target, registry=place.registry)
    order = await place.order(flow)
    control = asyncio.get_running_loop()

    async def ask(question: Callable[[RunStore], Awaitable[T]]) -> T:
        asked = asyncio.run_coroutine_threadsafe(_awaited(place.ask(question)), control)
        return await asyncio.wrap_future(asked)

    async def execute() -> Outcome:
        ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        async with Executions(
            replace(place.tools, ask=ask), lambda run, done: ended.set_result(done)
        ) as runs:
            runs.start([order])
            return await ended

    executing = scene.thread.submit(execute)
    await asyncio.to_thread(held.begun.wait)
    try:
        found = place_of(scene.thread)
    finally:
        held.enough.set()
    assert (await asyncio.wrap_future(executing)).status is RunStatus.SUCCESS
    assert found.startswith(told)
    assert f"{__file__}:" in found
    assert found.endswith(" in hold")
