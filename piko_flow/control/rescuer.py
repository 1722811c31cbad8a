"""Runs of replicas that died go back to the queue, a bounded number of times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from piko_flow.control.draft import Draft
from piko_flow.control.reign import Reign
from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.batch import Ending, Requeue
from piko_flow.store.records import RunRecord

RESCUES = 3  # times a run may lose its replica: then the run itself is what kills them


def rescue(reign: Reign, draft: Draft, lost: Sequence[RunRecord]) -> None:
    """Take lost runs away from their dead replicas: back to the queue, or failed when that happens too often."""
    for run in lost:
        if run.rescues >= RESCUES:
            draft.end(
                Ending(
                    run.id,
                    run.claim,
                    run.flow,
                    RunStatus.FAILED,
                    reason=Reason.RESCUED_TOO_OFTEN,
                    window=run.window,
                    mark=None if run.window is None else Mark.FAILED,
                    error_type="ReplicaDied",
                    error_msg=f"{run.rescues + 1} replicas died while they ran it, the last on host {run.host}",
                )
            )
            reign.end(run.id)
        elif run.cancel_requested:
            draft.end(
                Ending(
                    run.id,
                    run.claim,
                    run.flow,
                    RunStatus.CANCELLED,
                    reason=Reason.CANCELLED,
                    window=run.window,
                )
            )
            reign.end(run.id)
        else:
            draft.requeue(Requeue(run.id, run.claim, Reason.RESCUED, rescue=True))
            reign.back(
                replace(run, status=RunStatus.QUEUED, replica="", admitted=False, rescues=run.rescues + 1)
            )
