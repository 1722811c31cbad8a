"""What somebody acts upon is as they saw it, or nothing is changed: checks of all that takes what was seen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from piko_flow.errors import RequestConflicts
from piko_flow.planning.flow_state import Change, FlowState
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Batch, Decided, Decision
from piko_flow.store.protocols import Store
from piko_flow.store.records import ConfigRecord
from piko_flow.store.seen import Seen
from piko_flow.testing.store_contract.backfills import backfill
from piko_flow.testing.store_contract.raising import raises
from piko_flow.testing.store_contract.scene import (
    Check,
    StoreUnderTest,
    end,
    ending,
    found,
    queue,
    schedule,
    start,
    wanted,
)


async def told(*calls: Awaitable[Any]) -> list[str]:
    """How calls that are made at once end: in `done`, or in the name of the error."""
    ended = await asyncio.gather(*calls, return_exceptions=True)
    return sorted(type(one).__name__ if isinstance(one, Exception) else "done" for one in ended)


async def config(store: Store, text: str, seen: Seen | None) -> ConfigRecord:
    """The config row of a flow, written."""
    return await store.set_config("orders", text, schema_version=1, effective_from=None, seen=seen)


async def a_schedule_that_is_another_one_than_was_seen_stays(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.set_schedule(schedule(), seen=Seen(version=0))
        await raises(RequestConflicts, store.set_schedule(schedule(max_instances=7), seen=Seen(version=0)))
        await raises(RequestConflicts, store.set_schedule(schedule(max_instances=7), seen=Seen(version=2)))
        await raises(RequestConflicts, store.delete_schedule("orders", seen=Seen(version=2)))
        [row] = await store.schedules()
        assert (row.version, row.max_instances) == (1, 1)
        assert (await store.set_schedule(schedule(max_instances=2), seen=Seen(version=1))).version == 2
        assert await store.delete_schedule("orders", seen=Seen(version=2))
        await raises(RequestConflicts, store.delete_schedule("orders", seen=Seen(version=2)))
        assert not await store.delete_schedule("orders")


async def of_all_who_save_a_schedule_at_once_one_has_it_saved(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        for version in range(4):
            seen = Seen(version=version)
            calls = [
                one.set_schedule(schedule(max_instances=place), seen=seen)
                for place, one in enumerate((store, other, store), start=1)
            ]
            assert await told(*calls) == ["RequestConflicts", "RequestConflicts", "done"]
            assert [row.version for row in await store.schedules()] == [version + 1]


async def of_all_who_save_params_at_once_one_has_them_saved(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        for version in range(4):
            seen = Seen(version=version)
            calls = [
                config(one, f'{{"a": {place}}}', seen) for place, one in enumerate((store, other, store))
            ]
            assert await told(*calls) == ["RequestConflicts", "RequestConflicts", "done"]
            assert [row.version for row in await store.configs()] == [version + 1]
        assert (await config(store, "{}", None)).version == 5


async def a_run_that_is_another_one_than_was_seen_is_not_cancelled(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [waiting] = await queue(store, wanted(1))
        [running] = await start(store, wanted(2))
        for run, seen in (
            (waiting, Seen(status="RUNNING")),
            (waiting, Seen(status="QUEUED", attempt=2)),
            (running, Seen(status=RunStatus.QUEUED, attempt=1)),
        ):
            await raises(RequestConflicts, store.cancel(run.id, by="ann", seen=seen))
            assert await found(store, run) == run
        await end(store, ending(running))
        seen = Seen(status=RunStatus.RUNNING)
        await raises(RequestConflicts, store.cancel(running.id, by="ann", seen=seen))
        cancelled = await store.cancel(waiting.id, by="ann", seen=Seen(status=RunStatus.QUEUED, attempt=1))
        assert cancelled is not None
        assert cancelled.status is RunStatus.CANCELLED
        assert await store.cancel(999_999, by="ann", seen=seen) is None


async def of_all_who_retry_a_run_at_once_one_has_it_retried(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        [run] = await start(store, wanted(1))
        await end(store, ending(run, RunStatus.FAILED))

        def decide(known: FlowState, now: datetime) -> Decided:
            return Decided(Change(known), reopen=run.id, seen=Seen(status="FAILED", attempt=1))

        batches = [one.write(Batch("", decisions=[Decision("mail", decide)])) for one in (store, other)]
        decided = [written.decided[0] for written in await asyncio.gather(*batches)]
        refused = [one for one in decided if isinstance(one, Exception)]
        assert [type(one) for one in refused] == [RequestConflicts]
        kept = await found(store, run)
        assert (kept.status, kept.attempt) == (RunStatus.QUEUED, 2)


async def a_backfill_that_is_another_one_than_was_seen_stays(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        made = await store.add_backfill(backfill())
        seen = Seen(state="running")
        calls = [one.set_backfill(made.id, state="paused", seen=seen) for one in (store, other)]
        assert await told(*calls) == ["RequestConflicts", "done"]
        await raises(RequestConflicts, store.set_backfill(made.id, state="cancelled", seen=seen))
        assert [one.state for one in await store.backfills()] == ["paused"]
        resumed = await store.set_backfill(made.id, state="running", seen=Seen(state="paused"))
        assert resumed == replace(made, state="running")
        assert await store.set_backfill(999_999, state="paused", seen=seen) is None


async def what_a_thing_does_not_have_cannot_have_been_seen_of_it(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await queue(store, wanted(1))
        await raises(ValueError, store.cancel(run.id, by="ann", seen=Seen(version=1)))
        await raises(ValueError, store.set_schedule(schedule(), seen=Seen(state="open")))
        assert await found(store, run) == run


CHECKS: Final[tuple[Check, ...]] = (
    a_schedule_that_is_another_one_than_was_seen_stays,
    of_all_who_save_a_schedule_at_once_one_has_it_saved,
    of_all_who_save_params_at_once_one_has_them_saved,
    a_run_that_is_another_one_than_was_seen_is_not_cancelled,
    of_all_who_retry_a_run_at_once_one_has_it_retried,
    a_backfill_that_is_another_one_than_was_seen_stays,
    what_a_thing_does_not_have_cannot_have_been_seen_of_it,
)
