"""Whose code a loop is executing, as it can be seen from another thread."""

from __future__ import annotations

from asyncio import Handle
from contextvars import ContextVar
from types import FrameType

executed_run: ContextVar[str] = ContextVar("executed_run", default="")
"""The run in whose name a task works, as text for people; all tasks that it begins inherit it."""


def run_in(frame: FrameType | None) -> str:
    """The run for which a thread's loop works, by the thread's innermost frame; empty where it is nobody's."""
    while frame is not None:
        if frame.f_code is Handle._run.__code__:
            return str(frame.f_locals["self"]._context.get(executed_run, ""))
        frame = frame.f_back
    return ""
