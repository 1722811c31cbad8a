"""Where in the user's code a stage was written."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

_PACKAGE = str(Path(__file__).resolve().parents[2]) + os.sep
_OURS = (
    *(_PACKAGE + folder + os.sep for folder in ("dataflow", "engines", "control", "connectors", "testing")),
    _PACKAGE + "app.py",
    _PACKAGE + "counting.py",
    _PACKAGE + "known_names.py",
    contextlib.__file__,  # `async with start(...)` leads through it
)


@dataclass(frozen=True)
class Origin:
    """A file and a line, as `file:line`; the file is relative to the current folder where it lies below it.

    In a notebook the file is the cell, as the notebook counts it: `In[3]:2`.
    """

    file: str
    line: int

    def __str__(self) -> str:
        try:
            below = os.getcwd() + os.sep
        except OSError:  # the current folder was removed
            below = os.sep * 2
        return f"{self.file.removeprefix(below)}:{self.line}"


def caller() -> Origin:
    """The innermost line outside this library that led here."""
    return origin_of(calling_frame())


def calling_frame() -> FrameType:
    """The innermost frame outside this library that led here."""
    frame = sys._getframe(1)
    while _is_ours(frame) and frame.f_back is not None:
        frame = frame.f_back
    return frame


def origin_of(frame: FrameType) -> Origin:
    """The line that the frame has reached."""
    return Origin(_cell(frame.f_code.co_filename), frame.f_lineno)


def _is_ours(frame: FrameType) -> bool:
    if frame.f_code.co_filename == "<string>":  # the methods that dataclasses write
        return str(frame.f_globals.get("__name__")).startswith("piko_flow.")
    return frame.f_code.co_filename.startswith(_OURS)


def _cell(file: str) -> str:
    """The notebook's name of the cell that was compiled under this file name; other names stay as they are."""
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    compiler: Any = getattr(get_shell() if get_shell is not None else None, "compile", None)
    if not hasattr(compiler, "format_code_name"):
        return file
    named = compiler.format_code_name(file)
    return file if named is None else str(named[1])
