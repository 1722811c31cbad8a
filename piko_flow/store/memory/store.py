"""All subjects over rows in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from piko_flow.clock import Clock, SystemClock
from piko_flow.store.memory.dead_letters import MemoryLetters
from piko_flow.store.memory.door import MemoryDoor
from piko_flow.store.memory.ledger import MemoryLedger
from piko_flow.store.memory.notices import MemoryNotices
from piko_flow.store.memory.rows import MemoryRows
from piko_flow.store.memory.run_details import MemoryRunDetails
from piko_flow.store.memory.runs import MemoryRuns
from piko_flow.store.memory.schedules import MemorySchedules
from piko_flow.store.memory.staging import MemoryStaging

MOST = 1_000_000  # runs, and dead letters: a gigabyte of memory or two


class MemoryStore(
    MemoryRuns,
    MemoryStaging,
    MemorySchedules,
    MemoryLedger,
    MemoryLetters,
    MemoryDoor,
    MemoryRunDetails,
    MemoryNotices,
):
    """A store in this process, with the transactions of a database; what it holds ends with the process.

    `clock` is the store's clock, by which everything is decided. `most` bounds the runs that it holds, and the
    dead letters and what is kept of operations likewise; beyond it new ones are refused with StoreUnavailable until old ones are pruned.
    """

    url = "memory://"

    def __init__(
        self, clock: Clock | None = None, *, most: int = MOST, rows: MemoryRows | None = None
    ) -> None:
        super().__init__(MemoryRows(most=most) if rows is None else rows, clock or SystemClock())

    @classmethod
    @asynccontextmanager
    async def open(cls, *, clock: Clock | None = None, most: int = MOST) -> AsyncIterator[MemoryStore]:
        """A new, empty store, as a block."""
        yield cls(clock, most=most)

    def again(self, clock: Clock | None = None) -> MemoryStore:
        """Another handle on the same rows, as another replica has it; with a count of its own."""
        return MemoryStore(clock or self._clock, rows=self._rows)

    async def close(self) -> None:
        """Nothing has to be given back."""

    @property
    def statements(self) -> int:
        """How many calls were made since it was opened; each is one statement."""
        return self._statements
