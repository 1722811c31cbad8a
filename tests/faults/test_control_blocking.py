"""A flow that holds the loop on which runs are executed."""

from __future__ import annotations

from pathlib import Path

from piko_flow.planning.run_state import RunStatus
from tests.faults.control_replicas import LEASE
from tests.faults.control_scene import Scene
from tests.system.running_app import eventually

FLOWS = str(Path(__file__).with_name("control_flows.py"))


async def test_a_flow_that_blocks_for_longer_than_the_lease_costs_no_lease_and_is_told_with_its_place(
    control_scene: Scene,
) -> None:
    scene = control_scene
    await scene.schedule("quick", seconds=1)
    leader, other = await scene.serving(2)
    before = await scene.lease()
    run = await scene.trigger("blocking")
    assert (await scene.noted("blocking", "began")).pid == leader.pid
    began = await scene.now()
    answer = await leader.says(lambda code, answer: code == 503)
    assert answer["role"] == "leader"
    (problem,) = answer["problems"]
    assert problem.startswith("the loop of runs is held by ")
    assert f"{FLOWS}:" in problem
    assert problem.endswith(" in blocking")

    async def blocked_for_longer_than_the_lease() -> bool:
        return await scene.now() - began > LEASE

    await eventually(blocked_for_longer_than_the_lease)
    after = await scene.lease()
    assert before is not None
    assert after is not None
    assert (after.holder, after.term) == (before.holder, before.term)

    async def due_meanwhile() -> bool:
        return any(fire.scheduled_time > began for fire in await scene.runs("quick"))

    await eventually(due_meanwhile)
    scene.open_gate("blocking")
    done = await scene.in_state(run, RunStatus.SUCCESS)
    assert (done.replica, done.rescues) == (leader.id, 0)
    await leader.says(lambda code, answer: (code, answer["role"]) == (200, "leader"))
    assert "the loop of runs is held since" in leader.log
    assert "the loop of runs turns again; it was held by" in leader.log
    assert FLOWS in leader.log
    assert "leads in term" not in other.log
    await scene.fired_each_second("quick")
