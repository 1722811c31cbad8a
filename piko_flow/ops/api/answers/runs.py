"""What the API tells of runs."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from piko_flow.ops.api.answers.params import ParamsVersion
from piko_flow.ops.api.answers.values import Answer, Moment, Window
from piko_flow.planning.run_state import RunStatus

EXAMPLE: dict[str, Any] = {
    "id": 42,
    "flow": "sync_orders",
    "status": "SUCCESS",
    "scheduled_time": "2026-03-01T09:00:00+00:00",
    "key": "schedule:2026-03-01T09:00:00Z",
    "origin": "schedule",
    "window": {"start": "2026-03-01T08:00:00+00:00", "end": "2026-03-01T09:00:00+00:00"},
    "generation": 0,
    "backfill": None,
    "params_version": 3,
    "config_version": 2,
    "schedule_version": 1,
    "not_before": "2026-03-01T09:00:00+00:00",
    "fires": 1,
    "first_fire": None,
    "requested_by": "",
    "trace": "",
    "reason": "",
    "admitted": True,
    "replica": "host-1-4711",
    "claim": 1,
    "attempt": 1,
    "rescues": 0,
    "cancel_requested": "",
    "start_time": "2026-03-01T09:00:00.4+00:00",
    "end_time": "2026-03-01T09:00:07.9+00:00",
    "duration_ms": 7500,
    "compute_ms": 7100,
    "persist_ms": 400,
    "error_type": "",
    "error_hash": "",
    "error_msg": "",
    "dead_items": 0,
    "host": "host-1",
    "pid": 4711,
    "created_at": "2026-03-01T09:00:00.1+00:00",
}


class Run(Answer):
    """A run. Values given with its trigger are told by `given` where one run is shown, secrets hidden.

    `reason` is the code that says why it waits or ended as it did; `explanation` of the run tells it in words.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: int
    flow: str
    status: RunStatus
    scheduled_time: Moment
    key: str
    origin: str
    window: Window | None
    generation: int
    backfill: int | None
    params_version: int | None
    config_version: int | None
    schedule_version: int | None
    not_before: Moment | None
    fires: int
    first_fire: Moment | None
    requested_by: str
    trace: str
    reason: str
    admitted: bool
    replica: str
    claim: int
    attempt: int
    rescues: int
    cancel_requested: str
    start_time: Moment | None
    end_time: Moment | None
    duration_ms: int | None
    compute_ms: int | None
    persist_ms: int | None
    error_type: str
    error_hash: str
    error_msg: str
    dead_items: int
    host: str
    pid: int
    created_at: Moment | None


class Attempt(Answer):
    """An attempt of a run that was followed by another, or that a dead replica lost (`rescued`): then its number comes once
    more."""

    run: int
    attempt: int
    start_time: Moment | None
    end_time: Moment | None
    reason: str
    error_type: str
    error_msg: str
    host: str
    pid: int


class RunView(Answer):
    """A run with the attempts before its last one, its parameters, and the values that its trigger gave; no secrets.

    `version` is what it is pinned to, null where the model's defaults hold; `zone` is that of its flow.
    """

    run: Run
    attempts: list[Attempt]
    version: ParamsVersion | None
    given: dict[str, Any]
    params: dict[str, Any]
    zone: str


class RunAnswer(Answer):
    """A run as it is now."""

    run: Run


class RunsAnswer(Answer):
    """Runs, newest first; `before` asks for the next page, null after the last one."""

    runs: list[Run]
    before: int | None


class LiveReport(Answer):
    """What a run was at, at a moment: as a report, of what has been done so far."""

    at: Moment
    report: dict[str, Any]


class Failure(Answer):
    """The error that ended an attempt: its stage and the item as text, where it was about one, and its traceback.

    `place` is the innermost line of the flow's own code, `frames` are the last five, innermost last.
    """

    error_type: str
    message: str
    stage: str
    place: str
    item: str | None
    frames: list[str]
    traceback: str


class Counts(Answer):
    """Items of one attempt: read by its sources, that came to its sinks, skipped, made dead letters."""

    attempt: int
    read: int
    to_sinks: int
    skipped: int
    dead: int


class RunShownAnswer(Answer):
    """A run with the reports of its attempts (stages, edges, times, what was written) by attempt.

    `failures` are the errors that ended attempts, by attempt, nothing secret in them. `counts` are those of the last
    attempt that left a report of stages; null where none did. `live` is where a run that goes on was last seen; null
    where nobody shows it.
    """

    run: RunView
    failures: dict[str, Failure]
    counts: Counts | None
    reports: dict[str, dict[str, Any]]
    live: LiveReport | None


class LogLine(Answer):
    """A line that was logged in a run."""

    at: Moment
    level: str
    logger: str
    message: str
    stage: str
    attempt: int
    number: int


class LogAnswer(Answer):
    """Lines of a run, in order; `after` asks for the next page, null after the last one."""

    lines: list[LogLine]
    after: int | None


class TriggerPlan(Answer):
    """What a trigger would do. `earlier` is the run that its key has made already: then there is nothing to do."""

    flow: str
    window: Window | None
    params: dict[str, Any]
    earlier: Run | None


class TriggerPlanAnswer(Answer):
    """What a trigger would do; nothing was queued."""

    plan: TriggerPlan


class ExplanationLine(Answer):
    """One fact: its reason code, the text, what to do about it, and whether it keeps the flow or run from running."""

    reason: str | None
    text: str
    advice: str
    blocks: bool


class Explanation(Answer):
    """Why a flow, or one run of it, is not running; the most important line first."""

    flow: str
    run: Run | None
    lines: list[ExplanationLine]
    now: Moment


class ExplanationAnswer(Answer):
    """Why something does not run."""

    explanation: Explanation
