"""What follows when an attempt of a run has ended."""

from __future__ import annotations

from datetime import datetime, timedelta

from piko_flow.control.flows.flow import Flow
from piko_flow.control.runs.outcome import Outcome
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Ending, Requeue
from piko_flow.store.records import RunRecord


def next_step(run: RunRecord, flow: Flow | None, outcome: Outcome, now: datetime) -> Ending | Requeue:
    """The run's end, its next attempt, or its way back to the queue.

    A run that goes back is as it was: the attempt does not count. A failed one is tried again while its flow
    has attempts left, after the flow's wait; one whose commit is decided is carried on whatever its flow says.
    """
    if outcome.status is RunStatus.QUEUED:
        return Requeue(run.id, run.claim, outcome.reason)
    if not _again(run, flow, outcome):
        return outcome.ending(run)
    wait = 0.0 if flow is None else flow.retry.delay(run.attempt)
    return Requeue(
        run.id,
        run.claim,
        outcome.reason,
        attempt=True,
        not_before=now + timedelta(seconds=wait),
        error_type=outcome.error_type,
        error_msg=outcome.error_msg,
    )


DECIDED_ATTEMPTS = 10  # of a run whose commit is decided, beyond those of its flow


def _again(run: RunRecord, flow: Flow | None, outcome: Outcome) -> bool:
    if outcome.status is not RunStatus.FAILED or not outcome.retryable or flow is None:
        return False
    most = flow.retry.attempts + (DECIDED_ATTEMPTS if outcome.decided else 0)
    return run.attempt < most and (outcome.decided or not run.cancel_requested)


def what_follows(run: RunRecord, flow: Flow | None, change: Ending | Requeue) -> str:
    """What becomes of a run whose attempt failed, as the end of a sentence; empty where it did not fail."""
    most = 1 if flow is None else flow.retry.attempts
    if isinstance(change, Requeue):
        if not change.attempt:
            return ""
        when = "now" if change.not_before is None else f"at {change.not_before:%Y-%m-%d %H:%M:%S %Z}"
        return f"attempt {run.attempt + 1} of {max(most, run.attempt + 1)} starts {when}"
    if change.status is not RunStatus.FAILED:
        return ""
    if run.attempt >= most:
        return "it is not tried again, that was its last attempt" if most > 1 else "it is not tried again"
    return f"it is not tried again, although it may have {most} attempts: another would not help"
