"""A replica that is asked to stop: what is short ends, what is long goes elsewhere, and probes answer meanwhile."""

from __future__ import annotations

import signal

from piko_flow.planning.run_state import RunStatus
from tests.faults.control_scene import Scene


async def test_a_stop_lets_short_runs_end_and_gives_long_ones_to_another(control_scene: Scene) -> None:
    scene = control_scene
    leader, other = await scene.serving(2, drain_s="3")
    short, long = await scene.trigger("gated"), await scene.trigger("gated_too")
    for flow in ("gated", "gated_too"):
        assert (await scene.noted(flow, "began")).pid == leader.pid
    leader.signal(signal.SIGTERM)
    answer = await leader.says(lambda code, answer: code == 503 and answer["role"] == "draining")
    assert answer["problems"] == ["it drains: it takes no new runs"]
    assert (await leader.probe("/livez"))[0] == 200
    scene.open_gate("gated")
    done = await scene.in_state(short, RunStatus.SUCCESS)
    assert (done.replica, done.rescues) == (leader.id, 0)
    assert await leader.ended() == 0
    assert [len(scene.notes("gated", word)) for word in ("began", "ended", "cancelled")] == [1, 1, 0]
    assert (await scene.noted("gated_too", "cancelled")).pid == leader.pid
    assert (await scene.noted("gated_too", "closed")).pid == leader.pid
    assert leader.id not in {replica.id for replica in await scene.store.replicas()}
    assert (await scene.noted("gated_too", "began", 2)).pid == other.pid
    scene.open_gate("gated_too")
    moved = await scene.in_state(long, RunStatus.SUCCESS)
    assert (moved.replica, moved.rescues, moved.attempt) == (other.id, 0, 1)
    assert [len(scene.notes("gated_too", word)) for word in ("began", "ended", "closed")] == [2, 1, 2]


async def test_a_second_signal_ends_a_replica_at_once_and_its_run_is_rescued(sqlite_scene: Scene) -> None:
    scene = sqlite_scene
    leader, other = await scene.serving(2, drain_s="3600")
    run = await scene.trigger("gated")
    assert (await scene.noted("gated", "began")).pid == leader.pid
    leader.signal(signal.SIGTERM)
    await leader.logged("drains")
    leader.signal(signal.SIGTERM)
    assert await leader.ended() != 0
    assert (await scene.noted("gated", "began", 2)).pid == other.pid
    scene.open_gate("gated")
    done = await scene.in_state(run, RunStatus.SUCCESS)
    assert (done.replica, done.rescues) == (other.id, 1)
