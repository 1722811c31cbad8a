"""What can be changed through the API, by whom, and how a refusal is told."""

from typing import Any

import pytest

from piko_flow.ops.api.schedule_routes import NO_EXPRESSION
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.ops_records import Role
from tests.unit.api_worlds import api_world
from tests.unit.planes import begun, ended, hour, lead, queued, running

WINDOW = {"start": "2026-03-02T09:00:00Z", "end": "2026-03-02T10:00:00+00:00"}
SPAN = {"start": "2026-03-02T09:00:00Z", "end": "2026-03-02T14:00:00+02:00"}


async def test_a_flow_is_triggered_with_params_and_a_window_once_for_a_key() -> None:
    async with api_world() as world:
        await begun(world.scene, "orders", since=9, planned=12)
        body = {"params": {"limit": 3}, "window": WINDOW, "key": "first"}
        plan = (await world.post("/flows/orders/runs", body | {"dry_run": True}))["plan"]
        assert (plan["params"]["limit"], plan["params"]["api_token"], plan["earlier"]) == (3, "******", None)
        assert (await world.get("/runs"))["runs"] == []
        run = (await world.post("/flows/orders/runs", body, 201))["run"]
        assert (run["status"], run["origin"], run["requested_by"]) == ("QUEUED", "trigger", "ann")
        assert run["window"] == {"start": "2026-03-02T09:00:00+00:00", "end": "2026-03-02T10:00:00+00:00"}
        assert (await world.post("/flows/orders/runs", body, 201))["run"]["id"] == run["id"]
        shown = (await world.get(f"/runs/{run['id']}"))["run"]
        assert (shown["given"], shown["params"]["limit"]) == ({"limit": 3}, 3)


async def test_an_expression_is_taken_as_the_answer_gives_it_and_as_an_object() -> None:
    async with api_world() as world:
        body = {"schedule_type": "cron", "schedule_expr": {"cron": "5 * * * *"}}
        made = (await world.ask("PATCH", "/schedules/mail", json=body))["schedule"]["row"]
        assert made["schedule_expr"] == '{"cron":"5 * * * *"}'
        again = {name: made[name] for name in ("schedule_type", "schedule_expr", "misfire_grace", "timezone")}
        row = (await world.ask("PATCH", "/schedules/mail", json=again))["schedule"]["row"]
        assert {name: row[name] for name in again} == again
        tried = (await world.post("/schedules/mail/preview", again | {"misfire_grace": 0}, 422))["errors"]
        assert tried[0]["pointer"] == "#/misfire_grace"
        for wrong in ("nonsense", "[1]", '"text"'):
            body = {"schedule_type": "cron", "schedule_expr": wrong}
            problem = await world.ask("PATCH", "/schedules/mail", 422, json=body)
            assert problem["rule"] == NO_EXPRESSION


async def test_a_run_is_cancelled_and_tried_again() -> None:
    async with api_world() as world:
        run = await queued(world.scene, "mail")
        assert (await world.post(f"/runs/{run.id}/cancel"))["run"]["status"] == "CANCELLED"
        found = (await world.post(f"/runs/{run.id}/retry"))["run"]
        assert (found["status"], found["attempt"]) == ("QUEUED", 2)
        problem = await world.post(f"/runs/{run.id}/retry", status=422)
        assert problem["type"] == "urn:piko-flow:refused"
        assert (problem["what"], problem["got"]) == (f"retry run {run.id}", "it is QUEUED")
        live = await running(world.scene, "mail")
        assert (await world.post(f"/runs/{live.id}/cancel"))["run"]["cancel_requested"] == "ann"


async def test_a_schedule_is_set_shown_previewed_paused_and_deleted() -> None:
    async with api_world() as world:
        body = {"schedule_type": "cron", "schedule_expr": {"cron": "0 * * * *"}, "misfire_grace": 90}
        view = (await world.ask("PATCH", "/schedules/orders", json=body))["schedule"]
        assert (view["row"]["misfire_grace"], view["standing"]) == (90.0, "active")
        assert view["next_fires"][0] == "2026-03-02T13:00:00+00:00"
        view = (await world.ask("PATCH", "/schedules/orders", json={"enabled": False}))["schedule"]
        assert (view["standing"], view["row"]["misfire_grace"], view["row"]["version"]) == (
            "disabled",
            90.0,
            2,
        )
        assert (await world.get("/schedules/orders"))["schedule"]["row"] == view["row"]
        fires = await world.get(
            "/schedules/orders/preview", params={"n": 2, "after": "2026-03-05T00:30:00+01:00"}
        )
        assert [one["fire"] for one in fires["preview"]["fires"]] == [
            "2026-03-05T00:00:00+00:00",
            "2026-03-05T01:00:00+00:00",
        ]
        tried = {"schedule_type": "interval", "schedule_expr": {"minutes": 10}, "timezone": "Europe/Berlin"}
        fires = await world.post("/schedules/orders/preview", tried, params={"n": 1})
        assert fires["preview"]["fires"][0]["fire"] == "2026-03-02T12:40:00+00:00"
        assert await world.post("/schedules/orders/pause") == {
            "flow": "orders",
            "paused": True,
            "changed": True,
        }
        assert (await world.post("/schedules/orders/pause"))["changed"] is False
        assert await world.post("/pause-all") == {"flow": None, "paused": True, "changed": True}
        assert (await world.post("/schedules/orders/resume"))["paused"] is True
        assert (await world.post("/resume-all"))["paused"] is False
        assert await world.ask("DELETE", "/schedules/orders") == {"deleted": "orders"}
        assert (await world.get("/schedules/orders", 404))["type"] == "urn:piko-flow:not-found"
        assert (await world.get("/schedules"))["schedules"] == []


async def test_a_backfill_is_planned_applied_watched_and_ended() -> None:
    async with api_world() as world:
        await begun(world.scene, "orders", since=9, planned=9)
        body: dict[str, Any] = {
            "flow": "orders",
            "span": SPAN,
            "concurrency": 2,
            "params": {"api_token": "hush"},
        }
        plan = await world.client.post("/api/v1/backfills/plan", json=body)
        assert "hush" not in plan.text
        digest = plan.json()["plan"]["digest"]
        assert len(plan.json()["plan"]["windows"]) == 3
        refused = await world.post("/backfills", body | {"digest": "0" * 12}, 422)
        assert refused["rule"] == "it does what was planned"
        made = (await world.post("/backfills", body | {"digest": digest}, 201))["backfill"]
        assert (made["state"], made["requested_by"], len(made["windows"])) == ("running", "ann", 3)
        number = made["id"]
        assert (await world.post(f"/backfills/{number}/pause"))["backfill"]["state"] == "paused"
        shown = (await world.get(f"/backfills/{number}"))["backfill"]
        assert (shown["left"], shown["done"], shown["backfill"]["state"]) == (3, 0.0, "paused")
        assert (await world.get("/backfills", params={"open": "true"}))["backfills"] == [shown]
        assert (await world.post(f"/backfills/{number}/resume"))["backfill"]["state"] == "running"
        assert (await world.post(f"/backfills/{number}/cancel"))["backfill"]["state"] == "cancelled"
        assert (await world.get("/backfills", params={"open": "true"}))["backfills"] == []


async def test_params_are_set_for_later_and_rolled_back() -> None:
    async with api_world() as world:
        made = await world.ask("PATCH", "/flows/orders/params", json={"values": {"region": "us"}})
        assert made["version"]["version"] == 1
        later = {"changes": {"limit": 5}, "effective_from": "2026-03-09T00:00:00Z"}
        made = await world.ask("PATCH", "/flows/orders/params", json=later)
        assert made["version"]["effective_from"] == "2026-03-09T00:00:00+00:00"
        shown = (await world.get("/flows/orders/params"))["params"]
        assert (shown["values"]["region"], shown["values"]["limit"], len(shown["coming"])) == ("us", 10, 1)
        made = await world.post("/flows/orders/params/rollback", {"version": 1})
        assert made["version"]["version"] == 3
        assert [one["version"] for one in made["given_up"]] == [2]
        made = await world.post("/flows/orders/params/rollback", {"version": 1})
        assert made["given_up"] == []
        problem = await world.ask("PATCH", "/flows/orders/params", 422, json={"changes": {"regoin": "us"}})
        assert problem["advice"] == "Did you mean 'region'?"


async def test_an_admin_lets_the_leader_resign() -> None:
    async with api_world() as world:
        await lead(world.scene)
        assert (await world.post("/leader/resign", status=403))["type"] == "urn:piko-flow:not-allowed"
        world.visit(Role.ADMIN)
        assert (await world.post("/leader/resign"))["ended"]["holder"] == "one"
        assert (await world.post("/leader/resign", status=422))["got"] == "nobody holds it"


CHANGES = [
    ("POST", "/flows/mail/runs", {}),
    ("PATCH", "/schedules/mail", {"enabled": False}),
    ("DELETE", "/schedules/mail", None),
    ("POST", "/schedules/mail/preview", {}),
    ("POST", "/schedules/mail/pause", None),
    ("POST", "/schedules/mail/resume", None),
    ("POST", "/pause-all", None),
    ("POST", "/resume-all", None),
    ("POST", "/runs/1/cancel", None),
    ("POST", "/runs/1/retry", None),
    ("POST", "/backfills/plan", {"flow": "orders", "span": SPAN}),
    ("POST", "/backfills", {"flow": "orders", "span": SPAN, "digest": "0"}),
    ("POST", "/backfills/1/pause", None),
    ("POST", "/backfills/1/resume", None),
    ("POST", "/backfills/1/cancel", None),
    ("PATCH", "/flows/orders/params", {"changes": {"limit": 1}}),
    ("POST", "/flows/orders/params/rollback", {"version": 1}),
    ("POST", "/dead-letters/replay", {"ids": [1]}),
    ("POST", "/dead-letters/drop", {"ids": [1]}),
    ("POST", "/leader/resign", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_a_viewer_changes_nothing(method: str, path: str, body: Any) -> None:
    async with api_world() as world:
        world.visit(Role.VIEWER)
        asked = world.process.asked
        problem = await world.ask(method, path, 403, json=body, headers={"Idempotency-Key": "k"})
        assert "this needs the role" in problem["detail"]
        assert world.process.asked == asked


async def test_the_table_of_changes_is_whole() -> None:
    async with api_world() as world:
        paths = (await world.get("/openapi.json"))["paths"]
        changing = {(method.upper(), path) for path, methods in paths.items() for method in methods}
        assert len([one for one in changing if one[0] != "GET"]) == len(CHANGES)


MISSING = [
    ("GET", "/flows/none", None),
    ("GET", "/flows/none/explanation", None),
    ("POST", "/flows/none/runs", {}),
    ("GET", "/flows/none/params", None),
    ("PATCH", "/flows/none/params", {"changes": {"limit": 1}}),
    ("POST", "/flows/orders/params/rollback", {"version": 9}),
    ("GET", "/schedules/none", None),
    ("PATCH", "/schedules/none", {"enabled": True}),
    ("DELETE", "/schedules/none", None),
    ("POST", "/schedules/none/pause", None),
    ("POST", "/schedules/none/resume", None),
    ("GET", "/runs/99", None),
    ("GET", "/runs/99/log", None),
    ("GET", "/runs/99/explanation", None),
    ("POST", "/runs/99/cancel", None),
    ("POST", "/runs/99/retry", None),
    ("GET", "/backfills/99", None),
    ("POST", "/backfills/plan", {"flow": "none", "span": SPAN}),
    ("POST", "/backfills/99/pause", None),
    ("POST", "/backfills/99/cancel", None),
    ("GET", "/dead-letters/99", None),
    ("POST", "/dead-letters/replay", {"ids": [99]}),
    ("POST", "/dead-letters/drop", {"ids": [99]}),
    ("GET", "/nowhere", None),
    ("GET", "/flows/a/b/c", None),
]


@pytest.mark.parametrize(("method", "path", "body"), MISSING)
async def test_what_is_not_there_is_not_found(method: str, path: str, body: Any) -> None:
    async with api_world() as world:
        problem = await world.ask(method, path, 404, json=body)
        assert problem["status"] == 404
        assert problem["detail"]


async def test_a_failed_window_is_tried_again_unless_it_is_settled() -> None:
    async with api_world() as world:
        await begun(world.scene, "orders", since=9, planned=12)
        run = await ended(world.scene, "orders", hour(9), status=RunStatus.FAILED)
        assert (await world.get(f"/runs/{run.id}"))["run"]["run"]["reason"] == "error"
        assert (await world.post(f"/runs/{run.id}/retry"))["run"]["status"] == "QUEUED"
