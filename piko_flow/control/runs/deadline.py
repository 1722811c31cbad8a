"""Until when an attempt may work, judged by the clock where no timer could stop it."""

from __future__ import annotations

from piko_flow.clock import Clock
from piko_flow.dataflow.reports.words import duration


class OverTime(TimeoutError):
    """An attempt came back past its timeout, before which something held the loop that could have stopped it."""


class Deadline:
    """The end of the time of an attempt that begins now; without `seconds` there is none."""

    def __init__(self, clock: Clock, seconds: float | None) -> None:
        self._clock, self._seconds, self._began = clock, seconds, clock.monotonic()

    def check(self) -> None:
        """Raise OverTime when the time is over."""
        took = self._clock.monotonic() - self._began
        if self._seconds is not None and took > self._seconds:
            raise OverTime(
                f"the run did not end within {self._seconds:g} s; it came back after {duration(took)}, "
                "as a call that waits without await held the event loop and could not be stopped"
            )


def timed_out(seconds: float | None, error: BaseException | None) -> TimeoutError:
    """The error of a run that took longer than it may; `error` says where it was stopped, or that it came back too late."""
    if isinstance(error, OverTime):
        return TimeoutError(str(error))
    late = TimeoutError(f"the run did not end within {seconds:g} s")
    late.__cause__ = error
    return late
