"""Schedule and config rows as records, and back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from piko_flow.store.records import ConfigRecord, ScheduleRecord
from piko_flow.store.sql.cells import MOST_VERSION, Cells
from piko_flow.store.sql.dialects import Columns

SECOND = timedelta(seconds=1)
SCHEDULE: Columns = {
    "job_id": "text",
    "schedule_type": "text",
    "schedule_expr": "text",
    "timezone": "text",
    "enabled": "bool",
    "misfire_grace_s": "int",
    "coalesce": "bool",
    "max_instances": "int",
    "jitter_s": "int",
    "executor": "text",
    "concurrency_group": "text",
    "is_stateful": "bool",
    "last_data_time": "time",
    "max_lookback_window": "int",
    "completed_at": "time",
    "version": "int",
    "updated_at": "time",
}
CONFIG: Columns = {
    "job_id": "text",
    "config_json": "long",
    "schema_version": "int",
    "effective_from": "time",
    "version": "int",
}


def schedule_record(row: Any) -> ScheduleRecord:
    """A row of `scheduled_job`, its columns in the order of SCHEDULE.

    `executor`, `is_stateful` and `updated_at` decide nothing, so whatever stands there does no harm.
    """
    cells, idle = Cells(SCHEDULE, row), Cells(SCHEDULE, row)
    record = ScheduleRecord(
        flow=str(row[0]),
        schedule_type=cells.text("schedule_type"),
        schedule_expr=cells.text("schedule_expr"),
        timezone=cells.text("timezone"),
        enabled=cells.yes_or_no("enabled", True),
        misfire_grace=cells.number("misfire_grace_s", 300) * SECOND,
        coalesce=cells.yes_or_no("coalesce", True),
        max_instances=cells.number("max_instances", 1),
        jitter=cells.number("jitter_s", 0) * SECOND,
        executor=idle.text("executor", "cpu"),
        concurrency_group=cells.text("concurrency_group", "default"),
        is_stateful=idle.yes_or_no("is_stateful", False),
        last_data_time=cells.moment("last_data_time"),
        max_lookback_window=cells.number("max_lookback_window", 0),
        completed_at=cells.moment("completed_at"),
        version=cells.number("version", 1, most=MOST_VERSION),
        updated_at=idle.moment("updated_at"),
    )
    return replace(record, unreadable=cells.unreadable) if cells.unreadable else record


def schedule_row(record: ScheduleRecord) -> dict[str, Any]:
    """The columns of a record."""
    values = (
        record.flow,
        record.schedule_type,
        record.schedule_expr,
        record.timezone,
        record.enabled,
        record.misfire_grace // SECOND,
        record.coalesce,
        record.max_instances,
        record.jitter // SECOND,
        record.executor,
        record.concurrency_group,
        record.is_stateful,
        record.last_data_time,
        record.max_lookback_window,
        record.completed_at,
        record.version,
        record.updated_at,
    )
    return dict(zip(SCHEDULE, values, strict=True))


def config_record(row: Any) -> ConfigRecord:
    """A row of `job_config`, its columns in the order of CONFIG."""
    cells = Cells(CONFIG, row)
    record = ConfigRecord(
        str(row[0]),
        cells.text("config_json", secret=True),
        cells.number("schema_version", 1),
        cells.moment("effective_from"),
        cells.number("version", 1, most=MOST_VERSION),
    )
    return replace(record, unreadable=cells.unreadable) if cells.unreadable else record
