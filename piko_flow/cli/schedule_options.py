"""The options that tell a trigger and the other columns of a schedule row."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

Trigger = tuple[str | None, str | None]
"""`schedule_type` and `schedule_expr` of a row; both None where no trigger is given."""

CronText = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="A crontab string: '30 2 * * *', '@hourly'.", show_default=False),
]
IntervalText = Annotated[
    str | None,
    typer.Option(
        metavar="KEY=N,...",
        help="An interval: minutes=10, or hours=1,start_date=2026-01-01.",
        show_default=False,
    ),
]
DateText = Annotated[
    str | None, typer.Option(metavar="MOMENT", help="One date: '2026-01-08 10:00:00'.", show_default=False)
]
Kind = Annotated[
    str | None,
    typer.Option("--type", help="cron, interval or date, with --expr as the row has it.", show_default=False),
]
Expression = Annotated[
    str | None, typer.Option("--expr", metavar="JSON", help="The row's schedule_expr.", show_default=False)
]
ZoneName = Annotated[
    str | None,
    typer.Option(help="Time zone, such as Europe/Berlin; empty for the setting.", show_default=False),
]
Enabled = Annotated[
    bool | None, typer.Option("--enable/--disable", help="Whether it makes runs.", show_default=False)
]
Instances = Annotated[int | None, typer.Option(help="Runs of the flow at once.", show_default=False)]
Grace = Annotated[
    int | None,
    typer.Option(metavar="SECONDS", help="How late a fire may still become a run.", show_default=False),
]
Coalesce = Annotated[
    bool | None,
    typer.Option(
        "--coalesce/--no-coalesce", help="Fires that wait together are one run.", show_default=False
    ),
]
Jitter = Annotated[
    int | None, typer.Option(metavar="SECONDS", help="Put starts off by up to so much.", show_default=False)
]
Group = Annotated[str | None, typer.Option(help="The concurrency_group.", show_default=False)]
Lookback = Annotated[
    int | None,
    typer.Option(
        metavar="WINDOWS", help="How many of the newest windows may run; 0 is all.", show_default=False
    ),
]


def row_trigger(
    cron: str | None, interval: str | None, date: str | None, kind: str | None, expression: str | None
) -> Trigger:
    """The trigger that was given, as a row has it. Raises BadParameter for more than one."""
    given = [name for name, value in (("--cron", cron), ("--interval", interval), ("--date", date)) if value]
    if kind is not None or expression is not None:
        given.append("--type with --expr")
        if kind is None or expression is None:
            raise typer.BadParameter("--type and --expr go together")
    if len(given) > 1:
        raise typer.BadParameter(f"one trigger is given, got {' and '.join(given)}")
    if cron is not None:
        return "cron", json.dumps({"cron": cron})
    if date is not None:
        return "date", json.dumps({"run_date": date})
    if interval is not None:
        return "interval", json.dumps(_interval(interval))
    return kind, expression


def _interval(text: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for pair in text.split(","):
        name, separator, value = pair.strip().partition("=")
        if not separator:
            raise typer.BadParameter(f"--interval is KEY=NUMBER, as in minutes=10, got {pair.strip()!r}")
        try:
            values[name] = int(value) if value.isdecimal() else float(value)
        except ValueError:
            values[name] = value  # a start_date; whatever else it is, the trigger says so
    return values
