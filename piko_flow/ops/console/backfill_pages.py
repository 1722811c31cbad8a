"""Backfills: planned and begun from a flow's page, watched, paused, resumed and cancelled from the list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_backfills import BackfillPlan, BackfillRequest, BackfillView
from piko_flow.counting import counted
from piko_flow.errors import NotFound, RequestConflicts, RequestRefused
from piko_flow.ops.console.conflicts import conflict, seen_by
from piko_flow.ops.console.field_refused import about
from piko_flow.ops.console.flash import told
from piko_flow.ops.console.forms import form_of, refuse, span_of, whole_field
from piko_flow.ops.console.numbered import Number
from piko_flow.ops.console.page_group import PageGroup
from piko_flow.ops.console.refusals import pages_route
from piko_flow.ops.console.wrong_form import wrong_form
from piko_flow.ops.visitor import AtLeast, Visitor
from piko_flow.planning.zones import find_zone
from piko_flow.store.ops_records import Role
from piko_flow.store.records import BackfillRecord

KINDS = {
    "gap": "windows of gaps, failed or missing",
    "missing": "windows that are missing or were skipped",
    "failed": "windows that failed or are incomplete",
    "all": "all windows, those that are done too",
}
LONGEST = 100  # characters of a field
FIELDS = ("start", "end", "what", "concurrency", "newest_first")
FORM = "backfill"
VERBS = ("pause", "resume", "cancel")
LISTED = 50
MOST_AT_ONCE = 1000
Operator = Annotated[Visitor, Depends(AtLeast(Role.OPERATOR))]


class BackfillPages(PageGroup):
    """Shows backfills, and changes them."""

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(route_class=pages_route(self._view), include_in_schema=False)
        look = [Depends(AtLeast(Role.VIEWER))]
        router.add_api_route("/backfills", self.list, dependencies=look)
        router.add_api_route("/backfills/{number}", self.one, dependencies=look)
        router.add_api_route("/parts/backfills", self.part, dependencies=look)
        router.add_api_route("/parts/backfills/{number}", self.part_of_one, dependencies=look)
        router.add_api_route("/flows/{name}/backfill", self.page)
        router.add_api_route("/flows/{name}/backfill/plan", self.plan, methods=["POST"])
        router.add_api_route("/flows/{name}/backfill", self.apply, methods=["POST"])
        router.add_api_route("/backfills/{number}/{verb}", self.change, methods=["POST"])
        return router

    async def list(self, request: Request) -> Response:
        """The newest ones."""
        return self._view.page(request, "backfills.html", section="/backfills", **await self._values())

    async def one(self, request: Request, number: Number) -> Response:
        """One, as it stands in the list."""
        return self._view.page(request, "backfills.html", section="/backfills", **await self._values(number))

    async def part(self, request: Request) -> Response:
        """The table, which changes by itself."""
        return await self._view.shared_part(request, "backfills_part.html", self._values, seconds=2)

    async def part_of_one(self, request: Request, number: Number) -> Response:
        """The table with one, which changes by itself."""
        return await self._view.shared_part(
            request, "backfills_part.html", lambda: self._values(number), seconds=2
        )

    async def _values(self, only: int = 0) -> dict[str, Any]:
        """What the table shows: the newest ones, or the one of this number."""

        async def read(plane: ControlPlane) -> tuple[Sequence[BackfillView], datetime]:
            found = [await plane.backfill(only)] if only else await plane.backfills(limit=LISTED)
            return found, await plane.now()

        views, now = await self._process.ask(read)
        return {"views": views, "now": now, "only": only}

    async def plan(self, request: Request, name: str, who: Operator) -> Response:
        """What a backfill would do; nothing is changed."""
        form = await form_of(request)
        if request.headers.get("HX-Request") != "true":
            return await self._planned(request, name, form)
        found = await self._process.ask(lambda plane: _plan(plane, name, form))
        values: dict[str, Any] = {"plan": found, "name": name, "kinds": KINDS, "sent": form}
        return self._view.part(request, "plan_part.html", **values)

    async def page(self, request: Request, name: str, who: Operator) -> Response:
        """The form filled in as the address says, with what it would do; without a span that of the flow's gaps."""
        asked = {key: value[:LONGEST] for key, value in request.query_params.items() if key in FIELDS}
        sent = await self._process.ask(lambda plane: _filled(plane, name, asked))
        return await self._planned(request, name, sent)

    async def _planned(
        self, request: Request, name: str, sent: dict[str, str], conflicts: RequestConflicts | None = None
    ) -> Response:
        """The page of a backfill: the form as it was filled in, with its preview, or with what is wrong in it."""
        plan, wrong = None, None if conflicts is None else wrong_form(FORM, sent, conflicts)
        try:
            plan = await self._process.ask(lambda plane: _plan(plane, name, sent))
        except NotFound:
            raise
        except RequestRefused as error:
            wrong = wrong_form(FORM, sent, error)
        values = {"plan": plan, "name": name, "kinds": KINDS, "sent": sent, "wrong": wrong, "section": "/"}
        status = 200 if wrong is None or request.method == "GET" else wrong.told.status
        return self._view.page(request, "plan.html", status=status, **values)

    async def apply(self, request: Request, name: str, who: Operator) -> Response:
        """Begin the one that was planned; a conflict where the plan has become another one."""
        form = await form_of(request)

        async def apply(plane: ControlPlane) -> BackfillRecord:
            wanted = await _request(plane, name, form)
            now = await plane.plan_backfill(wanted)
            if now.digest != form.get("digest", ""):
                conflict(
                    f"backfill {name!r}",
                    "the plan that was shown",
                    f"a plan of {counted(len(now.windows), 'window')}",
                )
            return await plane.acting(who.name, who.via).apply_backfill(wanted, digest=now.digest)

        try:
            made = await self._process.ask(apply)
        except RequestConflicts as error:
            return await self._planned(request, name, form, error)
        return told(
            request,
            "/backfills",
            f"Backfill {made.id} of {name} runs {counted(len(made.windows), 'window')}.",
        )

    async def change(self, request: Request, number: Number, verb: str, who: Operator) -> Response:
        """Pause, resume or cancel one, if it is in the state that the page showed."""
        seen = seen_by(await form_of(request), "state")
        if verb not in VERBS:
            refuse(f"change backfill {number}", f"the verbs are {', '.join(VERBS)}", f"got {verb!r:.40}")

        async def change(plane: ControlPlane) -> BackfillRecord:
            by = plane.acting(who.name, who.via)
            if verb == "pause":
                return await by.pause_backfill(number, expected=seen)
            if verb == "resume":
                return await by.resume_backfill(number, expected=seen)
            return await by.cancel_backfill(number, expected=seen)

        made = await self._process.ask(change)
        return told(request, "/backfills", f"Backfill {number} is {made.state}.")


async def _plan(plane: ControlPlane, name: str, form: Mapping[str, str]) -> BackfillPlan:
    return await plane.plan_backfill(await _request(plane, name, form))


async def _filled(plane: ControlPlane, name: str, asked: Mapping[str, str]) -> dict[str, str]:
    """What an address says of a backfill, and else what is usual: gaps, all of them, one window at a time."""
    flow, zone = plane.registered(name), find_zone(await plane.zone(name))
    filled = {"start": "", "end": "", "what": "gap", "concurrency": "1", **asked}
    if flow.stateful and not asked.get("start") and not asked.get("end"):
        gaps = (await plane.store.states([name]))[name].gaps()
        if gaps:
            edges = gaps[0].start, gaps[-1].end
            filled["start"], filled["end"] = (edge.astimezone(zone).isoformat(" ") for edge in edges)
    return filled


async def _request(plane: ControlPlane, name: str, form: Mapping[str, str]) -> BackfillRequest:
    """The request of a form, whose times are of the flow's zone. Raises RequestRefused."""
    zone = find_zone(await plane.zone(name))
    span = span_of(form.get("start", ""), form.get("end", ""), zone)
    kind = form.get("what", "missing")
    with about("what"):
        if kind not in KINDS:
            refuse("plan a backfill", f"its kind is one of {', '.join(KINDS)}", f"got {kind!r:.40}")
    return BackfillRequest(
        flow=name,
        span=span,
        kind=kind,
        newest_first="newest_first" in form,
        concurrency=whole_field(dict(form), "concurrency", least=1, most=MOST_AT_ONCE),
    )
