"""The API over a control plane in memory, asked without a network, by a visitor that a test names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.ops.api.routes import api_router
from piko_flow.ops.live.broadcaster import Broadcaster
from piko_flow.ops.visitor import Visitor
from piko_flow.store.ops_records import Role
from tests.unit.planes import Scene, scene

T = TypeVar("T")


@dataclass
class PlaneProcess:
    """A process that is nothing but a plane; `fails` is what asking it raises, `role` what it is."""

    plane: ControlPlane
    name: str = "shop"
    version: str = "1.2.3"
    replica_id: str = "one"
    role: str = "leader"
    fails: Exception | None = None
    asked: int = 0

    def lives(self) -> list[str]:
        return []

    def readiness(self) -> tuple[str, list[str]]:
        return self.role, []

    async def ask(self, work: Callable[[ControlPlane], Awaitable[T]]) -> T:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        return await work(self.plane)


@dataclass
class Let:
    """Lets everybody in, as the visitor of the world."""

    inside: ASGIApp
    visitor: Visitor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["visitor"] = self.visitor
        await self.inside(scope, receive, send)


@dataclass
class ApiWorld:
    """The flows and the store of tests/unit/planes.py, and a client of the API over them."""

    scene: Scene
    process: PlaneProcess
    live: Broadcaster
    client: httpx.AsyncClient
    let: Let

    def visit(self, role: Role, *, token: int = 1) -> None:
        """From now on somebody of this role asks."""
        self.let.visitor = Visitor("ann", role, "api", token)

    async def get(self, path: str, status: int = 200, **given: Any) -> Any:
        """The document at the address."""
        return await self.ask("GET", path, status, **given)

    async def post(self, path: str, body: Any = None, status: int = 200, **given: Any) -> Any:
        """The answer to a body."""
        return await self.ask("POST", path, status, json=body, **given)

    async def ask(self, method: str, path: str, status: int = 200, **given: Any) -> Any:
        """The document that a request is answered with, which has this status."""
        answer = await self.client.request(method, f"/api/v1{path}", **given)
        assert answer.status_code == status, answer.text
        wanted = "application/json" if status < 400 else "application/problem+json"
        assert answer.headers["content-type"] == wanted
        return answer.json()


@asynccontextmanager
async def api_world(plane: ControlPlane | None = None) -> AsyncIterator[ApiWorld]:
    """A world without any row, whose visitor is an operator; nobody leads. With `plane` that is the one which is asked."""
    found = scene()
    process = PlaneProcess(plane or found.plane)
    live = Broadcaster(process, clock=found.clock)
    api = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    api.include_router(api_router(process, live=live))
    let = Let(api, Visitor("ann", Role.OPERATOR, "api", 1))
    transport = httpx.ASGITransport(let, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        yield ApiWorld(found, process, live, client, let)
