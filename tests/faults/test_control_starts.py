"""Two at the same instant: replicas that begin on an empty database, triggers of the same key."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from piko_flow.planning.run_state import RunStatus
from tests.faults.control_scene import Scene, scene
from tests.system.command import environment

TRIGGER = (
    *("-m", "piko_flow.cli.main", "trigger", "quick", "--key", "once", "--json"),
    *("--package", "tests.faults.control_flows"),
)


async def triggered(on: Scene) -> int:
    """The run that a command of its own gets for the key."""
    command = await asyncio.create_subprocess_exec(
        sys.executable,
        *TRIGGER,
        cwd=on.folder,
        env=environment(PIKO_DATABASE=on.url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await command.communicate()
    assert command.returncode == 0, err.decode()
    found: int = json.loads(out)["run"]["id"]
    return found


async def test_replicas_that_begin_at_once_on_an_empty_database_both_work(
    control_url: str, tmp_path: Path
) -> None:
    async with scene(tmp_path, control_url, empty=True) as on:
        replicas = [on.start() for _ in range(2)]
        await asyncio.gather(*(replica.serving() for replica in replicas))
        await on.open_store()
        leader = await on.leader()
        (other,) = (replica for replica in replicas if replica is not leader)
        await leader.says(lambda code, answer: (code, answer.get("role")) == (200, "leader"))
        await other.says(lambda code, answer: (code, answer.get("role")) == (200, "standby"))
        assert {replica.id for replica in await on.store.replicas()} == {leader.id, other.id}

        got = await asyncio.gather(*(triggered(on) for _ in range(3)))
        (run,) = await on.runs("quick")
        assert set(got) == {run.id}
        await on.in_state(run, RunStatus.SUCCESS)
        assert len(on.notes("quick", "ran")) == 1
        assert [replica.log.count("WARNING") for replica in replicas] == [0, 0]
