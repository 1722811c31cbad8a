"""All subjects in one database."""

from __future__ import annotations

from piko_flow.store.sql.audits import SqlAudits
from piko_flow.store.sql.database import Database
from piko_flow.store.sql.dead_letters import SqlLetters
from piko_flow.store.sql.ledger import SqlLedger
from piko_flow.store.sql.notices import SqlNotices
from piko_flow.store.sql.params import SqlParams
from piko_flow.store.sql.retention import SqlRetention
from piko_flow.store.sql.run_details import SqlRunDetails
from piko_flow.store.sql.runs import SqlRuns
from piko_flow.store.sql.schedules import SqlSchedules
from piko_flow.store.sql.staging import SqlStaging
from piko_flow.store.sql.tokens import SqlTokens
from piko_flow.store.sql.units import SqlUnits

FLOWS = (SqlSchedules, SqlParams, SqlLedger, SqlLetters)
PARTS = (SqlRuns, SqlUnits, SqlStaging, SqlRetention, *FLOWS, SqlTokens, SqlAudits, SqlRunDetails, SqlNotices)


class SqlStore(
    SqlRuns,
    SqlUnits,
    SqlStaging,
    SqlRetention,
    SqlSchedules,
    SqlParams,
    SqlLedger,
    SqlLetters,
    SqlTokens,
    SqlAudits,
    SqlRunDetails,
    SqlNotices,
):
    """A store in SQLite, MariaDB, MySQL or PostgreSQL. `url` shows no password."""

    def __init__(self, database: Database, *, url: str) -> None:
        for part in PARTS:
            part.__init__(self, database)
        self.url = url

    async def close(self) -> None:
        """Give back all connections."""
        await self._database.close()

    @property
    def statements(self) -> int:
        """How many statements were sent since it was opened, transactions' begin and end not counted."""
        return self._database.statements
