"""What sinks have staged until their run ends."""

from __future__ import annotations

from collections.abc import AsyncIterator

from piko_flow.dataflow.stages.sink import Part
from piko_flow.store.memory.leases import MemoryLeases
from piko_flow.store.memory.rows import MemoryRows
from piko_flow.store.memory.writing import MemoryTransaction
from piko_flow.store.texts import check, check_free, short_sink


class MemoryStaging(MemoryLeases):
    """The part of RunStore that keeps rows of sinks until their run ends."""

    async def stage(self, run: int, claim: int, part: Part, chunk: int, text: str) -> bool:
        """Keep a text of a part until the run ends, if the claim holds; the same chunk again replaces it."""
        self._ask()
        check("unit", part.unit)
        check_free("a staged text", text)
        if not self._held(run, claim):
            return False
        self._rows.staged.setdefault(run, {}).setdefault(key_of(part), {})[chunk] = text
        return True

    async def sweep_staged(self, limit: int) -> int:
        """Remove what runs that have ended left staged; at most `limit` runs a call. Gives how many texts went."""
        self._ask()
        live = self._rows.queued.keys() | self._rows.running.keys()
        gone = [self._rows.staged.pop(run) for run in sorted(self._rows.staged.keys() - live)[:limit]]
        return sum(len(texts) for staged in gone for texts in staged.values())


class EndingTransaction(MemoryTransaction):
    """What a sink sees of the transaction in which a run ends: what it has staged, and no database."""

    def __init__(self, rows: MemoryRows, run: int) -> None:
        self._texts = rows.staged.get(run, {})

    async def staged(self, part: Part) -> AsyncIterator[str]:
        """The texts that the part has staged, in the order of their chunks."""
        for _, text in sorted(self._texts.get(key_of(part), {}).items()):
            yield text


def key_of(part: Part) -> tuple[str, str, int]:
    """What tells the parts of one run apart."""
    return short_sink(part.sink), part.unit, part.attempt
