"""Windows of stateful flows: where they begin, what is caught up, what a person sets, and what waits for what."""

from datetime import UTC, datetime, timedelta

import pytest

from piko_flow.planning.cron import Cron
from piko_flow.planning.ledger import Mark
from piko_flow.planning.window import Window
from piko_flow.testing.simulated import FlowWorld
from tests.unit.control_worlds import (
    CATCH_UP,
    HOUR,
    HOURLY,
    NONE,
    SKIP,
    Flows,
    at,
    away,
    edit,
    hours,
    of,
    reasons,
    row,
    statuses,
)

BROKEN = OSError("the disk is full")


@pytest.fixture
def flows() -> Flows:
    return Flows()


def marks(world: FlowWorld, flow: str) -> list[tuple[Mark, datetime, datetime]]:
    """The spans of the flow's ledger, settled and failed, in order."""
    return [(span.mark, span.start, span.end) for span in world.state(flow).ledger.spans]


def watermark(world: FlowWorld, flow: str) -> datetime | None:
    """The flow's watermark, which its row has to show."""
    state = world.state(flow)
    assert of(world, flow).last_data_time == state.watermark
    return state.watermark


@pytest.mark.parametrize("policy", [CATCH_UP, SKIP])
async def test_a_flow_that_is_seen_first_runs_its_newest_complete_window(flows: Flows, policy: str) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=policy)
    async with flows.within() as world:
        await world.advance(minutes=30)
        assert flows.windows("orders") == hours(11, 12)
        assert watermark(world, "orders") == at(12)


async def test_a_flow_begins_where_its_row_says_and_catches_up_from_there(flows: Flows) -> None:
    flows.add("orders", stateful=True, backfill=CATCH_UP)
    async with flows.within() as world:
        world.store.edit(row("orders", last_data_time=at(6)))
        await world.advance(minutes=30)
        assert flows.windows("orders") == hours(6, 12)


async def test_a_flow_begins_where_its_code_says(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP, begin=at(9.25))
    async with flows.within() as world:
        await world.advance(minutes=30)
        assert flows.windows("orders") == [Window(at(9.25), at(10)), *hours(10, 12)]


async def test_after_a_time_without_anybody_every_window_is_caught_up_oldest_first_one_at_a_time(
    flows: Flows,
) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    async with flows.within() as world:
        await world.advance(minutes=10)
        await away(world, hours=9)
        await world.advance(minutes=30)
        assert flows.windows("orders") == hours(11, 21)
        assert flows.most == {"orders": 1}
        assert watermark(world, "orders") == at(21)


async def test_of_many_missed_windows_a_few_wait_at_once(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    async with flows.within() as world:
        await world.advance(minutes=10)
        flows.takes["orders"] = 120
        await away(world, hours=40)
        for _ in range(60):
            await world.advance(minutes=2)
            assert statuses(world, "orders").count("QUEUED") <= 4
        assert flows.windows("orders") == hours(11, 12 + len(flows.seen) - 1)
        assert len(flows.seen) > 40


async def test_under_skip_only_the_newest_of_the_missed_windows_runs_and_the_others_are_skipped(
    flows: Flows,
) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=SKIP)
    async with flows.within() as world:
        await world.advance(minutes=10)
        await away(world, hours=5)
        await world.advance(minutes=30)
        assert flows.windows("orders") == [*hours(11, 12), *hours(16, 17)]
        assert marks(world, "orders") == [
            (Mark.DONE, at(11), at(12)),
            (Mark.SKIPPED, at(12), at(16)),
            (Mark.DONE, at(16), at(17)),
        ]
        assert watermark(world, "orders") == at(17)


async def test_under_skip_a_window_that_still_waits_gives_way_to_a_newer_one_and_says_why(
    flows: Flows,
) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=SKIP)
    flows.takes["orders"] = 2.5 * 3600
    async with flows.within() as world:
        await world.advance(hours=4)
        assert ("SKIPPED", "superseded") in reasons(world, "orders")
        assert flows.windows("orders") == [*hours(11, 12), *hours(13, 14)]


async def test_under_none_what_was_missed_longer_ago_than_the_grace_is_skipped(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=NONE, misfire_grace=90 * 60)
    async with flows.within() as world:
        await world.advance(minutes=10)
        await away(world, hours=5)
        await world.advance(minutes=30)
        assert flows.windows("orders") == [*hours(11, 12), *hours(15, 17)]
        assert watermark(world, "orders") == at(17)


async def test_lookback_counts_windows_and_settles_the_older_ones_as_skipped(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP, max_lookback_window=2)
    async with flows.within() as world:
        await world.advance(minutes=10)
        await away(world, hours=8)
        await world.advance(minutes=30)
        assert flows.windows("orders") == [*hours(11, 12), *hours(18, 20)]
        assert (Mark.SKIPPED, at(12), at(18)) in marks(world, "orders")


async def test_a_persons_step_back_of_last_data_time_runs_the_same_windows_again(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    async with flows.within() as world:
        await world.advance(hours=3)
        edit(world, "orders", last_data_time=at(13))
        await world.advance(minutes=30)
        assert flows.windows("orders") == [*hours(11, 15), *hours(13, 15)]
        assert watermark(world, "orders") == at(15)
        assert world.state("orders").generation == 1


async def test_a_persons_step_forward_of_last_data_time_skips_what_lies_between(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    flows.fails["orders"] = BROKEN
    async with flows.within() as world:
        await world.advance(hours=2)
        flows.fails.clear()
        edit(world, "orders", last_data_time=at(17))
        await world.advance(hours=4)
        assert flows.windows("orders") == [*hours(11, 14), *hours(17, 18)]
        assert watermark(world, "orders") == at(18)
        assert marks(world, "orders") == [(Mark.SKIPPED, at(11), at(17)), (Mark.DONE, at(17), at(18))]


async def test_a_step_to_before_the_first_window_ever_moves_the_origin(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    async with flows.within() as world:
        await world.advance(minutes=10)
        edit(world, "orders", last_data_time=at(8))
        await world.advance(minutes=30)
        assert flows.windows("orders") == [*hours(11, 12), *hours(8, 12)]
        assert world.state("orders").origin == at(8)


async def test_an_emptied_last_data_time_is_no_edit(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    async with flows.within() as world:
        await world.advance(minutes=10)
        edit(world, "orders", last_data_time=None)
        await world.advance(hours=2)
        assert flows.windows("orders") == hours(11, 14)
        assert world.state("orders").generation == 0


async def test_an_edit_while_nobody_leads_counts_when_somebody_does(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    async with flows.within() as world:
        await world.advance(hours=2)
        [replica] = world.replicas
        replica.crash(3600)
        edit(world, "orders", last_data_time=at(12))
        await world.advance(hours=1, minutes=30)
        assert flows.windows("orders") == [*hours(11, 14), *hours(12, 15)]


async def test_under_catch_up_a_changed_schedule_cuts_from_where_planning_stands(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    async with flows.within() as world:
        await world.advance(hours=1)
        edit(world, "orders", schedule_expr='{"minutes": 30}')
        await world.advance(hours=1)
        assert flows.windows("orders") == [
            *hours(11, 13),
            Window(at(13), at(13.5)),
            Window(at(13.5), at(14)),
        ]


async def test_under_skip_the_span_up_to_the_first_fire_of_a_changed_schedule_is_one_window(
    flows: Flows,
) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=SKIP)
    async with flows.within() as world:
        await world.advance(minutes=70)
        edit(world, "orders", schedule_type="cron", schedule_expr='{"cron": "45 */2 * * *"}')
        await world.advance(hours=4)
        assert flows.windows("orders") == [
            *hours(11, 13),
            Window(at(13), at(14.75)),
            Window(at(14.75), at(16.75)),
        ]


async def test_windows_follow_one_another_over_a_night_that_lacks_an_hour_and_one_that_has_it_twice(
    flows: Flows,
) -> None:
    daily = Cron("0 2 * * *", zone="Europe/Berlin")
    flows.add("days", schedule=daily, stateful=True, backfill=CATCH_UP)
    for start, lengths in (
        (datetime(2026, 3, 27, 12, tzinfo=UTC), [24, 24, 24, 23]),
        (datetime(2026, 10, 23, 12, tzinfo=UTC), [24, 24, 24, 25]),
    ):
        flows.seen.clear()
        async with flows.within(start) as world:
            await world.advance(days=3)
            windows = flows.windows("days")
            assert [window.length / HOUR for window in windows] == lengths
            assert world.state("days").gaps() == ()


async def test_a_flow_whose_row_is_away_for_a_while_catches_up_what_fell_due_meanwhile(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    async with flows.within() as world:
        await world.advance(minutes=10)
        kept = of(world, "orders")
        await world.store.delete_schedule("orders")
        await world.advance(hours=3)
        world.store.edit(kept)
        await world.advance(minutes=30)
        assert flows.windows("orders") == hours(11, 15)


async def test_an_off_grid_watermark_to_the_microsecond_leaves_no_gap_and_no_overlap(flows: Flows) -> None:
    flows.add("orders", stateful=True, backfill=CATCH_UP)
    begin = at(9) + timedelta(microseconds=1)
    async with flows.within() as world:
        world.store.edit(row("orders", last_data_time=begin))
        await world.advance(minutes=30)
        assert flows.windows("orders") == [Window(begin, at(10)), *hours(10, 12)]
        assert watermark(world, "orders") == at(12)
