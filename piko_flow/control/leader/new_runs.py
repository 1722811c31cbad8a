"""Making runs to be queued: their keys, and what is pinned on them at that moment."""

from __future__ import annotations

from datetime import datetime

from piko_flow.control.flows.schedule_rows import Schedule
from piko_flow.control.leader.reign import Reign
from piko_flow.planning.flow_state import SCHEDULE, FlowState
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.planning.stateless import DueFire
from piko_flow.planning.window import Window
from piko_flow.store.records import BackfillRecord, NewRun, ParamsVersion, RunRecord


def instant_key(instant: datetime) -> str:
    """An instant as part of a key: UTC with microseconds, always of the same length."""
    return instant.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def window_key(window: Window) -> str:
    """A window as part of a key."""
    return f"{instant_key(window.start)}/{instant_key(window.end)}"


def fire_run(reign: Reign, flow: str, due: DueFire, now: datetime, *, claim: bool) -> NewRun:
    """The run of a stateless flow's fire, claimed at once or not; of fires that came too late, the row that records
    them."""
    params = reign.params.in_force(flow, now)
    schedule = reign.schedules[flow]
    reason = Reason.MISFIRED if due.missed else Reason.COALESCED if due.fires > 1 else ""
    return NewRun(
        flow=flow,
        scheduled_time=due.at,
        key=f"{SCHEDULE}:{'missed:' if due.missed else ''}{instant_key(due.at)}",
        params_version=params.id if params is not None else None,
        config_version=params.version if params is not None else None,
        schedule_version=schedule.row.version,
        fires=due.fires,
        first_fire=due.first,
        status=RunStatus.SKIPPED if due.missed else RunStatus.QUEUED,
        reason=reason,
        claim=claim,
    )


def window_run(reign: Reign, schedule: Schedule, state: FlowState, window: Window, now: datetime) -> NewRun:
    """The run over a window that the schedule asks for: unique in the flow's generation."""
    params = reign.params.in_force(state.flow, now)
    return NewRun(
        flow=state.flow,
        scheduled_time=window.end,
        key=f"{SCHEDULE}:{window_key(window)}:{state.generation}",
        window=window,
        generation=state.generation,
        params_version=params.id if params is not None else None,
        config_version=params.version if params is not None else None,
        schedule_version=schedule.row.version,
    )


def backfill_run(
    reign: Reign, state: FlowState, backfill: BackfillRecord, window: Window, now: datetime
) -> NewRun:
    """The run over a window of a backfill."""
    params = reign.params.in_force(state.flow, now)
    origin = f"backfill {backfill.id}"
    return NewRun(
        flow=state.flow,
        scheduled_time=window.end,
        key=f"{origin}:{window_key(window)}",
        origin=origin,
        window=window,
        generation=state.generation,
        backfill=backfill.id,
        params_version=params.id if params is not None else None,
        params=backfill.params,
        config_version=params.version if params is not None else None,
        requested_by=backfill.requested_by,
    )


def next_slice(run: RunRecord, params: ParamsVersion | None, now: datetime) -> NewRun:
    """The run that goes on where this one's slice of an unbounded source ended; one of it at most."""
    return NewRun(
        flow=run.flow,
        scheduled_time=now,
        key=f"slice after {run.id}",
        origin=run.origin,
        params_version=params.id if params is not None else None,
        params=run.params,
        config_version=params.version if params is not None else None,
        schedule_version=run.schedule_version,
        requested_by=run.requested_by,
    )
