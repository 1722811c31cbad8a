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
    """Lists of the input's items in order: full ones, those whose time has come, and the rest at the end.

    As many items in a row as a channel holds that weigh nothing make a list full too, so that memory stays
    bounded. Raises StageFailed for an item whose weight is no number of at least 0.
    """
    held, heavy, light = list[Any](), 0.0, 0  # light: the last so many items weighed nothing
    lightest = state.unit.plan.options.capacity.items
    due: float | None = None
    limit = max(min(count, 1024), 1)
    while True:
        try:
            async with asyncio.timeout(None if due is None else max(due - monotonic(), 0.0)):
                chunk = await state.receive(limit)
        except TimeoutError:
            yield held
            held, heavy, light, due = [], 0.0, 0, None
            continue
        if not chunk:
            break
        state.tally.received += len(chunk)
        for full in _added(held, chunk, count) if weight is None else ():
            yield full
        if weight is not None:
            for item in chunk:
                held.append(item)
                before, heavy = heavy, heavy + _weighed(state, weight, item)
                light = light + 1 if heavy == before else 0
                if heavy >= count or light >= lightest:
                    yield held[:]
                    held.clear()
                    heavy, light = 0.0, 0
        if not held:
            due = None
        elif within is not None and due is None:
            due = monotonic() + within
    if held:
        yield held


def _weighed(state: OperatorState, weight: Callable[[Any], float], item: Any) -> float:
    try:
        weighs = weight(item)
        if not weighs >= 0:
            raise ValueError(f"a weight must be a number of at least 0, got {weighs!r}")
    except Exception as error:
        raise state.unit.error_policy.failure(state.boxes[0], item, error) from error
    return weighs


def _added(held: list[Any], chunk: list[Any], count: int) -> list[list[Any]]:
    """Add the chunk to what is held; gives the lists that are full and leaves the rest in `held`."""
    held += chunk
    full = []
    while len(held) >= count:
        full.append(held[:count])
        del held[:count]
    return full
