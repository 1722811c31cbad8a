"""Rows of `job_run` as records, and back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.records import RunRecord
from piko_flow.store.sql.columns import read_moment
from piko_flow.store.sql.dialects import Columns
from piko_flow.store.sql.statements import maybe_text, moment_text

RUN: Columns = {
    "run_id": "int",
    "job_id": "text",
    "status": "text",
    "scheduled_time": "time",
    "run_key": "text",
    "origin": "text",
    "data_time_start": "time",
    "data_time_end": "time",
    "generation": "int",
    "backfill_id": "int",
    "params_version": "int",
    "params": "long",
    "config_version": "int",
    "schedule_version": "int",
    "not_before": "time",
    "fires": "int",
    "first_fire": "time",
    "requested_by": "text",
    "trace": "text",
    "reason": "text",
    "admitted": "bool",
    "claimed_by": "text",
    "claim": "int",
    "attempt": "int",
    "rescues": "int",
    "cancel_requested": "text",
    "start_time": "time",
    "end_time": "time",
    "duration_ms": "int",
    "compute_ms": "int",
    "persist_ms": "int",
    "error_type": "text",
    "error_hash": "text",
    "error_msg": "text",
    "dead_items": "int",
    "host": "text",
    "pid": "int",
    "created_at": "time",
}
COLUMNS = ", ".join(f"r.{name}" for name in RUN)
"""The columns of a run `r` in the order of RUN."""
QUEUED: Columns = {
    name: RUN[name]
    for name in RUN
    if name
    not in {
        *("attempt", "rescues", "cancel_requested", "duration_ms", "compute_ms", "persist_ms"),
        *("error_type", "error_hash", "error_msg", "dead_items"),
    }
}
"""What a new run's row is told; the rest has its defaults."""
STATUSES = {str(status): status for status in RunStatus}
MOMENTS = [place for place, kind in enumerate(RUN.values()) if kind == "time"]
UNSET = {
    list(RUN).index(name): default
    for name, default in {
        "run_key": "",
        "error_type": "",
        "error_hash": "",
        "error_msg": "",
        "host": "",
        "pid": 0,
    }.items()
}
"""What a record has where the column is NULL."""
ADMITTED = list(RUN).index("admitted")


def run_record(row: Any) -> RunRecord:
    """A row of `job_run`, its columns in the order of RUN."""
    values = [*row]
    values[2] = STATUSES.get(values[2], RunStatus.FAILED)  # other tools may know other words
    for place in MOMENTS:
        values[place] = read_moment(values[place])
    for place, default in UNSET.items():
        values[place] = values[place] or default
    values[ADMITTED] = bool(values[ADMITTED])
    values[6:8] = [_window(values[6], values[7])]
    return RunRecord(*values)


def queued_row(run: RunRecord) -> dict[str, Any]:
    """The columns in QUEUED of a new run, instants as text."""
    window = run.window
    return {
        "run_id": run.id,
        "job_id": run.flow,
        "status": run.status,
        "scheduled_time": moment_text(run.scheduled_time),
        "run_key": run.key,
        "origin": run.origin,
        "data_time_start": None if window is None else moment_text(window.start),
        "data_time_end": None if window is None else moment_text(window.end),
        "generation": run.generation,
        "backfill_id": run.backfill,
        "params_version": run.params_version,
        "params": run.params,
        "config_version": run.config_version,
        "schedule_version": run.schedule_version,
        "not_before": maybe_text(run.not_before),
        "fires": run.fires,
        "first_fire": maybe_text(run.first_fire),
        "requested_by": run.requested_by,
        "trace": run.trace,
        "reason": run.reason,
        "admitted": run.admitted,
        "claimed_by": run.replica,
        "claim": run.claim,
        "start_time": maybe_text(run.start_time),
        "end_time": maybe_text(run.end_time),
        "host": run.host,
        "pid": run.pid,
        "created_at": maybe_text(run.created_at),
    }


def _window(start: datetime | None, end: datetime | None) -> Window | None:
    # Other tools may have written spans without length.
    return None if start is None or end is None or start >= end else Window(start, end)
