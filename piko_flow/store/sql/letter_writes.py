"""What a batch does to dead letters: kept, taken by a run that replays them, replayed, failed again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from piko_flow.store.batch import Ending
from piko_flow.store.records import DeadLetterRecord, NewRun, RunRecord
from piko_flow.store.sql.database import Session
from piko_flow.store.sql.dialects import Columns, SqlDialect
from piko_flow.store.sql.letter_records import LETTER, letter_row

ID: Columns = {"id": "int"}
SAME = "dead_letter.id = j.id"
LEFT_ALONE = """NOT EXISTS (SELECT 1 FROM job_run r
WHERE r.run_id = dead_letter.replay_run AND r.status IN ('QUEUED', 'RUNNING'))"""
FREE = f"dead_letter.state = 'open' AND {LEFT_ALONE}"
AGAIN: Columns = {
    "id": "int",
    "payload": "long",
    "error_type": "text",
    "error_msg": "text",
    "fingerprint": "text",
    "place": "text",
    "trace": "long",
}
AGAIN_SETS = {
    "state": "'open'",
    "attempt": "dead_letter.attempt + 1",
    "failed_at": "{at}",
    "payload": "CASE WHEN j.payload = '' THEN dead_letter.payload ELSE j.payload END",
    **{name: f"j.{name}" for name in AGAIN if name not in ("id", "payload")},
}


class LetterWrites:
    """Writes what a batch says of dead letters; the batch's transaction is the caller's."""

    def __init__(self, dialect: SqlDialect) -> None:
        self._insert = dialect.insert("dead_letter", LETTER, {"created_at": "{at}"})
        self._lock = dialect.statement(
            f"SELECT d.id FROM {dialect.rows(ID)} AS j {{join}} dead_letter d{{by_key}} ON d.id = j.id "
            "ORDER BY d.id{lock}",
            ID,
        )
        self._take = dialect.update_from(
            "dead_letter",
            {**ID, "replay_run": "int"},
            on=SAME,
            sets={"replay_run": "j.replay_run"},
            where=FREE,
        )
        self._delete = dialect.delete_from("dead_letter", ID, where=LEFT_ALONE)
        self._replayed = dialect.statement(
            "UPDATE dead_letter SET state = 'replayed' WHERE replay_run = :run AND state = 'open'"
        )
        self._again = dialect.update_from(
            "dead_letter", AGAIN, on=SAME, sets=AGAIN_SETS, where="dead_letter.state = 'replayed'"
        )

    async def keep(self, session: Session, letters: Sequence[DeadLetterRecord], now: datetime) -> None:
        """Insert letters."""
        await session.change_rows(self._insert, list(map(letter_row, letters)), at=now)

    async def take(self, session: Session, runs: Sequence[NewRun], made: Sequence[RunRecord | None]) -> None:
        """Give each run that was made the letters it is to replay, as far as they are free."""
        for new, record in zip(runs, made, strict=True):
            if not new.letters or record is None:
                continue
            await self._locked(session, new.letters)
            rows = [{"id": letter, "replay_run": record.id} for letter in new.letters]
            await session.change_rows(self._take, rows)

    async def delete(self, session: Session, ids: Collection[int]) -> int:
        """Delete those of these letters that no live run replays; gives how many went."""
        await self._locked(session, ids)
        return await session.change_rows(self._delete, [{"id": letter} for letter in ids])

    async def settle(self, session: Session, ending: Ending, now: datetime) -> None:
        """Note that the ending's run has replayed what it has taken, but for what failed again."""
        await session.change(self._replayed, run=ending.run)
        rows = [{name: getattr(letter, name) for name in AGAIN} for letter in ending.again]
        await session.change_rows(self._again, rows, at=now)

    async def _locked(self, session: Session, ids: Collection[int]) -> None:
        """Lock letters: the statement that changes them has to see the run of whoever had the lock before."""
        await session.given_rows(self._lock, [{"id": letter} for letter in sorted(ids)])
