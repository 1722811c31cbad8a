"""Episodes know what people have still to be told of; the runs of one window are found by an index."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Index, Integer, MetaData, String, Table

from piko_flow.store.migrations.additive import add_to
from piko_flow.store.sql.columns import BIG, UTCDateTime, only

revision: str = "0005"
down_revision: str | None = "0004"

METADATA = MetaData()
EPISODE = Table(
    "piko_flow_episode",
    METADATA,
    Column("begun_waits", Integer()),
    Column("over_waits", Integer()),
    Index("ix_piko_flow_episode_begun_waits", "begun_waits"),
    Index("ix_piko_flow_episode_over_waits", "over_waits"),
)
JOB_RUN = Table(
    "job_run",
    METADATA,
    # Columns that are there already, named for the index.
    Column("run_id", BIG, primary_key=True),
    Column("job_id", String(128), nullable=False),
    Column("data_time_start", UTCDateTime()),
    Index("ix_job_run_window", "job_id", "data_time_start", "run_id", **only("data_time_start IS NOT NULL")),
)


def upgrade() -> None:
    """Add what is missing; some tables of 0003 and 0004 have all of it. Episodes from before count as told."""
    for table in (EPISODE, JOB_RUN):
        add_to(op.get_bind(), table)
