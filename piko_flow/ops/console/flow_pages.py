"""One flow: its graph, windows, schedule and parameters, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import zip_longest
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from piko_flow.control.plane import ControlPlane
from piko_flow.control.plane_explains import Explanation
from piko_flow.control.plane_overview import FlowNow, flow_now
from piko_flow.control.plane_params import ParamsView, SeenParams
from piko_flow.control.schedule_rows import Schedule, understand
from piko_flow.ops.console import overview_rows, params_form, schedule_form
from piko_flow.ops.console.calendar import WORDS, calendar_of, scale_for
from piko_flow.ops.console.flow_graphs import FlowGraphs
from piko_flow.ops.console.live_rates import LiveRates
from piko_flow.ops.console.refusals import pages_route
from piko_flow.ops.console.stage_rows import stages_of
from piko_flow.ops.console.strip import BARS, strip_of
from piko_flow.ops.console.view import View
from piko_flow.ops.process import Process
from piko_flow.ops.visitor import AtLeast
from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.trigger import next_fires
from piko_flow.planning.zones import find_zone
from piko_flow.store.ops_records import Role

FIRES = 6
VERSIONS = 10
SHOWN_RUNS = 10


@dataclass(frozen=True, slots=True)
class FlowFacts:
    """What the page is made of: what is stored of the flow, what its row means, its parameters as they are and were.

    `params_version` is that of their row, 0 without one.
    """

    now: FlowNow
    understood: Schedule | str | None
    params: ParamsView | None
    history: tuple[SeenParams, ...]
    params_version: int = 0


class FlowPages:
    """Shows flows. What changes them is beside: schedules, parameters, backfills, triggers."""

    def __init__(self, process: Process, view: View) -> None:
        self._process, self._view = process, view
        self._graphs, self._rates = FlowGraphs(), LiveRates()

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
        facts = await self._process.ask(lambda plane: read_flow(plane, name, history=VERSIONS))
        values = await self._live(facts) | _windows(facts, request) | _schedule(facts) | _params(facts)
        return self._view.page(request, "flow.html", **values)

    async def part(self, request: Request, name: str) -> Response:
        """What of it changes by itself: how it stands, its graph with its numbers, its last runs."""

        async def read() -> dict[str, Any]:
            return await self._live(await self._process.ask(lambda plane: read_flow(plane, name, history=0)))

        return await self._view.shared_part(request, "flow_part.html", read, seconds=2)

    async def why(self, request: Request, name: str) -> Response:
        """Why it is not running, which takes longer to find out than all the rest."""

        async def read() -> dict[str, Any]:
            explained: Explanation = await self._process.ask(lambda plane: plane.explain_flow(name))
            return {"lines": explained.lines}

        return await self._view.shared_part(request, "why_part.html", read, seconds=5)

    async def _live(self, facts: FlowFacts) -> dict[str, Any]:
        now = facts.now
        live = now.live is not None
        stages, shown = None, now.live or now.report
        if shown is not None:
            stages = stages_of(shown[1])
            if live:
                stages = self._rates.now(shown[0], stages)
        graph = await self._graphs.of(now.flow)
        standing = standing_of(facts)
        state = now.state
        watermark = None if state is None else state.watermark
        return {
            "section": "/",
            "name": now.name,
            "flow": now.flow,
            "now": now.now,
            "standing": standing,
            "row": now.row,
            "paused": now.record.paused if now.record is not None else "",
            "paused_all": now.paused_all,
            "runs": now.runs[:SHOWN_RUNS],
            "strip": strip_of(now.runs),
            "live": now.live[0] if now.live is not None else None,
            "shown_run": shown[0] if shown is not None else None,
            "stages": stages,
            "picture": None if graph.picture is None else graph.picture.drawn(stages, live=live),
            "why_not_drawn": graph.why_not,
            "lag": None if watermark is None else now.now - watermark,
            "gaps": () if state is None else state.gaps(),
            "letters": now.letters,
            "backfills": now.backfills,
            "stateful": state is not None,
        }


async def read_flow(plane: ControlPlane, name: str, *, history: int) -> FlowFacts:
    """All that the page of a flow shows. Refused for one that nobody knows."""
    now = await flow_now(plane, name, runs=BARS)
    understood = None if now.row is None else understand(now.row, plane.registry, plane.options.zone)
    if not history or now.flow is None:
        return FlowFacts(now, understood, None, ())
    seen = await plane.params_history(name, limit=history + 1)
    version = next((row.version for row in await plane.store.configs() if row.flow == name), 0)
    return FlowFacts(now, understood, await plane.params(name), tuple(seen), version)


def standing_of(facts: FlowFacts) -> tuple[str, str, str]:
    """How the flow stands: the colour, one word, and why."""
    now, understood = facts.now, facts.understood
    last = now.runs[0] if now.runs else None
    ended = next((run for run in now.runs if run.status in (RunStatus.SUCCESS, RunStatus.FAILED)), None)
    refused = (
        understood if isinstance(understood, str) else now.record.refused if now.record is not None else ""
    )
    paused = now.paused_all or (now.record.paused if now.record is not None else "")
    health, why = "healthy", ""
    if now.flow is None:
        health = "unregistered"
    elif refused:
        health, why = "refused", refused
    elif ended is not None and ended.status is RunStatus.FAILED and last is ended:
        health, why = "failing", ended.error_msg
    elif last is not None and last.status is RunStatus.RUNNING:
        health = "running"
    elif not isinstance(understood, Schedule):
        health = "unscheduled"
    elif not understood.active:
        health = "disabled"
    elif paused:
        health, why = "paused", paused
    elif now.state is not None and now.state.gaps():
        health = "gaps"
    elif last is None:
        health = "waiting"
    tone, meaning = overview_rows.HEALTH[health]
    return tone, health, why or meaning


def _windows(facts: FlowFacts, request: Request) -> dict[str, Any]:
    """The calendar, and what the form beside it begins with."""
    state: FlowState | None = facts.now.state
    if state is None:
        return {"calendar": None, "words": WORDS}
    asked = request.query_params
    schedule = facts.understood if isinstance(facts.understood, Schedule) else None
    scale = asked.get("scale", "")
    if scale not in ("hours", "days"):
        scale = scale_for(schedule.trigger if schedule else None, facts.now.now)
    calendar = calendar_of(
        state, now=facts.now.now, zone=find_zone(facts.now.zone), scale=scale, last=_date(asked.get("to", ""))
    )
    return {"calendar": calendar, "words": WORDS}


def _schedule(facts: FlowFacts) -> dict[str, Any]:
    schedule = facts.understood if isinstance(facts.understood, Schedule) else None
    coming = next_fires(schedule.trigger, after=facts.now.now, n=FIRES) if schedule is not None else []
    kind, expression = schedule_form.written(facts.now.row)
    return {
        "schedule": schedule,
        "refused": facts.understood if isinstance(facts.understood, str) else "",
        "fires": coming,
        "kinds": schedule_form.KINDS,
        "kind": kind,
        "expression": expression,
        "zone": facts.now.zone,
    }


def _params(facts: FlowFacts) -> dict[str, Any]:
    view = facts.params
    versions = [
        {"seen": seen, "changes": params_form.differences(_values(older), _values(seen))}
        for seen, older in zip_longest(facts.history, facts.history[1:])
    ][:VERSIONS]
    return {
        "params": view,
        "fields": params_form.fields_of(facts.now.flow, view.values) if view is not None else [],
        "prefix": params_form.PREFIX,
        "versions": versions,
        "params_version": facts.params_version,
    }


def _values(seen: SeenParams | None) -> Mapping[str, Any] | None:
    return None if seen is None else seen.values


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
