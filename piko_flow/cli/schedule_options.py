"""The options that tell a trigger and the other columns of a schedule row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerOptions:
    """A trigger, and the zone it is of."""

    cron: CronText = None
    interval: IntervalText = None
    date: DateText = None
    kind: Kind = None
    expression: Expression = None
    zone: ZoneName = None

    def trigger(self) -> Trigger:
        """The trigger that was given, as a row has it. Raises BadParameter for more than one."""
        texts = (("--cron", self.cron), ("--interval", self.interval), ("--date", self.date))
        given = [name for name, value in texts if value is not None]
        if self.kind is not None or self.expression is not None:
            given.append("--type with --expr")
            if self.kind is None or self.expression is None:
                raise typer.BadParameter("--type and --expr go together")
        if len(given) > 1:
            raise typer.BadParameter(f"one trigger is given, got {' and '.join(given)}")
        if self.cron is not None:
            return "cron", json.dumps({"cron": self.cron})
        if self.date is not None:
            return "date", json.dumps({"run_date": self.date})
        if self.interval is not None:
            return "interval", json.dumps(_interval(self.interval))
        return self.kind, self.expression


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnOptions:
    """The other columns of a row; None is one that is not given."""

    enabled: Enabled = None
    max_instances: Instances = None
    misfire_grace: Grace = None
    coalesce: Coalesce = None
    jitter: Jitter = None
    group: Group = None
    lookback: Lookback = None

    def columns(self) -> dict[str, Any]:
        """What was given, by column."""
        values = {
            "enabled": self.enabled,
            "max_instances": self.max_instances,
            "misfire_grace": _seconds(self.misfire_grace),
            "coalesce": self.coalesce,
            "jitter": _seconds(self.jitter),
            "concurrency_group": self.group,
            "max_lookback_window": self.lookback,
        }
        return {name: value for name, value in values.items() if value is not None}


def _seconds(given: int | None) -> timedelta | None:
    return None if given is None else timedelta(seconds=given)


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
