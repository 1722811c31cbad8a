"""The operator of a FlatMap that waits: an async generator, an async function giving a list, a function on a thread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from itertools import islice
from typing import Any, cast

from piko_flow.clock import monotonic
from piko_flow.dataflow.running.cancellation import ESCAPES, within
from piko_flow.dataflow.running.checkpoint import checkpoint
from piko_flow.dataflow.running.operators.awaitables import no_coroutine
from piko_flow.dataflow.running.task_group import TaskGroup
from piko_flow.dataflow.running.unit_state import OperatorState
from piko_flow.dataflow.stages.options import CallOptions

BUFFERED = 256  # items that one input may have given before its turn to hand on has come


class FlatMapOperator:
    """Up to `concurrency` items in work. Ordered: what an item gives leaves when its turn has come; until then
    it is held back, up to a bound at which the item's function has to wait. Unordered: it leaves as it comes."""

    def __init__(self, state: OperatorState) -> None:
        self.state = state
        self.stage = cast(Any, state.boxes[0].stage)
        self.options: CallOptions = self.stage.options
        self.room = asyncio.Semaphore(self.options.concurrency)
        self.turns: deque[asyncio.Event] = deque()

    async def run(self) -> None:
        """Work until the input has ended and everything is handed on."""
        self.function = await self.state.bound(self.stage)
        if self.options.on == "thread":
            unit, box = self.state.unit.unit, self.state.boxes[0]
            self.state.context.threads.widen(unit.id, box.number, self.options.concurrency)
        self.validate = self.state.validator(self.state.boxes[0])
        held_since = monotonic()
        with self.state.at_work():
            async with TaskGroup() as group:
                self.group = group
                while chunk := await self.state.receive(self.options.concurrency):
                    self.state.tally.received += len(chunk)
                    for item in chunk:
                        await self.room.acquire()
                        group.create_task(self._item(item, self._turn()), name=f"{self.state.name} item")
                    self.state.passed(len(chunk))
                    held_since = await checkpoint(held_since)
        self.state.close()

    def _turn(self) -> asyncio.Event:
        turn = asyncio.Event()
        self.turns.append(turn)
        if self.turns[0] is turn or not self.options.ordered:
            turn.set()
        return turn

    async def _item(self, item: Any, turn: asyncio.Event) -> None:
        """Try the item until it has given something or for good, then pass the turn on."""
        number, gave = 1, _Gave()
        while True:
            try:
                await self._once(item, turn, gave)
                break
            except ESCAPES as error:
                self._settle(item, self.group.judge(error))
                break
            except Exception as error:
                if self.state.unit.settlement.ours(error):
                    raise
                retry = self.options.retry
                if gave.items or retry is None or not retry.again(number, error):
                    self._settle(item, error)
                    break
                self.group.obey()
                self.state.tally.retried += 1
                await asyncio.sleep(retry.delay(number))
                number += 1
        self.group.obey()
        await turn.wait()
        await self._send(gave.held)
        self._pass_on(turn)
        self.room.release()

    def _settle(self, item: Any, error: Exception) -> None:
        box, policy = self.state.boxes[0], self.options.on_error
        self.state.unit.settlement.settle(box, self.state.tally, policy, item, error)

    async def _once(self, item: Any, turn: asyncio.Event, gave: _Gave) -> None:
        if self.validate is not None:
            item = self.validate(item)
        async with aclosing(self._given(item)) as given:
            while True:
                try:  # the bound is on the function's own time: waiting for a turn or for room does not count
                    value = await within(self.options.timeout, anext(given), "it gave nothing")
                except StopAsyncIteration:
                    return
                gave.items += 1
                gave.held.append(value)
                if turn.is_set() or len(gave.held) >= BUFFERED:
                    await turn.wait()
                    held, gave.held = gave.held, []
                    await self._send(held)

    async def _given(self, item: Any) -> AsyncGenerator[Any, None]:
        function: Callable[..., Any] = self.function
        if self.options.on == "thread":
            call = self.state.context.threads.call
            values = await call(lambda: iter(no_coroutine(function(item))))
            while True:
                some, error = await call(_some, values)
                for value in some:
                    yield value
                if error is not None:
                    raise error
                if not some:
                    return
        given = function(item)
        if not self.stage.signature.is_async or self.stage.signature.shape == "async":
            for value in await given if self.stage.signature.is_async else no_coroutine(given):
                yield value
            return
        iterator: AsyncIterator[Any] = given.__aiter__()
        try:
            async for value in iterator:
                yield value
        finally:
            if isinstance(iterator, AsyncGenerator):
                await iterator.aclose()

    async def _send(self, values: list[Any]) -> None:
        self.state.tally.emitted += len(values)
        if values:
            await self.state.send(values, self.state.output)

    def _pass_on(self, turn: asyncio.Event) -> None:
        self.turns.remove(turn)
        if self.turns:
            self.turns[0].set()


def _some(values: Iterator[Any]) -> tuple[list[Any], Exception | None]:
    """The next few values, and the error that came after them; no values and no error at the end."""
    some: list[Any] = []
    try:
        some.extend(islice(values, BUFFERED))  # keeps what came before an error
    except Exception as error:
        return some, error
    return some, None


class _Gave:
    """How many items one input has given, and those that are held back."""

    def __init__(self) -> None:
        self.items = 0
        self.held: list[Any] = []
