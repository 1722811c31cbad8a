"""Backfills are kept, fed and stopped: checks of LedgerStore."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from piko_flow.errors import RequestRefused
from piko_flow.planning.flow_state import Change, FlowState
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.batch import Batch, Decided, Decision
from piko_flow.store.records import BackfillRecord
from piko_flow.testing.store_contract.scene import (
    HOUR,
    START,
    TWO,
    Check,
    StoreUnderTest,
    end,
    ending,
    found,
    hour,
    queue,
    start,
    wanted,
    windowed,
)


def backfill(**columns: Any) -> BackfillRecord:
    """A backfill of five hours that nobody has stored yet."""
    windows = tuple(hour(number) for number in range(5))
    return replace(BackfillRecord(0, "orders", "missing", START, START + 5 * HOUR, windows), **columns)


async def a_backfill_comes_back_as_it_was_added(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        told = backfill(
            windows=(hour(3), hour(1), hour(0)),
            newest_first=True,
            concurrency=4,
            state="paused",
            position=1,
            params='{"limit": 5}',
            requested_by="somebody",
        )
        kept = await store.add_backfill(told)
        assert kept.created_at is not None
        assert kept == replace(told, id=kept.id, created_at=kept.created_at)
        assert await other.backfills() == [kept]
        second = await other.add_backfill(backfill())
        assert second.id > kept.id


async def backfills_are_listed_oldest_first_by_flow_and_while_they_are_open(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        added = [await store.add_backfill(backfill(flow=flow)) for flow in ("orders", "mail", "orders")]
        await store.set_backfill(added[0].id, state="done")
        await store.set_backfill(added[2].id, state="paused")
        listed = [
            [record.id for record in records]
            for records in (
                await store.backfills(),
                await store.backfills(flow="orders"),
                await store.backfills(open_only=True),
                await store.backfills(flow="orders", open_only=True),
            )
        ]
        ids = [record.id for record in added]
        assert listed == [ids, [ids[0], ids[2]], ids[1:], [ids[2]]]


async def a_backfill_of_ten_thousand_windows_is_kept_whole(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        windows = tuple(hour(number) for number in range(10_000))
        kept = await store.add_backfill(backfill(windows=windows, end=windows[-1].end))
        [record] = await store.backfills()
        assert record == kept
        assert record.windows == windows


async def a_decision_moves_its_backfill_with_the_runs_that_it_queues(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        kept = await store.add_backfill(backfill())
        written = await store.write(Batch("one", decisions=[_feeding(kept, 2)]))
        [result] = written.decided
        assert not isinstance(result, Exception)
        assert [(run.window, run.backfill) for run in result[1]] == [(hour(0), kept.id), (hour(1), kept.id)]
        assert await store.backfills() == [replace(kept, position=2)]
        assert await store.backfill_counts(kept.id) == {RunStatus.QUEUED: 2}


async def a_paused_backfill_may_be_fed_and_one_that_is_over_may_not(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        for state, refused in (("paused", False), ("cancelled", True), ("done", True)):
            kept = await store.add_backfill(backfill(flow=state))
            await store.set_backfill(kept.id, state=state)
            written = await store.write(Batch("one", decisions=[_feeding(kept, 1)], queue=[wanted(1, state)]))
            assert isinstance(written.decided[0], RequestRefused) is refused
            assert written.queued[0] is not None, "the rest of the batch is written"
            position = [one.position for one in await store.backfills(flow=state)]
            assert position == [0 if refused else 1]
        gone = replace(backfill(), id=999_999)
        written = await store.write(Batch("one", decisions=[_feeding(gone, 1)]))
        assert isinstance(written.decided[0], RequestRefused)


async def runs_of_a_backfill_are_counted_by_state(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        kept = await store.add_backfill(backfill())
        runs = await start(store, *(windowed(number, backfill=kept.id) for number in range(4)))
        await queue(store, windowed(4, backfill=kept.id), windowed(5), windowed(6, backfill=kept.id + 1))
        await end(store, ending(runs[0]), ending(runs[1]), ending(runs[2], RunStatus.FAILED))
        assert await store.backfill_counts(kept.id) == {
            RunStatus.QUEUED: 1,
            RunStatus.RUNNING: 1,
            RunStatus.SUCCESS: 2,
            RunStatus.FAILED: 1,
        }
        assert await store.backfill_counts(999_999) == {}


async def a_backfill_is_paused_and_resumed_unless_it_is_over(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        kept = await store.add_backfill(backfill())
        over = ("cancelled", "done")
        paused = await store.set_backfill(kept.id, state="paused", unless=over)
        assert paused == replace(kept, state="paused")
        assert await store.set_backfill(kept.id, state="running", unless=over) == kept
        await store.set_backfill(kept.id, state="cancelled", unless=over)
        assert await store.set_backfill(kept.id, state="running", unless=over) is None
        assert await store.set_backfill(999_999, state="running") is None
        assert [record.state for record in await store.backfills()] == ["cancelled"]


async def every_change_of_an_open_backfill_shows_in_the_pulse(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first = (await store.pulse("default", "one")).backfills
        assert first == 0
        one, two = await store.add_backfill(backfill()), await store.add_backfill(backfill())
        numbers = [first, (await store.pulse("default", "one")).backfills]
        for changed, state in ((one, "paused"), (two, "paused"), (one, "running"), (two, "cancelled")):
            await store.set_backfill(changed.id, state=state)
            numbers.append((await store.pulse("default", "one")).backfills)
        assert len(set(numbers)) == len(numbers)
        await store.set_backfill(one.id, state="done")
        assert (await store.pulse("default", "one")).backfills == 0


async def a_pause_and_a_resume_together_show_in_the_pulse(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        one, two = await store.add_backfill(backfill(state="paused")), await store.add_backfill(backfill())
        before = (await store.pulse("default", "one")).backfills
        await store.set_backfill(one.id, state="running")
        await store.set_backfill(two.id, state="paused")
        assert (await store.pulse("default", "one")).backfills != before


async def cancelling_a_backfill_ends_its_queued_runs_and_no_others(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        kept = await store.add_backfill(backfill())
        [running] = await start(store, windowed(0, backfill=kept.id))
        waiting, live, other = await queue(
            store, windowed(1, backfill=kept.id), windowed(2), windowed(3, backfill=kept.id + 1)
        )
        await store.set_backfill(kept.id, state="cancelled")
        ended = await found(store, waiting)
        assert (ended.status, ended.reason) == (RunStatus.CANCELLED, Reason.CANCELLED)
        assert ended.end_time is not None
        assert await store.live() == [running, live, other]


async def pausing_a_backfill_leaves_its_runs(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        kept = await store.add_backfill(backfill())
        runs = await queue(store, windowed(1, backfill=kept.id))
        await store.set_backfill(kept.id, state="paused")
        assert await store.live() == runs


async def pausing_a_backfill_takes_back_what_was_admitted_and_not_claimed(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        kept = await store.add_backfill(backfill())
        [taken] = await start(store, windowed(0, backfill=kept.id))
        mine, late, live = await queue(
            store, windowed(1, backfill=kept.id), windowed(2, backfill=kept.id), windowed(3)
        )
        await store.write(Batch("one", admit=[mine.id, live.id]))
        await other.set_backfill(kept.id, state="paused")
        await store.write(Batch("one", admit=[late.id]))  # by a leader that has not seen it yet
        assert [run.id for run in await other.claim(TWO, limit=9, known=_orders)] == [live.id]
        assert await store.live() == [taken, mine, late, await found(store, live)]
        await other.set_backfill(kept.id, state="running")
        await store.write(Batch("one", admit=[mine.id, late.id]))
        assert [run.id for run in await other.claim(TWO, limit=9, known=_orders)] == [mine.id, late.id]


def _orders(flow: str) -> bool:
    return flow == "orders"


def _feeding(record: BackfillRecord, count: int) -> Decision:
    def decide(state: FlowState, now: datetime) -> Decided:
        runs = tuple(
            windowed(number, record.flow, backfill=record.id, origin=f"backfill {record.id}")
            for number in range(record.position, record.position + count)
        )
        return Decided(Change(state), runs, (record.id, record.position + count))

    return Decision(record.flow, decide)


CHECKS: Final[tuple[Check, ...]] = (
    a_backfill_comes_back_as_it_was_added,
    backfills_are_listed_oldest_first_by_flow_and_while_they_are_open,
    a_backfill_of_ten_thousand_windows_is_kept_whole,
    a_decision_moves_its_backfill_with_the_runs_that_it_queues,
    a_paused_backfill_may_be_fed_and_one_that_is_over_may_not,
    runs_of_a_backfill_are_counted_by_state,
    a_backfill_is_paused_and_resumed_unless_it_is_over,
    every_change_of_an_open_backfill_shows_in_the_pulse,
    a_pause_and_a_resume_together_show_in_the_pulse,
    cancelling_a_backfill_ends_its_queued_runs_and_no_others,
    pausing_a_backfill_leaves_its_runs,
    pausing_a_backfill_takes_back_what_was_admitted_and_not_claimed,
)
