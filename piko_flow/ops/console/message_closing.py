"""Closing a message that would otherwise be shown on the next pages, too."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from piko_flow.ops.console import flash
from piko_flow.ops.console.forms import form_of
from piko_flow.ops.console.refusals import pages_route
from piko_flow.ops.console.view import View
from piko_flow.ops.local_path import local_path
from piko_flow.ops.visitor import AtLeast
from piko_flow.store.ops_records import Role


def message_router(view: View) -> APIRouter:
    """What the button of a message asks where it stays until it is closed; it changes a cookie of who asks."""
    router = APIRouter(route_class=pages_route(view), include_in_schema=False)

    @router.post("/console/message/close", dependencies=[Depends(AtLeast(Role.VIEWER))])
    async def close(request: Request) -> Response:
        response = RedirectResponse(local_path((await form_of(request)).get("back")), 303)
        flash.forget(request, response)
        return response

    return router
