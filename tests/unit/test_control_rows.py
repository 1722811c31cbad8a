"""Rows that people edit take effect while everything runs, and a row that cannot be used stops nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from piko_flow.planning.interval import Interval
from piko_flow.planning.run_state import Reason
from piko_flow.testing.simulated import FlowWorld
from tests.unit.control_worlds import (
    CATCH_UP,
    HOUR,
    HOURLY,
    MINUTE,
    SECOND,
    Flows,
    at,
    away,
    config,
    edit,
    of,
    refused,
    row,
    statuses,
)

SYSTEM = "piko_system_settings"


@pytest.fixture
def flows() -> Flows:
    return Flows()


async def settled(world: FlowWorld) -> None:
    """The next poll of the rows has been."""
    await world.advance(minutes=15)


async def test_a_disabled_row_fires_no_more_and_an_enabled_one_goes_on_from_then(flows: Flows) -> None:
    flows.add("hourly", schedule=HOURLY)
    async with flows.within() as world:
        await world.advance(hours=2)
        edit(world, "hourly", enabled=False)
        await world.advance(hours=3)
        edit(world, "hourly", enabled=True)
        await world.advance(hours=2)
        assert flows.fires("hourly") == [at(13), at(14), at(18), at(19)]
        assert set(statuses(world, "hourly")) == {"SUCCESS"}


@pytest.mark.parametrize("told", [True, False], ids=["the row says when", "the row says nothing"])
async def test_a_fire_between_an_edit_and_the_next_poll_comes_where_the_row_says_when_it_was_edited(
    flows: Flows, told: bool
) -> None:
    minutes = range(0, 56, 5)
    for minute in minutes:
        flows.add(f"flow {minute}")
    async with flows.within() as world:
        for minute in minutes:
            world.store.edit(row(f"flow {minute}", '{"hours": 24}', misfire_grace=HOUR))
        await settled(world)
        edited, now = {}, at(14)
        await world.advance(hours=(now - world.clock.now()).total_seconds() / 3600)
        for minute in minutes:
            edited[f"flow {minute}"] = fire = now + timedelta(minutes=minute + 2)
            text = f'{{"cron": "{fire.minute} {fire.hour} * * *"}}'
            when = world.clock.now() if told else at(12)
            edit(world, f"flow {minute}", schedule_type="cron", schedule_expr=text, updated_at=when)
            await world.advance(minutes=5)
        await settled(world)
        got = {flow for flow, fire in edited.items() if fire in flows.fires(flow)}
        assert (got == set(edited)) is told


async def test_a_changed_row_fires_by_the_new_schedule_from_then_on(flows: Flows) -> None:
    flows.add("changing", schedule=HOURLY)
    async with flows.within() as world:
        await world.advance(hours=1)
        edit(world, "changing", schedule_expr='{"minutes": 30}', version=2)
        await world.advance(hours=1)
        assert flows.fires("changing") == [at(13), at(13.5), at(14)]


async def test_a_change_that_forgot_to_raise_the_version_counts(flows: Flows) -> None:
    flows.add("changing", schedule=HOURLY)
    async with flows.within() as world:
        await settled(world)
        edit(world, "changing", schedule_type="cron", schedule_expr='{"cron": "45 * * * *"}')
        assert of(world, "changing").version == 1
        await world.advance(hours=2)
        assert flows.fires("changing") == [at(12.75), at(13.75)]


@pytest.mark.parametrize(
    "columns",
    [
        {"max_instances": 2},
        {"jitter": 3 * SECOND},
        {"misfire_grace": MINUTE},
        {"coalesce": False},
        {"concurrency_group": "other"},
        {"timezone": "Asia/Tokyo"},
        {"max_lookback_window": 3},
    ],
    ids=lambda columns: next(iter(columns)),
)
async def test_a_change_of_any_column_is_in_force_after_the_next_poll(
    flows: Flows, columns: dict[str, Any]
) -> None:
    flows.add("watched", schedule=HOURLY)
    async with flows.within() as world:
        await settled(world)
        edit(world, "watched", **columns)
        await settled(world)
        [replica] = world.replicas
        assert replica.replica.reign is not None
        in_force = replica.replica.reign.schedules["watched"].row
        assert {name: getattr(in_force, name) for name in columns} == columns


async def test_a_deleted_row_fires_no_more_and_one_that_comes_again_begins_then(flows: Flows) -> None:
    flows.add("hourly", schedule=HOURLY)
    async with flows.within() as world:
        await world.advance(hours=1)
        kept = of(world, "hourly")
        await world.store.delete_schedule("hourly")
        await world.advance(hours=2)
        world.store.edit(kept)
        await world.advance(hours=1)
        assert flows.fires("hourly") == [at(13), at(16)]


async def test_a_run_that_has_begun_ends_well_when_its_row_is_deleted(flows: Flows) -> None:
    flows.add("long", schedule=HOURLY)
    flows.takes["long"] = 1800
    async with flows.within() as world:
        await world.advance(hours=1, minutes=5)
        await world.store.delete_schedule("long")
        await world.advance(hours=2)
        assert statuses(world, "long") == ["SUCCESS"]


async def test_the_row_that_the_code_brings_is_written_once_and_a_persons_edit_of_it_stays(
    flows: Flows,
) -> None:
    flows.add("hourly", schedule=HOURLY)
    async with flows.within() as world:
        await world.advance(minutes=5)
        edit(world, "hourly", schedule_expr='{"minutes": 20}')
        await away(world, minutes=2)
        await world.advance(hours=1)
        assert of(world, "hourly").schedule_expr == '{"minutes": 20}'
        assert len(flows.seen) == 3


async def test_a_row_that_a_person_deleted_is_not_written_again_by_the_next_leader(flows: Flows) -> None:
    flows.add("hourly", schedule=HOURLY)
    async with flows.within() as world:
        await world.advance(minutes=5)
        await world.store.delete_schedule("hourly")
        await world.advance(minutes=10)
        await away(world, minutes=2)
        await world.advance(hours=3)
        assert await world.store.schedules() == []
        assert flows.seen == []


async def test_a_flow_that_brings_a_schedule_where_a_person_had_written_one_keeps_the_persons(
    flows: Flows,
) -> None:
    flows.add("hourly", schedule=HOURLY)
    async with flows.within() as world:
        world.store.edit(row("hourly", '{"minutes": 30}', version=7))
        await world.advance(hours=1)
        assert of(world, "hourly") == row("hourly", '{"minutes": 30}', version=7)
        assert flows.fires("hourly") == [at(12.5), at(13)]


WRONG = {
    "no JSON": (row("bad", "{hours: 1"), "JSON"),
    "no object": (row("bad", "[1]"), "JSON object"),
    "an unknown key": (row("bad", '{"fortnights": 1}'), "fortnights"),
    "a bad cron": (row("bad", '{"cron": "61 * * * *"}', "cron"), "61"),
    "an unknown kind": (row("bad", "{}", "moonphase"), "moonphase"),
    "an unknown zone": (row("bad", timezone="Europe/Atlantis"), "Europe/Atlantis"),
    "no instance": (row("bad", max_instances=0), "max_instances must be at least 1, the row has 0"),
    "a negative lookback": (row("bad", max_lookback_window=-1), "max_lookback_window must be at least 0"),
    "a negative grace": (row("bad", misfire_grace=-SECOND), "misfire_grace_s must be at least 0"),
    "a negative jitter": (row("bad", jitter=-SECOND), "jitter_s must be at least 0"),
    "nobody's name": (row("nobody"), "unregistered: no flow named 'nobody' is registered"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_row_that_cannot_be_used_is_refused_where_people_see_it_and_all_others_go_on(
    flows: Flows, case: str
) -> None:
    flows.add("bad", schedule=Interval(minutes=30))
    flows.add("good", schedule=Interval(minutes=30))
    wrong, told = WRONG[case]
    reason = Reason.UNREGISTERED if wrong.flow == "nobody" else Reason.ROW_REFUSED
    async with flows.within() as world:
        await settled(world)
        world.store.edit(wrong)
        await world.advance(minutes=20)
        assert told in refused(world, wrong.flow)
        lines = (await world.plane.explain_flow(wrong.flow)).lines
        assert [line.reason for line in lines if line.blocks] == [reason]
        [view] = [view for view in await world.plane.schedules() if view.row.flow == wrong.flow]
        assert told in view.refused
        assert flows.fires("good") == [at(12.5)]
        assert len(flows.fires("bad")) == (1 if wrong.flow == "nobody" else 0)


async def test_a_mended_row_is_used_from_then_on_and_its_refusal_is_gone(flows: Flows) -> None:
    flows.add("hourly", schedule=HOURLY)
    async with flows.within() as world:
        await settled(world)
        edit(world, "hourly", schedule_expr="{hours: 1")
        await world.advance(hours=3)
        edit(world, "hourly", schedule_expr='{"hours": 1}')
        await world.advance(hours=1)
        assert refused(world, "hourly") == ""
        assert flows.fires("hourly") == [at(16)]


async def test_a_refusal_that_a_new_leader_finds_again_is_still_told_and_goes_when_the_row_is_mended(
    flows: Flows,
) -> None:
    flows.add("hourly")
    async with flows.within() as world:
        world.store.edit(row("hourly", timezone="Nowhere"))
        await settled(world)
        await away(world, minutes=2)
        await settled(world)
        assert "Nowhere" in refused(world, "hourly")
        edit(world, "hourly", timezone="")
        await settled(world)
        assert refused(world, "hourly") == ""


async def test_the_refusal_of_a_row_that_is_deleted_is_forgotten(flows: Flows) -> None:
    flows.add("hourly")
    async with flows.within() as world:
        world.store.edit(row("hourly", timezone="Nowhere"))
        await settled(world)
        await world.store.delete_schedule("hourly")
        await settled(world)
        assert refused(world, "hourly") == ""


async def test_a_flow_whose_planning_fails_is_refused_alone_until_its_row_changes(flows: Flows) -> None:
    class Broken(Interval):
        """Knows its fires no more."""

        def at_or_before(self, instant: datetime) -> datetime | None:
            raise ArithmeticError("the moon is in the way")

    flows.add("broken", schedule=HOURLY)
    flows.add("good", schedule=HOURLY)
    async with flows.within() as world:
        await settled(world)
        [replica] = world.replicas
        reign = replica.replica.reign
        assert reign is not None
        schedule = reign.schedules["broken"]
        reign.follow(replace(schedule, trigger=Broken(hours=1)))
        await world.advance(hours=2)
        assert "the moon is in the way" in refused(world, "broken")
        assert flows.fires("good") == [at(13), at(14)]
        edit(world, "broken", version=2)
        await world.advance(hours=1)
        assert refused(world, "broken") == ""
        assert flows.fires("broken") == [at(15)]


async def test_the_system_row_sets_how_often_rows_are_compared(flows: Flows) -> None:
    flows.add("hourly", schedule=HOURLY)
    async with flows.within(reconcile_every=timedelta(hours=10)) as world:
        world.store.edit(config(SYSTEM, '{"poll_interval_s": 120}'))
        await away(world, minutes=1)
        await settled(world)
        edit(world, "hourly", schedule_expr='{"minutes": 20}')
        await world.advance(minutes=6)
        [replica] = world.replicas
        assert replica.replica.reign is not None
        assert replica.replica.reign.schedules["hourly"].row.schedule_expr == '{"minutes": 20}'


@pytest.mark.parametrize(
    "text",
    [
        '{"poll_interval_s": 0}',
        '{"poll_interval_s": true}',
        '{"poll_interval_s": -3, "paused": null}',
    ],
)
async def test_an_interval_that_makes_no_sense_leaves_it_as_the_settings_have_it(
    flows: Flows, text: str
) -> None:
    flows.add("hourly", schedule=HOURLY)
    async with flows.within() as world:
        world.store.edit(config(SYSTEM, text))
        await world.advance(hours=1, minutes=10)
        [replica] = world.replicas
        assert replica.replica.reconciler is not None
        assert replica.replica.reconciler.poll_interval is None
        assert flows.fires("hourly") == [at(13)]


NO_PAUSE = "paused must be true or false, got "
NO_OBJECT = "config_json must be a JSON object"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ('{"paused": "maybe"}', NO_PAUSE),
        ('{"paused": 0}', NO_PAUSE),
        ('{"paused": []}', NO_PAUSE),
        ("[]", NO_OBJECT),
        ('{"paused": true', NO_OBJECT),
        ('{"paused": false, "other": NaN}', NO_OBJECT),
    ],
)
@pytest.mark.parametrize("before", [False, True])
async def test_where_nobody_can_tell_whether_the_row_pauses_all_are_paused_whoever_leads(
    flows: Flows, wrong: str, why: str, before: bool, caplog: pytest.LogCaptureFixture
) -> None:
    flows.add("hourly", schedule=HOURLY)
    async with flows.within() as world:
        world.store.edit(config(SYSTEM, f'{{"paused": {str(before).lower()}}}'))
        await settled(world)
        world.store.edit(config(SYSTEM, wrong))
        await world.advance(hours=1)
        assert flows.fires("hourly") == []
        [replica] = world.replicas
        replica.replica._forget_reign()  # what the next reign knows, it knows from the row
        await world.advance(hours=1)
        assert flows.fires("hourly") == []
        assert replica.replica.reign is not None
        assert replica.replica.reign.paused_all == await world.plane.paused_all() != ""
        await world.plane.pause_all(paused=False)
        await world.advance(hours=1)
        assert flows.fires("hourly") == [at(15)]
    assert f"the row {SYSTEM} is not used: {why}" in caplog.text


async def test_unchanged_rows_are_compared_by_one_query(flows: Flows) -> None:
    flows.add("hourly", schedule=HOURLY)
    async with flows.within() as world:
        await settled(world)
        [replica] = world.replicas
        reconciler = replica.replica.reconciler
        assert reconciler is not None
        before = world.store.statements
        assert await reconciler.poll() is False
        assert world.store.statements - before == 1


async def test_the_watermark_that_is_written_into_a_row_is_no_change_of_it(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    async with flows.within() as world:
        await settled(world)
        [replica] = world.replicas
        reconciler = replica.replica.reconciler
        assert reconciler is not None
        before = of(world, "orders").last_data_time
        await world.advance(hours=1)
        assert of(world, "orders").last_data_time != before
        assert await reconciler.poll() is False


async def test_what_the_row_says_at_the_next_poll_counts_however_often_it_was_changed_between(
    flows: Flows,
) -> None:
    flows.add("hourly", schedule=HOURLY)
    async with flows.within(datetime(2026, 3, 2, 12, 0, 30, tzinfo=UTC)) as world:
        await settled(world)
        for minutes in range(1, 30):
            edit(world, "hourly", schedule_expr=f'{{"minutes": {minutes}}}')
        edit(world, "hourly", schedule_expr='{"hours": 1}')
        await world.advance(hours=1)
        assert flows.fires("hourly") == [at(13)]
