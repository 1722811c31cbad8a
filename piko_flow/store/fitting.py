"""What is given to a store, made fit for its columns before anything is written: texts and moments, record by record.

Each function raises RequestRefused for a name that does not fit its column, and ScheduleError for a datetime that is
naive or out of reach.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

import orjson

from piko_flow.errors import RequestRefused, ScheduleError
from piko_flow.planning.moment import utc
from piko_flow.store.batch import Batch, Decided, Ending, PlannedFires, Requeue, Written
from piko_flow.store.records import (
    BackfillRecord,
    DeadLetterRecord,
    NewRun,
    ParamsVersion,
    ReplicaRecord,
    ScheduleRecord,
)
from piko_flow.store.texts import check, check_free, cut, readable

Told = TypeVar("Told", NewRun, Ending, Requeue, DeadLetterRecord, ReplicaRecord, BackfillRecord)
Misfits: TypeAlias = dict[int, RequestRefused | ScheduleError]


def fitting_batch(batch: Batch) -> tuple[Batch, Misfits]:
    """The batch with everything in it fitting, and why the runs that do not fit were left out of it, by place.

    What its decisions decide is not known yet, see `fitting_decided`.
    """
    check("replica", batch.replica)
    fitting, misfits = list[NewRun](), Misfits()
    for place, new in enumerate(batch.queue):
        try:
            fitting.append(fitting_run(new))
        except (RequestRefused, ScheduleError) as error:
            misfits[place] = error
    fit = replace(
        batch,
        endings=[fitting_ending(ending) for ending in batch.endings],
        requeues=[fitting_requeue(requeue) for requeue in batch.requeues],
        planned=[fitting_fires(planned) for planned in batch.planned],
        queue=fitting,
    )
    return fit, misfits


def tell_misfits(written: Written, misfits: Misfits) -> Written:
    """What became of the batch as it was given, in which some runs did not fit."""
    for place in sorted(misfits):
        written.queued.insert(place, None)
    written.refused = misfits
    return written


def fitting_decided(decided: Decided) -> Decided:
    """What was decided, with its runs fitting."""
    return replace(decided, runs=tuple(fitting_run(new) for new in decided.runs)) if decided.runs else decided


def fitting_run(new: NewRun) -> NewRun:
    """The run with its told texts cut."""
    for column in ("flow", "key", "origin"):
        check(column, getattr(new, column))
    if new.params is not None:
        check_free("params", new.params)
    scheduled = utc(new.scheduled_time, "scheduled_time")
    not_before, first_fire = moment(new.not_before, "not_before"), moment(new.first_fire, "first_fire")
    if (scheduled, not_before, first_fire) != (new.scheduled_time, new.not_before, new.first_fire):
        new = replace(new, scheduled_time=scheduled, not_before=not_before, first_fire=first_fire)
    return _cut(new, "requested_by", "trace", "reason")


def fitting_ending(ending: Ending) -> Ending:
    """The ending with its told texts cut, those of its dead letters too."""
    if ending.position is not None:
        check_free("position", ending.position)
    if ending.dead_letters or ending.again:
        letters, again = (tuple(map(fitting_letter, those)) for those in (ending.dead_letters, ending.again))
        ending = replace(ending, dead_letters=letters, again=again)
    return _cut(ending, "reason", "error_type", "error_hash", "error_msg")


def fitting_letter(letter: DeadLetterRecord) -> DeadLetterRecord:
    """The dead letter with its told texts cut; its payload is kept whole."""
    check("fingerprint", letter.fingerprint)
    whole: dict[str, Any] = {
        name: readable(text)
        for name in ("payload", "trace", "item_key")
        if (text := getattr(letter, name)) is not None
    }
    if any(text is not getattr(letter, name) for name, text in whole.items()):
        letter = replace(letter, **whole)
    return _cut(letter, "stage", "error_type", "error_msg", "model", "place", "sink")


def fitting_requeue(requeue: Requeue) -> Requeue:
    """The requeue with its told texts cut."""
    requeue = replace(requeue, not_before=moment(requeue.not_before, "not_before"))
    return _cut(requeue, "reason", "error_type", "error_msg")


def fitting_fires(planned: PlannedFires) -> PlannedFires:
    """The fires with their moment in UTC."""
    check("flow", planned.flow)
    check_free("schedule", planned.schedule)
    return replace(planned, until=utc(planned.until, "planned_until"))


def fitting_replica(replica: ReplicaRecord) -> ReplicaRecord:
    """The replica with its told texts cut."""
    check("replica", replica.id)
    return _cut(
        replace(replica, started_at=moment(replica.started_at, "started_at")), "host", "version", "address"
    )


def fitting_schedule(record: ScheduleRecord) -> ScheduleRecord:
    """The row with its moments in UTC."""
    for column in ("flow", "schedule_type", "schedule_expr", "timezone", "executor", "concurrency_group"):
        check(column, getattr(record, column))
    return replace(
        record,
        last_data_time=moment(record.last_data_time, "last_data_time"),
        completed_at=moment(record.completed_at, "completed_at"),
    )


def fitting_params(version: ParamsVersion) -> ParamsVersion:
    """The version with its refusal cut and its moment in UTC."""
    check("flow", version.flow)
    check_free("params", version.text)
    effective = moment(version.effective_from, "effective_from")
    return replace(version, refused=cut("refused", version.refused), effective_from=effective)


def fitting_backfill(record: BackfillRecord) -> BackfillRecord:
    """The backfill with its moments in UTC."""
    for column in ("flow", "kind", "state"):
        check(column, getattr(record, column))
    if record.params is not None:
        check_free("params", record.params)
    start, end = utc(record.start, "start"), utc(record.end, "end")
    return _cut(replace(record, start=start, end=end), "requested_by")


def check_json_object(text: str) -> str:
    """The text as it is. Raises ValueError when it is not a JSON object that every database takes."""
    check_free("config_json", text)
    try:
        value = orjson.loads(text)
    except ValueError as error:
        raise ValueError(f"config_json must be a JSON object; it cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"config_json must be a JSON object; got {text[:60]}")
    return text


def moment(given: datetime | None, what: str) -> datetime | None:
    """The same instant in UTC; None stays None."""
    return None if given is None else utc(given, what)


def _cut(record: Told, *columns: str) -> Told:
    changed: dict[str, str] = {}
    for column in columns:
        text: str = getattr(record, column)
        if text and (fit := cut(column, text)) is not text:  # most are empty
            changed[column] = fit
    return replace(record, **changed) if changed else record  # type: ignore[arg-type]
