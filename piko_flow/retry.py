"""How often and after what wait something is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from math import ldexp
from typing import TypeVar

from piko_flow.counting import is_whole
from piko_flow.known_names import unknown_options_refused

T = TypeVar("T")
LONGEST_TIME = 100_000_000  # seconds, about three years; the timers of the system take no larger numbers


def retry_delay(attempt: int, *, first: float, limit: float) -> float:
    """Seconds to wait after attempt number `attempt` (from 1): doubles each time, never above `limit`."""
    try:
        return min(ldexp(first, attempt - 1), limit)
    except OverflowError:  # it has doubled beyond what a float holds
        return limit


@unknown_options_refused
@dataclass(frozen=True)
class Retry:
    """Try the same item again after an error.

    `attempts` counts the first one. The wait before the second attempt is `first` seconds (a number or a
    timedelta) and doubles up to `limit`. Only errors of the types in `on` are tried again.
    """

    attempts: int = 3
    first: float | timedelta = 0.1
    limit: float | timedelta = 30.0
    on: type[Exception] | tuple[type[Exception], ...] = field(default=Exception)

    def __post_init__(self) -> None:
        if not is_whole(self.attempts):
            raise ValueError(
                f"Retry: attempts must be a whole number >= 1 (it counts the first), got {self.attempts!r}"
            )
        times = (self.first, self.limit)
        if not all(isinstance(one, (int, float, timedelta)) and seconds(one) >= 0 for one in times):
            raise ValueError(
                f"Retry: first and limit must be >= 0 seconds, got {self.first!r} and {self.limit!r}"
            )
        if any(seconds(one) > LONGEST_TIME for one in times):
            raise ValueError(
                f"Retry: first and limit are at most {LONGEST_TIME:,} seconds, got {self.first!r} and {self.limit!r}"
            )
        kinds = self.on if isinstance(self.on, tuple) else (self.on,)
        if not kinds or not all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
            raise ValueError(f"Retry: on must be an exception class or a tuple of them, got {self.on!r}")

    def delay(self, attempt: int) -> float:
        """Seconds to wait after attempt number `attempt`, counted from 1."""
        return retry_delay(attempt, first=seconds(self.first), limit=seconds(self.limit))

    def again(self, attempt: int, error: BaseException) -> bool:
        """Whether attempt number `attempt`, which ended in `error`, is followed by another."""
        return attempt < self.attempts and isinstance(error, self.on)


async def attempts(
    call: Callable[[], Awaitable[T]],
    retry: Retry | None,
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    again: Callable[[Exception], bool] | None = None,
    retried: Callable[[Exception], object] | None = None,
) -> T:
    """Await `call()` until it succeeds and give its result. Raises the error of the last attempt.

    An error is followed by another attempt if `retry` allows it and `again(error)` is not False; without a `retry`
    there is one attempt. Before the next attempt `retried(error)` is called, then `sleep(seconds)` is awaited.
    What they raise ends the attempts, and so does a cancellation.
    """
    number = 1
    while True:
        try:
            return await call()
        except Exception as error:
            if retry is None or not retry.again(number, error) or (again is not None and not again(error)):
                raise
            if retried is not None:
                retried(error)
        await sleep(retry.delay(number))  # outside of the handler: the error is no context of what follows
        number += 1


def seconds(value: float | timedelta) -> float:
    """A bare number is seconds; a timedelta is converted."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
