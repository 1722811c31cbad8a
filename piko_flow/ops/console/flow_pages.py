"""One flow: its graph, windows, schedule and parameters, and what can be done with it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_explains import Explanation
from piko_flow.ops.console.page_group import FlowPageGroup
from piko_flow.ops.console.refusals import pages_route
from piko_flow.ops.console.sentences import MARKED
from piko_flow.ops.console.steps import with_steps
from piko_flow.ops.visitor import AtLeast
from piko_flow.store.ops_records import Role


class FlowPages(FlowPageGroup):
    """Shows flows. What changes them is beside: schedules, parameters, backfills, triggers."""

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(route_class=pages_route(self._view), include_in_schema=False)
        look = [Depends(AtLeast(Role.VIEWER))]
        router.add_api_route("/flows/{name}", self.flow, dependencies=look)
        router.add_api_route("/parts/flows/{name}", self.part, dependencies=look)
        router.add_api_route("/parts/flows/{name}/why", self.why, dependencies=look)
        return router

    async def flow(self, request: Request, name: str) -> Response:
        """The page."""
        return await self._page.answer(request, name)

    async def part(self, request: Request, name: str) -> Response:
        """What of it changes by itself: how it stands, its graph with its numbers, its last runs."""
        return await self._view.shared_part(
            request, "flow_part.html", lambda: self._page.live(name), seconds=2
        )

    async def why(self, request: Request, name: str) -> Response:
        """Why it is not running, which takes longer to find out than all the rest."""

        async def read() -> dict[str, Any]:
            async def explain(plane: ControlPlane) -> tuple[Explanation, str]:
                flow = plane.registry.get(name)
                upstream = flow.after if flow is not None and flow.after is not None else ""
                return await plane.explain_flow(name, times=MARKED), upstream

            explained, upstream = await self._process.ask(explain)
            return {"lines": with_steps(explained.lines, name, upstream)}

        return await self._view.shared_part(request, "why_part.html", read, seconds=5)
