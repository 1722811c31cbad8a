"""Looking at runs, and ending them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from piko_flow.control.plane_part import PlanePart, refuse
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.protocols import RunFilter
from piko_flow.store.records import AttemptRecord, ParamsVersion, RunRecord

MOST = 1000  # runs of one page


@dataclass(frozen=True, slots=True)
class RunPage:
    """Runs, newest first; `before` is what to ask the next page with, None after the last one."""

    runs: tuple[RunRecord, ...]
    before: int | None


@dataclass(frozen=True, slots=True)
class RunView:
    """A run with the attempts before its last one, the version of the parameters that it is pinned to, and the
    values given with its trigger.

    `zone` is where its times are shown. `version` is None where the model's defaults hold.
    """

    run: RunRecord
    attempts: tuple[AttemptRecord, ...]
    version: ParamsVersion | None
    given: dict[str, Any]
    zone: str


class PlaneRuns(PlanePart):
    """List, show, cancel."""

    async def runs(self, which: RunFilter) -> RunPage:
        """One page of the runs that match, newest first. Refused for a page of more than 1,000 or fewer than 1."""
        if not 1 <= which.limit <= MOST:
            refuse("list runs", f"a page has 1 to {MOST} runs", f"{which.limit} were asked for")
        found = await self.store.runs(which)
        return RunPage(tuple(found), found[-1].id if len(found) == which.limit else None)

    async def run(self, number: int) -> RunView:
        """Everything that is kept of a run. Refused when there is none of this number."""
        run = await self.store.run(number)
        if run is None:
            refuse(f"show run {number}", "a run has a number", "there is no such run, or it has been pruned")
        version = None
        if run.params_version is not None:
            version = await self.store.params_version(run.params_version)
        given = orjson.loads(run.params) if run.params else {}
        attempts = tuple(await self.store.attempts(number))
        return RunView(run, attempts, version, given, await self.zone(run.flow))

    async def cancel(self, run: int, *, by: str = "") -> RunRecord:
        """End a queued run, stop a running one; gives it as it is then. Its window stays a gap.

        A running one is RUNNING until its replica has stopped it. Refused for one that has ended otherwise.
        """
        found = await self.store.cancel(run, by=by or "somebody")
        if found is None:
            refuse(f"cancel run {run}", "a run has a number", "there is no such run, or it has been pruned")
        if found.status not in (RunStatus.RUNNING, RunStatus.CANCELLED):
            refuse(f"cancel run {run}", "only a run that has not ended is cancelled", f"it is {found.status}")
        if self.replica is not None:
            await self.replica.cancel_here(run)
        return found
