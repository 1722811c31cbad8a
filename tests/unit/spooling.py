"""A sink whose moods the test decides, and spools before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from piko_flow.connectors.spool import LiveSpool, Spool, SpooledLetter, SpoolState
from piko_flow.retry import Retry
from piko_flow.testing import ManualClock

FAST = Retry(attempts=3, first=0.001, limit=0.01)
PATIENCE = 60.0  # seconds for what must come on a busy machine


class Place:
    """Takes lists while `gate` is open; `mood` may raise for one."""

    def __init__(self, mood: Callable[[list[Any]], None] | None = None, *, gated: bool = False) -> None:
        self.mood = mood
        self.lists: list[list[Any]] = []
        self.attempts: list[list[Any]] = []
        self.gate, self._changed = asyncio.Event(), asyncio.Event()
        if not gated:
            self.gate.set()

    @property
    def items(self) -> list[Any]:
        return [item for items in self.lists for item in items]

    async def write(self, items: Sequence[Any]) -> None:
        self.attempts.append(list(items))
        self._changed.set()
        await self.gate.wait()
        if self.mood is not None:
            self.mood(list(items))
        self.lists.append(list(items))
        self._changed.set()

    async def until(self, fact: Callable[[Place], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not fact(self):
                self._changed.clear()
                await self._changed.wait()

    async def has(self, count: int) -> None:
        await self.until(lambda place: len(place.items) >= count)

    async def wrote(self, item: object) -> None:
        await self.until(lambda place: item in place.items)

    async def tried(self, count: int) -> None:
        await self.until(lambda place: len(place.attempts) >= count)


class Letters:
    """Takes dead letters while `gate` is open, unless it is told to fail; `asked` is set when it is offered some."""

    def __init__(self) -> None:
        self.taken: list[SpooledLetter] = []
        self.error: Exception | None = None
        self.gate, self.asked, self._changed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.gate.set()

    async def take(self, letters: Sequence[SpooledLetter], /) -> None:
        self.asked.set()
        await self.gate.wait()
        self._changed.set()
        if self.error is not None:
            raise self.error
        self.taken += letters

    async def has(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.taken) < count:
                self._changed.clear()
                await self._changed.wait()


def spool(sink: Any, folder: Path, **options: Any) -> Spool[Any]:
    return Spool(sink, **{"name": "orders", "folder": folder, "retry": FAST, "flush": PATIENCE, **options})


async def told(live: LiveSpool, fact: Callable[[SpoolState], bool]) -> SpoolState:
    """The state of the spool as soon as it is so."""
    async with asyncio.timeout(PATIENCE):
        while True:
            state = await live.state()
            if fact(state):
                return state


async def passing(clock: ManualClock, live: LiveSpool, fact: Callable[[], bool]) -> None:
    """Let seconds pass until it is so."""
    async with asyncio.timeout(PATIENCE):
        while not fact():
            await live.state()  # the files have their own thread, which the clock does not wait for
            await clock.advance(1)


@asynccontextmanager
async def away(sink: Any, folder: Path, **options: Any) -> AsyncIterator[LiveSpool]:
    """A spool whose process ends without writing: what it accepted is there for the next one."""
    async with spool(sink, folder, **options).opened(flush=0) as live:
        yield live


def files(folder: Path, ending: str = ".spool") -> list[Path]:
    return sorted(folder.rglob(f"*{ending}"))
