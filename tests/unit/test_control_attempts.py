"""Attempts of a run, its timeout, its way back to the queue, and the bounds of all of these."""

from datetime import timedelta
from itertools import pairwise

import pytest

from piko_flow.control.leader.rescuer import RESCUES
from piko_flow.errors import RequestRefused
from piko_flow.planning.interval import Interval
from piko_flow.retry import Retry
from piko_flow.store.records import RunRecord
from piko_flow.testing.simulated import FlowWorld
from piko_flow.testing.store_faults import Fault, FaultKind, ScriptedFaults
from tests.unit.control_worlds import (
    CATCH_UP,
    HOURLY,
    SECOND,
    Flows,
    at,
    hours,
    leader,
    reasons,
    statuses,
)

BROKEN = OSError("the disk is full")


@pytest.fixture
def flows() -> Flows:
    return Flows()


async def attempts(world: FlowWorld, run: RunRecord) -> list[tuple[int, str]]:
    """The attempts of the run that were followed by another, with the reason of each."""
    return [(one.attempt, one.reason) for one in await world.store.attempts(run.id)]


async def test_a_failed_attempt_is_followed_by_another_after_its_wait_which_grows(flows: Flows) -> None:
    flows.add("shaky", schedule=HOURLY, retry=Retry(attempts=4, first=60, limit=200))
    flows.fails["shaky"] = BROKEN
    begun = []
    async with flows.within() as world:
        flows.look = lambda run: begun.append((run.attempt, world.now - at(13)))
        await world.advance(hours=1, minutes=30)
        assert [attempt for attempt, _ in begun] == [1, 2, 3, 4]
        waits = [second[1] - first[1] for first, second in pairwise(begun)]
        assert waits == [60 * SECOND, 120 * SECOND, 200 * SECOND]
        assert reasons(world, "shaky") == [("FAILED", "error")]


async def test_the_row_of_an_attempt_is_written_when_the_next_one_begins_and_of_the_last_there_is_none(
    flows: Flows,
) -> None:
    flows.add("shaky", schedule=HOURLY, retry=Retry(attempts=2, first=600))
    flows.fails["shaky"] = BROKEN
    async with flows.within() as world:
        await world.advance(minutes=59, seconds=40)
        [run] = world.runs("shaky")
        assert (run.status, run.attempt, run.reason) == ("QUEUED", 2, "error")
        assert await attempts(world, run) == [(1, "error")]
        await world.advance(minutes=15)
        assert statuses(world, "shaky") == ["FAILED"]
        [first] = await world.store.attempts(run.id)
        assert (first.attempt, first.error_type) == (1, "OSError")
        assert "the disk is full" in first.error_msg


async def test_a_run_that_succeeds_at_once_has_no_row_of_an_attempt(flows: Flows) -> None:
    flows.add("fine", schedule=HOURLY, retry=3)
    async with flows.within() as world:
        await world.advance(hours=1)
        [run] = world.runs("fine")
        assert (run.status, run.attempt) == ("SUCCESS", 1)
        assert await attempts(world, run) == []


async def test_a_run_that_waits_for_its_next_attempt_holds_up_no_other_run_of_another_flow(
    flows: Flows,
) -> None:
    flows.add("shaky", schedule=HOURLY, retry=Retry(attempts=2, first=3600, limit=3600))
    flows.add("fine", schedule=HOURLY)
    flows.fails["shaky"] = BROKEN
    async with flows.within(slots=1) as world:
        await world.advance(hours=1)
        assert statuses(world, "shaky") == ["QUEUED"]
        assert statuses(world, "fine") == ["SUCCESS"]


async def test_an_error_that_is_not_in_the_retrys_list_is_not_tried_again(flows: Flows) -> None:
    flows.add("shaky", schedule=HOURLY, retry=Retry(attempts=5, first=1, on=(TimeoutError,)))
    flows.fails["shaky"] = ValueError("it will never work")
    async with flows.within() as world:
        await world.advance(hours=1, minutes=10)
        [run] = world.runs("shaky")
        assert (run.status, run.attempt) == ("FAILED", 1)


async def test_an_attempt_that_takes_longer_than_the_flows_timeout_ends_and_counts_as_failed(
    flows: Flows,
) -> None:
    flows.add("slow", schedule=HOURLY, timeout=0.01, retry=Retry(attempts=2, first=60))
    flows.takes["slow"] = 24 * 3600
    async with flows.within() as world:
        await world.advance(hours=1, minutes=10)
        [run] = world.runs("slow")
        assert (run.status, run.reason, run.attempt) == ("FAILED", "timeout", 2)
        assert await attempts(world, run) == [(1, "timeout")]
        assert flows.working == {"slow": 0}


async def test_a_failed_run_is_tried_again_as_its_next_attempt_when_a_person_asks(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    flows.fails["orders"] = BROKEN
    async with flows.within() as world:
        await world.advance(minutes=10)
        flows.fails.clear()
        [run] = world.runs("orders")
        again = await world.plane.retry(run.id)
        assert (again.id, again.attempt, again.status) == (run.id, 2, "QUEUED")
        await world.advance(minutes=5)
        assert statuses(world, "orders") == ["SUCCESS"]
        assert await attempts(world, run) == [(1, "error")]
        with pytest.raises(RequestRefused, match="SUCCESS"):
            await world.plane.retry(run.id)


async def test_a_retry_is_refused_when_the_window_was_settled_meanwhile(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    flows.fails["orders"] = BROKEN
    async with flows.within() as world:
        await world.advance(minutes=10)
        flows.fails.clear()
        [run] = world.runs("orders")
        await world.plane.trigger("orders", window=run.window)
        await world.advance(minutes=5)
        with pytest.raises(RequestRefused, match="settled"):
            await world.plane.retry(run.id)


async def test_a_cancelled_running_run_ends_cancelled_and_is_not_tried_again(flows: Flows) -> None:
    flows.add("long", schedule=HOURLY, retry=5)
    flows.takes["long"] = 3000
    async with flows.within() as world:
        await world.advance(hours=1)
        [run] = world.runs("long")
        await world.plane.cancel(run.id, by="ada")
        await world.advance(minutes=30)
        [run] = world.runs("long")
        assert (run.status, run.reason, run.cancel_requested) == ("CANCELLED", "cancelled", "ada")
        assert flows.working == {"long": 0}


async def test_a_cancelled_waiting_run_never_begins(flows: Flows) -> None:
    flows.add("long", schedule=HOURLY)
    flows.takes["long"] = 5000
    async with flows.within() as world:
        await world.advance(hours=2)
        [_, waiting] = world.runs("long")
        assert waiting.status == "QUEUED"
        await world.plane.cancel(waiting.id, by="ada")
        await world.advance(hours=3)
        assert waiting.id not in [run.id for run in flows.seen]
        assert reasons(world, "long")[1] == ("CANCELLED", "cancelled")


async def test_a_rescued_run_keeps_its_attempt_and_a_bound_of_its_own_ends_it(flows: Flows) -> None:
    flows.add("deadly", schedule=Interval(days=1), stateful=True, backfill=CATCH_UP)
    flows.takes["deadly"] = 3600
    async with flows.within() as world:
        await world.advance(minutes=2)
        for rescues in range(RESCUES):
            [run] = [run for run in world.runs("deadly") if run.status == "RUNNING"]
            assert (run.attempt, run.rescues) == (1, rescues)
            leader(world).crash(60)
            await world.advance(minutes=20)
        leader(world).crash(60)
        await world.advance(minutes=20)
        run = world.runs("deadly")[0]
        assert (run.status, run.reason, run.rescues) == ("FAILED", "rescued_too_often", RESCUES)
        assert run.error_msg.startswith(f"{RESCUES + 1} replicas died")
        assert world.state("deadly").gaps()[0] == run.window
        told = (await world.plane.explain_run(run.id)).lines[0]
        assert "replica after replica died" in told.text


async def test_a_run_whose_replica_dies_after_somebody_cancelled_it_ends_cancelled(flows: Flows) -> None:
    flows.add("long", schedule=HOURLY)
    flows.takes["long"] = 3000
    async with flows.within() as world:
        await world.advance(hours=1)
        leader(world).crash(60)
        [run] = world.runs("long")
        await world.plane.cancel(run.id, by="ada")
        await world.advance(minutes=20)
        assert reasons(world, "long") == [("CANCELLED", "cancelled")]


async def test_a_released_run_waits_again_and_the_attempt_does_not_count(flows: Flows) -> None:
    flows.add("long", schedule=HOURLY)
    flows.takes["long"] = 1800
    async with flows.within(replicas=2, drain=timedelta(minutes=2)) as world:
        await world.advance(hours=1)
        [first] = world.runs("long")
        [replica] = [replica for replica in world.replicas if replica.name == first.replica]
        replica.stop()
        await world.advance(minutes=5)
        [run] = world.runs("long")
        assert run.replica != first.replica
        await world.advance(minutes=40)
        [run] = [run for run in world.runs("long") if run.id == first.id]
        assert (run.status, run.attempt, run.rescues) == ("SUCCESS", 1, 0)
        assert flows.most == {"long": 1}


async def test_a_draining_replica_lets_its_runs_end_within_the_budget_and_takes_no_more(
    flows: Flows,
) -> None:
    flows.add("long", schedule=HOURLY)
    flows.add("often", schedule=HOURLY)
    flows.takes["long"] = 300
    async with flows.within(drain=timedelta(minutes=10)) as world:
        await world.advance(hours=1)
        [replica] = world.replicas
        replica.stop()
        await world.plane.trigger("often")
        await world.advance(minutes=4)
        assert [run.status for run in world.runs("often")] == ["SUCCESS", "QUEUED"]
        await world.advance(minutes=10)
        [run] = world.runs("long")
        assert (run.status, run.replica) == ("SUCCESS", replica.name)
        assert [run.status for run in world.runs("often")] == ["SUCCESS", "SUCCESS"]


async def test_runs_are_given_back_when_the_store_lost_the_answer_to_their_claim(flows: Flows) -> None:
    flows.add("hourly", schedule=HOURLY)
    faults = ScriptedFaults({("write", number): Fault(FaultKind.REPLY_LOST) for number in (2, 3)})
    async with flows.within(faults=faults) as world:
        await world.advance(hours=2)
        assert statuses(world, "hourly") == ["SUCCESS"] * 2
        assert [run.attempt for run in world.runs("hourly")] == [1, 1]
        assert len(flows.seen) == 2


async def test_a_window_whose_run_dies_with_its_replica_is_done_once(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    flows.takes["orders"] = 300
    async with flows.within(replicas=2) as world:
        await world.advance(hours=1, minutes=2)
        leader(world).crash(-1)
        await world.advance(hours=1, minutes=10)
        assert sorted(set(flows.windows("orders"))) == hours(11, 14)
        assert [commit.window for commit in world.journal.commits] == hours(11, 14)
