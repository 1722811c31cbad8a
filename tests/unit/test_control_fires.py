"""Fires of flows without windows become rows, and rows become runs."""

from datetime import datetime
from typing import Any

import pytest

from piko_flow.control.flows.run_context import RunContext
from piko_flow.planning.cron import Cron
from piko_flow.planning.date import Date
from piko_flow.planning.interval import Interval
from piko_flow.planning.run_state import RunStatus
from tests.unit.control_worlds import (
    HOUR,
    HOURLY,
    MINUTE,
    NOON,
    SECOND,
    Flows,
    at,
    away,
    edit,
    of,
    reasons,
    row,
    starts,
    statuses,
)


@pytest.fixture
def flows() -> Flows:
    return Flows()


async def test_a_thousand_flows_due_in_the_same_second_all_run(flows: Flows) -> None:
    for number in range(1000):
        flows.add(f"flow {number}", schedule=HOURLY)
    async with flows.within(at(12.95)) as world:
        await world.advance(minutes=10)
        runs = world.runs()
        assert len(runs) == 1000
        assert {(run.status, run.scheduled_time) for run in runs} == {("SUCCESS", at(13))}
        assert len({run.flow for run in runs}) == 1000


async def test_every_due_fire_is_a_row_before_anything_is_attempted(flows: Flows) -> None:
    rows_at_start: list[int] = []
    for number in range(100):
        flows.add(f"flow {number}", schedule=HOURLY)
    async with flows.within(at(12.95), slots=3) as world:

        def note(run: RunContext[Any]) -> None:
            assert world.store._rows.runs[run.id].status == "RUNNING"
            rows_at_start.append(len(world.runs()))

        flows.look = note
        await world.advance(minutes=20)
        assert rows_at_start == [100] * 100


async def test_no_more_runs_go_at_once_than_there_are_slots(flows: Flows) -> None:
    for number in range(20):
        flows.add(f"flow {number}", schedule=HOURLY)
        flows.takes[f"flow {number}"] = 60
    async with flows.within(at(12.95), slots=4) as world:
        for _ in range(12):
            await world.advance(seconds=30)
            assert sum(run.status == "RUNNING" for run in world.runs()) <= 4
        await world.advance(minutes=10)
        assert {run.status for run in world.runs()} == {"SUCCESS"}
        assert starts(world.runs())[-1] - starts(world.runs())[0] >= 4 * MINUTE


async def test_max_instances_delays_a_fire_and_drops_none(flows: Flows) -> None:
    flows.add("slow", schedule=Interval(minutes=10), coalesce=False, max_instances=1)
    flows.takes["slow"] = 15 * 60
    async with flows.within() as world:
        await world.advance(hours=1)
        flows.takes["slow"] = 1
        edit(world, "slow", enabled=False)
        await world.advance(hours=1)
        assert flows.most == {"slow": 1}
        assert flows.fires("slow") == [NOON - 30 * SECOND + 10 * number * MINUTE for number in range(1, 7)]
        assert set(statuses(world, "slow")) == {"SUCCESS"}


async def test_with_more_instances_as_many_runs_overlap(flows: Flows) -> None:
    flows.add("slow", schedule=Interval(minutes=10), max_instances=3)
    flows.takes["slow"] = 3600
    async with flows.within() as world:
        await world.advance(hours=2)
        assert flows.most == {"slow": 3}


async def test_a_concurrency_group_holds_back_its_own_flows_and_no_other(flows: Flows) -> None:
    for name in ("a", "b", "c"):
        flows.add(name, schedule=HOURLY, concurrency_group="narrow")
        flows.takes[name] = 600
    flows.add("free", schedule=HOURLY)
    async with flows.within(at(12.95), group_limits={"narrow": 2}) as world:
        await world.advance(minutes=5)
        assert sorted(flows.working.items()) == [("a", 1), ("b", 1), ("free", 0)]
        await world.advance(minutes=20)
        assert [run.status for name in "abc" for run in world.runs(name)] == ["SUCCESS"] * 3
        assert starts(world.runs("c"))[0] - starts(world.runs("a"))[0] >= 10 * MINUTE


async def test_a_fire_that_is_met_within_its_grace_runs_late(flows: Flows) -> None:
    flows.add("hourly", schedule=HOURLY, misfire_grace=1800)
    async with flows.within() as world:
        await world.advance(minutes=30)
        await away(world, minutes=50)  # until twenty past one
        await world.advance(minutes=10)
        [run] = world.runs("hourly")
        assert (run.status, run.scheduled_time) == ("SUCCESS", at(13))


async def test_fires_older_than_the_grace_are_one_row_with_range_and_count_that_never_runs(
    flows: Flows,
) -> None:
    flows.add("hourly", schedule=HOURLY, misfire_grace=60)
    async with flows.within() as world:
        await world.advance(minutes=2)
        await away(world, hours=5, minutes=30)
        await world.advance(minutes=10)
        [run] = world.runs("hourly")
        assert (run.status, run.reason, run.fires) == ("SKIPPED", "misfired", 5)
        assert (run.first_fire, run.scheduled_time) == (at(13), at(17))
        assert flows.seen == []


async def test_fires_that_were_missed_together_coalesce_into_one_run_with_range_and_count(
    flows: Flows,
) -> None:
    flows.add("hourly", schedule=HOURLY, misfire_grace=6 * 3600)
    async with flows.within() as world:
        await world.advance(minutes=2)
        await away(world, hours=5, minutes=30)
        await world.advance(minutes=10)
        [run] = world.runs("hourly")
        assert (run.status, run.reason, run.fires) == ("SUCCESS", "coalesced", 5)
        assert (run.first_fire, run.scheduled_time) == (at(13), at(17))


async def test_without_coalescing_each_missed_fire_within_the_grace_runs_in_its_order(flows: Flows) -> None:
    flows.add("hourly", schedule=HOURLY, misfire_grace=3 * 3600, coalesce=False)
    async with flows.within() as world:
        await world.advance(minutes=2)
        await away(world, hours=5, minutes=30)
        await world.advance(minutes=10)
        assert reasons(world, "hourly") == [("SKIPPED", "misfired"), *[("SUCCESS", "")] * 3]
        assert flows.fires("hourly") == [at(15), at(16), at(17)]


async def test_jitter_puts_fires_off_by_less_than_it_says_and_not_all_alike(flows: Flows) -> None:
    for number in range(20):
        flows.add(f"flow {number}")
    async with flows.within() as world:
        for number in range(20):
            world.store.edit(row(f"flow {number}", jitter=5 * MINUTE))
        await world.advance(minutes=59)
        assert world.runs() == []
        await world.advance(minutes=7)
        late = [begun - at(13) for begun in starts(world.runs())]
        assert len(late) == 20
        assert 0 * MINUTE <= min(late) < max(late) <= 5 * MINUTE
        assert len(set(late)) > 10


async def test_a_date_runs_once_and_its_row_says_that_it_has_been_dealt_with(flows: Flows) -> None:
    flows.add("once", schedule=Date(at(13)))
    async with flows.within() as world:
        await world.advance(hours=5)
        assert flows.fires("once") == [at(13)]
        assert of(world, "once").completed_at == at(13)
        await away(world, hours=1)
        await world.advance(hours=1)
        assert len(flows.seen) == 1


async def test_a_later_date_in_the_row_runs_again(flows: Flows) -> None:
    flows.add("once", schedule=Date(at(13)))
    async with flows.within() as world:
        await world.advance(hours=2)
        edit(world, "once", schedule_expr='{"run_date": "2026-03-02 16:00:00"}')
        await world.advance(hours=4)
        assert flows.fires("once") == [at(13), at(16)]
        assert of(world, "once").completed_at == at(16)


async def test_a_date_that_has_passed_when_the_row_comes_runs_within_the_grace_and_else_is_recorded(
    flows: Flows,
) -> None:
    flows.add("late")
    flows.add("too late")
    async with flows.within() as world:
        world.store.edit(row("late", '{"run_date": "2026-03-02T11:58:00"}', "date", misfire_grace=HOUR))
        world.store.edit(row("too late", '{"run_date": "2026-03-02T09:00:00"}', "date", misfire_grace=HOUR))
        await world.advance(minutes=10)
        assert reasons(world, "late") == [("SUCCESS", "")]
        assert reasons(world, "too late") == [("SKIPPED", "misfired")]
        assert of(world, "too late").completed_at == at(9)


async def test_a_date_that_was_disabled_when_it_came_is_recorded_and_not_run_when_it_is_enabled_too_late(
    flows: Flows,
) -> None:
    flows.add("once", schedule=Date(at(13)))
    async with flows.within() as world:
        await world.advance(minutes=2)
        edit(world, "once", enabled=False)
        await world.advance(hours=2)
        edit(world, "once", enabled=True)
        await world.advance(hours=1)
        assert flows.seen == []
        assert reasons(world, "once") == [("SKIPPED", "misfired")]


async def test_a_schedule_fires_from_its_start_date_to_its_end_date_and_no_longer(flows: Flows) -> None:
    flows.add("bounded")
    async with flows.within() as world:
        text = '{"hours": 1, "start_date": "2026-03-02 14:30:00", "end_date": "2026-03-02 16:30:00"}'
        world.store.edit(row("bounded", text))
        await world.advance(hours=10)
        assert flows.fires("bounded") == [at(14.5), at(15.5), at(16.5)]


async def test_a_row_is_read_in_its_own_zone_and_one_without_in_the_settings(flows: Flows) -> None:
    flows.add("tokyo")
    flows.add("here")
    async with flows.within(zone="Europe/Berlin") as world:
        nine = '{"hour": 9, "minute": 0}'
        world.store.edit(row("tokyo", nine, "cron", timezone="Asia/Tokyo"))
        world.store.edit(row("here", nine, "cron", timezone=""))
        await world.advance(hours=24)
        assert flows.fires("tokyo") == [at(0, day=3)]
        assert flows.fires("here") == [at(8, day=3)]


async def test_a_daily_run_is_not_lost_in_the_night_that_lacks_an_hour_nor_doubled_in_the_other(
    flows: Flows,
) -> None:
    flows.add("nightly", schedule=Cron("30 2 * * *", zone="America/New_York"))
    for month, day in ((3, 7), (10, 31)):
        flows.seen.clear()
        start = datetime(2026, month, day, 12, tzinfo=at(0).tzinfo)
        async with flows.within(start) as world:
            await world.advance(days=3)
            assert len({fire.date() for fire in flows.fires("nightly")}) == len(flows.seen) == 3


async def test_a_restart_shifts_no_interval(flows: Flows) -> None:
    flows.add("often", schedule=Interval(minutes=45))
    async with flows.within() as world:
        before = Interval(minutes=45)
        await world.advance(hours=1)
        await away(world, minutes=7)
        await world.advance(hours=3)
        fires = flows.fires("often")
        assert fires == [fire for fire in fires if before.at_or_before(fire) == fire]
        assert len(set(fires)) == len(fires) == 5


async def test_fires_that_find_a_run_of_their_flow_waiting_join_the_next_one(flows: Flows) -> None:
    flows.add("slow", schedule=Interval(minutes=1))
    flows.add("quick", schedule=Interval(minutes=1))
    flows.takes["slow"] = 3600
    async with flows.within(slots=1) as world:
        await world.advance(minutes=30)
        assert flows.working["slow"] == 1
        assert sum(run.status is RunStatus.QUEUED for run in world.runs("quick")) == 1
        await world.advance(minutes=35)
        covered = sum(run.fires for run in world.runs("quick"))
        assert 60 <= covered <= 65  # each minute is in one row: run, waiting, or recorded as missed
        assert len(world.runs("quick")) < 12
