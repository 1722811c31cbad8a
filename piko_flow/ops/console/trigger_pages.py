"""Running a flow because somebody asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request, Response

from piko_flow.control.plane import ControlPlane
from piko_flow.ops.console.field_refused import about
from piko_flow.ops.console.flash import told
from piko_flow.ops.console.forms import form_of, refuse, span_of
from piko_flow.ops.console.page_group import FlowPageGroup
from piko_flow.ops.console.refusals import pages_route
from piko_flow.ops.visitor import AtLeast, Visitor
from piko_flow.planning.window import Window
from piko_flow.planning.zones import find_zone
from piko_flow.store.ops_records import Role
from piko_flow.store.records import RunRecord

FORM = "trigger"
Operator = Annotated[Visitor, Depends(AtLeast(Role.OPERATOR))]


class TriggerPages(FlowPageGroup):
    """What the buttons to run a flow send."""

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(route_class=pages_route(self._view), include_in_schema=False)
        router.add_api_route("/flows/{name}/trigger", self.trigger, methods=["POST"])
        return router

    async def trigger(self, request: Request, name: str, who: Operator) -> Response:
        """Queue a run; the form's key makes sure that sending it twice makes one."""
        form = await form_of(request)

        async def trigger(plane: ControlPlane) -> RunRecord:
            window = await _window(plane, name, form)
            key = form.get("key", "")[:100]
            with about("params"):
                given = _given(form)
            by = plane.acting(who.name, who.via)
            return await by.trigger(name, params=given, window=window, key=key, by=who.name)

        async def send() -> Response:
            run = await self._process.ask(trigger)
            return told(request, f"/runs/{run.id}", f"Run {run.id} of {name} is queued.")

        return await self._page.unless_refused(request, name, FORM, form, send)


def _given(form: Mapping[str, str]) -> dict[str, Any] | None:
    text = form.get("params", "").strip()
    if not text:
        return None
    try:
        values = orjson.loads(text)
    except orjson.JSONDecodeError:
        values = None
    if not isinstance(values, dict):
        refuse("trigger a flow", "parameters are a JSON object", f"{text!r:.60} came")
    return values or None


async def _window(plane: ControlPlane, name: str, form: Mapping[str, str]) -> Window | None:
    first, last = form.get("start", "").strip(), form.get("end", "").strip()
    if not first and not last:
        return None
    zone = find_zone(await plane.zone(name))
    return span_of(first, last, zone)
