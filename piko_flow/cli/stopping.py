"""What signals mean while a pipeline runs: the first drains, the second cancels, the third frees a loop that is stuck."""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """Raised into a stage that holds the loop, and into a command that is not following a run, to end it.

    Not an Exception, which the stage may catch, and not a KeyboardInterrupt, at which asyncio gives up tasks unfinished.
    """

    def __init__(self, first: int) -> None:
        super().__init__(first)
        self.exit_code = 128 + first


class Stoppable(Protocol):
    """A run in progress, as far as signals are concerned."""

    def drain(self) -> None: ...
    def cancel(self) -> None: ...


class Stops:
    """Counts the signals that were acted on. `first` is the first of them, None while there was none."""

    def __init__(self, active: Stoppable, *, say: Callable[[str], None]) -> None:
        self._active, self._say = active, say
        self.count = 0
        self.first: signal.Signals | None = None

    @property
    def exit_code(self) -> int:
        """What a shell expects of a program that a signal ended; 0 when none came."""
        return 0 if self.first is None else 128 + self.first

    def stop(self, got: signal.Signals) -> None:
        """Take the next step: drain, then cancel."""
        self.count += 1
        self.first = self.first or got
        if self.count == 1:
            again = "press Ctrl-C again" if got is signal.SIGINT else "send it again"
            self._say(f"{got.name}: draining; {again} to cancel")
            self._active.drain()
        elif self.count == 2:
            self._say(f"{got.name}: cancelling")
            self._active.cancel()


class Signals:
    """The signals that come during a command: while it follows a run they are for the run, else they end the command."""

    def __init__(self) -> None:
        self._held = False
        self._came: list[signal.Signals] = []
        self._stops: Stops | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.first: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """While the block is open signals wait for a run to go to."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def go_to(self, stops: Stops, loop: asyncio.AbstractEventLoop) -> None:
        """From now on signals stop the run, on its loop."""
        self._stops, self._loop = stops, loop
        for got in self._came:
            loop.call_soon(stops.stop, got)

    def received(self, number: int, frame: FrameType | None) -> None:
        """Take a signal; the third is raised here, in the middle of whatever runs, if the first two had no effect.

        So is the first where there is no run.
        """
        self.first = self.first or number
        if not self._held:
            raise Interrupted(number)
        self._came.append(signal.Signals(number))
        if len(self._came) > 2 and (self._stops is None or self._stops.count < 2):
            raise Interrupted(self._came[0])
        if self._stops is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stops.stop, self._came[-1])


@contextmanager
def signals_taken() -> Iterator[Signals]:
    """While the block is open signals are taken; afterwards they mean what they meant before, if none came.

    If one came the command is about to end: another ends it at once, with the exit code that the first asks for.
    The handlers are Python's own and not the loop's: those would wait for a stage that keeps the loop busy.
    """
    signals = Signals()
    before = [(number, signal.signal(number, signals.received)) for number in SIGNALS]
    try:
        yield signals
    finally:
        if signals.first is None:
            for number, handler in before:
                signal.signal(number, handler)
        else:
            _end_at_the_next(128 + signals.first)


def _end_at_the_next(exit_code: int) -> None:
    """Let the next signal end this process, also while it waits for threads; too late for that, Ctrl-C does nothing."""

    def end(_number: int, _frame: FrameType | None) -> None:
        os._exit(exit_code)  # everything that the command says is flushed when it is said

    for number in SIGNALS:
        signal.signal(number, end)
    # Python takes its handlers back before the process is gone, and the default would kill it in its last moments.
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
