"""Where in the flow's own code an error came from, in words that stay the same when lines move and values differ."""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path
from traceback import FrameSummary, StackSummary, TracebackException, extract_tb
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

LONGEST_PLACE = 191  # characters of a place
TRACE = 8000  # characters of a traceback: its end, where the error is
FIELDS = 5  # fields of an invalid value that a place names
_FRAME = re.compile(r'^[ |+]*File "(?P<file>[^"\n]+)", line (?P<line>\d+), in (?P<name>.+)$', re.MULTILINE)
_OURS = str(Path(__file__).resolve().parents[2])
_INSTALLED = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def place_of(error: BaseException) -> str:
    """The innermost function of the flow's own code, where there is one; of an invalid value its wrong fields too."""
    from pydantic import ValidationError  # a slow import, which a run without errors does not need

    frames = extract_tb(error.__traceback__)
    own = _own(frames)
    found = own or ([] if isinstance(error, ValidationError) else list(frames))
    where = f"{Path(found[-1].filename).name}:{found[-1].name}" if found else ""
    if isinstance(error, ValidationError):
        where = " ".join(part for part in (where, _fields(error)) if part)
    return where[:LONGEST_PLACE]


def line_of(error: BaseException) -> str:
    """File, line and innermost function of the flow's own code, for a person to go to; empty where there is none."""
    own = _own(extract_tb(error.__traceback__))
    return f"{Path(own[-1].filename).name}:{own[-1].lineno} in {own[-1].name}" if own else ""


def frames_of(trace: str) -> list[str]:
    """Places in the flow's own code that a traceback names, as `line_of` tells them, in its order.

    Taken from the text, so that those of another process, whose traceback came along as a note, are among them.
    """
    return [
        f"{Path(one['file']).name}:{one['line']} in {one['name']}"
        for one in _FRAME.finditer(trace)
        if _is_own(one["file"])
        and not one["file"].startswith("<")  # made by exec, as the loop of fused stages
    ]


def trace_of(error: BaseException, *, most: int = TRACE) -> str:
    """The traceback with its causes, as text; of one longer than `most` characters the end."""
    try:
        text = "".join(TracebackException.from_exception(error, limit=-20, compact=True).format())
    except Exception as unprintable:  # formatting runs code of the error's class
        return f"<its traceback raised {type(unprintable).__name__}>"
    return text if len(text) <= most else "…" + text[1 - most :]


def _own(frames: StackSummary) -> list[FrameSummary]:
    return [frame for frame in frames if _is_own(frame.filename)]


def _is_own(file: str) -> bool:
    return not file.startswith((_OURS, *_INSTALLED))


def _fields(error: ValidationError) -> str:
    """The wrong fields with what is wrong, places in lists left out."""
    wrong = {
        f"{'.'.join(str(part) for part in one['loc'] if not isinstance(part, int)) or error.title}: {one['type']}"
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    }
    return ", ".join(sorted(wrong)[:FIELDS])
