"""Waiting for something, for no longer than a time."""

from __future__ import annotations

import asyncio

from piko_flow.clock import Clock


async def happens(event: asyncio.Event, seconds: float, clock: Clock) -> bool:
    """Wait for the event, at most so many seconds of the clock; whether it has happened. Cancelling is safe."""
    if event.is_set() or seconds <= 0:
        return event.is_set()
    both = {
        asyncio.create_task(event.wait(), name="event of a spool"),
        asyncio.create_task(clock.sleep(seconds), name="pause of a spool"),
    }
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in both:
            one.cancel()
    return event.is_set()
