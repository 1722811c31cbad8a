"""One worker process as the run sees it: started, spoken to over a link, and reaped."""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from pathlib import Path

from piko_flow.dataflow.workers import transport
from piko_flow.dataflow.workers.interpreter import Death, launch
from piko_flow.dataflow.workers.lines import log_again
from piko_flow.dataflow.workers.shipping import Shipment, importable_pickler
from piko_flow.dataflow.workers.transport import Frame, Incoming, Outgoing

PROGRAM = Path(__file__).with_name("program.py")
MARGIN = 1.0  # seconds beyond a timeout that the worker's own timer has to end it
FUNCTIONS_HELD = 32  # by one worker; the one unused for longest goes first


Answer = Frame | Death


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that was not answered yet; `seconds` is the timeout of each of its items, 0.0 for none.

    What is logged in it is logged here in the `context` of its caller.
    """

    number: int
    function: int
    answer: asyncio.Future[Answer]
    seconds: float
    context: Context


class WorkerProcess:
    """A running worker. Made by `start`; belongs to one event loop; gone when `gone` is set.

    Calls are answered in their order. `changed` is called whenever it may take another
    call, or has ended.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        connection: socket.socket,
        progress: mmap.mmap,
        changed: Callable[[], None],
    ) -> None:
        self.gone = asyncio.Event()
        self.ready = False
        self.promised: list[int] = []  # the function of each call that somebody is packing for it
        self.seconds = float("inf")  # seconds that its last chunk took
        self._process, self._changed = process, changed
        self._progress_file = progress
        self._progress = memoryview(progress).cast("I")
        self._loop = asyncio.get_running_loop()
        self._link = Link(connection, received=self._take, ended=self.end)
        self._calls: deque[_Call] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._seen = (0, 0)
        self._functions: OrderedDict[int, None] = OrderedDict()
        self._numbers = 0

    @classmethod
    def start(cls, changed: Callable[[], None]) -> WorkerProcess:
        """Start a process and tell it where modules are found. Raises OSError when the system has no room."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                file = transport.create_memory(transport.PROGRESS_SIZE)
                try:
                    progress = mmap.mmap(file, transport.PROGRESS_SIZE)
                    link = theirs.fileno()
                    process = launch(
                        str(PROGRAM), str(link), str(file), inherits=(link, file), own_group=True
                    )
                finally:
                    os.close(file)
            except BaseException:
                ours.close()
                raise
        worker = cls(process, ours, progress, changed)
        setup = Frame(transport.SETUP)
        setup.stream, setup.buffers = transport.pack(
            (sys.path, pickle.dumps(importable_pickler()), logging.getLogger().getEffectiveLevel())
        )
        worker._link.send(setup)
        return worker

    @property
    def load(self) -> int:
        """The calls it has been given or promised."""
        return len(self._calls) + len(self.promised)

    def works_for(self, function: int) -> bool:
        """Whether it has a call of this function, or is promised one."""
        return function in self.promised or any(call.function == function for call in self._calls)

    @property
    def idle(self) -> bool:
        """Whether it works on nothing."""
        return not self._calls

    @property
    def failed_to_start(self) -> bool:
        """Whether it ended before it was ready, and nobody killed it."""
        return self.gone.is_set() and not self.ready and self._process.returncode != -signal.SIGKILL

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def ask(self, shipment: Shipment, call: Frame) -> Answer:
        """Have it work on a chunk; its reply or its death.

        The call must have been promised. Cancelling ends the worker as soon as the chunk's turn has come,
        so the function does not go on. Raises OSError when there is no memory for the chunk.
        """
        call.number = self._numbers = self._numbers % 0xFFFFFFF0 + 1
        try:
            await self._lend(shipment)
            outgoing = await written_gently(call)
        except BaseException:
            self.promised.remove(shipment.id)
            self._changed()
            raise
        self.promised.remove(shipment.id)
        if self.gone.is_set():
            outgoing.close()
            return Death(self._process.returncode, None)
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._calls.append(_Call(call.number, shipment.id, answer, call.seconds, copy_context()))
        self._link.post(outgoing)
        self._watch()
        try:
            return await answer
        except asyncio.CancelledError:
            self._end_abandoned()
            raise

    async def _lend(self, shipment: Shipment) -> None:
        """Send the function, unless it is there."""
        if shipment.id in self._functions:
            self._functions.move_to_end(shipment.id)
            return
        load = Frame(transport.LOAD, subject=shipment.id, flags=transport.BY_VALUE)
        load.stream = [shipment.payload]
        outgoing = await written_gently(load)
        if shipment.id in self._functions or self.gone.is_set():
            outgoing.close()
            return
        self._functions[shipment.id] = None
        self._link.post(outgoing)
        if len(self._functions) > FUNCTIONS_HELD:
            oldest, _ = self._functions.popitem(last=False)
            self._link.send(Frame(transport.FORGET, subject=oldest))

    def _take(self, frame: Frame) -> None:
        if frame.kind == transport.READY:
            self.ready = True
            return
        if frame.kind == transport.LINE:
            context = self._calls[0].context if self._calls else copy_context()
            context.run(log_again, transport.unpack(frame))
            return
        answer = self._calls.popleft().answer
        self.seconds = frame.seconds
        if not answer.done():
            answer.set_result(frame)
        self._end_abandoned()
        self._watch()
        self._changed()

    def _watch(self) -> None:
        """Look later whether the worker is still on the same item, if what it works on has a timeout.

        Its own timer ends it first, unless the function has taken that away or the process is stopped.
        """
        if self._timer is None and self._calls and self._calls[0].seconds:
            self._timer = self._loop.call_later(self._calls[0].seconds + MARGIN, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._calls:
            return
        mark = self._progress[transport.CHUNK], self._progress[transport.ITEM]
        call = self._calls[0]
        if call.seconds and mark == self._seen and mark[0] == call.number and mark[1] < transport.LOADING:
            self.end(late=True)
        else:
            self._seen = mark
            self._watch()

    def _end_abandoned(self) -> None:
        """End it if nobody waits any longer for what it works on now."""
        if self._calls and self._calls[0].answer.done():
            self.end()

    def close(self) -> None:
        """Let it end by itself: it sees that nothing more will come."""
        if not self.gone.is_set():
            self._link.finish()

    def end(self, fault: OSError | None = None, *, late: bool = False) -> None:
        """Kill it if it still lives, reap it, release what was held for it, and tell those who wait.

        The processes that its functions have started and left behind are killed too, unless they made a
        session or a group of their own.
        """
        if self.gone.is_set():
            return
        if self._timer is not None:
            self._timer.cancel()
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of the dead
            os.killpg(self._process.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
        self._process.kill()
        code = self._process.wait()  # killed, or its socket closed while it exits: a matter of microseconds
        self._link.close()
        begun, at = self._progress[transport.CHUNK], self._progress[transport.ITEM]
        self._progress.release()
        self._progress_file.close()
        self.gone.set()
        while self._calls:
            call = self._calls.popleft()
            if not call.answer.done():
                call.answer.set_result(Death(code, at if call.number == begun else None, fault, late))
                fault = None
        self._changed()


class Link:
    """Sends and receives frames over a connected socket, which it owns; belongs to the running loop.

    `received` is called with each frame, in the order sent. `ended` is called once when the other side is
    gone, or when a frame cannot be received, with the error then. After `close` neither is called.
    """

    def __init__(
        self,
        connection: socket.socket,
        *,
        received: Callable[[Frame], None],
        ended: Callable[[OSError | None], None],
    ) -> None:
        connection.setblocking(False)
        self._connection, self._received, self._ended = connection, received, ended
        self._incoming = Incoming(connection)
        self._unsent: deque[Outgoing] = deque()
        self._rest = memoryview(b"")
        self._nothing_left = asyncio.Event()
        self._nothing_left.set()
        self._open = True
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(connection, self._receive)

    @property
    def backlog(self) -> int:
        """How many frames the socket had no room for yet."""
        return len(self._unsent)

    def send(self, frame: Frame) -> None:
        """Write the frame and post it. Raises OSError when there is no memory for it."""
        outgoing = Outgoing(frame)
        try:
            for _ in outgoing.write():
                continue
        except BaseException:
            outgoing.close()
            raise
        self.post(outgoing)

    def post(self, outgoing: Outgoing) -> None:
        """Send what is written, in order and without waiting; what the socket does not take now goes when it has room.

        Nothing happens when the other side is gone.
        """
        if not self._open:
            outgoing.close()
            return
        self._unsent.append(outgoing)
        self._nothing_left.clear()
        if len(self._unsent) == 1:
            self._rest = memoryview(outgoing.data)
            if not self._send_on():
                self._loop.add_writer(self._connection, self._send_on)

    async def sent(self) -> None:
        """Wait until everything is on its way, or the other side is gone."""
        await self._nothing_left.wait()

    def finish(self) -> None:
        """Tell the other side that nothing more will come; what it says is still received."""
        if self._open:
            self._connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the socket and drop what was not sent. May be called again."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._connection)
        self._loop.remove_writer(self._connection)
        self._connection.close()
        self._incoming.close()
        while self._unsent:
            self._unsent.popleft().close()
        self._nothing_left.set()

    def _send_on(self) -> bool:
        """Send what the socket takes; True when nothing is left."""
        while self._unsent:
            outgoing = self._unsent[0]
            begun = len(self._rest) < len(outgoing.data)
            try:
                sent = self._connection.sendmsg([self._rest], [] if begun else outgoing.rights)
            except BlockingIOError:
                return False
            except OSError:  # the other side is gone; the reader learns of it and says so
                while self._unsent:
                    self._unsent.popleft().close()
                break
            self._rest = self._rest[sent:]
            if not self._rest:
                self._unsent.popleft().close()
                self._rest = memoryview(self._unsent[0].data if self._unsent else b"")
        self._loop.remove_writer(self._connection)
        self._nothing_left.set()
        return True

    def _receive(self) -> None:
        fault: OSError | None = None
        try:
            goes_on = self._incoming.receive()
            while self._open and (frame := self._incoming.next()) is not None:
                self._received(frame)
        except BlockingIOError:
            return
        except ConnectionError:
            goes_on = False
        except OSError as error:
            goes_on, fault = False, error
        if self._open and not goes_on:
            self._loop.remove_reader(self._connection)
            self._ended(fault)


async def written_gently(frame: Frame) -> Outgoing:
    """The frame ready to be posted; the loop turns between the slices of a long one. Raises OSError without memory."""
    outgoing = Outgoing(frame)
    try:
        for _ in outgoing.write():
            await asyncio.sleep(0)
    except BaseException:
        outgoing.close()
        raise
    return outgoing
