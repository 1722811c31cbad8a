"""Instants keep their microseconds and their meaning; JSON stays as it was written."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Dialect
from sqlalchemy.engine import make_url
from sqlalchemy.schema import CreateTable

from piko_flow.store.records import ScheduleRecord
from piko_flow.store.sql.columns import UTCDateTime, read_moment
from piko_flow.store.sql.run_tables import TABLES
from piko_flow.store.sql.schedule_records import SCHEDULE, schedule_record, schedule_row

HALF_PAST = datetime(2026, 3, 29, 3, 30, 0, 7, tzinfo=timezone(timedelta(hours=2)))
IN_UTC = datetime(2026, 3, 29, 1, 30, 0, 7, tzinfo=UTC)


def dialect_of(name: str) -> Dialect:
    return make_url(f"{name}://").get_dialect()()


@pytest.mark.parametrize("name", ["sqlite", "mysql", "postgresql"])
def test_an_instant_is_stored_in_utc_and_a_naive_one_refused(name: str) -> None:
    dialect = dialect_of(name)
    column = UTCDateTime()
    stored = column.process_bind_param(HALF_PAST, dialect)
    assert stored is not None
    assert stored.replace(tzinfo=UTC) == IN_UTC
    assert column.process_result_value(stored, dialect) == IN_UTC
    with pytest.raises(ValueError, match="aware"):
        column.process_bind_param(datetime(2026, 3, 29), dialect)


@pytest.mark.parametrize(
    "read", ["2026-03-29 01:30:00.000007", IN_UTC.replace(tzinfo=None), IN_UTC, HALF_PAST]
)
def test_what_a_driver_gives_is_read_as_utc(read: object) -> None:
    found = read_moment(read)
    assert found == IN_UTC
    assert found is not None
    assert found.tzinfo is UTC


def test_mariadb_keeps_microseconds_and_compares_bytes() -> None:
    made = str(CreateTable(TABLES["job_run"]).compile(dialect=dialect_of("mysql")))
    assert "scheduled_time DATETIME(6)" in made
    assert "COLLATE utf8mb4_bin" in made


def test_a_schedule_row_comes_back_as_it_was_written() -> None:
    record = ScheduleRecord(
        "orders",
        "cron",
        '{"minute": 0}',
        "Europe/Berlin",
        enabled=False,
        misfire_grace=timedelta(seconds=9),
        coalesce=False,
        max_instances=3,
        jitter=timedelta(seconds=4),
        executor="io",
        concurrency_group="db",
        is_stateful=True,
        last_data_time=IN_UTC,
        max_lookback_window=5,
        completed_at=IN_UTC,
        version=8,
        updated_at=IN_UTC,
    )
    assert schedule_record(tuple(schedule_row(record).values())) == record


def test_nonsense_that_sqlite_lets_people_write_is_the_default_and_told_by_column() -> None:
    values = schedule_row(ScheduleRecord("orders", "cron", "{}"))
    nonsense = dict.fromkeys(
        ("enabled", "misfire_grace_s", "max_instances", "jitter_s", "version"), "nonsense"
    ) | {"last_data_time": "yesterday", "completed_at": 5.5}
    values |= nonsense
    assert tuple(values) == tuple(SCHEDULE)
    record = schedule_record(tuple(values.values()))
    assert replace(record, unreadable=()) == ScheduleRecord("orders", "cron", "{}")
    assert {column for column, _ in record.unreadable} == nonsense.keys()
    assert "it is 1 or 0; got 'nonsense'" in dict(record.unreadable)["enabled"]
