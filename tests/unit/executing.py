"""What the tests of executing runs share: a place with a store in memory and a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from piko_flow import SinkTarget
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.runs.execution import ActiveExecution, RunOrder, RunTools
from piko_flow.control.runs.outcome import Outcome
from piko_flow.dataflow.stages.sink import Part, Receipt, Transaction
from piko_flow.errors import StoreUnavailable
from piko_flow.planning.run_state import Reason
from piko_flow.planning.window import Window
from piko_flow.store.batch import Batch, Requeue
from piko_flow.store.memory.store import MemoryStore
from piko_flow.store.protocols import RunStore
from piko_flow.store.records import NewRun, ParamsVersion, RunRecord
from piko_flow.testing.manual_clock import ManualClock

T = TypeVar("T")
REPLICA = "a"
DAY = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))


class Place:
    """A replica's surroundings: claims runs in the store and executes them here. `outages` are failures of `ask` to come."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.registry: Registry[Flow] = Registry()
        self.outages = 0
        self.tools = RunTools(ask=self.ask, clock=self.clock, ledger=self.store.url)

    async def ask(self, question: Callable[[RunStore], Awaitable[T]]) -> T:
        if self.outages:
            self.outages -= 1
            raise StoreUnavailable(what="answer", reason="it is away")
        return await question(self.store)

    async def claimed(
        self, flow: Flow, *, window: Window | None = None, params: str | None = None
    ) -> RunRecord:
        """A new run of the flow, claimed for this replica."""
        new = NewRun(
            flow.name,
            self.clock.now(),
            f"run {self.store.statements}",
            window=window,
            params=params,
            claim=True,
        )
        written = await self.store.write(Batch(REPLICA, queue=[new]))
        (record,) = written.queued
        assert record is not None
        return record

    async def claimed_again(self, record: RunRecord) -> RunRecord:
        """The same run, returned to the queue and claimed once more."""
        back = Requeue(record.id, record.claim, Reason.RESCUED, rescue=True)
        await self.store.write(Batch(REPLICA, requeues=[back], admit=[record.id]))
        written = await self.store.write(Batch(REPLICA, claim=[record.id]))
        return written.claimed[0]

    async def order(self, flow: Flow, *, version: ParamsVersion | None = None, **facts: Any) -> RunOrder:
        return RunOrder(await self.claimed(flow, **facts), flow, version)

    async def execute(self, flow: Flow, **facts: Any) -> Outcome:
        """Run one attempt of a new run of the flow to its end."""
        return await ActiveExecution(await self.order(flow, **facts), self.tools).run()

    def with_tools(self, **changed: Any) -> None:
        self.tools = replace(self.tools, **changed)


async def started(execution: ActiveExecution) -> asyncio.Task[Outcome]:
    """The execution in a task, as far as it gets by itself."""
    task = asyncio.create_task(execution.run())
    for _ in range(30):
        await asyncio.sleep(0)
    return task


class Recorder:
    """A transaction that keeps what is executed in it, and gives the texts that parts have staged."""

    dialect = "recorder"

    def __init__(self, texts: Mapping[Part, Sequence[str]] | None = None) -> None:
        self.executed: list[tuple[Any, Any]] = []
        self.texts = texts or {}

    async def execute(self, statement: Any, values: Any = None) -> None:
        self.executed.append((statement, values))

    async def execute_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> int:
        self.executed.append((statement, rows))
        return len(rows)

    async def staged(self, part: Part) -> AsyncIterator[str]:
        for text in self.texts.get(part, ()):
            yield text


class LedgerTarget(SinkTarget[int]):
    """Writes to the database where the ledger is: its rows travel in the receipt. `failures` of commits are to come."""

    durable = False

    def __init__(self, ledger: str, failures: list[Exception] | None = None) -> None:
        self.ledger, self.failures = ledger, failures or []

    async def open(self, part: Any) -> None:
        await super().open(part)
        self.rows: list[int] = []

    async def write(self, items: Sequence[int], /) -> None:
        self.rows += items

    async def prepare(self) -> Receipt:
        return Receipt(self.part, len(self.rows), {"rows": self.rows})

    def joins(self, ledger: str) -> bool:
        return ledger == self.ledger

    async def commit_in(self, transaction: Transaction, receipts: Sequence[Receipt]) -> None:
        if self.failures:
            raise self.failures.pop()
        for receipt in receipts:
            await transaction.execute("insert", {"rows": receipt.data["rows"]})

    async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
        return [f"{sum(receipt.items for receipt in receipts)} rows outside the ledger"]
