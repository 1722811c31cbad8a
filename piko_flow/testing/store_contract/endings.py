"""Runs end, and what a batch does as a whole: checks of RunStore."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from piko_flow.dataflow.stages.sink import Transaction
from piko_flow.errors import TermOutdated
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.batch import Batch, PlannedFires, Requeue
from piko_flow.store.records import DeadLetterRecord
from piko_flow.testing.store_contract.raising import raises
from piko_flow.testing.store_contract.scene import (
    LEASE,
    LONG,
    NOW_OVER,
    START,
    TWO,
    Check,
    StoreUnderTest,
    end,
    ending,
    found,
    lead,
    queue,
    start,
    status,
    take,
    wanted,
)

LETTER: Final = DeadLetterRecord("mail", 0, "parse", '{"id": 3}', "ValueError", "no id", "f" * 64)


async def an_ended_run_keeps_all_that_the_ending_says(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        told = ending(
            *(run, RunStatus.FAILED),
            reason=Reason.ERROR,
            duration_ms=1200,
            compute_ms=900,
            persist_ms=300,
            error_type="StageFailed",
            error_hash="0123abcd",
            error_msg="stage 'parse' failed",
            dead_items=4,
        )
        written = await end(store, told)
        assert written.stale == set()
        fields = (
            *("status", "reason", "duration_ms", "compute_ms", "persist_ms", "error_type", "error_hash"),
            *("error_msg", "dead_items"),
        )
        expected = replace(run, end_time=written.now, **{name: getattr(told, name) for name in fields})
        assert replace(await found(store, run), admitted=run.admitted) == expected


async def a_run_ends_in_each_final_state(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        finals = [RunStatus.SUCCESS, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.SKIPPED]
        runs = await start(store, *(wanted(number) for number in range(4)))
        await end(store, *(ending(run, final) for run, final in zip(runs, finals, strict=True)))
        assert [await status(store, run) for run in runs] == finals
        assert await store.live() == []


async def an_ending_under_an_old_claim_is_stale(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [old] = await start(store, wanted(1))
        await store.write(Batch("one", requeues=[Requeue(old.id, old.claim, Reason.RELEASED)]))
        assert (await end(store, ending(old))).stale == {old.id}, "it is queued"
        [again] = await take(store, old)
        assert (await end(store, ending(old), replace(ending(old), run=999_999))).stale == {old.id, 999_999}
        assert await found(store, again) == again


async def an_ending_by_another_replica_is_stale(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        assert (await end(store, ending(run), replica="two")).stale == {run.id}
        assert await found(store, run) == run


async def a_leader_may_end_a_run_of_another_replica(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1), replica=TWO)
        given_up = ending(run, RunStatus.FAILED, reason=Reason.RESCUED_TOO_OFTEN)
        term = await lead(store)
        written = await store.write(Batch("one", term, endings=[given_up]))
        assert written.stale == set()
        assert (await found(store, run)).reason == Reason.RESCUED_TOO_OFTEN


async def one_stale_ending_does_not_hold_up_the_others(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first, lost, last = await start(store, wanted(1), wanted(2), wanted(3))
        await store.write(Batch("two", requeues=[Requeue(lost.id, lost.claim, Reason.RESCUED, rescue=True)]))
        written = await end(store, *(ending(run) for run in (first, lost, last)))
        assert written.stale == {lost.id}
        states = [await status(store, run) for run in (first, lost, last)]
        assert states == [RunStatus.SUCCESS, RunStatus.QUEUED, RunStatus.SUCCESS]


async def an_ending_asked_for_again_changes_nothing_and_is_not_stale(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        [run] = await start(store, wanted(1))
        told = ending(run, position='{"line": 7}', dead_letters=(LETTER,))
        await end(store, told)
        ended = await found(store, run)
        assert (await end(other, told)).stale == set()
        assert await found(store, run) == ended
        assert len(await store.dead_letters()) == 1


async def another_ending_of_an_ended_run_is_stale(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        await end(store, ending(run))
        assert (await end(store, ending(run, RunStatus.FAILED))).stale == {run.id}
        assert await status(store, run) is RunStatus.SUCCESS


async def of_two_who_end_a_run_at_once_one_ends_it(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        runs = await start(store, *(wanted(number) for number in range(10)))
        done = [ending(run, dead_letters=(LETTER,)) for run in runs]
        failed = [ending(run, RunStatus.FAILED, dead_letters=(LETTER,)) for run in reversed(runs)]
        written = await asyncio.gather(end(store, *done), end(other, *failed))
        assert sorted([*written[0].stale, *written[1].stale]) == [run.id for run in runs]
        assert len(await store.dead_letters()) == 10


async def dead_letters_are_kept_with_the_run_that_they_come_from(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        [other] = await start(store, wanted(1, flow="other"))
        letters = tuple(replace(LETTER, payload=f'{{"id": {number}}}') for number in range(3))
        written = await end(store, ending(run, dead_letters=letters), ending(other, dead_letters=(LETTER,)))
        kept = await store.dead_letters(flow="mail")
        assert [letter.payload for letter in kept] == ['{"id": 2}', '{"id": 1}', '{"id": 0}']
        assert {replace(one, id=0, payload=LETTER.payload) for one in kept} == {
            replace(LETTER, run=run.id, created_at=written.now)
        }
        assert len({letter.id for letter in await store.dead_letters()}) == 4
        assert len(await store.dead_letters(limit=2)) == 2


async def the_position_is_that_of_the_last_success_that_named_one(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        assert await store.position("mail") is None
        for number, (final, position) in enumerate(
            [
                (RunStatus.SUCCESS, '{"line": 7}'),
                (RunStatus.FAILED, '{"line": 9}'),
                (RunStatus.CANCELLED, '{"line": 9}'),
                (RunStatus.SUCCESS, None),
            ]
        ):
            [run] = await start(store, wanted(number))
            await end(store, ending(run, final, position=position))
            assert await store.position("mail") == '{"line": 7}'
        assert await store.position("other") is None


async def the_last_endings_are_told_without_those_that_tell_nothing(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        s, f, c = RunStatus.SUCCESS, RunStatus.FAILED, RunStatus.CANCELLED
        for number, final in enumerate([s, f, c, f]):
            [run] = await start(store, wanted(number))
            await end(store, ending(run, final))
        await queue(store, wanted(8), wanted(9, status=RunStatus.SKIPPED))
        await start(store, wanted(10, flow="other"))
        assert await store.last_statuses("mail", 9) == [f, f, s]
        assert await store.last_statuses("mail", 2) == [f, f]
        assert await store.last_statuses("never seen", 9) == []


async def a_batch_of_an_outdated_term_is_refused_as_a_whole(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        [run] = await start(store, wanted(1))
        lease = await store.acquire(LEASE, holder="one", ttl=NOW_OVER)
        assert lease is not None
        term = await lead(other, TWO)
        old = replace(term, number=lease.term)
        batch = Batch(
            *("one", old),
            endings=[ending(run)],
            planned=[PlannedFires("mail", START)],
            queue=[wanted(2)],
        )
        error = await raises(TermOutdated, store.write(batch))
        assert (error.lease, error.term) == (LEASE, lease.term)
        assert await store.live() == [run]
        assert await store.flows() == []
        assert (await other.write(replace(batch, term=term, endings=[]))).queued[0] is not None


async def a_term_counts_until_there_is_a_newer_one(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        term = await lead(store)
        lease = await store.acquire(LEASE, holder="one", ttl=NOW_OVER)
        assert lease is not None
        assert (await store.write(Batch("one", term, queue=[wanted(1)]))).queued[0] is not None
        await store.acquire("another lease", holder="two", ttl=LONG)
        assert (await store.write(Batch("one", term, queue=[wanted(2)]))).queued[0] is not None


async def what_a_sink_does_within_is_done_for_a_claim_that_holds(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first, lost = await start(store, wanted(1), wanted(2))
        await store.write(Batch("two", requeues=[Requeue(lost.id, lost.claim, Reason.RESCUED, rescue=True)]))
        seen: list[str] = []

        async def within(transaction: Transaction) -> None:
            seen.append(transaction.dialect)
            await asyncio.sleep(0)

        told = ending(first, within=within)
        for _ in range(2):
            assert (await end(store, told)).stale == set()
        assert (await end(store, ending(lost, within=within))).stale == {lost.id}
        assert len(seen) == 1, "neither again, nor for a claim that is lost"
        assert seen[0]


async def what_fails_within_takes_the_whole_batch_back(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        first, second = await start(store, wanted(1), wanted(2))
        disk_full = OSError("disk full")

        async def within(transaction: Transaction) -> None:
            raise disk_full

        batch = Batch("one", endings=[ending(first), ending(second, within=within)], queue=[wanted(3)])
        assert await raises(OSError, store.write(batch)) is disk_full
        assert await other.live() == [first, second]
        assert (await end(other, ending(second))).stale == set(), "nothing is locked any more"


async def a_write_that_is_cancelled_within_takes_everything_back(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        first, second = await start(store, wanted(1), wanted(2))
        reached = asyncio.Event()

        async def within(transaction: Transaction) -> None:
            reached.set()
            await asyncio.Event().wait()

        told = [ending(first), ending(second, within=within)]
        task = asyncio.create_task(store.write(Batch("one", endings=told)))
        await reached.wait()
        task.cancel()
        await raises(asyncio.CancelledError, task)
        assert await other.live() == [first, second]
        assert (await end(other, ending(first), ending(second))).stale == set(), "nothing is locked any more"


async def the_parts_of_a_batch_are_applied_in_their_order(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run, back] = await start(store, wanted(1), wanted(2))
        batch = Batch("one", endings=[ending(run)], queue=[wanted(3), wanted(4)])
        batch.requeues.append(Requeue(back.id, back.claim, Reason.RELEASED))
        batch.admit += [back.id]
        batch.claim += [back.id]
        written = await store.write(batch)
        assert [(one.id, one.claim) for one in written.claimed] == [(back.id, 2)]
        assert await status(store, run) is RunStatus.SUCCESS
        assert [one.status for one in await store.live()] == [
            *(RunStatus.RUNNING, RunStatus.QUEUED, RunStatus.QUEUED)
        ]


CHECKS: Final[tuple[Check, ...]] = (
    an_ended_run_keeps_all_that_the_ending_says,
    a_run_ends_in_each_final_state,
    an_ending_under_an_old_claim_is_stale,
    an_ending_by_another_replica_is_stale,
    a_leader_may_end_a_run_of_another_replica,
    one_stale_ending_does_not_hold_up_the_others,
    an_ending_asked_for_again_changes_nothing_and_is_not_stale,
    another_ending_of_an_ended_run_is_stale,
    of_two_who_end_a_run_at_once_one_ends_it,
    dead_letters_are_kept_with_the_run_that_they_come_from,
    the_position_is_that_of_the_last_success_that_named_one,
    the_last_endings_are_told_without_those_that_tell_nothing,
    a_batch_of_an_outdated_term_is_refused_as_a_whole,
    a_term_counts_until_there_is_a_newer_one,
    what_a_sink_does_within_is_done_for_a_claim_that_holds,
    what_fails_within_takes_the_whole_batch_back,
    a_write_that_is_cancelled_within_takes_everything_back,
    the_parts_of_a_batch_are_applied_in_their_order,
)
