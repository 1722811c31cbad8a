"""One message for a user's mistake, instead of a traceback."""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import FrameSummary, extract_tb

import typer

from piko_flow.cli.stopping import Interrupted
from piko_flow.errors import PikoFlowError, describe_error

INTERRUPTED = 130  # 128 and the number of SIGINT, as shells count
FRAME = re.compile(
    r'^  File "(?P<file>.+)", line (?P<line>\d+), in (?P<name>.+)\n    (?P<code>.+)$', re.MULTILINE
)
PACKAGE = Path(__file__).resolve().parent.parent


class CommandMistake(PikoFlowError):
    """What was asked for on the command line cannot be done; the message says why and what to do."""


@contextmanager
def mistakes_told(*, debug: bool) -> Iterator[None]:
    """End the command with exit code 1 and one message for an error that a user can mend; others pass as they are.

    A user can mend what this library raises on purpose, what the system refuses, and what the user's own code
    raises. With `debug` every error passes, traceback and all.
    """
    try:
        yield
    except Interrupted as stop:
        raise typer.Exit(stop.exit_code) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except (PikoFlowError, OSError) as error:
        if debug or isinstance(error, BrokenPipeError):
            raise
        tell(explained(error))
        raise typer.Exit(1) from None
    except Exception as error:
        frame = innermost(error)
        if debug or frame is None or not is_users(frame.filename):
            raise
        tell(f"{describe_error(error)}\n  raised at {place(frame)}")
        raise typer.Exit(1) from None


def tell(message: str) -> None:
    """Write a message to standard error, marked as an error."""
    print(f"error: {printable(message)}", file=sys.stderr, flush=True)


def explained(error: BaseException) -> str:
    """The error's message, and where in the user's own code its cause was raised."""
    message = str(error) if isinstance(error, PikoFlowError) else describe_error(error)
    cause = error.__cause__
    frame = None if cause is None else own_frame(cause)
    return message if frame is None else f"{message}\n  raised at {place(frame)}"


def own_frame(error: BaseException) -> FrameSummary | None:
    """The innermost frame of the error that lies in the user's code; None when there is none."""
    return next((frame for frame in reversed(frames_of(error)) if is_users(frame.filename)), None)


def frames_of(error: BaseException) -> list[FrameSummary]:
    """The frames of the error, outermost first; those of the worker process it comes from are read from its notes."""
    away = [
        FrameSummary(found["file"], int(found["line"]), found["name"], line=found["code"])
        for note in getattr(error, "__notes__", ())
        for found in FRAME.finditer(note)
    ]
    return [*extract_tb(error.__traceback__), *away]


def innermost(error: BaseException) -> FrameSummary | None:
    """The innermost frame that lies in the user's code or in ours, beneath those of Python and installed packages."""
    frames = extract_tb(error.__traceback__)
    return next(
        (frame for frame in reversed(frames) if is_users(frame.filename) or is_ours(frame.filename)), None
    )


def is_ours(file: str) -> bool:
    """Whether a file belongs to this library; what the demo runs is looked at as a user's."""
    path = Path(file).resolve()
    return path.is_relative_to(PACKAGE) and not path.is_relative_to(PACKAGE / "demo")


def is_users(file: str) -> bool:
    """Whether a file belongs neither to Python, nor to an installed package, nor to this library."""
    if file.startswith("<") or is_ours(file):
        return False
    path = Path(file).resolve()
    return path.is_relative_to(PACKAGE) or not any(path.is_relative_to(folder) for folder in _installed())


def place(frame: FrameSummary) -> str:
    """A frame as `file:line, in function: code`, the file relative to the current folder where it lies below it."""
    path = Path(frame.filename)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    where = f"{shown}:{frame.lineno}"
    within = "" if frame.name == "<module>" else f", in {frame.name}"
    return f"{where}{within}: {frame.line}" if frame.line else f"{where}{within}"


def printable(text: str) -> str:
    """The text without control characters that a terminal would obey; line breaks and tabs stay."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "�" for letter in text)


def _installed() -> set[Path]:
    paths = sysconfig.get_paths()
    return {Path(paths[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}
