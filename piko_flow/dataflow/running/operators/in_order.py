"""Whose turn it is to hand on, where pieces of work are done side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any


class InOrder:
    """Turns in the order in which the work began: a piece has the turn when all those before it have ended.

    `send(result)` hands a result on. A piece that ends early does not wait: its result is kept, and handed on by the
    piece whose end makes it its turn. How many are kept is bounded by whoever bounds the pieces in work. `passed()` is
    called each time that a turn has passed.
    """

    def __init__(
        self, send: Callable[[Any], Awaitable[None]], passed: Callable[[], object] | None = None
    ) -> None:
        self.begun = self.turn = 0  # the number of the next piece to begin, and of the one that has the turn
        self.early: dict[int, Any] = {}
        self._send, self._passed = send, passed
        self._waiting: dict[int, asyncio.Event] = {}

    def begin(self) -> int:
        """Give the number of a piece of work that begins now."""
        self.begun += 1
        return self.begun - 1

    def has(self, number: int) -> bool:
        """Whether all pieces before this one have ended."""
        return self.turn == number

    async def wait(self, number: int) -> None:
        """Return when all pieces before this one have ended."""
        if self.turn != number:
            await self._waiting.setdefault(number, asyncio.Event()).wait()

    async def end(self, number: int, result: Any) -> None:
        """Keep the result until its turn, and hand on every one whose turn has come."""
        self.early[number] = result
        await self.hand_on()

    async def hand_on(self) -> None:
        """Hand on the kept results whose turn has come.

        Only one task does so at a time: while it sends a result, that one is kept no more and its turn has not passed.
        """
        while self.turn in self.early:
            await self._send(self.early.pop(self.turn))
            self.pass_on()

    def pass_on(self) -> None:
        """Pass the turn on to the next piece."""
        self.turn += 1
        if self._waiting and (waiting := self._waiting.pop(self.turn, None)) is not None:
            waiting.set()
        if self._passed is not None:
            self._passed()


class OneByOne:
    """Turns in the order in which they are asked for; what one piece hands on stays together."""

    def __init__(self, send: Callable[[Any], Awaitable[None]]) -> None:
        self._send = send
        self._begun = 0
        self._turn: int | None = None
        self._waiting: deque[tuple[int, asyncio.Event]] = deque()

    def begin(self) -> int:
        """Give the number of a piece of work that begins now."""
        self._begun += 1
        return self._begun - 1

    def has(self, number: int) -> bool:
        """Whether this piece has asked for the turn and got it."""
        return self._turn == number

    async def wait(self, number: int) -> None:
        """Return when this piece has the turn: at once when nobody has, else after those who asked before."""
        if self._turn is None:
            self._turn = number
        elif self._turn != number:
            ready = asyncio.Event()
            self._waiting.append((number, ready))
            await ready.wait()

    async def end(self, number: int, result: Any) -> None:
        """Hand on the last of this piece when it has the turn, then pass the turn on."""
        await self.wait(number)
        await self._send(result)
        self._turn = None
        if self._waiting:
            self._turn, ready = self._waiting.popleft()
            ready.set()
