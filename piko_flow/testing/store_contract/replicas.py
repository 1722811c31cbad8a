"""Which replicas live, what they lost, and the pulse: checks of LeaseStore."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import Final

from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Batch
from piko_flow.store.protocols import Store
from piko_flow.testing.store_contract.scene import (
    HOUR,
    LEASE,
    LONG,
    NOW_OVER,
    ONE,
    TWO,
    Check,
    StoreUnderTest,
    end,
    ending,
    queue,
    start,
    wanted,
)


async def a_replica_is_kept_as_it_was_told_until_its_time_is_over(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        before = (await store.pulse(LEASE, "one")).now
        await store.beat(ONE, ttl=HOUR)
        after = (await store.pulse(LEASE, "one")).now
        [known] = await other.replicas()
        assert replace(known, until=None) == ONE
        assert known.until is not None
        assert before + HOUR <= known.until <= after + HOUR


async def a_beat_replaces_what_was_known_of_the_replica(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.beat(ONE, ttl=HOUR)
        await store.beat(replace(ONE, running=3, slots=9), ttl=LONG)
        [known] = await store.replicas()
        assert (known.running, known.slots) == (3, 9)


async def replicas_are_listed_dead_or_alive_until_they_leave(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.beat(ONE, ttl=HOUR)
        await store.beat(TWO, ttl=NOW_OVER)
        assert {known.id: known.address for known in await store.replicas()} == {
            "one": ONE.address,
            "two": "",
        }
        await store.leave("two")
        await store.leave("never here")
        assert [known.id for known in await store.replicas()] == ["one"]


async def runs_of_a_replica_are_lost_when_its_time_is_over(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        mine, also = await start(store, wanted(1), wanted(2))
        await start(store, wanted(3), replica=TWO)
        assert await _lost(other) == []
        await store.beat(ONE, ttl=NOW_OVER)
        assert await _lost(other) == [mine.id, also.id]
        await store.beat(ONE, ttl=HOUR)
        assert await _lost(other) == []


async def runs_of_a_replica_that_left_are_lost(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        await store.leave("one")
        assert await _lost(store) == [run.id]


async def who_holds_a_lease_counts_as_alive(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        lease = await store.acquire("any name", holder="one", ttl=LONG)
        await store.beat(ONE, ttl=NOW_OVER)
        assert await _lost(store) == []
        assert lease is not None
        await store.renew(lease, ttl=NOW_OVER)
        assert await _lost(store) == [run.id]


async def only_running_runs_are_lost(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await queue(store, wanted(1))
        [ended] = await start(store, wanted(2))
        await end(store, ending(ended))
        await store.beat(ONE, ttl=NOW_OVER)
        assert await _lost(store) == []


async def a_pulse_of_an_empty_store_knows_only_the_time(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        pulse = await store.pulse(LEASE, "one")
        assert (pulse.lease, pulse.queued, pulse.running, pulse.claimable) == (None, 0, 0, 0)
        assert (pulse.cancels, pulse.lost) == (0, 0)
        assert pulse.now.tzinfo is UTC
        assert (await store.pulse(LEASE, "one")).now >= pulse.now


async def a_pulse_counts_what_is_live_for_all_and_what_is_wanted_of_this_replica(
    stores: StoreUnderTest,
) -> None:
    async with stores.open() as store:
        now = (await store.pulse(LEASE, "one")).now
        waiting = await queue(
            store, wanted(1), wanted(2), wanted(3, not_before=now + LONG), wanted(4, not_before=now - LONG)
        )
        await store.write(Batch("one", admit=[run.id for run in waiting[1:]]))
        mine, ended = await start(store, wanted(5), wanted(6))
        [theirs] = await start(store, wanted(7), replica=TWO)
        await end(store, ending(ended))
        await store.cancel(mine.id, by="somebody")
        await store.cancel(theirs.id, by="somebody")
        pulse = await store.pulse(LEASE, "one")
        assert (pulse.queued, pulse.running) == (4, 2)
        assert pulse.claimable == 2, "admitted, and not held back until later"
        assert (pulse.cancels, pulse.lost) == (1, 0)
        await store.beat(TWO, ttl=NOW_OVER)
        assert (await store.pulse(LEASE, "one")).lost == 1


async def a_pulse_is_one_statement_whatever_there_is(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await start(store, *(wanted(number) for number in range(50)))
        await store.acquire(LEASE, holder="one", ttl=HOUR)
        before = store.statements
        await store.pulse(LEASE, "one")
        assert store.statements - before == 1


async def _lost(store: Store) -> list[int]:
    lost = await store.lost()
    assert all(run.status is RunStatus.RUNNING for run in lost)
    assert (await store.pulse(LEASE, "anybody")).lost == len(lost)
    return [run.id for run in lost]


CHECKS: Final[tuple[Check, ...]] = (
    a_replica_is_kept_as_it_was_told_until_its_time_is_over,
    a_beat_replaces_what_was_known_of_the_replica,
    replicas_are_listed_dead_or_alive_until_they_leave,
    runs_of_a_replica_are_lost_when_its_time_is_over,
    runs_of_a_replica_that_left_are_lost,
    who_holds_a_lease_counts_as_alive,
    only_running_runs_are_lost,
    a_pulse_of_an_empty_store_knows_only_the_time,
    a_pulse_counts_what_is_live_for_all_and_what_is_wanted_of_this_replica,
    a_pulse_is_one_statement_whatever_there_is,
)
