"""Leaders that die, stand still or lose their lease: another leads, and what was theirs is neither lost nor doubled."""

from __future__ import annotations

from datetime import timedelta

from piko_flow import Settings
from piko_flow.planning.run_state import RunStatus
from tests.faults.control_elsewhere import ROWS, make_table, written
from tests.faults.control_replicas import LEASE, QUICK, Replica
from tests.faults.control_scene import Scene
from tests.system.command import piko
from tests.system.running_app import eventually

SECOND = timedelta(seconds=1)
TAKEN = "was taken from this replica while it ran"


async def left_for(scene: Scene, dead: Replica) -> timedelta:
    """For how long the lease of a dead leader still holds, by the database's clock; not at all when another has it."""
    pulse = await scene.store.pulse("default", "")
    assert pulse.lease is not None
    return pulse.lease.until - pulse.now if pulse.lease.holder == dead.id else timedelta(0)


async def test_a_leader_that_stood_still_beyond_its_lease_can_end_and_commit_nothing_of_what_was_taken(
    control_scene: Scene,
) -> None:
    scene = control_scene
    hour = (await scene.now()).replace(minute=0, second=0, microsecond=0)
    await scene.schedule("gated_windows", hours=1, begin=hour - timedelta(hours=1))
    await scene.schedule("quick", seconds=1)
    leader, other = await scene.serving(2)
    job = await scene.trigger("gated")
    for flow in ("gated", "gated_windows"):
        assert (await scene.noted(flow, "began")).pid == leader.pid
    await scene.freeze(leader)
    assert await scene.leader(but=leader) is other
    for flow in ("gated", "gated_windows"):
        assert (await scene.noted(flow, "began", 2)).pid == other.pid
        scene.open_gate(flow)
    done = await scene.in_state(job, RunStatus.SUCCESS)
    assert (done.replica, done.rescues) == (other.id, 1)
    await scene.settled("gated_windows", hour)
    leader.thaw()
    await leader.says(lambda code, answer: (code, answer["status"]) == (200, "standby"))
    await leader.logged(TAKEN, 2)
    assert len(scene.notes("gated", "ended")) == 2, "the woken one did work to the end"
    assert await scene.store.run(job.id) == done
    await scene.settled("gated_windows", hour)
    await scene.fired_each_second("quick")


async def test_a_leader_that_stood_still_writes_at_worst_the_same_window_again_outside_of_the_ledger(
    control_scene: Scene,
) -> None:
    scene = control_scene
    make_table(scene.folder)
    begin = (await scene.now()).replace(microsecond=0) - timedelta(minutes=90)
    end = begin + timedelta(hours=1)  # so that the next window is half an hour away
    flows = {"reads_at_gate": "began", "commits_at_gate": "commits"}
    for flow in flows:
        await scene.schedule(flow, hours=1, start_date=begin.isoformat(), begin=begin)
    leader, other = await scene.serving(2)
    for flow, word in flows.items():
        assert (await scene.noted(flow, word)).pid == leader.pid

    async def half() -> bool:
        return [row[2] for row in written(scene.folder)[0]] == [ROWS, ROWS // 2]

    await eventually(half)  # so that it holds no lock of the file
    await scene.freeze(leader)
    assert await scene.leader(but=leader) is other
    for flow, word in flows.items():
        assert (await scene.noted(flow, word, 2)).pid == other.pid
        scene.open_gate(flow)
        await scene.done_once(flow, [begin], end)
    rows, files = written(scene.folder)
    start = begin.isoformat()
    assert rows == [("commits_at_gate", start, ROWS), ("reads_at_gate", start, ROWS)]
    assert sorted(text.count(b"\n") for text in files.values()) == [ROWS, ROWS]
    leader.thaw()
    await leader.logged(TAKEN, 2)
    assert (await scene.noted("commits_at_gate", "committed", 2)).pid == leader.pid

    async def nothing_else() -> bool:
        return written(scene.folder) == (rows, files)

    await eventually(nothing_else)
    for flow in flows:
        await scene.done_once(flow, [begin], end)


async def test_when_the_leader_is_killed_another_leads_in_time_and_no_fire_is_lost(
    control_scene: Scene,
) -> None:
    scene = control_scene
    await scene.schedule("quick", seconds=1)
    await scene.schedule("quick_each", seconds=1, coalesce=False)
    await scene.schedule("windows", seconds=1, begin=(await scene.now()).replace(microsecond=0))
    leader, other = await scene.serving(2)
    for flow in ("quick", "quick_each", "windows"):
        await scene.in_state(flow, RunStatus.SUCCESS)
    leader.kill()
    at = await scene.now()
    assert await left_for(scene, leader) <= LEASE
    assert await scene.leader(but=leader) is other
    await scene.settled("windows", at + 3 * SECOND)
    await scene.fired_each_second("quick")
    each = await scene.fired_each_second("quick_each")
    assert {run.fires for run in each} == {1}


async def test_by_default_what_a_dead_leader_leaves_runs_out_within_nine_seconds_and_another_leads(
    sqlite_scene: Scene,
) -> None:
    usual = {name: str(Settings.model_fields[name].default) for name in QUICK if name != "cpu_workers"}
    leader, other = await sqlite_scene.serving(2, **usual)
    leader.kill()
    assert await left_for(sqlite_scene, leader) <= timedelta(seconds=9)
    assert await sqlite_scene.leader(but=leader) is other


async def test_where_only_the_leader_executes_losing_the_lease_returns_its_runs(control_scene: Scene) -> None:
    scene = control_scene
    leader, _ = await scene.serving(2, execute="leader")
    before = await scene.lease()
    job = await scene.trigger("gated")
    assert (await scene.noted("gated", "began")).pid == leader.pid
    done = piko("leader", "resign", folder=scene.folder, PIKO_DATABASE=scene.url)
    assert done.returncode == 0, done.stderr
    await scene.noted("gated", "cancelled")
    again = await scene.noted("gated", "began", 2)
    after = await scene.lease()
    assert before is not None
    assert after is not None
    assert after.term > before.term
    assert scene.replica_of(again).id == after.holder
    scene.open_gate("gated")
    ended = await scene.in_state(job, RunStatus.SUCCESS)
    assert (ended.replica, ended.rescues, ended.attempt) == (after.holder, 0, 1)
    assert [len(scene.notes("gated", word)) for word in ("opened", "closed", "ended")] == [2, 2, 1]
