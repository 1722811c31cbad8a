"""The versions of parameters that were seen."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from piko_flow.store.fitting import fitting_params, moment
from piko_flow.store.records import ParamsVersion
from piko_flow.store.sql.columns import read_moment
from piko_flow.store.sql.database import Database, Session, moments
from piko_flow.store.sql.dialects import Columns

COLUMNS = "v.job_id, v.config_json, v.schema_version, v.effective_from, v.version, v.refused, v.id, v.seen_at"
OF_FLOW = f"SELECT {COLUMNS} FROM job_config_version v WHERE v.job_id = :flow ORDER BY v.id DESC LIMIT :limit"
OF_ID = f"SELECT {COLUMNS} FROM job_config_version v WHERE v.id = :version"
IN_FORCE = f"""SELECT {COLUMNS} FROM job_config_version v LEFT JOIN
(SELECT job_id, MAX(id) AS id FROM job_config_version
 WHERE refused = '' AND (effective_from IS NULL OR effective_from <= {{now}}) GROUP BY job_id) n
ON n.job_id = v.job_id WHERE v.refused = '' AND (n.id IS NULL OR v.id >= n.id) ORDER BY v.job_id, v.id DESC"""
CROWDED = "SELECT job_id FROM job_config_version GROUP BY job_id HAVING COUNT(*) > :keep ORDER BY job_id"
KEPT_FROM = "SELECT id FROM job_config_version WHERE job_id = :flow ORDER BY id DESC LIMIT 1 OFFSET :skip"
OUT_OF_FORCE = """SELECT v.id FROM job_config_version v
WHERE v.job_id = :flow AND v.id > :after AND v.id < :kept AND v.seen_at < :before AND (v.refused <> '' OR v.id <
(SELECT MAX(w.id) FROM job_config_version w WHERE w.job_id = :flow AND w.refused = ''
 AND (w.effective_from IS NULL OR w.effective_from <= {now}))) ORDER BY v.id LIMIT :limit"""
PINNED = """SELECT r.params_version FROM job_run r
WHERE r.job_id = :flow AND r.params_version >= :first AND r.params_version <= :last
UNION SELECT d.params_version FROM dead_letter d
WHERE d.job_id = :flow AND d.params_version >= :first AND d.params_version <= :last"""
REFUSED = """SELECT v.job_id, v.refused FROM job_config_version v WHERE v.refused <> '' AND NOT EXISTS
(SELECT 1 FROM job_config_version w WHERE w.job_id = v.job_id AND w.id > v.id)"""
FLOW: Columns = {"job_id": "text"}
VERSION_ID: Columns = {"id": "int"}
VERSION: Columns = {
    "job_id": "text",
    "config_json": "long",
    "schema_version": "int",
    "effective_from": "time",
    "version": "int",
    "refused": "text",
    "seen_at": "time",
}


class SqlParams:
    """The part of ScheduleStore that keeps versions of parameters."""

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect = database.dialect
        self._versions_of, self._of_id, self._in_force = map(dialect.statement, (OF_FLOW, OF_ID, IN_FORCE))
        self._refused = dialect.statement(f"{REFUSED} ORDER BY v.job_id")
        these = f"v.job_id IN (SELECT j.job_id FROM {dialect.rows(FLOW)} AS j)"
        self._refused_of = dialect.statement(f"{REFUSED} AND {these} ORDER BY v.job_id", FLOW)
        self._newest = dialect.statement(
            f"SELECT {COLUMNS} FROM job_config_version v JOIN (SELECT MAX(w.id) AS id FROM {dialect.rows(FLOW)} AS j "
            "{join} job_config_version w ON w.job_id = j.job_id GROUP BY w.job_id) n ON n.id = v.id",
            FLOW,
        )
        self._crowded, self._kept_from = map(dialect.statement, (CROWDED, KEPT_FROM))
        self._out_of_force, self._pinned = map(dialect.statement, (OUT_OF_FORCE, PINNED))
        self._forget_version = dialect.delete_from("job_config_version", VERSION_ID)
        self._keep_version = dialect.insert("job_config_version", VERSION)

    async def keep_params(self, versions: Sequence[ParamsVersion]) -> list[ParamsVersion]:
        """Store versions that were seen, with their ids; one that is the flow's newest already is not kept twice."""
        fitting = [fitting_params(version) for version in versions]

        async def work(session: Session) -> list[ParamsVersion]:
            kept: dict[int, ParamsVersion] = {}
            while len(kept) < len(fitting):
                # One of each flow at a time, so that several of one flow are compared each with the one before it.
                step: dict[str, int] = {}
                for place, version in enumerate(fitting):
                    if place not in kept:
                        step.setdefault(version.flow, place)
                found = await self._keep_one_each(session, [fitting[place] for place in step.values()])
                kept |= {place: found[flow] for flow, place in step.items()}
            return [kept[place] for place in range(len(fitting))]

        return await self._database.transact("keep versions of parameters", work) if fitting else []

    async def _keep_one_each(
        self, session: Session, versions: list[ParamsVersion]
    ) -> dict[str, ParamsVersion]:
        """The newest version of each flow, which is the one given, made where it was not that already."""
        flows = [{"job_id": version.flow} for version in versions]
        known = await self._newest_of(session, flows)
        now = await session.now()
        new = [version for version in versions if not _same(version, known.get(version.flow))]
        if new:
            await session.change_rows(
                self._keep_version, moments(_row(replace(version, seen_at=now)) for version in new)
            )
            known = await self._newest_of(session, flows)
        return known

    async def _newest_of(self, session: Session, flows: list[dict[str, str]]) -> dict[str, ParamsVersion]:
        return {one.flow: one for one in map(_version, await session.given_rows(self._newest, flows))}

    async def params(self, flow: str | None = None, *, limit: int = 100) -> list[ParamsVersion]:
        """The versions of one flow, newest first; or of every flow all that can be in force now or later."""
        what = "read versions of parameters"
        if flow is None:
            rows = await self._database.rows(what, self._in_force)
        else:
            rows = await self._database.rows(what, self._versions_of, flow=flow, limit=limit)
        return list(map(_version, rows))

    async def refused_params(self, flows: Collection[str] | None = None) -> dict[str, str]:
        """Why the newest version is not used, of those of these flows, or of all, of which it is not."""
        what = "read which parameters are refused"
        if flows is None:
            rows = await self._database.rows(what, self._refused)
        else:
            given = [{"job_id": flow} for flow in flows]
            rows = await self._database.once(
                what, lambda session: session.given_rows(self._refused_of, given)
            )
        return {row[0]: row[1] for row in rows}

    async def params_version(self, version: int) -> ParamsVersion | None:
        """The version of this id."""
        row = await self._database.row("read a version of parameters", self._of_id, version=version)
        return None if row is None else _version(row)

    async def prune_params(self, *, before: datetime, keep: int, limit: int) -> int:
        """Delete versions seen before that which are not in force nor to come, to which no run or dead letter is pinned,
        and which are not among the flow's newest `keep`; at most `limit` a call. Gives how many went."""
        at, gone = moment(before, "before"), 0
        what = "look for flows with many versions of parameters"
        for (flow,) in await self._database.rows(what, self._crowded, keep=keep):
            after: int | None = 0
            while after is not None and gone < limit:
                went, after = await self._prune_page(flow, after, at, keep, limit - gone)
                gone += went
        return gone

    async def _prune_page(
        self, flow: str, after: int, before: datetime | None, keep: int, limit: int
    ) -> tuple[int, int | None]:
        """How many of the next `limit` old versions went, and the id up to which was looked; None at the end."""

        async def work(session: Session) -> tuple[int, int | None]:
            kept = await session.row(self._kept_from, flow=flow, skip=keep - 1)
            if kept is None:
                return 0, None
            found = await session.rows(
                self._out_of_force, flow=flow, after=after, kept=kept[0], before=before, limit=limit
            )
            if not found:
                return 0, None
            first, last = found[0][0], found[-1][0]
            pinned = {row[0] for row in await session.rows(self._pinned, flow=flow, first=first, last=last)}
            gone = [{"id": row[0]} for row in found if row[0] not in pinned]
            return await session.change_rows(self._forget_version, gone) if gone else 0, last

        return await self._database.transact("delete old versions of parameters", work)


def _version(row: Any) -> ParamsVersion:
    flow, text, schema_version, effective, version, refused, number, seen = row
    return ParamsVersion(
        flow, text, schema_version, read_moment(effective), version, refused, number, read_moment(seen)
    )


def _row(version: ParamsVersion) -> dict[str, Any]:
    return {
        "job_id": version.flow,
        "config_json": version.text,
        "schema_version": version.schema_version,
        "effective_from": version.effective_from,
        "version": version.version,
        "refused": version.refused,
        "seen_at": version.seen_at,
    }


def _same(version: ParamsVersion, known: ParamsVersion | None) -> bool:
    return known is not None and replace(version, id=known.id, seen_at=known.seen_at) == known
