"""Fires of stateless flows are written a moment before they are due, and begin when they are."""

from datetime import datetime
from typing import Any

import pytest

from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.options import ReplicaOptions
from piko_flow.planning.interval import Interval
from tests.unit.control_worlds import HOURLY, MINUTE, Flows, at, leader, starts, statuses

AHEAD = ReplicaOptions().ahead
HALF = AHEAD / 2


@pytest.fixture
def flows() -> Flows:
    made = Flows()
    made.add("hourly", schedule=HOURLY)
    return made


def noted(flows: Flows) -> list[datetime]:
    """The instants at which runs begin, by the world's clock."""
    instants: list[datetime] = []

    def note(run: RunContext[Any]) -> None:
        assert flows.world is not None
        instants.append(flows.world.clock.now())

    flows.look = note
    return instants


async def test_a_run_is_claimed_before_it_is_due_and_begins_when_it_is(flows: Flows) -> None:
    began = noted(flows)
    async with flows.within(at(12.5)) as world:
        await world.advance_to(at(13) - 2 * AHEAD)
        assert world.runs() == []
        await world.advance_to(at(13) - HALF)
        [run] = world.runs()
        assert (str(run.status), run.scheduled_time, run.not_before) == ("RUNNING", at(13), at(13))
        assert run.created_at is not None
        assert run.created_at < at(13)
        assert run.start_time == at(13)
        assert began == []
        await world.advance_to(at(13) + MINUTE)
        assert began == [at(13)]
        assert statuses(world, "hourly") == ["SUCCESS"]


async def test_what_finds_no_slot_is_a_row_all_the_same_and_begins_later(flows: Flows) -> None:
    flows.add("other", schedule=HOURLY)
    flows.takes = {"hourly": 30.0, "other": 30.0}
    began = noted(flows)
    async with flows.within(at(12.5), slots=1) as world:
        await world.advance_to(at(13) - HALF)
        assert sorted(str(run.status) for run in world.runs()) == ["QUEUED", "RUNNING"]
        assert began == []
        await world.advance_to(at(13) + MINUTE)
        assert began == [at(13), at(13) + MINUTE / 2]


async def test_a_run_that_waits_for_an_earlier_one_of_its_flow_does_not_begin_before_it_is_due(
    flows: Flows,
) -> None:
    flows.takes = {"hourly": (HOURLY.every - HALF).total_seconds()}
    began = noted(flows)
    async with flows.within(at(12.5)) as world:
        await world.advance_to(at(14) + MINUTE)
        assert began == [at(13), at(14)]


async def test_when_its_replica_dies_before_it_begins_another_runs_it(flows: Flows) -> None:
    began = noted(flows)
    async with flows.within(at(12.5), replicas=2) as world:
        await world.advance_to(at(13) - HALF)
        leader(world).crash(-1.0)
        await world.advance(minutes=30)
        assert len(began) == 1
        assert began[0] >= at(13)
        assert statuses(world, "hourly") == ["SUCCESS"]


async def test_a_fire_that_is_put_off_begins_when_it_is_due(flows: Flows) -> None:
    flows.add("jittered", schedule=Interval(hours=1, jitter=600))
    async with flows.within(at(12.5)) as world:
        await world.advance_to(at(13) + 15 * MINUTE)
        [run] = world.runs("jittered")
        assert run.not_before is not None
        assert run.not_before > run.scheduled_time == at(13)
        assert starts([run]) == [run.not_before]


async def test_what_is_late_already_begins_at_once(flows: Flows) -> None:
    began = noted(flows)
    async with flows.within(at(12.5)) as world:
        await world.advance_to(at(13) - MINUTE)
        leader(world).pause(120)
        await world.advance(minutes=10)
        assert began == [at(13) + MINUTE]
        [run] = world.runs()
        assert run.not_before is None


async def test_what_is_given_back_before_it_is_due_has_not_begun_and_begins_no_earlier(flows: Flows) -> None:
    began = noted(flows)
    async with flows.within(at(12.5)) as world:
        await world.advance_to(at(13) - HALF)
        leader(world).replica.worker.release_all()
        await world.advance_to(at(13) - HALF / 2)
        [run] = world.runs()
        assert (str(run.status), run.attempt, run.not_before) == ("QUEUED", 1, at(13))
        await world.advance(minutes=2)
        assert statuses(world, "hourly") == ["SUCCESS"]
        assert len(began) == 1
        assert began[0] >= at(13)


async def test_what_is_cancelled_before_it_is_due_does_not_begin(flows: Flows) -> None:
    began = noted(flows)
    async with flows.within(at(12.5)) as world:
        await world.advance_to(at(13) - HALF)
        worker = leader(world).replica.worker
        worker.cancel(world.runs())
        await world.advance(minutes=2)
        assert began == []
        assert statuses(world, "hourly") == ["CANCELLED"]
        assert worker.free == leader(world).replica.record.slots
