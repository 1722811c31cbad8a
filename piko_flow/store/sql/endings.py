"""Runs that end, or go back to the queue: guarded by their claims, any number in one statement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeVar

from piko_flow.planning.run_state import RunStatus
from piko_flow.store.applying import has_ended_so, may_end, may_requeue, was_requeued
from piko_flow.store.batch import Batch, Ending, Requeue
from piko_flow.store.records import RunRecord
from piko_flow.store.sql.database import Session
from piko_flow.store.sql.dialects import Columns, SqlDialect
from piko_flow.store.sql.failures import Collided
from piko_flow.store.sql.run_records import COLUMNS, run_record
from piko_flow.store.sql.statements import maybe_text

Change = TypeVar("Change", Ending, Requeue)

ENDING: Columns = {
    "run_id": "int",
    "claim": "int",
    "status": "word",
    "reason": "word",
    "duration_ms": "int",
    "compute_ms": "int",
    "persist_ms": "int",
    "error_type": "word",
    "error_hash": "word",
    "error_msg": "text",
    "dead_items": "int",
}
REQUEUE: Columns = {
    "run_id": "int",
    "claim": "int",
    "reason": "word",
    "grow": "int",
    "rescue": "int",
    "not_before": "time",
    "error_type": "word",
    "error_msg": "text",
}
RUN_ID: Columns = {"run_id": "int"}
SAME = "job_run.run_id = j.run_id"
HELD = "job_run.status = 'RUNNING' AND job_run.claim = j.claim"
CANCELLED = "job_run.cancel_requested <> ''"
SETS = {
    "status": f"CASE WHEN {CANCELLED} THEN 'CANCELLED' ELSE 'QUEUED' END",
    "reason": f"CASE WHEN {CANCELLED} THEN 'cancelled' ELSE j.reason END",
    "end_time": f"CASE WHEN {CANCELLED} THEN {{at}} ELSE NULL END",
    "attempt": f"CASE WHEN {CANCELLED} THEN job_run.attempt ELSE job_run.attempt + j.grow END",
    "not_before": f"CASE WHEN {CANCELLED} THEN job_run.not_before ELSE j.not_before END",
    "rescues": "job_run.rescues + j.rescue",
    "error_type": "j.error_type",
    "error_msg": "j.error_msg",
    "claimed_by": "''",
    "admitted": "false",
}


class NotAllMoved(Exception):
    """Some claims do not hold any more; which ones has to be looked at before anything is written."""


class Endings:
    """Writes the ends and returns of runs."""

    def __init__(self, dialect: SqlDialect) -> None:
        told = {name: f"j.{name}" for name in ENDING if name not in ("run_id", "claim")}
        self._end = dialect.update_from(
            "job_run",
            ENDING,
            on=SAME,
            sets=told | {"end_time": "{at}", "admitted": "false"},
            where=f"{HELD} AND (:anyone = 1 OR job_run.claimed_by = :replica)",
        )
        mine = f"{HELD} AND (j.rescue = 1 OR job_run.claimed_by = :replica)"
        self._requeue = dialect.update_from("job_run", REQUEUE, on=SAME, sets=SETS, where=mine)
        self._keep_attempts = dialect.statement(
            "INSERT INTO job_run_attempt (run_id, attempt, claim, start_time, end_time, reason, error_type, error_msg, "
            "host, pid) SELECT job_run.run_id, job_run.attempt, job_run.claim, job_run.start_time, {at}, j.reason, "
            "j.error_type, j.error_msg, COALESCE(job_run.host, ''), COALESCE(job_run.pid, 0) "
            f"FROM {dialect.rows(REQUEUE)} AS j {{join}} job_run{{by_key}} ON {SAME} "
            f"WHERE (j.grow = 1 OR j.rescue = 1) AND job_run.cancel_requested = '' AND {mine}",
            REQUEUE,
        )
        self._look = dialect.statement(
            f"SELECT {COLUMNS} FROM {dialect.rows(RUN_ID)} AS j {{join}} job_run r{{by_key}} ON r.run_id = j.run_id "
            "ORDER BY r.run_id{lock}",
            RUN_ID,
        )

    async def end(self, session: Session, batch: Batch, endings: Sequence[Ending], now: datetime) -> int:
        """How many of the runs have ended by this."""
        anyone = 1 if batch.term is not None else 0
        # In the order in which all lock runs, and not in that of their ends.
        rows = list(map(_ending_row, sorted(endings, key=attrgetter("run"))))
        return await session.change_rows(self._end, rows, replica=batch.replica, anyone=anyone, at=now)

    async def end_all(
        self, session: Session, batch: Batch, stale: set[int] | None, now: datetime
    ) -> list[Ending]:
        """The endings that were written, of those in the batch.

        All of them have to be; else NotAllMoved is raised, unless `stale` is given: then it is looked first, and
        `stale` gets the runs whose claims do not hold.
        """
        endings = batch.endings
        if stale is not None and endings:
            endings = await self._still(
                session, endings, lambda run, one: may_end(run, batch, one.claim), has_ended_so, stale
            )
        if endings and await self.end(session, batch, endings, now) != len(endings):
            raise NotAllMoved if stale is None else Collided
        return endings

    async def requeue_all(
        self, session: Session, batch: Batch, stale: set[int] | None, now: datetime
    ) -> None:
        """Give back all runs that the batch gives back; as with `end_all`."""
        requeues = batch.requeues
        if stale is not None and requeues:
            requeues = await self._still(
                session, requeues, lambda run, one: may_requeue(run, batch, one), was_requeued, stale
            )
        if not requeues:
            return
        rows = list(map(_requeue_row, requeues))
        if any(requeue.attempt or requeue.rescue for requeue in requeues):
            await session.change_rows(self._keep_attempts, rows, replica=batch.replica, at=now)
        if await session.change_rows(self._requeue, rows, replica=batch.replica, at=now) != len(rows):
            raise NotAllMoved if stale is None else Collided

    async def _still(
        self,
        session: Session,
        changes: Sequence[Change],
        may: Callable[[RunRecord, Change], bool],
        done: Callable[[RunRecord, Change], bool],
        stale: set[int],
    ) -> list[Change]:
        """The changes that may be written; `stale` gets those that neither may be nor have been."""
        rows = await session.given_rows(self._look, [{"run_id": one.run} for one in changes])
        runs = {run.id: run for run in map(run_record, rows)}
        kept: list[Change] = []
        for one in changes:
            run = runs.get(one.run)
            if run is not None and may(run, one):
                kept.append(one)
            elif run is None or not done(run, one):
                stale.add(one.run)
        return kept


def _ending_row(ending: Ending) -> dict[str, Any]:
    return {
        "run_id": ending.run,
        "claim": ending.claim,
        "status": ending.status,
        "reason": ending.reason,
        "duration_ms": ending.duration_ms,
        "compute_ms": ending.compute_ms,
        "persist_ms": ending.persist_ms,
        "error_type": ending.error_type,
        "error_hash": ending.error_hash,
        "error_msg": ending.error_msg,
        "dead_items": ending.dead_items,
    }


def _requeue_row(requeue: Requeue) -> dict[str, Any]:
    return {
        "run_id": requeue.run,
        "claim": requeue.claim,
        "reason": requeue.reason,
        "grow": int(requeue.attempt),
        "rescue": int(requeue.rescue),
        "not_before": maybe_text(requeue.not_before),
        "error_type": requeue.error_type,
        "error_msg": requeue.error_msg,
    }


def succeeded_positions(endings: Sequence[Ending]) -> dict[str, str]:
    """By flow, where its newest successful run left its source."""
    return {
        ending.flow: ending.position
        for ending in endings
        if ending.position is not None and ending.status is RunStatus.SUCCESS
    }
