"""Windows are planned, settled and shown: checks of the ledger inside a transaction."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from piko_flow.planning.flow_state import Change, FlowState
from piko_flow.planning.ledger import Mark, Span
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.batch import Batch, Decided, Decision, Requeue
from piko_flow.store.protocols import Store
from piko_flow.store.records import FlowRecord
from piko_flow.testing.store_contract.scene import (
    HOUR,
    START,
    Check,
    StoreUnderTest,
    end,
    ending,
    found,
    hour,
    plan,
    planning,
    schedule,
    shown,
    state,
    status,
    take,
    wanted,
    windowed,
)


async def a_flow_never_seen_has_an_empty_state(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        assert await store.states(["orders", "mail"]) == {
            "orders": FlowState("orders"),
            "mail": FlowState("mail"),
        }
        assert await store.states([]) == {}
        await store.add_schedules([schedule(last_data_time=START)])
        assert await state(store) == FlowState("orders", shown=START)


async def what_a_decision_decides_is_stored_with_its_runs(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        written = await store.write(Batch("one", decisions=[planning(0, 3)]))
        [result] = written.decided
        assert not isinstance(result, Exception)
        decided, runs = result
        assert [run.window for run in runs] == [hour(0), hour(1), hour(2)]
        assert decided.change.queue == (hour(0), hour(1), hour(2))
        known = await state(other)
        assert (known.origin, known.planned_until) == (START, START + 3 * HOUR)
        assert (known.schedule, known.watermark) == ("hourly", START)
        assert [(run.run, run.window, run.queued) for run in known.live] == [
            (run.id, run.window, True) for run in runs
        ]
        record = FlowRecord("orders", START + 3 * HOUR, "hourly", START, START)
        assert await other.flows() == [record]


async def every_part_of_a_state_comes_back(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        spans = (
            Span(START, START + HOUR, Mark.DONE),
            Span(START + HOUR, START + 2 * HOUR, Mark.INCOMPLETE),
            Span(START + 2 * HOUR, START + 3 * HOUR, Mark.SKIPPED),
            Span(START + 4 * HOUR, START + 5 * HOUR + timedelta(microseconds=1), Mark.FAILED),
        )
        later = START + 9 * HOUR

        def decide(known: FlowState, now: datetime) -> Decided:
            assert known == FlowState("orders")
            ledger = known.ledger
            for span in spans:
                ledger = ledger.settle(span.window, span.mark)
            known = replace(known, origin=START, planned_until=later, generation=3, schedule="é" * 90)
            return Decided(Change(replace(known, cut_after=later + HOUR, ledger=ledger)))

        await store.write(Batch("one", decisions=[Decision("orders", decide)]))
        known = await state(store)
        assert known.ledger.spans == spans
        assert (known.origin, known.planned_until, known.generation) == (START, later, 3)
        assert (known.schedule, known.cut_after) == ("é" * 90, later + HOUR)
        assert known.watermark == START + 3 * HOUR
        await _settle_all(store)
        assert (await state(store)).ledger.spans == (Span(START, later, Mark.DONE),)


async def a_decision_is_told_of_all_that_is_live_also_what_its_batch_has_done(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first, second = await take(store, *await plan(store, 0, 2))
        seen: list[list[tuple[Window, bool]]] = []

        def look(known: FlowState, now: datetime) -> Decided:
            seen.append([(run.window, run.queued) for run in known.live])
            return Decided(Change(known))

        batch = Batch("one", endings=[ending(first)])
        batch.requeues = [Requeue(second.id, second.claim, Reason.RELEASED)]
        batch.decisions = [planning(2, 3), Decision("orders", look), Decision("mail", look)]
        before = (await store.digest()).now
        written = await store.write(batch)
        assert seen[-2:] == [[(hour(1), True), (hour(2), True)], []]
        assert written.now >= before


async def a_decision_that_raises_is_refused_and_the_rest_is_written(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        wrong = KeyError("no such zone")

        def decide(known: FlowState, now: datetime) -> Decided:
            raise wrong

        batch = Batch("one", decisions=[Decision("mail", decide), planning(0, 1)], queue=[wanted(1)])
        written = await store.write(batch)
        assert written.decided[0] is wrong
        assert not isinstance(written.decided[1], Exception)
        assert len(await store.live()) == 2
        assert [flow.flow for flow in await store.flows()] == ["orders"]


async def a_run_of_a_decision_whose_key_is_there_is_not_made_again(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await plan(store, 0, 1)
        written = await store.write(Batch("one", decisions=[planning(0, 2)]))
        [result] = written.decided
        assert not isinstance(result, Exception)
        assert [made.window for made in result[1]] == [hour(1)]
        assert [live.run for live in (await state(store)).live] == [run.id, result[1][0].id]


async def a_run_of_a_decision_may_be_claimed_in_the_same_step(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        written = await store.write(Batch("one", decisions=[planning(0, 1, claim=True)]))
        [run] = written.claimed
        assert (run.status, run.window, run.claim) == (RunStatus.RUNNING, hour(0), 1)
        assert [live.queued for live in (await state(store)).live] == [False]


async def decisions_over_one_flow_come_one_after_another(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:

        def next_hour(known: FlowState, now: datetime) -> Decided:
            start = known.planned_until or START
            known = replace(known, origin=known.origin or START, planned_until=start + HOUR)
            return Decided(Change(known), (windowed((start - START) // HOUR),))

        await asyncio.gather(
            *(
                handle.write(Batch(f"replica {number}", decisions=[Decision("orders", next_hour)]))
                for number, handle in enumerate([store, other] * 5)
            )
        )
        known = await state(store)
        assert known.planned_until == START + 10 * HOUR
        assert sorted(known.live_windows) == [hour(number) for number in range(10)]


async def a_success_settles_its_window_and_moves_the_watermark_over_what_is_joined(
    stores: StoreUnderTest,
) -> None:
    async with stores.open() as store:
        await store.add_schedules([schedule()])
        first, second, third = await take(store, *await plan(store, 0, 3))
        await end(store, ending(second))
        assert ((await state(store)).watermark, await shown(store)) == (START, START)
        await end(store, ending(first))
        known = await state(store)
        assert (known.watermark, known.written, known.shown) == ((START + 2 * HOUR,) * 3)
        assert known.ledger.spans == (Span(START, START + 2 * HOUR, Mark.DONE),)
        assert [live.run for live in known.live] == [third.id]
        assert [flow.watermark for flow in await store.flows()] == [START + 2 * HOUR]


async def endings_of_one_batch_settle_all_their_windows(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.add_schedules([schedule(), schedule("other")])
        runs = await take(store, *await plan(store, 0, 20))
        others = await take(store, *await plan(store, 0, 20, flow="other"))
        await end(store, *(ending(run) for pair in zip(runs[::-1], others, strict=True) for run in pair))
        for flow in ("orders", "other"):
            assert await shown(store, flow) == START + 20 * HOUR
            assert (await state(store, flow)).live == ()


async def a_failure_marks_its_window_and_a_cancelled_run_leaves_a_gap(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        failed, cancelled, partly = await take(store, *await plan(store, 0, 3))
        await end(
            store,
            ending(failed, RunStatus.FAILED),
            ending(cancelled, RunStatus.CANCELLED),
            ending(partly, mark=Mark.INCOMPLETE),
        )
        known = await state(store)
        assert known.ledger.spans == (
            Span(*hour(0), Mark.FAILED),
            Span(*hour(2), Mark.INCOMPLETE),
        )
        assert (known.gaps(), known.watermark) == ((Window(START, START + 2 * HOUR),), START)
        assert [record.first_failed for record in await store.flows()] == [hour(0).start]


async def an_ending_asked_for_again_settles_its_window_once(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.add_schedules([schedule()])
        [run] = await take(store, *await plan(store, 0, 1))
        await end(store, ending(run))
        [row] = await store.schedules()
        await stores.edit(replace(row, last_data_time=START))
        edited = await state(store)
        assert (await end(store, ending(run))).stale == set()
        assert await state(store) == edited


async def a_stale_ending_settles_nothing(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await take(store, *await plan(store, 0, 1))
        await store.write(Batch("two", requeues=[Requeue(run.id, run.claim, Reason.RESCUED, rescue=True)]))
        before = await state(store)
        assert (await end(store, ending(run))).stale == {run.id}
        assert await state(store) == before


async def queued_runs_that_a_decision_gives_up_are_skipped_with_its_reason(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first, second, third = await plan(store, 0, 3)
        await take(store, third)

        def decide(known: FlowState, now: datetime) -> Decided:
            ids = tuple(run.run for run in known.live if run.queued)
            left = tuple(run for run in known.live if not run.queued)
            return Decided(Change(replace(known, live=left), unwanted=ids, reason="lookback"))

        await store.write(Batch("one", decisions=[Decision("orders", decide)]))
        for run in (first, second):
            ended = await found(store, run)
            assert (ended.status, ended.reason) == (RunStatus.SKIPPED, "lookback")
            assert ended.end_time is not None
        assert await status(store, third) is RunStatus.RUNNING
        assert [live.run for live in (await state(store)).live] == [third.id]


async def a_flow_without_a_row_has_its_windows_settled_too(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await take(store, *await plan(store, 0, 1))
        await end(store, ending(run))
        assert (await state(store)).watermark == START + HOUR
        assert await store.schedules() == []


async def two_replicas_settle_windows_of_one_flow_at_once(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        await store.add_schedules([schedule()])
        runs = await take(store, *await plan(store, 0, 20))
        await asyncio.gather(
            *(
                end(handle, *(ending(run) for run in runs[number::4]))
                for number, handle in enumerate([store, other] * 2)
            )
        )
        assert await shown(store) == START + 20 * HOUR
        assert (await state(store)).ledger.spans == (Span(START, START + 20 * HOUR, Mark.DONE),)


async def _settle_all(store: Store) -> None:
    def decide(known: FlowState, now: datetime) -> Decided:
        assert known.planned_until is not None
        whole = Window(START, known.planned_until)
        return Decided(Change(replace(known, ledger=known.ledger.settle(whole, Mark.DONE))))

    await store.write(Batch("one", decisions=[Decision("orders", decide)]))


CHECKS: Final[tuple[Check, ...]] = (
    a_flow_never_seen_has_an_empty_state,
    what_a_decision_decides_is_stored_with_its_runs,
    every_part_of_a_state_comes_back,
    a_decision_is_told_of_all_that_is_live_also_what_its_batch_has_done,
    a_decision_that_raises_is_refused_and_the_rest_is_written,
    a_run_of_a_decision_whose_key_is_there_is_not_made_again,
    a_run_of_a_decision_may_be_claimed_in_the_same_step,
    decisions_over_one_flow_come_one_after_another,
    a_success_settles_its_window_and_moves_the_watermark_over_what_is_joined,
    endings_of_one_batch_settle_all_their_windows,
    a_failure_marks_its_window_and_a_cancelled_run_leaves_a_gap,
    an_ending_asked_for_again_settles_its_window_once,
    a_stale_ending_settles_nothing,
    queued_runs_that_a_decision_gives_up_are_skipped_with_its_reason,
    a_flow_without_a_row_has_its_windows_settled_too,
    two_replicas_settle_windows_of_one_flow_at_once,
)
