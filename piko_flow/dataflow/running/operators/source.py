"""The operator of a source that is waited for.

Each way to work on items has a file of its own; this one is short, because `reader.py` reads for it and for loops alike.
"""

from __future__ import annotations

from typing import Any

from piko_flow.clock import monotonic
from piko_flow.dataflow.running.operators.reader import ChunkSize, Reader
from piko_flow.dataflow.running.unit_state import OperatorState
from piko_flow.dataflow.stages.source import Source
from piko_flow.tasks import checkpoint


class SourceOperator:
    """Hands on each item as it comes; order is kept."""

    def __init__(self, state: OperatorState) -> None:
        self.state = state
        stage = state.boxes[0].stage
        assert isinstance(stage, Source)
        self.source: Source[Any] = stage
        self._held_since = monotonic()
        self._unreported = 0  # items that the observer does not know of

    async def run(self) -> None:
        """Read until the source ends, its slice ends, or the intake closes."""
        chunk_size = ChunkSize(self.state.unit.plan.options.capacity.items)
        with self.state.at_work():
            try:
                await Reader(self.state, self.source, chunk_size, self._hand_on).run()
            finally:
                self._report()
        self.state.close()

    async def _hand_on(self, items: list[Any]) -> None:
        if len(items) == 1:
            while not self.state.output.offer(items[0]):
                await self.state.room()
        else:
            await self.state.send(items, self.state.output)
        self._unreported += len(items)
        if self._unreported > 31:
            self._report()
            self._held_since = await checkpoint(self._held_since)

    def _report(self) -> None:
        """Tell the observer of the items that were given since the last time."""
        if self._unreported:
            self.state.passed(self._unreported)
            self._unreported = 0
