"""One batch in one transaction, with as few statements as it takes whatever its size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.exc import DBAPIError

from piko_flow.errors import RequestRefused, TermOutdated
from piko_flow.planning.flow_state import Change, FlowState
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.applying import (
    decide,
    refused_backfill,
    refused_reopening,
    settle,
    why_unwanted,
    with_run,
)
from piko_flow.store.batch import Batch, Decided, Decision, Ending, Written
from piko_flow.store.records import NewRun, ReplicaRecord, RunRecord
from piko_flow.store.sql.backfills import BackfillPositions
from piko_flow.store.sql.database import Session
from piko_flow.store.sql.dialects import Columns, SqlDialect
from piko_flow.store.sql.endings import Endings, succeeded_positions
from piko_flow.store.sql.failures import SinkFailed, is_answer
from piko_flow.store.sql.flow_states import FlowStates, Known
from piko_flow.store.sql.letter_writes import LetterWrites
from piko_flow.store.sql.new_runs import NewRuns
from piko_flow.store.sql.staging import EndingTransaction, StagedStatements
from piko_flow.store.sql.statements import moment_text

TERM = "SELECT version, {now} FROM scheduler_leader WHERE name = :name"
FENCE = "SELECT version FROM scheduler_leader WHERE name = :name{lock}"
PLANNED: Columns = {"job_id": "text", "planned_until": "time", "schedule": "long"}
POSITION: Columns = {"job_id": "text", "source_position": "long"}
LATER = (
    "CASE WHEN flow_state.planned_until > {new}planned_until THEN flow_state.planned_until "
    "ELSE {new}planned_until END"
)


class BatchStatements:
    """The statements that batches are written with, made once."""

    def __init__(self, dialect: SqlDialect) -> None:
        self.endings, self.new_runs, self.states = Endings(dialect), NewRuns(dialect), FlowStates(dialect)
        self.backfills, self.staged = BackfillPositions(dialect), StagedStatements.of(dialect)
        self.term, self.fence = dialect.statement(TERM), dialect.statement(FENCE)
        self.plan = dialect.upsert(
            "flow_state", PLANNED, key="job_id", sets={"planned_until": LATER, "schedule": "{new}schedule"}
        )
        self.place = dialect.upsert("flow_state", POSITION, key="job_id", sets=["source_position"])
        self.letters = LetterWrites(dialect)


class Writing:
    """Applies one batch, once, inside a transaction.

    `stale` None takes it that all claims hold, and NotAllMoved is raised when some do not; a set makes it look first.
    """

    def __init__(
        self,
        statements: BatchStatements,
        session: Session,
        batch: Batch,
        *,
        claimer: ReplicaRecord,
        now: datetime | None,
        stale: set[int] | None,
    ) -> None:
        self._do, self._session, self._batch = statements, session, batch
        self._claimer, self._stale = claimer, stale
        self._about_now = now
        self._term_read = False
        self._known: dict[str, Known] = {}
        self._states: dict[str, FlowState] = {}
        self._unwanted: dict[int, str] = {}
        self._decided: list[tuple[Decided, list[RunRecord]] | Exception] = []
        self._pending: list[tuple[int, tuple[NewRun, ...]]] = []

    async def apply(self) -> Written:
        """Write everything; locks are taken in one order: flows by name, runs, and last of all the leader's row.

        The lease's row is locked only to be sure of the term until the commit: nothing is waited for under it, or a
        leader that waits for a flow would keep itself from renewing its lease.
        """
        batch, session, do = self._batch, self._session, self._do
        now = await self._time()
        stateful = {ending.flow for ending in batch.endings if ending.window is not None}
        stateful |= {decision.flow for decision in batch.decisions}
        locked = await do.states.lock(session, stateful) if stateful else {}
        endings = await do.endings.end_all(session, batch, self._stale, now)
        await self._sinks(endings)
        await do.endings.requeue_all(session, batch, self._stale, now)
        await self._plan()
        if locked:
            decided = {decision.flow for decision in batch.decisions}
            self._known = await do.states.read(session, locked, whole=decided)
            self._states = {flow: known.state for flow, known in self._known.items()}
        self._settle(endings)
        for decision in batch.decisions:
            await self._decide(decision, now)
        queued = await self._queue(batch.queue, now)
        if self._unwanted:
            await do.new_runs.give_up(session, self._unwanted, now)
        if self._known:
            await do.states.write(session, self._known, self._states)
        await self._leave(endings, now)
        made = [*(record for one in self._decided if isinstance(one, tuple) for record in one[1]), *queued]
        claimed = [record for record in made if record is not None and record.status is RunStatus.RUNNING]
        if batch.admit:
            await do.new_runs.admit(session, batch.admit)
        if batch.claim:
            claimed += await do.new_runs.claim_these(session, batch.claim, self._claimer, now)
        await self._fence()
        return Written(now, self._stale or set(), queued, decided=self._decided, claimed=claimed)

    async def _time(self) -> datetime:
        """The database's time, which is asked for where nothing was lately heard of it; with it comes the term."""
        batch = self._batch
        if self._about_now is not None:
            return self._about_now
        if batch.term is not None:
            row = await self._session.row(self._do.term, name=batch.term.lease)
            self._refuse_old_term(row)
            if row is not None:
                return self._session.heard(row[1])
        return await self._session.now()

    async def _fence(self) -> None:
        """Refuse a batch of a term that is over, and keep the lease from being taken until the commit."""
        batch = self._batch
        if batch.term is not None and (self._session.dialect.lock or not self._term_read):
            self._refuse_old_term(await self._session.row(self._do.fence, name=batch.term.lease))

    def _refuse_old_term(self, row: Sequence[Any] | None) -> None:
        self._term_read = True
        term = self._batch.term
        if term is not None and row is not None and row[0] > term.number:
            raise TermOutdated(lease=term.lease, term=term.number)

    async def _sinks(self, endings: Sequence[Ending]) -> None:
        for ending in endings:
            if ending.within is None:
                continue
            transaction = EndingTransaction(self._session, self._do.staged, ending.run)
            try:
                await ending.within(transaction)
            except Exception as error:
                driver = error if isinstance(error, DBAPIError) else error.__cause__
                if isinstance(driver, DBAPIError) and not is_answer(driver, self._session.dialect):
                    raise driver from error  # the store tries again, or tells that it is away
                raise SinkFailed(error) from error
            await transaction.forget()

    async def _plan(self) -> None:
        planned = {one.flow: one for one in self._batch.planned}
        for one in self._batch.planned:
            planned[one.flow] = replace(one, until=max(one.until, planned[one.flow].until))
        rows = [
            {"job_id": flow, "planned_until": moment_text(one.until), "schedule": one.schedule}
            for flow, one in sorted(planned.items())
        ]
        if rows:
            await self._session.change_rows(self._do.plan, rows)

    def _settle(self, endings: Sequence[Ending]) -> None:
        for ending in endings:
            if ending.window is not None:
                self._change(settle(self._states[ending.flow], ending))

    def _change(self, change: Change) -> None:
        self._states[change.state.flow] = change.state
        self._unwanted |= dict.fromkeys(change.unwanted, why_unwanted(change))

    async def _decide(self, decision: Decision, now: datetime) -> None:
        if any(new.flow == decision.flow for _, runs in self._pending for new in runs):
            await self._queue((), now)  # what was decided before has to be seen as live
        try:
            decided = decide(self._states[decision.flow], decision, now)
        except Exception as error:  # it is the decision's result
            self._decided.append(error)
            return
        refused, again = await self._refused(decided, decision.flow)
        if refused is not None:
            self._decided.append(refused)
            return
        self._change(decided.change)
        self._pending.append((len(self._decided), decided.runs))
        self._decided.append((decided, []))
        if again is not None:
            await self._queue((), now)  # it comes last among the runs of its decision
            self._made(len(self._decided) - 1, await self._do.new_runs.reopen(self._session, again))

    async def _refused(self, decided: Decided, flow: str) -> tuple[RequestRefused | None, RunRecord | None]:
        """Why the decision is refused, if it is; and the run that it reopens. A backfill has moved if it is not."""
        again: RunRecord | None = None
        if decided.reopen is not None:
            again = await self._do.new_runs.look(self._session, decided.reopen)
            refused = refused_reopening(decided, flow, again)
            if refused is not None:
                return refused, None
        if decided.backfill is not None:
            record = await self._do.backfills.move(self._session, *decided.backfill)
            return refused_backfill(decided, record), again
        return None, again

    def _made(self, place: int, record: RunRecord) -> None:
        """The decision of this place has this run."""
        one = self._decided[place]
        assert isinstance(one, tuple)
        one[1].append(record)
        self._states[record.flow] = with_run(self._states[record.flow], record)

    async def _queue(self, runs: Sequence[NewRun], now: datetime) -> list[RunRecord | None]:
        """Make the runs that were decided, and these; gives the records of these."""
        wanted = [(place, new) for place, decided in self._pending for new in decided]
        self._pending.clear()
        new_runs = [*(new for _, new in wanted), *runs]
        made = await self._do.new_runs.make(self._session, new_runs, self._claimer, now)
        await self._do.letters.take(self._session, new_runs, made)
        for (place, _), record in zip(wanted, made, strict=False):
            if record is not None:
                self._made(place, record)
        return made[len(wanted) :]

    async def _leave(self, endings: Sequence[Ending], now: datetime) -> None:
        """What runs leave behind besides their outcome: dead letters, old and new, and where their source stands."""
        for ending in endings:
            if ending.replayed:
                await self._do.letters.settle(self._session, ending, now)
        letters = [
            replace(letter, flow=ending.flow, run=ending.run)
            for ending in endings
            for letter in ending.dead_letters
        ]
        await self._do.letters.keep(self._session, letters, now)
        positions = succeeded_positions(endings)
        if positions:
            rows = [{"job_id": flow, "source_position": text} for flow, text in sorted(positions.items())]
            await self._session.change_rows(self._do.place, rows)


def is_plain(batch: Batch) -> bool:
    """Whether there is nothing but endings that touch no other row, so that one statement says it all."""
    others = (
        batch.term,
        batch.requeues,
        batch.planned,
        batch.decisions,
        batch.queue,
        batch.admit,
        batch.claim,
    )
    return not any(others) and not any(
        ending.window
        or ending.dead_letters
        or ending.replayed
        or ending.position is not None
        or ending.within
        for ending in batch.endings
    )
