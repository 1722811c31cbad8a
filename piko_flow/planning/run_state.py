"""The states of a run, and the codes that say why something did not run."""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    """Where a run stands. QUEUED and RUNNING are live; the others are final."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"


LIVE = frozenset({RunStatus.QUEUED, RunStatus.RUNNING})


class Reason(StrEnum):
    """Why a run waits, was given up or ended as it did. Stored as text; `explain` tells what each means."""

    MAX_INSTANCES = "max_instances"
    GROUP_FULL = "group_full"
    BACKFILL_FULL = "backfill_full"
    NO_SLOT = "no_slot"
    RETRY_WAIT = "retry_wait"
    PAUSED = "paused"
    DISABLED = "disabled"
    NO_SCHEDULE = "no_schedule"
    NOT_DUE = "not_due"
    ROW_REFUSED = "row_refused"
    PARAMS_REFUSED = "params_refused"
    UNREGISTERED = "unregistered"
    WAITS_FOR_UPSTREAM = "waits_for_upstream"
    STRICT_ORDER = "strict_order"
    QUEUE_FULL = "queue_full"
    LIVE_WINDOW = "live_window"
    MISFIRED = "misfired"
    COALESCED = "coalesced"
    SUPERSEDED = "superseded"
    LOOKBACK = "lookback"
    ALREADY_SETTLED = "already_settled"
    ERROR = "error"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    RELEASED = "released"
    RESCUED = "rescued"
    RESCUED_TOO_OFTEN = "rescued_too_often"
    NO_LEADER = "no_leader"
