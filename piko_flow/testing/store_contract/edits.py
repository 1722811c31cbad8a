"""People write into `last_data_time`: checks that an edit is taken over and never overwritten."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from piko_flow.planning.flow_state import Change, FlowState
from piko_flow.planning.ledger import Mark, Span
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Batch, Decided, Decision
from piko_flow.store.protocols import Store
from piko_flow.store.records import RunRecord
from piko_flow.testing.store_contract.scene import (
    HOUR,
    START,
    Check,
    StoreUnderTest,
    end,
    ending,
    found,
    plan,
    schedule,
    shown,
    state,
    status,
    take,
)


async def an_edit_is_seen_beside_what_was_written_last(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await _three_hours(store, done=1)
        await _edit(stores, store, START + 9 * HOUR)
        known = await state(store)
        assert (known.written, known.shown) == (START + HOUR, START + 9 * HOUR)
        assert known.watermark == START + HOUR, "it has not been taken over yet"


async def an_ending_takes_over_an_edit_forward_and_leaves_it_in_the_row(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.add_schedules([schedule()])
        first, second, third = await plan(store, 0, 3)
        [running] = await take(store, first)
        await _edit(stores, store, START + 2 * HOUR)
        await end(store, ending(running))
        passed = await found(store, second)
        assert (passed.status, passed.reason) == (RunStatus.SKIPPED, "superseded")
        assert await status(store, third) is RunStatus.QUEUED
        known = await state(store)
        assert known.ledger.spans == (
            Span(START, START + HOUR, Mark.DONE),
            Span(START + HOUR, START + 2 * HOUR, Mark.SKIPPED),
        )
        assert (known.written, known.shown, known.watermark) == ((START + 2 * HOUR,) * 3)


async def an_ending_takes_over_an_edit_backward_and_leaves_it_in_the_row(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.add_schedules([schedule()])
        runs = await take(store, *await plan(store, 0, 3))
        await end(store, ending(runs[0]), ending(runs[1]))
        await _edit(stores, store, START + HOUR)
        await end(store, ending(runs[2]))
        known = await state(store)
        assert (known.generation, known.watermark) == (1, START + HOUR)
        assert (known.written, known.shown) == (START + HOUR, START + HOUR)
        assert known.ledger.spans == (
            Span(START, START + HOUR, Mark.DONE),
            Span(START + 2 * HOUR, START + 3 * HOUR, Mark.DONE),
        )


async def an_emptied_column_is_no_edit_and_is_filled_again(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        runs = await _three_hours(store, done=1)
        await _edit(stores, store, None)
        assert (await state(store)).shown is None
        await end(store, ending(runs[1]))
        known = await state(store)
        assert (known.generation, known.watermark) == (0, START + 2 * HOUR)
        assert await shown(store) == START + 2 * HOUR


async def an_edit_that_a_decision_does_not_take_over_stays(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await _three_hours(store, done=1)
        await _edit(stores, store, START)

        def decide(known: FlowState, now: datetime) -> Decided:
            assert (known.written, known.shown) == (START + HOUR, START)
            return Decided(Change(replace(known, planned_until=START + 5 * HOUR)))

        await store.write(Batch("one", decisions=[Decision("orders", decide)]))
        known = await state(store)
        assert (known.written, known.shown, known.watermark) == (START + HOUR, START, START + HOUR)


async def what_is_set_by_hand_before_the_first_run_is_not_overwritten(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.add_schedules([schedule(last_data_time=START - HOUR)])

        def decide(known: FlowState, now: datetime) -> Decided:
            assert known == FlowState("orders", shown=START - HOUR)
            known = replace(known, origin=known.shown, planned_until=known.shown, written=known.shown)
            return Decided(Change(known))

        await store.write(Batch("one", decisions=[Decision("orders", decide)]))
        assert await shown(store) == START - HOUR
        assert (await state(store)).watermark == START - HOUR


async def the_watermark_moves_on_from_what_was_set_by_hand_before_the_first_run(
    stores: StoreUnderTest,
) -> None:
    async with stores.open() as store:
        await store.add_schedules([schedule(last_data_time=START)])

        def decide(known: FlowState, now: datetime) -> Decided:
            known = replace(known, origin=START, planned_until=START + HOUR, written=known.shown)
            ledger = known.ledger.settle(Span(START, START + HOUR, Mark.SKIPPED).window, Mark.SKIPPED)
            return Decided(Change(replace(known, ledger=ledger)))

        await store.write(Batch("one", decisions=[Decision("orders", decide)]))
        known = await state(store)
        assert (known.written, known.shown) == (START + HOUR, START + HOUR)


async def a_row_that_comes_later_shows_the_watermark_with_the_next_ending(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first, second = await take(store, *await plan(store, 0, 2))
        await end(store, ending(first))
        await store.add_schedules([schedule()])
        await end(store, ending(second))
        assert await shown(store) == START + 2 * HOUR


async def writing_the_watermark_leaves_the_rest_of_the_row(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.add_schedules([schedule(max_instances=3, version=7)])
        [before] = await store.schedules()
        [run] = await take(store, *await plan(store, 0, 1))
        await end(store, ending(run))
        [row] = await store.schedules()
        assert row == replace(before, last_data_time=START + HOUR, updated_at=row.updated_at)


async def _three_hours(store: Store, *, done: int) -> list[RunRecord]:
    await store.add_schedules([schedule()])
    runs = await take(store, *await plan(store, 0, 3))
    await end(store, *(ending(run) for run in runs[:done]))
    return runs


async def _edit(stores: StoreUnderTest, store: Store, moment: datetime | None) -> None:
    [row] = await store.schedules()
    await stores.edit(replace(row, last_data_time=moment))


CHECKS: Final[tuple[Check, ...]] = (
    an_edit_is_seen_beside_what_was_written_last,
    an_ending_takes_over_an_edit_forward_and_leaves_it_in_the_row,
    an_ending_takes_over_an_edit_backward_and_leaves_it_in_the_row,
    an_emptied_column_is_no_edit_and_is_filled_again,
    an_edit_that_a_decision_does_not_take_over_stays,
    what_is_set_by_hand_before_the_first_run_is_not_overwritten,
    the_watermark_moves_on_from_what_was_set_by_hand_before_the_first_run,
    a_row_that_comes_later_shows_the_watermark_with_the_next_ending,
    writing_the_watermark_leaves_the_rest_of_the_row,
)
