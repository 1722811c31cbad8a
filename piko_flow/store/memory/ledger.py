"""Settled spans and backfills."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.applying import OPEN_BACKFILLS, given_up
from piko_flow.store.fitting import fitting_backfill
from piko_flow.store.memory.part import MemoryPart
from piko_flow.store.records import BackfillRecord
from piko_flow.store.seen import Seen, check_seen
from piko_flow.store.texts import check


class MemoryLedger(MemoryPart):
    """LedgerStore in memory; see the protocol for what is promised."""

    async def states(self, flows: Collection[str]) -> dict[str, FlowState]:
        """The states of flows as they are now; a flow never seen has an empty one."""
        self._ask()
        return {flow: self._rows.state(flow) for flow in flows}

    async def add_backfill(self, record: BackfillRecord) -> BackfillRecord:
        """Store a backfill; its id is given by the store."""
        now, record = self._ask(), fitting_backfill(record)
        record = replace(record, id=self._rows.next_id("backfills"), created_at=now)
        self._rows.backfills[record.id] = record
        return record

    async def backfills(self, *, flow: str | None = None, open_only: bool = False) -> list[BackfillRecord]:
        """All backfills, or a flow's, or those that are running or paused; oldest first."""
        self._ask()
        return [
            record
            for record in self._rows.backfills.values()
            if (flow is None or record.flow == flow)
            and not (open_only and record.state not in OPEN_BACKFILLS)
        ]

    async def backfill_counts(self, backfill: int) -> dict[RunStatus, int]:
        """How many of its runs are in each state; states without a run are left out."""
        self._ask()
        return dict(Counter(run.status for run in self._rows.runs.values() if run.backfill == backfill))

    async def set_backfill(
        self, backfill: int, *, state: str, unless: Collection[str] = (), seen: Seen | None = None
    ) -> BackfillRecord | None:
        """Pause, resume, cancel or end a backfill; None when it is not there or in one of the states `unless`."""
        now, rows = self._ask(), self._rows
        record = rows.backfills.get(backfill)
        if record is not None:
            check_seen(f"make backfill {backfill} {state}", seen, state=record.state)
        if record is None or record.state in unless:
            return None
        record = replace(record, state=check("state", state))
        with rows.transaction():
            rows.put(rows.backfills, backfill, record)
            for run in rows.sorted_runs(rows.queued) if state in ("cancelled", "paused") else ():
                if run.backfill == backfill and state == "paused":
                    rows.put_run(replace(run, admitted=False))
                elif run.backfill == backfill:
                    rows.put_run(given_up(run, RunStatus.CANCELLED, Reason.CANCELLED, now))
        return record
