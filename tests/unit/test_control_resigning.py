"""Who resigns frees its lease at once, also where the store does not answer for a moment."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from piko_flow.control.flows.registry import Registry
from piko_flow.control.leader.leadership import Leadership, own_lease
from piko_flow.control.replica.replica import Replica
from piko_flow.control.replica.replica_loops import ReplicaLoops
from piko_flow.errors import StoreUnavailable
from piko_flow.store.memory.store import MemoryStore
from piko_flow.store.records import Lease, ReplicaRecord
from piko_flow.testing import ManualClock, Stall
from piko_flow.testing.simulated import BRISK
from tests.unit.control_worlds import HOURLY, Flows

TTL = timedelta(seconds=9)


class Unsteady(MemoryStore):
    """Refuses calls of a name as often as the test says; `unanswered` are done first, and their answer is not told.

    What it was asked is noted in `asked`.
    """

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.refused: dict[str, int] = {}
        self.unanswered: dict[str, int] = {}
        self.asked: list[str] = []
        self.renewal: Stall | None = None

    def _refuse(self, call: str, times: dict[str, int]) -> None:
        if times.get(call, 0) > 0:
            times[call] -= 1
            raise StoreUnavailable(what=call, reason="it is away for a moment")

    async def acquire(self, name: str, *, holder: str, ttl: timedelta) -> Lease | None:
        lease = await super().acquire(name, holder=holder, ttl=ttl)
        self._refuse("acquire", self.unanswered)
        return lease

    async def renew(self, lease: Lease, *, ttl: timedelta) -> bool:
        self.asked.append("renew")
        if self.renewal is not None:
            await self.renewal.happen()
        return await super().renew(lease, ttl=ttl)

    async def release(self, lease: Lease) -> None:
        self.asked.append("release")
        self._refuse("release", self.refused)
        await super().release(lease)
        self._refuse("release", self.unanswered)

    async def beat(self, replica: ReplicaRecord, *, ttl: timedelta) -> None:
        self.asked.append("beat")
        self._refuse("beat", self.refused)
        await super().beat(replica, ttl=ttl)


def leadership(store: MemoryStore, clock: ManualClock) -> Leadership:
    return Leadership(store=store, name="x", holder="a", ttl=TTL, renew_every=TTL / 3, clock=clock)


async def is_free(store: MemoryStore, name: str = "x") -> bool:
    """Whether another would get the lease now; it is given back at once."""
    taken = await store.acquire(name, holder="another", ttl=TTL)
    if taken is not None:
        await store.release(taken)
    return taken is not None


async def test_a_release_that_fails_is_owed_and_asked_for_again() -> None:
    clock = ManualClock()
    store = Unsteady(clock)
    mine = leadership(store, clock)
    assert await mine.campaign()
    store.refused["release"] = 2
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await mine.resign()
        assert (mine.leads, mine.owes) == (False, True)
        assert not await is_free(store)
    await mine.resign()
    assert not mine.owes
    assert await is_free(store)


async def test_a_lease_whose_answer_was_lost_is_given_back_too() -> None:
    clock = ManualClock()
    store = Unsteady(clock)
    mine = leadership(store, clock)
    store.unanswered["acquire"] = 1
    with pytest.raises(StoreUnavailable):
        await mine.campaign()
    assert not await is_free(store)
    assert mine.owes
    await mine.resign()
    assert not mine.owes
    assert await is_free(store)


async def test_a_renewal_on_its_way_does_not_bring_back_what_was_released() -> None:
    clock = ManualClock()
    store = Unsteady(clock)
    store.renewal = Stall()
    mine = leadership(store, clock)
    assert await mine.campaign()
    renewing = asyncio.create_task(mine.renew())
    await store.renewal.reached.wait()
    await mine.resign()
    store.renewal.release()
    assert not await renewing
    assert not mine.owes
    assert await is_free(store)


def leading(store: MemoryStore, clock: ManualClock, **options: object) -> Replica:
    return Replica(
        store=store,
        registry=Registry(),
        record=ReplicaRecord("one", "host-1", 1, slots=4),
        options=replace(BRISK, **options),  # type: ignore[arg-type]
        clock=clock,
    )


@pytest.mark.parametrize("call", ["beat", "release"])
async def test_a_replica_that_drains_gives_its_lease_back_with_the_first_tick_that_is_answered(
    call: str,
) -> None:
    clock = ManualClock()
    store = Unsteady(clock)
    replica = leading(store, clock)
    await replica.tick()
    await replica.tick()
    assert replica.leadership.leads
    store.refused[call] = 2
    store.asked.clear()
    await replica.drain()
    await clock.advance(BRISK.renew_every.total_seconds())
    await replica.tick()
    assert not await is_free(store, "default")
    await replica.tick()
    assert await is_free(store, "default")
    assert "renew" not in store.asked, "it does not keep what it wants to give back"
    assert store.asked.index("beat") < store.asked.index("release"), "who resigns lives by its beats alone"


async def test_a_drain_waits_until_the_lease_is_given_back(flows: Flows) -> None:
    clock = ManualClock()
    store = Unsteady(clock)
    replica = leading(store, clock, poll_every=timedelta(seconds=1))
    stop = asyncio.Event()
    serving = asyncio.create_task(ReplicaLoops(replica, clock=clock).run(stop))
    while not replica.leadership.leads:
        await clock.advance(1)
    store.refused["release"] = 3
    stop.set()
    for _ in range(60):
        await clock.advance(1)
    await asyncio.wait_for(serving, 60)
    assert store.refused["release"] == 0
    assert await is_free(store, "default")
    assert await store.replicas() == []


@pytest.fixture
def flows() -> Flows:
    made = Flows()
    made.add("hourly", schedule=HOURLY)
    return made


async def test_the_lease_of_a_replica_without_election_goes_when_it_leaves(flows: Flows) -> None:
    async with flows.within(replicas=1, elected=False) as world:
        await world.advance(minutes=10)
        [mine] = world.replicas
        assert list(world.store._rows.leases) == [own_lease("default", mine.name)]
        mine.stop()
        await world.advance(seconds=30)
        assert mine.dead
        assert own_lease("default", mine.name) not in world.store._rows.leases


async def test_the_lease_of_one_that_died_long_ago_goes_with_it_and_those_who_lead_stay(flows: Flows) -> None:
    async with flows.within(elected=False, prune_every=timedelta(minutes=30)) as world:
        await world.advance(minutes=10)
        [mine] = world.replicas
        for name in ("dead", "leading"):
            await world.store.beat(ReplicaRecord(name), ttl=timedelta(minutes=8))
        await world.store.acquire(own_lease("default", "dead"), holder="dead", ttl=timedelta(minutes=6))
        await world.store.acquire("default", holder="leading", ttl=timedelta(hours=90))
        await world.advance(hours=40)
        assert set(world.store._rows.leases) == {own_lease("default", mine.name), "default"}
        assert [one.id for one in await world.store.replicas()] == ["leading", mine.name]


async def test_a_leader_is_not_forgotten_though_it_gives_no_other_sign_of_life(flows: Flows) -> None:
    async with flows.within(prune_every=timedelta(minutes=30)) as world:
        await world.advance(hours=40)
        assert [one.id for one in await world.store.replicas()] == [world.replicas[0].name]
        assert {(run.host, run.pid) for run in world.runs("hourly")} == {("host-1", 1)}
