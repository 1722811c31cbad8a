"""What people test their own flows with: days of schedules in an instant, and faults by script."""

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from piko_flow import Cron, Flow, Interval, Retry, RunContext, Sink, Source
from piko_flow.control.flows.registry import Registry
from piko_flow.planning.window import BackfillPolicy
from piko_flow.store.records import ScheduleRecord
from piko_flow.testing import Fault, FaultKind, FlowWorld, ScriptedFaults, simulated

BERLIN = ZoneInfo("Europe/Berlin")
PAST = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)  # a minute after what fires at midnight
CATCH_UP = BackfillPolicy.CATCH_UP


@pytest.fixture
def registry() -> Registry[Flow]:
    return Registry()


def starts(world: FlowWorld, flow: str) -> list[str]:
    """When the flow's runs began, by the clock of Berlin."""
    return [
        run.start_time.astimezone(BERLIN).strftime("%d %H:%M")
        for run in world.runs(flow)
        if run.start_time is not None
    ]


async def test_three_days_with_a_night_that_lacks_an_hour(registry: Registry[Flow]) -> None:
    seen: list[Any] = []

    @Flow.register("nightly", schedule=Cron("30 2 * * *", zone="Europe/Berlin"), registry=registry)
    async def nightly(run: RunContext) -> None:
        seen.append(run.scheduled_time)

    @Flow.register("hourly", schedule=Interval(hours=1), stateful=True, backfill=CATCH_UP, registry=registry)
    def hourly(run: RunContext) -> Any:
        return Source([run.window]) >> Sink(seen.append)

    async with simulated(registry, start=datetime(2026, 3, 28, 12, tzinfo=BERLIN)) as world:
        await world.advance(days=3)
        assert starts(world, "nightly") == ["29 03:00", "30 02:30", "31 02:30"]
        assert world.state("hourly").watermark == datetime(2026, 3, 31, 11, tzinfo=UTC)
        assert world.state("hourly").gaps() == ()
        assert len(seen) == len(world.runs()) == 3 + 73
        assert {run.status for run in world.runs()} == {"SUCCESS"}


async def test_rows_without_a_zone_take_the_worlds(registry: Registry[Flow]) -> None:
    @Flow.register("noon", registry=registry)
    async def noon(run: RunContext) -> None: ...

    async with simulated(registry, start=datetime(2026, 7, 1, tzinfo=BERLIN), zone="Europe/Berlin") as world:
        world.store.edit(ScheduleRecord("noon", "cron", '{"cron": "0 12 * * *"}'))
        await world.advance(days=1)
        assert starts(world, "noon") == ["01 12:00"]


async def test_a_run_takes_the_time_that_it_sleeps_by_the_world(registry: Registry[Flow]) -> None:
    @Flow.register("long", schedule=Interval(hours=6), registry=registry)
    async def long(run: RunContext) -> None:
        async with asyncio.TaskGroup() as both:
            both.create_task(world.sleep(600))
            both.create_task(world.sleep(1800))

    async with simulated(registry, start=PAST) as world:
        await world.advance(hours=6, minutes=10)
        [run] = world.runs("long")
        assert run.status == "RUNNING"
        await world.advance(hours=1)
        [run] = world.runs("long")
        assert run.start_time is not None
        assert run.end_time == run.start_time + timedelta(minutes=30)


async def test_the_world_waits_for_what_is_done_outside_of_it(registry: Registry[Flow]) -> None:
    threads: list[str] = []

    @Flow.register("threaded", schedule=Interval(hours=1), registry=registry)
    async def threaded(run: RunContext) -> None:
        await asyncio.to_thread(lambda: threads.append(threading.current_thread().name))

    async with simulated(registry, start=PAST) as world:
        await world.advance(hours=3)
        assert len(threads) == 3
        assert all(run.end_time == run.start_time for run in world.runs())


async def test_a_failed_attempt_is_tried_again_when_its_wait_is_over(registry: Registry[Flow]) -> None:
    attempts: list[tuple[int, datetime]] = []

    @Flow.register(
        "shaky", schedule=Interval(hours=1), retry=Retry(3, first=600, limit=3600), registry=registry
    )
    async def shaky(run: RunContext) -> None:
        attempts.append((run.attempt, world.now))
        if run.attempt < 3:
            raise OSError("busy")

    async with simulated(registry, start=PAST) as world:
        await world.advance(hours=1, minutes=45)
        [(_, first), (_, second), (number, third)] = attempts
        assert (second - first, third - second) == (timedelta(minutes=10), timedelta(minutes=20))
        assert (number, world.runs("shaky")[0].status) == (3, "SUCCESS")


async def test_what_runs_emit_reaches_the_sinks_of_the_world(registry: Registry[Flow]) -> None:
    @Flow.register("emitting", schedule=Interval(hours=1), registry=registry)
    async def emitting(run: RunContext) -> None:
        await run.emit(run.id, to="ids")

    ids: list[int] = []
    async with simulated(registry, start=PAST, sinks={"ids": ids.append}) as world:
        await world.advance(hours=2)
        assert ids == [run.id for run in world.runs()]
    assert len(ids) == 2


async def test_a_person_triggers_edits_and_sets_a_flow_back(registry: Registry[Flow]) -> None:
    windows: list[Any] = []

    @Flow.register("daily", schedule=Cron("0 0 * * *"), stateful=True, backfill=CATCH_UP, registry=registry)
    async def daily(run: RunContext) -> None:
        windows.append(run.window)

    async with simulated(registry, start=PAST) as world:
        await world.advance(days=3)
        assert len(windows) == 4
        [row] = await world.store.schedules()
        assert row.last_data_time is not None
        world.store.edit(replace(row, last_data_time=row.last_data_time - timedelta(days=2)))
        await world.advance(minutes=10)
        assert windows[4:] == windows[2:4]
        run = await world.plane.trigger("daily", window=windows[0])
        await world.advance(minutes=5)
        assert world.store._rows.runs[run.id].status == "SUCCESS"


async def test_a_run_whose_replica_dies_is_run_by_another(registry: Registry[Flow]) -> None:
    begun: list[int] = []

    @Flow.register("fragile", schedule=Interval(hours=1), registry=registry)
    async def fragile(run: RunContext) -> None:
        begun.append(run.id)
        await world.sleep(300)

    async with simulated(registry, start=PAST, replicas=2) as world:
        await world.advance(hours=1, minutes=1)
        [leader] = [replica for replica in world.replicas if replica.replica.leads]
        leader.crash(seconds=3600)
        await world.advance(minutes=40)
        [run] = world.runs("fragile")
        assert begun == [run.id, run.id]
        assert (run.status, run.rescues, run.replica == leader.name) == ("SUCCESS", 1, False)


async def test_an_ending_whose_answer_is_lost_is_written_once(registry: Registry[Flow]) -> None:
    @Flow.register("counted", schedule=Interval(hours=1), stateful=True, backfill=CATCH_UP, registry=registry)
    async def counted(run: RunContext) -> None: ...

    lost = Fault(FaultKind.REPLY_LOST)
    faults = ScriptedFaults({("write", number): lost for number in range(2, 8)})
    async with simulated(registry, start=PAST, faults=faults) as world:
        await world.advance(hours=5)
        assert [run.status for run in world.runs()] == ["SUCCESS"] * 6
        assert len(world.journal.commits) == 6


async def test_time_does_not_go_back(registry: Registry[Flow]) -> None:
    async with simulated(registry, start=PAST) as world:
        with pytest.raises(ValueError, match="time does not go back"):
            await world.advance(hours=-1)
