"""What is told and stored of the error that ended an attempt."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from piko_flow.dataflow.reports.failed_place import line_of, place_of
from piko_flow.errors import (
    AlreadyCommitted,
    ErrorBudgetExceeded,
    PipelineError,
    RequestRefused,
    ResumeRefused,
    StageFailed,
    describe_error,
)
from piko_flow.retry import Retry
from piko_flow.tasks import first_cause

LONGEST = 512  # characters of a message, as the column has
NAME = 64  # characters of a type's name
HOPELESS = (PipelineError, RequestRefused, ResumeRefused, AlreadyCommitted)


def cause_of(error: BaseException) -> BaseException:
    """What went wrong in the flow's own code: the cause of a stage's failure, the first error of a group."""
    error = first_cause(error)
    if isinstance(error, StageFailed) and error.__cause__ is not None:
        return first_cause(error.__cause__)
    return error


def type_of(error: BaseException) -> str:
    """The name of the class of what went wrong."""
    return type(cause_of(error)).__name__[:NAME]


def message_of(error: BaseException, hide: Callable[[str], str] = str) -> str:
    """The error in one line, with its stage or its line in the flow's code, cut to what the column holds.

    `hide` takes out what is secret, before the cut: half a secret would not be known for one.
    """
    first = first_cause(error)
    others = len(error.exceptions) - 1 if isinstance(error, BaseExceptionGroup) else 0
    staged = isinstance(first, StageFailed)
    text = hide(str(first) if staged else describe_error(first))
    line = "" if staged or isinstance(first, ErrorBudgetExceeded) else line_of(first)
    rest = (f" ({line})" if line else "") + (f" (and {others} more)" if others else "")
    room = LONGEST - len(rest)
    return (text if len(text) <= room else text[: room - 1] + "…") + rest


def error_text(kind: str, message: str) -> str:
    """An error in one line: its message, after its type where the message does not name that; empty for none."""
    if not kind or kind in message:
        return message
    return f"{kind}: {message}" if message else kind


def hash_of(error: BaseException) -> str:
    """A fingerprint of the error's type and place that stays the same when lines move and values differ."""
    cause, first = cause_of(error), first_cause(error)
    stage = first.stage if isinstance(first, StageFailed) else ""
    kind = f"{type(cause).__module__}.{type(cause).__qualname__}"
    return hashlib.sha256("\n".join((kind, stage, place_of(cause))).encode()).hexdigest()[:32]


def is_retryable(error: BaseException, retry: Retry) -> bool:
    """Whether another attempt may help: not for what is written wrongly, nor for errors that `retry` leaves out."""
    first = first_cause(error)
    if isinstance(first, HOPELESS):
        return False
    return isinstance(first, retry.on) or isinstance(cause_of(error), retry.on)
