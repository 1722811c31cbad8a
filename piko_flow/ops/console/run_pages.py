"""Runs: the list, one run with its stages, log and attempts, and what can be done to it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_runs import RunPage
from piko_flow.control.operations.plane_triggers import RETRIED
from piko_flow.control.runs.failure_record import failures_of
from piko_flow.ops.console.attempt_rows import attempt_rows, has_begun
from piko_flow.ops.console.conflicts import seen_by
from piko_flow.ops.console.flash import told
from piko_flow.ops.console.forms import form_of, whole
from piko_flow.ops.console.live_rates import LiveRates
from piko_flow.ops.console.numbered import Number
from piko_flow.ops.console.page_group import PageGroup
from piko_flow.ops.console.refusals import pages_route
from piko_flow.ops.console.run_detail import RunDetail, read_run
from piko_flow.ops.console.sentences import MARKED
from piko_flow.ops.console.stage_rows import stages_of
from piko_flow.ops.console.steps import with_steps
from piko_flow.ops.console.view import View
from piko_flow.ops.process import Process
from piko_flow.ops.visitor import AtLeast, Visitor
from piko_flow.planning.run_state import LIVE, RunStatus
from piko_flow.store.ops_records import Role
from piko_flow.store.protocols import RunFilter

PAGE = 50
SETTLING = timedelta(seconds=6)  # after its end a run leaves its last lines, and its report
Operator = Annotated[Visitor, Depends(AtLeast(Role.OPERATOR))]


class RunPages(PageGroup):
    """Shows runs, cancels and retries them."""

    def __init__(self, process: Process, view: View) -> None:
        super().__init__(process, view)
        self._rates = LiveRates()

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(route_class=pages_route(self._view), include_in_schema=False)
        look = [Depends(AtLeast(Role.VIEWER))]
        router.add_api_route("/runs", self.runs, dependencies=look)
        router.add_api_route("/parts/runs", self.runs_part, dependencies=look)
        router.add_api_route("/runs/{number}", self.run, dependencies=look)
        router.add_api_route("/parts/runs/{number}", self.run_part, dependencies=look)
        router.add_api_route("/runs/{number}/cancel", self.cancel, methods=["POST"])
        router.add_api_route("/runs/{number}/retry", self.retry, methods=["POST"])
        return router

    async def runs(self, request: Request) -> Response:
        """The list."""
        return self._view.page(request, "runs.html", **await self._list(request))

    async def runs_part(self, request: Request) -> Response:
        """The table of the list, which changes by itself."""
        return await self._view.shared_part(request, "runs_part.html", lambda: self._list(request), seconds=2)

    async def run(self, request: Request, number: Number) -> Response:
        """One run, with the end of its log or the lines before one of them."""
        before = whole(request.query_params.get("before"), 0, least=2, most=2**31)
        return self._view.page(request, "run.html", **await self._one(request, number, before=before))

    async def run_part(self, request: Request, number: Number) -> Response:
        """All that changes of it while it is live, and of its log the lines after the last one that is shown."""
        asked = request.query_params.get("after")
        after = whole(asked, 0, least=0, most=2**31)

        async def read() -> dict[str, Any]:
            return await self._one(request, number, after=after, log=asked is not None)

        return await self._view.shared_part(request, "run_answer.html", read, seconds=1)

    async def cancel(self, request: Request, number: Number, who: Operator) -> Response:
        """Cancel it, if it is as the page showed it."""
        seen = seen_by(await form_of(request), "status", "attempt")
        run = await self._process.ask(
            lambda plane: plane.acting(who.name, who.via).cancel(number, expected=seen)
        )
        text = "is cancelled" if run.status is RunStatus.CANCELLED else "is asked to stop"
        return told(request, f"/runs/{number}", f"Run {number} {text}.")

    async def retry(self, request: Request, number: Number, who: Operator) -> Response:
        """Queue it once more, if it is as the page showed it."""
        seen = seen_by(await form_of(request), "status", "attempt")
        run = await self._process.ask(
            lambda plane: plane.acting(who.name, who.via).retry(number, expected=seen)
        )
        return told(request, f"/runs/{number}", f"Run {number} waits for attempt {run.attempt}.")

    async def _list(self, request: Request) -> dict[str, Any]:
        asked = request.query_params
        flow, status = asked.get("flow", "")[:200], asked.get("status", "")[:200]
        unknown = bool(status) and status not in RunStatus.__members__
        backfill, before = whole(asked.get("backfill"), 0), whole(asked.get("before"), 0, most=2**62)
        which = RunFilter(
            flow=flow or None,
            statuses={RunStatus(status)} if status and not unknown else (),
            backfill=backfill or None,
            before=before or None,
            limit=PAGE,
        )

        async def read(plane: ControlPlane) -> tuple[RunPage, datetime, list[str]]:
            found = RunPage((), None) if unknown else await plane.runs(which)
            return found, await plane.now(), list(plane.registry)

        page, now, flows = await self._process.ask(read)
        return {
            "section": "/runs",
            "runs": page.runs,
            "before": page.before,
            "now": now,
            "flows": flows,
            "statuses": list(RunStatus),
            "unknown": status if unknown else "",
            "asked": {"flow": flow, "status": status, "backfill": backfill or "", "before": before or ""},
        }

    async def _one(
        self, request: Request, number: int, *, before: int = 0, after: int | None = None, log: bool = True
    ) -> dict[str, Any]:
        detail: RunDetail = await self._process.ask(
            lambda plane: read_run(plane, number, before=before, after=after, log=log, times=MARKED)
        )
        run, attempts = detail.view.run, detail.view.attempts
        begun = has_begun(run, attempts)
        report = stages_of(detail.reports.get(run.attempt)) if begun else None
        if report is None and detail.live is not None:
            report = self._rates.now(number, stages_of(detail.live[1]))
        failures = failures_of(run, detail.reports)
        live = run.status in LIVE
        fresh = run.end_time is not None and detail.now - run.end_time < SETTLING
        return {
            "section": "/runs",
            "run": run,
            "view": detail.view,
            "now": detail.now,
            "live": live,
            # What a run leaves comes a moment after its end.
            "settles": not live
            and (fresh or (after is not None and detail.log is not None and detail.log.more)),
            "begun": begun,
            "lines": with_steps(detail.why, run.flow, page_of_run=number),
            "log": detail.log,
            "before": before,
            "stages": report,
            "job": detail.job,
            "failures": failures,
            "attempts": attempt_rows(run, attempts, detail.reports, failures),
            "letters": detail.letters,
            "replayed": detail.replayed,
            "others": detail.others,
            "may_retry": run.status in RETRIED and not detail.not_retried,
            "not_retried": detail.not_retried,
        }
