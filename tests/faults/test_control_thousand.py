"""A thousand flows that are due in the same second."""

from __future__ import annotations

import json

from piko_flow.planning.run_state import RunStatus
from tests.faults.control_replicas import SERVE
from tests.faults.control_scene import SECOND, Scene
from tests.faults.control_thousand import NAMES
from tests.system.running_app import eventually

ROWS = "INSERT INTO scheduled_job (job_id, schedule_type, schedule_expr, misfire_grace_s) VALUES "


async def test_a_thousand_flows_due_in_the_same_second_all_run_once(control_scene: Scene) -> None:
    scene = control_scene
    program = [word.replace("control_flows", "control_thousand") for word in SERVE]
    replica = scene.start(*program)
    await replica.serving()
    await scene.leader()
    due = await scene.now() + 4 * SECOND
    values = ", ".join(f"('{name}', 'date', :due, 3600)" for name in NAMES)
    await scene.sql(ROWS + values, due=json.dumps({"run_date": f"{due:%Y-%m-%d %H:%M:%S}"}))

    async def over() -> bool:
        rows = await scene.sql("SELECT COUNT(*) FROM job_run WHERE status = 'SUCCESS'")
        return rows == [(len(NAMES),)]

    await eventually(over)
    rows = await scene.sql("SELECT job_id, status, attempt, fires FROM job_run ORDER BY job_id")
    assert rows == [(name, RunStatus.SUCCESS, 1, 1) for name in NAMES]
    ran = (scene.folder / "notes").read_text().splitlines()
    assert len(ran) == len({json.loads(line)["run"] for line in ran}) == len(NAMES)
    code, answer = await replica.probe("/readyz")
    assert (code, answer["role"]) == (200, "leader")
    assert "WARNING" not in replica.log
