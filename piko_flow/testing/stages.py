"""Sources and sinks for tests of pipelines: numbers in, lists out, every step of a sink on record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from piko_flow.dataflow.stages.sink import Part, Receipt, Sink, SinkTarget
from piko_flow.dataflow.stages.source import Source
from piko_flow.errors import shorten
from piko_flow.testing.faults import Outcome

T = TypeVar("T")
Step = Literal["open", "write", "prepare", "commit", "abort", "sweep"]


def items(count: int, *, units: int = 1, name: str = "items") -> Source[int]:
    """A source of the whole numbers from 0 to `count` - 1, in order, in so many units of about the same size."""
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(
            f"items: got it takes a number of items, {shorten(count)}; a Source gives items of your own"
        )
    if units == 1:
        return Source(range(count), name=name)
    return Source(_share, splits=[range(count)[unit::units] for unit in range(units)], name=name)


def _share(split: range) -> Iterable[int]:
    return split


def arriving(values: Iterable[T], *, turns: int = 1, name: str = "arriving") -> Source[T]:
    """An asynchronous source of the values that lets the loop turn `turns` times before each."""

    async def arrive() -> AsyncIterator[T]:
        for value in values:
            for _ in range(turns):
                await asyncio.sleep(0)
            yield value

    return Source(arrive, name=name)


@dataclass(frozen=True)
class Recorded:
    """One call of a target's method: its step, the part it was about (None for commit and sweep), what it was given."""

    step: Step
    part: Part | None = None
    items: tuple[Any, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    live: tuple[Part, ...] = ()


@dataclass
class Record:
    """What the parts of one target have been through, shared by all copies of it, in the order it happened."""

    calls: list[Recorded] = field(default_factory=list)
    unpublished: dict[str, list[Any]] = field(default_factory=dict)
    published: list[Any] = field(default_factory=list)
    holding: list[str] = field(default_factory=list)

    def steps(self, part: Part | None = None) -> list[Step]:
        """The names of the steps, of all parts or of one."""
        return [call.step for call in self.calls if part is None or call.part == part]

    def count(self, step: Step) -> int:
        """How often a step was called."""
        return self.steps().count(step)


class RecordingTarget(SinkTarget[T], Generic[T]):
    """Writes lists into memory and records every step in `record`.

    `faults` gives a step its outcome before it does anything: an error to raise, or a Stall or Turns to wait
    for; a list gives one for each call, after which the step works. `durable=True` claims that prepared
    parts outlive the process, so that a resumed run does not do them again.
    """

    def __init__(
        self, *, durable: bool = False, faults: dict[Step, Outcome | Exception | list[Any]] | None = None
    ) -> None:
        self.record = Record()
        self.durable = durable
        self._faults = {
            step: iter(outcome if isinstance(outcome, list) else [outcome])
            for step, outcome in (faults or {}).items()
        }

    async def open(self, part: Part) -> None:
        """Begin a part; see SinkTarget."""
        self.part, self.items = part, 0
        await self._step(Recorded("open", part))
        self.record.unpublished[part.token] = []

    async def write(self, items: Sequence[T], /) -> None:
        """Hold the items under the part."""
        await self._step(Recorded("write", self.part, items=tuple(items)))
        self.record.unpublished[self.part.token] += items
        self.items += len(items)

    async def prepare(self) -> Receipt:
        """Give a receipt that names the part."""
        await self._step(Recorded("prepare", self.part))
        return Receipt(self.part, self.items, {"token": self.part.token})

    async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
        """Publish the parts of the receipts, once however often it is called."""
        await self._step(Recorded("commit", receipts=tuple(receipts)))
        for receipt in receipts:
            self.record.published += self.record.unpublished.pop(str(receipt.data["token"]), [])
        return [f"{sum(receipt.items for receipt in receipts)} items in memory"]

    async def abort(self) -> None:
        """Forget the part."""
        await self._step(Recorded("abort", self.part))
        self.record.unpublished.pop(self.part.token, None)

    async def lock(self, run: str) -> AbstractContextManager[object]:
        """Keep the run's parts from sweeps until it is closed."""
        holds = ExitStack()
        self.record.holding.append(run)
        holds.callback(self.record.holding.remove, run)
        return holds

    async def sweep(self, live: Collection[Part]) -> None:
        """Forget every unpublished part that is neither live nor of a run that holds the target."""
        await self._step(Recorded("sweep", live=tuple(live)))
        kept = {part.token for part in live}
        held = tuple(f"{run}-" for run in set(self.record.holding) - {part.run for part in live})
        for token in list(self.record.unpublished):
            if token not in kept and not token.startswith(held):
                del self.record.unpublished[token]

    async def _step(self, call: Recorded) -> None:
        self.record.calls.append(call)
        outcome = next(self._faults.get(call.step, iter(())), None)
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is not None:
            await outcome.happen()


class CollectingSink(Sink[T], Generic[T]):
    """A sink that keeps what reaches it: `items` once the run has committed, `record` from the first call on."""

    record: Record

    def __init__(self, *, batch: int = 1, name: str = "collecting_sink", **options: Any) -> None:
        target: RecordingTarget[T] = RecordingTarget()
        super().__init__(target, batch=batch, name=name, **options)
        self._keep(record=target.record)

    @property
    def kind(self) -> str:
        """Reports and graphs call it a Sink."""
        return "Sink"

    @property
    def items(self) -> list[T]:
        """What committed runs have written, in order; empty after a run that failed or was stopped."""
        return self.record.published

    @property
    def written(self) -> list[T]:
        """What all runs have written, in order, whether or not it was committed."""
        return [item for call in self.record.calls for item in call.items]


class FailingSink(Sink[T], Generic[T]):
    """A sink that takes `after` items and then raises `error` for each; `taken` holds those it took."""

    error: Exception
    taken: list[T]

    def __init__(self, *, after: int, error: Exception, name: str = "failing_sink", **options: Any) -> None:
        taken: list[T] = []
        super().__init__(_taking(taken, after, error), name=name, **options)
        self._keep(error=error, taken=taken)

    @property
    def kind(self) -> str:
        """Reports and graphs call it a Sink."""
        return "Sink"


def _taking(taken: list[T], after: int, error: Exception) -> Callable[[T], None]:
    def take(item: T) -> None:
        if len(taken) >= after:
            raise error
        taken.append(item)

    return take
