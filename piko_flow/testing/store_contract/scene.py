"""The flows, runs and windows that the checks of the store contract are about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeAlias

from piko_flow.planning.flow_state import Change, FlowState
from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.batch import Batch, Decided, Decision, Ending, Term, Written
from piko_flow.store.ops_records import LogLine, RunDetail
from piko_flow.store.protocols import Store
from piko_flow.store.records import ConfigRecord, NewRun, ReplicaRecord, RunRecord, ScheduleRecord

START = datetime(2026, 3, 28, 23, 30, 0, 123457, tzinfo=UTC)
HOUR, LONG = timedelta(hours=1), timedelta(days=1)
NOW_OVER = timedelta(0)
"""The time to live of what has run out by the time it can be looked at."""

ONE = ReplicaRecord(
    "one",
    host="host-1",
    pid=11,
    slots=4,
    running=1,
    version="0.1",
    started_at=START,
    address="http://host-1:8080",
)
TWO = ReplicaRecord("two", host="host-2", pid=22)
LEASE = "default"


class StoreUnderTest(Protocol):
    """What a check is given: a store that is empty when the check begins."""

    def open(self) -> AbstractAsyncContextManager[Store]:
        """Open a handle on the store's data. Each call gives another one, as another replica has it."""
        ...

    async def edit(self, row: ScheduleRecord | ConfigRecord) -> None:
        """Make the row of this flow read exactly so, past the store, as a person with a SQL client does."""

    async def delete_config(self, flow: str) -> None:
        """Delete the flow's config row, past the store."""


Check: TypeAlias = Callable[[StoreUnderTest], Awaitable[None]]


def hour(number: int) -> Window:
    """The window of this hour after the start."""
    return Window(START + number * HOUR, START + (number + 1) * HOUR)


def schedule(flow: str = "orders", **columns: Any) -> ScheduleRecord:
    """An hourly schedule row."""
    return ScheduleRecord(flow, "cron", '{"cron": "0 * * * *"}', **columns)


def wanted(number: int = 0, flow: str = "mail", **columns: Any) -> NewRun:
    """A run of the stateless flow for the fire of this number."""
    return NewRun(flow, START + number * HOUR, f"schedule|{number}", **columns)


def windowed(number: int, flow: str = "orders", **columns: Any) -> NewRun:
    """A run of the stateful flow over this hour."""
    window = hour(number)
    key = f"schedule|{window.start.isoformat()}|{window.end.isoformat()}"
    return NewRun(flow, window.end, key, window=window, **columns)


async def lead(store: Store, replica: ReplicaRecord = ONE) -> Term:
    """Count the replica as alive and as the leader."""
    await store.beat(replica, ttl=LONG)
    lease = await store.acquire(LEASE, holder=replica.id, ttl=LONG)
    assert lease is not None
    return Term(LEASE, lease.term)


async def queue(store: Store, *runs: NewRun) -> list[RunRecord]:
    """Queue runs; all of them have to be new."""
    written = await store.write(Batch("one", queue=list(runs)))
    made = [record for record in written.queued if record is not None]
    assert len(made) == len(runs)
    return made


async def start(store: Store, *runs: NewRun, replica: ReplicaRecord = ONE) -> list[RunRecord]:
    """Queue runs that the replica claims in the same step."""
    await store.beat(replica, ttl=LONG)
    claimed = [replace(run, claim=True) for run in runs]
    written = await store.write(Batch(replica.id, queue=claimed))
    assert len(written.claimed) == len(runs)
    return written.claimed


def ending(run: RunRecord, status: RunStatus = RunStatus.SUCCESS, **columns: Any) -> Ending:
    """The end of a run under the claim that its record has; a window is settled, or marked as failed."""
    marks = {RunStatus.SUCCESS: Mark.DONE, RunStatus.FAILED: Mark.FAILED}
    mark = None if run.window is None else marks.get(status)
    return Ending(run.id, run.claim, run.flow, status, **{"window": run.window, "mark": mark, **columns})


async def end(store: Store, *endings: Ending, replica: str = "one") -> Written:
    """Write endings in one batch."""
    return await store.write(Batch(replica, endings=list(endings)))


def planning(first: int, last: int, flow: str = "orders", **columns: Any) -> Decision:
    """A decision that plans the hours from the first up to (not with) the last, and queues a run for each."""

    def decide(state: FlowState, now: datetime) -> Decided:
        state = replace(
            state, origin=state.origin or START, planned_until=START + last * HOUR, schedule="hourly"
        )
        runs = tuple(
            windowed(number, flow, generation=state.generation, **columns) for number in range(first, last)
        )
        return Decided(Change(state, tuple(run.window for run in runs if run.window is not None)), runs)

    return Decision(flow, decide)


async def plan(store: Store, first: int, last: int, flow: str = "orders") -> list[RunRecord]:
    """Plan hours, which have to be new; their runs are queued."""
    written = await store.write(Batch("one", decisions=[planning(first, last, flow)]))
    decided = written.decided[0]
    assert not isinstance(decided, Exception), decided
    assert len(decided[1]) == last - first
    return decided[1]


async def take(store: Store, *runs: RunRecord, replica: ReplicaRecord = ONE) -> list[RunRecord]:
    """Claim these queued runs, all of which have to be free."""
    await store.beat(replica, ttl=LONG)
    written = await store.write(Batch(replica.id, claim=[run.id for run in runs]))
    assert [run.id for run in written.claimed] == [run.id for run in runs]
    return written.claimed


async def status(store: Store, run: RunRecord) -> RunStatus:
    """Where the run stands now."""
    return (await found(store, run)).status


async def found(store: Store, run: RunRecord) -> RunRecord:
    """The run as it is now."""
    record = await store.run(run.id)
    assert record is not None, f"run {run.id} is gone"
    return record


async def shown(store: Store, flow: str = "orders") -> datetime | None:
    """What `last_data_time` of the flow's row says."""
    rows = {row.flow: row for row in await store.schedules()}
    return rows[flow].last_data_time


async def state(store: Store, flow: str = "orders") -> FlowState:
    """The flow's state as it is now."""
    return (await store.states([flow]))[flow]


async def keep_log(store: Store, run: int, lines: Iterable[LogLine]) -> None:
    """Append lines to the log of a run."""
    await store.keep_details([RunDetail(run, lines=tuple(lines))])


async def keep_report(store: Store, run: int, attempt: int, text: str) -> None:
    """Keep the report of an attempt of a run."""
    await store.keep_details([RunDetail(run, attempt, text)])
