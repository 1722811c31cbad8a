"""Log lines of functions in a worker process, on their way to the loggers of the run.

The worker loads this file by its path, once a function has loaded `logging`, so it imports the standard library only.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

MOST_LINES = 1000  # lines of one chunk; the rest are counted
LONGEST_LINE = 20_000  # characters of one line

# when, level, logger, text with the traceback, file, line, function
Line = tuple[float, int, str, str, str, int, str]


class LineSender(logging.Handler):
    """Hands each record on as a line; belongs to one process, whose children have nobody to hand it to."""

    def __init__(self, send: Callable[[Line], None]) -> None:
        super().__init__()
        self._send, self._process = send, os.getpid()
        self._sent = 0

    def begin(self) -> None:
        """A chunk begins: its lines are counted anew."""
        self._sent = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Send the record, unless the chunk has sent too many."""
        if os.getpid() != self._process or self._sent > MOST_LINES:
            return
        self._sent += 1
        try:
            text = (
                self.format(record)
                if self._sent <= MOST_LINES
                else f"more than {MOST_LINES:,} lines: the rest are left out"
            )
        except Exception:
            self.handleError(record)
            return
        place = record.pathname, record.lineno, record.funcName
        self._send((record.created, record.levelno, record.name, text[:LONGEST_LINE], *place))


def listen(send: Callable[[Line], None], level: int) -> LineSender:
    """Take what all loggers of this process log from this level on."""
    sender = LineSender(send)
    root = logging.getLogger()
    root.addHandler(sender)
    root.setLevel(level)
    return sender


def log_again(line: Line) -> None:
    """Log a line here as it was logged there, if its logger takes it."""
    created, level, name, text, path, number, function = line
    logger = logging.getLogger(name)
    if logger.isEnabledFor(level):
        record = logger.makeRecord(name, level, path, number, text, (), None, function)
        record.created, record.msecs = created, (created % 1) * 1000
        logger.handle(record)
