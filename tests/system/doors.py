"""An application that serves on a port of this computer, behind its door, and those who knock."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from piko_flow import App, Flow, Registry
from piko_flow.app import listen
from piko_flow.ops.app import make_api
from piko_flow.ops.door.tokens import issue_link, issue_token
from piko_flow.ops.server import server_for
from piko_flow.ops.visitor import visitor
from piko_flow.store.ops_records import Role, TokenRecord
from tests.system.running_app import Running, running

PAGE = {"accept": "text/html,application/xhtml+xml", "sec-fetch-site": "none", "sec-fetch-mode": "navigate"}


@dataclass
class Served:
    """An application that answers at `address`."""

    world: Running
    api: FastAPI
    address: str
    port: int

    def value(self, query: str) -> Any:
        """The one value that a query of the database gives."""
        with closing(sqlite3.connect(self.world.database, timeout=30)) as connection:
            return connection.execute(query).fetchone()[0]

    async def issued(self, role: Role, name: str = "") -> tuple[TokenRecord, str]:
        """A new token with its secret."""
        return await self.world.app.ask(
            lambda plane: issue_token(plane, name or f"a {role}", role, lasting=timedelta(days=1))
        )

    async def token(self, role: Role, name: str = "") -> dict[str, str]:
        """The header with a new token."""
        return {"authorization": f"Bearer {(await self.issued(role, name))[1]}"}

    async def link(self, role: Role = Role.ADMIN) -> str:
        """The path of a link that logs a browser in."""
        secret = await self.world.app.ask(lambda plane: issue_link(plane.acting("test", "cli"), role))
        return f"/login?token={secret}"

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
        """Somebody who knocks."""
        async with httpx.AsyncClient(base_url=self.address, timeout=60, **options) as client:
            yield client

    @asynccontextmanager
    async def browser(self, role: Role = Role.ADMIN) -> AsyncIterator[httpx.AsyncClient]:
        """A browser that is logged in."""
        async with self.client(headers=PAGE) as client:
            client.headers["origin"] = self.address
            answer = await client.get(await self.link(role))
            assert answer.status_code == 303, answer.text
            yield client


def rooms() -> APIRouter:
    """Routes that ask for no role of their own: what is behind the door when it is the door alone that guards."""
    router = APIRouter(prefix="/rooms")

    @router.api_route("/echo", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def echo(request: Request) -> dict[str, Any]:
        found = visitor(request)
        return {"name": found.name, "role": found.role, "via": found.via, "got": len(await request.body())}

    @router.get("/csrf")
    def csrf(request: Request) -> str:
        return visitor(request).csrf

    @router.get("/stream")
    def stream() -> StreamingResponse:
        return StreamingResponse(_ticks(), media_type="text/event-stream")

    @router.get("/ticking")
    def ticking() -> StreamingResponse:
        return StreamingResponse(_many_ticks(), media_type="text/event-stream")

    @router.get("/broken")
    def broken() -> None:
        raise ValueError("a secret that nobody should see")

    @router.get("/kept")
    def kept(response: Response) -> str:
        response.headers["cache-control"] = "public, max-age=60"
        response.headers["content-security-policy"] = "default-src *"
        return "kept"

    return router


async def _ticks() -> AsyncIterator[bytes]:
    yield b"data: first\n\n"
    await asyncio.Event().wait()  # until the one who listens leaves


async def _many_ticks() -> AsyncIterator[bytes]:
    while True:
        yield b"data: again\n\n"
        await asyncio.sleep(0.05)


async def csrf(client: httpx.AsyncClient) -> dict[str, str]:
    """The field that a page puts into the forms of this browser."""
    answer = await client.get("/rooms/csrf")
    assert answer.status_code == 200, answer.text
    return {"csrf_token": answer.json()}


@asynccontextmanager
async def served(
    folder: Path, *, registry: Registry[Flow] | None = None, host: str = "127.0.0.1", **settings: Any
) -> AsyncIterator[Served]:
    """The application over these flows on an SQLite file, answering until the end of the block."""
    async with running(registry or Registry(), folder, **settings) as world:
        api = make_api(world.app, running=None)
        api.include_router(rooms())
        with listen(host, 0) as address:
            port = address.getsockname()[1]
            server = server_for(world.app, api)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(server.serve(sockets=[address]), name="http")
                try:
                    yield Served(world, api, f"http://127.0.0.1:{port}", port)
                finally:
                    server.should_exit = True


def limited(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    """Let applications have a door with other options than settings can say."""
    made = vars(App)["door"].fget
    monkeypatch.setattr(App, "door", property(lambda app: replace(made(app), **changes)))
