"""Who acts on what they saw gets a conflict where it is another now, and nothing is changed."""

from typing import Any

from tests.unit.api_worlds import ApiWorld, api_world
from tests.unit.planes import begun, queued

SPAN = {"start": "2026-03-02T09:00:00Z", "end": "2026-03-02T12:00:00Z"}


async def conflict(world: ApiWorld, method: str, path: str, body: Any = None) -> str:
    problem = await world.ask(method, path, 409, json=body)
    assert problem["type"] == "urn:piko-flow:conflict"
    assert problem["advice"] == "Look at it again, and decide anew"
    got: str = problem["got"]
    return got


async def test_a_run_that_went_on() -> None:
    async with api_world() as world:
        run = await queued(world.scene, "mail")
        path = f"/runs/{run.id}/cancel"
        assert "RUNNING" in await conflict(world, "POST", path, {"expected": {"status": "RUNNING"}})
        await conflict(world, "POST", path, {"expected": {"status": "QUEUED", "attempt": 2}})
        await world.post(path, {"expected": {"status": "QUEUED", "attempt": 1}})
        await conflict(world, "POST", f"/runs/{run.id}/retry", {"expected": {"status": "FAILED"}})
        assert (await world.get(f"/runs/{run.id}"))["run"]["run"]["attempt"] == 1


async def test_a_schedule_that_was_set_by_another() -> None:
    async with api_world() as world:
        new = {"schedule_type": "interval", "schedule_expr": {"minutes": 5}, "expected": {"version": 0}}
        await world.ask("PATCH", "/schedules/mail", json=new)
        got = await conflict(world, "PATCH", "/schedules/mail", new)
        assert got == "there was none then, and now there is version 1"
        await conflict(world, "DELETE", "/schedules/mail?expected_version=2")
        await world.ask("PATCH", "/schedules/mail", json={"enabled": False, "expected": {"version": 1}})
        assert (await world.get("/schedules/mail"))["schedule"]["row"]["version"] == 2
        await world.ask("DELETE", "/schedules/mail?expected_version=2")


async def test_parameters_that_were_set_by_another() -> None:
    async with api_world() as world:
        first = {"changes": {"limit": 1}, "expected": {"version": 0}}
        await world.ask("PATCH", "/flows/orders/params", json=first)
        await conflict(world, "PATCH", "/flows/orders/params", first)
        await conflict(
            world, "POST", "/flows/orders/params/rollback", {"version": 1, "expected": {"version": 3}}
        )
        assert len((await world.get("/flows/orders/params/history"))["versions"]) == 1


async def test_a_backfill_that_was_paused_by_another() -> None:
    async with api_world() as world:
        await begun(world.scene, "orders", since=9, planned=9)
        body = {"flow": "orders", "span": SPAN}
        plan = (await world.post("/backfills/plan", body))["plan"]
        made = (await world.post("/backfills", body | {"digest": plan["digest"]}, 201))["backfill"]
        running = {"expected": {"state": "running"}}
        await world.post(f"/backfills/{made['id']}/pause", running)
        for verb in ("pause", "cancel"):
            await conflict(world, "POST", f"/backfills/{made['id']}/{verb}", running)
        assert (await world.get(f"/backfills/{made['id']}"))["backfill"]["backfill"]["state"] == "paused"


async def test_what_an_operator_changed_is_in_the_audit_by_their_name() -> None:
    async with api_world() as world:
        await world.post("/flows/mail/runs", {}, 201)
        await world.ask("PATCH", "/flows/orders/params", json={"changes": {"api_token": "hush"}})
        made = await world.scene.store.audit()
        assert [(one.who, one.via, one.action) for one in made] == [
            ("ann", "api", "params.set"),
            ("ann", "api", "run.trigger"),
        ]
        assert "hush" not in repr(made)
