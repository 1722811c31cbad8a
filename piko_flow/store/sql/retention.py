"""Old runs go, with all that belongs to them, so that the tables do not grow for ever."""

from __future__ import annotations

from datetime import datetime

from piko_flow.store.fitting import moment
from piko_flow.store.sql.database import Database, Session
from piko_flow.store.sql.endings import RUN_ID
from piko_flow.store.sql.letter_writes import ID

ENDED = "status NOT IN ('QUEUED', 'RUNNING')"
# A run is never younger than its end, so the index over what was made first finds what ended first.
OLD = f"""SELECT run_id FROM job_run WHERE created_at < :before AND end_time < :before AND {ENDED}
ORDER BY created_at LIMIT :limit"""
LONG = "SELECT job_id, COUNT(*) FROM job_run GROUP BY job_id HAVING COUNT(*) > :keep ORDER BY job_id"
COUNT = f"SELECT COUNT(*) FROM job_run WHERE job_id = :flow AND {ENDED}"
OLDEST = f"SELECT run_id FROM job_run WHERE job_id = :flow AND {ENDED} ORDER BY run_id LIMIT :limit"
# Letters of no run have none that they could go with; replayed and dropped ones go the same way.
ALONE = "SELECT id FROM dead_letter WHERE run_id = 0 AND created_at < :before ORDER BY id LIMIT :limit"
TABLES = (
    *("job_run_attempt", "job_run_unit", "job_run_decision", "sink_staging", "dead_letter"),
    *("job_run_log", "job_run_report", "job_run_live", "job_run"),
)


class SqlRetention:
    """The part of RunStore that deletes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect = database.dialect
        self._old, self._long, self._count, self._oldest = map(dialect.statement, (OLD, LONG, COUNT, OLDEST))
        self._still = dialect.statement(
            f"SELECT r.run_id FROM {dialect.rows(RUN_ID)} AS j {{join}} job_run r{{by_key}} ON r.run_id = j.run_id "
            f"WHERE r.{ENDED} ORDER BY r.run_id{{lock}}",
            RUN_ID,
        )
        self._alone, self._forget = dialect.statement(ALONE), dialect.delete_from("dead_letter", ID)
        self._deletions = [dialect.delete_from(table, RUN_ID) for table in TABLES]

    async def prune(self, *, before: datetime | None, keep: int | None, limit: int) -> int:
        """Delete ended runs older than `before`, and of each flow all but the newest `keep`, with all that
        belongs to them; at most `limit` a call. None is no bound. The ledger stays. Gives how many runs went.

        Dead letters of no run go when they are that old.
        """
        gone: set[int] = set()
        if before is not None:
            at = moment(before, "before")
            rows = await self._database.rows("look for old runs", self._old, before=at, limit=limit)
            gone |= {row[0] for row in rows}
            await self._forget_alone(at, limit)
        if keep is not None and len(gone) < limit:
            gone |= await self._surplus(keep, gone, limit - len(gone))
        ids = [{"run_id": run} for run in sorted(gone)]

        async def work(session: Session) -> int:
            # Locked and looked at once more: somebody may have had one of them tried again meanwhile.
            rows = [{"run_id": row[0]} for row in await session.given_rows(self._still, ids)]
            deleted = [await session.change_rows(statement, rows) for statement in self._deletions]
            return deleted[-1]

        return await self._database.transact("delete old runs", work) if ids else 0

    async def _forget_alone(self, before: datetime | None, limit: int) -> None:
        what = "delete old dead letters"
        rows = await self._database.rows(what, self._alone, before=before, limit=limit)
        ids = [{"id": row[0]} for row in rows]
        if ids:
            await self._database.transact(what, lambda session: session.change_rows(self._forget, ids))

    async def _surplus(self, keep: int, gone: set[int], room: int) -> set[int]:
        """At most `room` ended runs, the oldest of each flow that has more than `keep`, that are not among those."""
        what = "look for runs beyond those that are kept"
        found: set[int] = set()
        for flow, _ in await self._database.rows(what, self._long, keep=keep):
            if len(found) >= room:
                break
            (count,) = await self._database.row(what, self._count, flow=flow)
            if count > keep:
                rows = await self._database.rows(
                    what, self._oldest, flow=flow, limit=min(count - keep, room + len(gone))
                )
                found |= set([row[0] for row in rows if row[0] not in gone][: room - len(found)])
        return found
