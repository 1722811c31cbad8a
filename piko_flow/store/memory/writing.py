"""One batch, written into the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NoReturn

from piko_flow.errors import RequestRefused
from piko_flow.planning.flow_state import Change, FlowState
from piko_flow.planning.run_state import LIVE, RunStatus
from piko_flow.store.applying import (
    claimed,
    decide,
    ended,
    ended_attempt,
    given_up,
    has_ended_so,
    may_end,
    may_requeue,
    new_record,
    past_attempt,
    refused_backfill,
    refused_reopening,
    reopened,
    requeued,
    settle,
    was_requeued,
    why_unwanted,
)
from piko_flow.store.batch import Batch, Decided, Decision, Ending, PlannedFires, Requeue, Written
from piko_flow.store.letter_states import REPLAYED, failed_again, is_free, is_replayed_by
from piko_flow.store.memory.rows import MemoryRows
from piko_flow.store.records import NewRun, ReplicaRecord, RunRecord


class MemoryTransaction:
    """What a sink sees that wants to write into the store's database: there is none."""

    dialect = "memory"

    async def execute(self, statement: Any, values: Mapping[str, Any] | None = None) -> NoReturn:
        """Raises RequestRefused: rows of sinks need a database."""
        raise RequestRefused(
            what="execute a statement in the transaction in which a run ends",
            rule="the store must be a SQL database",
            got="this one is in memory",
            advice="Open an SQLite file, for example sqlite:///flows.db, or write the rows elsewhere",
        )

    async def execute_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> NoReturn:
        """Raises RequestRefused, as `execute`."""
        await self.execute(statement)


class Writing:
    """Applies a batch in the order of its fields; `apply` is called once, inside a transaction of the rows."""

    def __init__(self, rows: MemoryRows, batch: Batch, now: datetime) -> None:
        self._rows, self._batch, self._now = rows, batch, now
        self._replica = rows.replicas.get(batch.replica) or ReplicaRecord(batch.replica)
        self._written = Written(now)

    def apply(self) -> Written:
        """Write everything; gives what became of it."""
        batch, written = self._batch, self._written
        for ending in batch.endings:
            self._end(ending)
        for requeue in batch.requeues:
            self._requeue(requeue)
        for planned in batch.planned:
            self._plan(planned)
        written.decided = [self._decide(decision) for decision in batch.decisions]
        written.queued = [self._queue(new) for new in batch.queue]
        for number in batch.admit:
            run = self._rows.runs.get(number)
            if run is not None and run.status is RunStatus.QUEUED and not self._rows.is_paused(run.backfill):
                self._rows.put_run(replace(run, admitted=True))
        for number in batch.claim:
            run = self._rows.runs.get(number)
            if run is not None and run.status is RunStatus.QUEUED:
                self._take(claimed(run, self._replica, self._now))
        return written

    def _end(self, ending: Ending) -> None:
        run = self._rows.runs.get(ending.run)
        if run is None or not may_end(run, self._batch, ending.claim):
            if run is None or not has_ended_so(run, ending):
                self._written.stale.add(ending.run)
            return
        rows = self._rows
        rows.put_run(ended(run, ending, self._now))
        if ending.within is not None:
            rows.drop(rows.staged, run.id)
        for letter in ending.dead_letters:
            rows.add_letter(replace(letter, flow=run.flow, run=run.id, created_at=self._now))
        if ending.replayed:
            self._settle_letters(ending)
        if ending.position is not None and ending.status is RunStatus.SUCCESS:
            rows.put(rows.positions, run.flow, ending.position)
        if ending.window is not None:
            before = rows.state(run.flow)
            self._change(settle(before, ending))

    def _settle_letters(self, ending: Ending) -> None:
        """The letters that the run has taken are replayed, but for what failed again."""
        rows, again = self._rows, {letter.id: letter for letter in ending.again}
        for letter in [one for one in rows.letters.values() if is_replayed_by(one, ending.run)]:
            failed = again.get(letter.id)
            settled = replace(letter, state=REPLAYED)
            rows.put(
                rows.letters,
                letter.id,
                settled if failed is None else failed_again(settled, failed, self._now),
            )

    def _requeue(self, requeue: Requeue) -> None:
        run = self._rows.runs.get(requeue.run)
        if run is None or not may_requeue(run, self._batch, requeue):
            if run is None or not was_requeued(run, requeue):
                self._written.stale.add(requeue.run)
            return
        again = requeued(run, requeue, self._now)
        if again.status is RunStatus.QUEUED and (requeue.attempt or requeue.rescue):
            self._rows.add_attempt(past_attempt(run, requeue, self._now))
        self._rows.put_run(again)

    def _plan(self, planned: PlannedFires) -> None:
        state = self._rows.states.get(planned.flow) or FlowState(planned.flow)
        if state.planned_until is None or planned.until > state.planned_until:
            state = replace(state, planned_until=planned.until)
        self._rows.put(self._rows.states, planned.flow, replace(state, schedule=planned.schedule))

    def _decide(self, decision: Decision) -> tuple[Decided, list[RunRecord]] | Exception:
        rows = self._rows
        try:
            decided = decide(rows.state(decision.flow), decision, self._now)
        except Exception as error:  # it is the decision's result
            return error
        number, position = decided.backfill or (0, 0)
        backfill = rows.backfills.get(number)
        again = None if decided.reopen is None else rows.runs.get(decided.reopen)
        refused = refused_backfill(decided, backfill) or refused_reopening(decided, decision.flow, again)
        if refused is not None:
            return refused
        if backfill is not None:
            rows.put(rows.backfills, number, replace(backfill, position=position))
        self._change(decided.change)
        made = [self._queue(new) for new in decided.runs]
        if again is not None:
            made.append(self._reopen(again))
        return decided, [record for record in made if record is not None]

    def _reopen(self, run: RunRecord) -> RunRecord:
        self._rows.add_attempt(ended_attempt(run))
        again = reopened(run)
        self._rows.put_run(again)
        return again

    def _change(self, change: Change) -> None:
        """Store the new state, and end the runs that are no longer wanted."""
        for number in change.unwanted:
            run = self._rows.runs.get(number)
            if run is not None and run.status is RunStatus.QUEUED:
                reason = why_unwanted(change)
                self._rows.put_run(given_up(run, RunStatus.SKIPPED, reason, self._now))
        self._rows.put_state(change.state)

    def _queue(self, new: NewRun) -> RunRecord | None:
        if self._rows.run_of(new) is not None:
            return None
        record = new_record(self._rows.next_id("runs"), new, self._replica, self._now)
        self._rows.add_run(record)
        for number in new.letters:
            letter = self._rows.letters.get(number)
            if letter is not None and is_free(letter, self._rows.runs.get(letter.replay_run or 0)):
                self._rows.put(self._rows.letters, number, replace(letter, replay_run=record.id))
        if record.status in LIVE and record.claim:
            self._written.claimed.append(record)
        return record

    def _take(self, run: RunRecord) -> None:
        self._rows.put_run(run)
        self._written.claimed.append(run)
