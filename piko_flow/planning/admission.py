"""Which queued runs may start, and in what order."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import Protocol, TypeVar

from piko_flow.planning.run_state import Reason
from piko_flow.planning.waiting_line import Waiting, WaitingLine

__all__ = ["Admission", "Limits", "Waiting"]

Key = TypeVar("Key", str, int)
LIVE_SHARE = 3  # starts of live runs for each start of a backfill's, while both wait
SPARE = 64  # entries of runs gone meanwhile that the heap of times may hold before it is swept


class Limits(Protocol):
    """How much may run at once. Tell `Admission.limits_changed` when an answer becomes another one."""

    def instances(self, flow: str) -> int:
        """Live runs of the flow; 0 while it is paused."""
        ...

    def group(self, group: str) -> int | None:
        """Runs of the group, those of backfills too; None for no limit."""
        ...

    def backfill(self, backfill: int) -> int:
        """Runs of the backfill; 0 while it is paused."""
        ...


class Admission:
    """Who waits, who runs, and who is next.

    Live runs are held to the limit of their flow, those of a backfill to that of the backfill, and both to
    that of their group. Live runs start in the order in which they came to wait, and so do those of each
    backfill; a run that may not start before some time takes its place when that time has come. A run that
    is held back holds back nobody else. While live runs and backfills both wait, one start in four is a
    backfill's, the backfills by turns. The work grows with what starts and ends, not with what waits.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._live = WaitingLine()
        self._backfills: dict[int, WaitingLine] = {}
        self._turns: deque[int] = deque()  # the backfills that wait, the one whose turn it is first
        self._live_starts = 0  # since a backfill's run started, at most LIVE_SHARE
        self._waiting: dict[int, Waiting] = {}
        self._running: dict[int, Waiting] = {}
        self._later: list[tuple[datetime, int]] = []  # some of runs that are not asleep any more
        self._asleep: set[int] = set()
        self._of_flow: dict[str, int] = {}  # counts of what runs, those above 0
        self._of_group: dict[str, int] = {}
        self._of_backfill: dict[int, int] = {}

    @property
    def waiting(self) -> int:
        """How many runs wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many runs count as running."""
        return len(self._running)

    def wait(self, waiting: Waiting) -> None:
        """The run is queued; one that ran until now gives up its place and waits again."""
        self.end(waiting.run)
        self._waiting[waiting.run] = waiting
        if waiting.not_before is None:
            self._line(waiting).add(waiting)
        else:
            self._asleep.add(waiting.run)
            heappush(self._later, (waiting.not_before, waiting.run))
            self._sweep()

    def start(self, waiting: Waiting) -> None:
        """The run counts as running from now on, whether it had waited or not, and whatever the limits say."""
        self._leave(waiting.run)
        if waiting.run in self._running:
            return
        self._running[waiting.run] = waiting
        _more(self._of_group, waiting.group)
        if waiting.backfill is None:
            _more(self._of_flow, waiting.flow)
        else:
            _more(self._of_backfill, waiting.backfill)

    def end(self, run: int) -> None:
        """The run has ended, or waits no longer; without effect for one that is not known."""
        self._leave(run)
        ended = self._running.pop(run, None)
        if ended is None:
            return
        _less(self._of_group, ended.group)
        if ended.backfill is None:
            _less(self._of_flow, ended.flow)
        else:
            _less(self._of_backfill, ended.backfill)
        self._live.freed(ended.flow, ended.group)
        for line in self._backfills.values():
            line.freed(ended.flow, ended.group)

    def limits_changed(self) -> None:
        """Look again at everything that was held back by a limit; costs a look at each flow that waits."""
        for line in (self._live, *self._backfills.values()):
            line.all_freed()

    def take(self, slots: int, now: datetime) -> list[Waiting]:
        """At most `slots` runs that may start now, in order; they count as running."""
        self._wake(now)
        taken: list[Waiting] = []
        while len(taken) < slots and (chosen := self._next()) is not None:
            self.start(chosen)
            taken.append(chosen)
        return taken

    def fits(self, waiting: Waiting) -> bool:
        """Whether the run, which does not wait yet, could start at once: there is room, and nothing of its
        class that could start waits before it. One with a `not_before` does not fit."""
        if waiting.not_before is not None or self._held(waiting) is not None:
            return False
        if waiting.backfill is None:
            return self._live.first(self._flow_has_room, self._group_has_room) is None
        line = self._backfills.get(waiting.backfill)
        return line is None or line.first(_any_flow, self._group_has_room) is None

    def why(self, run: int, now: datetime) -> Reason | None:
        """Why the run waits, NO_SLOT when no rule holds it back; None when it does not wait."""
        waiting = self._waiting.get(run)
        if waiting is None:
            return None
        if waiting.not_before is not None and waiting.not_before > now:
            return Reason.RETRY_WAIT
        return self._held(waiting) or Reason.NO_SLOT

    def next_time(self) -> datetime | None:
        """When the earliest `not_before` of a waiting run passes; None when none waits for its time."""
        while self._later and not self._sleeps(*self._later[0]):
            heappop(self._later)
        return self._later[0][0] if self._later else None

    def _wake(self, now: datetime) -> None:
        while (time := self.next_time()) is not None and time <= now:
            _, run = heappop(self._later)
            self._asleep.discard(run)
            waiting = self._waiting[run]
            self._line(waiting).add(waiting)

    def _sleeps(self, time: datetime, run: int) -> bool:
        return run in self._asleep and self._waiting[run].not_before == time

    def _sweep(self) -> None:
        if len(self._later) > 2 * len(self._asleep) + SPARE:
            self._later = list({entry for entry in self._later if self._sleeps(*entry)})
            heapify(self._later)

    def _leave(self, run: int) -> None:
        waiting = self._waiting.pop(run, None)
        if waiting is None:
            return
        if run in self._asleep:
            self._asleep.remove(run)
        else:
            self._line(waiting).remove(waiting)

    def _line(self, waiting: Waiting) -> WaitingLine:
        if waiting.backfill is None:
            return self._live
        line = self._backfills.get(waiting.backfill)
        if line is None:
            line = self._backfills[waiting.backfill] = WaitingLine()
            self._turns.append(waiting.backfill)
        return line

    def _next(self) -> Waiting | None:
        live = self._live.first(self._flow_has_room, self._group_has_room)
        if live is None or self._live_starts >= LIVE_SHARE:
            chosen = self._next_of_backfills()
            if chosen is not None:
                self._live_starts = 0
                return chosen
        if live is not None:
            self._live_starts = min(self._live_starts + 1, LIVE_SHARE)
        return live

    def _next_of_backfills(self) -> Waiting | None:
        for _ in range(len(self._turns)):
            backfill = self._turns[0]
            line = self._backfills[backfill]
            if not len(line):
                self._turns.popleft()
                del self._backfills[backfill]
                continue
            self._turns.rotate(-1)
            if self._of_backfill.get(backfill, 0) < self._limits.backfill(backfill):
                chosen = line.first(_any_flow, self._group_has_room)
                if chosen is not None:
                    return chosen
        return None

    def _held(self, waiting: Waiting) -> Reason | None:
        """The rule that holds the run back, whoever else waits."""
        if waiting.backfill is None:
            used, most, full = (
                self._of_flow.get(waiting.flow, 0),
                self._limits.instances(waiting.flow),
                Reason.MAX_INSTANCES,
            )
        else:
            used, most = self._of_backfill.get(waiting.backfill, 0), self._limits.backfill(waiting.backfill)
            full = Reason.BACKFILL_FULL
        if most <= 0:
            return Reason.PAUSED
        if used >= most:
            return full
        return None if self._group_has_room(waiting.group) else Reason.GROUP_FULL

    def _flow_has_room(self, flow: str) -> bool:
        return self._of_flow.get(flow, 0) < self._limits.instances(flow)

    def _group_has_room(self, group: str) -> bool:
        most = self._limits.group(group)
        return most is None or self._of_group.get(group, 0) < most


def _any_flow(flow: str) -> bool:
    return True


def _more(counts: dict[Key, int], key: Key) -> None:
    counts[key] = counts.get(key, 0) + 1


def _less(counts: dict[Key, int], key: Key) -> None:
    left = counts[key] - 1
    if left:
        counts[key] = left
    else:
        del counts[key]
