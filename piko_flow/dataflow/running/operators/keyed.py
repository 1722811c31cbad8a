"""The operator that works on one item a key at a time, in order, and on different keys side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, cast

from piko_flow.clock import monotonic
from piko_flow.dataflow.running.channel import InOrder
from piko_flow.dataflow.running.operators.attempts import DROPPED, Attempts
from piko_flow.dataflow.running.operators.awaitables import no_coroutine
from piko_flow.dataflow.running.unit_state import OperatorState
from piko_flow.dataflow.stages.stage_options import CallOptions
from piko_flow.tasks import FAILURES, TaskGroup, checkpoint


class KeyedOperator:
    """Items taken and not yet handed on are at most `concurrency`, those that wait for their key included."""

    def __init__(self, state: OperatorState) -> None:
        self.state = state
        self.stage = cast(Any, state.boxes[0].stage)
        options: CallOptions = self.stage.options
        self.ordered = options.ordered and bool(state.outputs)
        self.room = asyncio.Semaphore(options.concurrency)
        self.concurrency: int = options.concurrency
        self.waiting: dict[Any, deque[tuple[int, Any]]] = {}
        self.order = InOrder(self._send)

    async def run(self) -> None:
        """Work until the input has ended and every result is handed on."""
        self.attempts = await Attempts.of(self.state)
        held_since = monotonic()
        with self.state.at_work():
            async with TaskGroup(inside=self.state.unit.group) as group:
                self.group = group
                while chunk := await self.state.receive(self.concurrency):
                    self.state.tally.received += len(chunk)
                    for item in chunk:
                        await self.room.acquire()
                        self._take(item, group)
                    self.state.passed(len(chunk))
                    held_since = await checkpoint(held_since)
        self.state.close()

    def _take(self, item: Any, group: TaskGroup) -> None:
        """Start on the item, or let it wait behind the one of its key."""
        try:
            key = no_coroutine(self.stage.options.key(item))
            busy = key in self.waiting
        except FAILURES as error:
            self.attempts.failed(item, group.judge(error))
            self.room.release()
            return
        number = self.order.begin()
        if busy:
            self.waiting[key].append((number, item))
        else:
            self.waiting[key] = deque([(number, item)])
            group.create_task(self._serve(key), name=f"{self.state.name} key")

    async def _serve(self, key: Any) -> None:
        """Work on the items of one key until none is waiting."""
        line, held_since = self.waiting[key], monotonic()
        while line:
            number, item = line[0]
            try:
                result = no_coroutine(await self.attempts.call(item), awaited=True)
            except FAILURES as error:
                result = self.attempts.failed(item, self.group.judge(error, shared=True))
            self.group.obey()
            line.popleft()
            if not line:
                del self.waiting[key]  # before the next wait, so that a new item of this key starts afresh
            await (self.order.end(number, result) if self.ordered else self._send(result))
            held_since = await checkpoint(held_since)

    async def _send(self, result: Any) -> None:
        if result is not DROPPED:
            while self.state.outputs and not self.state.output.offer(result):
                await self.state.room()
            self.state.tally.emitted += 1
        self.room.release()
