"""The loop of attempts: what is tried again, the waits in between, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from piko_flow import Retry
from piko_flow.retry import attempts

BUSY, GONE = OSError("busy"), ValueError("gone")


class Calls:
    """A function that raises the errors one after the other, then gives how often it was called."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.count = 0

    async def __call__(self) -> int:
        self.count += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.count


class Waits:
    """A sleep that keeps what it was given and does not wait."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


async def test_attempts_go_on_until_one_succeeds_with_a_wait_before_each_but_the_first() -> None:
    waits, noted = Waits(), list[Exception]()
    retry = Retry(attempts=5, first=1, limit=3)
    got = await attempts(Calls(BUSY, BUSY, GONE), retry, sleep=waits, retried=noted.append)
    assert (got, waits.seconds, noted) == (4, [1, 2, 3], [BUSY, BUSY, GONE])


@pytest.mark.parametrize(
    ("retry", "again", "calls", "error"),
    [
        (None, None, 1, BUSY),
        (Retry(attempts=1), None, 1, BUSY),
        (Retry(attempts=2), None, 2, GONE),
        (Retry(attempts=9, on=OSError), None, 2, GONE),
        (Retry(attempts=9), lambda error: error is BUSY, 2, GONE),
    ],
    ids=["no retry", "one attempt", "the last attempt", "an error of another type", "a veto"],
)
async def test_the_last_attempt_s_error_is_raised_as_it_is(
    retry: Retry | None, again: Callable[[Exception], bool] | None, calls: int, error: Exception
) -> None:
    call = Calls(BUSY, GONE, BUSY)
    with pytest.raises(type(error)) as caught:
        await attempts(call, retry, sleep=Waits(), again=again)
    assert (caught.value, call.count) == (error, calls)


async def test_a_cancellation_is_no_error_to_try_again() -> None:
    call = Calls(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await attempts(call, Retry(attempts=3), sleep=Waits())
    assert call.count == 1


def refuse(*_: Any) -> Any:
    raise GONE


@pytest.mark.parametrize("hook", ["sleep", "retried", "again"])
async def test_what_a_hook_raises_ends_the_attempts(hook: str) -> None:
    call = Calls(BUSY, BUSY)
    hooks: dict[str, Callable[[Any], Any]] = {"sleep": Waits(), hook: refuse}
    with pytest.raises(ValueError, match="gone"):
        await attempts(call, Retry(attempts=3), **hooks)
    assert call.count == 1


async def test_the_error_of_an_attempt_is_not_the_context_of_what_interrupts_the_wait() -> None:
    def interrupted(_: float) -> Awaitable[None]:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError) as caught:
        await attempts(Calls(BUSY), Retry(attempts=3), sleep=interrupted)
    assert caught.value.__context__ is None
