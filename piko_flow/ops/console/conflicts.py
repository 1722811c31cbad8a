"""What a page showed, so that acting on something that has changed meanwhile is found out."""

from __future__ import annotations

from typing import NoReturn

from piko_flow.control.plane import ControlPlane
from piko_flow.errors import RequestConflicts
from piko_flow.store.records import RunRecord

LOOK = "Look at it again"


def mark_of_run(run: RunRecord) -> str:
    """What a page says of a run that it shows."""
    return f"{run.status}, attempt {run.attempt}{', asked to stop' if run.cancel_requested else ''}"


async def check_run(plane: ControlPlane, number: int, seen: str) -> None:
    """Raise RequestConflicts where the run is not as it was seen; one that is not there is refused elsewhere."""
    run = await plane.store.run(number)
    if run is not None and mark_of_run(run) != seen:
        conflict(f"change run {number}", seen, mark_of_run(run))


def conflict(what: str, seen: str, now: str) -> NoReturn:
    """Raise RequestConflicts."""
    raise RequestConflicts(
        what=what,
        rule=f"it is as the page showed it ({seen or 'not told'})",
        came=f"it is now {now}",
        advice=LOOK,
    )
