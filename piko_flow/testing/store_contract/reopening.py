"""An ended run is tried once more: checks of decisions that reopen a run."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from piko_flow.errors import RequestRefused
from piko_flow.planning.flow_state import Change, FlowState
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Batch, Decided, Decision
from piko_flow.store.records import AttemptRecord
from piko_flow.testing.store_contract.scene import (
    START,
    Check,
    StoreUnderTest,
    end,
    ending,
    found,
    hour,
    plan,
    queue,
    start,
    state,
    take,
    wanted,
    windowed,
)


async def a_failed_run_is_queued_again_as_its_next_attempt(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1, params="{}", requested_by="somebody"))
        told = {"reason": "error", "error_type": "OSError", "error_msg": "no luck"}
        written = await end(store, ending(run, RunStatus.FAILED, duration_ms=5, dead_items=1, **told))
        result = (await store.write(Batch("one", decisions=[_reopening(run.id)]))).decided[0]
        assert not isinstance(result, Exception)
        [again] = result[1]
        assert again == await found(store, run)
        assert (again.status, again.attempt, again.claim, again.admitted) == (RunStatus.QUEUED, 2, 1, False)
        assert (again.replica, again.reason, again.error_type, again.error_msg) == ("", "", "", "")
        assert (again.end_time, again.duration_ms, again.dead_items) == (None, None, 0)
        assert (again.key, again.params, again.requested_by) == (run.key, "{}", "somebody")
        first = AttemptRecord(
            *(run.id, 1, run.start_time, written.now, "error", "OSError", "no luck", "host-1", 11)
        )
        assert await store.attempts(run.id) == [first]
        [taken] = await take(store, again)
        assert (taken.claim, taken.attempt) == (2, 2)
        assert (await end(store, ending(run))).stale == {run.id}, "the old claim is over"


async def a_cancelled_run_is_queued_again_and_nobody_wants_it_cancelled(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [waiting] = await queue(store, wanted(1))
        [running] = await start(store, wanted(2))
        for run in (waiting, running):
            await store.cancel(run.id, by="somebody")
        await end(store, ending(running, RunStatus.CANCELLED))
        await store.write(Batch("one", decisions=[_reopening(waiting.id), _reopening(running.id)]))
        live = await store.live()
        assert [(run.id, run.attempt, run.cancel_requested) for run in live] == [
            (waiting.id, 2, ""),
            (running.id, 2, ""),
        ]


async def a_reopened_run_comes_last_among_the_runs_of_its_decision(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await take(store, *await plan(store, 0, 1))
        await end(store, ending(run, RunStatus.FAILED))

        def decide(known: FlowState, now: datetime) -> Decided:
            return Decided(Change(known), (windowed(1), windowed(2)), reopen=run.id)

        result = (await store.write(Batch("one", decisions=[Decision("orders", decide)]))).decided[0]
        assert not isinstance(result, Exception)
        assert [made.window for made in result[1]] == [hour(1), hour(2), hour(0)]
        assert result[1][-1].id == run.id
        assert sorted((await state(store)).live_windows) == [hour(0), hour(1), hour(2)]


async def a_run_that_has_not_failed_is_not_reopened_and_its_decision_is_refused(
    stores: StoreUnderTest,
) -> None:
    async with stores.open() as store:
        done, running = await start(store, wanted(1), wanted(2))
        [waiting] = await queue(store, wanted(3))
        [theirs] = await start(store, wanted(1, flow="other"))
        await end(store, ending(done), ending(theirs, RunStatus.FAILED))
        before = [await found(store, run) for run in (done, running, waiting, theirs)]
        written = await store.write(
            Batch("one", decisions=[_reopening(run.id) for run in before] + [_reopening(999_999)])
        )
        assert all(isinstance(result, RequestRefused) for result in written.decided)
        assert [await found(store, run) for run in before] == before
        assert (await state(store, "mail")).origin is None, "nothing that was decided is stored"
        assert await store.attempts(done.id) == []


def _reopening(run: int) -> Decision:
    def decide(known: FlowState, now: datetime) -> Decided:
        return Decided(Change(replace(known, origin=START, planned_until=START)), reopen=run)

    return Decision("mail", decide)


CHECKS: Final[tuple[Check, ...]] = (
    a_failed_run_is_queued_again_as_its_next_attempt,
    a_cancelled_run_is_queued_again_and_nobody_wants_it_cancelled,
    a_reopened_run_comes_last_among_the_runs_of_its_decision,
    a_run_that_has_not_failed_is_not_reopened_and_its_decision_is_refused,
)
