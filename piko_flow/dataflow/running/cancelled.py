"""Telling the cancellation of a run from a CancelledError that comes out of what the run calls."""

from __future__ import annotations

import asyncio

from piko_flow.errors import CallCancelled


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
