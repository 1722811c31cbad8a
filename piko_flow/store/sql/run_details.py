"""What is kept with a run for people to read, in a database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from piko_flow.store.ops_fitting import LINES, fitting_line
from piko_flow.store.ops_records import LogLine, RunDetail
from piko_flow.store.records import RunRecord
from piko_flow.store.sql.columns import known_moment
from piko_flow.store.sql.database import Database, Session, moments
from piko_flow.store.sql.dialects import Columns
from piko_flow.store.sql.endings import RUN_ID
from piko_flow.store.sql.leases import HIDE
from piko_flow.store.sql.recent_runs import RecentRuns
from piko_flow.store.texts import check, readable

LINE: Columns = {
    "run_id": "int",
    "line": "int",
    "logged_at": "time",
    "level": "word",
    "logger": "text",
    "stage": "text",
    "attempt": "int",
    "message": "long",
}
REPORT: Columns = {"run_id": "int", "attempt": "int", "report": "long"}
LIVE: Columns = {"run_id": "int", "replica_id": "text", "shown": "long", "shown_at": "time"}
THERE = """SELECT r.run_id FROM {rows} AS j {{join}} job_run r{{by_key}} ON r.run_id = j.run_id
ORDER BY r.run_id{{lock}}"""
# For each run one step to the end of the index: what else its log has is not read.
LAST_LINES = """SELECT j.run_id, (SELECT m.line FROM job_run_log m WHERE m.run_id = j.run_id ORDER BY m.line DESC LIMIT 1)
FROM {rows} AS j"""
LOG = """SELECT logged_at, level, logger, message, stage, attempt, line FROM job_run_log
WHERE run_id = :run AND line > :after ORDER BY line LIMIT :limit"""
REPORTS = "SELECT attempt, report FROM job_run_report WHERE run_id = :run ORDER BY attempt"


class SqlRunDetails:
    """RunDetailStore in a database; see the protocol for what is promised."""

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect, statement = database.dialect, database.dialect.statement
        self._log, self._reports, self._hide = map(statement, (LOG, REPORTS, HIDE))
        rows = dialect.rows(RUN_ID)
        self._there, self._last_lines = (
            statement(text.format(rows=rows), RUN_ID) for text in (THERE, LAST_LINES)
        )
        self._new_lines, self._show = (
            dialect.insert("job_run_log", LINE),
            dialect.insert("job_run_live", LIVE),
        )
        self._report = dialect.upsert("job_run_report", REPORT, key="run_id, attempt", sets=["report"])
        self._shown = statement(
            f"SELECT l.run_id, l.shown_at, l.shown FROM {dialect.rows(RUN_ID)} AS j "
            "{join} job_run_live l{by_key} ON l.run_id = j.run_id ORDER BY l.shown_at",
            RUN_ID,
        )
        self._recent = RecentRuns(dialect)

    async def keep_details(self, details: Sequence[RunDetail]) -> None:
        """Keep reports by attempt and append lines to logs, in one transaction."""
        texts = {
            (detail.run, detail.attempt): readable(detail.report)
            for detail in details
            if detail.report is not None
        }
        lines = dict[int, list[LogLine]]()
        for detail in details:
            if detail.lines:
                lines.setdefault(detail.run, []).extend(map(fitting_line, detail.lines))
        wanted = [{"run_id": run} for run in sorted({run for run, _ in texts} | set(lines))]

        async def work(session: Session) -> None:
            # Locked, so that they do not go meanwhile, and two who append get different numbers.
            there = {row[0] for row in await session.given_rows(self._there, wanted)}
            reports = [
                {"run_id": run, "attempt": attempt, "report": text}
                for (run, attempt), text in texts.items()
                if run in there
            ]
            await session.change_rows(self._report, reports)
            await self._append(session, {run: new for run, new in lines.items() if run in there})

        if wanted:
            await self._database.transact("keep reports and log lines of runs", work)

    async def _append(self, session: Session, lines: Mapping[int, Sequence[LogLine]]) -> None:
        if not lines:
            return
        found = await session.given_rows(self._last_lines, [{"run_id": run} for run in lines])
        rows = [
            _line_row(run, (last or 0) + place, line)
            for run, last in found
            for place, line in enumerate(lines[run][: max(LINES - (last or 0), 0)], start=1)
        ]
        await session.change_rows(self._new_lines, moments(rows))

    async def log(self, run: int, *, after: int = 0, limit: int = 500) -> list[LogLine]:
        """The lines of a run with numbers above `after`, in order."""
        rows = await self._database.rows("read a log", self._log, run=run, after=after, limit=limit)
        return [LogLine(known_moment(row[0]), *row[1:]) for row in rows]

    async def last_lines(self, runs: Collection[int]) -> dict[int, int]:
        """The number of the last line of each run's log."""
        if not runs:
            return {}
        wanted = [{"run_id": run} for run in set(runs)]
        rows = await self._database.once(
            "read where logs end", lambda session: session.given_rows(self._last_lines, wanted)
        )
        return {run: last for run, last in rows if last is not None}

    async def reports(self, run: int) -> dict[int, str]:
        """The reports of a run by attempt."""
        rows = await self._database.rows("read reports", self._reports, run=run)
        return {row[0]: row[1] for row in rows}

    async def show_live(self, replica: str, texts: Mapping[int, str]) -> None:
        """What a replica's runs are at: replaces all that it showed before, in one transaction."""
        check("replica", replica)

        async def work(session: Session) -> None:
            now = await session.now()
            rows = [
                {"run_id": run, "replica_id": replica, "shown": readable(text), "shown_at": now}
                for run, text in texts.items()
            ]
            await session.change(self._hide, replica=replica)
            await session.change_rows(self._show, moments(rows))

        await self._database.transact("show what runs are at", work)

    async def shown_live(self, runs: Collection[int]) -> dict[int, tuple[datetime, str]]:
        """What these runs were last shown to be at, with the time."""
        if not runs:
            return {}
        wanted = [{"run_id": run} for run in set(runs)]
        rows = await self._database.once(
            "read what runs are at", lambda session: session.given_rows(self._shown, wanted)
        )
        return {run: (known_moment(at), text) for run, at, text in rows}

    async def recent_runs(self, flows: Collection[str], each: int) -> dict[str, list[RunRecord]]:
        """The newest `each` runs of each flow, newest first."""
        if not flows or each < 1:
            return {}
        return await self._recent.read(self._database, set(flows), each)


def _line_row(run: int, number: int, line: LogLine) -> dict[str, Any]:
    return {
        "run_id": run,
        "line": number,
        "logged_at": line.at,
        "level": line.level,
        "logger": line.logger,
        "stage": line.stage,
        "attempt": line.attempt,
        "message": line.message,
    }
