"""Runs that are made, admitted, claimed or given up: any number in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from piko_flow.store.applying import claimed, new_record, reopened
from piko_flow.store.records import NewRun, ReplicaRecord, RunRecord
from piko_flow.store.sql.database import Session
from piko_flow.store.sql.dialects import Columns, SqlDialect
from piko_flow.store.sql.endings import RUN_ID, SAME
from piko_flow.store.sql.failures import Collided
from piko_flow.store.sql.leases import DUE
from piko_flow.store.sql.run_records import COLUMNS, QUEUED, queued_row, run_record

GIVE_UP: Columns = {"run_id": "int", "reason": "word"}
REOPEN = """UPDATE job_run SET status = 'QUEUED', attempt = attempt + 1, rescues = 0, reason = '', claimed_by = '',
admitted = false, not_before = NULL, cancel_requested = '', end_time = NULL, duration_ms = NULL, compute_ms = NULL,
persist_ms = NULL, error_type = '', error_hash = '', error_msg = '', dead_items = 0 WHERE run_id = :run"""
KEEP_ATTEMPT = """INSERT INTO job_run_attempt
(run_id, attempt, claim, start_time, end_time, reason, error_type, error_msg, host, pid)
SELECT run_id, attempt, claim, start_time, end_time, reason, COALESCE(error_type, ''), COALESCE(error_msg, ''),
COALESCE(host, ''), COALESCE(pid, 0) FROM job_run WHERE run_id = :run"""
CLAIMED = {
    "status": "'RUNNING'",
    "claim": "job_run.claim + 1",
    "claimed_by": ":replica",
    "admitted": "true",
    "reason": "''",
    "start_time": "{at}",
    "host": ":host",
    "pid": ":pid",
}
WAITS = "job_run.status = 'QUEUED'"
# A leader may not have seen yet that the backfill is paused.
MAY_START = f"""{WAITS} AND (job_run.backfill_id IS NULL OR NOT EXISTS
(SELECT 1 FROM backfill b WHERE b.backfill_id = job_run.backfill_id AND b.state = 'paused'))"""


class NewRuns:
    """Writes what happens to runs before they run."""

    def __init__(self, dialect: SqlDialect) -> None:
        self._insert = dialect.insert_new("job_run", QUEUED, key="run_key, job_id")
        self._look = dialect.statement(f"SELECT {COLUMNS} FROM job_run r WHERE r.run_id = :run{{lock}}")
        self._reopen, self._keep_attempt = dialect.statement(REOPEN), dialect.statement(KEEP_ATTEMPT)
        self._made = dialect.statement(
            f"SELECT r.run_id FROM {dialect.rows(RUN_ID)} AS j {{join}} job_run r{{by_key}} ON r.run_id = j.run_id",
            RUN_ID,
        )
        self._give_up = dialect.update_from(
            "job_run",
            GIVE_UP,
            on=SAME,
            sets={"status": "'SKIPPED'", "reason": "j.reason", "admitted": "false", "end_time": "{at}"},
            where=WAITS,
        )
        self._admit = dialect.update_from(
            "job_run", RUN_ID, on=SAME, sets={"admitted": "true"}, where=MAY_START
        )
        self._these = dialect.statement(
            f"SELECT {COLUMNS} FROM {dialect.rows(RUN_ID)} AS j {{join}} job_run r{{by_key}} ON r.run_id = j.run_id "
            "WHERE r.status = 'QUEUED' ORDER BY r.run_id{lock}",
            RUN_ID,
        )
        self._due = dialect.statement(
            f"SELECT {{now}}, {COLUMNS} FROM job_run r{{live}} WHERE {DUE} AND r.run_id > :after "
            "ORDER BY r.run_id LIMIT :limit{skip_locked}"
        )
        self._claim = dialect.update_from("job_run", RUN_ID, on=SAME, sets=CLAIMED, where=WAITS)

    async def look(self, session: Session, run: int) -> RunRecord | None:
        """The run of this id, locked."""
        row = await session.row(self._look, run=run)
        return None if row is None else run_record(row)

    async def reopen(self, session: Session, run: RunRecord) -> RunRecord:
        """Queue the ended run again as its next attempt, and keep the one that ended."""
        await session.change(self._keep_attempt, run=run.id)
        await session.change(self._reopen, run=run.id)
        return reopened(run)

    async def make(
        self, session: Session, runs: Sequence[NewRun], claimer: ReplicaRecord, now: datetime
    ) -> list[RunRecord | None]:
        """The records of the new runs, None where the key was there already."""
        if not runs:
            return []
        first = await session.take_ids(len(runs))
        records = [new_record(first + place, new, claimer, now) for place, new in enumerate(runs)]
        if await session.change_rows(self._insert, list(map(queued_row, records))) == len(records):
            return list(records)
        made = {row[0] for row in await session.given_rows(self._made, _ids(record.id for record in records))}
        return [record if record.id in made else None for record in records]

    async def give_up(self, session: Session, unwanted: Mapping[int, str], now: datetime) -> None:
        """End these queued runs as SKIPPED, each for its reason."""
        rows = [{"run_id": run, "reason": reason} for run, reason in sorted(unwanted.items())]
        await session.change_rows(self._give_up, rows, at=now)

    async def admit(self, session: Session, runs: Sequence[int]) -> None:
        """Let any replica claim these queued runs."""
        await session.change_rows(self._admit, _ids(sorted(runs)))

    async def claim_these(
        self, session: Session, runs: Sequence[int], claimer: ReplicaRecord, now: datetime
    ) -> list[RunRecord]:
        """Claim those of these runs that are queued."""
        rows = await session.given_rows(self._these, _ids(runs))
        found = {run.id: run for run in map(run_record, rows)}
        return await self.take(session, [found[run] for run in runs if run in found], claimer, now)

    async def due(self, session: Session, *, after: int, limit: int) -> Sequence[tuple[object, ...]]:
        """Runs that anyone may claim, oldest first, locked; each row begins with the database's time."""
        return await session.rows(self._due, after=after, limit=limit)

    async def take(
        self, session: Session, runs: Sequence[RunRecord], claimer: ReplicaRecord, now: datetime
    ) -> list[RunRecord]:
        """Claim these runs, which are locked."""
        if not runs:
            return []
        moved = await session.change_rows(
            self._claim,
            _ids(run.id for run in runs),
            replica=claimer.id,
            at=now,
            host=claimer.host,
            pid=claimer.pid,
        )
        if moved != len(runs):
            raise Collided
        return [claimed(run, claimer, now) for run in runs]


def _ids(runs: Iterable[int]) -> list[dict[str, int]]:
    return [{"run_id": run} for run in runs]
