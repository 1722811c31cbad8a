"""Answers that take long, such as streams of events: they end when who gets them may get them no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeAlias

from piko_flow.clock import Clock
from piko_flow.errors import StoreUnavailable
from piko_flow.ops.door.request_body import Message
from piko_flow.ops.door.turned_away import TurnedAway

Send: TypeAlias = Callable[[Message], Awaitable[None]]


class CutOff(OSError):
    """The answer was ended by the door; as an OSError, it is to whoever sends as if the client had left."""


class LongAnswer:
    """Passes an answer on as it comes. While it lasts `good` is asked now and then; it raises TurnedAway where the
    visitor is let in no more: then the answer ends in good order, and who sends on gets CutOff.

    While the store is away nobody is cut off.
    """

    def __init__(
        self, send: Send, *, good: Callable[[], Awaitable[object]], every: timedelta, clock: Clock
    ) -> None:
        self._send, self._good, self._every, self._clock = send, good, every.total_seconds(), clock
        self._looked_at = clock.monotonic()
        self.is_cut = False

    async def __call__(self, message: Message) -> None:
        """Send a message of the answer. Raises CutOff."""
        if self.is_cut:
            raise CutOff
        going_on = message["type"] == "http.response.body" and message.get("more_body", False)
        if going_on and self._clock.monotonic() - self._looked_at >= self._every:
            await self._look()
        await self._send(message)

    async def _look(self) -> None:
        try:
            await self._good()
        except StoreUnavailable:
            return
        except TurnedAway:
            self.is_cut = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            raise CutOff from None
        finally:
            self._looked_at = self._clock.monotonic()
