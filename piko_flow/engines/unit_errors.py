"""What can happen to a unit in an interpreter of its own, and how its errors come home."""

from __future__ import annotations

import copy
import pickle
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from piko_flow.counting import counted
from piko_flow.dataflow.workers import transport
from piko_flow.dataflow.workers.errors import RemoteError
from piko_flow.dataflow.workers.shipping import by_value_pickler
from piko_flow.errors import PipelineError, RunError, StageFailed, describe_error, shorten

DEEPEST = 8  # causes of causes that travel
PACKAGE = str(Path(__file__).resolve().parent.parent)


class UnitDied(RunError):
    """The interpreter of a unit ended before the unit did, each time it was tried; nothing was committed.

    `unit` is the unit's id, `split` what it read, as text, `attempts` how often it was tried, `cause` how the
    interpreter ended, `code` minus the signal, or the exit code, `read` how many items it is known to have read.
    """

    def __init__(
        self, *, unit: str, split: str, attempts: int, cause: str, code: int, read: int, run: str
    ) -> None:
        self.unit, self.split, self.attempts = unit, split, attempts
        self.cause, self.code, self.read, self.run = cause, code, read, run
        super().__init__(unit, run)

    def __str__(self) -> str:
        about = f" ({self.split})" if self.split else ""
        return (
            f"unit {self.unit}{about} was tried {self.attempts} times and its interpreter ended each time, the "
            f"last time with {self.cause} after at least {counted(self.read, 'item')} {'was' if self.read == 1 else 'were'} read. {self.committed}. "
            "Look at what its stages call into: compiled code, exits, memory (the system ends what takes too "
            f"much with SIGKILL) [run {self.run}]"
        )


class InterpretersCannotStart(RunError):
    """Interpreters for units end before they are ready; what they print says why."""

    def __init__(self, *, program: str, cause: str, run: str) -> None:
        self.program, self.cause, self.run = program, cause, run
        super().__init__(program, run)

    def __str__(self) -> str:
        return (
            f"interpreters for units ({self.program}) end with {self.cause} before they are ready; "
            f"see what they wrote to standard error [run {self.run}]"
        )


class CannotTravel(PipelineError):
    """A plan cannot be sent to another interpreter, or cannot be loaded there; raised before its units run."""


class Shown:
    """Stands for a value that could not travel; its repr is the value's."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shown) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


@dataclass(frozen=True)
class SentError:
    """An error as it travels: itself where it survives that, what it said, where it came from, and its cause."""

    packed: bytes | None
    kind: str
    message: str
    traceback: str
    cause: SentError | None


def packed_error(error: BaseException, depth: int = 1) -> SentError:
    """Pack an error with its causes; what cannot travel of it goes as text."""
    cause = error.__cause__
    kind = type(error)
    module = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    trace = "".join(traceback.format_exception(kind, error, _users_part(error.__traceback__), chain=False))
    return SentError(
        packed=_survivor(error),
        kind=module + kind.__qualname__,
        message=_message(error)[: transport.LONGEST_TEXT],
        traceback=trace[-transport.LONGEST_TEXT :],
        cause=None if cause is None or depth == DEEPEST else packed_error(cause, depth + 1),
    )


def loaded_error(sent: SentError, *, unit: str) -> BaseException:
    """The error again with its causes, RemoteError where it could not travel; the innermost notes where it was raised."""
    error: BaseException = RemoteError(sent.kind, sent.message, sent.traceback)
    if sent.packed is not None:
        try:
            found = transport.unpack_apart(sent.packed)
            error = found if isinstance(found, Exception) else error
        except Exception as broken:
            error.add_note(f"The error itself could not be loaded here: {describe_error(broken)}")
    if sent.cause is not None:
        error.__cause__ = loaded_error(sent.cause, unit=unit)
    else:
        error.add_note(f"In the interpreter of unit {unit}:\n{sent.traceback}")
    return error


def pack_or_show(value: Any) -> bytes:
    """The value packed for `transport.unpack_apart`; a Shown in its place where it cannot travel."""
    try:
        return transport.pack_apart(value, by_value_pickler())
    except Exception:
        return transport.pack_apart(Shown(shorten(value)))


def loaded_or_shown(packed: bytes, text: str) -> Any:
    """The value of `pack_or_show`; a Shown with the text where it cannot be loaded here."""
    try:
        return transport.unpack_apart(packed)
    except Exception:
        return Shown(text)


def _survivor(error: BaseException) -> bytes | None:
    """The error packed, if what comes out of it is the same error; else None."""
    if not isinstance(error, Exception):
        return None  # SystemExit and its like would end the one who receives them
    for candidate in _candidates(error):
        for pickler in (pickle.Pickler, by_value_pickler()):
            with suppress(Exception):  # another form, or the text alone, makes the journey
                packed = transport.pack_apart(candidate, pickler)
                back = transport.unpack_apart(packed)
                if type(back) is type(error) and _message(back) == _message(error):
                    return packed
    return None


def _candidates(error: Exception) -> Iterator[Exception]:
    yield error
    if isinstance(error, StageFailed):
        sent = copy.copy(error)
        sent.item = Shown(shorten(error.item))
        yield sent


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as unprintable:
        return f"<its message raised {type(unprintable).__name__}>"


def _users_part(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the first line outside this library on; all of it where there is none."""
    part = trace
    while part is not None and part.tb_frame.f_code.co_filename.startswith((PACKAGE, "<")):
        part = part.tb_next
    return part or trace
