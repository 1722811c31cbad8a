"""What the units of a run have prepared, and the decision to commit it."""

from __future__ import annotations

from piko_flow.store.sql.database import Database, Session
from piko_flow.store.sql.dialects import Columns
from piko_flow.store.texts import check, check_free

UNIT: Columns = {"run_id": "int", "unit": "text", "fingerprint": "text", "prepared": "long"}
DECISION: Columns = {"run_id": "int", "receipts": "long"}
UNITS = "SELECT fingerprint, unit, prepared FROM job_run_unit WHERE run_id = :run ORDER BY unit"
NAMED = (
    "UPDATE job_run_unit SET fingerprint = :fingerprint WHERE run_id = :run AND fingerprint <> :fingerprint"
)
HELD = "SELECT 1 FROM job_run WHERE run_id = :run AND status = 'RUNNING' AND claim = :claim{lock}"
DECIDED = "SELECT receipts FROM job_run_decision WHERE run_id = :run"
LIVE_UNITS = """SELECT u.prepared FROM job_run r{live} JOIN job_run_unit u ON u.run_id = r.run_id
WHERE r.status IN ('QUEUED', 'RUNNING') ORDER BY u.run_id, u.unit"""


class SqlUnits:
    """The part of RunStore that keeps what runs prepare."""

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect = database.dialect
        self._units, self._named = map(dialect.statement, (UNITS, NAMED))
        self._held, self._decided, self._live_units = map(dialect.statement, (HELD, DECIDED, LIVE_UNITS))
        self._keep_prepared = dialect.upsert(
            "job_run_unit", UNIT, key="run_id, unit", sets=["fingerprint", "prepared"]
        )
        self._too_late = dialect.statement("UPDATE job_run SET cancel_requested = '' WHERE run_id = :run")
        self._decide = dialect.insert_new("job_run_decision", DECISION, {"decided_at": "{now}"}, key="run_id")

    async def keep_unit(self, run: int, claim: int, unit: str, fingerprint: str, text: str) -> bool:
        """Store what a unit has prepared, as JSON, if the claim holds; again replaces."""
        row = {
            "run_id": run,
            "unit": check("unit", unit),
            "fingerprint": check("fingerprint", fingerprint),
            "prepared": check_free("what a unit prepared", text),
        }

        async def work(session: Session) -> bool:
            if await session.row(self._held, run=run, claim=claim) is None:
                return False
            await session.change_rows(self._keep_prepared, [row])
            await session.change(self._named, run=run, fingerprint=fingerprint)
            return True

        return await self._database.transact(f"keep what a unit of run {run} prepared", work)

    async def units(self, run: int) -> tuple[str, dict[str, str]]:
        """The fingerprint and the prepared units of a run, by id; empty for one that has none."""
        rows = await self._database.rows("read what units prepared", self._units, run=run)
        return (rows[0][0] if rows else "", {unit: text for _, unit, text in rows})

    async def decide(self, run: int, claim: int, text: str) -> bool:
        """Store the decision to commit with all receipts, if the claim holds. It cannot be taken back: a wish to
        cancel the run is too late from now on, and forgotten."""
        row = {"run_id": run, "receipts": check_free("a decision", text)}

        async def work(session: Session) -> bool:
            if await session.row(self._held, run=run, claim=claim) is None:
                return False
            await session.change_rows(self._decide, [row])
            await session.change(self._too_late, run=run)
            return True

        return await self._database.transact(f"decide to commit run {run}", work)

    async def decision(self, run: int) -> str | None:
        """The decision to commit the run, None where there is none."""
        row = await self._database.row("read a decision", self._decided, run=run)
        return None if row is None else str(row[0])

    async def live_units(self) -> list[str]:
        """What live runs have prepared and not yet committed."""
        return [row[0] for row in await self._database.rows("read what live runs prepared", self._live_units)]
