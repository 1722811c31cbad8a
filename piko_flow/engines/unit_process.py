"""The interpreter of one unit as the run sees it: started, listened to, stopped and reaped."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from piko_flow.dataflow.running.engine import Counts
from piko_flow.dataflow.workers import transport
from piko_flow.dataflow.workers.interpreter import Death, launch
from piko_flow.dataflow.workers.lines import log_again
from piko_flow.dataflow.workers.process import Link
from piko_flow.dataflow.workers.transport import Frame
from piko_flow.engines import unit_messages
from piko_flow.engines.unit_errors import SentError
from piko_flow.engines.unit_messages import Order, SentResult, message

# The paths come first: this package may lie where only the run's own paths lead.
PROGRAM = (
    "import json, sys; link = int(sys.argv[1]); sys.path[:], sys.argv[:] = json.loads(sys.argv[2]); "
    "from piko_flow.engines.unit_program import main; main(link)"
)
UNIT_END_SECONDS = (
    3.0  # seconds for a stopped unit to take its parts back, and for one that has ended to leave
)

Outcome = SentResult | SentError | Death


class UnitProcess:
    """A running interpreter. Made by `start`; belongs to one event loop; gone when `stop` has returned.

    `counts` are the unit's latest. `counted` is called when they change, `observed` with facts for the observer.
    An error that `counted` raises becomes the outcome.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        connection: socket.socket,
        *,
        counted: Callable[[Counts], None],
        observed: Callable[[list[tuple[Any, ...]]], None],
    ) -> None:
        self.begun = False
        self.counts: Counts | None = None
        self._process, self._counted, self._observed = process, counted, observed
        self._gone = asyncio.Event()
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._link = Link(connection, received=self._take, ended=self._reap)

    @classmethod
    def start(
        cls,
        order: Order,
        *,
        counted: Callable[[Counts], None],
        observed: Callable[[list[tuple[Any, ...]]], None],
    ) -> UnitProcess:
        """Start an interpreter and give it its order. Raises OSError when the system has no room."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                link, surroundings = theirs.fileno(), json.dumps((sys.path, sys.argv))
                process = launch("-c", PROGRAM, str(link), surroundings, inherits=(link,))
            except BaseException:
                ours.close()
                raise
        unit = cls(process, ours, counted=counted, observed=observed)
        try:
            unit._link.send(order.frame())
        except BaseException:
            unit._reap(None)
            raise
        return unit

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def drain(self) -> None:
        """Tell it to read no more."""
        self._link.send(message(unit_messages.DRAIN))

    async def outcome(self) -> Outcome:
        """What became of the unit: its result, its error, or the death of its interpreter."""
        return await asyncio.shield(self._outcome)

    async def stop(self) -> None:
        """Cancel what it still works on, give it a moment to end by itself, then kill it. Cancelling kills at once."""
        try:
            if not self._outcome.done() or self._outcome.exception() is not None:
                self._link.send(message(unit_messages.CANCEL))
            with suppress(TimeoutError):
                async with asyncio.timeout(UNIT_END_SECONDS):
                    await self._gone.wait()
        finally:
            self._reap(None)

    def _take(self, frame: Frame) -> None:
        if self._outcome.done() and frame.kind not in (unit_messages.COUNTS, unit_messages.FACTS):
            return
        if frame.kind == unit_messages.BEGUN:
            self.begun = True
        elif frame.kind == unit_messages.COUNTS:
            self._count(transport.unpack(frame))
        elif frame.kind == unit_messages.FACTS:
            self._observed(transport.unpack(frame))
        elif frame.kind == unit_messages.LINE:
            log_again(transport.unpack(frame))  # in the context of the run, in which the link was made
        elif frame.kind == unit_messages.RESULT:
            result: SentResult = transport.unpack(frame)
            self._count(result.counts)
            if not self._outcome.done():
                self._outcome.set_result(result)
        elif frame.kind == unit_messages.FAILED:
            self._outcome.set_result(transport.unpack(frame))

    def _count(self, counts: Counts) -> None:
        self.counts = counts
        try:
            self._counted(counts)
        except Exception as error:
            if not self._outcome.done():
                self._outcome.set_exception(error)

    def _reap(self, fault: OSError | None) -> None:
        """Kill it if it still lives, release what was held for it, and tell who waits."""
        if self._gone.is_set():
            return
        self._link.close()
        self._process.kill()
        code = self._process.wait()  # killed, or it has closed its socket while it exits
        self._gone.set()
        if self._outcome.done():
            self._outcome.exception()  # nobody may be waiting for it any more
            return
        if fault is not None:
            self._outcome.set_exception(fault)
        else:
            self._outcome.set_result(Death(code, None))
