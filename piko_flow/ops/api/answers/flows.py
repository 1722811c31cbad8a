"""What the API tells of flows and their schedules."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from piko_flow.control.flows.flow_health import ATTENTION
from piko_flow.ops.api.answers.runs import Run
from piko_flow.ops.api.answers.values import Answer, Moment, Window


class ScheduleRow(Answer):
    """A schedule row as it stands; spans in seconds. `unreadable` has each column whose cell nobody can read, and why."""

    flow: str
    schedule_type: str
    schedule_expr: str
    timezone: str
    enabled: bool
    misfire_grace: float
    coalesce: bool
    max_instances: int
    jitter: float
    executor: str
    concurrency_group: str
    is_stateful: bool
    last_data_time: Moment | None
    max_lookback_window: int
    completed_at: Moment | None
    version: int
    updated_at: Moment | None
    unreadable: list[list[str]]


class ScheduleView(Answer):
    """A row and what it means: its trigger, or why it is refused; why it is paused; its next fires.

    `standing` is active, paused, disabled, refused or unregistered.
    """

    row: ScheduleRow
    standing: str
    zone: str
    trigger: str | None
    refused: str
    paused: str
    active: bool
    next_fires: list[Moment]


class SchedulesAnswer(Answer):
    """Schedule rows by flow; `after` asks for the next page, null after the last one."""

    schedules: list[ScheduleView]
    after: str | None


class ScheduleAnswer(Answer):
    """One schedule."""

    schedule: ScheduleView


class DeletedAnswer(Answer):
    """The flow whose schedule row was deleted; its history stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"deleted": "sync_orders"}]})

    deleted: str


class PausedAnswer(Answer):
    """Whether schedules are paused now, and whether this request has changed that; `flow` is null for all of them.

    A flow that was resumed stays paused while all schedules are.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"flow": "sync_orders", "paused": True, "changed": True},
                {"flow": None, "paused": False, "changed": False},
            ]
        }
    )

    flow: str | None
    paused: bool
    changed: bool


class PreviewedFire(Answer):
    """A coming fire; `note` is shifted or doubled where a change of clocks has to do with it."""

    fire: Moment
    note: str


class Preview(Answer):
    """The coming fires of a trigger."""

    trigger: str
    zone: str
    fires: list[PreviewedFire]


class PreviewAnswer(Answer):
    """What a schedule would do."""

    preview: Preview


class Concern(Answer):
    """What a person should look at: one of the words for a flow's health, and why."""

    word: str = Field(description=f"One of: {', '.join(ATTENTION)}.")
    why: str


class FlowView(Answer):
    """A flow and where it stands; `flow` is null for one that only rows know.

    `standing` is active, paused, disabled, refused, unregistered or unscheduled, `why` tells more. `queued` and
    `running` count live runs. `watermark`, `gaps` and `failed` are of flows with windows. `health` is the word that the
    pages show, with `health_why`; `concerns` is what a person should look at, the worst first, and `letters` counts open
    dead letters.
    """

    name: str
    flow: str | None
    standing: str
    why: str
    schedule: ScheduleView | None
    queued: int
    running: int
    last: Run | None
    zone: str
    watermark: Moment | None
    gaps: list[Window]
    failed: list[Window]
    health: str
    health_why: str
    concerns: list[Concern]
    letters: int


class FlowsAnswer(Answer):
    """Flows by name; `after` asks for the next page, null after the last one."""

    flows: list[FlowView]
    after: str | None


class FlowCode(Answer):
    """What the code says of a flow. `params_schema` is the JSON schema of its parameters, null for any."""

    kind: str
    description: str
    where: str
    tags: list[str]
    stateful: bool
    backfill: str
    strict_order: bool
    after: str | None
    timeout: float | None
    params_schema: dict[str, Any] | None


class FlowAnswer(Answer):
    """One flow; `code` is null for one that only rows know."""

    flow: FlowView
    code: FlowCode | None
