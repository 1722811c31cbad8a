"""Pausing one schedule, all of them, and by itself after failures in a row."""

from datetime import timedelta
from typing import Any

import pytest

from piko_flow.control.options import ReplicaOptions
from piko_flow.planning.interval import Interval
from piko_flow.planning.run_state import Reason
from tests.unit.control_worlds import (
    CATCH_UP,
    HOURLY,
    Flows,
    at,
    away,
    config,
    edit,
    hours,
    statuses,
)

SYSTEM = "piko_system_settings"
BROKEN = OSError("the disk is full")
EACH_SECOND: dict[str, Any] = {
    "poll_every": timedelta(seconds=1),
    "reconcile_every": timedelta(seconds=10),
    "ahead": ReplicaOptions().ahead,
}


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says of flows that are paused."""
    return [text for record in caplog.records if "is paused" in (text := record.getMessage())]


@pytest.fixture
def flows() -> Flows:
    return Flows()


async def test_a_paused_flow_fires_no_more_and_others_do(flows: Flows) -> None:
    flows.add("one", schedule=HOURLY)
    flows.add("other", schedule=HOURLY)
    async with flows.within() as world:
        await world.advance(minutes=10)
        assert await world.plane.pause("one", by="ada")
        await world.advance(hours=2)
        assert (flows.fires("one"), flows.fires("other")) == ([], [at(13), at(14)])
        [why] = [line for line in (await world.plane.explain_flow("one")).lines if line.blocks]
        assert (why.reason, "ada" in why.text) == (Reason.PAUSED, True)


async def test_a_resumed_flow_goes_on_from_then_and_runs_nothing_of_the_pause(flows: Flows) -> None:
    flows.add("one", schedule=HOURLY, misfire_grace=10 * 3600)
    async with flows.within() as world:
        await world.advance(minutes=10)
        await world.plane.pause("one")
        await world.advance(hours=3)
        await world.plane.resume("one")
        await world.advance(hours=1)
        assert flows.fires("one") == [at(16)]
        assert statuses(world, "one") == ["SUCCESS"]


async def test_a_resumed_flow_with_windows_catches_up_what_fell_into_the_pause(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    async with flows.within() as world:
        await world.advance(minutes=10)
        await world.plane.pause("orders")
        await world.advance(hours=3)
        assert flows.windows("orders") == hours(11, 12)
        await world.plane.resume("orders")
        await world.advance(minutes=10)
        assert flows.windows("orders") == hours(11, 15)


async def test_a_run_that_was_begun_or_triggered_runs_though_the_schedule_is_paused(flows: Flows) -> None:
    flows.add("one", schedule=HOURLY)
    flows.takes["one"] = 1200
    async with flows.within() as world:
        await world.advance(hours=1)
        await world.plane.pause("one")
        await world.advance(hours=1)
        await world.plane.trigger("one")
        await world.advance(hours=1)
        assert statuses(world, "one") == ["SUCCESS", "SUCCESS"]
        assert [run.origin for run in world.runs("one")] == ["schedule", "trigger"]


async def test_a_pause_outlives_the_leader(flows: Flows) -> None:
    flows.add("one", schedule=HOURLY)
    async with flows.within() as world:
        await world.advance(minutes=10)
        await world.plane.pause("one")
        await away(world, minutes=5)
        await world.advance(hours=3)
        assert flows.seen == []


async def test_the_system_row_pauses_everything_and_its_end_lets_everything_go_on(flows: Flows) -> None:
    flows.add("one", schedule=HOURLY)
    flows.add("two", schedule=HOURLY)
    async with flows.within() as world:
        await world.advance(minutes=10)
        world.store.edit(config(SYSTEM, '{"paused": true}'))
        await world.advance(hours=2)
        assert flows.seen == []
        world.store.edit(config(SYSTEM, '{"paused": false}'))
        await world.advance(hours=1)
        assert (flows.fires("one"), flows.fires("two")) == ([at(15)], [at(15)])


async def test_a_deleted_system_row_pauses_nothing(flows: Flows) -> None:
    flows.add("one", schedule=HOURLY)
    async with flows.within() as world:
        world.store.edit(config(SYSTEM, '{"paused": true}'))
        await world.advance(hours=2)
        del world.store._rows.configs[SYSTEM]
        await world.advance(hours=1)
        assert flows.fires("one") == [at(15)]


async def test_all_is_paused_and_resumed_by_the_plane_as_by_the_row(flows: Flows) -> None:
    flows.add("one", schedule=HOURLY)
    async with flows.within() as world:
        await world.advance(minutes=10)
        await world.plane.pause_all()
        await world.advance(hours=2)
        await world.plane.pause_all(paused=False)
        await world.advance(hours=1)
        assert flows.fires("one") == [at(15)]


async def test_a_flow_pauses_by_itself_after_so_many_failures_in_a_row(flows: Flows) -> None:
    flows.add("bad", schedule=Interval(minutes=10))
    flows.add("good", schedule=Interval(minutes=10))
    flows.fails["bad"] = BROKEN
    async with flows.within(pause_after=3) as world:
        await world.advance(hours=2)
        assert statuses(world, "bad") == ["FAILED"] * 3
        assert world.store._rows.paused["bad"] == "paused by itself after 3 failures in a row"
        assert len(flows.fires("good")) == 12


async def test_a_flow_of_each_second_fails_no_more_often_than_it_may_and_is_told_of_once(
    flows: Flows, caplog: pytest.LogCaptureFixture
) -> None:
    flows.add("bad", schedule=Interval(seconds=1))
    flows.add("good", schedule=Interval(seconds=1))
    flows.fails["bad"] = BROKEN
    async with flows.within(pause_after=2, **EACH_SECOND) as world:
        await world.advance(seconds=10)
        assert statuses(world, "bad") == ["FAILED"] * 2
        assert len(flows.fires("good")) == 11
    assert told(caplog) == ["'bad' is paused after 2 failures in a row"]


async def test_what_was_claimed_ahead_when_a_flow_pauses_by_itself_still_runs(
    flows: Flows, caplog: pytest.LogCaptureFixture
) -> None:
    flows.add("bad", schedule=Interval(seconds=1), max_instances=2)
    flows.fails["bad"] = BROKEN
    flows.takes["bad"] = 0.95  # it ends when the next fire is claimed already
    async with flows.within(pause_after=2, **EACH_SECOND) as world:
        await world.advance(seconds=10)
        assert statuses(world, "bad") == ["FAILED"] * 3
    assert told(caplog) == ["'bad' is paused after 2 failures in a row"]


async def test_a_flow_that_is_resumed_before_rows_are_compared_goes_on(flows: Flows) -> None:
    flows.add("bad", schedule=Interval(minutes=1))
    flows.fails["bad"] = BROKEN
    async with flows.within(pause_after=2, **{**EACH_SECOND, "poll_every": timedelta(seconds=40)}) as world:
        while "bad" not in world.store._rows.paused:
            await world.advance(seconds=1)
        assert await world.store.pause("bad", "")
        flows.fails.clear()
        await world.advance(minutes=5)
        assert statuses(world, "bad")[:3] == ["FAILED", "FAILED", "SUCCESS"]


async def test_failures_with_a_success_between_them_pause_nothing(flows: Flows) -> None:
    flows.add("shaky", schedule=Interval(minutes=10))

    async with flows.within(pause_after=3) as world:
        for _ in range(4):
            flows.fails["shaky"] = BROKEN
            await world.advance(minutes=20)
            del flows.fails["shaky"]
            await world.advance(minutes=10)
        assert statuses(world, "shaky").count("FAILED") == 8
        assert world.store._rows.paused == {}


async def test_attempts_that_are_followed_by_a_good_one_are_no_failures(flows: Flows) -> None:
    flows.add("shaky", schedule=Interval(minutes=30), retry=3)

    async with flows.within(pause_after=1) as world:
        flows.fails["shaky"] = BROKEN
        flows.look = lambda run: flows.fails.clear() if run.attempt == 2 else None
        await world.advance(hours=1)
        assert [run.attempt for run in world.runs("shaky")] == [2, 1]
        assert world.store._rows.paused == {}


async def test_a_flow_that_was_resumed_after_its_failures_pauses_again_with_the_next_one(
    flows: Flows,
) -> None:
    flows.add("bad", schedule=Interval(minutes=10))
    flows.fails["bad"] = BROKEN
    async with flows.within(pause_after=3) as world:
        await world.advance(hours=1)
        await world.plane.resume("bad")
        await world.advance(hours=1)
        assert statuses(world, "bad") == ["FAILED"] * 4
        assert "bad" in world.store._rows.paused


async def test_a_disabled_row_stays_disabled_when_its_flow_is_resumed(flows: Flows) -> None:
    flows.add("one", schedule=HOURLY)
    async with flows.within() as world:
        await world.advance(minutes=10)
        await world.plane.pause("one")
        edit(world, "one", enabled=False)
        await world.advance(hours=1)
        await world.plane.resume("one")
        await world.advance(hours=2)
        assert flows.seen == []
