"""What is kept of an attempt and of the error that ended it: its stage and item, where it was raised, its traceback."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from piko_flow.control.params.redaction import LineRedaction, Redaction, secrets_in
from piko_flow.dataflow.reports.failed_place import TRACE, frames_of, line_of, place_of, trace_of
from piko_flow.errors import (
    AlreadyCommitted,
    ErrorBudgetExceeded,
    PipelineError,
    RequestRefused,
    ResumeRefused,
    StageFailed,
    describe_error,
    shorten,
)
from piko_flow.planning.run_state import RunStatus
from piko_flow.retry import Retry
from piko_flow.store.records import RunRecord
from piko_flow.tasks import first_cause
from piko_flow.telemetry.json_line import json_line

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


ITEM = 2000  # characters of the item
WHOLE = 8 * TRACE  # characters of a traceback of which what is secret is hidden; the end of them is kept
FRAMES = 5  # places in the flow's own code, the innermost ones

Hide = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class ToldFailure:
    """Why an attempt failed; nothing in it is secret.

    `stage` is empty and `item` None where it was not about one; of too many bad items the first tells. `place` is the innermost line of the flow's own code
    (`orders.py:41 in read`), `frames` are the last five, innermost last; of a worker process the worker's. They are
    empty where no code of the flow was at work. `traceback` has its causes; of a long one the end.
    """

    error_type: str
    message: str
    stage: str
    place: str
    item: str | None
    frames: tuple[str, ...]
    traceback: str


def told_failure(
    error: BaseException, message: str, redaction: Redaction, hide_in_line: LineRedaction
) -> ToldFailure:
    """The error as it may be kept; `message` may be already."""
    first = first_cause(error)
    staged = first if isinstance(first, (StageFailed, ErrorBudgetExceeded)) else None
    item = None if staged is None else staged.item
    hide = hiding(redaction, hide_in_line, item)
    shown = error if staged is None else staged.__cause__ or staged
    trace = hide(trace_of(shown, most=WHOLE))
    frames = tuple(frames_of(trace)[-FRAMES:])  # of the whole: a long message leaves none of them in its end
    return ToldFailure(
        error_type=type_of(error),
        message=_writable(message),
        stage="" if staged is None else _writable(staged.stage),
        place=_writable(frames[-1]) if frames else "",
        item=None if item is None else _writable(_shown(item, redaction, hide_in_line)),
        frames=tuple(map(_writable, frames)),
        traceback=_writable(_end(trace, TRACE))
        if 'File "' in trace
        else "",  # without a frame it says no more than the message
    )


def hiding(redaction: Redaction, hide_in_line: Hide, item: object) -> Hide:
    """What makes of a text that was told of the item one without anything secret."""
    return lambda text: hide_in_line(redaction.text(text, item))


def failures_in(reports: Mapping[int, str]) -> dict[int, ToldFailure]:
    """The failures in the reports of a run, by attempt; one that is written in another way is left out."""
    found = {}
    for attempt, text in reports.items():
        failure = _failure(text)
        if failure is not None:
            found[attempt] = failure
    return found


def failures_of(run: RunRecord, reports: Mapping[int, str]) -> dict[int, ToldFailure]:
    """The failures of a run's attempts, from its reports.

    That of its last attempt only where this has failed: a replica that lost the run may have kept another end of it.
    """
    failures = failures_in(reports)
    if run.status is not RunStatus.FAILED:
        failures.pop(run.attempt, None)
    return failures


def _failure(text: str) -> ToldFailure | None:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):  # RecursionError: thousands of brackets
        return None
    failure = values.get("failure") if isinstance(values, dict) else None
    if not isinstance(failure, dict) or not isinstance(frames := failure.get("frames", []), list):
        return None
    texts: dict[str, Any] = {
        name: str(failure.get(name) or "")
        for name in ("error_type", "message", "stage", "place", "traceback")
    }
    item = failure.get("item")
    return ToldFailure(
        **texts, item=None if item is None else str(item), frames=tuple(str(frame) for frame in frames)
    )


def _shown(item: object, redaction: Redaction, hide_in_line: Hide) -> str:
    """The item as text; where fields are to be hidden as JSON without their values, or nothing where it is none."""
    text = shorten(item, 2 * ITEM)
    if redaction.names:
        kept = json.loads(redaction.payload(item))
        text = json.dumps(kept["value"], ensure_ascii=False) if "value" in kept else kept["repr"]
    text = hide_in_line(text)
    return text if len(text) <= ITEM else text[: ITEM - 1] + "…"


def _end(text: str, most: int) -> str:
    return text if len(text) <= most else "…" + text[1 - most :]


def _writable(text: str) -> str:
    """The text as UTF-8 can hold it: of a file's name, or a message, not every character can be written."""
    return text.encode("utf-8", "backslashreplace").decode()


class ToldAttempt:
    """One attempt, as far as it has anything to tell. `redact` are names of fields; `params` the run's, once known."""

    def __init__(self, *redact: Collection[str]) -> None:
        self._names = redact
        self._params: object = None
        self.account: Mapping[str, Any] | None = None
        """That of its pipeline, once there is one."""
        self.failure: ToldFailure | None = None
        """What ended it, where that was an error."""
        self._lines: LineRedaction | None = None

    @property
    def params(self) -> object:
        """Those of the run, None before they are known."""
        return self._params

    @params.setter
    def params(self, params: object) -> None:
        self._params, self._lines = params, None

    @property
    def redaction(self) -> LineRedaction:
        """Hides what is secret in its texts, from any thread; made with the first of them."""
        if (lines := self._lines) is None:
            self._lines = lines = LineRedaction(Redaction.of(*self._names), secrets_in(self._params))
        return lines

    def hide(self, text: str) -> str:
        """The text without what is secret in it, as far as the params are known by now."""
        return self.redaction(text)

    def report(self) -> str | None:
        """Its report as JSON: the account of its pipeline and its `failure`; None where it has neither."""
        failure = {} if self.failure is None else {"failure": asdict(self.failure)}
        values = {**(self.account or {}), **failure}
        return json_line(values) if values else None
