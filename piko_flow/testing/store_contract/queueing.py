"""Runs are queued: checks of RunStore."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.batch import Batch
from piko_flow.store.protocols import RunFilter
from piko_flow.store.records import NewRun, RunRecord
from piko_flow.testing.store_contract.scene import (
    HOUR,
    LONG,
    ONE,
    START,
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

EVERYTHING: Final = NewRun(
    flow="orders",
    scheduled_time=START + HOUR,
    key="backfill 3|everything",
    origin="backfill 3",
    window=hour(0),
    generation=4,
    backfill=3,
    params_version=17,
    params='{"limit": 5}',
    config_version=12,
    schedule_version=13,
    not_before=START + timedelta(microseconds=1),
    fires=7,
    first_fire=START - HOUR,
    requested_by="somebody",
    trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    reason="coalesced",
)
"""A run in which no field has its default."""


async def a_run_comes_back_as_it_was_queued(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        before = (await store.digest()).now
        [run] = await queue(store, EVERYTHING)
        assert await other.run(run.id) == run
        assert run.created_at is not None
        assert before <= run.created_at <= (await store.digest()).now
        assert (run.id > 0, run.status) == (True, RunStatus.QUEUED)
        kept = {
            name: getattr(run, name)
            for name in EVERYTHING.__slots__
            if name not in ("status", "claim", "letters")
        }
        assert kept == {name: getattr(EVERYTHING, name) for name in kept}
        bare = replace(
            RunRecord(run.id, "orders", RunStatus.QUEUED, START + HOUR, created_at=run.created_at), **kept
        )
        assert run == bare, "neither admitted, nor claimed, nor started, nor ended"


async def a_run_without_more_has_nothing_more(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await queue(store, wanted(1))
        plain = RunRecord(run.id, "mail", RunStatus.QUEUED, START + HOUR, key="schedule|1")
        assert replace(run, created_at=None) == plain


async def a_key_makes_one_run(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        [first] = await queue(store, wanted(1))
        written = await other.write(Batch("two", queue=[wanted(1, requested_by="two"), wanted(2)]))
        assert written.queued[0] is None
        assert written.queued[1] is not None
        assert await found(store, first) == first


async def a_key_given_twice_in_one_batch_makes_one_run(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        written = await store.write(Batch("one", queue=[wanted(1), wanted(2), wanted(1)]))
        assert [run is not None for run in written.queued] == [True, True, False]
        assert len(await store.live()) == 2


async def a_key_of_an_ended_run_makes_no_second_one(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        await end(store, ending(run))
        assert (await store.write(Batch("one", queue=[wanted(1)]))).queued == [None]


async def flows_and_keys_that_differ_in_case_or_accent_are_different(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        runs = [NewRun(flow, START, key) for flow in ("cafe", "Cafe", "café") for key in ("k", "K", "ķ")]
        await queue(store, *runs)
        assert [run.key for run in await store.runs(RunFilter(flow="Cafe"))] == ["ķ", "K", "k"]


async def of_all_who_queue_a_key_at_once_one_makes_the_run(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        batches = [
            Batch(f"replica {number}", queue=[wanted(key) for key in range(20)]) for number in range(6)
        ]
        asked = [handle.write(batch) for handle, batch in zip([store, other] * 3, batches, strict=True)]
        written = await asyncio.gather(*asked)
        made = [run.key for one in written for run in one.queued if run is not None]
        assert sorted(made) == sorted(wanted(key).key for key in range(20))
        assert len(await store.live()) == 20


async def ids_are_small_and_grow(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        runs = [*await queue(store, wanted(1), wanted(2)), *await queue(store, wanted(3))]
        ids = [run.id for run in runs]
        assert ids == sorted(set(ids))
        assert 1 <= ids[0] <= ids[-1] <= 10_000


async def fires_that_are_only_recorded_are_over_at_once(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        skipped = wanted(3, status=RunStatus.SKIPPED, reason="misfired", fires=3, first_fire=START + HOUR)
        [run] = await queue(store, skipped)
        assert (run.status, run.reason, run.fires) == (RunStatus.SKIPPED, "misfired", 3)
        assert run.end_time is not None
        assert run.start_time is None
        assert await store.live() == []


async def a_run_may_be_claimed_in_the_step_that_queues_it(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.beat(ONE, ttl=HOUR)
        written = await store.write(
            Batch("one", queue=[wanted(1), wanted(2, claim=True), wanted(3, claim=True)])
        )
        waiting, run, last = written.queued
        assert waiting is not None
        assert run is not None
        assert written.claimed == [run, last]
        assert (waiting.status, waiting.claim, waiting.start_time) == (RunStatus.QUEUED, 0, None)
        assert (run.status, run.replica, run.claim) == (RunStatus.RUNNING, "one", 1)
        assert (run.host, run.pid, run.start_time) == ("host-1", 11, written.now)
        assert await found(store, run) == run


async def all_live_runs_are_given_oldest_first(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first, second = await start(store, wanted(1), wanted(2))
        third = (await queue(store, wanted(3)))[0]
        await end(store, ending(first))
        assert await store.live() == [second, third]


async def runs_are_listed_newest_first_and_can_be_told_apart(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first, second = await start(store, wanted(1), wanted(2))
        third = (await queue(store, wanted(3, flow="other", backfill=5)))[0]
        fourth = (await queue(store, wanted(4, backfill=5)))[0]
        await end(store, ending(second, RunStatus.FAILED))
        listed = [
            [run.id for run in await store.runs(which)]
            for which in (
                RunFilter(),
                RunFilter(flow="mail"),
                RunFilter(statuses=[RunStatus.RUNNING, RunStatus.FAILED]),
                RunFilter(backfill=5),
                RunFilter(backfill=5, flow="mail"),
                RunFilter(limit=2),
                RunFilter(before=third.id, limit=1),
                RunFilter(flow="never seen"),
            )
        ]
        ids = [run.id for run in (first, second, third, fourth)]
        assert [[ids.index(run) + 1 for run in runs] for runs in listed] == [
            *([4, 3, 2, 1], [4, 2, 1], [2, 1], [4, 3], [4], [4, 3], [2], [])
        ]


async def a_run_is_found_by_its_flow_and_key(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await queue(store, wanted(1))
        await queue(store, wanted(1, flow="other"), wanted(2))
        assert await store.runs(RunFilter(flow="mail", key=run.key)) == [run]
        assert await store.runs(RunFilter(flow="mail", key="never queued")) == []


async def the_runs_of_a_window_are_found_however_many_are_newer(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [first] = await queue(store, windowed(1))
        again = replace(windowed(1), key="once more", origin="trigger")
        longer = replace(windowed(1), key="longer", window=Window(hour(1).start, hour(2).end))
        newer = [windowed(number) for number in range(2, 60)]
        second, *_ = await queue(store, again, longer, windowed(1, flow="other"), *newer)
        listed = await store.runs(RunFilter(flow="orders", window=hour(1), limit=5))
        assert [run.id for run in listed] == [second.id, first.id]
        assert await store.runs(RunFilter(flow="orders", window=hour(1), before=second.id)) == [first]
        assert await store.runs(RunFilter(flow="orders", window=hour(99))) == []


async def of_each_flow_the_newest_run_is_given_in_one_statement(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first, _ = await queue(store, wanted(2), wanted(1))
        [second] = await start(store, wanted(3))
        await end(store, ending(second))
        [other] = await queue(store, wanted(1, flow="other"))
        before = store.statements
        newest = await store.last_runs(["mail", "other", "never seen"])
        assert store.statements - before == 1
        assert newest == {"mail": await found(store, second), "other": other}
        assert second.id > first.id
        assert await store.last_runs([]) == {}


async def a_run_that_never_was_is_none(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        assert await store.run(999_999_999) is None
        assert await store.attempts(999_999_999) == []


async def moments_keep_their_microseconds_and_come_in_utc(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        last = datetime(2026, 10, 25, 0, 59, 59, 999999, tzinfo=UTC)
        run = (await queue(store, replace(windowed(0), scheduled_time=last, not_before=last)))[0]
        kept = await found(store, run)
        assert (kept.scheduled_time, kept.not_before, kept.window) == (last, last, hour(0))
        assert kept.window is not None
        moments = (kept.scheduled_time, kept.not_before, kept.created_at, *kept.window)
        assert all(moment is not None and moment.tzinfo is UTC for moment in moments)


async def who_asks_for_nothing_is_given_nothing(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        written = await store.write(Batch("one"))
        assert (written.stale, written.queued, written.decided, written.claimed) == (set(), [], [], [])
        assert written.now <= (await store.digest()).now < written.now + LONG


CHECKS: Final[tuple[Check, ...]] = (
    a_run_comes_back_as_it_was_queued,
    a_run_without_more_has_nothing_more,
    a_key_makes_one_run,
    a_key_given_twice_in_one_batch_makes_one_run,
    a_key_of_an_ended_run_makes_no_second_one,
    flows_and_keys_that_differ_in_case_or_accent_are_different,
    of_all_who_queue_a_key_at_once_one_makes_the_run,
    ids_are_small_and_grow,
    fires_that_are_only_recorded_are_over_at_once,
    a_run_may_be_claimed_in_the_step_that_queues_it,
    all_live_runs_are_given_oldest_first,
    runs_are_listed_newest_first_and_can_be_told_apart,
    a_run_is_found_by_its_flow_and_key,
    the_runs_of_a_window_are_found_however_many_are_newer,
    of_each_flow_the_newest_run_is_given_in_one_statement,
    a_run_that_never_was_is_none,
    moments_keep_their_microseconds_and_come_in_utc,
    who_asks_for_nothing_is_given_nothing,
)
