"""What a person can do on the pages about a line that says why something does not run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from piko_flow.control.operations.explained_facts import Line
from piko_flow.ops.console.flow_address import flow_address
from piko_flow.planning.run_state import Reason

SCHEDULE = "{page}#schedule", "Edit the schedule"
BACKFILL = "{page}#backfill", "Plan a backfill"
PLACES: Final = {
    Reason.NO_SCHEDULE: ("{page}#schedule", "Give it a schedule"),
    Reason.ROW_REFUSED: SCHEDULE,
    Reason.DISABLED: SCHEDULE,
    Reason.MAX_INSTANCES: SCHEDULE,
    Reason.PARAMS_REFUSED: ("{page}#params", "Correct the parameters"),
    Reason.NO_LEADER: ("/replicas", "Look at the replicas"),
    Reason.STRICT_ORDER: ("{page}/backfill?what=gap", "Close the gap"),
    Reason.BACKFILL_FULL: ("/backfills", "Look at the backfills"),
    Reason.SUPERSEDED: BACKFILL,
    Reason.LOOKBACK: BACKFILL,
    Reason.MISFIRED: ("{page}#trigger", "Run it"),
}
ABOUT_RUN: Final = re.compile(r"\brun,? (\d{1,18})\b")


@dataclass(frozen=True, slots=True)
class Step:
    """A link, or with `sends` a button that changes something, and what it says."""

    address: str
    says: str
    sends: bool = False


def step_of(line: Line, flow: str, upstream: str = "", page_of_run: int | None = None) -> Step | None:
    """What to do about the line; None where there is nothing on the pages. `upstream` is the flow that it comes after.

    A page of a run gets no link to itself.
    """
    page = flow_address(flow)
    if line.reason is Reason.PAUSED:
        return _resume(line, page)
    if line.reason is Reason.WAITS_FOR_UPSTREAM and upstream:
        return Step(flow_address(upstream), f"To {upstream}")
    if "--kind gap" in line.advice:
        return Step(f"{page}/backfill?what=gap", "Close the gap")
    if line.reason is not None and line.reason in PLACES:
        address, says = PLACES[line.reason]
        return Step(address.format(page=page), says)
    about = ABOUT_RUN.search(line.text)
    if about is not None and int(about[1]) != page_of_run:
        return Step(f"/runs/{about[1]}", f"To run {about[1]}")
    return None


def with_steps(
    lines: Iterable[Line], flow: str, upstream: str = "", page_of_run: int | None = None
) -> list[tuple[Line, Step | None]]:
    """The lines, each with what to do about it."""
    return [(line, step_of(line, flow, upstream, page_of_run)) for line in lines]


def _resume(line: Line, page: str) -> Step:
    if "--all" in line.advice:
        return Step("/schedules/resume-all", "Resume all schedules", sends=True)
    if "backfill" in line.text:
        return Step("/backfills", "Look at the backfills")
    return Step(f"{page}/resume", "Resume the flow", sends=True)
