"""The overview of all flows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.flow_health import MEANINGS
from piko_flow.control.flows.registry import Registry
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_overview import FlowsNow, flows_in_detail, flows_now
from piko_flow.ops.console import overview_rows, theme
from piko_flow.ops.console.forms import form_of, whole
from piko_flow.ops.console.page_group import PageGroup
from piko_flow.ops.console.refusals import pages_route
from piko_flow.ops.console.strip import BARS
from piko_flow.ops.console.view import View
from piko_flow.ops.local_path import local_path
from piko_flow.ops.process import Process
from piko_flow.ops.visitor import AtLeast
from piko_flow.store.ops_records import Role

PAGE = 50
ATTENTIONS = 12


class OverviewPages(PageGroup):
    """Reads what the overview needs, and shows it."""

    def __init__(self, process: Process, view: View) -> None:
        super().__init__(process, view)
        self._standings: overview_rows.Standings | None = None

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(route_class=pages_route(self._view), include_in_schema=False)
        look = [Depends(AtLeast(Role.VIEWER))]
        router.add_api_route("/", self.overview, dependencies=look)
        router.add_api_route("/parts/overview", self.part, dependencies=look)
        router.add_api_route("/console/theme", self.theme, methods=["POST"], dependencies=look)
        return router

    async def overview(self, request: Request) -> Response:
        """The whole page."""
        return self._view.page(request, "overview.html", **await self._values(request))

    async def part(self, request: Request) -> Response:
        """What of it changes by itself."""
        return await self._view.shared_part(
            request, "overview_part.html", lambda: self._values(request), seconds=5
        )

    async def theme(self, request: Request) -> Response:
        """Choose the colours, and go back to a page of this application."""
        form = await form_of(request)
        response = RedirectResponse(local_path(form.get("back")), 303)
        theme.keep(response, form.get("theme", ""), secure=request.url.scheme == "https")
        return response

    async def _values(self, request: Request) -> dict[str, Any]:
        asked = request.query_params
        search, health, page = (
            asked.get("q", "")[:200],
            asked.get("health", "")[:20],
            whole(asked.get("page"), 1),
        )

        async def read(plane: ControlPlane) -> tuple[FlowsNow, Registry[Flow], str]:
            return await flows_now(plane), plane.registry, plane.options.zone

        # Judged here and not on the control thread, which has better things to do than to read a thousand rows.
        now, registry, zone = await self._process.ask(read)
        if self._standings is None:
            self._standings = overview_rows.Standings(registry, zone)
        standings = self._standings.of(now)
        found = overview_rows.chosen(standings, search, health)
        shown = found[(page - 1) * PAGE : page * PAGE]
        names = [one.name for one in shown]
        detail = await self._process.ask(lambda plane: flows_in_detail(plane, names, runs=BARS))
        rows = [overview_rows.flow_row(one, registry.get(one.name), detail, now, zone) for one in shown]
        first = not search and not health and page == 1
        return _totals(now, standings) | {
            "section": "/",
            "rows": rows,
            "found": len(found),
            "attentions": list(islice(overview_rows.attentions(standings, now), ATTENTIONS)) if first else [],
            "asked": {"q": search, "health": health, "page": page if page > 1 else ""},
            "page": page,
            "pages": max(-(-len(found) // PAGE), 1),
        }


def _totals(now: FlowsNow, standings: Sequence[overview_rows.Standing]) -> dict[str, Any]:
    """What is told of all flows together."""
    return {
        "now": now.now,
        "leader": now.leader,
        "paused_all": now.paused_all,
        "total": len(standings),
        "counts": overview_rows.counts(standings),
        "meanings": MEANINGS,
        "tones": overview_rows.TONES,
        "running": sum(one.running for one in standings),
        "queued": sum(one.queued for one in standings),
        "letters": sum(one.letters for one in standings),
        "attention": sum(map(overview_rows.needs_attention, standings)),
    }
