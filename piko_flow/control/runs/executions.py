"""The runs in progress on one loop, and which of them it is executing."""

from __future__ import annotations

import asyncio
import logging
from asyncio import Handle
from collections.abc import Callable, Sequence
from contextvars import ContextVar, copy_context
from types import FrameType, TracebackType

from piko_flow.connectors.spool_target import open_spools
from piko_flow.control.runs.execution import STOPPING, ActiveExecution, RunOrder, RunTools
from piko_flow.control.runs.outcome import Outcome
from piko_flow.errors import describe_error
from piko_flow.planning.run_state import Reason, RunStatus

executed_run: ContextVar[str] = ContextVar("executed_run", default="")
"""The run in whose name a task works, as text for people; all tasks that it begins inherit it."""


def run_in(frame: FrameType | None) -> str:
    """The run for which a thread's loop works, by the thread's innermost frame; empty where it is nobody's."""
    while frame is not None:
        if frame.f_code is Handle._run.__code__:
            return str(frame.f_locals["self"]._context.get(executed_run, ""))
        frame = frame.f_back
    return ""


Done = Callable[[int, Outcome], None]

NAMED = 5  # runs that one message names

log = logging.getLogger("piko_flow.executions")


class Executions:
    """Starts runs as tasks of its own and reports each when it has ended; entered on the loop that executes them.

    When the block is left, what still runs is stopped and goes back to the queue. Nothing is left then but runs whose code
    has not ended STOPPING seconds after it was cancelled; the log names them.
    """

    def __init__(self, tools: RunTools, done: Done) -> None:
        self._tools, self._done = tools, done
        self._active: dict[int, tuple[ActiveExecution, asyncio.Task[None]]] = {}

    def start(self, orders: Sequence[RunOrder]) -> None:
        """Begin these runs."""
        loop, writer = asyncio.get_running_loop(), self._tools.writer
        context = copy_context()
        if writer is not None:
            context.run(open_spools.set, writer.spools)
        for order in orders:
            execution = ActiveExecution(order, self._tools)
            name = f"run {order.record.id} of {order.flow.name}"
            own = context.copy()
            own.run(executed_run.set, name)
            task = loop.create_task(self._run(execution), name=name, context=own)
            self._active[order.record.id] = execution, task

    def cancel(self, run: int, reason: Reason) -> None:
        """Stop a run; it is reported when it has. Without effect for one that has ended."""
        if run in self._active:
            self._active[run][0].cancel(reason)

    async def __aenter__(self) -> Executions:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for execution, _ in list(self._active.values()):
            execution.cancel(Reason.RELEASED)
        if tasks := [task for _, task in self._active.values()]:
            await asyncio.wait(tasks, timeout=STOPPING)
        if self._active:
            named = [task.get_name() for _, task in self._active.values()]
            more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
            told = ", ".join(named[:NAMED]) + more
            log.error("%s did not end when cancelled: what is left of it ends with the process", told)

    async def _run(self, execution: ActiveExecution) -> None:
        run = execution.order.record
        outcome = Outcome(RunStatus.QUEUED, Reason.RELEASED)  # if even this task is cancelled
        try:
            outcome = await self._followed(execution)
        except Exception as error:
            log.exception("run %d of %r ended in an error that is not its flow's", run.id, run.flow)
            outcome = Outcome(
                RunStatus.FAILED,
                Reason.ERROR,
                error_type=type(error).__name__,
                error_msg=describe_error(error, 500),
            )
        finally:
            del self._active[run.id]
            self._done(run.id, outcome)

    async def _followed(self, execution: ActiveExecution) -> Outcome:
        details = self._tools.details
        if details is None:
            return await execution.run()
        execution.told = details.told(execution.order)
        return await details.follow(execution.order, execution.told, execution.run)
