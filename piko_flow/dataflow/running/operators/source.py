"""The operator that waits for an asynchronous source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from piko_flow.clock import monotonic
from piko_flow.dataflow.running.operators.reading import failed, open_source
from piko_flow.dataflow.running.unit_state import OperatorState, checkpoint
from piko_flow.dataflow.stages.source import Source


class SourceOperator:
    """Hands on each item as it comes; order is kept. A drain ends a wait for the next item at once."""

    def __init__(self, state: OperatorState) -> None:
        self.state = state
        stage = state.boxes[0].stage
        assert isinstance(stage, Source)
        self.source: Source[Any] = stage
        self._reading = False
        self._stopped = False
        self._told = 0  # items that the observer knows of

    async def run(self) -> None:
        """Read until the source ends, its slice ends, or the intake closes."""
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        forget = self.state.context.intake.on_close(self._stop)
        timer = None
        if self.source.max_age is not None:
            timer = asyncio.get_running_loop().call_later(self.source.max_age, self._age)
        began = monotonic()
        try:
            await self._attempts()
        finally:
            forget()
            if timer is not None:
                timer.cancel()
            self._tell()
            self.state.times.busy += monotonic() - began - self.state.times.blocked
        if self.source.reads == "slices":
            self.state.unit.position = self.source.items.position()
        if not self.state.context.intake.closed:
            self.state.unit.source_ended()
        self.state.close()

    async def _attempts(self) -> None:
        attempt, tally = 1, self.state.tally
        while True:
            try:
                await self._read()
                return
            except asyncio.CancelledError:
                if not self._stopped:
                    raise
                self._task.uncancel()
                return
            except Exception as error:
                if self.state.unit.settlement.ours(error):
                    raise
                retry = self.source.retry
                if tally.emitted or retry is None or not retry.again(attempt, error):
                    raise failed(self.state, error) from error
                tally.retried += 1
                await asyncio.sleep(retry.delay(attempt))
                attempt += 1

    async def _read(self) -> None:
        if self._ended():
            return
        self._reading = True
        opened = await open_source(self.state, self.source)
        async with aclosing(_closable(opened)) as items:
            await self._hand_on(items)

    async def _hand_on(self, items: AsyncIterator[Any]) -> None:
        output, tally, left = self.state.output, self.state.tally, self.source.max_items
        held_since = monotonic()
        async for item in items:
            self._reading = False
            tally.received += 1
            while not output.offer(item):
                await self.state.room()
            tally.emitted += 1
            if not tally.emitted & 31:
                held_since = await checkpoint(held_since)
                if not tally.emitted & 255:
                    self._tell()
            if left is not None and tally.emitted >= left:
                self.state.unit.more = True
                return
            if self._ended():
                return
            self._reading = True
        self._reading = False

    def _tell(self) -> None:
        """Tell of the items that were given since this was called last."""
        items = self.state.tally.emitted - self._told
        if items:
            self._told += items
            self.state.passed(items)

    def _ended(self) -> bool:
        return self._stopped or self.state.context.intake.closed

    def _stop(self) -> None:
        """End the wait for the next item; an item that has been read is still handed on."""
        if not self._stopped:
            self._stopped = True
            if self._reading:
                self._task.cancel()

    def _age(self) -> None:
        self.state.unit.more = True
        self._stop()


async def _closable(opened: Any) -> AsyncGenerator[Any, None]:
    """The items of an async iterable, or of an iterable that an `async def` gave; closes what it reads from."""
    if hasattr(opened, "__aiter__"):
        iterator = opened.__aiter__()
        try:
            async for item in iterator:
                yield item
        finally:
            if hasattr(iterator, "aclose"):
                await iterator.aclose()
    else:
        for item in opened:
            yield item
