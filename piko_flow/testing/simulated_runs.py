"""Runs that take the time and end as a seed wants it, without running anything."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from piko_flow.control.runs.execution import RunOrder
from piko_flow.control.runs.outcome import Outcome
from piko_flow.planning.run_state import Reason, RunStatus

Later: TypeAlias = Callable[[timedelta, Callable[[], None]], None]
Ended: TypeAlias = Callable[[Sequence[tuple[int, Outcome]]], None]
STOPPING = timedelta(seconds=2)


@dataclass(slots=True)
class RunDraws:
    """How long runs take and how they end: the shares of failing and of slow ones, times in seconds."""

    draws: random.Random
    failing: float = 0.1
    slow: float = 0.05
    usual: float = 60.0
    longest: float = 1800.0

    def length(self) -> timedelta:
        """How long a run takes."""
        most = self.longest if self.draws.random() < self.slow else self.usual
        return timedelta(seconds=self.draws.uniform(0.1, most))

    def outcome(self, length: timedelta) -> Outcome:
        """How it ends."""
        milliseconds = int(length.total_seconds() * 1000)
        if self.draws.random() >= self.failing:
            return Outcome(RunStatus.SUCCESS, duration_ms=milliseconds)
        return Outcome(
            RunStatus.FAILED,
            Reason.ERROR,
            error_type="OSError",
            error_msg="the seed wants it so",
            duration_ms=milliseconds,
            retryable=self.draws.random() < 0.7,
        )


class DrawnRuns:
    """The runs of one replica, drawn; they die with it."""

    def __init__(self, draws: RunDraws, later: Later, ended: Ended) -> None:
        self._draws, self._later, self._ended = draws, later, ended
        self._active: dict[int, RunOrder] = {}

    def start(self, orders: Sequence[RunOrder], /) -> None:
        """Begin these; each is reported when its time is over."""
        for order in orders:
            length = self._draws.length()
            self._active[order.record.id] = order
            self._end_after(order, length, self._draws.outcome(length))

    def cancel(self, run: int, reason: Reason, /) -> None:
        """Stop the run; it is reported soon."""
        order = self._active.get(run)
        if order is not None:
            status = RunStatus.CANCELLED if reason is Reason.CANCELLED else RunStatus.QUEUED
            self._end_after(order, STOPPING, Outcome(status, reason))

    async def close(self) -> None:
        """Stop all runs."""
        self._active.clear()

    def _end_after(self, order: RunOrder, length: timedelta, outcome: Outcome) -> None:
        run = order.record.id

        def end() -> None:
            if self._active.get(run) is order:  # not stopped meanwhile, and not started again
                del self._active[run]
                self._ended([(run, outcome)])

        self._later(length, end)
