"""What has become of runs between two looks at them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from piko_flow.planning.run_state import LIVE, RunStatus
from piko_flow.store.records import RunRecord


class Happening(StrEnum):
    """What is told of a run."""

    BEGAN = "run_began"
    CHANGED = "run_changed"
    ENDED = "run_ended"
    PROGRESS = "run_progress"
    LOGGED = "run_logged"


class RunChange(NamedTuple):
    """One thing that happened, and the run as it is since."""

    what: Happening
    run: RunRecord


def run_changes(known: Mapping[int, RunRecord], seen: Iterable[RunRecord]) -> list[RunChange]:
    """What happened to the runs that were seen, oldest run first, compared with what was known of them.

    A run that is not known and has ended is told as ended, one that runs as begun, one that waits as changed.
    """
    changes = []
    for run in sorted(seen, key=lambda one: one.id):
        before = known.get(run.id)
        if before == run:
            continue
        changes.append(RunChange(_what(before, run), run))
    return changes


def _what(before: RunRecord | None, run: RunRecord) -> Happening:
    if run.status not in LIVE:
        return Happening.ENDED
    begun = before is not None and before.status is RunStatus.RUNNING and before.attempt == run.attempt
    return Happening.BEGAN if run.status is RunStatus.RUNNING and not begun else Happening.CHANGED
