"""What the control half asks of a store. Each call is one transaction; all times are aware UTC, microseconds kept.

Calls raise StoreUnavailable when the store cannot be reached, is locked or read-only: then it is not known
whether the change was made, and asking again is safe. They belong to the event loop that opened the store.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from piko_flow.dataflow.stages.sink import Part
from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.batch import Batch, Written
from piko_flow.store.ops_protocols import OpsStore
from piko_flow.store.records import (
    AttemptRecord,
    BackfillRecord,
    ConfigRecord,
    DeadLetterRecord,
    FlowRecord,
    Lease,
    LetterGroup,
    MarkedSchedule,
    ParamsVersion,
    Pulse,
    ReplicaRecord,
    RunRecord,
    ScheduleRecord,
)
from piko_flow.store.seen import Seen


class LeaseStore(Protocol):
    """Who leads, and which replicas live; decided by the store's clock."""

    async def acquire(self, name: str, *, holder: str, ttl: timedelta) -> Lease | None:
        """Take the lease if it is free, run out or the holder's own; the term grows only when the holder changes."""
        ...

    async def renew(self, lease: Lease, *, ttl: timedelta) -> bool:
        """Prolong the lease, in one statement, if holder and term are still these, even if it had run out.

        Gives whether they are.
        """
        ...

    async def release(self, lease: Lease) -> None:
        """End the lease at once, so that another need not wait; without effect when it is another's."""

    async def forget_lease(self, name: str) -> None:
        """Delete the lease, whose name nobody will ask for again; one that has not run out stays."""

    async def beat(self, replica: ReplicaRecord, *, ttl: timedelta) -> None:
        """Count the replica as alive for `ttl` from now. Who holds an unexpired lease counts as alive, too."""

    async def leave(self, replica: str) -> None:
        """Forget the replica, and what it showed of its runs."""

    async def replicas(self) -> list[ReplicaRecord]:
        """All replicas that have not left, the dead among them too until they are swept."""
        ...

    async def pulse(self, name: str, replica: str) -> Pulse:
        """One statement, whatever the number of flows and ended runs."""
        ...


@dataclass(frozen=True, slots=True)
class Digest:
    """A fingerprint of the content of all schedule and config rows, made by the store.

    Whether and why a schedule is paused belongs to its content. `last_data_time` counts only where it is not what the store wrote last. Equal digests: nothing to read.
    """

    now: datetime
    schedules: str
    configs: str


class ScheduleStore(Protocol):
    """Rows that people edit, and what was made of them."""

    async def digest(self) -> Digest:
        """One query that returns one row."""
        ...

    async def schedule_marks(self) -> dict[str, str]:
        """For each flow that has a schedule row a text that is another one whenever the digest is another one
        because of this row or of the flow's pause."""
        ...

    async def marked_schedules(self, flows: Collection[str]) -> list[MarkedSchedule]:
        """The rows of these flows with their marks, read together."""
        ...

    async def schedules(self) -> list[ScheduleRecord]: ...
    async def configs(self) -> list[ConfigRecord]: ...
    async def config(self, flow: str) -> ConfigRecord | None:
        """The flow's config row; None where it has none."""
        ...

    async def flows(self, names: Collection[str] | None = None) -> list[FlowRecord]:
        """What is stored of flows besides their rows, of those of these names or of all, by flow. One statement."""
        ...

    async def add_schedules(self, records: Sequence[ScheduleRecord]) -> list[str]:
        """Insert rows for flows that have none; gives the flows whose row was made."""
        ...

    async def set_schedule(self, record: ScheduleRecord, *, seen: Seen | None = None) -> ScheduleRecord:
        """Insert or replace a row; `version` grows by one, `last_data_time` of an existing row stays.

        Raises RequestConflicts where the row's version is not the one that was seen: of two who saw the same, one has
        it changed.
        """
        ...

    async def delete_schedule(self, flow: str, *, seen: Seen | None = None) -> bool:
        """Delete the row; False when there is none. Raises RequestConflicts as `set_schedule` does."""
        ...

    async def set_config(
        self,
        flow: str,
        text: str,
        *,
        schema_version: int,
        effective_from: datetime | None,
        seen: Seen | None = None,
    ) -> ConfigRecord:
        """Insert or replace a row; `version` grows by one. Raises ValueError when the text is no JSON object, and
        RequestConflicts as `set_schedule` does."""
        ...

    async def keep_params(self, versions: Sequence[ParamsVersion]) -> list[ParamsVersion]:
        """Store versions of parameters that were seen, with their ids; one that is the flow's newest already is not kept twice."""
        ...

    async def params(self, flow: str | None = None, *, limit: int = 100) -> list[ParamsVersion]:
        """The versions of one flow, newest first; or of every flow all that can be in force now or later."""
        ...

    async def refused_params(self, flows: Collection[str] | None = None) -> dict[str, str]:
        """Why the newest version is not used, of those of these flows, or of all, of which it is not; one statement."""
        ...

    async def params_version(self, version: int) -> ParamsVersion | None: ...

    async def prune_params(self, *, before: datetime, keep: int, limit: int) -> int:
        """Delete versions seen before that which are not in force nor to come, to which no run or dead letter is pinned,
        and which are not among the flow's newest `keep`, at least 1; at most `limit` a call. Gives how many went."""
        ...

    async def note_refusals(self, refused: Mapping[str, str]) -> None:
        """Store why these flows' schedule rows are not used; an empty text clears it."""

    async def pause(self, flow: str, reason: str) -> bool:
        """Pause the flow's schedule; an empty reason resumes it. False when it was so already."""
        ...

    async def complete(self, flow: str, run_date: datetime) -> None:
        """Note in the row that its date has been dealt with (`completed_at`)."""


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs to list: newest first, `limit` at most, those with ids below `before`.

    `key` is a run's key, which is unique in its `flow` and means nothing without it. `window` is exactly the window
    that a run covers, and is found fast together with its `flow`.
    """

    flow: str | None = None
    key: str | None = None
    window: Window | None = None
    statuses: Collection[RunStatus] = ()
    backfill: int | None = None
    before: int | None = None
    limit: int = 50


class RunStore(Protocol):
    """Runs, attempts, and what runs have prepared."""

    async def write(self, batch: Batch) -> Written:
        """Write everything in the batch in one transaction.

        Raises TermOutdated when the batch has a term and a newer one exists; nothing is written then.
        Writing the same endings again after an unclear failure succeeds.
        """
        ...

    async def claim(
        self, replica: ReplicaRecord, *, limit: int, known: Callable[[str], bool]
    ) -> list[RunRecord]:
        """Take up to `limit` admitted runs that are due, oldest first, of flows that this replica knows."""
        ...

    async def holds(self, run: int, claim: int) -> bool:
        """Whether the run is running under this claim."""
        ...

    async def live(self) -> list[RunRecord]:
        """All queued and running runs, oldest first."""
        ...

    async def lost(self) -> list[RunRecord]:
        """The running runs whose replica counts as dead."""
        ...

    async def cancel(self, run: int, *, by: str, seen: Seen | None = None) -> RunRecord | None:
        """End a queued run as CANCELLED, ask for the end of a running one; gives the run as it is then: unchanged
        where the decision to commit it has been stored. Raises RequestConflicts where its status or attempt is
        another one than was seen."""
        ...

    async def cancels(self, replica: str) -> list[RunRecord]:
        """This replica's running runs that somebody wants cancelled."""
        ...

    async def run(self, run: int) -> RunRecord | None: ...
    async def runs(self, which: RunFilter) -> list[RunRecord]: ...
    async def last_runs(self, flows: Collection[str]) -> dict[str, RunRecord]:
        """The newest run of each of these flows; one that never ran is left out. One statement."""
        ...

    async def attempts(self, run: int) -> list[AttemptRecord]: ...
    async def last_statuses(self, flow: str, limit: int) -> list[RunStatus]:
        """How the flow's last ended runs ended, newest first; SKIPPED and CANCELLED ones are left out."""
        ...

    async def position(self, flow: str) -> str | None:
        """Where the flow's last successful run left its source, as JSON; None if it never said."""
        ...

    async def keep_unit(self, run: int, claim: int, unit: str, fingerprint: str, text: str) -> bool:
        """Store what a unit has prepared, as JSON, if the claim holds; again replaces, also what an earlier claim
        has prepared. Gives whether it was stored."""
        ...

    async def units(self, run: int) -> tuple[str, dict[str, str]]:
        """The fingerprint and the prepared units of a run, by id; empty for one that has none."""
        ...

    async def decide(self, run: int, claim: int, text: str) -> bool:
        """Store the decision to commit with all receipts, if the claim holds. It cannot be taken back: a wish to
        cancel the run is too late from now on, and forgotten."""
        ...

    async def decision(self, run: int) -> str | None: ...
    async def live_units(self) -> list[str]:
        """What live runs have prepared and not yet committed."""
        ...

    async def stage(self, run: int, claim: int, part: Part, chunk: int, text: str) -> bool:
        """Keep a text of a part until the run ends, if the claim holds; the same chunk again replaces it.

        What was staged is read in the run's last transaction, which removes all that the run has staged.
        """
        ...

    async def sweep_staged(self, limit: int) -> int:
        """Remove what runs that have ended left staged; at most `limit` runs a call. Gives how many texts went."""
        ...

    async def letters_to_replay(self, run: int, *, after: int = 0, limit: int) -> list[DeadLetterRecord]:
        """The open dead letters that the run has taken to replay them, by number, those above `after`."""
        ...

    async def keep_dead_letters(self, letters: Sequence[DeadLetterRecord]) -> None:
        """Store letters that come of no run's end, each with the flow and the run that it names."""

    async def prune_dead_letters(self, *, before: datetime, limit: int) -> int:
        """Delete dead letters older than `before`, at most `limit` a call, but for those that a live run replays; gives
        how many went."""
        ...

    async def letter_files(self) -> set[str]:
        """The files in which the payloads of open dead letters lie."""
        ...

    async def prune(self, *, before: datetime | None, keep: int | None, limit: int) -> int:
        """Delete ended runs older than `before`, and of each flow all but the newest `keep`, with all that
        belongs to them; at most `limit` a call. None is no bound. The ledger stays. Gives how many runs went.

        Dead letters of no run go when they are that old.
        """
        ...


class LedgerStore(Protocol):
    """Settled spans, backfills, dead letters."""

    async def states(self, flows: Collection[str]) -> dict[str, FlowState]:
        """The states of flows as they are now; a flow never seen has an empty one."""
        ...

    async def add_backfill(self, record: BackfillRecord) -> BackfillRecord:
        """Store a backfill; its id is given by the store."""
        ...

    async def backfills(
        self, *, flow: str | None = None, open_only: bool = False
    ) -> list[BackfillRecord]: ...
    async def backfill_counts(self, backfill: int) -> dict[RunStatus, int]:
        """How many of its runs are in each state."""
        ...

    async def set_backfill(
        self, backfill: int, *, state: str, unless: Collection[str] = (), seen: Seen | None = None
    ) -> BackfillRecord | None:
        """Pause, resume, cancel or end a backfill; None when it is not there or in one of the states `unless`.
        Pausing takes back what was admitted of its queued runs; cancelling ends these, too. Raises RequestConflicts
        where its state is another one than was seen."""
        ...

    async def dead_letters(
        self,
        *,
        flow: str | None = None,
        fingerprint: str | None = None,
        state: str | None = None,
        run: int | None = None,
        replay_run: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[DeadLetterRecord]:
        """Dead letters of all flows or of one, newest first; those with numbers below `before`.

        Those whose fingerprint begins with `fingerprint`, that failed in `run`, that `replay_run` was the last to take.
        """
        ...

    async def dead_letters_of(self, ids: Collection[int]) -> list[DeadLetterRecord]:
        """The letters of these numbers, newest first; those that are not there are left out."""
        ...

    async def letter_groups(
        self, *, flow: str | None = None, fingerprint: str | None = None, limit: int = 100
    ) -> list[LetterGroup]:
        """The open letters that failed alike, together; the group with the newest letter first."""
        ...

    async def open_letters(self, flows: Collection[str] | None = None) -> dict[str, int]:
        """How many letters of each of these flows, or of all, are open; flows without any are left out."""
        ...

    async def drop_dead_letters(self, ids: Collection[int]) -> list[DeadLetterRecord]:
        """Drop those of these letters that are open and that no live run replays; gives them as they were.

        A dropped letter stays as a row without its item, until its run goes.
        """
        ...


class Store(LeaseStore, ScheduleStore, RunStore, LedgerStore, OpsStore, Protocol):
    """All subjects in one place, opened together."""

    url: str

    async def close(self) -> None:
        """Give back all connections."""

    @property
    def statements(self) -> int:
        """How many statements were sent since it was opened, transactions' begin and end not counted."""
        ...
