"""For each reason a scene in which it is what keeps a flow or a run from running, and the words that tell so."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from piko_flow.control.operations.plane_explains import Explanation
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.batch import Batch, Requeue
from piko_flow.store.records import BackfillRecord, ParamsVersion, RunRecord
from tests.unit.planes import (
    DAY,
    NOW,
    Scene,
    begun,
    change,
    ended,
    hour,
    lead,
    planned_fires,
    queued,
    row,
    running,
    scene,
)


class Case(NamedTuple):
    """What is asked in the scene: about a flow by its name, or about a run by its number; and what is told."""

    about: str | int
    told: str


async def led(**options: object) -> Scene:
    it = scene(**options)
    await lead(it)
    return it


async def unregistered(it: Scene) -> Case:
    await it.store.set_schedule(row("gone"))
    return Case("gone", "no flow is registered as 'gone'")


async def no_schedule(it: Scene) -> Case:
    return Case("mail", "no row of scheduled_job")


async def row_refused(it: Scene) -> Case:
    await it.store.set_schedule(row("mail", timezone="Nowhere"))
    return Case("mail", "Nowhere")


async def disabled(it: Scene) -> Case:
    await it.store.set_schedule(row("mail", enabled=False))
    return Case("mail", "its row is not enabled")


async def paused(it: Scene) -> Case:
    await begun(it, "orders", since=8, planned=12)
    await it.plane.pause("orders", by="ada")
    return Case("orders", "paused by ada")


async def params_refused(it: Scene) -> Case:
    await it.store.keep_params([ParamsVersion("orders", "{}", version=2, refused="limit: no number")])
    return Case("orders", "limit: no number")


async def no_leader(it: Scene) -> Case:
    await it.plane.resign_leader()
    return Case((await queued(it, "mail")).id, "no replica leads")


async def not_due(it: Scene) -> Case:
    await planned_fires(it, "mail", hour(12).start)
    return Case("mail", "its next fire is at 2026-03-02 13:00+00:00")


async def waits_for_upstream(it: Scene) -> Case:
    await begun(it, "orders", since=8, planned=12)
    await ended(it, "orders", hour(8))
    await begun(it, "report", since=9, planned=9)
    return Case("report", "waits for 'orders', which covers up to 2026-03-02 09:00+00:00")


async def strict_order(it: Scene) -> Case:
    await begun(it, "audit", since=8, planned=10)
    await ended(it, "audit", hour(8), RunStatus.FAILED)
    return Case("audit", "2026-03-02 08:00+00:00 to 2026-03-02 10:00+00:00 comes first, and it failed")


async def queue_full(it: Scene) -> Case:
    await begun(it, "orders", since=2, planned=6)
    for number in range(2, 6):
        await queued(it, "orders", hour(number))
    return Case("orders", "4 of them wait already")


async def live_window(it: Scene) -> Case:
    await begun(it, "orders", since=8, planned=12)
    failed = await ended(it, "orders", hour(8), RunStatus.FAILED)
    other = await running(it, "orders", hour(8), origin="trigger")
    return Case(failed.id, f"run {other.id} works on its window")


async def already_settled(it: Scene) -> Case:
    await begun(it, "orders", since=8, planned=12)
    failed = await ended(it, "orders", hour(8), RunStatus.FAILED)
    await ended(it, "orders", hour(8))
    return Case(failed.id, "has been settled since")


async def max_instances(it: Scene) -> Case:
    await planned_fires(it, "mail", hour(12).start)
    working = await running(it, "mail")
    return Case(
        (await queued(it, "mail")).id, f"run {working.id} of 'mail' is at work, and max_instances is 1"
    )


async def group_full(it: Scene) -> Case:
    await planned_fires(it, "mail", hour(12).start, concurrency_group="slow")
    await planned_fires(it, "idle", hour(12).start, concurrency_group="slow")
    await running(it, "idle")
    return Case((await queued(it, "mail")).id, "of group 'slow' is at work, and its limit is 1")


async def backfilled(it: Scene, *, state: str = "running", concurrency: int = 1) -> int:
    await begun(it, "orders", since=8, planned=12)
    windows = tuple(hour(number) for number in range(2, 6))
    record = BackfillRecord(0, "orders", "missing", hour(2).start, hour(6).start, windows)
    made = await it.store.add_backfill(replace(record, state=state, concurrency=concurrency))
    return made.id


async def backfill_full(it: Scene) -> Case:
    number = await backfilled(it)
    await running(it, "orders", hour(2), backfill=number)
    waits = await queued(it, "orders", hour(3), backfill=number)
    return Case(waits.id, f"of backfill {number} is at work, and 1 of it go at once")


async def no_slot(it: Scene) -> Case:
    await planned_fires(it, "mail", hour(12).start, max_instances=9)
    for _ in range(4):
        await running(it, "mail")
    return Case((await queued(it, "mail")).id, "all 4 slots of 1 living replica are taken")


async def requeued(it: Scene, reason: Reason, **columns: object) -> RunRecord:
    run = await running(it, "mail")
    requeue = Requeue(run.id, run.claim, reason, **columns)  # type: ignore[arg-type]
    assert not (await it.store.write(Batch("one", requeues=[requeue]))).stale
    return run


async def retry_wait(it: Scene) -> Case:
    run = await requeued(it, Reason.ERROR, attempt=True, not_before=NOW + timedelta(minutes=5))
    return Case(run.id, "attempt 2 starts at 2026-03-02 12:35+00:00")


async def released(it: Scene) -> Case:
    return Case((await requeued(it, Reason.RELEASED)).id, "gave it back")


async def rescued(it: Scene) -> Case:
    return Case((await requeued(it, Reason.RESCUED, rescue=True)).id, "its replica died")


async def skipped(it: Scene, reason: Reason, **columns: Any) -> RunRecord:
    return await queued(it, "mail", status=RunStatus.SKIPPED, reason=reason, **columns)


async def misfired(it: Scene) -> Case:
    run = await skipped(it, Reason.MISFIRED, fires=3, first_fire=NOW - DAY)
    return Case(run.id, "3 fires from 2026-03-01 12:30+00:00 to 2026-03-02 12:30+00:00")


async def coalesced(it: Scene) -> Case:
    run = await ended(it, "mail", reason=Reason.COALESCED)
    return Case(run.id, "stands for several fires")


async def superseded(it: Scene) -> Case:
    return Case((await skipped(it, Reason.SUPERSEDED)).id, "a newer window fell due")


async def lookback(it: Scene) -> Case:
    return Case((await skipped(it, Reason.LOOKBACK)).id, "older than max_lookback_window")


async def error(it: Scene) -> Case:
    run = await ended(it, "mail", None, RunStatus.FAILED, error_type="KeyError", error_msg="KeyError: 'id'")
    return Case(run.id, "+00:00: KeyError: 'id'")


async def timeout(it: Scene) -> Case:
    run = await ended(it, "mail", None, RunStatus.FAILED, Reason.TIMEOUT)
    return Case(run.id, "longer than the flow's timeout")


async def cancelled(it: Scene) -> Case:
    run = await queued(it, "mail")
    await it.plane.cancel(run.id, by="ada")
    return Case(run.id, "ada cancelled it")


async def rescued_too_often(it: Scene) -> Case:
    run = await ended(it, "mail", None, RunStatus.FAILED, Reason.RESCUED_TOO_OFTEN)
    return Case(run.id, "replica after replica died")


CASES: dict[Reason, Callable[[Scene], Awaitable[Case]]] = {
    Reason(made.__name__): made
    for made in (
        *(unregistered, no_schedule, row_refused, disabled, paused, params_refused, no_leader, not_due),
        *(waits_for_upstream, strict_order, queue_full, live_window, already_settled, max_instances),
        *(group_full, backfill_full, no_slot, retry_wait, released, rescued, misfired, coalesced),
        *(superseded, lookback, error, timeout, cancelled, rescued_too_often),
    )
}


async def told(it: Scene, about: str | int) -> Explanation:
    """What the plane tells of the flow or the run."""
    return await (it.plane.explain_run(about) if isinstance(about, int) else it.plane.explain_flow(about))


__all__ = ["CASES", "Case", "backfilled", "change", "led", "told"]
