"""One replica's way to a store that it shares with others, with all that can go wrong on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any, Protocol

from piko_flow.errors import StoreUnavailable
from piko_flow.store.batch import Batch
from piko_flow.store.memory.store import MemoryStore
from piko_flow.testing.simulated_journal import Journal
from piko_flow.testing.store_faults import Fault, FaultKind, Faults

BEFORE = frozenset({FaultKind.CRASH_BEFORE, FaultKind.PAUSE_BEFORE})
AFTER = frozenset({FaultKind.CRASH_AFTER, FaultKind.PAUSE_AFTER})


class Process(Protocol):
    """The replica to whom a way belongs."""

    @property
    def name(self) -> str: ...

    async def cross(self, call: str, fault: Fault | None, /) -> None:
        """Return when the question, or the answer, has come across: at once, later, or never."""


class StoreWay:
    """A Store: every call crosses to the shared store and back, and is told to the journal where it changes rows."""

    def __init__(self, store: MemoryStore, process: Process, faults: Faults, journal: Journal) -> None:
        self._store, self._process, self._faults, self._journal = store, process, faults, journal
        self.url = store.url

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not iscoroutinefunction(method):
            return method
        done = {"write": self._write, "acquire": self._lease}.get(name)
        call = self._call(name, method if done is None else done(method))
        setattr(self, name, call)  # the next time it is found at once
        return call

    def _call(self, name: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **named: Any) -> Any:
            fault = self._faults.at(name, self._process.name)
            kind = None if fault is None else fault.kind
            await self._process.cross(name, fault if kind in BEFORE else None)
            if kind is FaultKind.REFUSED:
                self._journal.note(f"{self._process.name} {name} refused")
                raise StoreUnavailable(what=name, reason="it was refused, as the faults wanted")
            answer = await method(*arguments, **named)
            await self._process.cross(name, fault if kind in AFTER else None)
            if kind is FaultKind.REPLY_LOST:
                self._journal.note(f"{self._process.name} {name} reply lost")
                raise StoreUnavailable(what=name, reason="its answer was lost, as the faults wanted")
            return answer

        return call

    def _write(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def write(batch: Batch) -> Any:
            before = self._journal.concerned(batch)
            written = await method(batch)
            self._journal.accepted(batch, before)
            self._journal.note(f"{self._process.name} wrote {_shape(batch)}")
            return written

        return write

    def _lease(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def ask(*arguments: Any, **named: Any) -> Any:
            lease = await method(*arguments, **named)
            self._journal.granted(lease)
            return lease

        return ask


def _shape(batch: Batch) -> str:
    """What is in a batch, short enough for a log."""
    parts = ("endings", "requeues", "planned", "decisions", "queue", "admit", "claim")
    sizes = [f"{name} {len(found)}" for name in parts if (found := getattr(batch, name))]
    return f"{', '.join(sizes)}{f' in term {batch.term.number}' if batch.term else ''}"
