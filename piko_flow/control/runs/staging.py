"""Rows of a claimed run's sinks that wait in the store for the run's last transaction."""

from __future__ import annotations

from piko_flow.control.runs.journal import Ask
from piko_flow.dataflow.stages.sink import Part
from piko_flow.errors import ClaimLost
from piko_flow.store.records import RunRecord


class StoreStaging:
    """The staging of one claimed run; see Staging. Under a claim that is lost nothing is kept."""

    def __init__(self, record: RunRecord, *, ledger: str, reach: Ask) -> None:
        self.ledger, self._record, self._reach = ledger, record, reach

    async def add(self, part: Part, chunk: int, text: str) -> None:
        """Keep one more text of the part, in a transaction of its own; the same chunk again replaces it."""
        record = self._record
        if not await self._reach(lambda store: store.stage(record.id, record.claim, part, chunk, text)):
            raise ClaimLost(run=record.id, claim=record.claim)
