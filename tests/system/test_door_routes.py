"""Every route that there is, also one that comes later: nobody, a viewer, an operator and an admin knock at each."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Mount

from piko_flow import Flow, Registry, RunContext
from piko_flow.ops.console.assets import assets
from piko_flow.ops.door.asked import SAFE_METHODS
from piko_flow.store.ops_records import Role
from tests.system.doors import served

OPEN = {"/livez", "/healthz", "/readyz", "/version", "/login"}
OWN_BROWSER = {"/logout", "/console/theme", "/console/message/close"}
ADMINS_READ = re.compile(r"/audit|/api/v1/audit.*")
OPERATORS_READ = {"/flows/{name}/backfill"}  # a form, of use only to who may send it
ADMINS_CHANGE = {"/api/v1/leader/resign", "/replicas/resign"}
REFUSED = (401, 403)


class Knock(NamedTuple):
    """A method and a path, as `route` describes it."""

    method: str
    path: str
    route: str

    @property
    def changes(self) -> bool:
        return self.method not in SAFE_METHODS


def knocks(api: FastAPI) -> list[Knock]:
    """One at each route with each of its methods, the placeholders filled."""
    return [
        Knock(method, re.sub(r"{[^}]*}", "1", path), path)
        for route, path in routes(api.routes)
        for method in sorted(getattr(route, "methods", None) or ("GET",))
    ]


def routes(found: Iterable[Any], prefix: str = "") -> Iterator[tuple[Any, str]]:
    """All routes with their paths, also those of routers that are included and of applications that are mounted."""
    for one in found:
        route = getattr(one, "starlette_route", None) or one
        if isinstance(route, Mount):
            yield route, f"{prefix}{route.path}/1"
            yield from routes(route.routes, prefix + route.path)
        elif hasattr(route, "effective_candidates"):
            yield from routes(route.effective_candidates(), prefix)
        else:
            assert route.path, f"a kind of route that this test does not know: {route!r}"
            yield route, prefix + route.path


async def status(client: httpx.AsyncClient, knock: Knock, headers: dict[str, str]) -> int:
    """How the request is answered; what is a stream is not listened to."""
    headers = {"accept": "application/json", **headers}
    async with client.stream(knock.method, knock.path, headers=headers) as answer:
        return answer.status_code


async def nothing(run: RunContext) -> None: ...


def flows() -> Registry[Flow]:
    registry: Registry[Flow] = Registry()
    Flow.register("1", nothing, registry=registry)
    return registry


async def test_every_route_is_closed_to_nobody_and_each_change_to_a_viewer(tmp_path: Path) -> None:
    async with served(tmp_path, registry=flows(), request_rate=100_000) as door, door.client() as client:
        viewer = await door.token(Role.VIEWER)
        found = knocks(door.api)
        assert {("POST", "/rooms/echo"), ("GET", "/livez"), ("POST", "/logout")} <= {
            knock[:2] for knock in found
        }
        wrong = []
        before = door.value("SELECT count(*) FROM piko_flow_audit")
        for knock in found:
            nobody = await status(client, knock, {})
            if knock.route in OPEN and knock.method in ("GET", "HEAD"):
                assert nobody not in REFUSED, knock
                continue
            if knock.route != "/login" and nobody != 401:
                wrong.append((knock, "nobody", nobody))
            seen = await status(client, knock, viewer)
            if knock.changes and knock.route not in {"/login", *OWN_BROWSER} and seen != 403:
                wrong.append((knock, "viewer", seen))
            closed = knock.route in OPERATORS_READ or ADMINS_READ.fullmatch(knock.route)
            if not knock.changes and ((seen != 403) if closed else (seen in REFUSED)):
                wrong.append((knock, "viewer", seen))
        assert wrong == []
        assert door.value("SELECT count(*) FROM piko_flow_audit") == before


async def test_every_route_is_open_to_who_may(tmp_path: Path) -> None:
    async with served(tmp_path, registry=flows(), request_rate=100_000) as door, door.client() as client:
        operator, admin = await door.token(Role.OPERATOR), await door.token(Role.ADMIN)
        wrong = []
        for knock in knocks(door.api):
            if knock.route == "/login":
                continue
            if (seen := await status(client, knock, admin)) in REFUSED:
                wrong.append((knock, "admin", seen))
            table = knock.route in ADMINS_CHANGE if knock.changes else ADMINS_READ.fullmatch(knock.route)
            seen = await status(client, knock, operator)
            if (seen != 403) if table else (seen in REFUSED):
                wrong.append((knock, "operator", seen))
        assert wrong == []


async def test_files_are_open_by_their_exact_addresses_alone(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.client() as client:
        addresses = [one.address for one in assets().values()]
        assert addresses
        for address in addresses:
            assert (await client.get(address)).status_code == 200, address
            for other in (f"{address}x", address.upper(), f"{address}/", f"/static/../{address}"):
                assert (await client.get(other)).status_code == 401, other


def test_each_route_is_known_by_its_path_to_this_table() -> None:
    api = FastAPI()
    inner = FastAPI()
    inner.add_api_route("/inside", lambda: 1, methods=["POST"])
    api.mount("/mounted", inner)
    api.add_api_route("/{name:path}/x", lambda name: name, methods=["DELETE"])
    assert isinstance(api.routes[-1], APIRoute)
    found = {knock[:2] for knock in knocks(api)}
    assert {("POST", "/mounted/inside"), ("DELETE", "/1/x"), ("GET", "/mounted/1")} <= found
