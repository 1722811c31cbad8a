"""In whose name a line is logged: the run and the stage of the context in which that happens."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from piko_flow.dataflow.running.operators.loop import stage_in
from piko_flow.telemetry.run_lines import LONGEST, Line, RunLines
from piko_flow.url_passwords import without_url_passwords

LOOKED = 16 * LONGEST  # characters of a line that are looked through for what is secret; fewer are kept
DEPTH = 60  # calls between a stage's function and the line that it logs, at most, for its stage to be found


@dataclass(slots=True)
class LoggedRun:
    """One attempt of a run, as its log lines tell of it. `trace` is the id of its trace, empty where there is none.

    `hide` gives a text without what is secret in it; it and `spoke` are called on whatever thread logs. `spoke` is called once, with the first line.
    """

    run: int
    flow: str
    attempt: int
    spoke: Callable[[LoggedRun], None] | None = None
    trace: str = ""
    hide: Callable[[str], str] = field(default=without_url_passwords, repr=False)
    lines: RunLines | None = field(default=None, repr=False)

    def add(self, record: logging.LogRecord) -> None:
        """Keep what a record says."""
        line = line_of(record, self.hide)
        if self.lines is None:
            self.lines = RunLines()
            if self.spoke is not None:
                self.spoke(self)
        self.lines.add(line)


logged_run: ContextVar[LoggedRun | None] = ContextVar("logged_run", default=None)
"""The attempt in whose name a task works; all tasks and threads that it begins inherit it."""
logged_stage: ContextVar[str] = ContextVar("logged_stage", default="")
"""The stage for which a task works: the first of those that run in one loop."""


def current_stage() -> str:
    """The stage whose function is logging: of a fused loop the one that it is calling."""
    known = logged_stage.get()
    if not known:
        return ""
    frame, left = sys._getframe(1), DEPTH
    while frame is not None and left:
        if found := stage_in(frame):
            return found
        frame, left = frame.f_back, left - 1  # type: ignore[assignment]  # None ends the loop
    return known


def line_of(record: logging.LogRecord, hide: Callable[[str], str] = without_url_passwords) -> Line:
    """What a record says, the traceback with it, without what `hide` takes out; never raises."""
    try:
        text = record.getMessage()
    except Exception:  # the handlers report it; here what was to be formatted is worth more than nothing
        text = _text(record.msg)
    if record.exc_info:
        text += "\n" + logging.Formatter().formatException(record.exc_info)
    size = len(text)
    text = hide(
        text if size <= LOOKED else text[:LOOKED] + "…"
    )  # before the cut, which may go through a secret
    if size > LONGEST and len(text) > LONGEST - 40:
        text = f"{text[: LONGEST - 40]} ... ({size:,} characters)"
    return Line(record.created, record.levelname, record.name, text, current_stage())


def _text(message: object) -> str:
    try:
        return str(message)
    except Exception:  # the class is the user's; a line that it logs does not end its run
        return object.__repr__(message)
