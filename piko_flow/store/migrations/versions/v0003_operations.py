"""What operating flows keeps: tokens, audits, answers, logs and reports of runs, episodes."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Index, Integer, MetaData, String, Table, text

from piko_flow.store.migrations.additive import bring_up
from piko_flow.store.sql.columns import BIG, LONG, UTCDateTime, UtcNow
from piko_flow.store.sql.tables import OPTIONS

revision: str = "0003"
down_revision: str | None = "0002"

METADATA = MetaData()
TABLES = (
    Table(
        "piko_flow_token",
        METADATA,
        Column("id", BIG, primary_key=True),
        Column("name", String(128), nullable=False),
        Column("digest", String(64), nullable=False),
        Column("role", String(16), nullable=False),
        Column("kind", String(16), nullable=False),
        Column("created_by", String(128), nullable=False, server_default=text("''")),
        Column("created_at", UTCDateTime(), nullable=False, server_default=UtcNow()),
        Column("expires_at", UTCDateTime()),
        Column("revoked_at", UTCDateTime()),
        Column("used_at", UTCDateTime()),
        Column("parent", BIG, nullable=False, server_default=text("0")),
        Index("uq_piko_flow_token_digest", "digest", unique=True),
        Index("ix_piko_flow_token_kind", "kind", "id"),
        Index("ix_piko_flow_token_parent", "parent"),
        **OPTIONS,
    ),
    Table(
        "piko_flow_audit",
        METADATA,
        Column("id", BIG, primary_key=True),
        Column("made_at", UTCDateTime(), nullable=False, server_default=UtcNow()),
        Column("made_by", String(128), nullable=False, server_default=text("''")),
        Column("via", String(16), nullable=False, server_default=text("''")),
        Column("action", String(64), nullable=False),
        Column("subject", String(191), nullable=False),
        Column("value_before", LONG, nullable=False),
        Column("value_after", LONG, nullable=False),
        Index("ix_piko_flow_audit_subject", "subject", "id"),
        Index("ix_piko_flow_audit_made_at", "made_at"),
        **OPTIONS,
    ),
    Table(
        "piko_flow_answer",
        METADATA,
        Column("asked_by", String(128), primary_key=True),
        Column("request_key", String(191), primary_key=True),
        Column("asked", String(128), nullable=False),
        Column("status", Integer(), nullable=False, server_default=text("0")),
        Column("body", LONG, nullable=False),
        Column("began_at", UTCDateTime(), nullable=False, server_default=UtcNow()),
        Index("ix_piko_flow_answer_began_at", "began_at"),
        **OPTIONS,
    ),
    Table(
        "job_run_log",
        METADATA,
        Column("run_id", BIG, primary_key=True, autoincrement=False),
        Column("line", BIG, primary_key=True, autoincrement=False),
        Column("logged_at", UTCDateTime(), nullable=False),
        Column("level", String(16), nullable=False),
        Column("logger", String(191), nullable=False, server_default=text("''")),
        Column("stage", String(191), nullable=False, server_default=text("''")),
        Column("attempt", Integer(), nullable=False, server_default=text("1")),
        Column("message", LONG, nullable=False),
        **OPTIONS,
    ),
    Table(
        "job_run_report",
        METADATA,
        Column("run_id", BIG, primary_key=True, autoincrement=False),
        Column("attempt", BIG, primary_key=True, autoincrement=False),
        Column("report", LONG, nullable=False),
        **OPTIONS,
    ),
    Table(
        "job_run_live",
        METADATA,
        Column("run_id", BIG, primary_key=True, autoincrement=False),
        Column("replica_id", String(128), primary_key=True),
        Column("shown", LONG, nullable=False),
        Column("shown_at", UTCDateTime(), nullable=False, server_default=UtcNow()),
        Index("ix_job_run_live_replica", "replica_id"),
        **OPTIONS,
    ),
    Table(
        "piko_flow_episode",
        METADATA,
        Column("id", BIG, primary_key=True),
        Column("kind", String(64), nullable=False),
        Column("subject", String(191), nullable=False),
        Column("told", LONG, nullable=False),
        Column("since", UTCDateTime(), nullable=False, server_default=UtcNow()),
        Column("over_at", UTCDateTime()),
        Column("lasting", Integer()),
        Index("uq_piko_flow_episode_lasting", "kind", "subject", "lasting", unique=True),
        Index("ix_piko_flow_episode_over_at", "over_at"),
        **OPTIONS,
    ),
)


def upgrade() -> None:
    """Make the tables that are missing."""
    for table in TABLES:
        bring_up(op.get_bind(), table)
