"""What is worth telling people of: pure rules over what a leader sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from piko_flow.counting import are, counted
from piko_flow.planning.flow_state import SCHEDULE
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.records import RunRecord

FAILED: Final = "failed"
LATE: Final = "late"
GAP: Final = "gap"
LETTERS: Final = "dead_letters"
REFUSED: Final = "refused"
PARAMS: Final = "params_refused"
HELD_UP: Final = "held_up"
LEADERLESS: Final = "no_leader"
SEEN_BY_LEADER: Final = frozenset({FAILED, LATE, GAP, LETTERS, REFUSED, PARAMS, HELD_UP})

Standing = dict[tuple[str, str], str]
"""What is so now: by kind and subject, in words."""
UNDECIDED: Final = ""
"""Instead of words: it goes on if it is so already, and does not begin."""
OVER: Final = {
    FAILED: "{subject!r} has succeeded again",
    LATE: "no run of {subject!r} is late any more",
    GAP: "{subject!r} has no gap any more",
    LETTERS: "{subject!r} has fewer open dead letters again",
    REFUSED: "{subject!r} has a schedule again, or its row is gone",
    PARAMS: "the newest parameters of {subject!r} are used",
    HELD_UP: "{subject!r} is held up no more",
    LEADERLESS: "somebody leads again",
}
"""What is well again, by kind; a kind that is not here is told by the words of its beginning alone."""


def failed(last_runs: Mapping[str, RunRecord]) -> Standing:
    """Flows whose last run failed for good; one whose next run has not ended is as it was."""
    standing: Standing = {}
    for flow, run in last_runs.items():
        if run.status is RunStatus.FAILED:
            error = f" with {run.error_type}" if run.error_type else ""
            standing[FAILED, flow] = f"run {run.id} of {flow!r} failed for good{error}"
        elif run.status is not RunStatus.SUCCESS:
            standing[FAILED, flow] = UNDECIDED
    return standing


def late(live: Iterable[RunRecord], now: datetime, grace: timedelta) -> Standing:
    """Flows with a run of their schedule that has waited for longer than it may."""
    standing: Standing = {}
    for run in live:
        due = max(run.scheduled_time, run.not_before or run.scheduled_time)
        waits = run.status is RunStatus.QUEUED and run.origin == SCHEDULE
        if waits and now - due > grace:
            told = f"a run of {run.flow!r} was due at {due:%Y-%m-%d %H:%M:%S} UTC and has not begun"
            standing.setdefault((LATE, run.flow), told)
    return standing


def gaps(found: Mapping[str, int]) -> Standing:
    """Flows with gaps."""
    return {
        (
            GAP,
            flow,
        ): f"there {are(count)} {counted(count, 'gap')} in the windows of {flow!r}"
        for flow, count in found.items()
        if count
    }


def letters(found: Mapping[str, int], most: int) -> Standing:
    """Flows with too many open dead letters."""
    return {
        (LETTERS, flow): f"{flow!r} has {counted(count, 'open dead letter')}"
        for flow, count in found.items()
        if count >= most
    }


def refused(rows: Iterable[str], params: Iterable[str]) -> Standing:
    """Flows whose schedule rows, and those whose parameters nobody can use. Why is not told: it may show data."""
    told = "the schedule row of {!r} cannot be used: it has no schedule until the row is mended"
    standing = {(REFUSED, flow): told.format(flow) for flow in rows}
    told = "the newest parameters of {!r} cannot be used: those before them stay in force"
    return standing | {(PARAMS, flow): told.format(flow) for flow in params}


def held_up(found: Mapping[str, str]) -> Standing:
    """Flows that wait for another one that does not get on."""
    return {
        (HELD_UP, flow): f"{flow!r} waits for {upstream!r}, which does not get on by itself"
        for flow, upstream in found.items()
    }


def over_told(kind: str, subject: str, told: str) -> str:
    """What is told of an episode that is over: what is well again, and then what it was about."""
    well = OVER[kind].format(subject=subject) + "; " if kind in OVER else ""
    return f"{well}over: {told}"
