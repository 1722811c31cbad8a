"""Dead letters: listed, grouped, kept, dropped."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from piko_flow.planning.moment import utc
from piko_flow.store.fitting import fitting_letter
from piko_flow.store.letter_states import dropped
from piko_flow.store.records import DeadLetterRecord, LetterGroup
from piko_flow.store.sql.columns import read_moment
from piko_flow.store.sql.database import Database, Session
from piko_flow.store.sql.dialects import Columns
from piko_flow.store.sql.letter_records import COLUMNS, letter_record
from piko_flow.store.sql.letter_writes import FREE, ID, LEFT_ALONE, SAME, LetterWrites

OF_RUN = f"""SELECT {COLUMNS} FROM dead_letter d
WHERE d.replay_run = :run AND d.state = 'open' AND d.id > :after ORDER BY d.id LIMIT :limit"""
# Letters come in the order of their numbers, so the first that may go are the oldest: no more are looked at.
OLD = f"""SELECT d.id FROM (SELECT id, created_at FROM dead_letter WHERE {LEFT_ALONE} ORDER BY id LIMIT :limit) d
WHERE d.created_at < :before"""
FILES = "SELECT payload_file FROM dead_letter WHERE state = 'open' AND payload_file <> ''"
COUNTED = "SELECT job_id, COUNT(*) FROM dead_letter WHERE state = 'open'"
FLOW: Columns = {"job_id": "text"}
WHERE = {
    "flow": "d.job_id = :flow",
    "fingerprint": "SUBSTR(d.fingerprint, 1, :length) = :fingerprint",
    "state": "d.state = :state",
    "run": "d.run_id = :run",
    "replay_run": "d.replay_run = :replay_run",
    "before": "d.id < :before",
}


class SqlLetters:
    """The part of the store that knows dead letters; see the protocols for what is promised."""

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect = database.dialect
        self._letter_writes = LetterWrites(dialect)
        self._of_run, self._old_letters, self._files = map(dialect.statement, (OF_RUN, OLD, FILES))
        self._these = dialect.statement(
            f"SELECT {COLUMNS} FROM {dialect.rows(ID)} AS j {{join}} dead_letter d{{by_key}} ON d.id = j.id "
            "ORDER BY d.id DESC{lock}",
            ID,
        )
        self._counted = dialect.statement(f"{COUNTED} GROUP BY job_id")
        these = f"job_id IN (SELECT j.job_id FROM {dialect.rows(FLOW)} AS j)"
        self._counted_of = dialect.statement(f"{COUNTED} AND {these} GROUP BY job_id", FLOW)
        self._drop = dialect.update_from(
            "dead_letter",
            ID,
            on=SAME,
            sets={"state": "'dropped'", "payload": "'{}'", "trace": "''", "payload_file": "''"},
            where=FREE,
        )

    async def dead_letters(
        self,
        *,
        flow: str | None = None,
        fingerprint: str | None = None,
        state: str | None = None,
        run: int | None = None,
        replay_run: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[DeadLetterRecord]:
        """Dead letters of all flows or of one, newest first."""
        given = {
            "flow": flow,
            "fingerprint": fingerprint,
            "state": state,
            "run": run,
            "replay_run": replay_run,
            "before": before,
        }
        asked = {name: value for name, value in given.items() if value is not None}
        where = " AND ".join(WHERE[name] for name in asked) or "1 = 1"
        text = f"SELECT {COLUMNS} FROM dead_letter d WHERE {where} ORDER BY d.id DESC LIMIT :limit"
        asking = self._database.dialect.statement(text)
        length = len(fingerprint or "")
        rows = await self._database.rows("list dead letters", asking, limit=limit, length=length, **asked)
        return list(map(letter_record, rows))

    async def dead_letters_of(self, ids: Collection[int]) -> list[DeadLetterRecord]:
        """The letters of these numbers, newest first; those that are not there are left out."""
        if not ids:
            return []
        what = "look up dead letters"
        return await self._database.transact(what, lambda session: self._found(session, ids))

    async def letter_groups(
        self, *, flow: str | None = None, fingerprint: str | None = None, limit: int = 100
    ) -> list[LetterGroup]:
        """The open letters that failed alike, together; the group with the newest letter first."""
        given = {"flow": flow, "fingerprint": fingerprint}
        values = {name: value for name, value in given.items() if value is not None}
        columns = {"flow": "job_id", "fingerprint": "fingerprint"}
        which = "".join(f" AND {columns[name]} = :{name}" for name in values)
        text = f"""SELECT g.amount, g.first_at, g.last_at, {COLUMNS} FROM (
SELECT COUNT(*) AS amount, MIN(created_at) AS first_at, MAX(COALESCE(failed_at, created_at)) AS last_at, MAX(id) AS newest
FROM dead_letter WHERE state = 'open'{which} GROUP BY job_id, fingerprint ORDER BY MAX(id) DESC LIMIT :limit
) g JOIN dead_letter d ON d.id = g.newest ORDER BY d.id DESC"""
        asking = self._database.dialect.statement(text)
        rows = await self._database.rows("group dead letters", asking, limit=limit, **values)
        return [_group(row[0], row[1:3], letter_record(row[3:])) for row in rows]

    async def open_letters(self, flows: Collection[str] | None = None) -> dict[str, int]:
        """How many letters of each of these flows, or of all, are open; flows without any are left out."""
        what = "count dead letters"
        if flows is None:
            rows = await self._database.rows(what, self._counted)
        else:
            given = [{"job_id": flow} for flow in flows]
            rows = await self._database.once(
                what, lambda session: session.given_rows(self._counted_of, given)
            )
        return {row[0]: row[1] for row in rows}

    async def letters_to_replay(self, run: int, *, after: int = 0, limit: int) -> list[DeadLetterRecord]:
        """The open letters that the run has taken, by number, those above `after`."""
        rows = await self._database.rows(
            "read the letters of a replay", self._of_run, run=run, after=after, limit=limit
        )
        return list(map(letter_record, rows))

    async def keep_dead_letters(self, letters: Sequence[DeadLetterRecord]) -> None:
        """Store letters that come of no run's end."""
        fit = list(map(fitting_letter, letters))

        async def work(session: Session) -> None:
            await self._letter_writes.keep(session, fit, await session.now())

        if fit:
            await self._database.transact("keep dead letters", work)

    async def prune_dead_letters(self, *, before: datetime, limit: int) -> int:
        """Delete letters older than `before`, but for those that a live run replays; gives how many went."""
        what, at = "delete old dead letters", utc(before, "before")
        found = await self._database.rows(what, self._old_letters, before=at, limit=limit)
        ids = [row[0] for row in found]
        if not ids:
            return 0
        return await self._database.transact(what, lambda session: self._letter_writes.delete(session, ids))

    async def letter_files(self) -> set[str]:
        """The files in which the payloads of open dead letters lie."""
        rows = await self._database.rows("list the files of dead letters", self._files)
        return {row[0] for row in rows}

    async def drop_dead_letters(self, ids: Collection[int]) -> list[DeadLetterRecord]:
        """Drop those of these letters that are open and that no live run replays; gives them as they were."""

        async def work(session: Session) -> list[DeadLetterRecord]:
            before = await self._found(session, ids)
            await session.change_rows(self._drop, [{"id": letter.id} for letter in before])
            after = {letter.id: letter for letter in await self._found(session, ids)}
            return [one for one in before if after.get(one.id) == dropped(one) != one]

        return await self._database.transact("drop dead letters", work) if ids else []

    async def _found(self, session: Session, ids: Collection[int]) -> list[DeadLetterRecord]:
        rows = await session.given_rows(self._these, [{"id": letter} for letter in sorted(ids)])
        return list(map(letter_record, rows))


def _group(count: int, span: tuple[object, object], example: DeadLetterRecord) -> LetterGroup:
    first, last = map(read_moment, span)
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    return LetterGroup(example.flow, example.fingerprint, count, first, last, example)
