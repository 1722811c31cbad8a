"""Where a run's receipts and its decision to commit are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from piko_flow.dataflow.commit.result import UnitResult
from piko_flow.dataflow.stages.sink import Part
from piko_flow.errors import AlreadyCommitted

REMEMBERED = 10_000  # ids of committed runs


class Journal(Protocol):
    """What a run has prepared, and whether it was decided. Each call is one transaction.

    Once `decide` has returned, the run is to be committed, whoever does it: it can no longer be aborted.
    `decision` raises AlreadyCommitted for a run that has been committed, as far back as the journal remembers.
    """

    async def prepared(self, run: str) -> Mapping[str, UnitResult]: ...
    async def record(self, run: str, fingerprint: str, result: UnitResult) -> None: ...
    async def fingerprint(self, run: str) -> str | None: ...
    async def decide(self, run: str, results: Sequence[UnitResult]) -> None: ...
    async def decision(self, run: str) -> Sequence[UnitResult] | None: ...
    async def committed(self, run: str) -> None: ...
    async def live(self) -> Collection[Part]: ...


@dataclass
class _Entry:
    fingerprint: str = ""
    prepared: dict[str, UnitResult] = field(default_factory=dict)
    decided: list[UnitResult] | None = None


class MemoryJournal:
    """A journal in this process: for runs that need not survive it, and for tests.

    Of a committed run only the id is kept, of the last 10,000 of them.
    """

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._committed: dict[str, None] = {}

    async def prepared(self, run: str) -> Mapping[str, UnitResult]:
        """The units of the run that have prepared, by id."""
        return dict(self._entries.get(run, _Entry()).prepared)

    async def record(self, run: str, fingerprint: str, result: UnitResult) -> None:
        """Keep what a unit has prepared."""
        entry = self._entries.setdefault(run, _Entry(fingerprint))
        entry.fingerprint = fingerprint
        entry.prepared[result.unit] = result

    async def fingerprint(self, run: str) -> str | None:
        """The fingerprint of the plan that prepared the run's units; None for a run not seen before."""
        entry = self._entries.get(run)
        return entry.fingerprint if entry is not None else None

    async def decide(self, run: str, results: Sequence[UnitResult]) -> None:
        """Store all receipts together with the decision to commit them."""
        self._entries.setdefault(run, _Entry()).decided = list(results)

    async def decision(self, run: str) -> Sequence[UnitResult] | None:
        """The decided results of a run that is not yet committed; None where there is no decision."""
        if run in self._committed:
            raise AlreadyCommitted(run=run)
        entry = self._entries.get(run)
        return entry.decided if entry is not None else None

    async def committed(self, run: str) -> None:
        """Forget all but the run's id: everything it prepared is published."""
        self._entries.pop(run, None)
        self._committed[run] = None
        if len(self._committed) > REMEMBERED:
            del self._committed[next(iter(self._committed))]

    async def live(self) -> Collection[Part]:
        """The parts that runs have prepared and not yet committed; a sweep must leave them."""
        results = [result for entry in self._entries.values() for result in entry.prepared.values()]
        return [receipt.part for result in results for receipt in result.receipts.values()]
