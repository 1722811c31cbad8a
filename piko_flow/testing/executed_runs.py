"""The real functions of flows as the runs of a simulated replica."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import ContextVar, copy_context
from datetime import timedelta
from typing import Any

from piko_flow.control.runs.executions import Executions
from piko_flow.control.runs.outcome import Outcome
from piko_flow.control.runs.run_order import RunOrder, RunTools
from piko_flow.planning.run_state import Reason
from piko_flow.testing.manual_clock import ManualClock
from piko_flow.testing.simulated_runs import Ended, Later

_current: ContextVar[list[int] | None] = ContextVar("simulated_run", default=None)
"""Inside a run and the tasks that it starts: how many of them sleep by the world's clock."""


class ExecutedRuns:
    """Executes runs on this loop. A run takes no simulated time, but for what it sleeps through `sleep_by`.

    `stirred` is set when a run ends or falls asleep, which is when the world may go on.
    """

    def __init__(self, tools: RunTools, later: Later, ended: Ended, stirred: asyncio.Event) -> None:
        self._executions = Executions(tools, self._done)
        self._later, self._ended, self._stirred = later, ended, stirred
        self._sleeping: dict[int, list[int]] = {}
        self._names: dict[int, str] = {}

    def start(self, orders: Sequence[RunOrder], /) -> None:
        """Begin these; each is reported when it has ended."""
        for order in orders:
            run = order.record.id
            self._sleeping[run], self._names[run] = [0], order.flow.name
            copy_context().run(self._begin, order)

    def _begin(self, order: RunOrder) -> None:
        _current.set(self._sleeping[order.record.id])
        self._executions.start((order,))

    def cancel(self, run: int, reason: Reason, /) -> None:
        """Stop the run; it is reported when it has."""
        self._executions.cancel(run, reason)

    async def close(self) -> None:
        """Stop all runs, and wait for them."""
        await self._executions.__aexit__(None, None, None)

    def awake(self) -> list[str]:
        """The runs that have neither ended nor sleep by the world's clock."""
        return [f"run {run} of {self._names[run]!r}" for run, (count,) in self._sleeping.items() if not count]

    def _done(self, run: int, outcome: Outcome) -> None:
        del self._sleeping[run], self._names[run]
        self._later(timedelta(0), lambda: self._ended([(run, outcome)]))
        self._stirred.set()


async def sleep_by(clock: ManualClock, seconds: float, stirred: Callable[[], Any]) -> None:
    """Sleep by the clock; a run that does so lets the world go on."""
    counted = _current.get()
    if counted is None:
        await clock.sleep(seconds)
        return
    counted[0] += 1
    stirred()
    try:
        await clock.sleep(seconds)
    finally:
        counted[0] -= 1
