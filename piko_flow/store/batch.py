"""What one transaction of the run store does: everything that waits is written together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from piko_flow.dataflow.stages.sink import Transaction
from piko_flow.errors import RequestRefused, ScheduleError
from piko_flow.planning.flow_state import Change, FlowState
from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.records import DeadLetterRecord, NewRun, RunRecord
from piko_flow.store.seen import Seen


@dataclass(frozen=True, slots=True)
class Term:
    """The reign in whose name a leader writes; a newer one in the store refuses it."""

    lease: str
    number: int


@dataclass(frozen=True, slots=True)
class PlannedFires:
    """A stateless flow's fires up to `until` have become rows, by the schedule of this identity."""

    flow: str
    until: datetime
    schedule: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """What a decision over a flow's state wants stored: the change, and runs for the windows it queues.

    `backfill` moves a backfill (its id) to a position in the same transaction. `reopen` is a run of the flow
    that ended FAILED or CANCELLED: it is queued again as its next attempt, and the attempt that ended is kept;
    its record is the last of the decision's runs. The decision is refused if it has not ended so, or is not as it
    was `seen`.
    """

    change: Change
    runs: tuple[NewRun, ...] = ()
    backfill: tuple[int, int] | None = None
    reopen: int | None = None
    seen: Seen | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A rule to be applied to a stateful flow's state inside the transaction, on the row that is locked.

    `decide` is pure and may be called more than once; it is told the database's time. Raising refuses the
    decision: the error is its result, and the rest of the batch is written.
    """

    flow: str
    decide: Callable[[FlowState, datetime], Decided]


@dataclass(frozen=True, slots=True)
class Requeue:
    """A running run goes back to QUEUED: for its next attempt, released by its replica, or rescued from a dead one.

    With `attempt` it grows. With that, and for a rescue, a row keeps the attempt that ended, or that a replica lost: it is
    tried again under its number. It has to be admitted anew. A rescue names the claim it takes away like any other.
    """

    run: int
    claim: int
    reason: str
    attempt: bool = False
    rescue: bool = False
    not_before: datetime | None = None
    error_type: str = ""
    error_msg: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """A run ends, if this claim still holds. For a stateful flow its window is settled or marked in the same step.

    `mark` None leaves the window a gap. `within` writes the rows of sinks in the same database, and the
    position of its source; it raises to fail the ending as a whole. With `replayed` the dead letters that the run has
    taken are replayed now, but for those in `again` (by id), which have failed once more. Times in milliseconds.
    """

    run: int
    claim: int
    flow: str
    status: RunStatus
    reason: str = ""
    window: Window | None = None
    mark: Mark | None = None
    duration_ms: int | None = None
    compute_ms: int | None = None
    persist_ms: int | None = None
    error_type: str = ""
    error_hash: str = ""
    error_msg: str = ""
    dead_items: int = 0
    dead_letters: tuple[DeadLetterRecord, ...] = ()
    replayed: bool = False
    again: tuple[DeadLetterRecord, ...] = ()
    position: str | None = None
    within: Callable[[Transaction], Awaitable[None]] | None = None


@dataclass(slots=True)
class Batch:
    """All that is to be written in one transaction; applied in the order of the fields.

    What the leader wants (`planned`, `decisions`, `queue`, `admit`) is refused as a whole when `term` is not
    the newest. `claim` lists queued runs that this replica takes.
    """

    replica: str
    term: Term | None = None
    endings: list[Ending] = field(default_factory=list)
    requeues: list[Requeue] = field(default_factory=list)
    planned: list[PlannedFires] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    queue: list[NewRun] = field(default_factory=list)
    admit: list[int] = field(default_factory=list)
    claim: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Written:
    """What became of a batch.

    `stale`: the runs whose ending or requeue was refused, because their claim no longer holds. `queued`: a
    record for each new run, in order, None where its key was there already, or where it is among the `refused`: by
    place, why a run cannot be kept by any store, so that it alone was not made. `decided`: for each decision what
    it decided with the records of its runs, or the error that it raised. `claimed`: the runs now this replica's.
    """

    now: datetime
    stale: set[int] = field(default_factory=set)
    queued: list[RunRecord | None] = field(default_factory=list)
    refused: dict[int, RequestRefused | ScheduleError] = field(default_factory=dict)
    decided: list[tuple[Decided, list[RunRecord]] | Exception] = field(default_factory=list)
    claimed: list[RunRecord] = field(default_factory=list)
