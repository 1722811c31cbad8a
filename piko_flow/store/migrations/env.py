"""Run by Alembic: the versions are applied on the connection that was handed over."""

from __future__ import annotations

from alembic import context

from piko_flow.store.migrations import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"], version_table=VERSION_TABLE, version_table_pk=False
)
with context.begin_transaction():
    context.run_migrations()
