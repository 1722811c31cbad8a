"""What a batch means, as pure functions over records: every store reads its rows, asks here, and writes what comes out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from piko_flow.errors import RequestConflicts, RequestRefused
from piko_flow.planning.flow_state import Change, FlowState, LiveRun, finished, observe_edit, without
from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import LIVE, Reason, RunStatus
from piko_flow.store.batch import Batch, Decided, Decision, Ending, Requeue
from piko_flow.store.fitting import fitting_decided
from piko_flow.store.records import (
    AttemptRecord,
    BackfillRecord,
    FlowRecord,
    Lease,
    NewRun,
    ReplicaRecord,
    RunRecord,
)
from piko_flow.store.seen import check_seen

OPEN_BACKFILLS = frozenset({"running", "paused"})
REOPENED = frozenset({RunStatus.FAILED, RunStatus.CANCELLED})


def settle(state: FlowState, ending: Ending) -> Change:
    """The state when a run over a window has ended. A person's edit is taken over first, the watermark shown last.

    `unwanted` are queued runs that the edit made superfluous: they become SKIPPED, see `why_unwanted`.
    """
    if ending.window is None:
        return Change(without(state, (ending.run,)))
    edited = observe_edit(state)
    ended = finished(edited.state, ending.run, ending.window, ending.mark)
    return replace(edited, state=show_watermark(ended))


def decide(state: FlowState, decision: Decision, now: datetime) -> Decided:
    """What the decision makes of the state as it is now, the watermark shown. Raises what `decide` raises.

    The new runs are not yet in the state's `live`: see `with_run`, once it is known which of them were made.
    """
    decided = fitting_decided(decision.decide(state, now))
    return replace(decided, change=replace(decided.change, state=show_watermark(decided.change.state)))


def show_watermark(state: FlowState) -> FlowState:
    """The state in which `last_data_time` shows the watermark: where it is NULL or still what was written last.

    Any other value is a person's edit that has not been taken over yet, and stays. Where `shown` has changed, a
    store writes it into the column, on condition that the column still is what `shown` was before: an edit made
    meanwhile is kept, and differs from `written`, so the next step takes it over.
    """
    watermark = state.watermark
    if watermark is None or state.shown not in (None, state.written) or state.shown == watermark:
        return state
    return replace(state, written=watermark, shown=watermark)


def with_run(state: FlowState, run: RunRecord) -> FlowState:
    """The state with one more live run; as it was when the run has no window or is not live."""
    if run.window is None or run.status not in LIVE:
        return state
    live = LiveRun(run.id, run.window, run.status is RunStatus.QUEUED, run.origin)
    return replace(state, live=(*state.live, live))


def live_runs(runs: Iterable[RunRecord]) -> tuple[LiveRun, ...]:
    """A flow's live runs over windows, oldest first, as its state has them."""
    return tuple(
        LiveRun(run.id, run.window, run.status is RunStatus.QUEUED, run.origin)
        for run in runs
        if run.window is not None and run.status in LIVE
    )


def why_unwanted(change: Change) -> str:
    """The reason that is stored with the runs that the change gives up."""
    return change.reason or Reason.SUPERSEDED.value


def refused_backfill(decided: Decided, record: BackfillRecord | None) -> RequestRefused | None:
    """Why a decision for a backfill is refused; None when it is not: a cancelled backfill queues nothing more.

    `record` is the backfill that `decided.backfill` names, as it is now.
    """
    if decided.backfill is None or (record is not None and record.state in OPEN_BACKFILLS):
        return None
    return RequestRefused(
        what=f"queue windows of backfill {decided.backfill[0]}",
        rule="a backfill queues windows while it is running or paused",
        got="it is not there" if record is None else f"it is {record.state}",
    )


def refused_reopening(decided: Decided, flow: str, run: RunRecord | None) -> RequestRefused | None:
    """Why a decision that reopens a run is refused; None when it is not. `run` is the one that `decided.reopen` names."""
    if decided.reopen is None:
        return None
    what, there = f"run {decided.reopen} of {flow!r} once more", run is not None and run.flow == flow
    if there and run is not None:
        try:
            check_seen(what, decided.seen, status=run.status, attempt=run.attempt)
        except RequestConflicts as conflict:
            return conflict
        if run.status in REOPENED:
            return None
    return RequestRefused(
        what=what,
        rule="a run is tried again when it has ended FAILED or CANCELLED",
        got=f"it is {run.status}" if there and run is not None else "the flow has no such run",
    )


def is_outdated(batch: Batch, lease: Lease | None) -> bool:
    """Whether somebody leads in a newer term than the batch's."""
    return batch.term is not None and lease is not None and lease.term > batch.term.number


def is_alive(replica: str, row: ReplicaRecord | None, leases: Iterable[Lease], now: datetime) -> bool:
    """Whether a replica counts as alive: its `until` has not passed, or it holds a lease that has not run out."""
    if row is not None and row.until is not None and row.until > now:
        return True
    return any(lease.holder == replica and lease.until > now for lease in leases)


def may_end(run: RunRecord, batch: Batch, claim: int) -> bool:
    """Whether the run is running under this claim of the batch's replica; who writes in a term may end any claim."""
    held = run.status is RunStatus.RUNNING and run.claim == claim
    return held and (run.replica == batch.replica or batch.term is not None)


def may_requeue(run: RunRecord, batch: Batch, requeue: Requeue) -> bool:
    """Whether the run is running under this claim; of this replica, unless it is a rescue."""
    held = run.status is RunStatus.RUNNING and run.claim == requeue.claim
    return held and (requeue.rescue or run.replica == batch.replica)


def has_ended_so(run: RunRecord, ending: Ending) -> bool:
    """Whether this ending has been written already: asking again after an unclear failure is no mistake."""
    return run.claim == ending.claim and run.status is ending.status


def was_requeued(run: RunRecord, requeue: Requeue) -> bool:
    """Whether this requeue has been written already, and nobody has claimed the run since."""
    return run.claim == requeue.claim and run.status in (RunStatus.QUEUED, RunStatus.CANCELLED)


def new_record(number: int, new: NewRun, claimer: ReplicaRecord, now: datetime) -> RunRecord:
    """The row of a new run under this id; claimed at once by the replica where that was asked for.

    One that is claimed ahead of its time begins then.
    """
    ended = new.status not in LIVE
    taken = new.claim and not ended
    return RunRecord(
        id=number,
        flow=new.flow,
        status=RunStatus.RUNNING if taken else new.status,
        scheduled_time=new.scheduled_time,
        key=new.key,
        origin=new.origin,
        window=new.window,
        generation=new.generation,
        backfill=new.backfill,
        params_version=new.params_version,
        params=new.params,
        config_version=new.config_version,
        schedule_version=new.schedule_version,
        not_before=new.not_before,
        fires=new.fires,
        first_fire=new.first_fire,
        requested_by=new.requested_by,
        trace=new.trace,
        reason="" if taken else new.reason,
        admitted=taken,
        replica=claimer.id if taken else "",
        claim=int(taken),
        start_time=max(now, new.not_before or now) if taken else None,
        end_time=now if ended else None,
        host=claimer.host if taken else "",
        pid=claimer.pid if taken else 0,
        created_at=now,
    )


def claimed(run: RunRecord, replica: ReplicaRecord, now: datetime) -> RunRecord:
    """The queued run, running at this replica under a claim of its own."""
    return replace(
        run,
        status=RunStatus.RUNNING,
        replica=replica.id,
        claim=run.claim + 1,
        admitted=True,
        reason="",
        start_time=now,
        host=replica.host,
        pid=replica.pid,
    )


def ended(run: RunRecord, ending: Ending, now: datetime) -> RunRecord:
    """The running run, ended."""
    return replace(
        run,
        status=ending.status,
        reason=ending.reason,
        admitted=False,
        end_time=now,
        duration_ms=ending.duration_ms,
        compute_ms=ending.compute_ms,
        persist_ms=ending.persist_ms,
        error_type=ending.error_type,
        error_hash=ending.error_hash,
        error_msg=ending.error_msg,
        dead_items=ending.dead_items,
    )


def requeued(run: RunRecord, requeue: Requeue, now: datetime) -> RunRecord:
    """The running run, queued again and not admitted; ended as CANCELLED where somebody has asked for that."""
    run = replace(
        run,
        replica="",
        admitted=False,
        error_type=requeue.error_type,
        error_msg=requeue.error_msg,
        rescues=run.rescues + requeue.rescue,
    )
    if run.cancel_requested:
        return replace(run, status=RunStatus.CANCELLED, reason=Reason.CANCELLED, end_time=now)
    return replace(
        run,
        status=RunStatus.QUEUED,
        reason=requeue.reason,
        attempt=run.attempt + requeue.attempt,
        not_before=requeue.not_before,
    )


def reopened(run: RunRecord) -> RunRecord:
    """The failed or cancelled run, queued again as its next attempt, with all its rescues before it."""
    return replace(
        run,
        status=RunStatus.QUEUED,
        attempt=run.attempt + 1,
        rescues=0,
        reason="",
        replica="",
        admitted=False,
        not_before=None,
        cancel_requested="",
        end_time=None,
        duration_ms=None,
        compute_ms=None,
        persist_ms=None,
        error_type="",
        error_hash="",
        error_msg="",
        dead_items=0,
    )


def ended_attempt(run: RunRecord) -> AttemptRecord:
    """What is kept of an ended run's last attempt when it is reopened."""
    return AttemptRecord(
        run=run.id,
        attempt=run.attempt,
        start_time=run.start_time,
        end_time=run.end_time,
        reason=run.reason,
        error_type=run.error_type,
        error_msg=run.error_msg,
        host=run.host,
        pid=run.pid,
    )


def past_attempt(run: RunRecord, requeue: Requeue, now: datetime) -> AttemptRecord:
    """What is kept of the attempt that a requeue ends; `run` is the run as it was while it ran."""
    return AttemptRecord(
        run=run.id,
        attempt=run.attempt,
        start_time=run.start_time,
        end_time=now,
        reason=requeue.reason,
        error_type=requeue.error_type,
        error_msg=requeue.error_msg,
        host=run.host,
        pid=run.pid,
    )


def given_up(run: RunRecord, status: RunStatus, reason: str, now: datetime) -> RunRecord:
    """The queued run, ended without having run."""
    return replace(run, status=status, reason=reason, admitted=False, end_time=now)


def flow_record(state: FlowState, *, paused: str = "", refused: str = "") -> FlowRecord:
    """What others see of a flow's state."""
    return FlowRecord(
        flow=state.flow,
        planned_until=state.planned_until,
        schedule=state.schedule,
        origin=state.origin,
        watermark=state.watermark,
        generation=state.generation,
        paused=paused,
        refused=refused,
        first_failed=next((span.start for span in state.ledger.spans if span.mark is Mark.FAILED), None),
    )
