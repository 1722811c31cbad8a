"""What the parts of the memory store have in common: the rows, the clock, a count, and which claims hold."""

from __future__ import annotations

from datetime import datetime

from piko_flow.clock import Clock
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.memory.rows import MemoryRows


class MemoryPart:
    """A part of one handle on the rows. No method awaits anything, so each is one transaction."""

    def __init__(self, rows: MemoryRows, clock: Clock) -> None:
        self._rows, self._clock = rows, clock
        self._statements = 0

    def _ask(self) -> datetime:
        """Count a statement, and tell the store's time."""
        self._statements += 1
        return self._clock.now()

    def _held(self, run: int, claim: int) -> bool:
        """Whether the run is running under this claim."""
        record = self._rows.runs.get(run)
        return record is not None and record.status is RunStatus.RUNNING and record.claim == claim
