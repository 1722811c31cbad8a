"""The operator that keeps up to `concurrency` calls in flight: asynchronous functions, threads, retried functions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Any

from piko_flow.clock import monotonic
from piko_flow.dataflow.running.operators.attempts import DROPPED, Attempts
from piko_flow.dataflow.running.unit_state import OperatorState, breathe
from piko_flow.dataflow.stages.sink import Sink

PENDING: Any = object()  # the result of a call still in flight
LOCAL = 256  # items taken off the input at once


class ConcurrentOperator:
    """Workers that take items from one shared chunk, as many as there is work for, up to `concurrency`.

    Items in flight and not yet handed on are at most `concurrency`. Ordered: a result waits for those before
    it. Unordered: it leaves when it is there. Workers are started and woken two at a time by those that find
    more to do, so a function that never waits keeps to one worker and a burst reaches all in a few turns.
    """

    def __init__(self, state: OperatorState) -> None:
        self.state = state
        stage: Any = state.boxes[0].stage
        self.concurrency: int = stage.options.concurrency
        self.ordered = stage.options.ordered and self.concurrency > 1 and not isinstance(stage, Sink)
        self.items: Iterator[Any] = iter(())
        self.ring: deque[list[Any]] = deque()
        self.idle: deque[asyncio.Future[None]] = deque()
        self.parked: deque[asyncio.Future[None]] = deque()
        self.workers = 0
        self.limit = max(min(LOCAL, state.unit.plan.options.capacity.items), 1)
        self._receiving = self._ended = False

    async def run(self) -> None:
        """Work until the input has ended and every result is handed on."""
        self.attempts = await Attempts.of(self.state)
        with self.state.at_work():
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._start_worker()
        self.state.close()

    def _start_worker(self) -> None:
        self.workers += 1
        work = self._work_ordered() if self.ordered else self._work()
        self._group.create_task(work, name=f"{self.state.name} worker {self.workers}")

    async def _work(self) -> None:
        """Take items, hand on each result when it is there."""
        call, failed, tally = self.attempts.call, self.attempts.failed, self.state.tally
        output = self.state.outputs[0] if self.state.outputs else None
        held_since, fresh = monotonic(), True
        while True:
            for item in self.items:
                if fresh:
                    self._spread()
                    fresh = False
                try:
                    result = await call(item)
                except Exception as error:
                    result = failed(item, error)
                if result is not DROPPED:
                    while output is not None and not output.offer(result):
                        await self.state.room()
                    tally.emitted += 1
                if monotonic() - held_since > 0.004:
                    held_since = await breathe(held_since)
            fresh = True
            if not await self._refill():
                return
            held_since = await breathe(held_since)

    async def _work_ordered(self) -> None:
        """Take items, hand on finished results from the head of the ring."""
        call, failed, ring = self.attempts.call, self.attempts.failed, self.ring
        held_since, fresh = monotonic(), True
        while True:
            while len(ring) >= self.concurrency:  # it may have filled while this worker waited for items
                await self._park()
            for item in self.items:
                slot = [PENDING]
                ring.append(slot)
                if fresh:
                    self._spread()
                    fresh = False
                try:
                    slot[0] = await call(item)
                except Exception as error:
                    slot[0] = failed(item, error)
                if ring[0] is slot:
                    while not self._hand_on():
                        await self.state.room()
                while len(ring) >= self.concurrency:
                    await self._park()
                if monotonic() - held_since > 0.004:
                    held_since = await breathe(held_since)
            fresh = True
            if not await self._refill():
                return
            held_since = await breathe(held_since)

    def _hand_on(self) -> bool:
        """Send on what has finished at the head of the ring; False when the output is full before that is done."""
        ring, offer, tally = self.ring, self.state.output.offer, self.state.tally
        freed = 0
        try:
            while ring and (result := ring[0][0]) is not PENDING:
                if result is not DROPPED:
                    if not offer(result):
                        return False
                    tally.emitted += 1
                ring.popleft()
                freed += 1
            return True
        finally:
            while freed and self.parked:
                freed -= 1
                _wake(self.parked)

    async def _park(self) -> None:
        """Wait for a place in the ring."""
        place = asyncio.get_running_loop().create_future()
        self.parked.append(place)
        await place

    def _spread(self) -> None:
        """Let two more workers begin, if there are items and workers left for it."""
        left = self.items.__length_hint__()  # type: ignore[attr-defined]  # list iterators have it
        for _ in range(min(left, 2)):
            if self.idle:
                _wake(self.idle)
            elif self.workers < self.concurrency and len(self.ring) < self.concurrency:
                self._start_worker()

    async def _refill(self) -> bool:
        """Wait until there may be items to take; False when no more will come."""
        while True:
            if self.items.__length_hint__():  # type: ignore[attr-defined]
                return True
            if self._ended:
                return False
            if not self._receiving:
                break
            idle = asyncio.get_running_loop().create_future()
            self.idle.append(idle)
            await idle
        self._receiving = True
        chunk = await self.state.receive(self.limit)
        self._receiving = False
        self._ended = not chunk
        self.state.tally.received += len(chunk)
        self.items = iter(chunk)
        if self._ended:
            while self.idle:
                _wake(self.idle)
        return bool(chunk)


def _wake(waiting: deque[asyncio.Future[None]]) -> None:
    future = waiting.popleft()
    if not future.done():
        future.set_result(None)
