"""A replica that is asked to stop: what is short ends, what is long goes elsewhere, and probes answer meanwhile."""

from __future__ import annotations

import signal

from piko_flow.planning.run_state import RunStatus
from piko_flow.store.records import RunRecord
from tests.faults.control_replicas import Replica
from tests.faults.control_scene import Scene


async def both_begun(scene: Scene, drain_s: str) -> tuple[Replica, Replica, RunRecord, RunRecord]:
    """A leader with two runs in hand and this budget, another replica, and the runs."""
    leader, other = await scene.serving(2, drain_s=drain_s)
    runs = await scene.trigger("gated"), await scene.trigger("gated_too")
    for flow in ("gated", "gated_too"):
        assert (await scene.noted(flow, "began")).pid == leader.pid
    return leader, other, *runs


async def test_a_stop_lets_runs_end_and_probes_answer_meanwhile(control_scene: Scene) -> None:
    scene = control_scene
    leader, other, first, second = await both_begun(scene, "3600")
    leader.signal(signal.SIGTERM)
    answer = await leader.says(lambda code, answer: code == 503 and answer["role"] == "draining")
    assert answer["problems"] == ["it drains: it takes no new runs"]
    assert (await leader.probe("/livez"))[0] == 200
    assert await scene.leader(but=leader) is other
    for flow, run in (("gated", first), ("gated_too", second)):
        assert leader.alive
        scene.open_gate(flow)
        done = await scene.in_state(run, RunStatus.SUCCESS)
        assert (done.replica, done.rescues) == (leader.id, 0)
        assert [len(scene.notes(flow, word)) for word in ("began", "ended", "cancelled")] == [1, 1, 0]
    assert await leader.ended() == 0
    assert leader.id not in {replica.id for replica in await scene.store.replicas()}


async def test_a_run_that_outlasts_the_drain_is_closed_and_given_to_another_as_the_same_attempt(
    control_scene: Scene,
) -> None:
    scene = control_scene
    leader, other, *runs = await both_begun(scene, "0.5")
    leader.signal(signal.SIGTERM)
    assert await leader.ended() == 0
    assert leader.id not in {replica.id for replica in await scene.store.replicas()}
    for flow, run in zip(("gated", "gated_too"), runs, strict=True):
        assert (await scene.noted(flow, "cancelled")).pid == leader.pid
        assert (await scene.noted(flow, "closed")).pid == leader.pid
        assert (await scene.noted(flow, "began", 2)).pid == other.pid
        scene.open_gate(flow)
        moved = await scene.in_state(run, RunStatus.SUCCESS)
        assert (moved.replica, moved.rescues, moved.attempt) == (other.id, 0, 1)
        assert [len(scene.notes(flow, word)) for word in ("began", "ended", "closed")] == [2, 1, 2]


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


async def begun(scene: Scene, flow: str, drain_s: str) -> Replica:
    """A replica with this budget that is at work on a run of the flow."""
    (replica,) = await scene.serving(1, drain_s=drain_s)
    await scene.trigger(flow)
    await scene.noted(flow, "began")
    return replica


async def test_ctrl_c_twice_ends_a_replica_whose_run_takes_no_notice_of_it(sqlite_scene: Scene) -> None:
    replica = await begun(sqlite_scene, "stubborn", "3600")
    replica.signal(signal.SIGINT)
    await replica.logged("drains")
    replica.signal(signal.SIGINT)
    assert await replica.ended() == 128 + signal.SIGINT
    assert sqlite_scene.notes("stubborn", "cancelled")


async def test_a_drain_ends_although_a_thread_of_a_run_never_returns(sqlite_scene: Scene) -> None:
    replica = await begun(sqlite_scene, "in_a_thread", "0.5")
    replica.signal(signal.SIGTERM)
    assert await replica.ended() == 0
