"""Rows that a person changes while a run of theirs is running."""

from __future__ import annotations

from piko_flow.planning.run_state import RunStatus
from tests.faults.control_scene import SECOND, Scene


async def test_a_run_whose_schedule_is_deleted_or_disabled_meanwhile_ends_well_and_nothing_follows(
    control_scene: Scene,
) -> None:
    scene = control_scene
    await scene.schedule("gated", seconds=1)
    await scene.schedule("gated_too", seconds=1)
    await scene.schedule("quick", seconds=1)
    await scene.serving(1)
    for flow in ("gated", "gated_too"):
        await scene.noted(flow, "began")
    await scene.sql("DELETE FROM scheduled_job WHERE job_id = 'gated'")
    await scene.sql("UPDATE scheduled_job SET enabled = 0 WHERE job_id = 'gated_too'")
    await scene.schedule("quick_each", seconds=1)
    await scene.in_state(
        "quick_each", RunStatus.SUCCESS
    )  # rows are read all at once: the others are known, too
    known = {flow: await scene.runs(flow) for flow in ("gated", "gated_too")}
    for flow in known:
        scene.open_gate(flow)
    for runs in known.values():
        for run in runs:
            await scene.in_state(run, RunStatus.SUCCESS)
    await scene.fired_after("quick", await scene.now() + SECOND)
    for flow, runs in known.items():
        assert [(run.id, run.fires) for run in await scene.runs(flow)] == [
            (run.id, run.fires) for run in runs
        ]
        assert len(scene.notes(flow, "ended")) == len(runs)
