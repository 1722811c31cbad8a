"""Runs: the list, one run with its stages, log and attempts, and what can be done to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from piko_flow.control.plane import ControlPlane
from piko_flow.control.plane_explains import Explanation
from piko_flow.control.plane_runs import RunPage, RunView
from piko_flow.control.replaying import REPLAY
from piko_flow.control.told_failure import failures_of
from piko_flow.ops.console.conflicts import seen_by
from piko_flow.ops.console.flash import told
from piko_flow.ops.console.forms import form_of, whole
from piko_flow.ops.console.live_rates import LiveRates
from piko_flow.ops.console.refusals import pages_route
from piko_flow.ops.console.stage_rows import stages_of
from piko_flow.ops.console.view import View
from piko_flow.ops.process import Process
from piko_flow.ops.visitor import AtLeast, Visitor
from piko_flow.planning.run_state import LIVE, RunStatus
from piko_flow.store.ops_records import LogLine, Role
from piko_flow.store.protocols import RunFilter
from piko_flow.store.records import DeadLetterRecord, RunRecord

PAGE = 50
LOG_LINES = 1000
LETTERS = 20
Operator = Annotated[Visitor, Depends(AtLeast(Role.OPERATOR))]


@dataclass(frozen=True, slots=True)
class RunDetail:
    """All that the page of a run shows."""

    view: RunView
    log: list[LogLine]
    reports: dict[int, str]
    live: tuple[datetime, str] | None
    letters: list[DeadLetterRecord]
    others: list[RunRecord]
    replayed: list[DeadLetterRecord]
    now: datetime


class RunPages:
    """Shows runs, cancels and retries them."""

    def __init__(self, process: Process, view: View) -> None:
        self._process, self._view, self._rates = process, view, LiveRates()

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(route_class=pages_route(self._view), include_in_schema=False)
        look = [Depends(AtLeast(Role.VIEWER))]
        router.add_api_route("/runs", self.runs, dependencies=look)
        router.add_api_route("/parts/runs", self.runs_part, dependencies=look)
        router.add_api_route("/runs/{number}", self.run, dependencies=look)
        router.add_api_route("/parts/runs/{number}", self.run_part, dependencies=look)
        router.add_api_route("/parts/runs/{number}/why", self.why, dependencies=look)
        router.add_api_route("/runs/{number}/cancel", self.cancel, methods=["POST"])
        router.add_api_route("/runs/{number}/retry", self.retry, methods=["POST"])
        return router

    async def runs(self, request: Request) -> Response:
        """The list."""
        return self._view.page(request, "runs.html", **await self._list(request))

    async def runs_part(self, request: Request) -> Response:
        """The table of the list, which changes by itself."""
        return await self._view.shared_part(request, "runs_part.html", lambda: self._list(request), seconds=2)

    async def run(self, request: Request, number: int) -> Response:
        """One run."""
        return self._view.page(request, "run.html", **await self._one(request, number))

    async def run_part(self, request: Request, number: int) -> Response:
        """What changes of it while it is live."""
        return await self._view.shared_part(
            request, "run_part.html", lambda: self._one(request, number), seconds=1
        )

    async def why(self, request: Request, number: int) -> Response:
        """Why it waits or ended so, which takes longer to find out than all the rest."""

        async def read() -> dict[str, Any]:
            explained: Explanation = await self._process.ask(lambda plane: plane.explain_run(number))
            return {"lines": explained.lines}

        return await self._view.shared_part(request, "why_part.html", read, seconds=5)

    async def cancel(self, request: Request, number: int, who: Operator) -> Response:
        """Cancel it, if it is as the page showed it."""
        seen = seen_by(await form_of(request), "status", "attempt")
        run = await self._process.ask(
            lambda plane: plane.acting(who.name, who.via).cancel(number, expected=seen)
        )
        text = "is cancelled" if run.status is RunStatus.CANCELLED else "is asked to stop"
        return told(request, f"/runs/{number}", f"Run {number} {text}.")

    async def retry(self, request: Request, number: int, who: Operator) -> Response:
        """Queue it once more, if it is as the page showed it."""
        seen = seen_by(await form_of(request), "status", "attempt")
        run = await self._process.ask(
            lambda plane: plane.acting(who.name, who.via).retry(number, expected=seen)
        )
        return told(request, f"/runs/{number}", f"Run {number} waits for attempt {run.attempt}.")

    async def _list(self, request: Request) -> dict[str, Any]:
        asked = request.query_params
        flow, status = asked.get("flow", "")[:200], asked.get("status", "")
        backfill, before = whole(asked.get("backfill"), 0), whole(asked.get("before"), 0, most=2**62)
        which = RunFilter(
            flow=flow or None,
            statuses={RunStatus(status)} if status in RunStatus.__members__ else (),
            backfill=backfill or None,
            before=before or None,
            limit=PAGE,
        )

        async def read(plane: ControlPlane) -> tuple[RunPage, datetime, list[str]]:
            return await plane.runs(which), await plane.now(), list(plane.registry)

        page, now, flows = await self._process.ask(read)
        return {
            "section": "/runs",
            "runs": page.runs,
            "before": page.before,
            "now": now,
            "flows": flows,
            "statuses": list(RunStatus),
            "asked": {"flow": flow, "status": status, "backfill": backfill or "", "before": before or ""},
        }

    async def _one(self, request: Request, number: int) -> dict[str, Any]:
        after = whole(request.query_params.get("after"), 0, most=2**31)
        detail: RunDetail = await self._process.ask(lambda plane: read_run(plane, number, after=after))
        run = detail.view.run
        report = stages_of(detail.reports.get(run.attempt))
        if report is None and detail.live is not None:
            report = self._rates.now(number, stages_of(detail.live[1]))
        return {
            "section": "/runs",
            "run": run,
            "view": detail.view,
            "now": detail.now,
            "live": run.status in LIVE,
            "log": detail.log,
            "after": after,
            "more_log": detail.log[-1].number if len(detail.log) == LOG_LINES else None,
            "stages": report,
            "failures": failures_of(run, detail.reports),
            "earlier": {
                attempt: stages_of(text) for attempt, text in detail.reports.items() if attempt != run.attempt
            },
            "letters": detail.letters,
            "replayed": detail.replayed,
            "others": [one for one in detail.others if one.id != run.id],
            "may_retry": run.status in (RunStatus.FAILED, RunStatus.CANCELLED),
        }


async def read_run(plane: ControlPlane, number: int, *, after: int = 0) -> RunDetail:
    """Everything about a run, with the lines of its log after this one. Refused when there is none of this number."""
    view, store = await plane.run(number), plane.store
    run = view.run
    shown = await store.shown_live([number]) if run.status is RunStatus.RUNNING else {}
    letters = await store.dead_letters(run=number, limit=LETTERS) if run.dead_items else []
    others = []
    if run.window is not None:
        recent = await store.runs(RunFilter(flow=run.flow, limit=200))
        others = [one for one in recent if one.window == run.window]
    return RunDetail(
        view=view,
        log=await store.log(number, after=after, limit=LOG_LINES),
        reports=await store.reports(number),
        live=shown.get(number),
        letters=letters,
        others=others,
        replayed=await store.dead_letters(replay_run=number, limit=LETTERS) if run.origin == REPLAY else [],
        now=await plane.now(),
    )
