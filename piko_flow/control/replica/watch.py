"""Noticing user code that holds the runs' loop."""

from __future__ import annotations

import asyncio
import logging
import sys
import sysconfig
from pathlib import Path
from types import FrameType

from piko_flow.clock import Clock
from piko_flow.control.loop_thread import LoopThread
from piko_flow.control.runs.executions import run_in
from piko_flow.dataflow.running.operators.loop import stage_in

OURS = str(Path(__file__).resolve().parent.parent)
LIBRARIES = (OURS, *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")))

log = logging.getLogger("piko_flow.watch")


class LoopWatch:
    """Looks from another thread whether a loop still turns, and says once an episode what holds it."""

    def __init__(self, thread: LoopThread, *, after: float, clock: Clock) -> None:
        self._thread, self._after, self._clock = thread, after, clock
        self._asked_at: float | None = None
        self.blocked_by = ""
        """What holds the loop now, as text; empty while it turns."""

    def look(self) -> None:
        """Ask the loop for a sign, and see whether the last one asked for has come. Call it about once a second."""
        now = self._clock.monotonic()
        if self._asked_at is None:
            self._asked_at = now
            self._thread.loop.call_soon_threadsafe(self._answer)
        elif now - self._asked_at >= self._after and not self.blocked_by:
            self.blocked_by = place_of(self._thread)
            log.warning(
                "the loop of runs is held since %.1f s by %s; other runs of this replica wait. "
                "Use on='thread', CpuMap or an asynchronous library",
                now - self._asked_at,
                self.blocked_by,
            )

    def _answer(self) -> None:
        if self.blocked_by:
            log.warning("the loop of runs turns again; it was held by %s", self.blocked_by)
        self._asked_at, self.blocked_by = None, ""


def place_of(thread: LoopThread) -> str:
    """What the thread is doing: the run with its flow, the stage, and the innermost line that is not a library's.

    Without a run it is the task's name. Where a stage was not fused with others, its task may be named instead.
    """
    task = asyncio.current_task(thread.loop)
    frame = sys._current_frames().get(thread.ident or 0)
    name = task.get_name() if task is not None else "a callback"
    run, stage = run_in(frame), _stage(frame)
    if run and not stage and not name.startswith("run "):  # a task of the run itself has no stage's name
        stage = name
    return f"{run or name}{f', stage {stage},' if stage else ''} at {_line(frame)}"


def _stage(frame: FrameType | None) -> str:
    while frame is not None:
        if stage := stage_in(frame):
            return stage
        frame = frame.f_back
    return ""


def _line(frame: FrameType | None) -> str:
    at = frame
    while at is not None and at.f_code.co_filename.startswith(LIBRARIES):
        at = at.f_back
    at = at or frame
    return (
        "an unknown place" if at is None else f"{at.f_code.co_filename}:{at.f_lineno} in {at.f_code.co_name}"
    )
