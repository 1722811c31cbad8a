"""Settled spans."""

from __future__ import annotations

from collections.abc import Collection

from piko_flow.planning.flow_state import FlowState
from piko_flow.store.sql.backfills import SqlBackfills
from piko_flow.store.sql.database import Database, Session
from piko_flow.store.sql.flow_states import FlowStates


class SqlLedger(SqlBackfills):
    """LedgerStore in a database; see the protocol for what is promised."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._states = FlowStates(database.dialect)

    async def states(self, flows: Collection[str]) -> dict[str, FlowState]:
        """The states of flows as they are now; a flow never seen has an empty one."""

        async def work(session: Session) -> dict[str, FlowState]:
            # Locked, so that what several statements read belongs together.
            locked = await self._states.lock(session, flows, make=False)
            known = await self._states.read(session, locked)
            return {flow: known[flow].state for flow in flows}

        return await self._database.transact("read the states of flows", work) if flows else {}
