"""The program of an interpreter that runs one unit: loads its order, runs it, tells how it goes, and ends.

The user's `__main__` is not imported; what it defines comes by value. When the run is gone, whose socket then
closes, the unit is cancelled, its parts are taken back, and the interpreter ends.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import sys
import threading
import types
from typing import Any

from piko_flow.dataflow.commit.commit import Budget
from piko_flow.dataflow.plan.layout import Unit
from piko_flow.dataflow.plan.plan import Plan
from piko_flow.dataflow.running.context import EngineContext, Intake, open_context
from piko_flow.dataflow.running.engine import counts_of
from piko_flow.dataflow.running.unit import run_unit
from piko_flow.dataflow.running.unit_state import UnitState
from piko_flow.dataflow.workers import transport
from piko_flow.dataflow.workers.lines import Line, listen
from piko_flow.dataflow.workers.process import Link
from piko_flow.dataflow.workers.trace_parent import joined, trace_parent
from piko_flow.dataflow.workers.transport import Frame
from piko_flow.engines import unit_messages
from piko_flow.engines.unit_errors import CannotTravel, packed_error
from piko_flow.engines.unit_messages import Facts, Order, message, pack_result, unpack_plan, unpack_unit
from piko_flow.errors import describe_error

BEAT = 0.25  # seconds between two accounts of the counts
ORPHANED = 3.0  # seconds that a unit has to end after its run is gone; then it is killed


class WatchedBudget(Budget):
    """A budget that calls `spent` for each bad item, so that the run can add up those of all units."""

    def __init__(self, limit: int | float | None, *, run: str, spent: Any) -> None:
        super().__init__(limit, run=run)
        self._spent = spent

    def spend(self, items: int) -> None:
        """Count bad items. Raises ErrorBudgetExceeded where this unit alone passes a limit in items."""
        self._spent()
        super().spend(items)


class UnitProgram:
    """One unit's side of the conversation."""

    def __init__(self, connection: socket.socket) -> None:
        self._link = Link(connection, received=self._take, ended=self._orphaned)
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._intake = Intake()
        self._order: asyncio.Future[Order] = self._loop.create_future()
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self._watch: list[UnitState] = []
        self._facts: Facts | None = None
        self._soon: asyncio.Handle | None = None

    async def run(self) -> None:
        """Run the one unit that is ordered; returns when everything was sent."""
        try:
            self._task = self._loop.create_task(self._work(), name="unit")
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()
            await self._link.sent()
        finally:
            self._link.close()

    def _take(self, frame: Frame) -> None:
        if frame.kind == unit_messages.BEGIN:
            self._order.set_result(transport.unpack(frame))
        elif frame.kind == unit_messages.DRAIN:
            self._intake.close()
        elif frame.kind == unit_messages.CANCEL:
            self._stop()

    def _orphaned(self, fault: OSError | None) -> None:
        self._link.close()
        self._stop()

    def _stop(self) -> None:
        self._stopped = True
        if self._task is not None:
            self._task.cancel()

    async def _work(self) -> None:
        order = await self._order
        try:
            last = await self._run(order)
        except (Exception, asyncio.CancelledError) as error:
            if self._stopped and isinstance(error, asyncio.CancelledError):
                self._report()
                raise
            last = message(unit_messages.FAILED, packed_error(error))
        self._report()
        self._link.send(last)

    async def _run(self, order: Order) -> Frame:
        plan, unit = _loaded(order)
        self._link.send(message(unit_messages.BEGUN))
        context = self._context(order, plan)
        trace_parent.set(order.trace)
        listen(self._log, order.level)
        beat = self._loop.create_task(self._beat(), name="beat")
        try:
            with joined(order.trace):
                async with open_context(plan, context) as group:
                    work = run_unit(plan, unit, context, attempt=order.attempt, watch=self._watch)
                    ended = group.create_task(work, name=f"unit {unit.id}")
        finally:
            beat.cancel()
        return pack_result(ended.result(), plan, order.info.run, context.workers)

    def _context(self, order: Order, plan: Plan) -> EngineContext:
        if order.listening:
            self._facts = Facts()
        budget = Budget(plan.options.max_errors, run=order.info.run)
        if order.strict:
            budget = WatchedBudget(plan.options.max_errors, run=order.info.run, spent=self._report_soon)
        return EngineContext(
            info=order.info,
            observer=self._facts,
            budget=budget,
            intake=self._intake,
            units=order.units,
            done=None,
            cores=order.cores,
        )

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            # A run that is slow to listen gets the latest when it has caught up.
            if not self._link.backlog:
                self._report()

    def _log(self, line: Line) -> None:
        """From any thread: send on what was logged."""
        frame = message(unit_messages.LINE, line)
        if threading.get_ident() == self._thread:
            self._link.send(frame)
        else:
            self._loop.call_soon_threadsafe(self._link.send, frame)

    def _report_soon(self) -> None:
        if self._soon is None:
            self._soon = self._loop.call_soon(self._report)

    def _report(self) -> None:
        """Send the counts as they are, and the facts that came since the last time."""
        self._soon = None
        if (counts := counts_of(self._watch)) is not None:
            self._link.send(message(unit_messages.COUNTS, counts))
        if self._facts is not None and (facts := self._facts.take()):
            self._link.send(message(unit_messages.FACTS, facts))


def _loaded(order: Order) -> tuple[Plan, Unit]:
    try:
        return unpack_plan(order.plan), unpack_unit(order.unit)
    except Exception as error:
        raise CannotTravel(
            what="the plan",
            where=f"loaded by {sys.executable}",
            rule="an interpreter of its own must be able to import what the stages name",
            got=describe_error(error),
            advice="Put the module into a folder on sys.path or into an installed package",
        ) from error


def _outlive_nobody(connection: int) -> None:
    """Kill this interpreter when its run has been gone for a while, even if a stage never gives way.

    Only a call into compiled code that keeps Python's lock can delay that, until it returns.
    """

    def watch() -> None:
        poll = select.poll()
        poll.register(connection, 0)  # nothing but the other side's end
        poll.poll()
        threading.Event().wait(ORPHANED)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="piko-flow orphan watch", daemon=True).start()


def main(link_file: int) -> None:
    """Run the unit that is ordered over the inherited socket."""
    for sent_to_all in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sent_to_all, signal.SIG_IGN)  # it reaches the whole group; the run decides
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # What stages look up in `__main__` came by value; the text that started this program must not answer.
    sys.modules["__main__"] = types.ModuleType("__main__")
    connection = socket.socket(fileno=link_file)
    connection.set_inheritable(False)
    os.register_at_fork(
        after_in_child=connection.close
    )  # else a child of a stage could outlive the link's end
    _outlive_nobody(link_file)

    async def serve() -> None:
        await UnitProgram(connection).run()

    asyncio.run(serve())
