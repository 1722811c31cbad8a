"""The operator that keeps up to `concurrency` calls in flight: asynchronous functions, threads, retried functions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from types import NoneType
from typing import Any

from piko_flow.clock import monotonic
from piko_flow.dataflow.running.channel import InOrder
from piko_flow.dataflow.running.operators.attempts import DROPPED, Attempts
from piko_flow.dataflow.running.operators.awaitables import no_coroutine
from piko_flow.dataflow.running.operators.reader import between_looks
from piko_flow.dataflow.running.unit_state import OperatorState
from piko_flow.dataflow.stages.sink import Sink
from piko_flow.tasks import ESCAPES, LOOP_HELD_SECONDS, TaskGroup, checkpoint

LOCAL = 256  # items taken off the input at once
LONGEST_PIECE = (
    32  # items between two looks at the clock: where they suddenly take long, the loop is held for them once
)


class ConcurrentOperator:
    """Workers that take items from one shared chunk, as many as there is work for, up to `concurrency`.

    Items in flight and not yet handed on are at most `concurrency`. Ordered: a result waits for those before
    it. Unordered: it leaves when it is there. Workers are started and woken two at a time by those that find
    more to do, so a function that never waits keeps to one worker and a burst reaches all in a few turns.

    All workers go through one iterator, `items`, and leave it together when there is nothing to take at once or when
    the loop was held for long: what is looked at for every item would cost as much as the item.
    """

    def __init__(self, state: OperatorState) -> None:
        self.state = state
        stage: Any = state.boxes[0].stage
        self.concurrency: int = stage.options.concurrency
        self.ordered = stage.options.ordered and self.concurrency > 1 and not isinstance(stage, Sink)
        self.input, self.output = state.input, state.outputs[0] if state.outputs else None
        self.chunk: Iterator[Any] = iter(())
        self.order = InOrder(self._send)
        self.idle: deque[asyncio.Future[None]] = deque()
        self.workers = 0
        self.limit = max(min(LOCAL, state.unit.plan.options.capacity.items), 1)
        self.held_since = self._looked = monotonic()
        self._piece = 1  # items until the next look at the clock
        self._watched = self._flowing = False
        self._in_work = 0  # items of the chunk that was taken last

    async def run(self) -> None:
        """Work until the input has ended and every result is handed on."""
        self.attempts = await Attempts.of(self.state)
        try:
            with self.state.at_work():
                async with TaskGroup(inside=self.state.unit.group) as group:
                    self.group = group
                    self._start_worker()
                self._tell(0)
        finally:
            self._count()
        self.state.close()

    def _start_worker(self) -> None:
        self.workers += 1
        work = self._work_ordered() if self.ordered else self._work()
        self.group.create_task(work, name=f"{self.state.name} worker {self.workers}")

    async def _work(self) -> None:
        """Take items, hand on each result when it is there."""
        call, failed = self.attempts.call, self.attempts.failed
        offer = self.output.offer if self.output is not None else self._end
        group = self.group
        seen: type = NoneType
        while await self._more():
            for item in self.items:
                try:
                    result = await call(item)
                    seen = seen if type(result) is seen else _looked_at(result)
                except Exception as error:
                    result = failed(item, error)
                except ESCAPES as error:
                    result = failed(item, group.judge(error))
                if group.stopping:
                    group.obey()
                if result is not DROPPED:
                    while not offer(result):
                        await self.state.room()

    async def _work_ordered(self) -> None:
        """Take items, hand on results in the order of the items; one that is early is kept until its turn."""
        call, failed, offer = self.attempts.call, self.attempts.failed, self.state.output.offer
        order, early, group = self.order, self.order.early, self.group
        seen: type = NoneType
        while await self._more():
            for item in self.items:
                number = order.begun  # what `order.begin`, and `order.pass_on` below, do without a call
                order.begun = number + 1
                try:
                    result = await call(item)
                    seen = seen if type(result) is seen else _looked_at(result)
                except Exception as error:
                    result = failed(item, error)
                except ESCAPES as error:
                    result = failed(item, group.judge(error))
                if group.stopping:
                    group.obey()
                if number != order.turn:
                    early[number] = result
                    if not self._has_place():
                        break
                    continue
                if result is not DROPPED:
                    while not offer(result):
                        await self.state.room()
                order.turn = number + 1  # which leaves a place for the next item
                if early:
                    await order.hand_on()
                    self._spread()
                    if not self._has_place():
                        break

    async def _send(self, result: Any) -> None:
        if result is not DROPPED:
            while not self.state.output.offer(result):
                await self.state.room()

    def _end(self, result: Any) -> bool:
        """What a sink gives is not for anybody."""
        self.state.tally.emitted += 1
        return True

    def _count(self) -> None:
        """What was handed on is what the output took; counting it once more for each item would cost as much as that."""
        if self.output is not None:
            self.state.tally.emitted = self.output.sent

    def _tell(self, taken: int) -> None:
        """The chunk before is through, but for the items that are in flight."""
        if self._in_work:
            self.state.passed(self._in_work)
        self._in_work = taken

    def _has_place(self) -> bool:
        """Whether one more item may be taken."""
        return not self.ordered or self.order.begun - self.order.turn < self.concurrency

    def _spread(self) -> None:
        """Let two more workers begin: on what is left of the chunk, or to wait for the next one."""
        if (not self.idle and self.workers == self.concurrency) or not self._has_place():
            return
        left = self.chunk.__length_hint__()  # type: ignore[attr-defined]  # list iterators have it
        for _ in range(min(left, 2)):
            if self.idle:
                _wake(self.idle)
            elif self.workers < self.concurrency:
                self._start_worker()

    async def _more(self) -> bool:
        """Wait until there is an item to take and a place for it; False when no more will come.

        One of those who wait watches the input and lets others know when it finds more than it takes itself. The
        loop has a turn first if it was held for long.
        """
        if self._looked - self.held_since > LOOP_HELD_SECONDS:
            since = self.held_since
            self.held_since = self._looked  # so that no other worker gives the same turn
            self.held_since = await checkpoint(since)
        while not (self._has_place() and self._has_items()):
            if self._watched or not self._has_place():
                idle = asyncio.get_running_loop().create_future()
                self.idle.append(idle)
                await idle
            elif self.input.closed:
                while self.idle:
                    _wake(self.idle)
                return False
            else:
                await self._watch()
        self._spread()
        if not self._flowing:
            self._flowing, self.items = True, chain.from_iterable(self._pieces())
        return True

    async def _watch(self) -> None:
        """Wait until the input has items or has ended; the loop turns meanwhile."""
        self._watched = True
        await self.state.filled()
        self._watched = False
        self.held_since = self._looked = monotonic()

    def _pieces(self) -> Iterator[Iterator[Any]]:
        """Give what can be taken without waiting in pieces, until the loop was held for long; all workers share them."""
        try:
            while self._has_items() and self._looked - self.held_since <= LOOP_HELD_SECONDS:
                yield islice(self.chunk, self._piece)
                now = monotonic()
                self._piece = between_looks(self._piece, now - self._looked, LONGEST_PIECE)
                self._looked = now
        finally:
            self._flowing = False

    def _has_items(self) -> bool:
        """Whether there are items to take without waiting."""
        if self.chunk.__length_hint__():  # type: ignore[attr-defined]
            return True
        if not self.input.count:
            return False
        self._count()
        chunk = self.input.take(self.limit)
        self.state.tally.received += len(chunk)
        self._tell(len(chunk))
        self.chunk = iter(chunk)
        self._spread()
        return True


def _wake(waiting: deque[asyncio.Future[None]]) -> None:
    future = waiting.popleft()
    if not future.done():
        future.set_result(None)


def _looked_at(result: Any) -> type:
    """Give the class of a result, for a comparison with that of the next. Raises CoroutineReturned for an awaitable."""
    if hasattr(type(result), "__await__"):
        no_coroutine(result, awaited=True)
    return type(result)
