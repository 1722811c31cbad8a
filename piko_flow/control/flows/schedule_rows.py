"""From a row of `scheduled_job` to a schedule that can be followed, or to the reason why it cannot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Protocol

from piko_flow.control.flows.flow import Flow
from piko_flow.planning.catch_up import WindowPolicy
from piko_flow.planning.date import Date
from piko_flow.planning.stateless import FirePolicy
from piko_flow.planning.trigger import Trigger
from piko_flow.planning.trigger_row import row_from_trigger, trigger_from_row
from piko_flow.store.records import ConfigRecord, ScheduleRecord

LEAST_GRACE = timedelta(seconds=1)


@dataclass(frozen=True)
class Schedule:
    """A row that was understood, with the flow it runs.

    `active` is False for a row that is disabled, and for a date that has been dealt with.
    """

    flow: Flow
    row: ScheduleRecord
    trigger: Trigger
    active: bool

    @cached_property
    def identity(self) -> str:
        """The trigger's identity: equal for rows that fire alike."""
        return self.trigger.identity

    @cached_property
    def jitter(self) -> timedelta:
        """At most so long after its fire a run is due: the row's column, or the trigger's own key."""
        return max(self.row.jitter, timedelta(seconds=self.trigger.jitter))

    @cached_property
    def date(self) -> datetime | None:
        """The one fire of a date; None for what fires again."""
        return self.trigger.run_date if isinstance(self.trigger, Date) else None

    @cached_property
    def fires(self) -> FirePolicy:
        """How fires of a stateless flow are treated."""
        return FirePolicy(
            grace=max(self.row.misfire_grace, LEAST_GRACE), coalesce=self.row.coalesce, jitter=self.jitter
        )

    @cached_property
    def windows(self) -> WindowPolicy:
        """How windows of a stateful flow are planned."""
        return WindowPolicy(
            backfill=self.flow.backfill,
            grace=max(self.row.misfire_grace, LEAST_GRACE),
            lookback=self.row.max_lookback_window,
            strict=self.flow.strict_order,
            begin=self.flow.begin,
        )


class Flows(Protocol):
    """Finds a registered flow by name."""

    def get(self, name: str, /) -> Flow | None: ...


def understand(row: ScheduleRecord, flows: Flows, zone: str) -> Schedule | str:
    """The schedule of a row, or the reason why the row is refused, as one sentence for people.

    `zone` is used where the row names none. A date that is `completed_at` or later has been dealt with.
    """
    flow = flows.get(row.flow)
    if flow is None:
        return f"unregistered: no flow named {row.flow!r} is registered in this application"
    if reason := unreadable(row) or _bad_numbers(row):
        return reason
    try:
        trigger = trigger_from_row(row.schedule_type, row.schedule_expr, zone=row.timezone or zone)
    except ValueError as error:  # ScheduleError is one
        return str(error)
    return Schedule(flow, row, trigger, active=row.enabled and not _completed(row, trigger))


def unreadable(row: ScheduleRecord | ConfigRecord) -> str:
    """What of the row's cells is nothing that their columns can hold, as one sentence; empty where all is well."""
    return "; ".join(told for _, told in row.unreadable)


def first_row(flow: Flow, *, grace: timedelta, instances: int) -> ScheduleRecord:
    """The row that a flow brings along: from then on the row rules. Raises ValueError for a flow without schedule.

    `grace` and `instances` hold where the flow names none.
    """
    if flow.schedule is None:
        raise ValueError(f"flow {flow.name!r} brings no schedule")
    kind, expression = row_from_trigger(flow.schedule)
    given = {
        "misfire_grace": flow.misfire_grace,
        "coalesce": flow.coalesce,
        "max_instances": flow.max_instances,
        "concurrency_group": flow.concurrency_group,
        "max_lookback_window": flow.max_lookback_window,
    }
    row = ScheduleRecord(
        flow.name,
        kind,
        expression,
        timezone=flow.schedule.zone,
        is_stateful=flow.stateful,
        misfire_grace=grace,
        max_instances=instances,
    )
    return replace(row, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


def _completed(row: ScheduleRecord, trigger: Trigger) -> bool:
    """`completed_at` belongs to one run date: a later date in the row runs again."""
    return isinstance(trigger, Date) and row.completed_at is not None and trigger.run_date <= row.completed_at


def _bad_numbers(row: ScheduleRecord) -> str:
    for column, value, least in (
        ("max_instances", row.max_instances, 1),
        ("max_lookback_window", row.max_lookback_window, 0),
        ("misfire_grace_s", int(row.misfire_grace.total_seconds()), 0),
        ("jitter_s", int(row.jitter.total_seconds()), 0),
    ):
        if value < least:
            return f"{column} must be at least {least}, the row has {value}"
    return ""
