"""The attempts of a run as its page shows them: who had each, how it ended, and what it left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from piko_flow.control.flows.reasons import MEANINGS
from piko_flow.control.runs.failure_record import ToldFailure
from piko_flow.ops.console.formats import tone
from piko_flow.ops.console.stage_rows import Stages, stages_of
from piko_flow.planning.run_state import LIVE, Reason, RunStatus
from piko_flow.store.records import AttemptRecord, RunRecord


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One time that a replica had the run, or that it waits for one.

    `state` and `tone` are what its badge says; `why` says in words how it ended, empty where `error` does. An attempt that
    is waited for has no `start`, one that goes on no `milliseconds`. `stages` and `failure` are there where no other part
    of the page shows them.
    """

    number: int
    state: str
    tone: str
    start: datetime | None
    milliseconds: int | None
    host: str
    pid: int
    why: str = ""
    error: str = ""
    failure: ToldFailure | None = None
    stages: Stages | None = None


def has_begun(run: RunRecord, attempts: Sequence[AttemptRecord]) -> bool:
    """Whether the last attempt has begun: of one that waits, or never came to run, the row still tells of the one before."""
    started = {one.start_time for one in attempts}
    return run.status is not RunStatus.QUEUED and run.start_time is not None and run.start_time not in started


def attempt_rows(
    run: RunRecord,
    attempts: Sequence[AttemptRecord],
    reports: Mapping[int, str],
    failures: Mapping[int, ToldFailure],
) -> tuple[AttemptRow, ...]:
    """All attempts in order, the last one at the end."""
    begun = has_begun(run, attempts)
    of_number = {one.attempt: place for place, one in enumerate(attempts)}
    rows = [
        _past(one, reports, failures, windowed=run.window is not None)
        # What is kept by number belongs to the last that had it; where that is the present one, the page shows it above.
        if of_number[one.attempt] == place and not (begun and one.attempt == run.attempt)
        else _past(one, {}, {}, windowed=run.window is not None)
        for place, one in enumerate(attempts)
    ]
    return (*rows, _present(run, begun=begun, shown=run.attempt in of_number, reports=reports))


def _past(
    one: AttemptRecord, reports: Mapping[int, str], failures: Mapping[int, ToldFailure], *, windowed: bool
) -> AttemptRow:
    lost = one.reason == Reason.RESCUED
    return AttemptRow(
        one.attempt,
        "rescued" if lost else "cancelled" if one.reason == Reason.CANCELLED else "failed",
        "gap" if lost or one.reason == Reason.CANCELLED else "failed",
        one.start_time,
        _milliseconds(one),
        one.host,
        one.pid,
        why="its replica died, and the run was taken from it"
        if lost
        else _meaning(one.reason, windowed=windowed),
        error=one.error_msg or one.error_type,
        failure=None if lost else failures.get(one.attempt),
        stages=stages_of(reports.get(one.attempt)),
    )


def _present(run: RunRecord, *, begun: bool, shown: bool, reports: Mapping[int, str]) -> AttemptRow:
    state, colour = str(run.status).lower(), tone(run)
    if begun:
        why = (
            ""
            if run.status in LIVE or run.status is RunStatus.SUCCESS
            else _meaning(run.reason, windowed=run.window is not None)
        )
        return AttemptRow(
            *(run.attempt, state, colour, run.start_time, run.duration_ms, run.host, run.pid), why=why
        )
    given_back = run.reason == Reason.RELEASED
    return AttemptRow(
        *(run.attempt, state, colour, None, None, "", 0),
        why=f"{run.host}, process {run.pid}, had it and gave it back" if given_back and run.host else "",
        stages=None if shown else stages_of(reports.get(run.attempt)),
    )


def _milliseconds(one: AttemptRecord) -> int | None:
    if one.start_time is None or one.end_time is None:
        return None
    # Both are times of transactions, which of a short attempt need not be in order.
    return max(int((one.end_time - one.start_time).total_seconds() * 1000), 0)


def _meaning(code: str, *, windowed: bool) -> str:
    """What the reason code means for a run with a window or without; the code where nobody knows that."""
    if code == Reason.CANCELLED and not windowed:
        return "somebody cancelled it"  # what has no window leaves no gap
    known = code in Reason.__members__.values()
    return MEANINGS[Reason(code)].text if known and Reason(code) in MEANINGS else code
