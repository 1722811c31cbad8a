"""Addresses that take forms: who only opens one, as by reloading a refused form, is led to the page it belongs to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from piko_flow.ops.console.flow_address import flow_address
from piko_flow.ops.console.numbered import Number
from piko_flow.ops.console.refusals import pages_route
from piko_flow.ops.console.view import View
from piko_flow.ops.visitor import AtLeast
from piko_flow.store.ops_records import Role

OF_FLOWS = (
    *("trigger", "trigger/preview", "params", "params/preview", "params/rollback"),
    *("schedule", "schedule/preview", "schedule/delete", "pause", "resume"),
)
LEADS = {  # where those lead that have nothing in them
    "/schedules/pause-all": "/",
    "/schedules/resume-all": "/",
    "/dead-letters/group/replay": "/dead-letters",
    "/dead-letters/group/drop": "/dead-letters",
    "/replicas/resign": "/replicas",
    "/console/theme": "/",
    "/console/message/close": "/",
}
NUMBERED = {
    "/runs": ("cancel", "retry"),
    "/dead-letters": ("replay", "drop"),
    "/backfills": ("pause", "resume", "cancel"),
}


def form_address_router(view: View) -> APIRouter:
    """The routes, for GET alone; they stand behind those that have a page of their own."""
    router = APIRouter(route_class=pages_route(view), include_in_schema=False)
    look = [Depends(AtLeast(Role.VIEWER))]
    for part in OF_FLOWS:
        router.add_api_route(f"/flows/{{name}}/{part}", _to_flow, dependencies=look)
    router.add_api_route("/flows/{name}/backfill/plan", _to_backfill, dependencies=look)
    for address, page in LEADS.items():
        router.add_api_route(address, _to(page), dependencies=look)
    for page, verbs in NUMBERED.items():
        for verb in verbs:
            router.add_api_route(f"{page}/{{number}}/{verb}", _to_numbered(page), dependencies=look)
    return router


async def _to_flow(name: str) -> Response:
    return RedirectResponse(flow_address(name), 303)


async def _to_backfill(name: str) -> Response:
    return RedirectResponse(f"{flow_address(name)}/backfill", 303)


def _to(page: str) -> Callable[[Request], Awaitable[Response]]:
    async def lead(request: Request) -> Response:
        return RedirectResponse(page, 303)

    return lead


def _to_numbered(page: str) -> Callable[[Request, Number], Awaitable[Response]]:
    async def lead(request: Request, number: Number) -> Response:
        return RedirectResponse(f"{page}/{number}", 303)

    return lead
