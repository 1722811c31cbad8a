"""Windows that failed, were cancelled, or wait for others: what they hold up, and what they do not."""

from datetime import datetime

import pytest

from piko_flow.planning.window import Window
from piko_flow.testing.simulated import FlowWorld
from tests.unit.control_worlds import (
    CATCH_UP,
    HOURLY,
    MINUTE,
    Flows,
    at,
    away,
    edit,
    hours,
    of,
    reasons,
)

BROKEN = OSError("the disk is full")


@pytest.fixture
def flows() -> Flows:
    return Flows()


def watermark(world: FlowWorld, flow: str) -> datetime | None:
    """The flow's watermark, which its row has to show."""
    state = world.state(flow)
    assert of(world, flow).last_data_time == state.watermark
    return state.watermark


async def test_a_failed_window_neither_blocks_nor_hides_later_ones(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    async with flows.within() as world:
        await world.advance(minutes=10)
        flows.fails["orders"] = BROKEN
        await world.advance(hours=1)
        flows.fails.clear()
        await world.advance(hours=2)
        assert flows.windows("orders") == hours(11, 15)
        assert watermark(world, "orders") == at(12)
        assert world.state("orders").gaps() == tuple(hours(12, 13))


async def test_catch_up_never_plans_a_failed_window_again_also_under_a_new_leader(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    flows.fails["orders"] = BROKEN
    async with flows.within() as world:
        await world.advance(minutes=10)
        flows.fails.clear()
        await away(world, hours=2)
        await world.advance(hours=1)
        assert flows.windows("orders") == hours(11, 15)


async def test_a_retry_of_a_failed_window_closes_the_gap_and_moves_the_watermark_on(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    async with flows.within() as world:
        await world.advance(minutes=10)
        flows.fails["orders"] = BROKEN
        await world.advance(hours=1)
        flows.fails.clear()
        await world.advance(hours=2)
        [failed] = [run for run in world.runs("orders") if run.status == "FAILED"]
        await world.plane.retry(failed.id)
        await world.advance(minutes=5)
        assert flows.windows("orders")[-1] == failed.window
        assert watermark(world, "orders") == at(15)


async def test_in_strict_order_nothing_runs_past_a_failed_window_until_it_is_mended(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP, strict_order=True)
    async with flows.within() as world:
        await world.advance(minutes=10)
        flows.fails["orders"] = BROKEN
        await world.advance(hours=1)
        flows.fails.clear()
        await world.advance(hours=3)
        assert flows.windows("orders") == hours(11, 13)
        [failed] = [run for run in world.runs("orders") if run.status == "FAILED"]
        await world.plane.retry(failed.id)
        await world.advance(minutes=10)
        assert flows.windows("orders") == [*hours(11, 13), *hours(12, 16)]
        assert watermark(world, "orders") == at(16)


async def test_a_flow_waits_until_the_ledger_of_the_one_it_comes_after_covers_its_window(
    flows: Flows,
) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    flows.add("report", schedule=HOURLY, stateful=True, backfill=CATCH_UP, after="orders")
    flows.takes["orders"] = 1200
    async with flows.within() as world:
        await world.advance(hours=2, minutes=30)
        assert flows.windows("report") == flows.windows("orders") == hours(11, 14)
        ends = {run.window: run.end_time for run in world.runs("orders")}
        for run in world.runs("report"):
            assert run.start_time is not None
            assert (upstream := ends[run.window]) is not None
            assert upstream <= run.start_time <= upstream + 2 * MINUTE


async def test_a_flow_that_waits_for_a_failed_window_of_another_runs_when_that_is_repaired(
    flows: Flows,
) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    flows.add("report", schedule=HOURLY, stateful=True, backfill=CATCH_UP, after="orders")
    async with flows.within() as world:
        await world.advance(minutes=10)
        flows.fails["orders"] = BROKEN
        await world.advance(hours=1)
        flows.fails.clear()
        await world.advance(hours=2)
        assert flows.windows("report") == hours(11, 12)
        [failed] = [run for run in world.runs("orders") if run.status == "FAILED"]
        await world.plane.retry(failed.id)
        await world.advance(minutes=10)
        assert flows.windows("report") == hours(11, 15)


async def test_a_flow_that_waits_for_another_runs_what_a_person_skipped_there(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    flows.add("report", schedule=HOURLY, stateful=True, backfill=CATCH_UP, after="orders")
    flows.fails["orders"] = BROKEN
    async with flows.within() as world:
        await world.advance(hours=2)
        assert flows.windows("report") == []
        flows.fails.clear()
        edit(world, "orders", last_data_time=at(14))
        await world.advance(minutes=30)
        assert flows.windows("report")[-1] == Window(at(13), at(14))


async def test_a_cancelled_window_stays_a_gap_that_a_trigger_closes(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    async with flows.within() as world:
        await world.advance(minutes=10)
        flows.takes["orders"] = 1800
        await world.advance(minutes=55)
        [run] = [run for run in world.runs("orders") if run.status == "RUNNING"]
        await world.plane.cancel(run.id, by="ada")
        flows.takes.clear()
        await world.advance(hours=2)
        assert reasons(world, "orders")[1] == ("CANCELLED", "cancelled")
        assert world.state("orders").gaps() == tuple(hours(12, 13))
        await world.plane.trigger("orders")
        await world.advance(minutes=5)
        assert flows.windows("orders")[-1] == Window(at(12), at(13))
        assert watermark(world, "orders") == at(15)


async def test_more_instances_work_on_windows_side_by_side_and_the_watermark_waits_for_the_slowest(
    flows: Flows,
) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP, max_instances=3)
    async with flows.within() as world:
        await world.advance(minutes=10)
        slow = Window(at(12), at(13))
        flows.look = lambda run: flows.takes.update(orders=3000 if run.window == slow else 60)
        await away(world, hours=6)
        await world.advance(minutes=30)
        assert flows.most == {"orders": 3}
        assert watermark(world, "orders") == at(12)
        assert len(world.state("orders").live) == 1
        await world.advance(minutes=30)
        assert watermark(world, "orders") == at(19)
