"""Operators that hold items back: Batch, Throttle and Merge."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing

from piko_flow.clock import monotonic
from piko_flow.dataflow.running.channel import AnyChannel
from piko_flow.dataflow.running.operators.sink import gathered
from piko_flow.dataflow.running.unit_state import OperatorState
from piko_flow.dataflow.stages.batch import Batch, Throttle
from piko_flow.tasks import TaskGroup


class RateLimiter:
    """At most `count` items in any span of `per` seconds, for all units that one process runs of a stage.

    Wait with `wait()`, then say how many are taken, and when they have passed.
    """

    def __init__(self, count: int, per: float) -> None:
        self.free, self._per = count, per
        self._passed: deque[tuple[float, int]] = deque()  # when how many went on, over the last span
        self._someone_passed = asyncio.Event()

    async def wait(self) -> None:
        """Wait until at least one more item may pass; how many may is in `free`."""
        while True:
            now = monotonic()
            while self._passed and self._passed[0][0] + self._per <= now:
                self.free += self._passed.popleft()[1]
            if self.free:
                return
            if self._passed:
                await asyncio.sleep(self._passed[0][0] + self._per - now)
            else:  # another unit's items are on their way, and their span has not begun
                self._someone_passed.clear()
                await self._someone_passed.wait()

    def taken(self, items: int) -> None:
        """So many are on their way; they count from now on."""
        self.free -= items

    def passed(self, items: int) -> None:
        """So many of those taken have gone on; their span begins now."""
        self._passed.append((monotonic(), items))
        self._someone_passed.set()


class BatchOperator:
    """Hands on lists, in order."""

    def __init__(self, state: OperatorState) -> None:
        self.state = state

    async def run(self) -> None:
        """Gather until the input ends."""
        stage = self.state.boxes[0].stage
        assert isinstance(stage, Batch)
        async with aclosing(gathered(self.state, stage.count, stage.within, stage.weight)) as lists:
            async for items in lists:
                self.state.tally.emitted += 1
                self.state.report_chunk(len(items), 0.0)
                await self.state.send([items], self.state.output)
        self.state.close()


class ThrottleOperator:
    """Hands on at most `count` items in any span of `per` seconds, all units of its process together; order is kept."""

    def __init__(self, state: OperatorState) -> None:
        self.state = state

    async def run(self) -> None:
        """Hand items on at the rate until the input ends; its end is not delayed by the rate."""
        box, channel, tally = self.state.boxes[0], self.state.input, self.state.tally
        stage = box.stage
        assert isinstance(stage, Throttle)
        rate_limiter = self.state.context.rate_limits.setdefault(
            box.number, RateLimiter(stage.count, stage.per)
        )
        while True:
            await (
                self.state.filled()
            )  # before the limiter: with nothing to hand on there is nothing to wait for
            if not channel.count:
                break
            began = monotonic()
            await rate_limiter.wait()
            waited = monotonic() - began
            chunk = channel.take(rate_limiter.free)
            self.state.report_chunk(len(chunk), waited)
            rate_limiter.taken(len(chunk))
            tally.received += len(chunk)
            try:
                await self.state.send(chunk, self.state.output)
            finally:
                rate_limiter.passed(len(chunk))
            tally.emitted += len(chunk)
        self.state.close()


class MergeOperator:
    """Hands on what arrives on any input; each input keeps its order, and none waits for another."""

    def __init__(self, state: OperatorState) -> None:
        self.state = state

    async def run(self) -> None:
        """Forward every input until all have ended."""
        began = monotonic()
        async with TaskGroup() as group:
            for number, channel in enumerate(self.state.inputs):
                group.create_task(self._forward(channel), name=f"{self.state.name} input {number + 1}")
        self.state.times.waiting += max(monotonic() - began - self.state.times.blocked, 0.0)
        self.state.close()

    async def _forward(self, channel: AnyChannel) -> None:
        tally = self.state.tally
        while chunk := await channel.receive(1024):
            tally.received += len(chunk)
            self.state.report_chunk(len(chunk), 0.0)
            await self.state.send(chunk, self.state.output)
            tally.emitted += len(chunk)
