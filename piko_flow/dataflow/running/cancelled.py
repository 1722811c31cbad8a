"""Cancellation: whose it is, and what must not be interrupted by it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from piko_flow.errors import CallCancelled

T = TypeVar("T")


def cancelled_inside(error: asyncio.CancelledError) -> CallCancelled:
    """The failure that the error is when nobody has cancelled the current task; otherwise it is raised again.

    A task that ends in a CancelledError of its own is taken by its group for one that was told to stop: its
    siblings would wait for it for ever.
    """
    task = asyncio.current_task()
    if task is None or task.cancelling():
        raise error
    failure = CallCancelled()
    failure.__cause__ = error
    return failure


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Await to the end, however often the caller is cancelled meanwhile: what must be whole is not left half done."""
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            continue
    return task.result()
