"""Without its store the door says that it cannot say who may come in; who was let in a moment ago still may."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from piko_flow import App, Registry, Settings
from piko_flow.errors import StoreUnavailable
from piko_flow.ops.app import make_api
from piko_flow.ops.door.token_secrets import new_secret
from piko_flow.store.ops_records import Role
from tests.system.doors import PAGE, limited, served


class Away(App):
    """An application whose store cannot be asked."""

    async def ask(self, work: object) -> Any:
        raise StoreUnavailable(what="do that", reason="it is away")


def knocking(app: App) -> httpx.AsyncClient:
    """Somebody who knocks at an application that nobody has started."""
    transport = httpx.ASGITransport(make_api(app, running=None))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def test_who_knocks_at_an_application_that_does_not_run_is_told_how_it_is_started(
    tmp_path: Path,
) -> None:
    database = SecretStr(f"sqlite:///{tmp_path / 'piko.db'}")
    app = App("shop", registry=Registry(), settings=Settings(database=database, metrics_enabled=False))
    good = {"authorization": f"Bearer {new_secret()}"}
    cookie = PAGE | {"cookie": f"piko_flow_80={new_secret()}"}
    async with knocking(app) as client:
        for state in ("has not been started", "has stopped"):
            told = await client.get("/api/v1/flows", headers=good)
            assert (told.status_code, told.headers["retry-after"]) == (503, "5")
            found = told.json()
            assert (found["title"], found["got"]) == ("It does not run", f"the application 'shop' {state}")
            assert "Run it within `async with app.running():`" in found["advice"]
            page = await client.get("/", headers=cookie)
            assert page.status_code == 503
            for words in ("It does not run", state, "async with app.running():"):
                assert words in page.text
            assert "database" not in told.text + page.text
            async with app.running():
                assert (await client.get("/api/v1/flows", headers=good)).status_code == 401


async def test_a_program_and_a_person_are_told_that_the_store_is_away() -> None:
    asleep = knocking(Away("asleep", registry=Registry(), settings=Settings()))
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
    limited(monkeypatch, remembered=timedelta(hours=1))
    async with served(tmp_path) as door, door.client() as client:
        known, unknown = await door.token(Role.VIEWER, "known"), await door.token(Role.VIEWER, "unknown")
        assert (await client.get("/rooms/echo", headers=known)).status_code == 200

        async def away(*words: object) -> None:
            raise StoreUnavailable(what="do that", reason="it is away")

        monkeypatch.setattr(door.world.app, "ask", away)
        assert (await client.get("/rooms/echo", headers=known)).status_code == 200
        assert (await client.get("/rooms/echo", headers=unknown)).status_code == 503
