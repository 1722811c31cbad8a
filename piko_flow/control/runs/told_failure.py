"""The error that ended an attempt, as it is kept for people: its stage and item, where it was raised, its traceback."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from piko_flow.control.params.line_redaction import LineRedaction
from piko_flow.control.params.redaction import Redaction
from piko_flow.control.runs.failure import type_of
from piko_flow.dataflow.reports.failed_place import TRACE, frames_of, trace_of
from piko_flow.errors import ErrorBudgetExceeded, StageFailed, shorten
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.records import RunRecord
from piko_flow.tasks import first_cause

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
