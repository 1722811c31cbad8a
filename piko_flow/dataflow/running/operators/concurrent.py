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
from piko_flow.tasks import FAILURES, LOOP_HELD_SECONDS, TaskGroup, checkpoint

LOCAL = 256  # items taken off the input at once
# Items between two looks at the clock: where they suddenly take long, the loop is held for so many of them once.
LONGEST_PIECE = 32


class ConcurrentOperator:
    """Workers that take items from one shared chunk, as many as there is work for, up to `concurrency`.

    Items in flight and not yet handed on are at most `concurrency`. Ordered: a result waits for those before
    it. Unordered: it leaves when it is there. Workers are started and woken two at a time by those that find
    more to do, so a function that never waits keeps to one worker and a burst reaches all in a few turns.

    All workers go through one iterator, `items`, until there is nothing to take at once. It looks at the clock after
    a few items: a look for each would cost as much as handing it on.
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
        self._watched = self._flowing = self._held_long = False
        self._in_work = 0  # items of the chunk that was taken last

    async def run(self) -> None:
        """Work until the input has ended and every result is handed on."""
        self.attempts = await Attempts.of(self.state)
        try:
            with self.state.at_work():
                async with TaskGroup(inside=self.state.unit.group) as group:
                    self.group = group
                    self._start_worker()
                self._report_passed(0)
        finally:
            self._count()
        self.state.close()

    def _start_worker(self) -> None:
        self.workers += 1
        work = self._work_ordered() if self.ordered else self._work()
        self.group.create_task(work, name=f"{self.state.name} worker {self.workers}")

    async def _work(self) -> None:
        """Take items, hand on each result when it is there."""
        call, failed, group = self.attempts.call, self.attempts.failed, self.group
        output, tally = self.output, self.state.tally
        seen: type = NoneType
        while await self._more():
            for item in self.items:
                try:
                    result = await call(item)
                    if type(result) is not seen:
                        seen = _looked_at(result)
                except FAILURES as error:
                    result = failed(item, group.judge(error, shared=True))
                if group.stopping:
                    group.obey()
                if result is DROPPED:
                    pass
                elif output is None:
                    tally.emitted += 1
                elif len(output.tail) < output.tail_limit:
                    output.tail.append(result)
                else:
                    await self._send(result)
                if self._held_long:
                    await self._let_others()

    async def _work_ordered(self) -> None:
        """Take items, hand on results in the order of the items; one that is early is kept until its turn."""
        call, failed, group = self.attempts.call, self.attempts.failed, self.group
        output, order, early = self.state.output, self.order, self.order.early
        seen: type = NoneType
        while await self._more():
            for item in self.items:
                number = order.begun  # what `order.begin`, and `order.pass_on` below, do without a call
                order.begun = following = number + 1
                try:
                    result = await call(item)
                    if type(result) is not seen:
                        seen = _looked_at(result)
                except FAILURES as error:
                    result = failed(item, group.judge(error, shared=True))
                if group.stopping:
                    group.obey()
                if number != order.turn:
                    early[number] = result
                    if not self._has_place():
                        break
                    continue
                if result is not DROPPED:
                    if len(output.tail) < output.tail_limit:
                        output.tail.append(result)
                    else:
                        await self._send(result)
                order.turn = following  # which leaves a place for the next item
                if (early or self._held_long) and not await self._has_place_after_others():
                    break

    async def _has_place_after_others(self) -> bool:
        """Hand on the early results whose turn has come, and give others their turn; then whether a place is left."""
        await self.order.hand_on()
        await self._let_others()
        self._spread()
        return self._has_place()

    async def _send(self, result: Any) -> None:
        if result is not DROPPED:
            while not self.state.output.offer(result):
                await self.state.room()

    def _count(self) -> None:
        """What was handed on is what the output took; counting it once more for each item would cost as much as that."""
        if self.output is not None:
            self.state.tally.emitted = self.output.sent

    def _report_passed(self, taken: int) -> None:
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

        One of those who wait watches the input and lets others know when it finds more than it takes itself.
        """
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

    async def _let_others(self) -> None:
        """Give the loop a turn if it was held for long; of all workers the first to see it does."""
        if self._held_long:
            since, self.held_since, self._held_long = self.held_since, self._looked, False
            self.held_since = await checkpoint(since)

    async def _watch(self) -> None:
        """Wait until the input has items or has ended; the loop turns meanwhile."""
        self._watched = True
        await self.state.filled()
        self._watched = False
        self.held_since = self._looked = monotonic()

    def _pieces(self) -> Iterator[Iterator[Any]]:
        """Give what can be taken without waiting, in pieces; after each it is seen whether the loop was held for long."""
        try:
            while self._has_items():
                yield islice(self.chunk, self._piece)
                now = monotonic()
                self._piece = between_looks(self._piece, now - self._looked, LONGEST_PIECE)
                self._looked = now
                self._held_long = now - self.held_since > LOOP_HELD_SECONDS
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
        self._report_passed(len(chunk))
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
