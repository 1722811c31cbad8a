"""Cancelling at every place where a coroutine waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from piko_flow.testing.faults import turns

T = TypeVar("T")


async def cancel_everywhere(
    make: Callable[[], Coroutine[Any, Any, T]],
    check: Callable[[asyncio.Task[T]], object],
    *,
    insist: bool = False,
    at_most: int = 10_000,
) -> int:
    """Run `make()` again and again, cancelling it after 0, 1, 2, ... turns of the event loop, until it ends first.

    With `insist` it is cancelled again at every turn until it ends, as an impatient user does. `check(task)` is
    called with each ended task: cancelled, failed, or with its result. Gives the number of turns that the
    coroutine takes when nobody cancels it. Raises AssertionError when it takes more than `at_most`.
    """
    for turn in range(at_most):
        task = asyncio.create_task(make(), name=f"cancelled after {turn} turns")
        await turns(turn)
        if task.done():
            check(task)
            return turn
        task.cancel()
        while insist and not task.done():
            await turns(1)
            task.cancel()
        await asyncio.wait([task])
        check(task)
    raise AssertionError(f"still running after {at_most} turns of the loop")
