"""Noticing what holds the loop of runs."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator

import pytest

from piko_flow.control.loop_thread import LoopThread
from piko_flow.control.watch import LoopWatch
from piko_flow.testing.manual_clock import ManualClock


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
