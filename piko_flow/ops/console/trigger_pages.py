"""Running a flow because somebody asks: what would run, and running it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request, Response

from piko_flow.control.flows.told_times import Times
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_triggers import TriggerPlan
from piko_flow.ops.console.flash import told
from piko_flow.ops.console.forms import form_of, span_of
from piko_flow.ops.console.page_group import FlowPageGroup
from piko_flow.ops.console.refusals import pages_route
from piko_flow.ops.console.trigger_form import given_of
from piko_flow.ops.console.zone_of_form import times_in
from piko_flow.ops.visitor import AtLeast, Visitor
from piko_flow.planning.window import Window
from piko_flow.planning.zones import find_zone
from piko_flow.store.ops_records import Role
from piko_flow.store.records import RunRecord

FORM = "trigger"
TITLES = ("Window from", "Window up to")
Operator = Annotated[Visitor, Depends(AtLeast(Role.OPERATOR))]


class TriggerPages(FlowPageGroup):
    """What the buttons to run a flow send."""

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(route_class=pages_route(self._view), include_in_schema=False)
        router.add_api_route("/flows/{name}/trigger/preview", self.preview, methods=["POST"])
        router.add_api_route("/flows/{name}/trigger", self.trigger, methods=["POST"])
        return router

    async def preview(self, request: Request, name: str, who: Operator) -> Response:
        """Which window would run, with which parameters; nothing is changed."""
        form = await form_of(request)

        async def plan(plane: ControlPlane) -> tuple[TriggerPlan, ZoneInfo]:
            zone = find_zone(await plane.zone(name))
            asked = _asked(plane, name, form, zone)
            with times_in(zone, "start"):
                return await plane.plan_trigger(name, **asked), zone

        async def preview() -> Response:
            planned, zone = await self._process.ask(plan)
            typed = "" if planned.window is None else Times(zone).span(planned.window)
            values: dict[str, Any] = {"planned": planned, "zone": zone.key, "typed": typed}
            if request.headers.get("HX-Request") == "true":
                return self._view.part(request, "trigger_part.html", **values)
            return self._view.page(request, "trigger.html", name=name, section="/", **values)

        return await self._page.unless_refused(request, name, FORM, form, preview)

    async def trigger(self, request: Request, name: str, who: Operator) -> Response:
        """Queue a run; the form's key makes sure that sending it twice makes one."""
        form = await form_of(request)

        async def trigger(plane: ControlPlane) -> RunRecord:
            zone = find_zone(await plane.zone(name))
            asked = _asked(plane, name, form, zone)
            by = plane.acting(who.name, who.via)
            with times_in(zone, "start"):
                return await by.trigger(name, **asked, key=form.get("key", "")[:100], by=who.name)

        async def send() -> Response:
            run = await self._process.ask(trigger)
            return told(request, f"/runs/{run.id}", f"Run {run.id} of {name} is queued.")

        return await self._page.unless_refused(request, name, FORM, form, send)


def _asked(plane: ControlPlane, name: str, form: Mapping[str, str], zone: ZoneInfo) -> dict[str, Any]:
    """The window and the parameters of a form. Raises FieldRefused for what cannot be read."""
    return {"window": _window(form, zone), "params": given_of(plane.registered(name), form)}


def _window(form: Mapping[str, str], zone: ZoneInfo) -> Window | None:
    first, last = form.get("start", "").strip(), form.get("end", "").strip()
    return span_of(first, last, zone, titles=TITLES) if first or last else None
