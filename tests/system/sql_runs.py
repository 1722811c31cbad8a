"""Runs of a flow whose rows go into the ledger's database, step by step, as a replica takes them up and ends them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from piko_flow.clock import SystemClock
from piko_flow.control.flows.flow import Flow
from piko_flow.control.runs.execution import RunOrder, RunTools, execute
from piko_flow.control.runs.outcome import Outcome
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.batch import Batch, Requeue
from piko_flow.store.opening import open_store
from piko_flow.store.protocols import RunFilter, Store
from piko_flow.store.records import NewRun, ReplicaRecord, RunRecord

REPLICA = "one"
START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
LONG = timedelta(days=1)


def hour(number: int) -> Window:
    """The window of this hour after the start."""
    return Window(START + number * HOUR, START + (number + 1) * HOUR)


class Ledger:
    """A store, and the runs of one flow that are taken up here."""

    def __init__(self, store: Store, flow: Flow) -> None:
        self.store, self.flow = store, flow

    async def claimed(self, number: int, key: str = "first") -> RunRecord:
        """The run of this hour under a claim of ours: queued now, or taken from whoever had it; as it is when it has ended."""
        window = hour(number)
        new = NewRun(self.flow.name, window.end, f"{key} {number}", window=window, claim=True)
        (made,) = (await self.store.write(Batch(REPLICA, queue=[new]))).queued
        if made is not None:
            return made
        (record,) = await self.store.runs(RunFilter(flow=self.flow.name, key=new.key))
        return await self.taken(record) if record.status is RunStatus.RUNNING else record

    async def taken(self, record: RunRecord) -> RunRecord:
        """The run, taken from whoever had it, under a new claim."""
        back = Requeue(record.id, record.claim, Reason.RESCUED, rescue=True)
        written = await self.store.write(
            Batch(REPLICA, requeues=[back], admit=[record.id], claim=[record.id])
        )
        (claimed,) = written.claimed
        return claimed

    async def executed(self, record: RunRecord) -> Outcome:
        """What becomes of one attempt under the claim; nothing of its end is written."""

        async def ask(question: Any) -> Any:
            return await question(self.store)

        tools = RunTools(ask=ask, clock=SystemClock(), ledger=self.store.url)
        return await execute(RunOrder(record, self.flow), tools)

    async def ended(self, record: RunRecord, outcome: Outcome) -> bool:
        """Write the end of the attempt; False where it was refused because the claim is another's by now."""
        written = await self.store.write(Batch(REPLICA, endings=[outcome.ending(record)]))
        return record.id not in written.stale

    async def done(self, number: int, key: str = "first") -> Outcome:
        """Take up the run of this hour and end it well."""
        record = await self.claimed(number, key)
        outcome = await self.executed(record)
        assert outcome.status is RunStatus.SUCCESS, outcome.error_msg
        assert await self.ended(record, outcome)
        return outcome

    async def settled(self) -> list[Window]:
        """The spans that the ledger has as done."""
        state = (await self.store.states([self.flow.name]))[self.flow.name]
        return [Window(span.start, span.end) for span in state.ledger.spans]

    async def staged(self) -> int:
        """How many texts are left staged by runs that have ended; they are gone then."""
        return await self.store.sweep_staged(100)


@asynccontextmanager
async def ledger_of(url: str, flow: Flow, *, prepare: bool = True) -> AsyncIterator[Ledger]:
    """The ledger at the URL, in which this replica lives."""
    store = await open_store(url, pool_size=2, prepare=prepare)
    try:
        await store.beat(replace(ReplicaRecord(REPLICA), slots=10), ttl=LONG)
        yield Ledger(store, flow)
    finally:
        await store.close()
