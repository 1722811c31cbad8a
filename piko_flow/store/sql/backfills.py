"""Backfills: their windows as JSON, how far they have been queued, and their states."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import insert

from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.fitting import fitting_backfill
from piko_flow.store.records import BackfillRecord
from piko_flow.store.seen import Seen, check_seen
from piko_flow.store.sql.columns import known_moment, read_moment
from piko_flow.store.sql.database import Database, Session
from piko_flow.store.sql.dialects import SqlDialect
from piko_flow.store.sql.run_tables import TABLES
from piko_flow.store.sql.statements import moment_text
from piko_flow.store.texts import check

TABLE = TABLES["backfill"]
COLUMNS = """backfill_id, job_id, kind, start_time, end_time, windows, newest_first, concurrency, state, next_window,
params, requested_by, created_at"""
WINDOWS = 5  # the place of the windows among the columns
REMEMBERED = 50  # backfills whose windows are kept parsed
ONE = f"SELECT {COLUMNS} FROM backfill WHERE backfill_id = :backfill{{lock}}"
# Windows never change, and there may be ten thousand: who moves the position does not read them.
MOVED = ONE.replace(" windows,", " '[]' AS windows,")
ALL = f"SELECT {COLUMNS} FROM backfill ORDER BY backfill_id"
OF_FLOW = f"SELECT {COLUMNS} FROM backfill WHERE job_id = :flow ORDER BY backfill_id"
OPEN = f"SELECT {COLUMNS} FROM backfill WHERE state IN ('running', 'paused') ORDER BY backfill_id"
COUNTS = "SELECT status, COUNT(*) FROM job_run WHERE backfill_id = :backfill GROUP BY status"
MOVE = """UPDATE backfill SET next_window = :place
WHERE backfill_id = :backfill AND state IN ('running', 'paused')"""
SET_STATE = "UPDATE backfill SET state = :state WHERE backfill_id = :backfill"
CANCEL = """UPDATE job_run SET status = 'CANCELLED', reason = 'cancelled', admitted = false, end_time = {now}
WHERE backfill_id = :backfill AND status = 'QUEUED'"""
TAKE_BACK = "UPDATE job_run SET admitted = false WHERE backfill_id = :backfill AND status = 'QUEUED'"


class BackfillPositions:
    """What a batch does to backfills."""

    def __init__(self, dialect: SqlDialect) -> None:
        self._move, self._moved = dialect.statement(MOVE), dialect.statement(MOVED)

    async def move(self, session: Session, backfill: int, place: int) -> BackfillRecord | None:
        """The backfill without its windows, its position moved where it is open; None when it is not there."""
        await session.change(self._move, backfill=backfill, place=place)
        row = await session.row(self._moved, backfill=backfill)
        return None if row is None else backfill_record(row)


class SqlBackfills:
    """The part of LedgerStore that is about backfills."""

    def __init__(self, database: Database) -> None:
        self._database = database
        statement = database.dialect.statement
        self._one_backfill, self._all_backfills, self._backfills_of, self._open_backfills = map(
            statement, (ONE, ALL, OF_FLOW, OPEN)
        )
        self._parsed: dict[int, tuple[str, tuple[Window, ...]]] = {}
        self._counts, self._set_state, self._cancel_queued = map(statement, (COUNTS, SET_STATE, CANCEL))
        self._take_back = statement(TAKE_BACK)

    async def add_backfill(self, record: BackfillRecord) -> BackfillRecord:
        """Store a backfill; its id is given by the store."""
        record = fitting_backfill(record)

        async def work(session: Session) -> BackfillRecord:
            now = await session.now()
            made = await session.core(insert(TABLE).values(_values(record, now)))
            return replace(record, id=made.inserted_primary_key[0], created_at=now)

        return await self._database.transact("add a backfill", work)

    async def backfills(self, *, flow: str | None = None, open_only: bool = False) -> list[BackfillRecord]:
        """All backfills, or a flow's, or those that are running or paused; oldest first."""
        what = "list backfills"
        if flow is not None:
            rows = await self._database.rows(what, self._backfills_of, flow=flow)
        else:
            rows = await self._database.rows(what, self._open_backfills if open_only else self._all_backfills)
        found = [self._record(row) for row in rows]
        return [record for record in found if not open_only or record.state in ("running", "paused")]

    def _record(self, row: Any) -> BackfillRecord:
        """The record of a row; windows that were parsed before are not parsed again."""
        number, text = row[0], row[WINDOWS]
        known = self._parsed.get(number)
        if known is None or known[0] != text:
            known = self._parsed[number] = text, windows_of(text)
            if len(self._parsed) > REMEMBERED:
                del self._parsed[next(iter(self._parsed))]
        return replace(backfill_record((*row[:WINDOWS], "[]", *row[WINDOWS + 1 :])), windows=known[1])

    async def backfill_counts(self, backfill: int) -> dict[RunStatus, int]:
        """How many of its runs are in each state; states without a run are left out."""
        rows = await self._database.rows("count a backfill's runs", self._counts, backfill=backfill)
        return {RunStatus(status): count for status, count in rows}

    async def set_backfill(
        self, backfill: int, *, state: str, unless: Collection[str] = (), seen: Seen | None = None
    ) -> BackfillRecord | None:
        """Pause, resume, cancel or end a backfill; None when it is not there or in one of the states `unless`.
        Pausing takes back what was admitted of its queued runs; cancelling ends these, too."""
        check("state", state)
        what = f"make backfill {backfill} {state}"

        async def work(session: Session) -> BackfillRecord | None:
            row = await session.row(self._one_backfill, backfill=backfill)
            record = None if row is None else backfill_record(row)
            if record is not None:
                check_seen(what, seen, state=record.state)
            if record is None or record.state in unless:
                return None
            await session.change(self._set_state, backfill=backfill, state=state)
            if state == "cancelled":
                await session.change(self._cancel_queued, backfill=backfill)
            elif state == "paused":
                await session.change(self._take_back, backfill=backfill)
            return replace(record, state=state)

        return await self._database.transact(what, work)


def backfill_record(row: Any) -> BackfillRecord:
    """A row of `backfill`, its columns in the order of COLUMNS."""
    values = [*row]
    values[3:5] = map(known_moment, values[3:5])
    values[WINDOWS] = windows_of(values[WINDOWS])
    values[6], values[12] = bool(values[6]), read_moment(values[12])
    return BackfillRecord(*values)


def windows_of(text: str) -> tuple[Window, ...]:
    """The windows as they are stored."""
    return tuple(Window(known_moment(first), known_moment(last)) for first, last in orjson.loads(text))


def _values(record: BackfillRecord, now: datetime) -> dict[str, Any]:
    return {
        "job_id": record.flow,
        "kind": record.kind,
        "start_time": record.start,
        "end_time": record.end,
        "windows": orjson.dumps([[*map(moment_text, window)] for window in record.windows]).decode(),
        "newest_first": record.newest_first,
        "concurrency": record.concurrency,
        "state": record.state,
        "next_window": record.position,
        "params": record.params,
        "requested_by": record.requested_by,
        "created_at": now,
    }
