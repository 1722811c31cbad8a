"""The operator of a FlatMap that waits: an async generator, an async function giving a list, a function on a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from itertools import islice
from typing import Any, cast

from piko_flow.clock import monotonic
from piko_flow.dataflow.running.channel import InOrder, OneByOne
from piko_flow.dataflow.running.operators.awaitables import no_coroutine
from piko_flow.dataflow.running.unit_state import OperatorState
from piko_flow.dataflow.stages.stage_options import CallOptions
from piko_flow.retry import attempts
from piko_flow.tasks import FAILURES, TaskGroup, checkpoint, within

BUFFERED = 256  # items that one input may have given before its turn to hand on has come


class FlatMapOperator:
    """Up to `concurrency` items in work; what one of them gives stays together and in order.

    Ordered: it leaves as it comes while the item has its turn, and until then is held back. Unordered: it leaves when
    the item's function has ended. Either way no item holds back more than a bound, at which its function waits for
    the turn.
    """

    def __init__(self, state: OperatorState) -> None:
        self.state = state
        self.stage = cast(Any, state.boxes[0].stage)
        self.options: CallOptions = self.stage.options
        self.room = asyncio.Semaphore(self.options.concurrency)
        ordered = self.options.ordered or self.options.concurrency == 1
        self.turns = InOrder(self._send) if ordered else OneByOne(self._send)

    async def run(self) -> None:
        """Work until the input has ended and everything is handed on."""
        self.function = await self.state.bound(self.stage)
        self.validate = self.state.validator(self.state.boxes[0])
        held_since = monotonic()
        with self.state.at_work():
            async with TaskGroup(inside=self.state.unit.group) as group:
                self.group = group
                while chunk := await self.state.receive(self.options.concurrency):
                    self.state.tally.received += len(chunk)
                    for item in chunk:
                        await self.room.acquire()
                        group.create_task(self._item(item), name=f"{self.state.name} item")
                    self.state.passed(len(chunk))
                    held_since = await checkpoint(held_since)
        self.state.close()

    async def _item(self, item: Any) -> None:
        """Try the item until it has given something or for good, then pass the turn on."""
        gave = _Gave(self.turns.begin())
        ours = self.state.unit.error_policy.ours
        try:
            await attempts(
                lambda: self._once(item, gave),
                self.options.retry,
                again=lambda error: not gave.items and not ours(error),
                retried=self._retried,
            )
        except FAILURES as error:
            if ours(error):
                raise
            self._failed(item, self.group.judge(error))
        self.group.obey()
        await self.turns.wait(gave.number)
        await self.turns.end(gave.number, gave.held)
        self.room.release()

    def _retried(self, _: Exception) -> None:
        self.group.obey()
        self.state.tally.retried += 1

    def _failed(self, item: Any, error: Exception) -> None:
        box, policy = self.state.boxes[0], self.options.on_error
        self.state.unit.error_policy.apply(box, self.state.tally, policy, item, error)

    async def _once(self, item: Any, gave: _Gave) -> None:
        timeout = None if self.options.on == "thread" else self.options.timeout  # the thread's call has it
        if self.validate is not None:
            item = self.validate(item)
        async with aclosing(self._given(item)) as given:
            while True:
                try:  # the bound is on the function's own time: waiting for a turn or for room does not count
                    value = await within(timeout, anext(given), "it gave nothing")
                except StopAsyncIteration:
                    return
                gave.items += 1
                gave.held.append(value)
                if self.turns.has(gave.number) or len(gave.held) >= BUFFERED:
                    await self.turns.wait(gave.number)
                    held, gave.held = gave.held, []
                    await self._send(held)

    async def _given(self, item: Any) -> AsyncGenerator[Any, None]:
        function: Callable[..., Any] = self.function
        if self.options.on == "thread":
            values = _Values(lambda: function(item))
            while True:
                some, error = await self.state.threads.call(values.some, timeout=self.options.timeout)
                for value in some:
                    yield value
                if error is not None:
                    raise error
                if not some:
                    return
        given = function(item)
        if not self.stage.signature.is_async or self.stage.signature.shape == "async":
            is_async = self.stage.signature.is_async
            for value in no_coroutine(await given if is_async else given, awaited=is_async):
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


class _Values:
    """What a function gives that is called, and read, on threads."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._iterator: Iterator[Any] | None = None

    def some(self) -> tuple[list[Any], Exception | None]:
        """The next few values, and the error that came after them; no values and no error at the end."""
        some: list[Any] = []
        try:
            if self._iterator is None:
                self._iterator = iter(no_coroutine(self._call()))
            some.extend(islice(self._iterator, BUFFERED))  # keeps what came before an error
        except Exception as error:
            return some, error
        return some, None


class _Gave:
    """How many items one input has given, and those that are held back."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.items = 0
        self.held: list[Any] = []
