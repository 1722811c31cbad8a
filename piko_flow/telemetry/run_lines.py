"""The log lines of one attempt of a run, bounded: the first ones and the last ones."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

FIRST, LAST = 200, 800  # lines
FIRST_TEXT, LAST_TEXT = 16 * 1024, 48 * 1024  # characters
LONGEST = 4000  # characters of one line


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it was logged; `created` is in seconds since the epoch."""

    created: float
    level: str
    logger: str
    message: str
    stage: str = ""


class RunLines:
    """Takes lines from any thread. The first can be had at once; of the others the last are kept until the end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first: list[Line] = []
        self._last: deque[Line] = deque()
        self._firsts = self._first_text = self._last_text = self._left_out = 0

    def add(self, line: Line) -> None:
        """Keep the line; perhaps one that came before it and is neither first nor last goes."""
        size = len(line.message)
        with self._lock:
            if not self._last and self._firsts < FIRST and self._first_text + size <= FIRST_TEXT:
                self._first.append(line)
                self._firsts += 1
                self._first_text += size
                return
            self._last.append(line)
            self._last_text += size
            while len(self._last) > LAST or self._last_text > LAST_TEXT:
                self._last_text -= len(self._last.popleft().message)
                self._left_out += 1

    def take_first(self) -> list[Line]:
        """Those of the first lines that came since this was asked last."""
        with self._lock:
            taken, self._first = self._first, []
        return taken

    def take_rest(self) -> list[Line]:
        """All that is left at the end, with a line that tells how many were left out where some were."""
        taken = self.take_first()
        with self._lock:
            rest, self._last = list(self._last), deque()
            left_out, self._left_out = self._left_out, 0
        if left_out:
            told = f"{left_out:,} lines were left out here: of an attempt the first and the last are kept"
            taken.append(Line(rest[0].created, "INFO", "piko_flow", told))
        return taken + rest
