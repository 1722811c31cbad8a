"""The operator that sends chunks of items to worker processes."""

from __future__ import annotations

import asyncio
from typing import Any

from piko_flow.dataflow.running.channel import InOrder
from piko_flow.dataflow.running.operators.attempts import DROPPED
from piko_flow.dataflow.running.unit_state import OperatorState
from piko_flow.dataflow.stages.cpu import CpuMap
from piko_flow.dataflow.workers.pool import WorkerPool
from piko_flow.tasks import TaskGroup

TARGET = 0.015  # seconds of work that a chunk should hold: long beside its transport, short beside a stop
CHUNKS_OF_A_WORKER = 2  # one in work, one on its way


class CpuOperator:
    """Up to two chunks a worker are out at once; their size follows the time the last ones took.

    Ordered: results leave in the order of the inputs. Unordered: chunk by chunk as they finish.
    """

    def __init__(self, state: OperatorState, pool: WorkerPool) -> None:
        self.state, self.pool = state, pool
        stage = state.boxes[0].stage
        assert isinstance(stage, CpuMap)
        self.stage: CpuMap[Any, Any] = stage
        self.validate = state.validator(state.boxes[0])
        self.size = 1
        self.longest = state.unit.plan.options.capacity.items
        self.places = asyncio.Semaphore(CHUNKS_OF_A_WORKER * min(stage.workers or pool.workers, pool.workers))
        self.order = InOrder(self._send)

    async def run(self) -> None:
        """Work until the input has ended and every result is handed on."""
        self.shipment = self.state.context.shipments[self.state.boxes[0].number]
        with self.state.at_work():
            async with TaskGroup(inside=self.state.unit.group) as group:
                while True:
                    await self.places.acquire()
                    chunk = await self.state.receive(self.size)
                    if not chunk:
                        break
                    self.state.tally.received += len(chunk)
                    group.create_task(self._chunk(chunk, self.order.begin()), name=f"{self.state.name} chunk")
        self.state.close()

    async def _chunk(self, chunk: list[Any], number: int) -> None:
        results = await self._results(chunk)
        await (self.order.end(number, results) if self.stage.ordered else self._send(results))

    async def _send(self, results: list[Any]) -> None:
        going = [result for result in results if result is not DROPPED]
        self.state.tally.emitted += len(going)
        if going:
            await self.state.send(going, self.state.output)
        self.places.release()

    async def _results(self, chunk: list[Any]) -> list[Any]:
        """The results in order, DROPPED for each item that failed for good and does not end the run."""
        results: list[Any] = [DROPPED] * len(chunk)
        places, ready = self._valid(chunk)
        number, retry = 1, self.stage.retry
        while places:
            items = [ready[place] for place in places] if len(places) < len(chunk) else ready
            called = await self.pool.call(
                self.shipment, items, timeout=self.stage.timeout, workers=self.stage.workers
            )
            self._adapt(len(items), called.seconds)
            again = []
            for place, result, index in zip(places, called.results, range(len(items)), strict=True):
                error = called.errors.get(index)
                if error is None:
                    results[place] = result
                elif retry is not None and retry.again(number, error):
                    again.append(place)
                else:
                    self._failed(chunk[place], error)
            places = again
            if again and retry is not None:
                self.state.tally.retried += len(again)
                await asyncio.sleep(retry.delay(number))
                number += 1
        return results

    def _valid(self, chunk: list[Any]) -> tuple[list[int], list[Any]]:
        """The places of the items that may be sent, and at these places what to send.

        With `validate=True` the items of the other places follow the policy here.
        """
        if self.validate is None:
            return list(range(len(chunk))), chunk
        places, ready = [], list(chunk)  # the chunk may be in another branch's channel too
        for place, item in enumerate(chunk):
            try:
                ready[place] = self.validate(item)
                places.append(place)
            except Exception as error:
                self._failed(item, error)
        return places, ready

    def _failed(self, item: Any, error: BaseException) -> None:
        if not isinstance(error, Exception):
            raise self.state.unit.error_policy.failure(self.state.boxes[0], item, error) from error
        self.state.unit.error_policy.apply(
            self.state.boxes[0], self.state.tally, self.stage.on_error, item, error
        )

    def _adapt(self, items: int, seconds: float) -> None:
        """Aim at chunks of TARGET seconds; grow by four at most, so that one quick item does not mislead."""
        if (observer := self.state.context.observer) is not None:
            observer.chunk_finished(self.state.name, items=items, seconds=seconds)
        wanted = int(items * TARGET / seconds) if seconds > 0 else self.size * 4
        self.size = max(1, min(wanted, self.size * 4, self.longest))
