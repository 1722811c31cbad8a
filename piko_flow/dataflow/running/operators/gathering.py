"""Gathering items into lists by count, weight and time; used by Batch and by sinks that write lists."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

from piko_flow.clock import monotonic
from piko_flow.dataflow.running.unit_state import OperatorState


async def gathered(
    state: OperatorState, count: int, within: float | None, weight: Callable[[Any], float] | None
) -> AsyncGenerator[list[Any], None]:
    """Lists of the input's items in order: full ones, those whose time has come, and the rest at the end."""
    held: list[Any] = []
    heavy = 0.0
    due: float | None = None
    limit = max(min(count, 1024), 1)
    while True:
        try:
            async with asyncio.timeout(None if due is None else max(due - monotonic(), 0.0)):
                chunk = await state.receive(limit)
        except TimeoutError:
            yield held
            held, heavy, due = [], 0.0, None
            continue
        if not chunk:
            break
        state.tally.received += len(chunk)
        for full in _added(held, chunk, count) if weight is None else ():
            yield full
        if weight is not None:
            for item in chunk:
                held.append(item)
                heavy += weight(item)
                if heavy >= count:
                    yield held[:]
                    held.clear()
                    heavy = 0.0
        if not held:
            due = None
        elif within is not None and due is None:
            due = monotonic() + within
    if held:
        yield held


def _added(held: list[Any], chunk: list[Any], count: int) -> list[list[Any]]:
    """Add the chunk to what is held; gives the lists that are full and leaves the rest in `held`."""
    held += chunk
    full = []
    while len(held) >= count:
        full.append(held[:count])
        del held[:count]
    return full
