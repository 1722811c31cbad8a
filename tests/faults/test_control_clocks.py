"""Hosts whose clocks are wrong: what is due is judged by the database's."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from piko_flow.control.options import ReplicaOptions
from piko_flow.planning.run_state import RunStatus
from tests.faults.control_replicas import Replica
from tests.faults.control_scene import SECOND, Scene

WRONG = "tests.faults.control_wrong_clock"
MINUTES = timedelta(minutes=30)


async def led_by(scene: Scene, leader: Replica) -> None:
    """Look at a second of fires under this leader."""
    assert await scene.leader() is leader
    begun = await scene.now()
    await scene.fired_after("quick", begun + SECOND)
    for run in await scene.runs("quick"):
        assert run.created_at is not None
        assert run.scheduled_time <= (run.start_time or run.created_at + ReplicaOptions().ahead)
        if run.scheduled_time > begun:
            assert run.created_at - run.scheduled_time < MINUTES


async def test_fires_come_by_the_databases_clock_whatever_the_leaders_host_believes(
    mariadb_scene: Scene,
) -> None:
    scene = mariadb_scene
    await scene.schedule("quick", seconds=1)
    await scene.schedule("quick_each", run_date=f"{await scene.now() + MINUTES:%Y-%m-%d %H:%M:%S}")
    await scene.schedule("windows", seconds=1, begin=(await scene.now()).replace(microsecond=0))
    fast, slow, right = scene.start(WRONG, "3600"), scene.start(WRONG, "-3600"), scene.start()
    await asyncio.gather(*(replica.serving() for replica in (fast, slow, right)))
    order = []
    for _ in range(3):
        leader = await scene.leader()
        order.append(leader)
        await led_by(scene, leader)
        terms = await scene.lease()
        if len(order) < 3:
            leader.kill()
            await scene.leader(but=leader)
        assert terms is not None
        assert terms.term == len(order), "no clock made anyone take a lease that held"
    assert set(order) == {fast, slow, right}
    at = await scene.now()
    await scene.settled("windows", at)
    await scene.fired_each_second("quick")
    assert await scene.runs("quick_each") == []
    assert {run.status for run in await scene.runs("windows")} <= {
        RunStatus.SUCCESS,
        RunStatus.QUEUED,
        RunStatus.RUNNING,
    }
