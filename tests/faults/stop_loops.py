"""An event loop of its own for each try, which is left also when its tasks never end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

LAST = 2.0  # seconds that tasks have to end when their loop is closed


class Stuck(AssertionError):
    """A run did not end within its bound."""


def in_a_loop(make: Callable[[], Coroutine[Any, Any, object]], name: str, *, within: float = 60.0) -> None:
    """Run `make()` on a new event loop. Raises Stuck when it takes longer, and leaves the loop in any case.

    `asyncio.run` would wait for ever for a task that swallows its cancellation.
    """
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(_bounded(make(), name, within))
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=LAST))
        loop.run_until_complete(asyncio.wait_for(loop.shutdown_asyncgens(), LAST))
        loop.close()


async def _bounded(work: Coroutine[Any, Any, object], name: str, within: float) -> None:
    task = asyncio.ensure_future(work)
    await asyncio.wait([task], timeout=within)
    if not task.done():
        raise Stuck(f"{name} is not over after {within:g} s:\n{standing()}")
    try:
        task.result()
    except Exception as error:
        error.add_note(f"in: {name}")
        raise


def standing() -> str:
    """Where each task of the loop waits, a line each."""
    lines = []
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        frames = task.get_stack(limit=1)
        inner: Any = task.get_coro()
        while (awaited := getattr(inner, "cr_await", None) or getattr(inner, "ag_await", None)) is not None:
            inner = awaited
        where = f"{frames[0].f_code.co_qualname}:{frames[0].f_lineno}" if frames else "nowhere"
        lines.append(f"task {task.get_name()!r} in {where}, waiting for {inner!r:.120}")
    return "\n".join(sorted(lines))
