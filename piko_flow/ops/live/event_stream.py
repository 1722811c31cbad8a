"""Events as a stream over HTTP (server-sent events)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from piko_flow.clock import Clock, SystemClock
from piko_flow.errors import StoreUnavailable
from piko_flow.ops.live.broadcaster import Broadcaster
from piko_flow.ops.live.listener import Listener

HEARTBEAT: Final = 15.0
"""Seconds after which something is sent where nothing happens, so that those in between keep the connection."""
LONGEST: Final = 300.0
"""Seconds after which a stream ends; the client comes back to where it was, with a token that is looked at again."""
SLOWEST: Final = 20.0
"""Seconds that a client may take for one piece."""
COME_BACK: Final = 2000
"""Milliseconds after which a client comes back."""

log = logging.getLogger("piko_flow.api")


class EventStream(StreamingResponse):
    """Sends pieces as they come; a client that does not take one in time is let go."""

    media_type = "text/event-stream"

    def __init__(
        self, pieces: AsyncIterator[bytes], *, ending: AsyncExitStack, slowest: float = SLOWEST
    ) -> None:
        """`ending` is left when the stream has ended, however that comes about; `slowest` is in seconds."""
        super().__init__(pieces, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._ending, self._slowest = ending, slowest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        async with self._ending:
            await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        """Send until the pieces end or the client is too slow."""

        async def in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(self._slowest):
                    await send(message)
            except TimeoutError:
                raise _TooSlow from None

        try:
            await super().stream_response(in_time)
        except _TooSlow:
            log.info("a client of the event stream takes nothing any more and is let go")


class _TooSlow(Exception):
    """The client has not taken what was sent."""


async def pieces(live: Broadcaster, listener: Listener, clock: Clock | None = None) -> AsyncIterator[bytes]:
    """What the listener hears, as text of the stream, until the process drains or five minutes are over."""
    clock = clock or SystemClock()
    began = told = clock.monotonic()
    yield f"retry: {COME_BACK}\n: piko flow\n\n".encode()
    while not (listener.lost or live.over() or clock.monotonic() - began > LONGEST):
        if events := listener.take():
            told = clock.monotonic()
            yield "".join(
                f"id: {live.id_of(one)}\nevent: {one.name}\ndata: {one.told}\n\n" for one in events
            ).encode()
        elif clock.monotonic() - told > HEARTBEAT:
            told = clock.monotonic()
            yield b": still here\n\n"
        await live.wait()
        try:
            await live.look()
        except StoreUnavailable:
            told = clock.monotonic()
            yield b": the store does not answer\n\n"
