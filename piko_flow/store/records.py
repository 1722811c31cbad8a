"""What the stores give and take: frozen records with aware UTC times, no rows and no sessions."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from operator import attrgetter

from piko_flow.planning.flow_state import SCHEDULE
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """One row of `scheduled_job`, every column as it stands; nothing in it has been checked.

    `timezone` empty means the setting. The defaults are those of the server. `unreadable` has the columns whose cell is
    nothing that the column can hold, each with the reason; the default stands for it here.
    """

    flow: str
    schedule_type: str
    schedule_expr: str
    timezone: str = ""
    enabled: bool = True
    misfire_grace: timedelta = timedelta(seconds=300)
    coalesce: bool = True
    max_instances: int = 1
    jitter: timedelta = timedelta(0)
    executor: str = "cpu"
    concurrency_group: str = "default"
    is_stateful: bool = False
    last_data_time: datetime | None = None
    max_lookback_window: int = 0
    completed_at: datetime | None = None
    version: int = 1
    updated_at: datetime | None = None
    unreadable: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class MarkedSchedule:
    """A schedule row, the flow's pause, and the mark of both as they were read together."""

    row: ScheduleRecord
    paused: str
    mark: str


@dataclass(frozen=True, slots=True)
class ConfigRecord:
    """One row of `job_config`; `text` is the JSON as stored, unchecked. `unreadable` as of a ScheduleRecord."""

    flow: str
    text: str
    schema_version: int = 1
    effective_from: datetime | None = None
    version: int = 1
    unreadable: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ParamsVersion:
    """A version of a flow's parameters that a poll has seen; `refused` says why it is not used, empty if it is good.

    One that is `deleted` says that a poll has seen the row no more: from then on the model's defaults hold.
    """

    flow: str
    text: str
    schema_version: int = 1
    effective_from: datetime | None = None
    version: int = 1
    refused: str = ""
    id: int = 0
    seen_at: datetime | None = None

    @property
    def deleted(self) -> bool:
        """Whether it stands for a row that is gone; a row with an empty text is refused."""
        return not self.text and not self.refused


@dataclass(frozen=True, slots=True)
class FlowRecord:
    """What is stored of a flow besides its rows.

    `planned_until`: the last fire (or end of window) that became a row. `watermark`: as last computed.
    `paused` and `refused`: why it is paused, why its schedule row is not used; empty if it is not so.
    `first_failed`: where the first failed stretch of its ledger begins, wherever that lies.
    """

    flow: str
    planned_until: datetime | None = None
    schedule: str = ""
    origin: datetime | None = None
    watermark: datetime | None = None
    generation: int = 0
    paused: str = ""
    refused: str = ""
    first_failed: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be queued.

    `key` is unique within the flow: a second run of the same key is not made. `claim` asks that the replica
    that queues it claims it in the same step. `letters` are the dead letters that it replays: it gets those that are
    open and that no other live run replays. `fires` and `first_fire` tell the range of missed fires that it
    stands for. `status` is QUEUED, or SKIPPED for fires that are only recorded.
    """

    flow: str
    scheduled_time: datetime
    key: str
    origin: str = SCHEDULE
    window: Window | None = None
    generation: int = 0
    backfill: int | None = None
    params_version: int | None = None
    params: str | None = None
    config_version: int | None = None
    schedule_version: int | None = None
    not_before: datetime | None = None
    fires: int = 1
    first_fire: datetime | None = None
    requested_by: str = ""
    trace: str = ""
    status: RunStatus = RunStatus.QUEUED
    reason: str = ""
    claim: bool = False
    letters: tuple[int, ...] = ()

    def to_claim(self) -> NewRun:
        """The same run, claimed in the step that queues it."""
        values = list(_values_of_new(self))  # dataclasses.replace takes twice as long, for each run
        values[_CLAIM] = True
        return NewRun(*values)


_NAMES = [one.name for one in fields(NewRun)]
_values_of_new, _CLAIM = attrgetter(*_NAMES), _NAMES.index("claim")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One row of `job_run`.

    `claim` grows each time the run is claimed: with `replica` it is what an ending has to name. `params` are
    values given with the trigger, as JSON, over those of `params_version`. `durations` in milliseconds.
    """

    id: int
    flow: str
    status: RunStatus
    scheduled_time: datetime
    key: str = ""
    origin: str = SCHEDULE
    window: Window | None = None
    generation: int = 0
    backfill: int | None = None
    params_version: int | None = None
    params: str | None = None
    config_version: int | None = None
    schedule_version: int | None = None
    not_before: datetime | None = None
    fires: int = 1
    first_fire: datetime | None = None
    requested_by: str = ""
    trace: str = ""
    reason: str = ""
    admitted: bool = False
    replica: str = ""
    claim: int = 0
    attempt: int = 1
    rescues: int = 0
    cancel_requested: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    duration_ms: int | None = None
    compute_ms: int | None = None
    persist_ms: int | None = None
    error_type: str = ""
    error_hash: str = ""
    error_msg: str = ""
    dead_items: int = 0
    host: str = ""
    pid: int = 0
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """An attempt of a run that was followed by another, or that a dead replica lost: then its number comes once more."""

    run: int
    attempt: int
    start_time: datetime | None
    end_time: datetime | None
    reason: str = ""
    error_type: str = ""
    error_msg: str = ""
    host: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """Who leads: `term` grows only when leadership changes."""

    name: str
    holder: str
    term: int
    until: datetime


@dataclass(frozen=True, slots=True)
class ReplicaRecord:
    """A process of the control half; `until` is how long it counts as alive.

    `address` is where it answers HTTP, such as http://127.0.0.1:8080; empty where it does not, or does not know.
    """

    id: str
    host: str = ""
    pid: int = 0
    slots: int = 0
    running: int = 0
    version: str = ""
    started_at: datetime | None = None
    until: datetime | None = None
    address: str = ""


PAUSED_WEIGHT = 1_000_003
"""What the id of a paused backfill counts for in `Pulse.backfills`, where that of a running one counts once."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a replica asks each second, in one statement.

    `now` is the database's clock. `queued` and `running` count all live runs; `claimable` those admitted that
    anyone may claim now; `cancels` this replica's runs that somebody wants cancelled; `lost` the running runs
    whose replica counts as dead. `backfills` is 0 without open backfills, and another number when one is added,
    paused, resumed or over; in rare cases several such changes together leave it as it was.
    """

    now: datetime
    lease: Lease | None
    queued: int = 0
    running: int = 0
    claimable: int = 0
    cancels: int = 0
    lost: int = 0
    backfills: int = 0


@dataclass(frozen=True, slots=True)
class BackfillRecord:
    """A backfill: its windows in the order they run, and how far they have been queued.

    `kind` is gap, missing, failed or all; `state` running, paused, cancelled or done. `position` counts the
    windows that were queued or found settled meanwhile.
    """

    id: int
    flow: str
    kind: str
    start: datetime
    end: datetime
    windows: tuple[Window, ...]
    newest_first: bool = False
    concurrency: int = 1
    state: str = "running"
    position: int = 0
    params: str | None = None
    requested_by: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeadLetterRecord:
    """An item that failed for good in a run, or outside of any (`run` is 0).

    `payload` is JSON text; `payload_file` has all of a large one. `model` is the class of the item, by name; with
    `batch` the item is a list of items that failed together. `sink` is the registered sink that an emitted item was
    for, `item_key` its key. `place` is where in the flow's code it failed, `trace` the traceback. `window` is that of
    the run, `params_version` what it was pinned to.

    `state` is open, replayed or dropped; `attempt` grows when a replay fails again, at `failed_at`. `replay_run` is
    the run that has taken it to replay it, last.
    """

    flow: str
    run: int
    stage: str
    payload: str
    error_type: str
    error_msg: str
    fingerprint: str
    id: int = 0
    created_at: datetime | None = None
    model: str = ""
    batch: bool = False
    sink: str = ""
    item_key: str | None = None
    place: str = ""
    trace: str = ""
    window: Window | None = None
    params_version: int | None = None
    payload_file: str = ""
    state: str = "open"
    attempt: int = 1
    failed_at: datetime | None = None
    replay_run: int | None = None


@dataclass(frozen=True, slots=True)
class LetterGroup:
    """Open dead letters that failed alike: how many, when the first came and the last failed, and the newest of them."""

    flow: str
    fingerprint: str
    count: int
    first: datetime
    last: datetime
    example: DeadLetterRecord
