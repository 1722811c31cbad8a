"""Backfills: what is shown is what is applied, and each verb does what it says."""

from dataclasses import replace
from datetime import timedelta

import pytest

from piko_flow.control.operations.plane_backfills import BackfillRequest, WindowPart
from piko_flow.control.operations.view_values import backfill_values
from piko_flow.errors import RequestRefused
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.protocols import RunFilter
from tests.unit.planes import Scene, begun, ended, hour, queued, running, scene

MORNING = BackfillRequest(flow="orders", span=hour(4, 4))


async def with_orders() -> Scene:
    it = scene()
    await begun(it, "orders", since=8, planned=12)
    return it


async def test_a_plan_shows_windows_params_and_a_guess_at_the_time() -> None:
    it = await with_orders()
    assert (await it.plane.plan_backfill(MORNING)).estimate is None
    for number in range(3):
        await ended(it, "orders", hour(8 + number), duration_ms=60_000 * (number + 1))
    plan = await it.plane.plan_backfill(replace(MORNING, concurrency=2, params={"limit": 3}))
    assert plan.windows == (hour(4), hour(5), hour(6), hour(7))
    assert plan.params == {"region": "eu", "limit": 3, "api_token": "******"}
    assert plan.estimate == timedelta(minutes=4)
    newest = await it.plane.plan_backfill(replace(MORNING, newest_first=True))
    assert newest.windows == plan.windows[::-1]
    assert await it.store.backfills() == []


async def test_a_plan_tells_which_windows_the_edges_of_the_range_cut() -> None:
    it = await with_orders()
    assert (await it.plane.plan_backfill(MORNING)).parts == ()
    span = Window(hour(4).start + timedelta(minutes=20), hour(6).start + timedelta(minutes=5))
    for newest in (False, True):
        plan = await it.plane.plan_backfill(replace(MORNING, span=span, newest_first=newest))
        first, last = Window(span.start, hour(4).end), Window(hour(6).start, span.end)
        expected = [WindowPart(first, hour(4)), WindowPart(last, hour(6))]
        assert list(plan.parts) == (expected[::-1] if newest else expected)
    inside = Window(hour(4).start + timedelta(minutes=20), hour(4).start + timedelta(minutes=25))
    plan = await it.plane.plan_backfill(replace(MORNING, span=inside))
    assert plan.parts == (WindowPart(inside, hour(4)),)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"flow": "mail"}, "only a stateful flow"),
        ({"flow": "ordres"}, "did you mean"),
        ({"flow": "audit"}, "no row"),
        ({"kind": "some"}, "missing, failed, all"),
        ({"kind": "failed"}, "has none"),
        ({"concurrency": 0}, "1 to 10000"),
        ({"params": {"limit": "many"}}, "limit"),
        ({"span": hour(14, 2)}, "has none"),
    ],
)
async def test_a_backfill_that_makes_no_sense_is_refused(wrong: dict[str, object], told: str) -> None:
    it = await with_orders()
    with pytest.raises(RequestRefused, match=told):
        await it.plane.plan_backfill(replace(MORNING, **wrong))  # type: ignore[arg-type]


async def test_what_is_applied_is_what_was_planned() -> None:
    it = await with_orders()
    request = replace(MORNING, params={"limit": 3, "region": "us"}, concurrency=2)
    plan = await it.plane.plan_backfill(request)
    again = replace(request, params={"region": "us", "limit": 3})
    made = await it.plane.apply_backfill(again, digest=plan.digest, by="ada")
    assert (made.windows, made.concurrency, made.requested_by, made.state) == (
        plan.windows,
        2,
        "ada",
        "running",
    )
    assert made.params == '{"limit":3,"region":"us"}'


async def test_a_plan_that_has_become_another_one_is_not_applied() -> None:
    it = await with_orders()
    plan = await it.plane.plan_backfill(MORNING)
    for other in (
        replace(MORNING, newest_first=True),
        replace(MORNING, kind="all"),
        replace(MORNING, concurrency=2),
        replace(MORNING, params={"limit": 3}),
    ):
        assert (await it.plane.plan_backfill(other)).digest != plan.digest
    await ended(it, "orders", hour(5))
    with pytest.raises(RequestRefused, match="with 3 windows"):
        await it.plane.apply_backfill(MORNING, digest=plan.digest)
    assert await it.store.backfills() == []


async def test_other_params_in_force_make_another_plan() -> None:
    it = await with_orders()
    plan = await it.plane.plan_backfill(MORNING)
    await it.plane.set_params("orders", values={"limit": 1})
    with pytest.raises(RequestRefused, match="not " + plan.digest):
        await it.plane.apply_backfill(MORNING, digest=plan.digest)


async def applied(it: Scene) -> int:
    plan = await it.plane.plan_backfill(MORNING)
    return (await it.plane.apply_backfill(MORNING, digest=plan.digest)).id


async def test_a_backfill_is_listed_with_its_progress() -> None:
    it = await with_orders()
    number = await applied(it)
    await running(it, "orders", hour(4), backfill=number)
    (view,) = await it.plane.backfills()
    assert (view.backfill.id, view.counts, view.left, view.done) == (number, {RunStatus.RUNNING: 1}, 4, 0.0)
    second = await applied(it)
    assert [one.backfill.id for one in await it.plane.backfills()] == [second, number]
    assert len(await it.plane.backfills(limit=1)) == 1
    assert await it.plane.backfills(flow="report") == []


async def test_a_backfill_whose_windows_failed_has_ended_and_is_not_done() -> None:
    it = await with_orders()
    number = await applied(it)
    known = await it.plane.backfill(number)
    done = replace(known.backfill, position=4, state="done")
    view = replace(known, backfill=done, counts={RunStatus.SUCCESS: 1, RunStatus.FAILED: 3})
    assert (view.outcome, view.told, view.done, view.failed) == ("failed", "ended, 3 failed", 0.25, 3)
    told = backfill_values(view)
    assert (told["outcome"], told["done"]) == ("failed", 0.25)
    well = replace(view, counts={RunStatus.SUCCESS: 4})
    assert (well.outcome, well.told, well.done) == ("done", "done", 1.0)


async def test_a_backfill_is_paused_resumed_and_ended_and_then_stays_as_it_is() -> None:
    it = await with_orders()
    number = await applied(it)
    assert (await it.plane.pause_backfill(number)).state == "paused"
    assert (await it.plane.resume_backfill(number)).state == "running"
    assert (await it.plane.cancel_backfill(number)).state == "cancelled"
    for verb in (it.plane.pause_backfill, it.plane.resume_backfill):
        with pytest.raises(RequestRefused, match="it is cancelled"):
            await verb(number)
    with pytest.raises(RequestRefused, match="no such backfill"):
        await it.plane.cancel_backfill(99)


async def test_a_cancel_ends_what_waits_and_asks_what_runs_to_stop() -> None:
    it = await with_orders()
    number = await applied(it)
    works = await running(it, "orders", hour(4), backfill=number)
    waits = await queued(it, "orders", hour(5), backfill=number)
    other = await queued(it, "orders", hour(9))
    await it.plane.cancel_backfill(number, by="ada")
    found = {run.id: run for run in (await it.plane.runs(RunFilter())).runs}
    assert found[works.id].cancel_requested == "ada"
    assert found[waits.id].status is RunStatus.CANCELLED
    assert found[other.id].status is RunStatus.QUEUED
