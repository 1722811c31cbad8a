"""Looking at runs, and ending them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from piko_flow.control.flows.flow import Flow
from piko_flow.control.operations.plane_params import hidden_text, shown_params
from piko_flow.control.operations.plane_part import PlanePart, missing, refuse
from piko_flow.control.params.params import check_params
from piko_flow.errors import RequestRefused
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.protocols import RunFilter
from piko_flow.store.records import AttemptRecord, ParamsVersion, RunRecord
from piko_flow.store.seen import Seen

MOST = 1000  # runs of one page


@dataclass(frozen=True, slots=True)
class RunPage:
    """Runs, newest first; `before` is what to ask the next page with, None after the last one."""

    runs: tuple[RunRecord, ...]
    before: int | None


@dataclass(frozen=True, slots=True)
class RunView:
    """A run with the attempts before its last one, the version of the parameters that it is pinned to, and the
    values given with its trigger, secrets hidden.

    `zone` is where its times are shown. `version` is None where the model's defaults hold. `params` are what it runs
    with: where the flow is not registered or takes them no more, only what the row and the trigger say.
    """

    run: RunRecord
    attempts: tuple[AttemptRecord, ...]
    version: ParamsVersion | None
    given: dict[str, Any]
    params: dict[str, Any]
    zone: str


class PlaneRuns(PlanePart):
    """List, show, cancel."""

    async def runs(self, which: RunFilter) -> RunPage:
        """One page of the runs that match, newest first. Refused for a page of more than 1,000 or fewer than 1."""
        if not 1 <= which.limit <= MOST:
            refuse("list runs", f"a page has 1 to {MOST} runs", f"{which.limit} were asked for")
        found = await self.store.runs(which)
        return RunPage(tuple(found), found[-1].id if len(found) == which.limit else None)

    async def run(self, number: int, *, zone: str | None = None) -> RunView:
        """Everything that is kept of a run. Refused when there is none of this number.

        `zone` is where its times are shown, that of the flow without it.
        """
        run = await self.store.run(number)
        if run is None:
            missing(f"show run {number}", "a run has a number", "there is no such run, or it has been pruned")
        version = None
        if run.params_version is not None:
            version = await self.store.params_version(run.params_version)
        flow = self.registry.get(run.flow)
        given = (hidden_text(flow, run.params) if run.params else None) or {}
        params = _params(flow, version.text if version is not None else None, run.params)
        attempts = tuple(await self.store.attempts(number))
        return RunView(run, attempts, version, given, params, zone or await self.zone(run.flow))

    async def cancel(self, run: int, *, by: str = "", expected: Seen | None = None) -> RunRecord:
        """End a queued run, stop a running one; gives it as it is then. Its window stays a gap.

        A running one is RUNNING until its replica has stopped it. Refused for one that has ended otherwise. Of what
        is `expected` it has status and attempt.
        """
        before = await self.store.run(run)
        found = await self.store.cancel(run, by=by or self.actor.who, seen=expected)
        if found is None:
            missing(f"cancel run {run}", "a run has a number", "there is no such run, or it has been pruned")
        if found.status not in (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.CANCELLED):
            refuse(f"cancel run {run}", "only a run that has not ended is cancelled", f"it is {found.status}")
        if (
            found.status is RunStatus.RUNNING and not found.cancel_requested
        ) or found.status is RunStatus.QUEUED:
            refuse(f"cancel run {run}", "a run is cancelled before its commit is decided", "it is decided")
        if self.replica is not None:
            await self.replica.cancel_here(run)
        if before is not None and (was := _standing(before)) != (now := _standing(found)):
            await self.changed("run.cancel", f"run {run}", before=was, after=now, by=by)
        return found


def _standing(run: RunRecord) -> dict[str, Any]:
    return {"flow": run.flow, "status": run.status, "cancel_requested": bool(run.cancel_requested)}


def _params(flow: Flow | None, text: str | None, overrides: str | None) -> dict[str, Any]:
    if flow is not None:
        with suppress(RequestRefused):  # the flow's model has become another one
            return shown_params(flow, check_params(flow, text, overrides))
    written = [hidden_text(flow, one) or {} for one in (text, overrides) if one]
    return {name: value for values in written for name, value in values.items()}
