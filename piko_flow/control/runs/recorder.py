"""The one writer of a replica: everything that waits is written in one transaction."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar

from piko_flow.clock import Clock
from piko_flow.errors import RequestRefused, ScheduleError, StoreUnavailable, TermOutdated
from piko_flow.planning.run_state import RunStatus
from piko_flow.retry import retry_delay
from piko_flow.store.batch import Batch, Decided, Decision, Ending, PlannedFires, Requeue, Term, Written
from piko_flow.store.protocols import RunStore
from piko_flow.store.records import NewRun, RunRecord
from piko_flow.telemetry.figures import Figures

MOST = 1000  # changes in one transaction
TURNS = 12  # of the loop after a write: what its answers set off joins the next one
FIRST_WAIT, LONGEST_WAIT = 0.05, 5.0  # seconds between tries while the store does not answer

T = TypeVar("T")
R = TypeVar("R")
RunChange: TypeAlias = Ending | Requeue


@dataclass(slots=True)
class LeaderAsk:
    """What a leader wants written in the name of its term, all or nothing; without a term nothing fences it."""

    term: Term | None
    endings: list[Ending] = field(default_factory=list)
    requeues: list[Requeue] = field(default_factory=list)
    planned: list[PlannedFires] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    queue: list[NewRun] = field(default_factory=list)
    admit: list[int] = field(default_factory=list)
    claim: list[int] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not any(getattr(self, name) for name in PARTS)


PARTS = ("endings", "requeues", "planned", "decisions", "queue", "admit", "claim")


@dataclass(slots=True)
class LeaderAnswer:
    """What became of an ask, and the store's time then: `queued` and `decided` are parallel to the ask's lists.

    `refused` has, by place, why a run to be queued was not made: its values do not fit.
    """

    now: datetime
    queued: list[RunRecord | None] = field(default_factory=list)
    decided: list[tuple[Decided, list[RunRecord]] | Exception] = field(default_factory=list)
    claimed: list[RunRecord] = field(default_factory=list)
    stale: set[int] = field(default_factory=set)
    refused: dict[int, RequestRefused | ScheduleError] = field(default_factory=dict)


@dataclass(slots=True)
class _Waiting(Generic[T, R]):
    asked: T
    answer: asyncio.Future[R]

    def tell(self, value: R) -> None:
        if not self.answer.done():
            self.answer.set_result(value)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


_Change: TypeAlias = _Waiting[RunChange, bool]
_Ask: TypeAlias = _Waiting[LeaderAsk, LeaderAnswer]


class Recorder:
    """Writes in groups: while one transaction runs, what comes waits for the next.

    Endings and requeues are kept until the store has taken or refused them, however long it does not answer.
    A leader's ask is tried once: when it fails, the leader has to look again before it asks again.
    """

    def __init__(self, *, store: RunStore, replica: str, clock: Clock) -> None:
        self._store, self._replica, self._clock = store, replica, clock
        self._changes: deque[_Change] = deque()
        self._asks: deque[_Ask] = deque()
        self._wake = asyncio.Event()
        self._singly = 0  # changes that are to be written each by itself
        self._writing = asyncio.Lock()
        self.failures = 0
        """How often in a row the store did not answer."""
        self.figures = Figures()
        """What is told of runs that have ended, once that is written."""

    def change(self, change: RunChange) -> asyncio.Future[bool]:
        """Write the end or the return of a run; the future tells whether its claim still held."""
        return self._add(self._changes, change)

    def lead(self, ask: LeaderAsk) -> asyncio.Future[LeaderAnswer]:
        """Write what a leader wants. The future raises TermOutdated, or StoreUnavailable when that is not known."""
        return self._add(self._asks, ask)

    def queue(self, run: NewRun) -> None:
        """Queue a run in nobody's name, as if somebody had asked for it. Lost when the store does not answer."""
        self.lead(LeaderAsk(None, queue=[run])).add_done_callback(_looked_at)

    def _add(self, line: deque[_Waiting[T, R]], asked: T) -> asyncio.Future[R]:
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        line.append(_Waiting(asked, answer))
        self._wake.set()
        return answer

    @property
    def waiting(self) -> int:
        """How many changes and asks are not yet written."""
        return len(self._changes) + len(self._asks)

    async def run(self) -> None:
        """Write for ever, one transaction at a time. Cancelling is safe: what was not written stays waiting."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.flush()

    async def flush(self) -> None:
        """Write all that waits; returns when nothing does. While the store does not answer, asks are failed."""
        async with self._writing:
            while self.waiting:
                await self._write_some()
                for _ in range(TURNS):
                    await asyncio.sleep(0)

    async def _write_some(self) -> None:
        changes = self._take_changes()
        asks = [] if changes and _stands_alone(changes[0].asked) else self._take_asks()
        try:
            await self._write(changes, asks)
            self.failures = 0
        except (TermOutdated, StoreUnavailable) as error:
            self._changes.extendleft(reversed(changes))
            _fail(asks, error)
            if isinstance(error, StoreUnavailable):
                self.failures += 1
                await self._clock.sleep(retry_delay(self.failures, first=FIRST_WAIT, limit=LONGEST_WAIT))
        except asyncio.CancelledError:
            self._changes.extendleft(reversed(changes))
            self._asks.extendleft(reversed(asks))
            raise
        except Exception as error:
            self._after_surprise(changes, asks, error)

    def _take_changes(self) -> list[_Change]:
        """The next changes of one transaction; an ending that writes rows of sinks has one of its own."""
        most, taken = (1 if self._singly else MOST), list[_Change]()
        while self._changes and len(taken) < most:
            if _stands_alone(self._changes[0].asked):
                return taken or [self._changes.popleft()]
            taken.append(self._changes.popleft())
        self._singly = max(self._singly - 1, 0)
        return taken

    def _take_asks(self) -> list[_Ask]:
        """Asks of one term; another term's wait for the next transaction."""
        taken: list[_Ask] = []
        while self._asks and (not taken or self._asks[0].asked.term == taken[0].asked.term):
            taken.append(self._asks.popleft())
        return taken

    async def _write(self, changes: list[_Change], asks: list[_Ask]) -> None:
        batch = Batch(self._replica, asks[0].asked.term if asks else None)
        for one in changes:
            if isinstance(one.asked, Ending):
                batch.endings.append(one.asked)
            else:
                batch.requeues.append(one.asked)
        for ask in asks:
            for part in PARTS:
                getattr(batch, part).extend(getattr(ask.asked, part))
        written = await self._store.write(batch)
        self._count(batch, written)
        for one in changes:
            one.tell(one.asked.run not in written.stale)
        claimed = {record.id: record for record in written.claimed}
        decided, first = iter(written.decided), 0
        for ask in asks:
            own = LeaderAnswer(written.now, stale=written.stale)
            last = first + len(ask.asked.queue)
            own.queued = written.queued[first:last]
            own.refused = {at - first: why for at, why in written.refused.items() if first <= at < last}
            first = last
            own.decided = [next(decided) for _ in ask.asked.decisions]
            own.claimed = [claimed[run] for run in ask.asked.claim if run in claimed]
            ask.tell(own)

    def _count(self, batch: Batch, written: Written) -> None:
        """Tell the figures of the runs that have ended, and of those that were only recorded."""
        for ending in batch.endings:
            if ending.run not in written.stale:
                self.figures.run_ended(ending.flow, str(ending.status), ending.duration_ms)
        for record in written.queued:
            if record is not None and record.status is RunStatus.SKIPPED:
                self.figures.run_ended(record.flow, str(record.status), None)

    def _after_surprise(self, changes: list[_Change], asks: list[_Ask], error: Exception) -> None:
        """Something in the group cannot be written: each change is tried by itself, so that one fails alone."""
        _fail(asks, error)
        if len(changes) == 1 and not asks:
            _fail(changes, error)
        else:
            self._singly = len(changes)
            self._changes.extendleft(reversed(changes))


def _stands_alone(change: RunChange) -> bool:
    return isinstance(change, Ending) and change.within is not None


def _fail(waiting: Iterable[_Waiting[Any, Any]], error: Exception) -> None:
    for one in waiting:
        one.fail(error)


def _looked_at(answer: asyncio.Future[Any]) -> None:
    if not answer.cancelled():
        answer.exception()  # the store's failure has been told by others already
