"""Replicas tell where they answer."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, MetaData, String, Table, text

from piko_flow.store.migrations.additive import add_to

revision: str = "0004"
down_revision: str | None = "0003"

REPLICA = Table(
    "replica", MetaData(), Column("address", String(191), nullable=False, server_default=text("''"))
)


def upgrade() -> None:
    """Add the column where it is missing."""
    add_to(op.get_bind(), REPLICA)
