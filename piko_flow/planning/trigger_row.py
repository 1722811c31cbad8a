"""Triggers from what a schedule row says: a type and a JSON expression."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import tzinfo
from difflib import get_close_matches
from typing import Any

from piko_flow.errors import ScheduleError, shorten
from piko_flow.planning.cron import FIELDS, Cron
from piko_flow.planning.date import Date
from piko_flow.planning.interval import UNITS, Interval
from piko_flow.planning.trigger import Trigger

BOUNDS = ("start_date", "end_date", "jitter", "timezone")
KEYS = {
    "cron": (*FIELDS, "cron", *BOUNDS),
    "interval": (*UNITS, *BOUNDS),
    "date": ("run_date", "timezone"),
}
EXAMPLES = {
    "cron": '{"hour": 2, "minute": 30} or {"cron": "30 2 * * *"}',
    "interval": '{"minutes": 10}',
    "date": '{"run_date": "2026-01-08 10:00:00"}',
}


def trigger_from_row(
    schedule_type: str, schedule_expr: str | Mapping[str, Any], *, zone: str | tzinfo | None = "UTC"
) -> Trigger:
    """The trigger of a row: type "cron", "interval" or "date", the expression as JSON text or as a dictionary.

    The keys are APScheduler's, and `cron` for a crontab string; null means not given. A `timezone` in the
    expression goes before `zone`. Raises ScheduleError, also for keys that the type does not have.
    """
    kind = schedule_type.strip().lower() if isinstance(schedule_type, str) else ""
    if kind not in KEYS:
        rule = f"it is one of {', '.join(KEYS)}"
        raise ScheduleError(what="schedule_type", rule=rule, got=shorten(schedule_type))
    given = _expression(kind, schedule_expr)
    zone = given.pop("timezone", None) or zone
    return BUILDERS[kind](given, zone)


def _expression(kind: str, written: str | Mapping[str, Any]) -> dict[str, Any]:
    found: object = written
    if isinstance(written, str):
        try:
            found = json.loads(written)
        except (ValueError, RecursionError):  # RecursionError: thousands of brackets
            found = None
    if not isinstance(found, Mapping):
        rule = f"the expression of type {kind} is a JSON object such as {EXAMPLES[kind]}"
        raise ScheduleError(what="schedule_expr", rule=rule, got=shorten(written))
    for name in found:
        if name not in KEYS[kind]:
            near = get_close_matches(str(name), KEYS[kind], n=1)
            raise ScheduleError(
                what="schedule_expr",
                rule=f"the keys of type {kind} are {', '.join(KEYS[kind])}",
                got=shorten(name),
                advice=f"Did you mean {near[0]!r}?" if near else "",
            )
    return {name: value for name, value in found.items() if value is not None}


def _cron(given: dict[str, Any], zone: str | tzinfo | None) -> Trigger:
    fields = {name: given.pop(name) for name in FIELDS if name in given}
    text = given.pop("cron", None)
    if text is not None and (fields or not isinstance(text, str)):
        raise ScheduleError(
            what="schedule_expr",
            rule="cron is a crontab string and stands instead of fields",
            got=f"cron={shorten(text)}" + (f" beside {', '.join(fields)}" if fields else ""),
        )
    return Cron(text, zone=zone, **given) if text is not None else Cron(fields=fields, zone=zone, **given)


def _interval(given: dict[str, Any], zone: str | tzinfo | None) -> Trigger:
    return Interval(zone=zone, **given)


def _date(given: dict[str, Any], zone: str | tzinfo | None) -> Trigger:
    if "run_date" in given:
        return Date(given["run_date"], zone=zone)
    raise ScheduleError(
        what="schedule_expr", rule="type date needs run_date", got="none", advice=EXAMPLES["date"]
    )


BUILDERS: dict[str, Callable[[dict[str, Any], str | tzinfo | None], Trigger]] = {
    "cron": _cron,
    "interval": _interval,
    "date": _date,
}


def row_from_trigger(trigger: Trigger) -> tuple[str, str]:
    """The type and the expression, as JSON text, of a row that gives an equal trigger in the trigger's own zone."""
    bounds: dict[str, Any] = {
        name: value.isoformat()
        for name in ("start_date", "end_date")
        if (value := getattr(trigger, name)) is not None
    }
    if trigger.jitter:
        bounds["jitter"] = trigger.jitter
    if isinstance(trigger, Cron):
        fields: dict[str, Any] = {"cron": trigger.text} if trigger.text is not None else dict(trigger.fields)
        return "cron", json.dumps(fields | bounds)
    if isinstance(trigger, Interval):
        seconds = trigger.every.total_seconds()
        return "interval", json.dumps({"seconds": int(seconds) if seconds.is_integer() else seconds} | bounds)
    assert isinstance(trigger, Date)
    return "date", json.dumps({"run_date": trigger.run_date.isoformat()})
