"""The rows of a memory store, with what is needed to find them again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from piko_flow.errors import StoreUnavailable
from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.run_state import LIVE, RunStatus
from piko_flow.store.applying import live_runs
from piko_flow.store.ops_records import AuditRecord, Episode, KeptAnswer, LogLine, TokenRecord
from piko_flow.store.records import (
    AttemptRecord,
    BackfillRecord,
    ConfigRecord,
    DeadLetterRecord,
    Lease,
    NewRun,
    ParamsVersion,
    ReplicaRecord,
    RunRecord,
    ScheduleRecord,
)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
GONE: Any = object()


@dataclass(slots=True)
class Prepared:
    """What the units of a run have prepared, and the decision to commit it."""

    fingerprint: str = ""
    units: dict[str, str] = field(default_factory=dict)
    decision: str | None = None


class MemoryRows:
    """Tables as dictionaries of frozen records. Ids only grow, so `runs` is in the order of ids.

    `most` bounds the runs, and the dead letters and what is kept of operations likewise: a full table refuses new
    rows as a full disk does.
    Inside `transaction` whatever `put` and `drop` did is taken back when the block raises.
    """

    def __init__(self, *, most: int) -> None:
        self.most = most
        self.leases: dict[str, Lease] = {}
        self.replicas: dict[str, ReplicaRecord] = {}
        self.schedules: dict[str, ScheduleRecord] = {}
        self.contents: dict[str, tuple[ScheduleRecord, datetime | None, str]] = {}
        """What a digest is made of: the row, the edit that it shows, both as text."""
        self.configs: dict[str, ConfigRecord] = {}
        self.params: defaultdict[str, list[ParamsVersion]] = defaultdict(list)
        self.paused: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.states: dict[str, FlowState] = {}
        self.runs: dict[int, RunRecord] = {}
        self.keys: dict[tuple[str, str], int] = {}
        self.of_flow: defaultdict[str, dict[int, None]] = defaultdict(dict)
        self.live_of: defaultdict[str, dict[int, None]] = defaultdict(dict)
        self.queued: dict[int, None] = {}
        self.running: dict[int, None] = {}
        self.admitted: dict[int, None] = {}
        self.attempts: dict[int, tuple[AttemptRecord, ...]] = {}
        self.prepared: dict[int, Prepared] = {}
        self.staged: dict[int, dict[tuple[str, str, int], dict[int, str]]] = {}
        self.positions: dict[str, str] = {}
        self.backfills: dict[int, BackfillRecord] = {}
        self.letters: dict[int, DeadLetterRecord] = {}
        self.tokens: dict[int, TokenRecord] = {}
        self.audits: dict[int, AuditRecord] = {}
        self.answers: dict[tuple[str, str], KeptAnswer] = {}
        self.logs: dict[int, list[LogLine]] = {}
        self.reports: dict[int, dict[int, str]] = {}
        self.shown: dict[str, dict[int, tuple[datetime, str]]] = {}
        """What replicas show of their runs."""
        self.episodes: dict[int, Episode] = {}
        self.untold: set[tuple[int, str]] = set()  # episodes, with "begun" or "over"
        self._ids: defaultdict[str, int] = defaultdict(int)
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []

    def next_id(self, table: str) -> int:
        """A number that the table has not had; never given twice, also when the transaction fails."""
        self._ids[table] += 1
        return self._ids[table]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes of the block, or none of them. There must be no await inside."""
        self._undo.clear()
        try:
            yield
        except BaseException:
            for table, key, old in reversed(self._undo):
                if old is GONE:
                    table.pop(key, None)
                else:
                    table[key] = old
            raise
        finally:
            self._undo.clear()

    def put(self, table: dict[K, V], key: K, value: V) -> None:
        """Insert or replace a row."""
        self._undo.append((table, key, table.get(key, GONE)))
        table[key] = value

    def drop(self, table: dict[K, V], key: K) -> None:
        """Delete a row, if it is there."""
        if key in table:
            self._undo.append((table, key, table.pop(key)))

    def is_paused(self, backfill: int | None) -> bool:
        """Whether it is a backfill that is paused."""
        record = None if backfill is None else self.backfills.get(backfill)
        return record is not None and record.state == "paused"

    def add_run(self, run: RunRecord) -> None:
        """Insert a run. Raises StoreUnavailable when there is no room."""
        self.need_room("a run", self.runs)
        self.put(self.keys, (run.flow, run.key), run.id)
        self.put(self.of_flow[run.flow], run.id, None)
        self.put_run(run)

    def put_run(self, run: RunRecord) -> None:
        """Insert or replace a run, and keep in order who is live."""
        self.put(self.runs, run.id, run)
        self._note(self.queued, run.id, run.status is RunStatus.QUEUED)
        self._note(self.running, run.id, run.status is RunStatus.RUNNING)
        self._note(self.admitted, run.id, run.status is RunStatus.QUEUED and run.admitted)
        self._note(self.live_of[run.flow], run.id, run.status in LIVE)

    def forget_run(self, run: RunRecord) -> None:
        """Delete an ended run with all that belongs to it."""
        self.drop(self.runs, run.id)
        self.drop(self.keys, (run.flow, run.key))
        self.drop(self.of_flow[run.flow], run.id)
        self.drop(self.attempts, run.id)
        self.drop(self.prepared, run.id)
        self.drop(self.staged, run.id)
        self.drop(self.logs, run.id)
        self.drop(self.reports, run.id)
        for texts in self.shown.values():
            self.drop(texts, run.id)

    def add_attempt(self, attempt: AttemptRecord) -> None:
        """Insert an attempt of a run that is followed by another."""
        self.put(self.attempts, attempt.run, (*self.attempts.get(attempt.run, ()), attempt))

    def add_letter(self, letter: DeadLetterRecord) -> None:
        """Insert a dead letter under an id of its own. Raises StoreUnavailable when there is no room."""
        self.need_room("a dead letter", self.letters)
        number = self.next_id("letters")
        self.put(self.letters, number, replace(letter, id=number))

    def run_of(self, new: NewRun) -> int | None:
        """The id of the run that has this key already."""
        return self.keys.get((new.flow, new.key))

    def sorted_runs(self, ids: dict[int, None]) -> list[RunRecord]:
        """The runs of these ids, oldest first."""
        return [self.runs[number] for number in sorted(ids)]

    def state(self, flow: str) -> FlowState:
        """The flow's state as it is now; an empty one for a flow never seen."""
        state = self.states.get(flow) or FlowState(flow)
        row = self.schedules.get(flow)
        live = live_runs(self.sorted_runs(self.live_of[flow])) if self.live_of.get(flow) else ()
        return replace(state, live=live, shown=None if row is None else row.last_data_time)

    def put_state(self, state: FlowState) -> None:
        """Store a flow's state; where it shows the watermark, the schedule row shows it too."""
        self.put(self.states, state.flow, replace(state, live=(), shown=None))
        row = self.schedules.get(state.flow)
        if row is not None and state.shown is not None and state.shown == state.written != row.last_data_time:
            self.put(self.schedules, state.flow, replace(row, last_data_time=state.shown))

    def _note(self, index: dict[int, None], number: int, belongs: bool) -> None:
        if belongs and number not in index:
            self.put(index, number, None)
        elif not belongs:
            self.drop(index, number)

    def need_room(self, what: str, table: dict[Any, Any]) -> None:
        """Raise StoreUnavailable when the table holds as many rows as it may."""
        if len(table) >= self.most:
            raise StoreUnavailable(
                what=f"keep {what}", reason=f"it holds {self.most}, as many as it may; prune it"
            )
