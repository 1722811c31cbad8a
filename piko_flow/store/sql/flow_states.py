"""The states of stateful flows: locked, read, and written back where they have changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from piko_flow.planning.flow_state import FlowState, LiveRun
from piko_flow.planning.ledger import Ledger, Mark, Span
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.sql.cells import Cells
from piko_flow.store.sql.columns import known_moment, read_moment
from piko_flow.store.sql.database import Session
from piko_flow.store.sql.dialects import Columns, SqlDialect
from piko_flow.store.sql.failures import Collided
from piko_flow.store.sql.statements import maybe_text, moment_text

FLOW: Columns = {"job_id": "text"}
STATE: Columns = {
    "job_id": "text",
    "origin": "time",
    "planned_until": "time",
    "watermark": "time",
    "written": "time",
    "cut_after": "time",
    "generation": "int",
    "schedule": "long",
}
LAST = ("last_data_time",)
SPAN: Columns = {"job_id": "text", "start_time": "time", "end_time": "time", "mark": "word"}
SPAN_KEY: Columns = {"job_id": "text", "start_time": "time"}
READ_AGAIN = 5000  # live runs that are not understood anew when their flow's state is read once more
SHOWN: Columns = {"job_id": "text", "was": "time", "shown": "time"}


@dataclass(slots=True)
class Known:
    """A flow's state as it was read; `shown` is what the row's `last_data_time` reads like in the database.

    With `unreadable` no instant stands there: that is an edit that nobody can take over, and it is not written over.
    """

    state: FlowState
    shown: Any
    unreadable: bool = False


class FlowStates:
    """Reads and writes the states of flows, any number in one statement."""

    def __init__(self, dialect: SqlDialect) -> None:
        rows = dialect.rows(FLOW)
        self._lock = dialect.statement(
            "SELECT f.job_id, f.origin, f.planned_until, f.generation, f.written, f.schedule, f.cut_after "
            f"FROM {rows} AS j {{join}} flow_state f{{by_key}} ON f.job_id = j.job_id ORDER BY f.job_id{{lock}}",
            FLOW,
        )
        self._add = dialect.insert_new("flow_state", FLOW, key="job_id")
        # Not in the statement that waits for the lock: that one sees other tables as they were before it waited.
        self._ledgers = dialect.statement(
            f"SELECT j.job_id, {dialect.cell('s.last_data_time', 'time')}, p.start_time, p.end_time, p.mark "
            f"FROM {rows} AS j LEFT JOIN scheduled_job s ON s.job_id = j.job_id "
            "LEFT JOIN flow_span p ON p.job_id = j.job_id ORDER BY j.job_id, p.start_time",
            FLOW,
        )
        # Locked, so that nobody claims a run while it is decided whether it is still wanted.
        self._live = dialect.statement(
            "SELECT r.job_id, r.run_id, r.data_time_start, r.data_time_end, r.status, r.origin "
            f"FROM {rows} AS j {{join}} job_run r{{live_of_flow}} ON r.job_id = j.job_id WHERE r.end_time IS NULL "
            "AND r.status IN ('QUEUED', 'RUNNING') AND r.data_time_end IS NOT NULL AND r.run_key IS NOT NULL "
            "ORDER BY r.run_id{lock}",
            FLOW,
        )
        self._write = dialect.upsert(
            "flow_state", STATE, key="job_id", sets=[name for name in STATE if name != "job_id"]
        )
        self._drop_spans = dialect.delete_from("flow_span", SPAN_KEY)
        self._put_spans = dialect.upsert(
            "flow_span", SPAN, key="job_id, start_time", sets=["end_time", "mark"]
        )
        self._show = dialect.update_from(
            "scheduled_job",
            SHOWN,
            on="scheduled_job.job_id = j.job_id",
            sets={"last_data_time": "j.shown"},
            where="(scheduled_job.last_data_time = j.was OR (scheduled_job.last_data_time IS NULL AND j.was IS NULL))",
        )

        self._live_run = lru_cache(maxsize=READ_AGAIN)(_live_run)

    async def lock(
        self, session: Session, flows: Iterable[str], *, make: bool = True
    ) -> dict[str, FlowState]:
        """Lock the flows' rows, in the order of their names; `make` those that are not there."""
        wanted = [{"job_id": flow} for flow in sorted(flows)]
        found = {row[0]: _state(row) for row in await session.given_rows(self._lock, wanted)}
        missing = [row for row in wanted if row["job_id"] not in found]
        if missing and make and await session.change_rows(self._add, missing) != len(missing):
            raise Collided
        return found | {row["job_id"]: FlowState(row["job_id"]) for row in missing}

    async def read(
        self, session: Session, locked: Mapping[str, FlowState], *, whole: Collection[str] | None = None
    ) -> dict[str, Known]:
        """The states of flows whose rows are locked; without live runs where the flow is not in `whole` and nobody has
        edited it: what ends there is settled whatever else lives."""
        wanted = [{"job_id": flow} for flow in sorted(locked)]
        spans: dict[str, list[Span]] = {flow: [] for flow in locked}
        shown: dict[str, Any] = {}
        for flow, last, start, end, mark in await session.given_rows(self._ledgers, wanted):
            shown[flow] = last
            if mark is not None:
                spans[flow].append(Span(known_moment(start), known_moment(end), Mark(mark)))
        cells = {flow: Cells(LAST, (shown.get(flow),)) for flow in locked}
        read = {
            flow: replace(state, shown=cells[flow].moment(*LAST), ledger=Ledger(tuple(spans[flow])))
            for flow, state in locked.items()
        }
        live = await self._live_runs(
            session,
            [
                flow
                for flow, state in sorted(read.items())
                if whole is None or flow in whole or state.shown not in (None, state.written)
            ],
        )
        return {
            flow: Known(
                replace(state, live=tuple(live[flow])) if flow in live else state,
                shown.get(flow),
                bool(cells[flow].unreadable),
            )
            for flow, state in read.items()
        }

    async def _live_runs(self, session: Session, flows: Collection[str]) -> dict[str, list[LiveRun]]:
        live: dict[str, list[LiveRun]] = {flow: [] for flow in flows}
        if flows:
            for row in await session.given_rows(self._live, [{"job_id": flow} for flow in flows]):
                live[row[0]].append(self._live_run(*row[1:]))
        return live

    async def write(
        self, session: Session, known: Mapping[str, Known], after: Mapping[str, FlowState]
    ) -> None:
        """Write what differs from what was read."""
        changed = [
            (known[flow], state) for flow, state in sorted(after.items()) if state != known[flow].state
        ]
        rows = [_row(state) for one, state in changed if _row(state) != _row(one.state)]
        if rows:
            await session.change_rows(self._write, rows)
        gone: list[dict[str, Any]] = []
        put: list[dict[str, Any]] = []
        for one, state in changed:
            _compare(one.state, state, gone, put)
        if gone:
            await session.change_rows(self._drop_spans, gone)
        if put:
            await session.change_rows(self._put_spans, put)
        show = [
            {"job_id": state.flow, "was": _text(one.shown), "shown": maybe_text(state.shown)}
            for one, state in changed
            if not one.unreadable
            and state.shown is not None
            and state.shown == state.written
            and state.shown != one.state.shown
        ]
        if show:
            await session.change_rows(self._show, show)


def _compare(
    before: FlowState, after: FlowState, gone: list[dict[str, Any]], put: list[dict[str, Any]]
) -> None:
    """Add the keys of spans that are there no more, and the spans that are new or have changed."""
    old, new = set(before.ledger.spans), set(after.ledger.spans)
    starts = {span.start for span in new}
    gone += [_key(after.flow, span) for span in old - new if span.start not in starts]
    put += [
        _key(after.flow, span) | {"end_time": moment_text(span.end), "mark": span.mark}
        for span in sorted(new - old, key=lambda span: span.start)
    ]


def _key(flow: str, span: Span) -> dict[str, Any]:
    return {"job_id": flow, "start_time": moment_text(span.start)}


def _state(row: Any) -> FlowState:
    flow, origin, planned, generation, written, schedule, cut = row
    return FlowState(
        flow,
        origin=read_moment(origin),
        planned_until=read_moment(planned),
        generation=generation,
        written=read_moment(written),
        schedule=schedule or "",
        cut_after=read_moment(cut),
    )


def _live_run(run: int, start: Any, end: Any, status: str, origin: str) -> LiveRun:
    return LiveRun(run, Window(known_moment(start), known_moment(end)), status == RunStatus.QUEUED, origin)


def _row(state: FlowState) -> dict[str, Any]:
    return {
        "job_id": state.flow,
        "origin": maybe_text(state.origin),
        "planned_until": maybe_text(state.planned_until),
        "watermark": maybe_text(state.watermark),
        "written": maybe_text(state.written),
        "cut_after": maybe_text(state.cut_after),
        "generation": state.generation,
        "schedule": state.schedule,
    }


def _text(value: Any) -> str | None:
    """What a column holds, as text that is equal to it: SQLite's is text already, as whoever wrote it wrote it."""
    return value if value is None or isinstance(value, str) else maybe_text(read_moment(value))
