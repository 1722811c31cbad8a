"""What retention deletes while others change it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from piko_flow.clock import SystemClock
from piko_flow.planning.flow_state import Change, FlowState
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Batch, Decided, Decision, Ending
from piko_flow.store.opening import open_store
from piko_flow.store.records import NewRun, RunRecord
from piko_flow.store.sql.store import SqlStore
from piko_flow.testing.store_contract.dead_letters import LETTER, failed_with, taken, taking


async def failed(store: SqlStore, key: str) -> RunRecord:
    """A run that has failed."""
    new = NewRun("flow", SystemClock().now(), key, claim=True)
    (run,) = (await store.write(Batch("one", queue=[new]))).queued
    assert run is not None
    await store.write(Batch("one", endings=[Ending(run.id, run.claim, "flow", RunStatus.FAILED)]))
    return run


async def test_a_run_that_is_tried_again_while_old_runs_are_looked_for_is_not_deleted(
    database_url: str,
) -> None:
    store, other = await open_store(database_url), await open_store(database_url)
    assert isinstance(store, SqlStore)
    assert isinstance(other, SqlStore)
    try:
        again, old = await failed(store, "again"), await failed(store, "old")
        look = store._database.rows

        async def rows(what: str, *asked: Any, **values: Any) -> Sequence[Any]:
            """Somebody else retries a run just after it was found."""
            found = await look(what, *asked, **values)
            if what == "look for old runs":
                await other.write(Batch("", decisions=[Decision("flow", reopening)]))
            return found

        def reopening(state: FlowState, now: Any) -> Decided:
            return Decided(Change(state), reopen=again.id)

        store._database.rows = rows  # type: ignore[method-assign]
        later = SystemClock().now() + timedelta(days=1)
        assert await store.prune(before=later, keep=None, limit=10) == 1
        kept = await other.run(again.id)
        assert kept is not None
        assert (kept.status, kept.attempt) == (RunStatus.QUEUED, 2)
        assert len(await other.attempts(again.id)) == 1
        assert await other.run(old.id) is None
    finally:
        await store.close()
        await other.close()


async def test_a_letter_that_a_replay_takes_while_old_letters_are_looked_for_is_not_deleted(
    database_url: str,
) -> None:
    store, other = await open_store(database_url), await open_store(database_url)
    assert isinstance(store, SqlStore)
    try:
        again, old = await failed_with(store, LETTER, LETTER)
        look = store._database.rows
        replays: list[RunRecord] = []

        async def rows(what: str, *asked: Any, **values: Any) -> Sequence[Any]:
            """Somebody else replays a letter just after it was found."""
            found = await look(what, *asked, **values)
            if what == "delete old dead letters":
                replays.append(await taking(other, again))
            return found

        store._database.rows = rows  # type: ignore[method-assign]
        later = SystemClock().now() + timedelta(days=1)
        assert await store.prune_dead_letters(before=later, limit=10) == 1
        [run] = replays
        assert await taken(other, run) == [again.id]
        assert await other.dead_letters_of([old.id]) == []
    finally:
        await store.close()
        await other.close()
