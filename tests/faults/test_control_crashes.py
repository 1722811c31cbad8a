"""Replicas that are killed at each step of a run."""

from __future__ import annotations

from datetime import timedelta

from piko_flow.planning.run_state import RunStatus
from tests.faults.control_crashing import DEATHS, JOBS, WINDOWS
from tests.faults.control_scene import SECOND, Scene
from tests.system.running_app import eventually

PROGRAM = "tests.faults.control_crashing"
REPLICAS = 4
LONGEST = 100.0  # seconds
OPTIONS = {"max_runs": "1", "leader_lease_s": "1", "leader_renew_interval_s": "0.3", "replica_lease_s": "1.5"}


async def test_whichever_step_of_a_run_its_replica_dies_at_others_finish_it_and_nothing_is_doubled(
    control_scene: Scene,
) -> None:
    scene = control_scene
    (scene.folder / DEATHS).mkdir()
    hour = (await scene.now()).replace(minute=0, second=0, microsecond=0)
    due = await scene.now() + 2 * SECOND
    for flow in WINDOWS:
        await scene.schedule(flow, hours=1, begin=hour - timedelta(hours=2))
    for flow in JOBS:
        await scene.schedule(flow, run_date=f"{due:%Y-%m-%d %H:%M:%S}")

    async def over() -> bool:
        while sum(replica.alive for replica in scene.replicas) < REPLICAS:
            scene.start(PROGRAM, **OPTIONS)  # as whatever runs the processes does
        dead = {path.name for path in (scene.folder / DEATHS).iterdir()}
        ended = await scene.sql("SELECT COUNT(*) FROM job_run WHERE status = 'SUCCESS'")
        return dead == {*JOBS, *WINDOWS} and ended[0][0] >= len(JOBS) + 2 * len(WINDOWS)

    await eventually(over, within=LONGEST)
    for flow in WINDOWS:
        await scene.settled(flow, hour)
    for flow in JOBS:
        (run,) = await scene.runs(flow)
        assert run.status is RunStatus.SUCCESS
        assert 1 <= len(scene.notes(flow, "ran")) <= 1 + run.rescues
    ends = await scene.sql("SELECT DISTINCT status FROM job_run")
    assert ends == [(RunStatus.SUCCESS,)]
    killed = [replica for replica in scene.replicas if not replica.alive]
    assert len(killed) == len(JOBS) + len(WINDOWS)
