"""Schedules: listed, set, deleted, previewed, paused."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema
from starlette.responses import Response

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_part import refuse
from piko_flow.control.operations.plane_rows import ScheduleColumns
from piko_flow.control.params.exact_numbers import as_the_model_reads
from piko_flow.ops.api.answers.flows import (
    DeletedAnswer,
    PausedAnswer,
    PreviewAnswer,
    ScheduleAnswer,
    SchedulesAnswer,
)
from piko_flow.ops.api.asking import Change, Look
from piko_flow.ops.api.given import (
    AfterFlow,
    Body,
    FlowInPath,
    Limit,
    Moment,
    Params,
    SeenVersion,
    plain_text,
    seen,
    whole,
)
from piko_flow.ops.api.problem_route import ProblemRoute
from piko_flow.store.seen import Seen

router = APIRouter(prefix="/schedules", tags=["schedules"], route_class=ProblemRoute)
all_router = APIRouter(tags=["schedules"], route_class=ProblemRoute)
LARGEST = 2**31 - 1
NO_EXPRESSION = 'it is a JSON object such as {"cron": "0 * * * *"}, or that as text, and this text is none'
Fires = Annotated[int, Query(ge=1, le=1000, description="How many fires.")]
After = Annotated[Moment | None, Query(description="From this moment on; without it from now.")]
ExpectedVersion = Annotated[
    int | None, Query(ge=1, le=LARGEST, description="The row's version as it was seen: another is refused.")
]
Amount = Annotated[int, Field(ge=0, le=LARGEST), BeforeValidator(whole)]
ShortText = Annotated[str, Field(max_length=64), AfterValidator(plain_text)]


def read_expression(value: object) -> object:
    """A trigger's expression from its text, as rows and answers have it; anything else as it is. Raises ValueError."""
    if not isinstance(value, str):
        return as_the_model_reads(None, value)
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(NO_EXPRESSION)
    return found


Expression = Annotated[
    Params,
    BeforeValidator(read_expression),
    Field(description="The row's schedule_expr: an object, or its text as answers have it."),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "object", "additionalProperties": True},
                {"type": "string", "contentMediaType": "application/json"},
            ]
        }
    ),
]
SECONDS = ("misfire_grace", "jitter")


class TriggerOfRow(Body):
    """A trigger as a schedule row has it, and the zone that it is of (empty for the setting).

    `schedule_type` and `schedule_expr` go together: cron with {"cron": "0 * * * *"} or a field dictionary, interval
    with {"minutes": 10}, date with {"run_date": "2026-03-01 09:00:00"}. An expression may come as text, too, as the
    answer to GET has it, since rows may hold any text.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"schedule_type": "interval", "schedule_expr": {"minutes": 10}, "timezone": "UTC"}]
        }
    )

    schedule_type: Literal["cron", "interval", "date"] | None = None
    schedule_expr: Expression | None = None
    timezone: ShortText | None = None

    def trigger(self, what: str) -> tuple[str | None, dict[str, Any] | None]:
        """Type and expression. Raises RequestRefused where one comes without the other."""
        if (self.schedule_type is None) != (self.schedule_expr is None):
            refuse(what, "schedule_type and schedule_expr go together", "got one of them")
        return self.schedule_type, self.schedule_expr


class ScheduleBody(TriggerOfRow):
    """What of a schedule row is to be another; what is not given stays as it is. Spans are in seconds."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "schedule_type": "cron",
                    "schedule_expr": {"cron": "30 2 * * *"},
                    "timezone": "Europe/Berlin",
                },
                {"enabled": False},
            ]
        }
    )

    enabled: bool | None = None
    misfire_grace: Amount | None = None
    coalesce: bool | None = None
    max_instances: Annotated[int, Field(ge=1, le=LARGEST), BeforeValidator(whole)] | None = None
    jitter: Amount | None = None
    concurrency_group: ShortText | None = None
    max_lookback_window: Amount | None = None
    expected: SeenVersion | None = None

    def columns(self) -> ScheduleColumns:
        """The columns that were given."""
        given = self.model_dump(
            exclude={"schedule_type", "schedule_expr", "expected", *SECONDS}, exclude_none=True
        )
        spans = {name: getattr(self, name) for name in SECONDS}
        given |= {name: timedelta(seconds=value) for name, value in spans.items() if value is not None}
        columns: Any = given
        found: ScheduleColumns = columns
        return found


@router.get("", operation_id="list_schedules", summary="List schedules")
async def list_schedules(look: Look, after: AfterFlow = "", limit: Limit = 100) -> SchedulesAnswer:
    """The schedule rows by flow: what each means, or why it is refused."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        page = await plane.schedule_page(after=after, limit=limit)
        return {"schedules": page.schedules, "after": page.after}

    return SchedulesAnswer.model_validate(await look.answer(ask))


@router.get("/{flow}", operation_id="show_schedule", summary="Show a schedule")
async def show_schedule(look: Look, flow: FlowInPath) -> ScheduleAnswer:
    """The schedule row of a flow with its next five fires."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"schedule": await plane.schedule_view(flow)}

    return ScheduleAnswer.model_validate(await look.answer(ask))


@router.patch("/{flow}", operation_id="set_schedule", summary="Set a schedule", response_model=ScheduleAnswer)
async def set_schedule(change: Change, flow: FlowInPath, body: ScheduleBody) -> Response:
    """Write a flow's schedule row, checked first. What is not given stays as it is; a flow without a row gets one."""
    kind, expression = body.trigger(f"set the schedule of {flow!r}")

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        expected = seen(body)
        return {
            "schedule": await plane.set_schedule(flow, kind, expression, expected=expected, **body.columns())
        }

    return await change.change(ScheduleAnswer, ask)


@router.delete(
    "/{flow}", operation_id="delete_schedule", summary="Delete a schedule", response_model=DeletedAnswer
)
async def delete_schedule(
    change: Change, flow: FlowInPath, expected_version: ExpectedVersion = None
) -> Response:
    """Delete a flow's schedule row. What is queued or running goes on; what is settled stays settled."""
    expected = None if expected_version is None else Seen(version=expected_version)

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        await plane.delete_schedule(flow, expected=expected)
        return {"deleted": flow}

    return await change.change(DeletedAnswer, ask)


@router.get("/{flow}/preview", operation_id="preview_schedule", summary="The next fires of a schedule")
async def preview_schedule(look: Look, flow: FlowInPath, n: Fires = 10, after: After = None) -> PreviewAnswer:
    """When a flow fires next, and which fires a change of clocks shifts or doubles."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"preview": await plane.preview(flow, n=n, after=after)}

    return PreviewAnswer.model_validate(await look.answer(ask))


@router.post(
    "/{flow}/preview", operation_id="try_schedule", summary="Try a schedule", response_model=PreviewAnswer
)
async def try_schedule(
    change: Change, flow: FlowInPath, body: TriggerOfRow, n: Fires = 10, after: After = None
) -> Response:
    """When the flow would fire with another trigger. Nothing is written."""
    kind, expression = body.trigger(f"preview the schedule of {flow!r}")

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        found = await plane.preview(
            flow, n=n, after=after, kind=kind, expression=expression, zone=body.timezone
        )
        return {"preview": found}

    return await change.change(PreviewAnswer, ask)


@router.post(
    "/{flow}/pause", operation_id="pause_schedule", summary="Pause a schedule", response_model=PausedAnswer
)
async def pause_schedule(change: Change, flow: FlowInPath) -> Response:
    """Make no new runs of the flow's schedule. Runs that are there, triggers and backfills go on."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"flow": flow, "changed": await plane.pause(flow), "paused": True}

    return await change.change(PausedAnswer, ask)


@router.post(
    "/{flow}/resume", operation_id="resume_schedule", summary="Resume a schedule", response_model=PausedAnswer
)
async def resume_schedule(change: Change, flow: FlowInPath) -> Response:
    """Make runs of the flow's schedule again; it stays `paused` while all schedules are."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        done = await plane.resume(flow)
        return {"flow": flow, "changed": done, "paused": bool(await plane.paused_all())}

    return await change.change(PausedAnswer, ask)


@all_router.post(
    "/pause-all", operation_id="pause_all", summary="Pause all schedules", response_model=PausedAnswer
)
async def pause_all(change: Change) -> Response:
    """Make no new runs of any schedule."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"flow": None, "changed": await plane.pause_all(), "paused": True}

    return await change.change(PausedAnswer, ask)


@all_router.post(
    "/resume-all", operation_id="resume_all", summary="Resume all schedules", response_model=PausedAnswer
)
async def resume_all(change: Change) -> Response:
    """Let go of a pause of all schedules; what pauses one flow stays."""

    async def ask(plane: ControlPlane) -> dict[str, Any]:
        return {"flow": None, "changed": await plane.pause_all(paused=False), "paused": False}

    return await change.change(PausedAnswer, ask)
