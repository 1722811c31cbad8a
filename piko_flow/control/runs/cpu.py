"""Plain functions of a run on worker processes, within what one run may keep busy."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from types import FunctionType, TracebackType
from typing import Any

from typing_extensions import TypeVar, TypeVarTuple, Unpack

from piko_flow.dataflow.graph.function import name_of, signature_of
from piko_flow.dataflow.graph.origin import caller
from piko_flow.dataflow.workers.pool import CallResult, WorkerPool
from piko_flow.dataflow.workers.shipping import Shipment, pack
from piko_flow.errors import shorten
from piko_flow.tasks import TaskGroup

A = TypeVar("A")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")
TARGET = 0.05  # seconds of work in one chunk of `map`: long beside its transport, short beside a stop
GROWTH = 4  # times, at most, that a chunk is longer than the last
REMEMBERED = 256  # functions that are packed once for all their calls


class WorkerShare(WorkerPool):
    """A run's share of a pool: at most `workers` calls at once. The pool itself is opened and closed by its owner."""

    def __init__(self, pool: WorkerPool, workers: int) -> None:
        super().__init__(min(workers, pool.workers))
        self._pool = pool
        self._places = asyncio.Semaphore(self.workers)

    async def __aenter__(self) -> WorkerShare:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The pool goes on."""

    @property
    def pids(self) -> list[int]:
        """The process ids of the pool's workers."""
        return self._pool.pids

    async def call(
        self,
        shipment: Shipment,
        items: Sequence[Any],
        *,
        timeout: float | None = None,
        workers: int | None = None,
    ) -> CallResult:
        """As the pool's, when a place is free."""
        async with self._places:
            try:
                return await self._pool.call(shipment, items, timeout=timeout, workers=workers)
            finally:
                self.spawned, self.replaced = self._pool.spawned, self._pool.replaced


class RunCpu:
    """What `run.cpu` is: see Cpu. At most `workers` calls of the run are out at once."""

    def __init__(self, pool: WorkerPool, workers: int) -> None:
        self._pool, self._workers = pool, workers
        self._places = asyncio.Semaphore(workers)

    async def submit(self, function: Callable[[Unpack[Ts]], T], /, *arguments: *Ts) -> T:
        """Call the function once; see Cpu."""
        given: tuple[Any, ...] = arguments
        single = len(given) == 1
        shipment = _shipment(function, spread=not single)
        called = await self._call(shipment, [given[0] if single else given])
        result: T = called.results[0]
        return result

    async def map(
        self, function: Callable[[A], T], items: Iterable[A], /, *, concurrency: int | None = None
    ) -> list[T]:
        """Call the function on each item, in chunks that grow with how quick it is; see Cpu."""
        if concurrency is not None and (isinstance(concurrency, bool) or not isinstance(concurrency, int)):
            raise TypeError(f"concurrency must be a whole number, got {concurrency!r:.80}")
        if concurrency is not None and concurrency < 1:
            raise ValueError(f"concurrency must be >= 1, got {concurrency}")
        mapping = _Mapping(self._call, _shipment(function, spread=False), list(items))
        workers = min(concurrency or self._workers, self._workers)
        return await mapping.results(workers)

    async def _call(self, shipment: Shipment, items: list[Any]) -> CallResult:
        async with self._places:
            called = await self._pool.call(shipment, items)
        if called.errors:
            raise called.errors[min(called.errors)]
        return called


class _Mapping:
    """One call of `map`: who is free takes the next chunk."""

    def __init__(
        self, call: Callable[[Shipment, list[Any]], Any], shipment: Shipment, items: list[Any]
    ) -> None:
        self._call, self._shipment, self._items = call, shipment, items
        self._results: list[Any] = [None] * len(items)
        self._position, self._size = 0, 1

    async def results(self, workers: int) -> list[Any]:
        workers = min(workers, len(self._items))
        async with TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._work(workers), name=f"{self._shipment.stage} {number + 1}")
        return self._results

    async def _work(self, workers: int) -> None:
        while self._position < len(self._items):
            start = self._position
            fair = -(-(len(self._items) - start) // workers)  # so that the last chunks end together
            chunk = self._items[start : start + min(self._size, fair)]
            self._position += len(chunk)
            called = await self._call(self._shipment, chunk)
            self._results[start : start + len(chunk)] = called.results
            wanted = int(len(chunk) * TARGET / called.seconds) if called.seconds > 0 else sys.maxsize
            self._size = max(1, min(wanted, len(chunk) * GROWTH))


def _shipment(function: Any, *, spread: bool) -> Shipment:
    """The function packed for its calls; once for all of them where it travels by its name."""
    if not callable(function):
        raise TypeError(f"run.cpu calls plain functions, got {shorten(function, 80)}")
    if signature_of(function).shape != "plain":
        raise TypeError(f"run.cpu calls plain functions; {name_of(function)} is async or a generator")
    return _packed_once(function, spread) if _by_name(function) else _packed(function, spread)


def _packed(function: Any, spread: bool) -> Shipment:
    # A function made here travels by value, so that no worker has to import this module.
    shipped = (lambda arguments: function(*arguments)) if spread else function
    return pack(shipped, stage=f"run.cpu {name_of(function)}", where=str(caller()))


_packed_once = lru_cache(REMEMBERED)(_packed)


def _by_name(function: Any) -> bool:
    """Whether every worker finds the function by its module and name, so that nothing of it can change between calls."""
    if not isinstance(function, FunctionType) or function.__module__ == "__main__":
        return False
    return getattr(sys.modules.get(function.__module__), function.__qualname__, None) is function
