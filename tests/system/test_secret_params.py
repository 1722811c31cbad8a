"""Secret parameters that somebody stores or gives are told by nothing: not by rows that are refused, not as events."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, SecretStr

from piko_flow import Flow, Registry
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.operations.plane_params import SeenParams
from piko_flow.store.ops_records import Role
from tests.system.doors import Served, served
from tests.system.event_reading import Events, Told, events
from tests.system.running_app import eventually

STORED, GIVEN, MISPLACED = "swordfish-stored", "swordfish-given", "swordfish-misplaced"
REFUSED: list[
    dict[str, Any]
] = [  # rows that somebody wrote by hand, each with the secret where the model has no place for it
    {"token": {"value": MISPLACED}},
    {"token": STORED, "login": MISPLACED},
    {"login": {"user": "me", "password": [MISPLACED], "passwrod": MISPLACED}},
    {"logins": [{"user": "me", "password": STORED}, MISPLACED]},
    {"logins": {"me": MISPLACED}},
]


class Login(BaseModel):
    user: str = "me"
    password: SecretStr = SecretStr("swordfish-default")


class Params(BaseModel):
    region: str = "eu"
    token: SecretStr = SecretStr("swordfish-default")
    login: Login = Login()
    logins: list[Login] = []


def flows() -> Registry[Flow]:
    registry: Registry[Flow] = Registry()

    @Flow.register("copy", params=Params, registry=registry)
    async def copy(run: RunContext[Params]) -> None:
        run.logger.info("with %s", run.params)
        raise ValueError(f"refused {run.params.token.get_secret_value()}")

    return registry


async def changed(client: httpx.AsyncClient) -> int:
    """Store parameters, run with others, try some that are refused; gives the run's number."""
    values = {"token": STORED, "login": {"user": "me", "password": STORED}, "region": "us"}
    answer = await client.patch("/api/v1/flows/copy/params", json={"changes": values})
    assert answer.status_code == 200, answer.text
    for row in REFUSED:
        refused = await client.patch("/api/v1/flows/copy/params", json={"changes": row})
        assert refused.status_code == 422, refused.text
        assert "swordfish" not in refused.text
    dry = await client.post("/api/v1/flows/copy/runs", json={"params": {"token": GIVEN}, "dry_run": True})
    run = await client.post("/api/v1/flows/copy/runs", json={"params": {"token": GIVEN}})
    assert (dry.status_code, run.status_code) == (200, 201)
    assert "swordfish" not in answer.text + dry.text + run.text
    number: int = run.json()["run"]["id"]
    return number


async def heard(listening: Events) -> list[Told]:
    """All events up to the end of a run."""
    found = []
    while (told := await listening.next()) is not None:
        found.append(told)
        if told.name == "run_ended":
            break
    return found


async def put_row(place: Served, row: dict[str, Any]) -> None:
    """Write the flow's row past everything that checks it, and wait until it is refused."""
    before = {one.version.id for one in await history(place)}
    text = json.dumps(row)
    place.world.sql(
        f"UPDATE job_config SET config_json = '{text}', version = version + 1 WHERE job_id = 'copy'"
    )

    async def refused() -> bool:
        return any(one.version.refused for one in await history(place) if one.version.id not in before)

    assert await eventually(refused)


async def history(place: Served) -> list[SeenParams]:
    """The versions of the flow's parameters that were seen."""
    return await place.world.app.ask(lambda plane: plane.params_history("copy", limit=50))


async def told(client: httpx.AsyncClient, browser: httpx.AsyncClient, run: int) -> dict[str, str]:
    """What the API and the console tell of the flow and its run, by path."""
    parts = ("", "/params", "/params/history", "/explanation")
    api = [f"/api/v1/flows/copy{part}" for part in parts]
    api += [f"/api/v1/runs/{run}{part}" for part in ("", "/log", "/explanation")]
    api += ["/api/v1/flows", "/api/v1/schedules", "/api/v1/audit"]
    pages = ["/", "/flows/copy", "/parts/flows/copy", "/parts/flows/copy/why", f"/runs/{run}", "/audit"]
    found = {}
    for asks, paths in ((client, api), (browser, pages)):
        for path in paths:
            answer = await asks.get(path)
            assert answer.status_code == 200, (path, answer.text)
            found[path] = answer.text
    return found


async def test_no_secret_parameter_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with served(tmp_path, registry=flows()) as place, asyncio.timeout(120):
        operator = await place.token(Role.OPERATOR)
        async with (
            place.client(headers=operator) as client,
            events(client, "/api/v1/events?flow=copy") as all_of,
        ):
            run = await changed(client)
            streams = await heard(all_of)
            async with events(client, f"/api/v1/events?run={run}", **{"last-event-id": streams[0].id}) as one:
                streams += await heard(one)
        assert {one.name for one in streams} >= {"run_ended"}
        admin = await place.token(Role.ADMIN)
        async with place.client(headers=admin) as client, place.browser() as browser:
            found = {"events": json.dumps([one.data for one in streams])} | await told(client, browser, run)
            for number, row in enumerate(REFUSED):
                await put_row(place, row)
                now = await told(client, browser, run)
                found |= {f"{path} with row {number}": text for path, text in now.items()}
    found["the log"] = caplog.text
    assert {where for where, text in found.items() if "swordfish" in text} == set()
    assert "refused" in found["/flows/copy with row 1"]
    assert "login" in found["/api/v1/flows/copy/params/history with row 1"]
