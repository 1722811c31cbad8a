"""Changing a flow's schedule: tried on, saved, deleted, paused, resumed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from piko_flow.control.flows.system_row import read_system_row
from piko_flow.control.leader.reconciler import SYSTEM
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_rows import Preview
from piko_flow.errors import RequestRefused, ScheduleError
from piko_flow.ops.console.conflicts import conflict, seen_by
from piko_flow.ops.console.flash import told
from piko_flow.ops.console.flow_address import flow_address
from piko_flow.ops.console.formats import about
from piko_flow.ops.console.forms import form_of, refuse
from piko_flow.ops.console.page_group import FlowPageGroup
from piko_flow.ops.console.refusals import pages_route
from piko_flow.ops.console.schedule_form import read_columns, read_schedule
from piko_flow.ops.visitor import AtLeast, Visitor
from piko_flow.store.ops_records import Role

FIRES = 8
LONGEST_WAIT = 366 * 86_400  # seconds of a poll_interval_s that are told
FORM = "schedule"
Operator = Annotated[Visitor, Depends(AtLeast(Role.OPERATOR))]


@dataclass(frozen=True, slots=True)
class TriedOn:
    """The next fires as they are and as they would be; `before` is None where there is no schedule to show."""

    before: Preview | None
    after: Preview
    now: datetime


class SchedulePages(FlowPageGroup):
    """What the schedule's form sends."""

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(route_class=pages_route(self._view), include_in_schema=False)
        for path, answer in (
            ("/flows/{name}/schedule/preview", self.preview),
            ("/flows/{name}/schedule", self.save),
            ("/flows/{name}/schedule/delete", self.delete),
            ("/flows/{name}/pause", self.pause),
            ("/flows/{name}/resume", self.resume),
            ("/schedules/pause-all", self.pause_all),
            ("/schedules/resume-all", self.resume_all),
        ):
            router.add_api_route(path, answer, methods=["POST"])
        return router

    async def preview(self, request: Request, name: str, who: Operator) -> Response:
        """The next fires before and after; nothing is changed."""
        form = await form_of(request)

        async def try_on(plane: ControlPlane) -> TriedOn:
            kind, expression = read_schedule(form, plane.options.zone)
            read_columns(form)
            zone = form.get("timezone", "").strip() or None
            after = await plane.preview(name, n=FIRES, kind=kind, expression=expression, zone=zone)
            return TriedOn(await _before(plane, name), after, await plane.now())

        async def preview() -> Response:
            tried = await self._process.ask(try_on)
            if request.headers.get("HX-Request") == "true":
                return self._view.part(request, "fires_part.html", tried=tried)
            return self._view.page(request, "fires.html", tried=tried, name=name, section="/")

        return await self._page.unless_refused(request, name, FORM, form, preview)

    async def save(self, request: Request, name: str, who: Operator) -> Response:
        """Write the row, if it is as the page showed it."""
        form = await form_of(request)

        async def write(plane: ControlPlane) -> str:
            kind, expression = read_schedule(form, plane.options.zone)
            columns, seen = read_columns(form), seen_by(form, "version")
            by = plane.acting(who.name, who.via)
            await by.set_schedule(name, kind, expression, expected=seen, **columns)
            return await when_looked_at(plane)

        async def save() -> Response:
            text = f"The schedule is saved; {await self._process.ask(write)}."
            return told(request, flow_address(name), text)

        return await self._page.unless_refused(request, name, FORM, form, save)

    async def delete(self, request: Request, name: str, who: Operator) -> Response:
        """Delete the row, if it is as the page showed it."""
        seen = seen_by(await form_of(request), "version")

        async def delete(plane: ControlPlane) -> bool:
            await plane.acting(who.name, who.via).delete_schedule(name, expected=seen)
            return name in plane.registry

        known = await self._process.ask(delete)
        text = f"The schedule of {name} is deleted; what is queued or running goes on."
        return told(request, flow_address(name) if known else "/", text)

    async def pause(self, request: Request, name: str, who: Operator) -> Response:
        """Pause it. A conflict where it was paused already."""
        if not await self._process.ask(lambda plane: plane.acting(who.name, who.via).pause(name)):
            conflict(f"pause {name!r}", "not paused", "paused already")
        return told(request, flow_address(name), f"{name} is paused. Runs that are queued or running go on.")

    async def resume(self, request: Request, name: str, who: Operator) -> Response:
        """Resume it. A conflict where it was not paused by itself."""
        if not await self._process.ask(lambda plane: plane.acting(who.name, who.via).resume(name)):
            conflict(f"resume {name!r}", "paused", "not paused by itself")
        return told(request, flow_address(name), f"{name} makes runs again.")

    async def pause_all(self, request: Request, who: Operator) -> Response:
        """Pause every schedule."""
        return await self._all(request, who, paused=True)

    async def resume_all(self, request: Request, who: Operator) -> Response:
        """Let go of that."""
        return await self._all(request, who, paused=False)

    async def _all(self, request: Request, who: Visitor, *, paused: bool) -> Response:
        done = await self._process.ask(lambda plane: plane.acting(who.name, who.via).pause_all(paused=paused))
        if not done:
            refuse("change all schedules", "it changes something", "they were so already")
        return told(request, "/", "All schedules are paused." if paused else "Schedules make runs again.")


async def when_looked_at(plane: ControlPlane) -> str:
    """When a leader looks at a row that was just written, in words."""
    leader = await plane.leader()
    if leader.elected and not leader.leads:
        return "nobody leads now, and whoever leads next looks at it at once"
    return f"the leader looks at it within {about(await looked_at_within(plane))}"


async def looked_at_within(plane: ControlPlane) -> timedelta:
    """How long at most a leader leaves a row as it knows it, by the settings of this process and the system's row."""
    row = await plane.store.config(SYSTEM)
    said = read_system_row(None if row is None else row.text).poll_interval
    every = plane.options.reconcile_every if said is None else timedelta(seconds=min(said, LONGEST_WAIT))
    return timedelta(seconds=ceil((every + plane.options.reconcile_jitter).total_seconds()))


async def _before(plane: ControlPlane, name: str) -> Preview | None:
    """The fires as they are; None where the flow has no schedule that can be used."""
    try:
        return await plane.preview(name, n=FIRES)
    except (RequestRefused, ScheduleError):
        return None
