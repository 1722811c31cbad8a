"""Keeping what runs log, whatever handlers the program has."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from piko_flow.telemetry.logged_run import logged_run

FLOWS = "piko_flow.flow"  # above the loggers of runs


class LineCapture:
    """Looks at each record that is made in the name of a run.

    It stands where records are made, not among the handlers: a program that has none, or makes its own later, finds
    logging as it expects it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._installed = False
        self._before: Callable[..., logging.LogRecord] = logging.LogRecord
        """Stays when this stands aside: a thread may be about to call `_make`."""

    @contextmanager
    def at_work(self, level: str) -> Iterator[None]:
        """Inside the block lines are kept; those of `run.logger` from this level on if no level is set for them."""
        with self._lock:
            self._users += 1
            self._install()
        flows = logging.getLogger(FLOWS)
        quiet = flows.level == logging.NOTSET and not flows.isEnabledFor(logging.getLevelName(level))
        if quiet:
            flows.setLevel(level)
        try:
            yield
        finally:
            if quiet:
                flows.setLevel(logging.NOTSET)
            with self._lock:
                self._users -= 1
                self._remove()

    def _install(self) -> None:
        if not self._installed:
            self._installed, self._before = True, logging.getLogRecordFactory()
            logging.setLogRecordFactory(self._make)

    def _remove(self) -> None:
        """Stand aside, unless somebody else's factory has been put around this one and needs it."""
        if self._users == 0 and self._installed and logging.getLogRecordFactory() == self._make:
            logging.setLogRecordFactory(self._before)
            self._installed = False

    def _make(self, *arguments: Any, **named: Any) -> logging.LogRecord:
        record = self._before(*arguments, **named)
        logged = logged_run.get()
        if logged is not None and self._users:
            logged.add(record)
        return record


line_capture = LineCapture()
"""The one of this process, as the place where records are made is."""
