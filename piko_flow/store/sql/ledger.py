"""Settled spans and dead letters."""

from __future__ import annotations

from collections.abc import Collection

from piko_flow.planning.flow_state import FlowState
from piko_flow.store.records import DeadLetterRecord
from piko_flow.store.sql.backfills import SqlBackfills
from piko_flow.store.sql.columns import read_moment
from piko_flow.store.sql.database import Database, Session
from piko_flow.store.sql.flow_states import FlowStates

COLUMNS = "job_id, run_id, stage, payload, error_type, error_msg, fingerprint, id, created_at"
LETTERS = f"SELECT {COLUMNS} FROM dead_letter ORDER BY id DESC LIMIT :limit"
OF_FLOW = f"SELECT {COLUMNS} FROM dead_letter WHERE job_id = :flow ORDER BY id DESC LIMIT :limit"


class SqlLedger(SqlBackfills):
    """LedgerStore in a database; see the protocol for what is promised."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._states = FlowStates(database.dialect)
        self._letters, self._letters_of = map(database.dialect.statement, (LETTERS, OF_FLOW))

    async def states(self, flows: Collection[str]) -> dict[str, FlowState]:
        """The states of flows as they are now; a flow never seen has an empty one."""

        async def work(session: Session) -> dict[str, FlowState]:
            # Locked, so that what several statements read belongs together.
            locked = await self._states.lock(session, flows, make=False)
            known = await self._states.read(session, locked)
            return {flow: known[flow].state for flow in flows}

        return await self._database.transact("read the states of flows", work) if flows else {}

    async def dead_letters(self, *, flow: str | None = None, limit: int = 100) -> list[DeadLetterRecord]:
        """Dead letters of all flows or of one, newest first."""
        what = "list dead letters"
        if flow is None:
            rows = await self._database.rows(what, self._letters, limit=limit)
        else:
            rows = await self._database.rows(what, self._letters_of, flow=flow, limit=limit)
        return [DeadLetterRecord(*[*row[:8], read_moment(row[8])]) for row in rows]
