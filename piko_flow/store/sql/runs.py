"""Runs and their attempts: batches written, runs claimed, cancelled and listed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from piko_flow.planning.run_state import LIVE, Reason, RunStatus
from piko_flow.store.applying import given_up
from piko_flow.store.batch import Batch, Written
from piko_flow.store.fitting import fitting_batch, fitting_replica, tell_misfits
from piko_flow.store.protocols import RunFilter
from piko_flow.store.records import AttemptRecord, ReplicaRecord, RunRecord
from piko_flow.store.seen import Seen, check_seen
from piko_flow.store.sql.columns import read_moment
from piko_flow.store.sql.database import Database, Session
from piko_flow.store.sql.endings import NotAllMoved
from piko_flow.store.sql.flow_states import FLOW
from piko_flow.store.sql.leases import DEAD, RUNNING, SqlLeases
from piko_flow.store.sql.run_records import COLUMNS, run_record
from piko_flow.store.sql.writing import BatchStatements, Writing, is_plain
from piko_flow.store.texts import cut

READ_AGAIN = 5000  # rows of newest runs that are not understood anew when pages read them once more
LOOK = 200  # queued runs looked at in one step of a claim
STEPS = 25  # of one claim, when most runs are of flows that this replica does not know

ONE = f"SELECT {COLUMNS} FROM job_run r WHERE r.run_id = :run"
LIVE_RUNS = f"""SELECT {COLUMNS} FROM job_run r{{live}}
WHERE r.status IN ('QUEUED', 'RUNNING') AND (r.status = 'QUEUED' OR r.claim > 0) ORDER BY r.run_id"""
LOST = f"SELECT {COLUMNS} FROM job_run r{{live}} WHERE {RUNNING} AND {DEAD} ORDER BY r.run_id"
CANCELS = f"""SELECT {COLUMNS} FROM job_run r{{live}}
WHERE {RUNNING} AND r.claimed_by = :replica AND r.cancel_requested <> '' ORDER BY r.run_id"""
HOLDS = "SELECT 1 FROM job_run WHERE run_id = :run AND status = 'RUNNING' AND claim = :claim"
CANCEL = """UPDATE job_run SET cancel_requested = :by, status = :status, reason = :reason, admitted = :admitted,
end_time = :at WHERE run_id = :run"""
ATTEMPTS = """SELECT run_id, attempt, start_time, end_time, reason, error_type, error_msg, host, pid
FROM job_run_attempt WHERE run_id = :run ORDER BY attempt, claim"""
LAST = """SELECT status FROM job_run WHERE job_id = :flow AND status IN ('SUCCESS', 'FAILED')
ORDER BY run_id DESC LIMIT :limit"""
POSITION = "SELECT source_position FROM flow_state WHERE job_id = :flow"


class SqlRuns(SqlLeases):
    """RunStore in a database, but for units and retention; see the protocol for what is promised."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        statement = database.dialect.statement
        self._writes = BatchStatements(database.dialect)
        self._is_decided = statement("SELECT 1 FROM job_run_decision WHERE run_id = :run")
        self._one, self._locked = statement(ONE), statement(ONE + "{lock}")
        self._live, self._lost, self._cancels = map(statement, (LIVE_RUNS, LOST, CANCELS))
        self._holds, self._cancel, self._attempts = map(statement, (HOLDS, CANCEL, ATTEMPTS))
        self._newest_runs = statement(
            f"SELECT {COLUMNS} FROM (SELECT (SELECT m.run_id FROM job_run m{{of_flow}} WHERE m.job_id = j.job_id "
            # MariaDB would look at all runs of the flow for their MAX.
            f"ORDER BY m.run_id DESC LIMIT 1) AS run_id FROM {database.dialect.rows(FLOW)} AS j) n "
            "JOIN job_run r ON r.run_id = n.run_id",
            FLOW,
        )
        self._last, self._position = statement(LAST), statement(POSITION)
        self._last_of = lru_cache(maxsize=READ_AGAIN)(run_record)

    async def write(self, batch: Batch) -> Written:
        """Write everything in the batch in one transaction.

        Raises TermOutdated when the batch has a term and a newer one exists; nothing is written then.
        Writing the same endings again after an unclear failure succeeds. What endings do `within` may be done
        more than once, each time in a transaction of which nothing was left.
        """
        batch, misfits = fitting_batch(batch)
        now = self._database.about_now()
        if not misfits and now is not None and is_plain(batch) and await self._end_plain(batch, now):
            return Written(now)
        try:
            written = await self._write(batch, None)
        except NotAllMoved:
            written = await self._write(batch, set())
        return tell_misfits(written, misfits)

    async def _end_plain(self, batch: Batch, now: datetime) -> bool:
        """Whether one statement ended all of them; those it did not have to be looked at."""
        endings = batch.endings
        moved = await self._database.once(
            "end runs", lambda session: self._writes.endings.end(session, batch, endings, now), writes=True
        )
        return moved == len(endings)

    async def _write(self, batch: Batch, stale: set[int] | None) -> Written:
        async def work(session: Session) -> Written:
            claims = batch.claim or batch.decisions or any(new.claim for new in batch.queue)
            claimer = await self._claimer(session, batch.replica) if claims else ReplicaRecord(batch.replica)
            if stale is not None:
                stale.clear()
            now = self._database.about_now()
            return await Writing(self._writes, session, batch, claimer=claimer, now=now, stale=stale).apply()

        return await self._database.transact("write what became of runs", work)

    async def claim(
        self, replica: ReplicaRecord, *, limit: int, known: Callable[[str], bool]
    ) -> list[RunRecord]:
        """Take up to `limit` admitted runs that are due, oldest first, of flows that this replica knows."""
        replica = fitting_replica(replica)
        new_runs = self._writes.new_runs

        async def work(session: Session) -> list[RunRecord]:
            chosen: list[RunRecord] = []
            after, now = 0, None
            for _ in range(STEPS):
                rows = await new_runs.due(session, after=after, limit=max(limit, LOOK))
                found = [run_record(row[1:]) for row in rows]
                if not found:
                    break
                now, after = session.heard(rows[0][0]), found[-1].id
                chosen += [run for run in found if known(run.flow)][: limit - len(chosen)]
                if len(chosen) >= limit or len(found) < max(limit, LOOK):
                    break
            return [] if now is None else await new_runs.take(session, chosen, replica, now)

        return await self._database.transact("claim runs", work)

    async def holds(self, run: int, claim: int) -> bool:
        """Whether the run is running under this claim."""
        return await self._database.row("check a claim", self._holds, run=run, claim=claim) is not None

    async def live(self) -> list[RunRecord]:
        """All queued and running runs, oldest first."""
        return list(map(run_record, await self._database.rows("list live runs", self._live)))

    async def lost(self) -> list[RunRecord]:
        """The running runs whose replica counts as dead."""
        return list(map(run_record, await self._database.rows("look for lost runs", self._lost)))

    async def cancels(self, replica: str) -> list[RunRecord]:
        """This replica's running runs that somebody wants cancelled."""
        rows = await self._database.rows("look for cancelled runs", self._cancels, replica=replica)
        return list(map(run_record, rows))

    async def cancel(self, run: int, *, by: str, seen: Seen | None = None) -> RunRecord | None:
        """End a queued run as CANCELLED, ask for the end of a running one; gives the run as it is then: unchanged
        where the decision to commit it has been stored."""

        async def work(session: Session) -> RunRecord | None:
            now, row = await session.now(), await session.row(self._locked, run=run)
            record = None if row is None else run_record(row)
            if record is not None:
                check_seen(f"cancel run {run}", seen, status=record.status, attempt=record.attempt)
            if record is None or record.status not in LIVE:
                return record
            if await session.row(self._is_decided, run=run) is not None:
                return record
            if not record.cancel_requested:
                record = replace(record, cancel_requested=cut("cancel_requested", by))
            if record.status is RunStatus.QUEUED:
                record = given_up(record, RunStatus.CANCELLED, Reason.CANCELLED, now)
            await session.change(
                self._cancel,
                run=run,
                by=record.cancel_requested,
                status=record.status,
                reason=record.reason,
                admitted=record.admitted,
                at=record.end_time,
            )
            return record

        return await self._database.transact(f"cancel run {run}", work)

    async def run(self, run: int) -> RunRecord | None:
        """The run of this id."""
        row = await self._database.row(f"read run {run}", self._one, run=run)
        return None if row is None else run_record(row)

    async def runs(self, which: RunFilter) -> list[RunRecord]:
        """The runs that match, newest first."""
        conditions = ["r.run_id < :before"] if which.before is not None else []
        if which.key is not None:
            conditions.append("r.run_key = :key")
        if which.flow is not None or which.key is not None:
            conditions.append("r.job_id = :flow")
        if which.backfill is not None:
            conditions.append("r.backfill_id = :backfill")
        if which.window is not None:
            conditions.append("r.data_time_start = :first AND r.data_time_end = :last")
        if which.statuses:
            named = ", ".join(f"'{RunStatus(one)}'" for one in which.statuses)
            conditions.append(f"r.status IN ({named})")
        where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
        asked = f"SELECT {COLUMNS} FROM job_run r {where}ORDER BY r.run_id DESC LIMIT :limit"
        window = which.window
        rows = await self._database.rows(
            "list runs",
            self._database.dialect.statement(asked),
            flow=which.flow or "",
            key=which.key,
            before=which.before,
            backfill=which.backfill,
            first=None if window is None else window.start,
            last=None if window is None else window.end,
            limit=which.limit,
        )
        return list(map(run_record, rows))

    async def last_runs(self, flows: Collection[str]) -> dict[str, RunRecord]:
        """The newest run of each of these flows; one that never ran is left out. One statement."""
        if not flows:
            return {}
        wanted = [{"job_id": flow} for flow in flows]
        rows = await self._database.once(
            "read the newest runs", lambda session: session.given_rows(self._newest_runs, wanted)
        )
        return {run.flow: run for run in map(self._last_of, map(tuple, rows))}

    async def attempts(self, run: int) -> list[AttemptRecord]:
        """The attempts of the run before the present one, the first one first."""
        rows = await self._database.rows("list attempts", self._attempts, run=run)
        return [AttemptRecord(*[*row[:2], *map(read_moment, row[2:4]), *row[4:]]) for row in rows]

    async def last_statuses(self, flow: str, limit: int) -> list[RunStatus]:
        """How the flow's last ended runs ended, newest first; SKIPPED and CANCELLED ones are left out."""
        rows = await self._database.rows("read how runs ended", self._last, flow=flow, limit=limit)
        return [RunStatus(row[0]) for row in rows]

    async def position(self, flow: str) -> str | None:
        """Where the flow's last successful run left its source, as JSON; None if it never said."""
        row: Any = await self._database.row("read a source's position", self._position, flow=flow)
        return None if row is None else row[0]
