"""The API of a replica that stands by does all that the leader's does."""

import asyncio
from pathlib import Path
from typing import Any

import httpx

from piko_flow import BackfillPolicy, Cron, Flow, Registry, RunContext
from piko_flow.store.ops_records import Role
from tests.system.doors import Served, served
from tests.system.event_reading import events
from tests.system.running_app import eventually

WAIT = 120  # seconds for all of it on a busy machine


def flows() -> Registry[Flow]:
    registry: Registry[Flow] = Registry()

    async def work(run: RunContext) -> None:
        run.logger.info("at work")

    async def fails(run: RunContext) -> None:
        raise ValueError("no <b>good</b>")

    Flow.register("mail", work, registry=registry)
    Flow.register("fails", fails, registry=registry)
    Flow.register(
        "hours",
        work,
        stateful=True,
        backfill=BackfillPolicy.CATCH_UP,
        schedule=Cron("0 * * * *"),
        registry=registry,
    )
    return registry


class Asking:
    """A program that asks one replica."""

    def __init__(self, client: httpx.AsyncClient, token: dict[str, str]) -> None:
        self.client, self.token = client, token

    async def ask(self, method: str, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        answer = await self.client.request(
            method, f"/api/v1{path}", json=body, headers={**self.token, **headers}
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    async def ended(self, run: int) -> Any:
        """The run when it has ended."""

        async def look() -> Any:
            found = (await self.ask("GET", f"/runs/{run}"))["run"]["run"]
            return found if found["status"] not in ("QUEUED", "RUNNING") else None

        return await eventually(look)


async def standby(one: Served, other: Served) -> Served:
    """The one of both that does not lead."""

    async def roles() -> set[str]:
        found = {door.world.app.readiness()[0] for door in (one, other)}
        return found if found == {"leader", "standby"} else set()

    await eventually(roles)
    return one if one.world.app.readiness()[0] == "standby" else other


async def test_every_verb_works_on_a_replica_that_stands_by(tmp_path: Path) -> None:
    async with (
        served(tmp_path, registry=flows()) as one,
        served(tmp_path, registry=flows()) as two,
        asyncio.timeout(WAIT),
    ):
        door = await standby(one, two)
        token = await door.token(Role.ADMIN)
        async with door.client() as client, (two if door is one else one).client() as elsewhere:
            here, there = Asking(client, token), Asking(elsewhere, token)
            async with events(client, "/api/v1/events?flow=mail", **token) as heard:  # others may be due now
                await heard.until("reset")
                await _runs(here, there)
                assert (await heard.until("run_ended")).data["run"]["flow"] == "mail"
            await _rows(here, there)
            await _backfills(here)
            assert (await here.ask("GET", "/leader"))["leader"]["leads"]
            assert (await here.ask("POST", "/leader/resign"))["ended"]["holder"]
            audit = (await there.ask("GET", "/audit"))["changes"]
            assert {"run.trigger", "run.retry", "schedule.set", "schedule.pause"} <= {
                one["action"] for one in audit
            }
            assert {(one["who"], one["via"]) for one in audit if one["action"] == "run.trigger"} == {
                ("a admin", "api")
            }


async def _runs(here: Asking, there: Asking) -> None:
    """Triggered here, run somewhere, seen there; the same key gives the same answer on both."""
    key = {"Idempotency-Key": "once"}
    run = (await here.ask("POST", "/flows/mail/runs", {}, 201, **key))["run"]
    assert (await there.ask("POST", "/flows/mail/runs", {}, 201, **key))["run"]["id"] == run["id"]
    assert (await there.ended(run["id"]))["status"] == "SUCCESS"

    async def lines() -> list[Any]:
        return (await here.ask("GET", f"/runs/{run['id']}/log"))["lines"]  # type: ignore[no-any-return]

    # Lines of several runs are kept together, soon after a run has ended.
    assert [one["message"] for one in await eventually(lines)] == ["at work"]
    run = (await here.ask("POST", "/flows/fails/runs", {}, 201))["run"]
    failed = await here.ended(run["id"])
    assert (failed["status"], failed["error_type"]) == ("FAILED", "ValueError")
    stale = {"expected": {"status": "FAILED", "attempt": 2}}
    conflict = await here.ask("POST", f"/runs/{run['id']}/retry", stale, 409)
    assert conflict["type"] == "urn:piko-flow:conflict"
    seen = {"expected": {"status": "FAILED", "attempt": 1}}
    assert (await here.ask("POST", f"/runs/{run['id']}/retry", seen))["run"]["attempt"] == 2
    assert (await there.ended(run["id"]))["attempt"] == 2
    assert (await here.ask("GET", f"/runs/{run['id']}/explanation"))["explanation"]["lines"][0][
        "reason"
    ] == "error"


async def _rows(here: Asking, there: Asking) -> None:
    body = {"schedule_type": "cron", "schedule_expr": {"cron": "0 3 * * *"}, "expected": {"version": 0}}
    made = (await here.ask("PATCH", "/schedules/mail", body))["schedule"]["row"]
    await there.ask("PATCH", "/schedules/mail", body, 409)
    assert (await there.ask("POST", "/schedules/mail/pause"))["changed"]
    assert (await here.ask("GET", "/flows/mail"))["flow"]["standing"] == "paused"
    assert (await here.ask("POST", "/schedules/mail/resume"))["changed"]
    await here.ask("DELETE", f"/schedules/mail?expected_version={made['version'] + 7}", None, 409)
    await here.ask("DELETE", f"/schedules/mail?expected_version={made['version']}")
    version = (await here.ask("PATCH", "/flows/mail/params", {"changes": {"region": "us"}}))["version"]
    await there.ask(
        "PATCH", "/flows/mail/params", {"changes": {"region": "eu"}, "expected": {"version": 9}}, 409
    )
    assert (await there.ask("GET", "/flows/mail/params"))["params"]["values"] == {"region": "us"}
    rolled = await here.ask("POST", "/flows/mail/params/rollback", {"version": version["version"]})
    assert rolled["version"]["version"] == version["version"] + 1
    for verb in ("pause", "resume"):
        assert (await here.ask("POST", f"/{verb}-all"))["changed"]


async def _backfills(here: Asking) -> None:
    body = {"flow": "hours", "span": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T03:00:00Z"}}
    plan = (await here.ask("POST", "/backfills/plan", body))["plan"]
    made = (await here.ask("POST", "/backfills", body | {"digest": plan["digest"]}, 201))["backfill"]

    async def done() -> bool:
        shown = (await here.ask("GET", f"/backfills/{made['id']}"))["backfill"]
        return (shown["backfill"]["state"], shown["done"]) == ("done", 1.0)

    assert await eventually(done)
    await here.ask("POST", f"/backfills/{made['id']}/pause", {"expected": {"state": "running"}}, 409)


async def test_of_many_who_ask_with_one_key_on_two_replicas_one_makes_a_run(tmp_path: Path) -> None:
    async with (
        served(tmp_path, registry=flows()) as one,
        served(tmp_path, registry=flows()) as two,
        asyncio.timeout(WAIT),
    ):
        await standby(one, two)
        headers = {**await one.token(Role.OPERATOR), "idempotency-key": "once"}
        async with one.client() as here, two.client() as there:
            asked = [
                client.post("/api/v1/flows/mail/runs", json={}, headers=headers)
                for client in (here, there) * 6
            ]
            answers = await asyncio.gather(*asked)
            assert {answer.status_code for answer in answers} <= {201, 409}
            made = {answer.json()["run"]["id"] for answer in answers if answer.status_code == 201}
            again = await there.post("/api/v1/flows/mail/runs", json={}, headers=headers)
            assert again.headers["idempotent-replayed"] == "true"
            assert made == {again.json()["run"]["id"]}
        assert len(await one.world.runs("mail")) == 1
