"""Backfills at work: their windows become runs a few at a time, beside what the schedule wants."""

from typing import Any

import pytest

from piko_flow.control.operations.plane_backfills import BackfillRequest
from piko_flow.errors import RequestRefused
from piko_flow.planning.ledger import Mark
from piko_flow.planning.window import Window
from piko_flow.store.records import BackfillRecord
from piko_flow.testing.simulated import FlowWorld
from tests.unit.control_worlds import (
    CATCH_UP,
    HOURLY,
    MINUTE,
    SKIP,
    Flows,
    at,
    away,
    edit,
    hours,
)

BROKEN = OSError("the disk is full")


@pytest.fixture
def flows() -> Flows:
    made = Flows()
    made.add("orders", schedule=HOURLY, stateful=True, backfill=SKIP)
    return made


async def apply(
    world: FlowWorld, first: float, last: float, *, flow: str = "orders", **options: Any
) -> BackfillRecord:
    """Plan and apply a backfill of a flow from one hour to another; the leader has heard of it then."""
    request = BackfillRequest(flow=flow, span=Window(at(first), at(last)), **options)
    plan = await world.plane.plan_backfill(request)
    return await world.plane.apply_backfill(request, digest=plan.digest, by="ada")


async def state(world: FlowWorld, backfill: BackfillRecord) -> BackfillRecord:
    """The backfill as it stands."""
    [view] = [view for view in await world.plane.backfills() if view.backfill.id == backfill.id]
    return view.backfill


def runs_of(flows: Flows, world: FlowWorld, backfill: BackfillRecord) -> list[Window]:
    """The windows that the backfill's runs ran for, in their order."""
    mine = {run.id for run in world.runs() if run.backfill == backfill.id}
    return [run.window for run in flows.seen if run.id in mine]


async def test_a_backfill_of_the_past_runs_its_windows_oldest_first_and_is_done_then(flows: Flows) -> None:
    async with flows.within() as world:
        await world.advance(minutes=10)
        made = await apply(world, 2, 8)
        await world.advance(minutes=30)
        assert runs_of(flows, world, made) == hours(2, 8)
        assert (await state(world, made)).state == "done"
        assert {run.requested_by for run in world.runs() if run.backfill} == {"ada"}


async def test_newest_first_is_the_other_way_round(flows: Flows) -> None:
    async with flows.within() as world:
        await world.advance(minutes=10)
        made = await apply(world, 2, 8, newest_first=True)
        await world.advance(minutes=30)
        assert runs_of(flows, world, made) == hours(2, 8)[::-1]


async def test_no_more_runs_of_a_backfill_go_at_once_than_it_says_and_a_few_wait(flows: Flows) -> None:
    async with flows.within() as world:
        await world.advance(minutes=10)
        flows.takes["orders"] = 300
        made = await apply(world, 0, 11, concurrency=3)
        live = []
        for _ in range(30):
            await world.advance(minutes=1)
            mine = [run for run in world.runs() if run.backfill == made.id]
            live.append([str(run.status) for run in mine if run.status in ("RUNNING", "QUEUED")])
        assert max(one.count("RUNNING") for one in live) == 3
        assert max(len(one) for one in live) <= 6
        await world.advance(minutes=20)
        assert (await state(world, made)).state == "done"


async def test_a_paused_backfill_starts_nothing_more_and_a_resumed_one_goes_on(flows: Flows) -> None:
    async with flows.within() as world:
        await world.advance(minutes=10)
        flows.takes["orders"] = 300
        made = await apply(world, 2, 8)
        await world.advance(minutes=12)
        await world.plane.pause_backfill(made.id)
        await world.advance(minutes=15)
        begun = len(runs_of(flows, world, made))
        assert 0 < begun < 6
        await world.advance(minutes=30)
        assert len(runs_of(flows, world, made)) == begun
        await world.plane.resume_backfill(made.id)
        await world.advance(hours=1)
        assert runs_of(flows, world, made) == hours(2, 8)


async def test_a_cancelled_backfill_ends_what_waits_and_stops_what_runs_and_what_is_done_stays_done(
    flows: Flows,
) -> None:
    async with flows.within() as world:
        await world.advance(minutes=10)
        flows.takes["orders"] = 600
        made = await apply(world, 2, 8)
        await world.advance(minutes=22)
        await world.plane.cancel_backfill(made.id, by="ada")
        await world.advance(minutes=30)
        mine = [str(run.status) for run in world.runs() if run.backfill == made.id]
        assert set(mine) == {"SUCCESS", "CANCELLED"}
        done = world.state("orders").ledger.spans
        assert (done[0].mark, done[0].start) == (Mark.DONE, at(2))
        with pytest.raises(RequestRefused, match="cancelled"):
            await world.plane.resume_backfill(made.id)


async def test_while_live_runs_and_a_backfill_both_wait_one_start_in_four_is_the_backfills(
    flows: Flows,
) -> None:
    for number in range(12):
        flows.add(f"live {number}", schedule=HOURLY)
        flows.takes[f"live {number}"] = 60
    async with flows.within(slots=1) as world:
        await world.advance(minutes=10)
        await world.plane.pause("orders")
        flows.takes["orders"] = 360
        made = await apply(world, -6, 11)
        await world.advance(hours=1, minutes=45)
        begun = [run for run in world.runs() if run.start_time is not None and run.start_time >= at(13)]
        begun.sort(key=lambda run: run.start_time or at(0))
        places = [place for place, run in enumerate(begun[:16]) if run.backfill == made.id]
        assert places == [3, 7, 11, 15]


async def test_the_missing_are_what_was_skipped_or_never_settled(flows: Flows) -> None:
    async with flows.within() as world:
        await world.advance(minutes=10)
        await away(world, hours=4)  # under SKIP all but the newest of these are skipped
        await world.advance(minutes=10)
        made = await apply(world, 11, 16)
        await world.advance(minutes=30)
        assert runs_of(flows, world, made) == hours(12, 15)
        assert world.state("orders").watermark == at(16)


async def test_the_failed_are_run_again_by_a_backfill_of_that_kind_and_no_others() -> None:
    flows = Flows()
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    async with flows.within() as world:
        await world.advance(minutes=10)
        flows.fails["orders"] = BROKEN
        await world.advance(hours=2)
        flows.fails.clear()
        made = await apply(world, 8, 14, kind="failed")
        await world.advance(minutes=30)
        assert runs_of(flows, world, made) == hours(12, 14)
        assert world.state("orders").gaps() == ()


async def test_a_gap_is_closed_by_a_backfill_of_that_kind_and_what_is_settled_is_left_alone(
    flows: Flows,
) -> None:
    async with flows.within() as world:
        await world.advance(minutes=10)
        await away(world, hours=4)  # under SKIP all but the newest of these are skipped: settled, and no gap
        flows.fails["orders"] = BROKEN
        await world.advance(hours=1)
        flows.fails.clear()
        (gap,) = world.state("orders").gaps()
        made = await apply(world, 8, 24, kind="gap")
        await world.advance(minutes=30)
        assert runs_of(flows, world, made) == [gap]
        assert (await state(world, made)).state == "done"
        assert world.state("orders").gaps() == ()


async def test_all_is_every_window_also_those_that_are_done(flows: Flows) -> None:
    async with flows.within() as world:
        await world.advance(minutes=10)
        made = await apply(world, 10, 12, kind="all")
        await world.advance(minutes=30)
        assert runs_of(flows, world, made) == hours(10, 12)
        assert flows.windows("orders").count(Window(at(11), at(12))) == 2


async def test_a_failure_in_a_backfill_holds_up_no_other_window_of_it(flows: Flows) -> None:
    async with flows.within() as world:
        await world.advance(minutes=10)
        bad = Window(at(4), at(5))
        flows.look = lambda run: (
            flows.fails.update(orders=BROKEN) if run.window == bad else flows.fails.clear()
        )
        made = await apply(world, 2, 8)
        await world.advance(minutes=30)
        assert runs_of(flows, world, made) == hours(2, 8)
        counts = await world.store.backfill_counts(made.id)
        assert {str(status): count for status, count in counts.items()} == {"SUCCESS": 5, "FAILED": 1}
        assert (await state(world, made)).state == "done"


async def test_a_window_that_is_done_meanwhile_is_passed_over(flows: Flows) -> None:
    async with flows.within() as world:
        await world.advance(minutes=10)
        flows.takes["orders"] = 600
        made = await apply(world, 2, 8)
        await world.advance(minutes=5)
        triggered = Window(at(7), at(8))
        await world.plane.trigger("orders", window=triggered)
        await world.advance(hours=2)
        assert flows.windows("orders").count(triggered) == 1
        assert runs_of(flows, world, made) == hours(2, 7)
        assert (await state(world, made)).state == "done"


async def test_a_backfill_goes_on_under_a_new_leader_where_it_was(flows: Flows) -> None:
    async with flows.within() as world:
        await world.advance(minutes=10)
        flows.takes["orders"] = 300
        made = await apply(world, 2, 8)
        await world.advance(minutes=12)
        await away(world, minutes=10)
        await world.advance(hours=1)
        assert sorted(set(runs_of(flows, world, made))) == hours(2, 8)
        assert (await state(world, made)).state == "done"
        assert world.journal.violations == []


async def test_two_backfills_of_one_flow_go_side_by_side_and_do_no_window_at_once(flows: Flows) -> None:
    async with flows.within() as world:
        await world.advance(minutes=10)
        flows.takes["orders"] = 120
        first, second = await apply(world, 2, 8), await apply(world, 5, 11, newest_first=True)
        await world.advance(hours=1)
        assert sorted({*runs_of(flows, world, first), *runs_of(flows, world, second)}) == hours(2, 11)
        assert [(await state(world, one)).state for one in (first, second)] == ["done", "done"]
        assert world.journal.violations == []


async def test_a_backfill_runs_also_while_its_schedule_is_paused_or_its_row_disabled(flows: Flows) -> None:
    async with flows.within() as world:
        await world.advance(minutes=10)
        await world.plane.pause("orders")
        edit(world, "orders", enabled=False)
        made = await apply(world, 2, 5)
        await world.advance(minutes=30)
        assert runs_of(flows, world, made) == hours(2, 5)


async def test_the_runs_of_a_backfill_have_its_own_parameters_over_those_in_force(flows: Flows) -> None:
    async with flows.within() as world:
        await world.advance(minutes=10)
        made = await apply(world, 2, 4, params={"depth": 2})
        await world.advance(minutes=30)
        mine = {run.id for run in world.runs() if run.backfill == made.id}
        assert [run.params for run in flows.seen if run.id in mine] == [{"depth": 2}] * 2


async def test_an_hour_of_waiting_for_a_live_run_in_the_way_ends_with_it(flows: Flows) -> None:
    async with flows.within() as world:
        await world.advance(minutes=20)
        flows.takes["orders"] = 3600
        await world.plane.trigger("orders", window=Window(at(3), at(4)))
        await world.advance(minutes=4)
        flows.takes["orders"] = 1
        made = await apply(world, 2, 6, kind="all")
        await world.advance(minutes=40)
        assert runs_of(flows, world, made) == hours(2, 3)
        await world.advance(minutes=40)
        assert runs_of(flows, world, made) == hours(2, 6)
        begun = {run.window: run.start_time for run in world.runs() if run.backfill == made.id}
        third = begun[Window(at(3), at(4))]
        assert third is not None
        assert third >= at(13) + 20 * MINUTE
