"""Where in the user's code a stage was written."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = str(Path(__file__).resolve().parent.parent) + os.sep
_OURS = (_PACKAGE + "dataflow" + os.sep, _PACKAGE + "connectors" + os.sep, _PACKAGE + "testing" + os.sep)


@dataclass(frozen=True)
class Origin:
    """A file and a line, as `file:line`; the file is relative to the current folder where it lies below it."""

    file: str
    line: int

    def __str__(self) -> str:
        below = os.getcwd() + os.sep
        return f"{self.file.removeprefix(below)}:{self.line}"


def caller() -> Origin:
    """The innermost line outside the dataflow half and the ready connectors that led here."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(_OURS) and frame.f_back is not None:
        frame = frame.f_back
    return Origin(frame.f_code.co_filename, frame.f_lineno)
