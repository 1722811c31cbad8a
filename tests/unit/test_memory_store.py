"""What the memory store does besides the contract of all stores: its bounds, its handles, and taking everything back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from piko_flow.dataflow.stages.sink import Transaction
from piko_flow.errors import RequestRefused, StoreUnavailable
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Batch
from piko_flow.store.memory import MemoryStore
from piko_flow.store.records import DeadLetterRecord
from piko_flow.testing import ManualClock
from piko_flow.testing.store_contract.audits import ANSWER, AUDIT
from piko_flow.testing.store_contract.notices import LATE
from piko_flow.testing.store_contract.scene import (
    HOUR,
    LEASE,
    START,
    end,
    ending,
    planning,
    queue,
    schedule,
    start,
    state,
    take,
    wanted,
)
from piko_flow.testing.store_contract.tokens import TOKEN


async def test_time_is_what_its_clock_says() -> None:
    clock = ManualClock()
    async with MemoryStore.open(clock=clock) as store:
        lease = await store.acquire(LEASE, holder="one", ttl=timedelta(seconds=10))
        assert lease is not None
        assert lease.until == clock.now() + timedelta(seconds=10)
        await clock.advance(9.999999)
        assert await store.acquire(LEASE, holder="two", ttl=HOUR) is None
        await clock.advance(0.000001)
        taken = await store.acquire(LEASE, holder="two", ttl=HOUR)
        assert taken is not None
        assert taken.term == 2


async def test_handles_share_the_rows_and_count_for_themselves() -> None:
    store = MemoryStore()
    other = store.again()
    await queue(store, wanted(1), wanted(2))
    assert len(await other.live()) == 2
    assert (store.statements, other.statements) == (1, 1)


async def test_a_full_store_refuses_runs_until_it_is_pruned() -> None:
    clock = ManualClock()
    store = MemoryStore(clock, most=3)
    runs = await start(store, wanted(1), wanted(2), wanted(3))
    with pytest.raises(StoreUnavailable, match="holds 3, as many as it may"):
        await store.write(Batch("one", queue=[wanted(4)]))
    await end(store, *(ending(run) for run in runs))
    assert await store.prune(before=None, keep=1, limit=9) == 2
    await queue(store, wanted(4))


async def test_what_a_full_store_refuses_is_taken_back_as_a_whole() -> None:
    store = MemoryStore(ManualClock(), most=4)
    await store.add_schedules([schedule()])
    first, second = await start(store, wanted(1), wanted(2))
    written = await store.write(Batch("one", decisions=[planning(0, 1)]))
    decided = written.decided[0]
    assert not isinstance(decided, Exception)
    [run] = await take(store, *decided[1])
    before = (
        await store.live(),
        await state(store),
        await store.schedules(),
        await store.pulse(LEASE, "one"),
    )
    batch = Batch("one", endings=[ending(first), ending(run)], decisions=[planning(1, 2)])
    batch.queue = [wanted(3)]
    with pytest.raises(StoreUnavailable):
        await store.write(batch)
    after = (await store.live(), await state(store), await store.schedules(), await store.pulse(LEASE, "one"))
    assert after == before
    assert (await end(store, ending(second), ending(run))).stale == set()
    assert (await state(store)).watermark == START + HOUR
    assert (await state(store)).live == ()


async def test_dead_letters_are_bounded_likewise() -> None:
    store = MemoryStore(most=2)
    [run] = await start(store, wanted(1))
    letters = (DeadLetterRecord("mail", 0, "parse", "{}", "ValueError", "", "print"),) * 3
    with pytest.raises(StoreUnavailable, match="a dead letter"):
        await end(store, ending(run, dead_letters=letters))
    assert (await store.dead_letters(), (await store.live())[0].status) == ([], RunStatus.RUNNING)


async def test_what_operations_leave_is_bounded_likewise() -> None:
    clock = ManualClock()
    store = MemoryStore(clock, most=2)
    await store.add_audit([AUDIT])
    with pytest.raises(StoreUnavailable, match="keep an audit: it holds 2"):
        await store.add_audit([AUDIT, AUDIT])
    assert len(await store.audit()) == 1
    for number in range(2):
        await store.add_token(replace(TOKEN, digest=f"{number}" * 64))
        await store.begin_answer(replace(ANSWER, key=f"{number}"))
        await store.begin_episode(replace(LATE, subject=f"{number}"))
    for call in (
        store.add_token(replace(TOKEN, digest="2" * 64)),
        store.begin_answer(replace(ANSWER, key="2")),
        store.begin_episode(replace(LATE, subject="2")),
    ):
        with pytest.raises(StoreUnavailable, match="as many as it may"):
            await call
    later = clock.now() + HOUR
    assert await store.prune_operations(before=later, answers=later, tokens=later, limit=9) == 3
    assert await store.begin_answer(ANSWER) is None


async def test_a_sink_that_wants_a_database_is_told_that_there_is_none() -> None:
    store = MemoryStore()
    [run] = await start(store, wanted(1))

    async def within(transaction: Transaction) -> None:
        assert transaction.dialect == "memory"
        await transaction.execute("INSERT INTO orders VALUES (1)")

    with pytest.raises(RequestRefused, match="SQL database"):
        await end(store, ending(run, within=within))
    assert await store.live() == [run]
