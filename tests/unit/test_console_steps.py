"""What an explanation says leads to what can be done about it, also where only its words tell what that is."""

from __future__ import annotations

from piko_flow.control.operations.explained_facts import Line
from piko_flow.ops.console.steps import Step, with_steps
from piko_flow.planning.run_state import RunStatus
from tests.unit.explained import backfilled, led, told
from tests.unit.planes import Scene, begun, ended, hour, queued, running

CLOSE = Step("/flows/orders/backfill?what=gap", "Close the gap")


async def steps(it: Scene, about: str | int, upstream: str = "") -> list[Step]:
    """What is offered with the explanation of a flow, or of a run on its own page."""
    lines: tuple[Line, ...] = (await told(it, about)).lines
    flow = about if isinstance(about, str) else "orders"
    number = None if isinstance(about, str) else about
    return [step for _, step in with_steps(lines, flow, upstream, page_of_run=number) if step is not None]


async def test_a_paused_flow_is_resumed_and_so_are_all() -> None:
    it = await led()
    await begun(it, "orders", since=8, planned=12)
    await it.plane.pause("orders", by="ada")
    assert Step("/flows/orders/resume", "Resume the flow", sends=True) in await steps(it, "orders")
    await it.plane.resume("orders")
    await it.plane.pause_all(by="ada")
    assert Step("/schedules/resume-all", "Resume all schedules", sends=True) in await steps(it, "orders")


async def test_a_paused_backfill_leads_to_the_backfills_from_its_flow_and_its_run() -> None:
    it = await led()
    number = await backfilled(it, state="paused")
    waits = await queued(it, "orders", hour(2), backfill=number)
    for about in ("orders", waits.id):
        assert Step("/backfills", "Look at the backfills") in await steps(it, about)


async def test_a_gap_is_closed_and_the_run_that_failed_looked_at() -> None:
    it = await led()
    await begun(it, "orders", since=8, planned=12)
    for number in (8, 10, 11):
        await ended(it, "orders", hour(number))
    failed = await ended(it, "orders", hour(9), RunStatus.FAILED, error_type="KeyError")
    assert await steps(it, "orders") == [CLOSE, Step(f"/runs/{failed.id}", f"To run {failed.id}")]


async def test_a_run_that_works_on_the_window_is_looked_at() -> None:
    it = await led()
    await begun(it, "orders", since=8, planned=12)
    failed = await ended(it, "orders", hour(9), RunStatus.FAILED, error_type="KeyError")
    works = await running(it, "orders", hour(9), origin="trigger")
    assert Step(f"/runs/{works.id}", f"To run {works.id}") in await steps(it, failed.id)


async def test_a_flow_that_comes_after_another_leads_to_it() -> None:
    it = await led()
    await begun(it, "report", since=9, planned=9)
    assert await steps(it, "report", "orders") == [Step("/flows/orders", "To orders")]
