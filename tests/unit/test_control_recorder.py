"""The one writer of a replica: group commit, and what happens when the store does not take it."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from piko_flow.control.runs.recorder import MOST, LeaderAsk
from piko_flow.dataflow.stages.sink import Transaction
from piko_flow.errors import StoreUnavailable, TermOutdated
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.batch import Requeue, Term
from piko_flow.store.records import NewRun
from piko_flow.testing.faults import until
from tests.unit.control_recording import Desk, success

AWAY = StoreUnavailable(what="write", reason="it is away")
TTL = timedelta(seconds=9)


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def outdated(desk: Desk) -> Term:
    """A term after which another replica has begun a newer one."""
    lease = await desk.store.acquire("lead", holder="a", ttl=TTL)
    assert lease is not None
    await desk.clock.advance(60)
    assert await desk.store.acquire("lead", holder="b", ttl=TTL) is not None
    return Term(lease.name, lease.term)


async def test_a_hundred_ends_are_one_transaction(desk: Desk) -> None:
    runs = await desk.claimed(100)
    told = [desk.recorder.change(success(run)) for run in runs]
    await desk.recorder.flush()
    assert [len(batch.endings) for batch in desk.store.batches] == [100]
    assert all([await one for one in told])


async def test_what_comes_while_a_transaction_runs_waits_for_the_next_one(desk: Desk) -> None:
    first, *others = await desk.claimed(40)
    desk.recorder.change(success(first))
    writing = asyncio.create_task(desk.recorder.run())
    try:
        await until(lambda: desk.store.batches)
        for run in others:
            desk.recorder.change(success(run))
        await desk.clock.settle()
    finally:
        writing.cancel()
    assert [len(batch.endings) for batch in desk.store.batches] == [1, 39]


async def test_a_transaction_is_bounded_and_order_is_kept(desk: Desk) -> None:
    runs = await desk.claimed(MOST + 5)
    for run in runs:
        desk.recorder.change(success(run))
    await desk.recorder.flush()
    assert [len(batch.endings) for batch in desk.store.batches] == [MOST, 5]
    written = [ending.run for batch in desk.store.batches for ending in batch.endings]
    assert written == [run.id for run in runs]


async def test_ends_and_a_leaders_ask_share_a_transaction(desk: Desk) -> None:
    [run] = await desk.claimed(1)
    lease = await desk.store.acquire("lead", holder="a", ttl=TTL)
    assert lease is not None
    ended = desk.recorder.change(success(run))
    ask = LeaderAsk(Term("lead", lease.term), queue=[NewRun("flow", desk.clock.now(), "next")])
    answer = desk.recorder.lead(ask)
    await desk.recorder.flush()
    [queued] = (await answer).queued
    assert queued is not None
    assert (await ended, queued.key, len(desk.store.batches)) == (True, "next", 1)


async def test_an_end_that_cannot_be_written_fails_alone(desk: Desk) -> None:
    runs = await desk.claimed(10)
    bad = runs[3].id
    desk.store.wrong = lambda batch: any(ending.run == bad for ending in batch.endings)
    told = [desk.recorder.change(success(run)) for run in runs]
    await desk.recorder.flush()
    failed = [run.id for run, one in zip(runs, told, strict=True) if one.exception() is not None]
    assert failed == [bad]
    assert [await desk.status(run) for run in runs].count(RunStatus.SUCCESS) == 9


async def test_after_one_that_failed_alone_ends_are_written_together_again(desk: Desk) -> None:
    runs = await desk.claimed(10)
    desk.store.wrong = lambda batch: any(ending.run == runs[0].id for ending in batch.endings)
    told = [desk.recorder.change(success(run)) for run in runs[:3]]
    await desk.recorder.flush()
    assert told[0].exception() is not None
    desk.store.batches.clear()
    for run in runs[3:]:
        desk.recorder.change(success(run))
    await desk.recorder.flush()
    assert [len(batch.endings) for batch in desk.store.batches] == [7]


async def test_an_end_that_writes_rows_of_sinks_has_a_transaction_of_its_own(desk: Desk) -> None:
    runs = await desk.claimed(5)

    async def within(transaction: Transaction) -> None: ...

    for run in runs:
        ending = success(run)
        desk.recorder.change(replace(ending, within=within) if run is runs[2] else ending)
    await desk.recorder.flush()
    assert [len(batch.endings) for batch in desk.store.batches] == [2, 1, 2]


async def test_a_sink_whose_rows_cannot_be_written_takes_no_leaders_ask_with_it(desk: Desk) -> None:
    [run] = await desk.claimed(1)

    async def within(transaction: Transaction) -> None:
        raise ValueError("the table is gone")

    ended = desk.recorder.change(replace(success(run), within=within))
    ask = desk.recorder.lead(LeaderAsk(None, queue=[NewRun("flow", desk.clock.now(), "next")]))
    await desk.recorder.flush()
    assert isinstance(ended.exception(), ValueError)
    assert [record is not None and record.key for record in (await ask).queued] == ["next"]


async def test_an_outdated_term_fails_the_ask_and_leaves_the_ends_to_be_written(desk: Desk) -> None:
    run, other = await desk.claimed(2)
    term = await outdated(desk)
    ended = desk.recorder.change(success(run))
    back = desk.recorder.change(Requeue(other.id, other.claim, Reason.RELEASED))
    ask = desk.recorder.lead(LeaderAsk(term, queue=[NewRun("flow", desk.clock.now(), "next")]))
    await desk.recorder.flush()
    with pytest.raises(TermOutdated):
        await ask
    assert (await ended, await back) == (True, True)
    assert (await desk.status(run), await desk.status(other)) == (RunStatus.SUCCESS, RunStatus.QUEUED)
    assert [found.key for found in await desk.store.live()] == [other.key]


async def test_asks_of_two_terms_do_not_share_a_transaction(desk: Desk) -> None:
    term = await outdated(desk)
    newer = Term(term.lease, term.number + 1)
    old = desk.recorder.lead(LeaderAsk(term, queue=[NewRun("flow", desk.clock.now(), "old")]))
    new = desk.recorder.lead(LeaderAsk(newer, queue=[NewRun("flow", desk.clock.now(), "new")]))
    await desk.recorder.flush()
    assert isinstance(old.exception(), TermOutdated)
    assert [record is not None and record.key for record in (await new).queued] == ["new"]


async def test_ends_outlive_a_store_that_does_not_answer_and_are_written_when_it_does(desk: Desk) -> None:
    runs = await desk.claimed(3)
    desk.store.failures = [AWAY] * 6
    told = [desk.recorder.change(success(run)) for run in runs]
    writing = asyncio.create_task(desk.recorder.flush())
    await desk.clock.advance(0.1)
    assert (desk.recorder.failures, desk.recorder.waiting) == (2, 3)
    await desk.clock.advance(60)
    await writing
    assert [await one for one in told] == [True] * 3
    assert (desk.recorder.failures, desk.recorder.waiting) == (0, 0)


async def test_the_wait_for_a_store_that_does_not_answer_grows_to_five_seconds(desk: Desk) -> None:
    [run] = await desk.claimed(1)
    desk.store.failures = [AWAY] * 100
    desk.recorder.change(success(run))
    writing = asyncio.create_task(desk.recorder.flush())
    await desk.clock.advance(60)
    tried = len(desk.store.batches)
    await desk.clock.advance(20)
    assert len(desk.store.batches) - tried == 4
    writing.cancel()


async def test_an_ask_is_tried_once_when_the_store_does_not_answer(desk: Desk) -> None:
    desk.store.failures = [AWAY]
    ask = desk.recorder.lead(LeaderAsk(None, queue=[NewRun("flow", desk.clock.now(), "next")]))
    writing = asyncio.create_task(desk.recorder.flush())
    await desk.clock.advance(60)
    await writing
    assert isinstance(ask.exception(), StoreUnavailable)
    assert len(desk.store.batches) == 1


async def test_a_run_queued_in_nobodys_name_is_queued_also_by_a_replica_that_does_not_lead(
    desk: Desk,
) -> None:
    await outdated(desk)
    desk.recorder.queue(NewRun("flow", desk.clock.now(), "slice after 1"))
    await desk.recorder.flush()
    assert [run.key for run in await desk.store.live()] == ["slice after 1"]


async def test_an_end_under_an_old_claim_is_told_to_be_refused(desk: Desk) -> None:
    [run] = await desk.claimed(1)
    told = desk.recorder.change(replace(success(run), claim=run.claim - 1))
    await desk.recorder.flush()
    assert await told is False


async def test_a_writer_that_is_cancelled_keeps_what_it_had_not_written(desk: Desk) -> None:
    runs = await desk.claimed(3)
    desk.store.failures = [AWAY] * 100
    told = [desk.recorder.change(success(run)) for run in runs]
    writing = asyncio.create_task(desk.recorder.run())
    await desk.clock.advance(1)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert desk.recorder.waiting == 3
    desk.store.failures = []
    await desk.recorder.flush()
    assert [await one for one in told] == [True] * 3
