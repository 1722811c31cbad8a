"""People are told that a flow is held up by another one which does not get on, and only then."""

from __future__ import annotations

import pytest

from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import BackfillPolicy
from piko_flow.store.records import RunRecord
from tests.unit.control_worlds import HOURLY, Flows, leader
from tests.unit.told_people import Looking, People
from tests.unit.told_people import flows as flows
from tests.unit.told_people import people as people


@pytest.fixture
def chain(flows: Flows) -> Flows:
    """A flow that comes after another one, both over windows of an hour."""
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=BackfillPolicy.CATCH_UP)
    flows.add("report", schedule=HOURLY, stateful=True, backfill=BackfillPolicy.CATCH_UP, after="orders")
    return flows


async def test_it_is_told_until_the_other_one_gets_on(chain: Flows, people: People) -> None:
    chain.add("mail", schedule=HOURLY)
    async with chain.within() as world:
        await world.advance(minutes=30)
        watching = Looking(world, people)
        await watching.step()
        assert people.told == []
        await world.plane.pause("orders")
        await world.advance(hours=2)
        for _ in range(2):
            await watching.step()
        assert people.told == [("begun", "held_up", "report")]
        assert "'report' waits for 'orders'" in str(people.notices[0]["text"])
        await world.plane.resume("orders")
        await world.advance(hours=2)
        await watching.step()
    assert people.told == [("begun", "held_up", "report"), ("over", "held_up", "report")]


async def test_a_gap_that_was_closed_in_this_reign_holds_nothing_up(chain: Flows, people: People) -> None:
    chain.fails["orders"] = OSError("no")
    async with chain.within() as world:
        await world.advance(hours=1)
        replica = leader(world).replica
        replica._forget_reign()  # as when it has lost the lease and got it again
        await world.advance(minutes=1)
        assert replica.reign is not None
        assert replica.reign.facts["orders"].first_failed is not None
        del chain.fails["orders"]
        for run in world.runs("orders"):
            if run.status is RunStatus.FAILED:
                await world.plane.retry(run.id)
        await world.advance(minutes=2)
        chain.takes["orders"] = 1200.0
        await world.advance(minutes=58)
        assert [run for run in world.runs("orders") if run.status is RunStatus.RUNNING]
        assert (await world.plane.flow("report")).health == "waiting"
        await Looking(world, people).step()
    assert people.told == []


async def test_a_run_that_ends_between_the_survey_and_the_look_holds_nothing_up(
    chain: Flows, people: People
) -> None:
    chain.takes["orders"] = 2.0
    async with chain.within() as world:
        await world.advance(minutes=5)
        for flow in ("orders", "report"):
            await world.plane.pause(flow)
        await world.advance(hours=12)
        for flow in ("orders", "report"):
            await world.plane.resume(flow)
        while not _ended(world.runs("orders")):
            await world.advance(seconds=1)
        watching, ended = Looking(world, people), 0
        while (before := _ended(world.runs("orders"))) < 12:
            await watching.survey.step()
            await world.advance(seconds=0.5)
            ended += _ended(world.runs("orders")) > before
            await watching.notices.step()
        assert ended > 5
    assert "held_up" not in {kind for _, kind, _ in people.told}


def _ended(runs: list[RunRecord]) -> int:
    return sum(run.status is RunStatus.SUCCESS for run in runs)
