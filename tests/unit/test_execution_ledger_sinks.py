"""A sink in the database of the ledger: its rows, the run's end and the ledger change together or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from piko_flow import Sink, SinkTarget
from piko_flow.clock import SystemClock
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.runs.execution import RunOrder, RunTools, execute
from piko_flow.dataflow.stages.sink import Receipt, Transaction
from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.batch import Batch, Ending, Requeue
from piko_flow.store.opening import open_store
from piko_flow.store.protocols import Store
from piko_flow.store.records import NewRun, ReplicaRecord
from piko_flow.testing import items
from tests.unit.executing import DAY, REPLICA


class Rows(SinkTarget[int]):
    """Writes numbers into the table `numbers`; they travel in the receipt."""

    durable = False

    async def open(self, part: Any) -> None:
        await super().open(part)
        self.rows: list[int] = []

    async def write(self, items: Sequence[int], /) -> None:
        self.rows += items

    async def prepare(self) -> Receipt:
        return Receipt(self.part, len(self.rows), {"rows": self.rows})

    def joins(self, ledger: str) -> bool:
        return ledger.startswith("sqlite")

    async def commit_in(self, transaction: Transaction, receipts: Sequence[Receipt]) -> None:
        for receipt in receipts:
            for number in receipt.data["rows"]:
                await transaction.execute(text("insert into numbers (n) values (:n)"), {"n": number})


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite:///{tmp_path / 'ledger.db'}")
    try:
        yield opened
    finally:
        await opened.close()


FLOW = Flow.register("numbers", items(3) >> Sink(Rows(), batch=2), stateful=True, registry=Registry())


async def claimed(store: Store, key: str = "one") -> RunOrder:
    """A claimed run over a day; the table of the sink is there."""
    await store.beat(ReplicaRecord(REPLICA), ttl=DAY.length)
    due = NewRun("numbers", DAY.end, key, window=DAY, claim=True)
    (record,) = (await store.write(Batch(REPLICA, queue=[due]))).queued
    assert record is not None
    return RunOrder(record, FLOW)


async def ended(store: Store, order: RunOrder) -> Ending:
    """How one attempt of the run ends, after it was executed."""

    async def ask(question: Any) -> Any:
        return await question(store)

    outcome = await execute(order, RunTools(ask=ask, clock=SystemClock(), ledger=store.url))
    assert outcome.status is RunStatus.SUCCESS, outcome.error_msg
    return outcome.ending(order.record)


async def numbers(store: Store, order: RunOrder) -> list[int]:
    """What the table holds, read in a transaction of another run's end that is given up."""
    found: list[int] = []

    async def look(transaction: Transaction) -> None:
        found.extend(row[0] for row in await transaction.execute(text("select n from numbers order by n")))
        raise LookupError

    other = await claimed(store, f"reading {order.record.id}")
    reading = Ending(other.record.id, 1, "numbers", RunStatus.SUCCESS, within=look)
    with pytest.raises(LookupError):
        await store.write(Batch(REPLICA, endings=[reading]))
    return found


async def make_table(store: Store) -> None:
    async def make(transaction: Transaction) -> None:
        await transaction.execute(text("create table numbers (n integer primary key)"))

    first = await claimed(store, "table")
    made = Ending(first.record.id, 1, "numbers", RunStatus.CANCELLED, within=make)
    await store.write(Batch(REPLICA, endings=[made]))


async def test_rows_and_ledger_change_in_one_transaction(store: Store) -> None:
    await make_table(store)
    order = await claimed(store)
    await store.write(Batch(REPLICA, endings=[await ended(store, order)]))
    state = (await store.states(["numbers"]))["numbers"]
    assert [(span.window, span.mark) for span in state.ledger.spans] == [(DAY, Mark.DONE)]
    assert await numbers(store, order) == [0, 1, 2]


async def test_a_run_that_was_taken_away_leaves_no_rows(store: Store) -> None:
    await make_table(store)
    order = await claimed(store)
    ending = await ended(store, order)
    back = Requeue(order.record.id, 1, Reason.RESCUED, rescue=True)
    await store.write(Batch(REPLICA, requeues=[back], admit=[order.record.id], claim=[order.record.id]))
    written = await store.write(Batch(REPLICA, endings=[ending]))
    assert written.stale == {order.record.id}
    assert await numbers(store, order) == []


async def test_rows_that_cannot_be_written_leave_the_window_unsettled(store: Store) -> None:
    await make_table(store)
    order = await claimed(store)
    ending = await ended(store, order)
    await store.write(Batch(REPLICA, endings=[replace(ending, window=None, mark=None)]))
    again = await claimed(store, "two")
    with pytest.raises(IntegrityError, match="UNIQUE"):
        await store.write(Batch(REPLICA, endings=[await ended(store, again)]))
    state = (await store.states(["numbers"]))["numbers"]
    assert state.ledger.spans == ()
    assert await store.holds(again.record.id, 1)
    assert await numbers(store, order) == [0, 1, 2]
