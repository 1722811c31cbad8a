"""Schedule and config rows as records, and back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from piko_flow.store.records import ConfigRecord, ScheduleRecord
from piko_flow.store.sql.columns import read_moment
from piko_flow.store.sql.dialects import Columns

T = TypeVar("T")
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

    SQLite lets a person write any text into any column: what is no number or no instant counts as the default.
    """
    return ScheduleRecord(
        flow=str(row[0]),
        schedule_type=str(row[1]),
        schedule_expr=str(row[2]),
        timezone=str(row[3]),
        enabled=_read(bool, row[4], True),
        misfire_grace=_read(_seconds, row[5], 300 * SECOND),
        coalesce=_read(bool, row[6], True),
        max_instances=_read(int, row[7], 1),
        jitter=_read(_seconds, row[8], 0 * SECOND),
        executor=str(row[9]),
        concurrency_group=str(row[10]),
        is_stateful=_read(bool, row[11], False),
        last_data_time=_moment(row[12]),
        max_lookback_window=_read(int, row[13], 0),
        completed_at=_moment(row[14]),
        version=_read(int, row[15], 1),
        updated_at=_moment(row[16]),
    )


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
    return ConfigRecord(
        str(row[0]), str(row[1]), _read(int, row[2], 1), _moment(row[3]), _read(int, row[4], 1)
    )


def _read(kind: Callable[[Any], T], value: Any, default: T) -> T:
    try:
        return default if isinstance(value, str) and not value.lstrip("-").isdigit() else kind(value)
    except (TypeError, ValueError, OverflowError):
        return default


def _seconds(value: Any) -> timedelta:
    return int(value) * SECOND


def _moment(value: Any) -> datetime | None:
    try:
        return read_moment(value)
    except ValueError:
        return None
