"""One attempt of a plain job: its resources opened, its function called, its resources closed; until when an attempt may work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from piko_flow.clock import Clock
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.runs.run_order import RunOrder, RunTools
from piko_flow.dataflow.reports.words import duration
from piko_flow.dataflow.stages.resource_host import ResourceHost, open_all
from piko_flow.errors import ResourceFailed


class OverTime(TimeoutError):
    """An attempt came back past its timeout, before which something held the loop that could have stopped it."""


class Deadline:
    """The end of the time of an attempt that begins now; without `seconds` there is none."""

    def __init__(self, clock: Clock, seconds: float | None) -> None:
        self._clock, self._seconds, self._began = clock, seconds, clock.monotonic()

    def check(self) -> None:
        """Raise OverTime when the time is over."""
        took = self._clock.monotonic() - self._began
        if self._seconds is not None and took > self._seconds:
            raise OverTime(
                f"the run did not end within {self._seconds:g} s; it came back after {duration(took)}, "
                "as a call that waits without await held the event loop and could not be stopped"
            )


def timed_out(seconds: float | None, error: BaseException | None) -> TimeoutError:
    """The error of a run that took longer than it may; `error` says where it was stopped, or that it came back too late."""
    if isinstance(error, OverTime):
        return TimeoutError(str(error))
    late = TimeoutError(f"the run did not end within {seconds:g} s")
    late.__cause__ = error
    return late


CLOSING = 30.0  # seconds that the resources of a job may take to close


class JobRun:
    """Calls an async def. How the function ends is how the run ends, whatever its resources do with that."""

    def __init__(self, order: RunOrder, tools: RunTools, flush: Callable[[], Awaitable[None]]) -> None:
        self._order, self._tools, self._flush = order, tools, flush
        self._task: asyncio.Task[Any] | None = None
        self._cancels = 0
        self._late = False

    def drain(self) -> None:
        """A job cannot be asked to read no more: it goes on."""

    def cancel(self) -> bool:
        """Cancel the function, now or before it begins; False when it has ended and its resources are being closed."""
        if self._task is not None:
            self._cancels += 1
            self._task.cancel()
        return not self._late

    async def run(self, context: RunContext[Any]) -> None:
        """Work to the end. Raises what the function raises, and CancelledError after a cancel.

        Raises FlowError where the function gives a pipeline, which nobody would run, and OverTime where it came back
        past the flow's timeout.
        """
        task = self._task = asyncio.current_task()
        deadline = Deadline(self._tools.clock, self._order.flow.timeout)
        try:
            if self._order.flow.resources:
                await self._with_resources(context, deadline)
            else:
                self._order.flow.check_given(await self._order.flow.target(context))
                self._check(deadline)
                await self._flush()
        finally:
            self._task = None
            while self._cancels and task is not None:
                self._cancels -= 1
                task.uncancel()

    def _check(self, deadline: Deadline) -> None:
        if not self._cancels:  # else it was stopped, and has its reason
            deadline.check()

    async def _with_resources(self, context: RunContext[Any], deadline: Deadline) -> None:
        flow, host = self._order.flow, ResourceHost()
        task = asyncio.current_task()
        assert task is not None
        host.when_failed = task.cancel
        failure: BaseException | None = None
        try:
            named = await open_all(flow.resources, self._order.info(), host, self._tools.resources)
            flow.check_given(await flow.target(context, **named))
            self._check(deadline)
            await self._flush()
        except BaseException as error:
            failure = error
        self._task, self._late = None, True  # a resource that is half closed helps nobody
        closing = await host.close(failure, CLOSING)
        if host.failed_in is not None and isinstance(failure, asyncio.CancelledError) and not self._cancels:
            task.uncancel()
            cause = await host.failure(CLOSING)
            run = str(self._order.record.id)
            opening = host.failed_while_opening
            raise ResourceFailed(
                run=run, cause=cause, names=host.names, while_open=not opening, while_opening=opening
            ) from cause
        if failure is not None:
            raise failure
        if closing is not None:
            raise closing
