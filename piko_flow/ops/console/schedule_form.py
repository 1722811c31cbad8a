"""A schedule as people write it into a form, and as its row has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from piko_flow.control.operations.plane_rows import ScheduleColumns
from piko_flow.counting import counted
from piko_flow.ops.console.field_refused import about
from piko_flow.ops.console.forms import refuse, whole_field
from piko_flow.planning.trigger_row import trigger_from_row
from piko_flow.planning.zones import find_zone
from piko_flow.store.records import ScheduleRecord

KINDS = ("cron", "interval", "date")
SECONDS_OF = (("weeks", 604_800), ("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))
MOST_SECONDS, MOST_RUNS = 365 * 86_400, 100_000
LONGEST = 2_000  # characters of an expression
LABELS = {
    "kind": "kind",
    "expression": "expression",
    "timezone": "time zone",
    "max_instances": "runs at once",
    "misfire_grace": "grace in seconds",
    "jitter": "jitter in seconds",
    "max_lookback_window": "windows to look back",
    "concurrency_group": "concurrency group",
    "enabled": "enabled",
    "coalesce": "fires that wait together are one run",
}
"""What the form's fields are called."""


def written(row: ScheduleRecord | None) -> tuple[str, str]:
    """The kind and the expression of a row as a person would write them; as JSON where there is no shorter way."""
    if row is None:
        return "cron", ""
    try:
        values = json.loads(row.schedule_expr)
    except ValueError:
        return row.schedule_type, row.schedule_expr
    if not isinstance(values, dict):
        return row.schedule_type, row.schedule_expr
    if set(values) == {"cron"}:
        return row.schedule_type, str(values["cron"])
    if set(values) == {"run_date"}:
        return row.schedule_type, str(values["run_date"])
    if set(values) == {"seconds"} and isinstance(values["seconds"], int) and values["seconds"] > 0:
        return row.schedule_type, _span(values["seconds"])
    if (
        values
        and all(isinstance(value, int | float | str) for value in values.values())
        and row.schedule_type == "interval"
    ):
        return row.schedule_type, ", ".join(f"{name}={value}" for name, value in values.items())
    return row.schedule_type, row.schedule_expr


def filled(row: ScheduleRecord | None, sent: Mapping[str, str] | None = None) -> dict[str, str]:
    """The form's fields by name: as the row has them, or as they were sent; a switch that is off is empty."""
    if sent is not None:
        return {name: sent.get(name, "") for name in LABELS}
    kind, expression = written(row)
    one = row or ScheduleRecord("", kind, expression)
    return {
        "kind": kind,
        "expression": expression,
        "timezone": one.timezone,
        "max_instances": str(one.max_instances),
        "misfire_grace": str(int(one.misfire_grace.total_seconds())),
        "jitter": str(int(one.jitter.total_seconds())),
        "max_lookback_window": str(one.max_lookback_window),
        "concurrency_group": one.concurrency_group,
        "enabled": "on" if one.enabled else "",
        "coalesce": "on" if one.coalesce else "",
    }


def read_schedule(form: Mapping[str, str], zone: str) -> tuple[str, str]:
    """The kind and the expression, as JSON, of a form. Raises FieldRefused for what is none; `zone` is that of the settings."""
    with about("timezone"):
        chosen = find_zone(form.get("timezone", "").strip() or zone)
    with about("kind"):
        kind = _kind(form)
    with about("expression"):
        kind, expression = read_trigger(form)
        trigger_from_row(kind, expression, zone=chosen)
    return kind, expression


def _kind(form: Mapping[str, str]) -> str:
    kind = form.get("kind", "")
    if kind not in KINDS:
        refuse("read the schedule", f"its kind is one of {', '.join(KINDS)}", f"got {kind!r:.40}")
    return kind


def read_trigger(form: Mapping[str, str]) -> tuple[str, str]:
    """The kind and the expression, as JSON, of a form. Raises RequestRefused for what is none of either."""
    kind, text = _kind(form), form.get("expression", "").strip()
    if not text or len(text) > LONGEST:
        got = "got nothing" if not text else f"got {counted(len(text), 'character')}"
        refuse("read the schedule", f"its expression has 1 to {LONGEST} characters", got)
    if text.startswith("{"):
        return kind, text
    if kind == "cron":
        return kind, json.dumps({"cron": text})
    return kind, json.dumps({"run_date": text} if kind == "date" else _interval(text))


def read_columns(form: dict[str, str]) -> ScheduleColumns:
    """The other columns of a form. Raises RequestRefused for the first that is wrong."""
    return ScheduleColumns(
        timezone=form.get("timezone", "").strip(),
        enabled="enabled" in form,
        coalesce="coalesce" in form,
        max_instances=whole_field(form, "max_instances", least=1, most=MOST_RUNS),
        misfire_grace=timedelta(seconds=whole_field(form, "misfire_grace", least=0, most=MOST_SECONDS)),
        jitter=timedelta(seconds=whole_field(form, "jitter", least=0, most=MOST_SECONDS)),
        concurrency_group=form.get("concurrency_group", "").strip() or "default",
        max_lookback_window=whole_field(form, "max_lookback_window", least=0, most=1_000_000),
    )


def _span(seconds: int) -> str:
    name, size = next((name, size) for name, size in SECONDS_OF if seconds % size == 0)
    return f"{name}={seconds // size}"


def _interval(text: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for pair in text.split(","):
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals:
            refuse(
                "read the schedule",
                "an interval is written KEY=NUMBER, as in minutes=10",
                f"got {pair.strip()!r:.60}",
            )
        whole = value.isascii() and value.isdecimal()
        values[name] = int(value) if whole and len(value) < 15 else value
    return {name: _fraction(value) for name, value in values.items()}


def _fraction(value: Any) -> Any:
    """A number with a fraction as one; anything else, such as a start date, stays text for the trigger to judge."""
    if isinstance(value, str) and value.count(".") == 1 and value.replace(".", "").isdecimal():
        return float(value)
    return value
