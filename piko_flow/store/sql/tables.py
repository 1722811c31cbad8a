"""The tables of flows: what people edit, what is known of each flow, who leads, which replicas live.

Names and types of `scheduled_job`, `job_config`, `scheduler_leader` (and of `job_run`) are those that existing
tools write SQL for; what has a sensible default has one in the server, so that such SQL may leave it out.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index, MetaData
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

from piko_flow.store.sql.columns import big, instant, json_text, long_text, number, short, yes_or_no
from piko_flow.store.texts import NAMES, TOLD

# Texts compare by their bytes everywhere, as Python compares them.
OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


class StoreTable(SQLModel, registry=registry(metadata=MetaData())):
    """Base of the store's tables; they are not in the metadata that a user's own models share."""

    __table_args__: ClassVar[Any] = OPTIONS
    __tablename__: ClassVar[Any]


class ScheduleRow(StoreTable, table=True):
    """When a flow runs; people edit it."""

    __tablename__ = "scheduled_job"
    __table_args__ = (
        Index("ix_scheduled_job_enabled", "enabled"),
        Index("ix_scheduled_job_version", "version"),
        Index("ix_scheduled_job_updated_at", "updated_at"),
        OPTIONS,
    )

    job_id: str = short(NAMES["flow"], primary=True)
    schedule_type: str = short(NAMES["schedule_type"])
    schedule_expr: str = short(NAMES["schedule_expr"])
    timezone: str = short(NAMES["timezone"], "")
    enabled: bool = yes_or_no(True)
    misfire_grace_s: int = number(300)
    coalesce: bool = yes_or_no(True)
    max_instances: int = number(1)
    jitter_s: int = number(0)
    executor: str = short(NAMES["executor"], "cpu")
    concurrency_group: str = short(NAMES["concurrency_group"], "default")
    is_stateful: bool = yes_or_no(False)
    last_data_time: datetime | None = instant()
    max_lookback_window: int = number(0)
    completed_at: datetime | None = instant()
    version: int = big(1)
    updated_at: datetime = instant(now=True)


class ConfigRow(StoreTable, table=True):
    """A flow's parameters; people edit it."""

    __tablename__ = "job_config"
    __table_args__ = (
        Index("ix_job_config_version", "version"),
        Index("ix_job_config_updated_at", "updated_at"),
        OPTIONS,
    )

    job_id: str = short(NAMES["flow"], primary=True)
    schema_version: int = number(1)
    config_json: str = json_text()
    effective_from: datetime | None = instant()
    version: int = big(1)
    updated_at: datetime = instant(now=True)


class ParamsRow(StoreTable, table=True):
    """A version of a flow's parameters that was seen."""

    __tablename__ = "job_config_version"
    __table_args__ = (Index("ix_job_config_version_flow", "job_id", "id"), OPTIONS)

    id: int = big(primary=True, counts=True)
    job_id: str = short(NAMES["flow"])
    config_json: str = long_text(nullable=False)
    schema_version: int = number(1)
    effective_from: datetime | None = instant()
    version: int = big(1)
    refused: str = short(TOLD["refused"], "")
    seen_at: datetime = instant(now=True)


class FlowStateRow(StoreTable, table=True):
    """What is known of a flow besides its rows; locked while its windows are decided."""

    __tablename__ = "flow_state"

    job_id: str = short(NAMES["flow"], primary=True)
    origin: datetime | None = instant()
    planned_until: datetime | None = instant()
    watermark: datetime | None = instant()
    written: datetime | None = instant()
    cut_after: datetime | None = instant()
    generation: int = big(0)
    schedule: str | None = long_text()
    paused: str = short(TOLD["paused"], "")
    refused: str = short(TOLD["refused"], "")
    source_position: str | None = long_text()


class SpanRow(StoreTable, table=True):
    """A stretch of a flow's ledger: settled, or failed."""

    __tablename__ = "flow_span"

    job_id: str = short(NAMES["flow"], primary=True)
    start_time: datetime = instant(nullable=False, primary=True)
    end_time: datetime = instant(nullable=False)
    mark: str = short(16)


class LeaseRow(StoreTable, table=True):
    """Who leads; `version` is the term."""

    __tablename__ = "scheduler_leader"

    name: str = short(NAMES["lease"], primary=True)
    owner: str = short(NAMES["replica"])
    lease_until: datetime = instant(nullable=False)
    version: int = number(0)
    updated_at: datetime = instant(now=True)


class ReplicaRow(StoreTable, table=True):
    """A process of the control half."""

    __tablename__ = "replica"

    replica_id: str = short(NAMES["replica"], primary=True)
    host: str = short(TOLD["host"], "")
    pid: int = number(0)
    slots: int = number(0)
    running: int = number(0)
    version: str = short(TOLD["version"], "")
    started_at: datetime | None = instant()
    alive_until: datetime = instant(nullable=False)
    address: str = short(TOLD["address"], "")
