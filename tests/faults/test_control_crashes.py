"""Replicas that are killed at each step of a run."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

import pytest

from piko_flow.planning.run_state import RunStatus
from tests.faults.control_crashing import DEATHS, FILES, FOLDER, JOBS, REMEMBERED, SPLITS, WINDOWS
from tests.faults.control_scene import SECOND, Scene
from tests.system.running_app import eventually

PROGRAM = "tests.faults.control_crashing"
REPLICAS = 4
LONGEST = 300.0  # seconds
OPTIONS = {"max_runs": "1"}

pytestmark = pytest.mark.timeout(LONGEST + 60)


async def hours_to_do(scene: Scene, flows: Iterable[str]) -> datetime:
    """Give these flows two windows of an hour each, the last of which ends now; gives this end."""
    (scene.folder / DEATHS).mkdir()
    end = (await scene.now()).replace(microsecond=0)
    for flow in flows:
        begin = end - timedelta(hours=2)
        await scene.schedule(flow, hours=1, start_date=f"{begin:%Y-%m-%d %H:%M:%S}", begin=begin)
    return end


async def over(scene: Scene, flows: Collection[str], runs: int) -> None:
    """Return when a replica has died of each of these flows and so many runs have succeeded; then none has failed.

    Who dies is started again, as whatever runs the processes does.
    """

    async def all_over() -> bool:
        while sum(replica.alive for replica in scene.replicas) < REPLICAS:
            scene.start(PROGRAM, **OPTIONS)
        dead = {path.name for path in (scene.folder / DEATHS).iterdir()}
        ended = await scene.sql("SELECT COUNT(*) FROM job_run WHERE status = 'SUCCESS'")
        return dead == set(flows) and ended[0][0] >= runs

    await eventually(all_over, within=LONGEST)
    ends = await scene.sql("SELECT DISTINCT status FROM job_run")
    assert ends == [(RunStatus.SUCCESS,)]
    killed = [replica for replica in scene.replicas if not replica.alive]
    assert len(killed) == len(flows)


async def test_whichever_step_of_a_run_its_replica_dies_at_others_finish_it_and_nothing_is_doubled(
    control_scene: Scene,
) -> None:
    scene = control_scene
    end = await hours_to_do(scene, WINDOWS)
    due = await scene.now() + 2 * SECOND
    for flow in JOBS:
        await scene.schedule(flow, run_date=f"{due:%Y-%m-%d %H:%M:%S}")
    await over(scene, [*JOBS, *WINDOWS], len(JOBS) + 2 * len(WINDOWS))
    for flow in WINDOWS:
        await scene.settled(flow, end)
    for flow in JOBS:
        (run,) = await scene.runs(flow)
        assert run.status is RunStatus.SUCCESS
        assert 1 <= len(scene.notes(flow, "ran")) <= 1 + run.rescues


async def test_whichever_step_of_a_files_commit_its_replica_dies_at_others_publish_it_once_from_its_receipts(
    control_scene: Scene,
) -> None:
    scene = control_scene
    end = await hours_to_do(scene, FILES)
    begins = [end - timedelta(hours=2), end - timedelta(hours=1)]
    await over(scene, FILES, len(FILES) * len(begins))
    expected = {
        f"{flow}-{begin:%d%H}-{split:05d}.jsonl": {"start": begin.isoformat(), "split": split}
        for flow in FILES
        for begin in begins
        for split in SPLITS
    }
    written = {path.name: path.read_text().splitlines() for path in (scene.folder / FOLDER).iterdir()}
    assert {name: [json.loads(line) for line in lines] for name, lines in written.items()} == {
        name: [row] for name, row in expected.items()
    }
    for flow, step in FILES.items():
        await scene.done_once(flow, begins, end)
        rescued = [run for run in await scene.runs(flow) if run.rescues]
        assert bool(rescued) == (step != "after_ending")
        for run in rescued:
            for split in SPLITS:
                reads = [one for one in scene.notes(flow, f"read {split}") if one.run == run.id]
                assert len(reads) <= run.rescues + (step not in REMEMBERED), (
                    "an attempt read what was prepared"
                )
