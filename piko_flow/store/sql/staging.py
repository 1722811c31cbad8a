"""What sinks have staged until their run ends, and the transaction in which they read it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from piko_flow.dataflow.stages.sink import Part
from piko_flow.store.sql.database import Database, Session, SinkTransaction
from piko_flow.store.sql.dialects import Columns, SqlDialect
from piko_flow.store.sql.statements import Statement
from piko_flow.store.texts import check, check_free, short_sink

STAGED: Columns = {
    "run_id": "int",
    "sink": "word",
    "unit": "text",
    "attempt": "int",
    "chunk": "int",
    "rows_json": "long",
}
RUN_ID: Columns = {"run_id": "int"}
HELD = "SELECT 1 FROM job_run WHERE run_id = :run AND status = 'RUNNING' AND claim = :claim{lock}"
READ = (
    "SELECT rows_json FROM sink_staging WHERE run_id = :run AND sink = :sink AND unit = :unit "
    "AND attempt = :attempt AND chunk = :chunk"
)
LEFT = """SELECT DISTINCT s.run_id FROM sink_staging s LEFT JOIN job_run r ON r.run_id = s.run_id
WHERE r.status IS NULL OR r.status NOT IN ('QUEUED', 'RUNNING') ORDER BY s.run_id LIMIT :limit"""


class SqlStaging:
    """The part of RunStore that keeps rows of sinks until their run ends."""

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect = database.dialect
        self._staging_run, self._left_staged = map(dialect.statement, (HELD, LEFT))
        self._stage_text = dialect.upsert(
            "sink_staging", STAGED, key="run_id, sink, unit, attempt, chunk", sets=["rows_json"]
        )
        self._forget_staged = dialect.delete_from("sink_staging", RUN_ID)

    async def stage(self, run: int, claim: int, part: Part, chunk: int, text: str) -> bool:
        """Keep a text of a part until the run ends, if the claim holds; the same chunk again replaces it."""
        row = {
            "run_id": run,
            "sink": short_sink(part.sink),
            "unit": check("unit", part.unit),
            "attempt": part.attempt,
            "chunk": chunk,
            "rows_json": check_free("a staged text", text),
        }

        async def work(session: Session) -> bool:
            if await session.row(self._staging_run, run=run, claim=claim) is None:
                return False
            await session.change_rows(self._stage_text, [row])
            return True

        return await self._database.transact(f"stage rows of run {run}", work)

    async def sweep_staged(self, limit: int) -> int:
        """Remove what runs that have ended left staged; at most `limit` runs a call. Gives how many texts went."""
        rows = await self._database.rows(
            "look for rows that were left staged", self._left_staged, limit=limit
        )
        runs = [{"run_id": row[0]} for row in rows]
        if not runs:
            return 0
        # A run that has ended and is tried once more begins with a claim, and so with parts, of its own.
        return await self._database.transact(
            "remove rows that were left staged",
            lambda session: session.change_rows(self._forget_staged, runs),
        )


@dataclass(frozen=True, slots=True)
class StagedStatements:
    """The statements that the last transaction of a run needs for what was staged."""

    read: Statement
    forget: Statement

    @classmethod
    def of(cls, dialect: SqlDialect) -> StagedStatements:
        """Those for one kind of database."""
        return cls(dialect.statement(READ), dialect.statement("DELETE FROM sink_staging WHERE run_id = :run"))


class EndingTransaction(SinkTransaction):
    """The transaction in which a run ends, with what the run has staged."""

    def __init__(self, session: Session, statements: StagedStatements, run: int) -> None:
        super().__init__(session)
        self._do, self._run, self._found = statements, run, False

    async def staged(self, part: Part) -> AsyncIterator[str]:
        """The texts that the part has staged, in the order of their chunks, one at a time."""
        named = {"sink": short_sink(part.sink), "unit": part.unit, "attempt": part.attempt}
        chunk = 0
        while True:
            row = await self._session.row(self._do.read, run=self._run, chunk=chunk, **named)
            if row is None:
                return
            self._found = True
            yield row[0]
            chunk += 1

    async def forget(self) -> None:
        """Remove what the run has staged, its dead attempts included, if anything of it was read."""
        if self._found:
            await self._session.change(self._do.forget, run=self._run)
