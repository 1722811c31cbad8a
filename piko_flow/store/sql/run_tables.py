"""The tables of runs: their attempts, what they prepared, backfills, dead letters."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index

from piko_flow.store.sql.columns import big, instant, long_text, maybe_short, number, only, short, yes_or_no
from piko_flow.store.sql.ops_tables import EpisodeRow
from piko_flow.store.sql.tables import OPTIONS, StoreTable
from piko_flow.store.texts import NAMES, TOLD


class RunRow(StoreTable, table=True):
    """A run, from before anything is attempted. `run_key` is NULL only in rows that other tools made."""

    __tablename__ = "job_run"
    __table_args__ = (
        # Keys begin with what runs were made for, so those made at the same time lie side by side, whatever the flow.
        Index("uq_job_run_key", "run_key", "job_id", unique=True),
        Index("ix_job_run_flow", "job_id", "run_id"),
        Index("ix_job_run_live", "job_id", "end_time", **only("end_time IS NULL")),
        Index(
            "ix_job_run_window", "job_id", "data_time_start", "run_id", **only("data_time_start IS NOT NULL")
        ),
        Index("ix_job_run_status", "status", "run_id"),
        Index("ix_job_run_created_at", "created_at"),
        Index("ix_job_run_backfill", "backfill_id", "status", **only("backfill_id IS NOT NULL")),
        OPTIONS,
    )

    run_id: int = big(primary=True, counts=True)
    job_id: str = short(NAMES["flow"])
    scheduled_time: datetime = instant(nullable=False)
    start_time: datetime | None = instant()
    end_time: datetime | None = instant()
    status: str = short(32)
    config_version: int | None = big(nullable=True)
    schedule_version: int | None = big(nullable=True)
    data_time_start: datetime | None = instant()
    data_time_end: datetime | None = instant()
    compute_ms: int | None = number(nullable=True)
    persist_ms: int | None = number(nullable=True)
    duration_ms: int | None = number(nullable=True)
    attempt: int = number(1)
    error_type: str | None = maybe_short(TOLD["error_type"])
    error_hash: str | None = maybe_short(TOLD["error_hash"])
    error_msg: str | None = maybe_short(TOLD["error_msg"])
    host: str | None = maybe_short(TOLD["host"])
    pid: int | None = number(nullable=True)
    created_at: datetime = instant(now=True)
    run_key: str | None = maybe_short(NAMES["key"])
    origin: str = short(NAMES["origin"], "schedule")
    generation: int = big(0)
    backfill_id: int | None = big(nullable=True)
    params_version: int | None = big(nullable=True)
    params: str | None = long_text()
    not_before: datetime | None = instant()
    fires: int = big(1)
    first_fire: datetime | None = instant()
    requested_by: str = short(TOLD["requested_by"], "")
    trace: str = short(TOLD["trace"], "")
    reason: str = short(TOLD["reason"], "")
    admitted: bool = yes_or_no(False)
    claimed_by: str = short(NAMES["replica"], "")
    claim: int = number(0)
    rescues: int = number(0)
    cancel_requested: str = short(TOLD["cancel_requested"], "")
    dead_items: int = big(0)


class RunIdRow(StoreTable, table=True):
    """One row: the id that the next run gets. Ids are given in the transaction that makes the run."""

    __tablename__ = "run_id_block"

    name: str = short(16, primary=True)
    next_id: int = big(1)


class AttemptRow(StoreTable, table=True):
    """An attempt of a run that was followed by another, or that a dead replica lost."""

    __tablename__ = "job_run_attempt"

    run_id: int = big(primary=True)
    attempt: int = big(primary=True)
    claim: int = big(primary=True)
    start_time: datetime | None = instant()
    end_time: datetime | None = instant()
    reason: str = short(TOLD["reason"], "")
    error_type: str = short(TOLD["error_type"], "")
    error_msg: str = short(TOLD["error_msg"], "")
    host: str = short(TOLD["host"], "")
    pid: int = number(0)


class UnitRow(StoreTable, table=True):
    """What a unit of a run has prepared."""

    __tablename__ = "job_run_unit"

    run_id: int = big(primary=True)
    unit: str = short(NAMES["unit"], primary=True)
    fingerprint: str = short(NAMES["fingerprint"])
    prepared: str = long_text(nullable=False)


class DecisionRow(StoreTable, table=True):
    """The decision to commit a run, with all receipts."""

    __tablename__ = "job_run_decision"

    run_id: int = big(primary=True)
    receipts: str = long_text(nullable=False)
    decided_at: datetime = instant(now=True)


class StagedRow(StoreTable, table=True):
    """Rows of a sink in this database that wait for their run to end, by part."""

    __tablename__ = "sink_staging"

    run_id: int = big(primary=True)
    sink: str = short(64, primary=True)
    unit: str = short(NAMES["unit"], primary=True)
    attempt: int = big(primary=True)
    chunk: int = big(primary=True)
    rows_json: str = long_text(nullable=False)


class BackfillRow(StoreTable, table=True):
    """A backfill; `windows` is JSON, pairs of instants in the order they run."""

    __tablename__ = "backfill"
    __table_args__ = (
        Index("ix_backfill_flow", "job_id", "backfill_id"),
        Index("ix_backfill_state", "state"),
        OPTIONS,
    )

    backfill_id: int = big(primary=True, counts=True)
    job_id: str = short(NAMES["flow"])
    kind: str = short(NAMES["kind"])
    start_time: datetime = instant(nullable=False)
    end_time: datetime = instant(nullable=False)
    windows: str = long_text(nullable=False)
    newest_first: bool = yes_or_no(False)
    concurrency: int = number(1)
    state: str = short(NAMES["state"], "running")
    next_window: int = number(0)
    params: str | None = long_text()
    requested_by: str = short(TOLD["requested_by"], "")
    created_at: datetime = instant(now=True)


class DeadLetterRow(StoreTable, table=True):
    """An item that failed for good."""

    __tablename__ = "dead_letter"
    __table_args__ = (
        Index("ix_dead_letter_flow", "job_id", "id"),
        Index("ix_dead_letter_run", "run_id"),
        Index("ix_dead_letter_group", "state", "job_id", "fingerprint"),
        Index("ix_dead_letter_replay", "replay_run"),
        OPTIONS,
    )

    id: int = big(primary=True, counts=True)
    job_id: str = short(NAMES["flow"])
    run_id: int = big()
    stage: str = short(TOLD["stage"])
    payload: str = long_text(nullable=False)
    error_type: str = short(TOLD["error_type"], "")
    error_msg: str = short(TOLD["error_msg"], "")
    fingerprint: str = short(NAMES["fingerprint"], "")
    created_at: datetime = instant(now=True)
    model: str = short(TOLD["model"], "")
    is_batch: bool = yes_or_no(False)
    sink: str = short(TOLD["sink"], "")
    item_key: str | None = long_text()
    place: str = short(TOLD["place"], "")
    trace: str | None = long_text()
    data_time_start: datetime | None = instant()
    data_time_end: datetime | None = instant()
    params_version: int | None = big(nullable=True)
    payload_file: str | None = long_text()
    state: str = short(NAMES["state"], "open")
    attempt: int = number(1)
    failed_at: datetime | None = instant()
    replay_run: int | None = big(nullable=True)


TABLES = EpisodeRow.metadata.tables
"""All tables of the store, by name."""
