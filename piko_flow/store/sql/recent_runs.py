"""The newest runs of many flows, by one statement that reads nothing else of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from piko_flow.store.records import RunRecord
from piko_flow.store.sql.database import Database, Session
from piko_flow.store.sql.dialects import SqlDialect
from piko_flow.store.sql.flow_states import FLOW
from piko_flow.store.sql.run_records import COLUMNS, run_record
from piko_flow.store.sql.statements import Statement

# From each run to the next older one of its flow, by the index over both.
STEPS = """WITH RECURSIVE recent AS (
SELECT j.job_id, (SELECT m.run_id FROM job_run m{{of_flow}} WHERE m.job_id = j.job_id ORDER BY m.run_id DESC LIMIT 1) AS run_id,
1 AS place FROM {rows} AS j
UNION ALL SELECT n.job_id, (SELECT m.run_id FROM job_run m{{of_flow}} WHERE m.job_id = n.job_id AND m.run_id < n.run_id
ORDER BY m.run_id DESC LIMIT 1), n.place + 1 FROM recent n WHERE n.run_id IS NOT NULL AND n.place < :each)
SELECT {columns} FROM recent n {{join}} job_run r{{by_key}} ON r.run_id = n.run_id"""
# MariaDB takes each step of a recursion as a whole table of its own: four times as long as a SELECT for each flow.
OF_ONE = "(SELECT m.run_id FROM job_run m{of_flow} WHERE m.job_id = :flow ORDER BY m.run_id DESC LIMIT :each)"
OF_EACH = f"SELECT {COLUMNS} FROM ({{selects}}) n {{join}} job_run r{{by_key}} ON r.run_id = n.run_id"

READ_AGAIN = 5000  # rows that are not understood anew when pages read them once more
NUMBERS = 64  # of flows for which the text is kept


class RecentRuns:
    """Asks for them as the database answers quickest."""

    def __init__(self, dialect: SqlDialect) -> None:
        self._dialect = dialect
        text = STEPS.format(rows=dialect.rows(FLOW), columns=COLUMNS)
        self.steps = dialect.statement(text, FLOW)
        self._of_each = lru_cache(maxsize=NUMBERS)(self._statement_for)
        self._record = lru_cache(maxsize=READ_AGAIN)(run_record)

    async def read(self, database: Database, flows: Collection[str], each: int) -> dict[str, list[RunRecord]]:
        """The newest `each` runs of each of these flows, newest first; one without runs is left out."""
        rows = await database.once("read the newest runs", lambda session: self.rows(session, flows, each))
        found: dict[str, list[RunRecord]] = {}
        for run in sorted(map(self._record, map(tuple, rows)), key=lambda run: run.id, reverse=True):
            found.setdefault(run.flow, []).append(run)
        return found

    async def rows(self, session: Session, flows: Collection[str], each: int) -> Sequence[Any]:
        """The rows of these runs, in no order."""
        if self._dialect.name == "mysql":
            asked = self._of_each(len(flows))
            values = [one for flow in flows for one in (flow, each)]
            return await session.rows(asked, **dict(zip(asked.names, values, strict=True)))
        return await session.given_rows(self.steps, [{"job_id": flow} for flow in flows], each=each)

    def _statement_for(self, flows: int) -> Statement:
        text = OF_EACH.replace("{selects}", " UNION ALL ".join([OF_ONE] * flows))
        return Statement(self._dialect.statement(text).sql, names_for(flows))


def names_for(flows: int) -> tuple[str, ...]:
    """The values that the SELECTs of so many flows take, in order."""
    return tuple(name for number in range(flows) for name in (f"flow_{number}", f"each_{number}"))
