"""Runs are admitted, claimed, cancelled and given back: checks of RunStore."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.batch import Batch, Requeue
from piko_flow.store.protocols import Store
from piko_flow.store.records import AttemptRecord, NewRun, RunRecord
from piko_flow.testing.store_contract.scene import (
    HOUR,
    LONG,
    ONE,
    TWO,
    Check,
    StoreUnderTest,
    end,
    ending,
    found,
    queue,
    start,
    status,
    take,
    wanted,
)


async def admitted_runs_are_claimed_oldest_first_up_to_the_limit(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        runs = await queue(store, *(wanted(number) for number in range(5)))
        await store.write(Batch("one", admit=[run.id for run in (runs[4], runs[1], runs[3])]))
        assert (await found(store, runs[1])).admitted
        taken = await other.claim(TWO, limit=2, known=_any)
        assert [run.id for run in taken] == [runs[1].id, runs[3].id]
        assert {(run.status, run.replica, run.claim) for run in taken} == {(RunStatus.RUNNING, "two", 1)}
        assert {(run.host, run.pid) for run in taken} == {("host-2", 22)}
        assert all(run.start_time is not None for run in taken)
        assert [await found(store, run) for run in taken] == taken
        assert [run.id for run in await other.claim(TWO, limit=9, known=_any)] == [runs[4].id]
        assert await other.claim(TWO, limit=9, known=_any) == []


async def a_run_of_a_flow_that_the_replica_does_not_know_is_left_to_others(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await _admitted(store, *(wanted(number, flow="other") for number in range(30)))
        mine = await _admitted(store, wanted(1))
        taken = await store.claim(ONE, limit=1, known=lambda flow: flow == "mail")
        assert [run.id for run in taken] == [mine[0].id], "however many others wait before it"


async def a_run_is_not_claimed_before_its_time(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        now = (await store.digest()).now
        runs = await _admitted(store, wanted(1, not_before=now + LONG), wanted(2, not_before=now - LONG))
        taken = await store.claim(ONE, limit=9, known=_any)
        assert [run.id for run in taken] == [runs[1].id]


async def a_claim_of_nothing_takes_nothing(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await _admitted(store, wanted(1))
        assert await store.claim(ONE, limit=0, known=_any) == []
        assert (await store.pulse("default", "one")).claimable == 1


async def claims_side_by_side_never_take_a_run_twice(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        runs = await _admitted(store, *(wanted(number) for number in range(60)))

        async def take_all(handle: Store, replica: str) -> list[RunRecord]:
            mine: list[RunRecord] = []
            for _ in range(60):
                claimed = await handle.claim(replace(ONE, id=replica), limit=7, known=_any)
                mine += claimed
            return mine

        taken = await asyncio.gather(
            *(take_all(h, n) for h, n in zip((store, other) * 2, "abcd", strict=True))
        )
        claimed = [run for mine in taken for run in mine]
        assert sorted(run.id for run in claimed) == [run.id for run in runs]
        assert {run.claim for run in claimed} == {1}
        assert [await store.run(run.id) for run in claimed] == claimed


async def a_batch_claims_what_is_queued_in_its_order_and_leaves_the_rest(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        runs = await queue(store, *(wanted(number) for number in range(4)))
        await store.cancel(runs[3].id, by="somebody")
        await take(other, runs[1], replica=TWO)
        await store.beat(ONE, ttl=HOUR)
        asked = [runs[2].id, runs[1].id, runs[3].id, runs[0].id, 999_999]
        written = await store.write(Batch("one", claim=asked))
        assert [run.id for run in written.claimed] == [runs[2].id, runs[0].id]
        assert [await found(store, run) for run in written.claimed] == written.claimed
        assert (await found(store, runs[1])).replica == "two"


async def batches_side_by_side_never_claim_a_run_twice(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        runs = await queue(store, *(wanted(number) for number in range(30)))
        ids = [run.id for run in runs]
        written = await asyncio.gather(
            store.write(Batch("one", claim=ids)), other.write(Batch("two", claim=ids[::-1]))
        )
        claimed = [run.id for one in written for run in one.claimed]
        assert sorted(claimed) == ids


async def admitting_what_is_not_queued_has_no_effect(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        [ended] = await start(store, wanted(2))
        await end(store, ending(ended))
        before = [await found(store, run), await found(store, ended)]
        await store.write(Batch("one", admit=[run.id, ended.id, 999_999]))
        assert [await found(store, run), await found(store, ended)] == before


async def a_claim_is_held_until_the_run_ends_or_goes_back(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        first, second = await start(store, wanted(1), wanted(2))
        assert await other.holds(first.id, first.claim)
        assert not await other.holds(first.id, first.claim + 1)
        assert not await other.holds(999_999, 1)
        await end(store, ending(first))
        await store.write(Batch("one", requeues=[Requeue(second.id, second.claim, Reason.RELEASED)]))
        assert not await other.holds(first.id, first.claim)
        assert not await other.holds(second.id, second.claim)


async def a_run_that_goes_back_waits_again_and_the_next_claim_is_a_new_one(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        later = (await store.digest()).now + LONG
        requeue = Requeue(run.id, run.claim, Reason.RELEASED, not_before=later)
        assert (await store.write(Batch("one", requeues=[requeue]))).stale == set()
        waiting = await found(store, run)
        assert (waiting.status, waiting.reason, waiting.replica) == (RunStatus.QUEUED, "released", "")
        assert (waiting.claim, waiting.attempt, waiting.rescues) == (1, 1, 0)
        assert (waiting.not_before, waiting.admitted) == (later, False)
        assert await store.attempts(run.id) == []
        [again] = await take(store, run, replica=TWO)
        assert (again.claim, again.replica, again.attempt) == (2, "two", 1)


async def the_next_attempt_keeps_a_row_of_the_one_before(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        failed = Requeue(
            *(run.id, run.claim, Reason.RETRY_WAIT), attempt=True, error_type="OSError", error_msg="no luck"
        )
        written = await store.write(Batch("one", requeues=[failed]))
        first = AttemptRecord(
            *(run.id, 1, run.start_time, written.now, "retry_wait", "OSError", "no luck", "host-1", 11)
        )
        assert await store.attempts(run.id) == [first]
        [second] = await take(store, run, replica=TWO)
        assert (second.attempt, second.claim) == (2, 2)
        await store.write(Batch("two", requeues=[replace(failed, claim=2)]))
        kept = await store.attempts(run.id)
        assert [(one.attempt, one.host) for one in kept] == [(1, "host-1"), (2, "host-2")]


async def a_rescue_takes_the_run_from_another_replica_and_counts(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        [run] = await start(store, wanted(1), replica=TWO)
        rescue = Requeue(run.id, run.claim, Reason.RESCUED, rescue=True)
        written = await store.write(Batch("one", requeues=[rescue]))
        assert written.stale == set()
        waiting = await found(store, run)
        assert (waiting.status, waiting.rescues, waiting.attempt) == (RunStatus.QUEUED, 1, 1)
        late = await other.write(Batch("two", endings=[ending(run)]))
        assert late.stale == {run.id}
        assert await found(store, run) == waiting
        lost = AttemptRecord(*(run.id, 1, run.start_time, written.now, "rescued", "", "", run.host, run.pid))
        assert await store.attempts(run.id) == [lost]
        [again] = await take(store, run)
        await store.write(Batch("two", requeues=[replace(rescue, claim=again.claim)]))
        kept = await store.attempts(run.id)
        assert [(one.attempt, one.host) for one in kept] == [(1, run.host), (1, again.host)]


async def a_run_of_another_replica_goes_back_only_by_a_rescue(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1), replica=TWO)
        written = await store.write(Batch("one", requeues=[Requeue(run.id, run.claim, Reason.RELEASED)]))
        assert written.stale == {run.id}
        assert await found(store, run) == run


async def a_requeue_under_an_old_claim_is_stale(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        requeue = Requeue(run.id, run.claim, Reason.RELEASED, attempt=True)
        await store.write(Batch("one", requeues=[requeue]))
        [again] = await take(store, run)
        gone = Requeue(999_999, 1, Reason.RELEASED)
        assert (await store.write(Batch("one", requeues=[requeue, gone]))).stale == {run.id, 999_999}
        assert await found(store, run) == again
        assert len(await store.attempts(run.id)) == 1


async def a_requeue_asked_for_again_changes_nothing_and_is_not_stale(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        requeue = Requeue(run.id, run.claim, Reason.RETRY_WAIT, attempt=True)
        await store.write(Batch("one", requeues=[requeue]))
        waiting = await found(store, run)
        assert (await store.write(Batch("one", requeues=[requeue]))).stale == set()
        assert await found(store, run) == waiting
        assert len(await store.attempts(run.id)) == 1


async def a_queued_run_is_cancelled_at_once(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await _admitted(store, wanted(1))
        cancelled = await store.cancel(run.id, by="somebody")
        assert cancelled is not None
        assert (cancelled.status, cancelled.reason) == (RunStatus.CANCELLED, Reason.CANCELLED)
        assert cancelled.end_time is not None
        assert await found(store, run) == cancelled
        assert await store.claim(ONE, limit=9, known=_any) == []


async def a_running_run_is_asked_to_end_and_its_replica_is_told(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        first, second = await start(store, wanted(1), wanted(2))
        asked = await other.cancel(first.id, by="somebody")
        assert asked == replace(first, cancel_requested="somebody")
        assert await store.cancels("one") == [asked]
        assert await store.cancels("two") == []
        await end(store, ending(first, RunStatus.CANCELLED, reason=Reason.CANCELLED))
        assert await store.cancels("one") == []
        assert await status(store, second) is RunStatus.RUNNING


async def an_ended_run_cannot_be_cancelled_any_more(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        await end(store, ending(run))
        ended = await found(store, run)
        assert await store.cancel(run.id, by="somebody") == ended
        assert await found(store, run) == ended
        assert await store.cancel(999_999, by="somebody") is None


async def a_run_that_goes_back_is_cancelled_where_somebody_asked_for_that(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        for number, attempt, rescue in ((1, False, False), (2, True, False), (3, False, True)):
            [run] = await start(store, wanted(number))
            await store.cancel(run.id, by="somebody")
            requeue = Requeue(run.id, run.claim, Reason.RELEASED, attempt=attempt, rescue=rescue)
            for _ in range(2):
                assert (await store.write(Batch("one", requeues=[requeue]))).stale == set()
            ended = await found(store, run)
            assert (ended.status, ended.reason) == (RunStatus.CANCELLED, Reason.CANCELLED)
            assert ended.end_time is not None
        assert await store.live() == []


async def _admitted(store: Store, *new: NewRun) -> list[RunRecord]:
    runs = await queue(store, *new)
    await store.write(Batch("one", admit=[run.id for run in runs]))
    return runs


def _any(flow: str) -> bool:
    return True


CHECKS: Final[tuple[Check, ...]] = (
    admitted_runs_are_claimed_oldest_first_up_to_the_limit,
    a_run_of_a_flow_that_the_replica_does_not_know_is_left_to_others,
    a_run_is_not_claimed_before_its_time,
    a_claim_of_nothing_takes_nothing,
    claims_side_by_side_never_take_a_run_twice,
    a_batch_claims_what_is_queued_in_its_order_and_leaves_the_rest,
    batches_side_by_side_never_claim_a_run_twice,
    admitting_what_is_not_queued_has_no_effect,
    a_claim_is_held_until_the_run_ends_or_goes_back,
    a_run_that_goes_back_waits_again_and_the_next_claim_is_a_new_one,
    the_next_attempt_keeps_a_row_of_the_one_before,
    a_rescue_takes_the_run_from_another_replica_and_counts,
    a_run_of_another_replica_goes_back_only_by_a_rescue,
    a_requeue_under_an_old_claim_is_stale,
    a_requeue_asked_for_again_changes_nothing_and_is_not_stale,
    a_queued_run_is_cancelled_at_once,
    a_running_run_is_asked_to_end_and_its_replica_is_told,
    an_ended_run_cannot_be_cancelled_any_more,
    a_run_that_goes_back_is_cancelled_where_somebody_asked_for_that,
)
