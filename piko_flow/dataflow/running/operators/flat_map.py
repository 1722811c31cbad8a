"""The operator of a FlatMap that waits: an async generator, an async function giving a list, a function on a thread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from itertools import islice
from typing import Any, cast

from piko_flow.clock import monotonic
from piko_flow.dataflow.running.channel import InOrder, OneByOne
from piko_flow.dataflow.running.operators.awaitables import cancelled_at_yield, no_coroutine
from piko_flow.dataflow.running.unit_state import OperatorState
from piko_flow.dataflow.stages.stage_options import CallOptions
from piko_flow.retry import attempts
from piko_flow.tasks import FAILURES, TaskGroup, checkpoint, within

BUFFERED = 256  # items that one input may have given before its turn to hand on has come


class FlatMapOperator:
    """Up to `concurrency` items in work; what one of them gives stays together and in order.

    Ordered: it leaves as it comes while the item has its turn, and until then is held back. Unordered: it leaves when
    the item's function has ended. Either way no item holds back more than a bound, at which its function waits for
    the turn. A generator may hold a scope (`asyncio.timeout`, a task group) around its `yield`: when that ends while
    an item waits to be handed on, the generator is told at its `yield`, and the item is still handed on.
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
        output = _ItemOutput(self.turns.begin())
        ours = self.state.unit.error_policy.ours
        try:
            await attempts(
                lambda: self._once(item, output),
                self.options.retry,
                again=lambda error: not output.count and not ours(error),
                retried=self._retried,
            )
        except FAILURES as error:
            if ours(error):
                raise
            self._failed(item, self.group.judge(error))
        self.group.obey()
        await self.turns.wait(output.number)
        await self.turns.end(output.number, list(output.held))
        self.room.release()

    def _retried(self, _: Exception) -> None:
        self.group.obey()
        self.state.tally.retried += 1

    def _failed(self, item: Any, error: Exception) -> None:
        box, policy = self.state.boxes[0], self.options.on_error
        self.state.unit.error_policy.apply(box, self.state.tally, policy, item, error)

    async def _once(self, item: Any, output: _ItemOutput) -> None:
        timeout = None if self.options.on == "thread" else self.options.timeout  # the thread's call has it
        if self.validate is not None:
            item = self.validate(item)
        given = await self._given(item)
        group, turns, held = self.group, self.turns, output.held
        following: Awaitable[Any] = anext(given)
        try:
            while True:
                try:  # the bound is on the function's own time: waiting for a turn or for room does not count
                    held.append(await within(timeout, following, "it gave nothing"))
                except StopAsyncIteration:
                    return
                if group.stopping:
                    group.obey()
                output.count += 1
                if turns.has(output.number) or len(held) >= BUFFERED:
                    try:
                        await self._hand_on(output)
                    except asyncio.CancelledError as error:
                        group.obey()
                        following = cancelled_at_yield(given, error)
                        continue
                following = anext(given)
        finally:
            if isinstance(given, AsyncGenerator):
                await given.aclose()

    async def _hand_on(self, output: _ItemOutput) -> None:
        """Hand on what the item has given so far, when it has its turn. Cancelling loses none of it."""
        await self.turns.wait(output.number)
        while output.held:
            while not self.state.output.offer(output.held[0]):
                await self.state.room()
            output.held.popleft()
            self.state.tally.emitted += 1

    async def _given(self, item: Any) -> AsyncIterator[Any]:
        """What the function gives for the item: its own generator, which may hold scopes, or one over its list."""
        if self.options.on == "thread":
            return self._given_on_thread(item)
        given, is_async = self.function(item), self.stage.signature.is_async
        if not is_async or self.stage.signature.shape == "async":
            return _each(no_coroutine(await given if is_async else given, awaited=is_async))
        return cast(AsyncIterator[Any], given.__aiter__())

    async def _given_on_thread(self, item: Any) -> AsyncGenerator[Any, None]:
        function: Callable[..., Any] = self.function
        values = _Values(lambda: function(item))
        while True:
            next_few, error = await self.state.threads.call(values.next_few, timeout=self.options.timeout)
            for value in next_few:
                yield value
            if error is not None:
                raise error
            if not next_few:
                return

    async def _send(self, values: list[Any]) -> None:
        self.state.tally.emitted += len(values)
        if values:
            await self.state.send(values, self.state.output)


class _Values:
    """What a function gives that is called, and read, on threads."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._iterator: Iterator[Any] | None = None

    def next_few(self) -> tuple[list[Any], Exception | None]:
        """The next few values, and the error that came after them; no values and no error at the end."""
        values: list[Any] = []
        try:
            if self._iterator is None:
                self._iterator = iter(no_coroutine(self._call()))
            values.extend(islice(self._iterator, BUFFERED))  # keeps what came before an error
        except Exception as error:
            return values, error
        return values, None


class _ItemOutput:
    """How many values one item has given, and those that are held back."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.count = 0
        self.held: deque[Any] = deque()


async def _each(values: Iterable[Any]) -> AsyncGenerator[Any, None]:
    for value in values:
        yield value
