"""Sources and sinks for SQL databases: SQLite, MariaDB and MySQL, PostgreSQL."""

from piko_flow.connectors.extras import MissingExtra
from piko_flow.connectors.sql_changes import SqlChanges
from piko_flow.connectors.sql_errors import DatabaseFailed, RowsRefused, SqlRefused
from piko_flow.connectors.sql_facts import NoUniqueKey
from piko_flow.connectors.sql_ledger_part import TooManyRows
from piko_flow.connectors.sql_sink import SqlSink
from piko_flow.connectors.sql_source import SqlSource

__all__ = [
    "SqlSource",
    "SqlChanges",
    "SqlSink",
    "DatabaseFailed",
    "MissingExtra",
    "NoUniqueKey",
    "RowsRefused",
    "SqlRefused",
    "TooManyRows",
]
