"""What a page showed, so that acting on something that has changed meanwhile is found out."""

from __future__ import annotations

from typing import NoReturn

from piko_flow.control.plane import ControlPlane
from piko_flow.control.plane_params import ParamsView
from piko_flow.errors import RequestConflicts
from piko_flow.store.records import RunRecord, ScheduleRecord

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


def mark_of_row(row: ScheduleRecord | None) -> str:
    """What a page says of a schedule row."""
    return "no row" if row is None else f"version {row.version}"


async def check_row(plane: ControlPlane, flow: str, seen: str) -> None:
    """Raise RequestConflicts where the flow's schedule row is not as it was seen."""
    now = mark_of_row(await plane.row(flow))
    if now != seen:
        conflict(f"change the schedule of {flow!r}", seen, now)


def mark_of_params(view: ParamsView) -> str:
    """What a page says of a flow's parameters."""
    newest = view.unseen or view.refused or (view.coming[-1] if view.coming else view.version)
    return "the model's defaults" if newest is None else f"version {newest.version}"


async def check_params_seen(plane: ControlPlane, flow: str, seen: str) -> None:
    """Raise RequestConflicts where the flow's parameters are not as they were seen."""
    now = mark_of_params(await plane.params(flow))
    if now != seen:
        conflict(f"set the parameters of {flow!r}", seen, now)
