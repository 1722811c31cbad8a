"""Functions that fail, stall or dawdle by script, without a clock; and waits for what others do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from piko_flow.clock import monotonic

T = TypeVar("T")
R = TypeVar("R")
_BUSY_TURNS = 1000  # of a wait, before it leaves time to others
_PAUSE = 0.001  # seconds


class Outcome(Protocol):
    """What happens in one call before its result is given: it may wait, and it may raise."""

    async def happen(self) -> None: ...


class Turns:
    """Lets the event loop turn `count` times: a delay without a clock."""

    def __init__(self, count: int) -> None:
        self.count = count

    async def happen(self) -> None:
        """Wait that long. Cancelling ends the wait."""
        await turns(self.count)


class Stall:
    """Waits until the test calls `release()`; with `error` it raises that then.

    `reached` is set when a call has come to wait here: `await stall.reached.wait()`. Any number of calls may wait.
    """

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.reached, self._released = asyncio.Event(), asyncio.Event()

    def release(self) -> None:
        """Let all calls that wait here go on, and later ones pass."""
        self._released.set()

    async def happen(self) -> None:
        """Wait for the release. Cancelling ends the wait."""
        self.reached.set()
        await self._released.wait()
        if self.error is not None:
            raise self.error


class Fail:
    """Raises the error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def happen(self) -> None:
        """Raise."""
        raise self.error


class Script(Generic[T]):
    """An async function of one item whose calls go by a script, and which keeps count of them.

    `outcomes` maps an item to what its first, second, ... call meets: an exception to raise, a Stall, Turns,
    or any Outcome; when they are used up, or for an item that is not in it, the call gives the item at once
    (or `function(item)`). Items are found by equality; `pairs` takes those that cannot be keys:
    `Script(pairs=[({"id": 3}, [OSError("busy")])])`. For a plain function, of which errors alone make sense, use `plain`::

        script = Script({3: [OSError("busy"), OSError("busy")], 5: [Turns(4)]})
        await run(items(10) >> Transform(script, concurrency=4, retry=Retry(3, first=0)) >> sink)
        assert script.calls.count(3) == 3

    `calls` lists the items in the order in which calls began, `ended` those that gave a result, `cancelled`
    those whose call was cancelled; `running` is the number of calls now, `most` the highest it was.
    """

    def __init__(
        self,
        outcomes: Mapping[T, Sequence[Exception | Outcome]] | None = None,
        *,
        pairs: Iterable[tuple[T, Sequence[Exception | Outcome]]] = (),
        function: Callable[[T], Any] | None = None,
    ) -> None:
        scripted = [*(outcomes or {}).items(), *pairs]
        self._left = [(item, list(several)) for item, several in scripted]
        self._function = function
        self._awaited: list[tuple[T, asyncio.Event]] = []
        self.calls: list[T] = []
        self.ended: list[T] = []
        self.cancelled: list[T] = []
        self.running = self.most = 0

    async def __call__(self, item: T) -> Any:
        """Meet the item's next outcome, then give the result."""
        self._begin(item)
        try:
            outcome = self._next(item)
            if isinstance(outcome, Exception):
                raise outcome
            if outcome is not None:
                await outcome.happen()
        except asyncio.CancelledError:
            self.cancelled.append(item)
            raise
        finally:
            self.running -= 1
        return self._give(item)

    def plain(self, item: T) -> Any:
        """The same as a plain function. Raises TypeError for an outcome that waits."""
        self._begin(item)
        self.running -= 1
        outcome = self._next(item)
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, Fail):
            raise outcome.error
        if outcome is not None:
            raise TypeError(f"a plain function cannot wait: got {outcome!r} for item {item!r}")
        return self._give(item)

    async def reached(self, item: T) -> None:
        """Wait until a call for the item has begun."""
        if item in self.calls:
            return
        began = asyncio.Event()
        self._awaited.append((item, began))
        await began.wait()

    def _begin(self, item: T) -> None:
        self.calls.append(item)
        self.running += 1
        self.most = max(self.most, self.running)
        for awaited, began in self._awaited:
            if awaited == item:
                began.set()

    def _next(self, item: T) -> Exception | Outcome | None:
        left = next((several for scripted, several in self._left if several and scripted == item), None)
        return None if left is None else left.pop(0)

    def _give(self, item: T) -> Any:
        self.ended.append(item)
        return item if self._function is None else self._function(item)


async def turns(count: int) -> None:
    """Let the event loop turn `count` times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(holds: Callable[[], object], *, within: float = 60.0) -> None:
    """Let the loop turn until `holds()` is true. Raises AssertionError when it is not within so many seconds.

    The bound only ends a wait that would never end, so it is far longer than any wait takes: turns of an idle loop
    are no bound, as a process or thread waited for gets the slower the busier the machine. After the first
    thousand turns it leaves a millisecond to others between two looks.
    """
    deadline, turn = monotonic() + within, 0
    while not holds():
        if monotonic() > deadline:
            name = getattr(holds, "__name__", holds)
            raise AssertionError(f"{name} did not come true within {within:g} s")
        await asyncio.sleep(0 if turn < _BUSY_TURNS else _PAUSE)
        turn += 1
