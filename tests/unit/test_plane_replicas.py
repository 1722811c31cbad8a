"""Who leads is shown, and made to resign from another process without costing a run; old runs are pruned."""

from datetime import timedelta

import pytest

from piko_flow.errors import RequestRefused, TermOutdated
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Batch, Term
from piko_flow.store.protocols import RunFilter
from piko_flow.store.records import ReplicaRecord
from tests.unit.planes import DAY, ONE, ended, lead, queued, running, scene

TWO = ReplicaRecord("two", host="host-2", pid=22, slots=4)


async def test_before_anybody_has_led_there_is_no_lease() -> None:
    view = await scene().plane.leader()
    assert (view.lease, view.leads, view.replicas) == (None, False, ())


async def test_the_leader_and_all_replicas_are_shown_dead_ones_among_them() -> None:
    it = scene()
    await lead(it)
    await it.store.beat(TWO, ttl=timedelta(seconds=10))
    await it.clock.advance(60)
    view = await it.plane.leader()
    assert view.leads
    assert view.lease is not None
    assert (view.lease.holder, view.lease.term) == ("one", 1)
    assert {one.id: view.alive(one) for one in view.replicas} == {"one": True, "two": False}
    await it.clock.advance(2 * 86_400)
    assert not (await it.plane.leader()).leads


async def test_a_leader_that_has_to_resign_leads_no_more_and_its_runs_are_not_lost() -> None:
    it = scene()
    await it.store.beat(ONE, ttl=timedelta(seconds=1))
    lease = await it.store.acquire("default", holder="one", ttl=DAY)
    assert lease is not None
    await running(it, "mail")
    await it.store.beat(ONE, ttl=timedelta(seconds=1))
    await it.clock.advance(5)  # a leader lives by its lease
    ended_lease = await it.plane.resign_leader()
    assert (ended_lease.holder, ended_lease.term) == ("one", 1)
    assert not await it.store.renew(lease, ttl=DAY)
    assert await it.store.lost() == []
    assert not (await it.plane.leader()).leads
    taken = await it.store.acquire("default", holder="two", ttl=DAY)
    assert taken is not None
    assert taken.term == 2
    with pytest.raises(TermOutdated):
        await it.store.write(Batch("one", term=Term("default", 1)))


async def test_where_nobody_leads_nobody_resigns() -> None:
    it = scene()
    with pytest.raises(RequestRefused, match="nobody holds it"):
        await it.plane.resign_leader()
    await lead(it)
    await it.plane.resign_leader()
    with pytest.raises(RequestRefused, match="nobody holds it"):
        await it.plane.resign_leader()
    with pytest.raises(RequestRefused, match="no election"):
        await scene(elected=False).plane.resign_leader()


async def test_ended_runs_are_pruned_by_age_and_number_and_live_ones_stay() -> None:
    it = scene()
    await lead(it)
    old = [await ended(it, "mail") for _ in range(3)]
    await it.clock.advance(2 * 86_400)
    await it.store.beat(ONE, ttl=DAY)
    young = [await ended(it, "mail") for _ in range(3)]
    live = await queued(it, "mail")
    assert await it.plane.prune(older_than=DAY, keep=None) == len(old)
    assert await it.plane.prune(older_than=None, keep=1) == 2
    left = await it.store.runs(RunFilter())
    assert [run.id for run in left] == [live.id, young[-1].id]
    assert left[0].status is RunStatus.QUEUED
    for wrong in ({"older_than": -DAY, "keep": None}, {"older_than": None, "keep": -1}):
        with pytest.raises(RequestRefused):
            await it.plane.prune(**wrong)


async def test_a_leader_lives_by_its_lease_and_has_the_runs_that_it_runs_now() -> None:
    it = scene()
    await running(it, "mail")
    await it.store.beat(ONE, ttl=timedelta(seconds=15))
    await it.clock.advance(60)  # it leads from now on, and beats no more
    lease = await it.store.acquire("default", holder="one", ttl=timedelta(minutes=1))
    assert lease is not None
    view = await it.plane.leader(counted=True)
    [replica] = view.replicas
    assert view.holds(replica)
    assert view.alive(replica)
    assert (replica.until, replica.running) == (lease.until, 1)
    await it.clock.advance(61)
    view = await it.plane.leader(counted=True)
    assert not view.alive(view.replicas[0])
    assert view.replicas[0].until == lease.until  # the last that is known of it
