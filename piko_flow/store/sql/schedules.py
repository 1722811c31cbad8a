"""Rows that people edit, and what was made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import insert, update

from piko_flow.store.fitting import check_json_object, fitting_schedule, moment
from piko_flow.store.protocols import Digest
from piko_flow.store.records import ConfigRecord, FlowRecord, MarkedSchedule, ScheduleRecord
from piko_flow.store.seen import Seen, check_seen
from piko_flow.store.sql.columns import read_moment
from piko_flow.store.sql.database import Database, Session, moments
from piko_flow.store.sql.dialects import Columns
from piko_flow.store.sql.failures import Collided
from piko_flow.store.sql.run_tables import TABLES
from piko_flow.store.sql.schedule_records import (
    CONFIG,
    SCHEDULE,
    config_record,
    schedule_record,
    schedule_row,
)
from piko_flow.store.texts import check, cut

READ_AGAIN = 10_000  # rows that are not understood anew when all are read once more
SCHEDULES_TABLE, CONFIGS_TABLE = TABLES["scheduled_job"], TABLES["job_config"]

# What the store wrote itself is no edit.
EDIT = "CASE WHEN s.last_data_time = f.written THEN NULL ELSE s.last_data_time END"
CONTENT: Columns = {
    **{f"s.{name}": kind for name, kind in SCHEDULE.items() if name not in ("last_data_time", "updated_at")},
    EDIT: "time",
}
WITH_STATE = "scheduled_job s LEFT JOIN flow_state f ON f.job_id = s.job_id"
PAUSED_FOR = "COALESCE(f.paused, '')"
SCHEDULES = "SELECT {columns} FROM scheduled_job ORDER BY job_id"
FLOW_NAMES: Columns = {"job_id": "text"}
SCHEDULED = "SELECT job_id FROM scheduled_job"
ONE_SCHEDULE = "SELECT {columns} FROM scheduled_job WHERE job_id = :flow{lock}"
ONE_CONFIG = "SELECT {columns} FROM job_config WHERE job_id = :flow{lock}"
FLOWS = """SELECT job_id, planned_until, schedule, origin, watermark, generation, paused, refused,
(SELECT MIN(p.start_time) FROM flow_span p WHERE p.job_id = flow_state.job_id AND p.mark = 'failed')
FROM flow_state WHERE (planned_until IS NOT NULL OR origin IS NOT NULL OR schedule IS NOT NULL
OR paused <> '' OR refused <> '')"""
DELETE = "DELETE FROM scheduled_job WHERE job_id = :flow"
COMPLETE = "UPDATE scheduled_job SET completed_at = :at WHERE job_id = :flow"
PAUSE = "UPDATE flow_state SET paused = :reason WHERE job_id = :flow AND (paused = '') = (:reason <> '')"
REFUSED: Columns = {"job_id": "text", "refused": "text"}
PAUSED: Columns = {"job_id": "text", "paused": "text"}


class SqlSchedules:
    """ScheduleStore in a database, but for the versions of parameters; see the protocol for what is promised."""

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect = database.dialect
        parts = (
            dialect.digest(WITH_STATE, CONTENT),
            dialect.digest("flow_state WHERE paused <> ''", PAUSED),
            dialect.digest("job_config", CONFIG),
        )
        self._digest = dialect.statement(f"SELECT {{now}}, {', '.join(parts)}")
        told = ", ".join(dialect.cell(name, kind) for name, kind in SCHEDULE.items())
        schedules, one_schedule = (text.replace("{columns}", told) for text in (SCHEDULES, ONE_SCHEDULE))
        self._schedules, self._one_schedule = map(dialect.statement, (schedules, one_schedule))
        self._scheduled = dialect.statement(SCHEDULED)
        told = ", ".join(dialect.cell(name, kind) for name, kind in CONFIG.items())
        marked = dialect.line({**CONTENT, PAUSED_FOR: "text"})
        self._marks = dialect.statement(f"SELECT s.job_id, {marked} FROM {WITH_STATE}")
        columns = ", ".join(dialect.cell(f"s.{name}", kind) for name, kind in SCHEDULE.items())
        self._marked = dialect.statement(
            f"SELECT {marked}, {PAUSED_FOR}, {columns} FROM {WITH_STATE} "
            f"WHERE s.job_id IN (SELECT j.job_id FROM {dialect.rows(FLOW_NAMES)} AS j) ORDER BY s.job_id",
            FLOW_NAMES,
        )
        self._config = dialect.statement(f"SELECT {told} FROM job_config WHERE job_id = :flow")
        self._configs = dialect.statement(f"SELECT {told} FROM job_config ORDER BY job_id")
        self._one_config = dialect.statement(ONE_CONFIG.replace("{columns}", told))
        self._flows = dialect.statement(f"{FLOWS} ORDER BY job_id")
        self._some_flows = dialect.statement(
            f"{FLOWS} AND job_id IN (SELECT j.job_id FROM {dialect.rows(FLOW_NAMES)} AS j) ORDER BY job_id",
            FLOW_NAMES,
        )
        self._delete, self._complete, self._pause = map(dialect.statement, (DELETE, COMPLETE, PAUSE))
        self._schedule_of = lru_cache(maxsize=READ_AGAIN)(schedule_record)
        self._flow_of = lru_cache(maxsize=READ_AGAIN)(_flow_record)
        self._add = dialect.insert_new("scheduled_job", SCHEDULE, key="job_id")
        self._refuse = dialect.upsert("flow_state", REFUSED, key="job_id", sets=["refused"])
        self._add_paused = dialect.insert_new("flow_state", PAUSED, key="job_id")

    async def digest(self) -> Digest:
        """A fingerprint of all schedule and config rows, by one query that returns one row."""
        now, *parts = await self._database.row("look for changed rows", self._digest)
        schedules, pauses, configs = map(_hashed, parts)
        return Digest(self._database.heard(now), schedules + pauses, configs)

    async def schedule_marks(self) -> dict[str, str]:
        """For each flow that has a schedule row its content, or a hash of it, with the flow's pause."""
        rows = await self._database.rows("look which rows have changed", self._marks)
        return {
            row[0]: row[1] for row in rows if isinstance(row[0], str)
        }  # SQLite takes bytes as a name, too

    async def marked_schedules(self, flows: Collection[str]) -> list[MarkedSchedule]:
        """The rows of these flows with their marks, by flow; by one query."""
        named = [{"job_id": flow} for flow in flows]
        what = "read the schedules that have changed"
        rows = await self._database.once(what, lambda session: session.given_rows(self._marked, named))
        return [MarkedSchedule(schedule_record(row[2:]), row[1], row[0]) for row in rows]

    async def schedules(self) -> list[ScheduleRecord]:
        """All schedule rows, by flow."""
        rows = await self._database.rows("read the schedules", self._schedules)
        return list(map(self._schedule_of, map(tuple, rows)))

    async def configs(self) -> list[ConfigRecord]:
        """All config rows, by flow."""
        return list(map(config_record, await self._database.rows("read the parameters", self._configs)))

    async def config(self, flow: str) -> ConfigRecord | None:
        """The flow's config row; None where it has none."""
        row = await self._database.row("read the parameters of a flow", self._config, flow=flow)
        return None if row is None else config_record(row)

    async def flows(self, names: Collection[str] | None = None) -> list[FlowRecord]:
        """What is stored of flows besides their rows, of those of these names or of all, by flow."""
        if names is not None and not names:
            return []

        async def work(session: Session) -> Sequence[Any]:
            if names is None:
                return await session.rows(self._flows)
            return await session.given_rows(self._some_flows, [{"job_id": name} for name in names])

        rows = await self._database.once("read what is known of flows", work)
        return list(map(self._flow_of, map(tuple, rows)))

    async def add_schedules(self, records: Sequence[ScheduleRecord]) -> list[str]:
        """Insert rows for flows that have none; gives the flows whose row was made."""
        wanted = {record.flow: fitting_schedule(record) for record in reversed(records)}

        async def work(session: Session) -> list[str]:
            now = await session.now()
            there = {row[0] for row in await session.rows(self._scheduled)}
            new = {flow: record for flow, record in wanted.items() if flow not in there}
            rows = moments(schedule_row(replace(record, updated_at=now)) for record in new.values())
            if new and await session.change_rows(self._add, rows) != len(new):
                raise Collided
            return [record.flow for record in records if new.pop(record.flow, None) is not None]

        return await self._database.transact("add schedules", work) if wanted else []

    async def set_schedule(self, record: ScheduleRecord, *, seen: Seen | None = None) -> ScheduleRecord:
        """Insert or replace a row; `version` grows by one, `last_data_time` of an existing row stays."""
        record, what = fitting_schedule(record), f"set the schedule of {record.flow!r}"

        async def work(session: Session) -> ScheduleRecord:
            now, row = await session.now(), await session.row(self._one_schedule, flow=record.flow)
            check_seen(what, seen, version=0 if row is None else schedule_record(row).version)
            if row is None:
                made = replace(record, version=1, updated_at=now)
                await session.core(insert(SCHEDULES_TABLE).values(schedule_row(made)))
                return made
            old = schedule_record(row)
            made = replace(record, version=old.version + 1, updated_at=now, last_data_time=old.last_data_time)
            changed = {name: value for name, value in schedule_row(made).items() if name != "last_data_time"}
            await session.core(
                update(SCHEDULES_TABLE).where(SCHEDULES_TABLE.c.job_id == record.flow).values(changed)
            )
            return made

        return await self._database.transact(what, work)

    async def delete_schedule(self, flow: str, *, seen: Seen | None = None) -> bool:
        """Delete the row; False when there is none. What is known of the flow's windows stays."""
        what = f"delete the schedule of {flow!r}"

        async def work(session: Session) -> bool:
            row = await session.row(self._one_schedule, flow=flow)
            check_seen(what, seen, version=0 if row is None else schedule_record(row).version)
            return row is not None and await session.change(self._delete, flow=flow) > 0

        return await self._database.transact(what, work)

    async def set_config(
        self,
        flow: str,
        text: str,
        *,
        schema_version: int,
        effective_from: datetime | None,
        seen: Seen | None = None,
    ) -> ConfigRecord:
        """Insert or replace a row; `version` grows by one. Raises ValueError when the text is no JSON object."""
        check("flow", flow)
        check_json_object(text)
        effective, what = moment(effective_from, "effective_from"), f"set the parameters of {flow!r}"

        async def work(session: Session) -> ConfigRecord:
            now, row = await session.now(), await session.row(self._one_config, flow=flow)
            version = 0 if row is None else config_record(row).version
            check_seen(what, seen, version=version)
            made = ConfigRecord(flow, text, schema_version, effective, version + 1)
            values = {
                "schema_version": schema_version,
                "config_json": text,
                "effective_from": effective,
                "version": made.version,
                "updated_at": now,
            }
            if row is None:
                await session.core(insert(CONFIGS_TABLE).values(job_id=flow, **values))
            else:
                await session.core(
                    update(CONFIGS_TABLE).where(CONFIGS_TABLE.c.job_id == flow).values(**values)
                )
            return made

        return await self._database.transact(what, work)

    async def note_refusals(self, refused: Mapping[str, str]) -> None:
        """Store why these flows' schedule rows are not used; an empty text clears it."""
        rows = [
            {"job_id": check("flow", flow), "refused": cut("refused", why)}
            for flow, why in sorted(refused.items())
        ]
        if rows:
            await self._database.transact(
                "note refused rows", lambda session: session.change_rows(self._refuse, rows)
            )

    async def pause(self, flow: str, reason: str) -> bool:
        """Pause the flow's schedule; an empty reason resumes it. False when it was so already."""
        reason = cut("paused", reason)
        row = {"job_id": check("flow", flow), "paused": reason}

        async def work(session: Session) -> bool:
            if await session.change(self._pause, flow=flow, reason=reason):
                return True
            return bool(reason) and await session.change_rows(self._add_paused, [row]) > 0

        return await self._database.transact(f"pause or resume {flow!r}", work)

    async def complete(self, flow: str, run_date: datetime) -> None:
        """Note in the row that its date has been dealt with."""
        at = moment(run_date, "run_date")
        await self._database.change(f"complete the schedule of {flow!r}", self._complete, flow=flow, at=at)


def _hashed(content: Any) -> str:
    """SQLite gives the whole content, the servers a hash of it."""
    return hashlib.blake2b(str(content or "").encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _flow_record(row: Any) -> FlowRecord:
    origin, watermark, failed = (read_moment(row[place]) for place in (3, 4, 8))
    return FlowRecord(
        row[0], read_moment(row[1]), row[2] or "", origin, watermark, row[5], row[6], row[7], failed
    )
