"""One end of the conversation between a run and a process that works for it, on an event loop."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable

from piko_flow.dataflow.workers.transport import Frame, Incoming, Outgoing


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
