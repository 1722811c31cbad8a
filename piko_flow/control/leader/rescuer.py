"""Runs of replicas that died go back to the queue, a bounded number of times."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from piko_flow.control.leader.draft import Draft
from piko_flow.control.leader.reign import Reign
from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.batch import Ending, Requeue
from piko_flow.store.records import RunRecord

RESCUES = 3  # times a run may lose its replica: then the run itself is what kills them

log = logging.getLogger("piko_flow.rescuer")


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
            draft.when_moved(run.id, partial(_tell_last, run))
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
            draft.when_moved(run.id, partial(_tell, run))
            reign.back(
                replace(run, status=RunStatus.QUEUED, replica="", admitted=False, rescues=run.rescues + 1)
            )


def _tell(run: RunRecord) -> None:
    log.warning(
        "run %d of %r was taken from replica %s, which counts as dead; it is queued again (rescue %d of %d)",
        run.id,
        run.flow,
        run.replica,
        run.rescues + 1,
        RESCUES,
    )


def _tell_last(run: RunRecord) -> None:
    log.warning(
        "run %d of %r failed: %d replicas died while they ran it, the last was %s",
        run.id,
        run.flow,
        run.rescues + 1,
        run.replica,
    )
