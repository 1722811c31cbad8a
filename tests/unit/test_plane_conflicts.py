"""Who acts on what they saw gets one clear message where it has become another one meanwhile, and changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_backfills import BackfillRequest
from piko_flow.control.operations.plane_dead_letters import WhichLetters
from piko_flow.control.options import ReplicaOptions
from piko_flow.errors import RequestConflicts, RequestRefused
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.opening import open_store
from piko_flow.store.seen import Seen
from tests.unit.dead_letter_worlds import World, odd, over
from tests.unit.planes import Scene, begun, ended, hour, queued, running, scene

Act = Callable[[ControlPlane, int, Seen], Awaitable[object]]


async def test_a_run_that_began_meanwhile_is_not_cancelled() -> None:
    world = scene()
    run = await running(world, "mail")
    with pytest.raises(RequestConflicts) as caught:
        await world.plane.cancel(run.id, expected=Seen(status=RunStatus.QUEUED, attempt=1))
    assert str(caught.value) == (
        f"cancel run {run.id}: it may not have changed since you looked at it; its status was QUEUED and is RUNNING. "
        "Look at it again, and decide anew"
    )
    assert await world.store.run(run.id) == run
    assert await world.store.audit() == []
    await world.plane.cancel(run.id, expected=Seen(status=RunStatus.RUNNING, attempt=1))


async def test_a_run_that_ended_meanwhile_is_a_conflict_and_not_a_mistake() -> None:
    world = scene()
    done = await ended(world, "mail")
    with pytest.raises(RequestConflicts, match="was RUNNING and is SUCCESS"):
        await world.plane.cancel(done.id, expected=Seen(status=RunStatus.RUNNING))
    with pytest.raises(RequestConflicts, match="was FAILED and is SUCCESS"):
        await world.plane.retry(done.id, expected=Seen(status=RunStatus.FAILED, attempt=1))
    with pytest.raises(RequestRefused) as caught:
        await world.plane.retry(done.id)
    assert not isinstance(caught.value, RequestConflicts)


async def test_of_two_who_retry_a_run_at_once_one_gets_the_conflict() -> None:
    world = scene()
    run = await ended(world, "mail", status=RunStatus.FAILED)
    seen = Seen(status=RunStatus.FAILED, attempt=1)
    await world.plane.retry(run.id, expected=seen)
    with pytest.raises(RequestConflicts, match="was FAILED and is QUEUED"):
        await world.plane.retry(run.id, expected=seen)


async def test_a_schedule_that_somebody_changed_meanwhile_is_neither_set_nor_deleted() -> None:
    world = scene()
    first = await world.plane.set_schedule("idle", "interval", '{"minutes": 5}', expected=Seen(version=0))
    seen = Seen(version=first.row.version)
    await world.plane.set_schedule("idle", max_instances=2, expected=seen)
    for act in (
        lambda: world.plane.set_schedule("idle", max_instances=3, expected=seen),
        lambda: world.plane.set_schedule("idle", "cron", '{"cron": "61 * * * *"}', expected=seen),
        lambda: world.plane.delete_schedule("idle", expected=seen),
    ):
        with pytest.raises(RequestConflicts, match="version was 1 and is 2"):
            await act()
    with pytest.raises(RequestConflicts, match="there was none then, and now there is version 2"):
        await world.plane.set_schedule("idle", max_instances=3, expected=Seen(version=0))
    await world.plane.delete_schedule("idle", expected=Seen(version=2))
    with pytest.raises(RequestConflicts, match="it was version 2 then, and now there is none"):
        await world.plane.delete_schedule("idle", expected=Seen(version=2))


async def test_params_that_somebody_changed_meanwhile_stay() -> None:
    world = scene()
    await world.plane.set_params("orders", changes={"limit": 1}, expected=Seen(version=0))
    await world.plane.set_params("orders", changes={"limit": 2}, expected=Seen(version=1))
    with pytest.raises(RequestConflicts, match="version was 1 and is 2"):
        await world.plane.set_params("orders", changes={"limit": 3}, expected=Seen(version=1))
    with pytest.raises(RequestConflicts, match="version was 1 and is 2"):
        await world.plane.rollback_params("orders", 1, expected=Seen(version=1))
    assert (await world.plane.params("orders")).values["limit"] == 2
    assert (await world.plane.rollback_params("orders", 1, expected=Seen(version=2))).version == 3


async def pause(plane: ControlPlane, number: int, seen: Seen) -> None:
    await plane.pause_backfill(number, expected=seen)


async def resume(plane: ControlPlane, number: int, seen: Seen) -> None:
    await plane.resume_backfill(number, expected=seen)


async def cancel(plane: ControlPlane, number: int, seen: Seen) -> None:
    await plane.cancel_backfill(number, expected=seen)


@pytest.mark.parametrize("act", [pause, resume, cancel])
@pytest.mark.parametrize("state", ["paused", "done", "cancelled"])
async def test_a_backfill_that_somebody_changed_meanwhile_stays(act: Act, state: str) -> None:
    world = scene()
    number = await a_backfill(world)
    await world.store.set_backfill(number, state=state)
    with pytest.raises(RequestConflicts, match=f"state was running and is {state}"):
        await act(world.plane, number, Seen(state="running"))
    assert [one.state for one in await world.store.backfills()] == [state]


async def a_backfill(world: Scene) -> int:
    await begun(world, "orders", since=8, planned=12, is_stateful=True)
    request = BackfillRequest(flow="orders", span=Window(hour(8).start, hour(10).end))
    plan = await world.plane.plan_backfill(request)
    return (await world.plane.apply_backfill(request, digest=plan.digest)).id


async def test_a_letter_that_somebody_dealt_with_meanwhile_is_neither_dropped_nor_replayed() -> None:
    world, seen = World(), Seen(state="open")
    await world.run(world.register(over([2, 4], odd, [])))
    first, second = await world.letters()
    await world.plane.drop(WhichLetters((first.id,)), expected=seen)
    for which in (WhichLetters((first.id,)), WhichLetters((first.id, second.id))):
        with pytest.raises(RequestConflicts, match="state was open and is dropped"):
            await world.plane.drop(which, expected=seen)
        with pytest.raises(RequestConflicts, match="state was open and is dropped"):
            await world.plane.replay(which, expected=seen)
    assert [one.id for one in await world.letters()] == [second.id]
    await world.plane.drop(WhichLetters(flow="orders"), expected=seen)
    with pytest.raises(RequestConflicts, match="is open no more"):
        await world.plane.drop(WhichLetters(flow="orders"), expected=seen)


async def test_of_two_replicas_that_save_a_schedule_at_once_one_gets_the_conflict(tmp_path: Path) -> None:
    world, url = scene(), f"sqlite:///{tmp_path / 'piko.db'}"
    stores = [await open_store(url), await open_store(url)]
    planes = [
        ControlPlane(store=store, registry=world.registry, options=ReplicaOptions(), clock=world.clock)
        for store in stores
    ]
    await planes[0].set_schedule("idle", "interval", '{"minutes": 5}')
    for version in range(1, 6):
        ends = await asyncio.gather(
            *(
                plane.set_schedule("idle", max_instances=9 + version, expected=Seen(version=version))
                for plane in planes
            ),
            return_exceptions=True,
        )
        assert sorted(isinstance(one, RequestConflicts) for one in ends) == [False, True]
    kept = await planes[0].audit(subject="flow idle")
    assert len(kept.changes) == 6, "who got the conflict changed nothing, and so is not in the audit"
    for store in stores:
        await store.close()


async def test_what_cannot_have_been_seen_is_a_mistake_of_the_program() -> None:
    world = scene()
    run = await queued(world, "mail")
    with pytest.raises(ValueError, match="its version cannot have been seen"):
        await world.plane.cancel(run.id, expected=Seen(version=3))
