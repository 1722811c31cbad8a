"""Who leads: checks of LeaseStore."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Final

from piko_flow.store.records import ReplicaRecord
from piko_flow.testing.store_contract.scene import HOUR, LEASE, LONG, NOW_OVER, Check, StoreUnderTest


async def a_free_lease_is_taken_in_a_first_term(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        before = (await store.pulse(LEASE, "one")).now
        lease = await store.acquire(LEASE, holder="one", ttl=HOUR)
        after = (await store.pulse(LEASE, "one")).now
        assert lease is not None
        assert (lease.name, lease.holder, lease.term) == (LEASE, "one", 1)
        assert before + HOUR <= lease.until <= after + HOUR
        assert lease.until.tzinfo is UTC


async def a_held_lease_is_refused_to_others(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        held = await store.acquire(LEASE, holder="one", ttl=HOUR)
        assert await other.acquire(LEASE, holder="two", ttl=HOUR) is None
        assert (await other.pulse(LEASE, "two")).lease == held


async def the_holder_takes_its_lease_again_in_the_same_term(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first = await store.acquire(LEASE, holder="one", ttl=HOUR)
        again = await store.acquire(LEASE, holder="one", ttl=LONG)
        assert first is not None
        assert again is not None
        assert again.term == first.term
        assert again.until > first.until


async def the_holder_takes_its_lease_again_in_the_same_term_when_it_had_run_out(
    stores: StoreUnderTest,
) -> None:
    async with stores.open() as store:
        await store.acquire(LEASE, holder="one", ttl=NOW_OVER)
        again = await store.acquire(LEASE, holder="one", ttl=HOUR)
        assert again is not None
        assert again.term == 1


async def a_lease_that_ran_out_goes_to_another_in_a_newer_term(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        await store.acquire(LEASE, holder="one", ttl=NOW_OVER)
        lease = await other.acquire(LEASE, holder="two", ttl=HOUR)
        assert lease is not None
        assert (lease.holder, lease.term) == ("two", 2)


async def a_renewal_moves_the_end_and_keeps_the_term(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        lease = await store.acquire(LEASE, holder="one", ttl=HOUR)
        assert lease is not None
        assert await store.renew(lease, ttl=LONG)
        renewed = (await store.pulse(LEASE, "one")).lease
        assert renewed is not None
        assert replace(renewed, until=lease.until) == lease
        assert renewed.until >= lease.until + LONG - HOUR


async def a_lease_that_ran_out_can_be_renewed_while_nobody_has_taken_it(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        lease = await store.acquire(LEASE, holder="one", ttl=NOW_OVER)
        assert lease is not None
        assert await store.renew(lease, ttl=HOUR)
        renewed = (await store.pulse(LEASE, "one")).lease
        assert renewed is not None
        assert renewed.term == lease.term
        assert await store.acquire(LEASE, holder="two", ttl=HOUR) is None


async def a_renewal_is_refused_once_another_holds_the_lease(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        lost = await store.acquire(LEASE, holder="one", ttl=NOW_OVER)
        held = await other.acquire(LEASE, holder="two", ttl=HOUR)
        assert lost is not None
        assert not await store.renew(lost, ttl=LONG)
        assert (await store.pulse(LEASE, "one")).lease == held


async def a_renewal_in_another_term_is_refused(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        lease = await store.acquire(LEASE, holder="one", ttl=HOUR)
        assert lease is not None
        assert not await store.renew(replace(lease, term=lease.term + 1), ttl=HOUR)
        assert not await store.renew(replace(lease, name="another"), ttl=HOUR)


async def a_released_lease_is_free_at_once_in_a_newer_term(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        lease = await store.acquire(LEASE, holder="one", ttl=LONG)
        assert lease is not None
        await store.release(lease)
        pulse = await store.pulse(LEASE, "one")
        assert pulse.lease is None or pulse.lease.until <= pulse.now
        next_lease = await other.acquire(LEASE, holder="two", ttl=HOUR)
        assert next_lease is not None
        assert next_lease.term > lease.term


async def a_released_lease_is_not_brought_back_by_a_renewal_on_its_way(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        lease = await store.acquire(LEASE, holder="one", ttl=LONG)
        assert lease is not None
        await store.release(lease)
        assert not await store.renew(lease, ttl=LONG)
        assert await store.acquire(LEASE, holder="two", ttl=HOUR) is not None


async def releasing_a_lease_that_is_another_s_has_no_effect(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        lost = await store.acquire(LEASE, holder="one", ttl=NOW_OVER)
        held = await other.acquire(LEASE, holder="two", ttl=HOUR)
        assert lost is not None
        await store.release(lost)
        assert (await store.pulse(LEASE, "one")).lease == held


async def a_lease_is_forgotten_once_it_has_run_out_and_not_before(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        lease = await store.acquire(LEASE, holder="one", ttl=LONG)
        kept = await store.acquire("another", holder="one", ttl=NOW_OVER)
        assert lease is not None
        await other.forget_lease(LEASE)
        assert (await store.pulse(LEASE, "one")).lease == lease
        await store.release(lease)
        await other.forget_lease(LEASE)
        assert (await store.pulse(LEASE, "one")).lease is None
        assert (await store.pulse("another", "one")).lease == kept


async def leases_of_different_names_do_not_know_each_other(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first = await store.acquire(LEASE, holder="one", ttl=HOUR)
        second = await store.acquire("another", holder="two", ttl=HOUR)
        assert first is not None
        assert second is not None
        assert (first.term, second.term) == (1, 1)
        assert (await store.pulse("third", "one")).lease is None


async def of_all_who_ask_at_once_one_gets_the_lease(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        asked = [
            handle.acquire(LEASE, holder=f"replica {number}", ttl=HOUR)
            for number, handle in enumerate([store, other] * 4)
        ]
        given = [lease for lease in await asyncio.gather(*asked) if lease is not None]
        assert [lease.term for lease in given] == [1]
        assert (await store.pulse(LEASE, "one")).lease == given[0]


async def of_all_who_want_a_lease_that_ran_out_one_gets_it(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        await store.acquire(LEASE, holder="one", ttl=NOW_OVER)
        asked = [
            handle.acquire(LEASE, holder=f"replica {number}", ttl=HOUR)
            for number, handle in enumerate([store, other] * 4)
        ]
        given = [lease for lease in await asyncio.gather(*asked) if lease is not None]
        assert [lease.term for lease in given] == [2]


async def a_lease_ends_to_the_microsecond(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        lease = await store.acquire(LEASE, holder="one", ttl=timedelta(hours=1, microseconds=7))
        assert lease is not None
        assert (await store.pulse(LEASE, "one")).lease == lease


async def who_led_and_lost_its_lease_is_known_to_have_lived_until_its_end(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.beat(ReplicaRecord("one"), ttl=NOW_OVER)
        lease = await store.acquire(LEASE, holder="one", ttl=NOW_OVER)
        assert lease is not None
        assert await store.acquire(LEASE, holder="two", ttl=HOUR) is not None
        [known] = await store.replicas()
        assert known.until == lease.until
        taken = await store.acquire(LEASE, holder="two", ttl=NOW_OVER)
        assert taken is not None
        await store.beat(ReplicaRecord("two"), ttl=LONG)
        assert await store.acquire(LEASE, holder="three", ttl=HOUR) is not None
        two = {one.id: one for one in await store.replicas()}["two"]
        assert two.until is not None
        assert two.until > taken.until  # its own sign was later


CHECKS: Final[tuple[Check, ...]] = (
    a_free_lease_is_taken_in_a_first_term,
    a_held_lease_is_refused_to_others,
    the_holder_takes_its_lease_again_in_the_same_term,
    the_holder_takes_its_lease_again_in_the_same_term_when_it_had_run_out,
    a_lease_that_ran_out_goes_to_another_in_a_newer_term,
    a_renewal_moves_the_end_and_keeps_the_term,
    a_lease_that_ran_out_can_be_renewed_while_nobody_has_taken_it,
    a_renewal_is_refused_once_another_holds_the_lease,
    a_renewal_in_another_term_is_refused,
    a_released_lease_is_free_at_once_in_a_newer_term,
    a_released_lease_is_not_brought_back_by_a_renewal_on_its_way,
    releasing_a_lease_that_is_another_s_has_no_effect,
    a_lease_is_forgotten_once_it_has_run_out_and_not_before,
    leases_of_different_names_do_not_know_each_other,
    of_all_who_ask_at_once_one_gets_the_lease,
    of_all_who_want_a_lease_that_ran_out_one_gets_it,
    a_lease_ends_to_the_microsecond,
    who_led_and_lost_its_lease_is_known_to_have_lived_until_its_end,
)
