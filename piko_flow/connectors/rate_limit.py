"""So many calls a second, whoever makes them: one limit for several stages, flows, loops and threads of a process."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NoReturn

from piko_flow.clock import monotonic
from piko_flow.counting import whole_number
from piko_flow.dataflow.graph.origin import caller
from piko_flow.errors import PikoFlowError, PipelineError
from piko_flow.known_names import unknown_options_refused
from piko_flow.retry import LONGEST_TIME, seconds


class TurnTooLate(PikoFlowError):
    """A call waited for its turn under a rate limit for as long as it may; it was not made."""

    def __init__(self, waited: float) -> None:
        super().__init__(waited)
        self.waited = waited

    def __str__(self) -> str:
        return f"waited {self.waited:g} seconds for a turn under the rate limit; others were before it all the time"


@unknown_options_refused
class RateLimit:
    """At most `per_second` calls a second, and up to `burst` at once after a pause.

    Give one object to as many sources and lookups as share the limit: those of several flows too, on different event
    loops and threads. Turns come in the order in which they were asked for. Nobody waits longer than `longest_wait`
    seconds: TurnTooLate then. A process that gets a copy (a worker, a subprocess) has a limit of its own.
    """

    def __init__(
        self, per_second: float, *, burst: int = 1, longest_wait: float | timedelta = timedelta(minutes=10)
    ) -> None:
        for name, value in (("per_second", per_second), ("longest_wait", longest_wait)):
            good = isinstance(value, (int, float, timedelta)) and not isinstance(value, bool)
            if not good or not 0 < seconds(value) <= LONGEST_TIME:
                _refuse(f"{name} must be a number above 0 and at most {LONGEST_TIME:,}", f"got {value!r}")
        self.burst = whole_number("burst", burst, _refuse)
        self.per_second, self.longest_wait = per_second, seconds(longest_wait)
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._full_at = 0.0  # when all of the burst will be there again
        self._held_until = 0.0

    async def turn(self) -> None:
        """Return when it is this call's turn. Cancelling gives the turn to the next. Raises TurnTooLate."""
        try:
            async with asyncio.timeout(self.longest_wait), self._front():
                while True:
                    wait = self._take()
                    if wait <= 0:
                        return
                    await asyncio.sleep(wait)
        except TimeoutError:
            raise TurnTooLate(self.longest_wait) from None

    def hold(self, seconds: float) -> None:
        """Give no turn for so many seconds from now: a service has asked for it. A shorter hold ends no longer one."""
        with self._lock:
            self._held_until = max(self._held_until, monotonic() + seconds)
            spent = (self.burst - 1) / self.per_second  # so that what follows the pause is no burst
            self._full_at = max(self._full_at, self._held_until + spent)

    def _take(self) -> float:
        """Seconds until the first in line may have its turn; 0 when it has taken it."""
        apart = 1 / self.per_second
        with self._lock:
            now = monotonic()
            full_at = max(self._full_at, now)
            wait = max(full_at - now - (self.burst - 1) * apart, self._held_until - now)
            if wait > 0:
                return wait
            self._full_at = full_at + apart
            return 0.0

    @asynccontextmanager
    async def _front(self) -> AsyncIterator[None]:
        """The block begins when all who asked before have had their turn, or have gone."""
        me = _Waiting()
        with self._lock:
            self._waiting.append(me)
            if self._waiting[0] is me:
                me.called.set()
        try:
            await me.called.wait()
            yield
        finally:
            with self._lock:
                self._waiting.remove(me)
                self._call_first()

    def _call_first(self) -> None:
        while self._waiting:
            try:
                self._waiting[0].call()
                return
            except RuntimeError:  # its loop was closed while it waited
                self._waiting.popleft()

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (self.per_second, self.burst, self.longest_wait)

    def __repr__(self) -> str:
        return f"RateLimit({self.per_second:g}, burst={self.burst})"


class _Waiting:
    """A call that waits, on the loop it is made on."""

    def __init__(self) -> None:
        self.called, self._loop = asyncio.Event(), asyncio.get_running_loop()

    def call(self) -> None:
        self._loop.call_soon_threadsafe(self.called.set)


def _made_again(per_second: float, burst: int, longest_wait: float) -> RateLimit:
    return RateLimit(per_second, burst=burst, longest_wait=longest_wait)


def _refuse(rule: str, got: str) -> NoReturn:
    raise PipelineError(what="RateLimit", where=str(caller()), rule=rule, got=got)
