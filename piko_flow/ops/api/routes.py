"""The API `/api/v1`: every router, its description, and what is no part of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, compile_path

from piko_flow.errors import NotFound
from piko_flow.ops.api import (
    backfill_routes,
    dead_letter_routes,
    event_routes,
    flow_routes,
    params_routes,
    replica_routes,
    run_routes,
    schedule_routes,
)
from piko_flow.ops.api.asking import within
from piko_flow.ops.api.description import describe, responses
from piko_flow.ops.api.problem_route import ProblemRoute
from piko_flow.ops.askable import Askable
from piko_flow.ops.live.broadcaster import Broadcaster
from piko_flow.ops.misread import nearest
from piko_flow.ops.visitor import AtLeast
from piko_flow.store.ops_records import Role

PREFIX = "/api/v1"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
SAFE = ("GET", "HEAD", "OPTIONS")
ROUTERS = (
    params_routes.router,
    flow_routes.router,
    schedule_routes.router,
    schedule_routes.all_router,
    run_routes.router,
    backfill_routes.router,
    dead_letter_routes.router,
    replica_routes.router,
    replica_routes.audit_router,
    event_routes.router,
)


def api_router(process: Askable, *, live: Broadcaster | None = None) -> APIRouter:
    """The API of a process; `live` is the one that others of the process listen to as well, where there is one."""
    asked = Depends(within(process, live or Broadcaster(process)))
    api = APIRouter(prefix=PREFIX, dependencies=[asked], responses=responses(), route_class=ProblemRoute)
    for router in ROUTERS:
        api.include_router(router)
    description = Description(list(api.routes), process)

    async def openapi() -> Response:
        return JSONResponse(description.document)

    async def elsewhere(request: Request) -> Response:
        if (
            request.method not in SAFE
        ):  # nobody who may only look gets further, whatever will be there one day
            AtLeast(Role.OPERATOR).of(request)
        methods = description.methods(request.url.path)
        what = f"{request.method} {request.url.path[:200]}"
        if not methods:
            advice = f"See {PREFIX}/openapi.json"
            raise NotFound(
                what=what,
                rule="the API has the addresses of its description",
                got="this is none of them",
                advice=" ".join(filter(None, (description.nearest(request.url.path), advice))),
            )
        takes = ", ".join(methods)
        told = {"what": what, "rule": f"this address takes {takes}", "got": f"got {request.method}"}
        raise HTTPException(405, told, headers={"Allow": takes})

    api.add_api_route("/openapi.json", openapi, methods=["GET"], include_in_schema=False)
    api.add_api_route("/{path:path}", elsewhere, methods=METHODS, include_in_schema=False)
    return api


class Description:
    """The description of the API, made when it is first needed, and what it says of addresses."""

    def __init__(self, routes: Sequence[BaseRoute], process: Askable) -> None:
        self._routes, self._process = routes, process

    @cached_property
    def document(self) -> dict[str, Any]:
        """The whole description (OpenAPI)."""
        process = self._process
        return describe(self._routes, title=f"{process.name}: Piko Flow", version=process.version)

    def methods(self, path: str) -> list[str]:
        """The methods that an address takes, sorted; none where it is no part of the API."""
        if path == f"{PREFIX}/openapi.json":
            return ["GET"]
        exact = self._paths.get(path)
        if exact is not None:
            return exact
        return sorted({method for place, methods in self._places if place.match(path) for method in methods})

    def nearest(self, path: str) -> str:
        """A question for the address that is most like this one; empty where none is."""
        return nearest(path, self._paths)

    @cached_property
    def _paths(self) -> dict[str, list[str]]:
        paths = self.document["paths"].items()
        return {path: sorted(method.upper() for method in operations) for path, operations in paths}

    @cached_property
    def _places(self) -> list[tuple[re.Pattern[str], list[str]]]:
        return [(compile_path(path)[0], methods) for path, methods in self._paths.items()]
