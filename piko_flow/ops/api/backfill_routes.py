"""Backfills: planned, applied, watched, paused, cancelled."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_backfills import MOST_AT_ONCE, BackfillRequest
from piko_flow.control.operations.view_values import backfill_values
from piko_flow.ops.api.answers.backfills import (
    BackfillAnswer,
    BackfillPlanAnswer,
    BackfillsAnswer,
    BackfillShownAnswer,
)
from piko_flow.ops.api.asking import Change, Look
from piko_flow.ops.api.given import (
    Body,
    Flag,
    FlowText,
    GivenWindow,
    Limit,
    OnlyFlow,
    Params,
    SeenState,
    number_of,
    plain_text,
    seen,
    whole,
)
from piko_flow.ops.api.problem_route import ProblemRoute

router = APIRouter(prefix="/backfills", tags=["backfills"], route_class=ProblemRoute)
BackfillInPath = Annotated[int, number_of("a backfill")]
EXAMPLE: dict[str, Any] = {
    "flow": "sync_orders",
    "span": {"start": "2026-03-01T00:00:00Z", "end": "2026-03-03T00:00:00Z"},
    "kind": "missing",
    "concurrency": 4,
}


class BackfillBody(Body):
    """A backfill as it is asked for; `params` go over those in force, for each of its runs.

    `kind` is gap (what failed, and what was planned and is missing), missing (what nobody has run, and what was skipped), failed (and
    what was done with items missing), or all.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    flow: FlowText
    span: GivenWindow
    kind: Literal["gap", "missing", "failed", "all"] = "missing"
    newest_first: bool = False
    concurrency: Annotated[int, Field(ge=1, le=MOST_AT_ONCE), BeforeValidator(whole)] = 1
    params: Params | None = None

    def request(self) -> BackfillRequest:
        """The same as the plane takes it. Raises ScheduleError for a span that ends before it starts."""
        return BackfillRequest(
            flow=self.flow,
            span=self.span.window(),
            kind=self.kind,
            newest_first=self.newest_first,
            concurrency=self.concurrency,
            params=self.params,
        )


class ApplyBody(BackfillBody):
    """A backfill with the digest of its plan: where the plan has become another one, it is refused."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE | {"digest": "5f1c0a9be2d4"}]})

    digest: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(plain_text)]


class StateBody(Body):
    """What was seen of the backfill that is acted on; may be left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"expected": {"state": "running"}}]})

    expected: SeenState | None = None


@router.post(
    "/plan", operation_id="plan_backfill", summary="Plan a backfill", response_model=BackfillPlanAnswer
)
async def plan_backfill(change: Change, body: BackfillBody) -> Response:
    """What a backfill would run: windows, order, parameters, a guess at the time. Nothing is changed."""
    request = body.request()

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"plan": await plane.plan_backfill(request)}

    return await change.change(BackfillPlanAnswer, ask)


@router.post(
    "",
    operation_id="apply_backfill",
    summary="Begin a backfill",
    status_code=201,
    response_model=BackfillAnswer,
)
async def apply_backfill(change: Change, body: ApplyBody) -> Response:
    """Begin the backfill that was planned."""
    request = body.request()

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"backfill": await plane.apply_backfill(request, digest=body.digest)}

    return await change.change(BackfillAnswer, ask, status=201)


@router.get("", operation_id="list_backfills", summary="List backfills")
async def list_backfills(
    look: Look,
    flow: OnlyFlow = None,
    open_only: Annotated[
        Flag, Query(alias="open", description="Only those that are running or paused.")
    ] = False,
    limit: Limit = 20,
) -> BackfillsAnswer:
    """Backfills and how far each is, the newest first."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        views = await plane.backfills(flow=flow, open_only=open_only, limit=limit)
        return {"backfills": [backfill_values(view) for view in views]}

    return BackfillsAnswer.model_validate(await look.answer(ask))


@router.get("/{backfill:int}", operation_id="show_backfill", summary="Show a backfill")
async def show_backfill(look: Look, backfill: BackfillInPath) -> BackfillShownAnswer:
    """One backfill and how far it is."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"backfill": backfill_values(await plane.backfill(backfill))}

    return BackfillShownAnswer.model_validate(await look.answer(ask))


@router.post(
    "/{backfill:int}/pause",
    operation_id="pause_backfill",
    summary="Pause a backfill",
    response_model=BackfillAnswer,
)
async def pause_backfill(change: Change, backfill: BackfillInPath, body: StateBody | None = None) -> Response:
    """Queue no more of its windows; its runs go on."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        expected = seen(body)
        return {"backfill": await plane.pause_backfill(backfill, expected=expected)}

    return await change.change(BackfillAnswer, ask)


@router.post(
    "/{backfill:int}/resume",
    operation_id="resume_backfill",
    summary="Resume a backfill",
    response_model=BackfillAnswer,
)
async def resume_backfill(
    change: Change, backfill: BackfillInPath, body: StateBody | None = None
) -> Response:
    """Go on with a paused backfill."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        expected = seen(body)
        return {"backfill": await plane.resume_backfill(backfill, expected=expected)}

    return await change.change(BackfillAnswer, ask)


@router.post(
    "/{backfill:int}/cancel",
    operation_id="cancel_backfill",
    summary="Cancel a backfill",
    response_model=BackfillAnswer,
)
async def cancel_backfill(
    change: Change, backfill: BackfillInPath, body: StateBody | None = None
) -> Response:
    """End it: its queued runs are cancelled, its running ones asked to stop. What is done stays done."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        expected = seen(body)
        return {"backfill": await plane.cancel_backfill(backfill, expected=expected)}

    return await change.change(BackfillAnswer, ask)
