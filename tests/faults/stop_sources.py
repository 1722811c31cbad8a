"""Sources of every kind that give numbers from 1 on, and wait, fail, end or hang as the test says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

from piko_flow import Reject, Source
from piko_flow.clock import monotonic
from piko_flow.testing import turns

LONGEST = 120.0  # seconds that a thread waits for a test that has forgotten it
ENDLESS = range(1, 1_000_000_000)  # it is read as a list is


MANY = 10_000  # items of a source that gives them together, where the test names no number
FOR_EVER = 1_000_000_000  # attempts


class NotThere(Exception):
    """What a source raises that fails."""


class Feed:
    """What one source gives, and how far it is.

    It waits for its next item after `waits_after` items until `release()`, and ends after `ends_after`; without either
    it never does. It raises NotThere before its first item in the first `fails` attempts, and after `breaks_after`
    items. With `hangs` it does not close before `let_close()`. A source that is awaited lets the loop turn `turns`
    times before each item; one on a thread waits there.
    """

    def __init__(
        self,
        *,
        waits_after: int | None = None,
        ends_after: int | None = None,
        fails: int = 0,
        breaks_after: int | None = None,
        hangs: bool = False,
        turns: int = 0,
    ) -> None:
        self.waits_after, self.ends_after, self.fails, self.hangs = waits_after, ends_after, fails, hangs
        self.breaks_after, self.turns = breaks_after, turns
        self.given = 0
        self.waiting = False
        self.left = float("inf")  # when the source was left, by the clock of loops
        self._next, self._next_on_thread = asyncio.Event(), threading.Event()
        self._closes, self._closes_on_thread = asyncio.Event(), threading.Event()

    def release(self) -> None:
        """End the wait for the next item; from then on there is always one."""
        self._next.set()
        self._next_on_thread.set()

    def let_close(self) -> None:
        """Let a source that hangs when it is closed go on."""
        self._closes.set()
        self._closes_on_thread.set()

    def begin(self) -> None:
        """Start an attempt to read. Raises NotThere if it is one that fails."""
        if self.fails:
            self.fails -= 1
            raise NotThere("not there yet")

    def give(self, item: int) -> int:
        """Note that the item was given. Raises NotThere if the source breaks before it."""
        if self.breaks_after is not None and item > self.breaks_after:
            raise NotThere("there no more")
        self.given = item
        return item

    async def wait(self) -> None:
        """Wait for the next item."""
        self.waiting = True
        await self._next.wait()

    def plain(self) -> Iterator[int]:
        """The items; it blocks while it waits."""
        self.begin()
        try:
            while self.given != self.ends_after:
                if self.given == self.waits_after:
                    self.waiting = True
                    self._next_on_thread.wait(LONGEST)
                yield self.give(self.given + 1)
        finally:
            self.left = monotonic()
            if self.hangs:
                self._closes_on_thread.wait(LONGEST)

    async def awaited(self) -> AsyncIterator[int]:
        """The items, for who awaits them."""
        self.begin()
        try:
            while self.given != self.ends_after:
                await turns(self.turns)
                if self.given == self.waits_after:
                    await self.wait()
                yield self.give(self.given + 1)
        finally:
            self.left = monotonic()
            if self.hangs:
                await self._closes.wait()

    async def swallowed(self) -> AsyncIterator[int]:
        """The items as `awaited` gives them; a cancellation of its wait ends the wait and nothing else."""
        self.begin()
        try:
            while self.given != self.ends_after:
                await turns(self.turns)
                if self.given == self.waits_after:
                    with suppress(asyncio.CancelledError):
                        await self.wait()
                yield self.give(self.given + 1)
        finally:
            self.left = monotonic()
            if self.hangs:
                await self._closes.wait()

    def all(self) -> list[int]:
        """The items of a source that gives them together."""
        last = MANY if self.ends_after is None else self.ends_after
        if self.breaks_after is not None and self.breaks_after < last:
            raise NotThere("there no more")
        self.given = last
        return list(range(1, last + 1))


def as_list(feed: Feed) -> Any:
    return ENDLESS if feed.ends_after is None else feed.all()


def as_iterable_of_a_function(feed: Feed) -> Any:
    def give() -> Iterable[int]:
        feed.begin()
        return map(feed.give, count(1) if feed.ends_after is None else range(1, feed.ends_after + 1))

    return give


def as_awaitable_of_a_function(feed: Feed) -> Any:
    def give() -> AsyncIterator[int]:
        return feed.awaited()

    return give


def as_awaited_list(feed: Feed) -> Any:
    async def fetch() -> list[int]:
        feed.begin()
        if feed.waits_after is not None:
            await feed.wait()
        return feed.all()

    return fetch


@dataclass(frozen=True)
class Chunks:
    """A ChunkReader."""

    feed: Feed

    def read_chunks(self, split: Any, *, reject: Reject) -> Iterator[list[int]]:
        for item in self.feed.plain():
            yield [item]


@dataclass(frozen=True)
class AwaitedChunks:
    """An AsyncChunkReader."""

    feed: Feed

    async def read_chunks(self, split: Any, *, reject: Reject) -> AsyncIterator[list[int]]:
        async with aclosing(self.feed.awaited()) as items:  # type: ignore[type-var]  # it is a generator
            async for item in items:
                yield [item]


@dataclass(frozen=True)
class Slices:
    """A SliceReader whose `read` is a generator."""

    feed: Feed

    def read(self, since: Any) -> Iterator[int]:
        yield from self.feed.plain()

    def position(self) -> int:
        """The last item given."""
        return self.feed.given


@dataclass(frozen=True)
class AwaitedSlices:
    """A SliceReader whose `read` is an async generator."""

    feed: Feed

    async def read(self, since: Any) -> AsyncIterator[int]:
        async with aclosing(self.feed.awaited()) as items:  # type: ignore[type-var]  # it is a generator
            async for item in items:
                yield item

    def position(self) -> int:
        """The last item given."""
        return self.feed.given


class GivenSlices(AwaitedSlices):
    """A SliceReader whose `read` is a plain function that gives an async iterable."""

    def read(self, since: Any) -> AsyncIterator[int]:
        return self.feed.awaited()


@dataclass(frozen=True)
class Kind:
    """A kind of source: what `Source` takes, where it waits for its next item, whether its closing can wait."""

    name: str
    make: Callable[[Feed], Any]
    waits: Literal["loop", "thread", "never"]
    closes: bool = False
    slices: bool = False

    def source(self, feed: Feed, *, name: str = "source", **options: Any) -> Source[int]:
        """The source."""
        on: Any = "thread" if self.waits == "thread" else "loop"
        return Source(self.make(feed), on=on, name=name, **options)

    def __str__(self) -> str:
        return self.name


KINDS = (
    Kind("list", as_list, "never"),
    Kind("generator function", lambda feed: feed.plain, "never"),
    Kind("async generator function", lambda feed: feed.awaited, "loop", closes=True),
    Kind(
        "async generator function that swallows a cancellation",
        lambda feed: feed.swallowed,
        "loop",
        closes=True,
    ),
    Kind("function giving an iterable", as_iterable_of_a_function, "never"),
    Kind("function giving an async iterable", as_awaitable_of_a_function, "loop", closes=True),
    Kind("async def giving a list", as_awaited_list, "loop"),
    Kind("ChunkReader", Chunks, "never"),
    Kind("AsyncChunkReader", AwaitedChunks, "loop", closes=True),
    Kind("slices by a generator", Slices, "never", slices=True),
    Kind("slices by an async generator", AwaitedSlices, "loop", closes=True, slices=True),
    Kind("slices by a function giving an async iterable", GivenSlices, "loop", closes=True, slices=True),
    Kind("ChunkReader on a thread", Chunks, "thread", closes=True),
    Kind("slices on a thread", Slices, "thread", closes=True, slices=True),
)
