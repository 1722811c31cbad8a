"""What somebody does to a backfill from outside is seen by the leader with its next look."""

from datetime import timedelta
from typing import Any

import pytest

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_backfills import BackfillRequest
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.records import BackfillRecord
from piko_flow.testing.simulated import FlowWorld
from tests.unit.control_worlds import HOURLY, SKIP, Flows, at, hours

LOOK = 3  # seconds within which a leader that looks once a second has looked


@pytest.fixture
def flows() -> Flows:
    made = Flows()
    made.add("orders", schedule=HOURLY, stateful=True, backfill=SKIP)
    return made


def outside(world: FlowWorld, flows: Flows) -> ControlPlane:
    """A control plane of another process: nothing but the store tells the leader what it did."""
    return ControlPlane(
        store=world.store, registry=flows.registry, options=world.plane.options, clock=world.clock
    )


async def applied(plane: ControlPlane, first: float, last: float, **options: Any) -> BackfillRecord:
    """A backfill of `orders` from one hour to another."""
    request = BackfillRequest(flow="orders", span=Window(at(first), at(last)), **options)
    plan = await plane.plan_backfill(request)
    return await plane.apply_backfill(request, digest=plan.digest, by="ada")


def begun(world: FlowWorld, backfill: BackfillRecord) -> int:
    """How many of its runs have begun."""
    return sum(run.backfill == backfill.id and run.start_time is not None for run in world.runs())


async def test_after_a_leader_could_see_the_pause_no_queued_run_of_the_backfill_starts(flows: Flows) -> None:
    async with flows.within(poll_every=timedelta(seconds=1)) as world:
        await world.advance(minutes=10)
        flows.takes["orders"] = 5
        plane = outside(world, flows)
        made = await applied(plane, 0, 11, concurrency=2)
        await world.advance(seconds=10)
        await plane.pause_backfill(made.id)
        await world.advance(seconds=LOOK)
        before = begun(world, made)
        assert 0 < before < 11
        await world.advance(minutes=5)
        mine = [run.status for run in world.runs() if run.backfill == made.id]
        assert begun(world, made) == before
        assert RunStatus.QUEUED in mine, "what is queued waits, and is neither lost nor started"
        await plane.resume_backfill(made.id)
        await world.advance(seconds=LOOK)
        assert begun(world, made) > before
        await world.advance(minutes=5)
        ids = {run.id for run in world.runs() if run.backfill == made.id}
        assert sorted(run.window for run in flows.seen if run.id in ids) == hours(0, 11)


async def test_a_pause_takes_back_a_run_that_was_offered_to_another_replica_and_a_resume_offers_it_again(
    flows: Flows,
) -> None:
    async with flows.within(replicas=2, slots=1, poll_every=timedelta(seconds=1)) as world:
        await world.advance(minutes=10)
        flows.takes["orders"] = 60
        next(one for one in world.replicas if not one.replica.leads).crash(-1)  # it counts as alive yet
        plane = outside(world, flows)
        made = await applied(plane, 0, 4, concurrency=2)

        def offered() -> list[int]:
            return [run.id for run in world.runs() if run.admitted and run.status is RunStatus.QUEUED]

        await world.advance(seconds=LOOK)
        assert len(offered()) == 1
        await plane.pause_backfill(made.id)
        assert offered() == []
        await world.advance(minutes=3)
        assert begun(world, made) == 1, "a slot is free, and what was offered is not to be had"
        assert offered() == []
        await plane.resume_backfill(made.id)
        await world.advance(seconds=LOOK)
        assert begun(world, made) == 2
        assert len(offered()) == 1
        await world.advance(minutes=10)
        ids = {run.id for run in world.runs() if run.backfill == made.id}
        assert sorted(run.window for run in flows.seen if run.id in ids) == hours(0, 4)


async def test_a_backfill_that_somebody_else_added_begins_with_the_next_look(flows: Flows) -> None:
    async with flows.within(poll_every=timedelta(seconds=1)) as world:
        await world.advance(minutes=10)
        made = await applied(outside(world, flows), 2, 8)
        await world.advance(seconds=LOOK)
        assert begun(world, made) > 0


async def test_nobody_reads_the_backfills_again_while_nothing_of_them_changes(
    flows: Flows, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with flows.within(poll_every=timedelta(seconds=1)) as world:
        await world.advance(minutes=10)
        flows.takes["orders"] = 3000
        await applied(outside(world, flows), 2, 8)
        await world.advance(minutes=1)
        reads, read = [0], world.store.backfills

        async def counted(**which: Any) -> list[BackfillRecord]:
            reads[0] += 1
            return await read(**which)

        monkeypatch.setattr(world.store, "backfills", counted)
        await world.advance(minutes=1)
        assert reads[0] <= 13, "once in five looks"
