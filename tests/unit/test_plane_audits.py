"""Every change through the control plane is kept with who made it, and how it was and became."""

import getpass
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from piko_flow.control.flows.flow import Flow
from piko_flow.control.operations.audit import LONGEST
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_backfills import BackfillRequest
from piko_flow.control.operations.plane_dead_letters import WhichLetters
from piko_flow.errors import RequestRefused
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.records import DeadLetterRecord
from tests.unit.dead_letter_worlds import World, odd, over
from tests.unit.planes import Scene, begun, do_nothing, ended, hour, lead, queued, running, scene

LETTER = DeadLetterRecord("mail", 0, "parse", "{}", "ValueError", "no id", "f" * 32)
Change = Callable[[ControlPlane, Scene], Awaitable[object]]


class Login(BaseModel):
    user: str = "piko"
    word: SecretStr = SecretStr("swordfish")


class Told(BaseModel):
    """Parameters with all kinds of secrets."""

    region: str = "eu"
    card: str = ""
    login: Login = Login()


async def trigger(plane: ControlPlane, world: Scene) -> None:
    await plane.trigger("orders", window=hour(9), params={"limit": 5, "api_token": "swordfish"})


async def cancel(plane: ControlPlane, world: Scene) -> None:
    await plane.cancel((await queued(world, "mail")).id)


async def stop(plane: ControlPlane, world: Scene) -> None:
    await plane.cancel((await running(world, "mail")).id)


async def retry(plane: ControlPlane, world: Scene) -> None:
    await plane.retry((await ended(world, "mail", status=RunStatus.FAILED)).id)


async def set_new_schedule(plane: ControlPlane, world: Scene) -> None:
    await plane.set_schedule("idle", "cron", '{"cron": "0 * * * *"}', jitter=timedelta(seconds=3))


async def set_schedule(plane: ControlPlane, world: Scene) -> None:
    await plane.set_schedule("orders", max_instances=2)


async def delete_schedule(plane: ControlPlane, world: Scene) -> None:
    await plane.delete_schedule("orders")


async def pause(plane: ControlPlane, world: Scene) -> None:
    await plane.pause("orders")


async def resume(plane: ControlPlane, world: Scene) -> None:
    await world.store.pause("orders", "paused by somebody")
    await plane.resume("orders")


async def pause_all(plane: ControlPlane, world: Scene) -> None:
    await plane.pause_all()


async def resume_all(plane: ControlPlane, world: Scene) -> None:
    await world.store.set_config(
        "piko_system_settings", '{"paused": true}', schema_version=1, effective_from=None
    )
    await plane.pause_all(paused=False)


async def set_params(plane: ControlPlane, world: Scene) -> None:
    await world.store.set_config("orders", '{"limit": 3}', schema_version=1, effective_from=None)
    await plane.set_params("orders", changes={"limit": 4, "api_token": "swordfish"})


async def rollback(plane: ControlPlane, world: Scene) -> None:
    quiet = plane.acting("", "cli")
    for limit in (3, 4):
        await quiet.set_params("orders", changes={"limit": limit})
    await plane.rollback_params("orders", 1)


async def applied(plane: ControlPlane, world: Scene) -> int:
    request = BackfillRequest(flow="orders", span=Window(hour(8).start, hour(10).end), params={"limit": 7})
    return (await plane.apply_backfill(request, digest=(await plane.plan_backfill(request)).digest)).id


async def pause_backfill(plane: ControlPlane, world: Scene) -> None:
    await plane.pause_backfill(await applied(plane, world))


async def resume_backfill(plane: ControlPlane, world: Scene) -> None:
    number = await applied(plane, world)
    await world.store.set_backfill(number, state="paused")
    await plane.resume_backfill(number)


async def cancel_backfill(plane: ControlPlane, world: Scene) -> None:
    await plane.cancel_backfill(await applied(plane, world))


async def drop(plane: ControlPlane, world: Scene) -> None:
    await world.store.keep_dead_letters([LETTER, LETTER])
    await plane.drop(WhichLetters(flow="mail"))


async def resign(plane: ControlPlane, world: Scene) -> None:
    await lead(world)
    await plane.resign_leader()


async def prune(plane: ControlPlane, world: Scene) -> None:
    await ended(world, "mail")
    await plane.prune(older_than=None, keep=0)


ROW = {
    "schedule_type": "cron",
    "schedule_expr": '{"cron": "0 * * * *"}',
    "timezone": "",
    "enabled": True,
    "misfire_grace": 300.0,
    "coalesce": True,
    "max_instances": 1,
    "jitter": 0.0,
    "executor": "cpu",
    "concurrency_group": "default",
    "is_stateful": True,
    "max_lookback_window": 0,
}
GOING, PAUSED = {"paused": False}, {"paused": True}
QUEUED = {"flow": "mail", "status": "QUEUED", "cancel_requested": False}
RUNNING = {**QUEUED, "status": "RUNNING"}
FAILED = {"flow": "mail", "status": "FAILED", "attempt": 1}
HOUR_9 = {"start": "2026-03-02T09:00:00+00:00", "end": "2026-03-02T10:00:00+00:00"}
TRIGGERED = {"flow": "orders", "window": HOUR_9, "params": {"limit": 5, "api_token": "******"}}
SET_3 = {"version": 1, "values": {"limit": 3}, "effective_from": None}
SET_4 = {"version": 2, "values": {"limit": 4}, "effective_from": None}
SET_SECRET = {**SET_4, "values": {"limit": 4, "api_token": "******"}}
APPLIED = {
    "flow": "orders",
    "kind": "missing",
    "span": {"start": "2026-03-02T08:00:00+00:00", "end": "2026-03-02T11:00:00+00:00"},
    "windows": 3,
    "newest_first": False,
    "concurrency": 1,
    "params": {"limit": 7},
}
ORDERS = {"flow": "orders"}
NEW = {**ROW, "jitter": 3.0, "is_stateful": False}

VERBS: list[tuple[Change, str, str, Any, Any]] = [
    (trigger, "run.trigger", "run 1", None, TRIGGERED),
    (cancel, "run.cancel", "run 1", QUEUED, {**QUEUED, "status": "CANCELLED", "cancel_requested": True}),
    (stop, "run.cancel", "run 1", RUNNING, {**RUNNING, "cancel_requested": True}),
    (retry, "run.retry", "run 1", FAILED, {**FAILED, "status": "QUEUED", "attempt": 2}),
    (set_new_schedule, "schedule.set", "flow idle", None, NEW),
    (set_schedule, "schedule.set", "flow orders", {"max_instances": 1}, {"max_instances": 2}),
    (delete_schedule, "schedule.delete", "flow orders", ROW, None),
    (pause, "schedule.pause", "flow orders", GOING, PAUSED),
    (resume, "schedule.resume", "flow orders", PAUSED, GOING),
    (pause_all, "schedule.pause_all", "all flows", GOING, PAUSED),
    (resume_all, "schedule.resume_all", "all flows", PAUSED, GOING),
    (set_params, "params.set", "flow orders", SET_3, SET_SECRET),
    (rollback, "params.rollback", "flow orders", SET_4, {**SET_3, "version": 3}),
    (applied, "backfill.apply", "backfill 1", None, APPLIED),
    (
        pause_backfill,
        "backfill.pause",
        "backfill 1",
        {**ORDERS, "state": "running"},
        {**ORDERS, "state": "paused"},
    ),
    (
        resume_backfill,
        "backfill.resume",
        "backfill 1",
        {**ORDERS, "state": "paused"},
        {**ORDERS, "state": "running"},
    ),
    (
        cancel_backfill,
        "backfill.cancel",
        "backfill 1",
        {**ORDERS, "state": "running"},
        {**ORDERS, "state": "cancelled"},
    ),
    (drop, "dead_letter.drop", "flow mail", {"letters": [2, 1], "state": "open"}, {"state": "dropped"}),
    (resign, "leader.resign", "lease default", {"holder": "one", "term": 1}, None),
    (prune, "runs.prune", "all runs", None, {"older_than": None, "keep": 0, "deleted": 1}),
]


async def a_world() -> Scene:
    """A scene in which `orders` has an hourly row and windows to run."""
    world = scene()
    await begun(world, "orders", since=8, planned=12, is_stateful=True)
    return world


@pytest.mark.parametrize(("change", "action", "subject", "before", "after"), VERBS)
async def test_each_change_is_kept_once_with_how_it_was_and_became(
    change: Change, action: str, subject: str, before: Any, after: Any
) -> None:
    world = await a_world()
    await change(world.plane.acting("ada", "console"), world)
    [kept] = [one for one in await world.store.audit() if (one.who, one.action) == ("ada", action)]
    assert (kept.who, kept.via, kept.subject) == ("ada", "console", subject)
    told = [json.loads(text) if text else None for text in (kept.before, kept.after)]
    assert told == [before, after]
    assert "swordfish" not in kept.before + kept.after


def test_no_changing_method_of_the_plane_is_left_out() -> None:
    looking = {
        *("acting", "changed", "now", "schedule", "row", "zone", "registered", "rows_changed", "queue"),
        *("schedules", "schedules_of", "schedule_page", "schedule_view", "preview"),
        *("paused_all", "flows", "flow", "known_flows", "upstreams", "why_barred", "why_not_retried"),
        *("runs", "run", "params", "params_history"),
        *("plan_trigger", "in_force", "plan_backfill", "backfills", "backfill", "letter_groups", "chosen"),
        *("dead_letters", "dead_letter", "leader", "audit", "explain_flow", "explain_run", "replay"),
        "given_up_params",
    }
    verbs = {
        *("trigger", "cancel", "retry", "set_schedule", "delete_schedule", "pause", "resume", "pause_all"),
        *("set_params", "rollback_params", "apply_backfill", "pause_backfill", "resume_backfill"),
        *("cancel_backfill", "drop", "resign_leader", "prune"),
    }
    public = {name for name in dir(ControlPlane) if not name.startswith("_")}
    assert public - looking - verbs == set(), "a new method: audit it and add it here"


async def test_a_replay_is_kept_with_the_letters_that_it_takes() -> None:
    world = World()
    await world.run(world.register(over([2, 4], odd, [])))
    letters = [letter.id for letter in await world.letters()]
    [run] = (await world.plane.acting("ada", "api").replay(WhichLetters(tuple(letters)))).runs
    [kept] = await world.store.audit()
    assert (kept.who, kept.action, kept.subject) == ("ada", "dead_letter.replay", f"run {run.id}")
    assert json.loads(kept.after) == {"flow": "orders", "letters": letters}
    assert run.requested_by == "ada"


async def test_without_another_name_it_is_the_user_of_the_system() -> None:
    world = await a_world()
    await world.plane.pause("orders")
    await world.plane.resume("orders", by="bob")
    newest, first = await world.store.audit()
    assert (newest.who, first.via) == ("bob", "cli")
    assert first.who.startswith(f"{getpass.getuser()}@")


async def again_cancelled(plane: ControlPlane, world: Scene) -> None:
    run = await queued(world, "mail")
    await world.store.cancel(run.id, by="somebody")
    await plane.cancel(run.id)


async def again_stopped(plane: ControlPlane, world: Scene) -> None:
    run = await running(world, "mail")
    await world.store.cancel(run.id, by="somebody")
    await plane.cancel(run.id)


async def again_paused(plane: ControlPlane, world: Scene) -> None:
    await world.store.pause("orders", "paused by somebody")
    assert not await plane.pause("orders")


async def never_paused(plane: ControlPlane, world: Scene) -> None:
    assert not await plane.resume("orders")
    assert not await plane.pause_all(paused=False)


async def the_same_schedule(plane: ControlPlane, world: Scene) -> None:
    await plane.set_schedule("orders", max_instances=1)


async def the_same_trigger(plane: ControlPlane, world: Scene) -> None:
    first = await world.plane.acting("bob", "cli").trigger("mail", key="one")
    assert (await plane.trigger("mail", key="one")).id == first.id


async def again_paused_backfill(plane: ControlPlane, world: Scene) -> None:
    number = await applied(world.plane, world)
    await world.store.set_backfill(number, state="paused")
    await plane.pause_backfill(number)


async def nothing_to_prune(plane: ControlPlane, world: Scene) -> None:
    assert await plane.prune(older_than=None, keep=0) == 0


async def refused(plane: ControlPlane, world: Scene) -> None:
    done = await ended(world, "mail")
    request = BackfillRequest(flow="orders", span=Window(hour(8).start, hour(10).end))
    for call in (
        lambda: plane.cancel(done.id),
        lambda: plane.cancel(999),
        lambda: plane.retry(done.id),
        lambda: plane.trigger("nothing"),
        lambda: plane.trigger("mail", window=hour(9)),
        lambda: plane.set_schedule("orders", "cron", '{"cron": "61 * * * *"}'),
        lambda: plane.set_params("orders", changes={"limit": "many"}),
        lambda: plane.rollback_params("orders", 7),
        lambda: plane.delete_schedule("idle"),
        lambda: plane.apply_backfill(request, digest="another"),
        lambda: plane.pause_backfill(999),
        lambda: plane.drop(WhichLetters((999,))),
        lambda: plane.replay(WhichLetters((999,))),
        lambda: plane.resign_leader(),
        lambda: plane.prune(older_than=None, keep=-1),
    ):
        with pytest.raises(RequestRefused):
            await call()


@pytest.mark.parametrize(
    "nothing",
    [
        again_cancelled,
        again_stopped,
        again_paused,
        never_paused,
        the_same_schedule,
        the_same_trigger,
        again_paused_backfill,
        nothing_to_prune,
        refused,
    ],
)
async def test_what_changes_nothing_is_not_kept(nothing: Change) -> None:
    world = await a_world()
    await nothing(world.plane.acting("ada", "console"), world)
    assert [one for one in await world.store.audit() if one.who == "ada"] == []


async def test_fields_that_are_to_be_redacted_are_hidden_however_deep() -> None:
    world = scene(redact=("user",))
    Flow.register("told", do_nothing, params=Told, redact=["card"], registry=world.registry)
    values = {"region": "us", "card": "4111", "login": {"user": "ann", "word": "swordfish"}}
    await world.plane.set_params("told", values=values)
    await world.plane.trigger("told", params={"card": "4222"})
    triggered, set_ = await world.store.audit()
    hidden = {"region": "us", "card": "******", "login": {"user": "******", "word": "******"}}
    assert json.loads(set_.after)["values"] == hidden
    assert json.loads(triggered.after)["params"] == {"card": "******"}


async def test_of_what_is_very_long_the_beginning_is_kept_as_json() -> None:
    world = scene()
    await world.plane.trigger("idle", params={"note": "x" * 100_000})
    [kept] = await world.store.audit()
    assert json.loads(kept.after)["beginning"].startswith('{"flow": "idle"')
    assert len(kept.after) < LONGEST + 1_000


async def test_changes_come_in_pages_and_by_subject() -> None:
    world = await a_world()
    for _ in range(3):
        await world.plane.pause("orders")
        await world.plane.resume("orders")
    await world.plane.pause("mail")
    page = await world.plane.audit(subject="flow orders", limit=4)
    assert [one.action for one in page.changes] == ["schedule.resume", "schedule.pause"] * 2
    rest = await world.plane.audit(subject="flow orders", before=page.before)
    assert (len(rest.changes), rest.before) == (2, None)
    with pytest.raises(RequestRefused, match="1 to 1000"):
        await world.plane.audit(limit=0)


async def test_a_plane_that_acts_for_somebody_leaves_the_first_one_as_it_was() -> None:
    world = await a_world()
    world.plane.acting("ada", "api")
    await world.plane.pause("mail")
    [kept] = await world.store.audit()
    assert kept.who != "ada"
