"""Blocking work that must not be left half done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


async def on_own_thread(work: Callable[[], T]) -> T:
    """Do the work on a thread that ends with it, so that the event loop goes on meanwhile.

    A cancellation is raised when the work has ended, never before, so nothing goes on behind the caller's back.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="piko-flow file") as thread:
        done = asyncio.get_running_loop().run_in_executor(thread, work)
        cancelled: asyncio.CancelledError | None = None
        while not done.done():
            try:
                await asyncio.wait([done])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        return done.result()


async def held_on_thread(
    hold: Callable[[], AbstractContextManager[object]],
) -> AbstractAsyncContextManager[object]:
    """Begin the hold on a thread; gives what ends it on a thread too, when its block ends."""
    held = await on_own_thread(hold)

    @asynccontextmanager
    async def block() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await on_own_thread(lambda: held.__exit__(None, None, None))

    return block()
