"""Operators that hold items back, Batch, Throttle and Merge, and the gathering of lists that sinks use too."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from piko_flow.clock import monotonic
from piko_flow.dataflow.running.channel import AnyChannel
from piko_flow.dataflow.running.task_group import TaskGroup
from piko_flow.dataflow.running.unit_state import OperatorState
from piko_flow.dataflow.stages.batch import Batch, Throttle


async def gathered(
    state: OperatorState, count: int, within: float | None, weight: Callable[[Any], float] | None
) -> AsyncGenerator[list[Any], None]:
    """Lists of the input's items in order: full ones, those whose time has come, and the rest at the end.

    As many items in a row as a channel holds that weigh nothing make a list full too, so that memory stays
    bounded. Raises StageFailed for an item whose weight is no number of at least 0.
    """
    held, heavy, light = list[Any](), 0.0, 0  # light: the last so many items weighed nothing
    lightest = state.unit.plan.options.capacity.items
    due: float | None = None
    limit = max(min(count, 1024), 1)
    while True:
        try:
            async with asyncio.timeout(None if due is None else max(due - monotonic(), 0.0)):
                chunk = await state.receive(limit)
        except TimeoutError:
            yield held
            held, heavy, light, due = [], 0.0, 0, None
            continue
        if not chunk:
            break
        state.tally.received += len(chunk)
        for full in _added(held, chunk, count) if weight is None else ():
            yield full
        if weight is not None:
            for item in chunk:
                held.append(item)
                before, heavy = heavy, heavy + _weighed(state, weight, item)
                light = light + 1 if heavy == before else 0
                if heavy >= count or light >= lightest:
                    yield held[:]
                    held.clear()
                    heavy, light = 0.0, 0
        if not held:
            due = None
        elif within is not None and due is None:
            due = monotonic() + within
    if held:
        yield held


def _weighed(state: OperatorState, weight: Callable[[Any], float], item: Any) -> float:
    try:
        weighs = weight(item)
        if not weighs >= 0:
            raise ValueError(f"a weight must be a number of at least 0, got {weighs!r}")
    except Exception as error:
        raise state.unit.error_policy.failure(state.boxes[0], item, error) from error
    return weighs


def _added(held: list[Any], chunk: list[Any], count: int) -> list[list[Any]]:
    """Add the chunk to what is held; gives the lists that are full and leaves the rest in `held`."""
    held += chunk
    full = []
    while len(held) >= count:
        full.append(held[:count])
        del held[:count]
    return full


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
        """ChunkSize the items until the input ends; its end is not waited for longer than it takes to come."""
        box, channel, tally = self.state.boxes[0], self.state.input, self.state.tally
        stage = box.stage
        assert isinstance(stage, Throttle)
        rate_limiter = self.state.context.rate_limits.setdefault(
            box.number, RateLimiter(stage.count, stage.per)
        )
        while True:
            await self.state.filled()  # before the pace: with nothing to hand on there is nothing to wait for
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
