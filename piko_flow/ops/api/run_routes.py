"""Runs: listed, shown, read, explained, cancelled, tried again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import ConfigDict
from starlette.responses import Response

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.runs.failure_record import failures_of
from piko_flow.control.runs.run_counts import counts_in
from piko_flow.ops.api.answers.runs import (
    ExplanationAnswer,
    LogAnswer,
    RunAnswer,
    RunsAnswer,
    RunShownAnswer,
)
from piko_flow.ops.api.asking import Change, Look
from piko_flow.ops.api.given import LARGEST, Before, Body, Limit, OnlyFlow, SeenRun, number_of, seen
from piko_flow.ops.api.problem_route import ProblemRoute
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.protocols import RunFilter

router = APIRouter(prefix="/runs", tags=["runs"], route_class=ProblemRoute)
RunInPath = Annotated[int, number_of("a run")]
Statuses = Annotated[
    list[RunStatus] | None,
    Query(max_length=6, description="Only runs in these states; may be given again."),
]
OnlyBackfill = Annotated[int | None, Query(ge=1, le=LARGEST, description="Only runs of this backfill.")]


class RunBody(Body):
    """What was seen of the run that is acted on; may be left out."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"expected": {"status": "FAILED", "attempt": 1}}]}
    )

    expected: SeenRun | None = None


@router.get("", operation_id="list_runs", summary="List runs")
async def list_runs(
    look: Look,
    flow: OnlyFlow = None,
    status: Statuses = None,
    backfill: OnlyBackfill = None,
    before: Before = None,
    limit: Limit = 50,
) -> RunsAnswer:
    """Runs, the newest first, page by page."""
    which = RunFilter(flow=flow, statuses=set(status or ()), backfill=backfill, before=before, limit=limit)

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        page = await plane.runs(which)
        return {"runs": page.runs, "before": page.before}

    return RunsAnswer.model_validate(await look.answer(ask))


@router.get("/{run}", operation_id="show_run", summary="Show a run")
async def show_run(look: Look, run: RunInPath) -> RunShownAnswer:
    """One run: its attempts, its parameters, its error, the stages of each attempt, and what it is at while it goes on."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        view = await plane.run(run)
        texts = await plane.store.reports(run)
        shown = (await plane.store.shown_live([run])).get(run)
        live = None if shown is None else {"at": shown[0], "report": json.loads(shown[1])}
        failures = failures_of(view.run, texts)
        told = {"run": view, "failures": failures, "counts": counts_in(texts)}
        return told | {"reports": _accounts(texts), "live": live}

    return RunShownAnswer.model_validate(await look.answer(ask))


@router.get("/{run}/log", operation_id="read_log", summary="Read the log of a run")
async def read_log(
    look: Look,
    run: RunInPath,
    after: Annotated[int, Query(ge=0, le=LARGEST, description="Only lines after this number.")] = 0,
    limit: Limit = 500,
) -> LogAnswer:
    """What was logged in a run, in order, page by page."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        await plane.run(run)  # refused where there is none
        lines = await plane.store.log(run, after=after, limit=limit)
        return {"lines": lines, "after": lines[-1].number if len(lines) == limit else None}

    return LogAnswer.model_validate(await look.answer(ask))


@router.get("/{run}/explanation", operation_id="explain_run", summary="Why a run is not running")
async def explain_run(look: Look, run: RunInPath) -> ExplanationAnswer:
    """Why the run waits, or ended as it did; the most important first."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"explanation": await plane.explain_run(run)}

    return ExplanationAnswer.model_validate(await look.answer(ask))


@router.post("/{run}/cancel", operation_id="cancel_run", summary="Cancel a run", response_model=RunAnswer)
async def cancel_run(change: Change, run: RunInPath, body: RunBody | None = None) -> Response:
    """End a queued run, stop a running one, which is RUNNING until its replica has stopped it. Its window stays a gap."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"run": await plane.cancel(run, expected=seen(body))}

    return await change.change(RunAnswer, ask)


@router.post("/{run}/retry", operation_id="retry_run", summary="Try a run again", response_model=RunAnswer)
async def retry_run(change: Change, run: RunInPath, body: RunBody | None = None) -> Response:
    """Queue a failed or cancelled run again, as its next attempt."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"run": await plane.retry(run, expected=seen(body))}

    return await change.change(RunAnswer, ask)


def _accounts(texts: Mapping[int, str]) -> dict[int, dict[str, Any]]:
    """What pipelines did, in the attempts that had one."""
    accounts = {number: json.loads(text) for number, text in texts.items()}
    for account in accounts.values():
        account.pop("failure", None)
    return {number: account for number, account in accounts.items() if account}
