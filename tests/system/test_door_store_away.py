"""Without its store the door says that it cannot say who may come in; who was let in a moment ago still may."""

from pathlib import Path

import httpx
import pytest

from piko_flow import App, Registry, Settings
from piko_flow.errors import StoreUnavailable
from piko_flow.ops.app import make_api
from piko_flow.ops.door.token_secrets import new_secret
from piko_flow.store.ops_records import Role
from tests.system.doors import PAGE, served


@pytest.fixture
def asleep() -> httpx.AsyncClient:
    """Somebody who knocks at an application that has not started, so that its store cannot be asked."""
    api = make_api(App("asleep", registry=Registry(), settings=Settings()), running=None)
    return httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://localhost")


async def test_a_program_and_a_person_are_told_that_the_store_is_away(asleep: httpx.AsyncClient) -> None:
    good = {"authorization": f"Bearer {new_secret()}"}
    told = await asleep.get("/api/v1/flows", headers=good)
    assert (told.status_code, told.headers["retry-after"]) == (503, "5")
    assert told.headers["content-type"] == "application/problem+json"
    page = await asleep.get("/", headers=PAGE | {"cookie": f"piko_flow_80={new_secret()}"})
    assert page.status_code == 503
    assert "The database does not answer" in page.text
    for answer in (
        await asleep.get("/login", params={"token": new_secret()}, headers=PAGE),
        await asleep.post("/login", data={"token": new_secret()}, headers=PAGE),
    ):
        assert answer.status_code == 503
    assert (await asleep.get("/login")).status_code == 200
    assert (await asleep.get("/livez")).status_code == 200
    assert (await asleep.get("/", headers=PAGE)).status_code == 303


async def test_who_came_a_moment_ago_is_let_in_while_the_store_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path) as door, door.client() as client:
        known, unknown = await door.token(Role.VIEWER, "known"), await door.token(Role.VIEWER, "unknown")
        assert (await client.get("/rooms/echo", headers=known)).status_code == 200

        async def away(*words: object) -> None:
            raise StoreUnavailable(what="do that", reason="it is away")

        monkeypatch.setattr(door.world.app, "ask", away)
        assert (await client.get("/rooms/echo", headers=known)).status_code == 200
        assert (await client.get("/rooms/echo", headers=unknown)).status_code == 503
