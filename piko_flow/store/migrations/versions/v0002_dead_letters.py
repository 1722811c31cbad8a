"""Dead letters know what they are, and what becomes of them."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, Index, Integer, MetaData, String, Table, text

from piko_flow.store.migrations.additive import add_to
from piko_flow.store.sql.columns import BIG, LONG, UTCDateTime

revision: str = "0002"
down_revision: str | None = "0001"

DEAD_LETTER = Table(
    "dead_letter",
    MetaData(),
    Column("job_id", String(128), nullable=False),
    Column("fingerprint", String(128), nullable=False, server_default=text("''")),
    Column("model", String(191), nullable=False, server_default=text("''")),
    Column("is_batch", Boolean(create_constraint=False), nullable=False, server_default=text("false")),
    Column("sink", String(128), nullable=False, server_default=text("''")),
    Column("item_key", LONG),
    Column("place", String(191), nullable=False, server_default=text("''")),
    Column("trace", LONG),
    Column("data_time_start", UTCDateTime()),
    Column("data_time_end", UTCDateTime()),
    Column("params_version", BIG),
    Column("payload_file", LONG),
    Column("state", String(16), nullable=False, server_default=text("'open'")),
    Column("attempt", Integer(), nullable=False, server_default=text("1")),
    Column("failed_at", UTCDateTime()),
    Column("replay_run", BIG),
    Index("ix_dead_letter_group", "state", "job_id", "fingerprint"),
    Index("ix_dead_letter_replay", "replay_run"),
)


def upgrade() -> None:
    """Add the columns that are missing; letters that are there already are open."""
    add_to(op.get_bind(), DEAD_LETTER)
