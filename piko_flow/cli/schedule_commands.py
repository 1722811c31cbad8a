"""`piko-flow schedule`: when flows run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from piko_flow.cli.answering import Asking, note_without_code
from piko_flow.cli.arguments import AsJson, Debug
from piko_flow.cli.control_arguments import Database, FlowName, Packages, moment_of, who_asks
from piko_flow.cli.schedule_options import (
    Coalesce,
    CronText,
    DateText,
    Enabled,
    Expression,
    Grace,
    Group,
    Instances,
    IntervalText,
    Jitter,
    Kind,
    Lookback,
    ZoneName,
    row_trigger,
)

if TYPE_CHECKING:
    from piko_flow.control.plane import ControlPlane
    from piko_flow.control.plane_rows import Preview, ScheduleView

app = typer.Typer(
    help="When flows run: list, set, delete, preview, pause and resume schedules.", no_args_is_help=True
)
TITLES = ("flow", "schedule", "standing", "next", "at once", "group", "version")
OneFlow = Annotated[
    str | None, typer.Argument(metavar="FLOW", help="The name of a flow.", show_default=False)
]


@app.command("list")
def list_schedules(
    package: Packages = None, database: Database = None, as_json: AsJson = False, debug: Debug = False
) -> None:
    """List the schedule rows: what each means, or why it is refused."""
    asking = Asking(package, database, as_json, debug)
    with asking.told():
        views = asking.ask(lambda plane: plane.schedules())
        asking.answer(lambda: {"schedules": views}, lambda: _show_list(views))


@app.command("set")
def set_schedule(
    flow: FlowName,
    cron: CronText = None,
    interval: IntervalText = None,
    date: DateText = None,
    kind: Kind = None,
    expression: Expression = None,
    zone: ZoneName = None,
    enabled: Enabled = None,
    max_instances: Instances = None,
    misfire_grace: Grace = None,
    coalesce: Coalesce = None,
    jitter: Jitter = None,
    group: Group = None,
    lookback: Lookback = None,
    package: Packages = None,
    database: Database = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a flow's schedule row, checked first. What is not given stays as it is."""
    asking = Asking(package, database, as_json, debug)
    with asking.told():
        trigger = row_trigger(cron, interval, date, kind, expression)
        given = {
            "timezone": zone,
            "enabled": enabled,
            "max_instances": max_instances,
            "misfire_grace": None if misfire_grace is None else timedelta(seconds=misfire_grace),
            "coalesce": coalesce,
            "jitter": None if jitter is None else timedelta(seconds=jitter),
            "concurrency_group": group,
            "max_lookback_window": lookback,
        }
        columns: Any = {name: value for name, value in given.items() if value is not None}
        view = asking.ask(lambda plane: plane.set_schedule(flow, *trigger, **columns))
        asking.answer(lambda: {"schedule": view}, lambda: _show_one(view))


@app.command("delete")
def delete_schedule(
    flow: FlowName,
    package: Packages = None,
    database: Database = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Delete a flow's schedule row. What is queued or running goes on; what is settled stays settled."""
    asking = Asking(package, database, as_json, debug)
    with asking.told():
        asking.ask(lambda plane: plane.delete_schedule(flow))
        told = f"{flow} has no schedule any more; its history stays"
        asking.answer(lambda: {"deleted": flow}, lambda: typer.echo(told))


@app.command("preview")
def preview_schedule(
    flow: FlowName,
    n: Annotated[int, typer.Option("-n", min=1, max=10_000, help="How many fires.")] = 10,
    after: Annotated[
        str | None, typer.Option(help="From this moment on; without it from now.", show_default=False)
    ] = None,
    cron: CronText = None,
    interval: IntervalText = None,
    date: DateText = None,
    kind: Kind = None,
    expression: Expression = None,
    zone: ZoneName = None,
    package: Packages = None,
    database: Database = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show when a flow fires next, and which fires a change of clocks shifts or doubles.

    With a trigger that one is tried on, and nothing is written.
    """
    asking = Asking(package, database, as_json, debug)
    with asking.told():
        trigger = row_trigger(cron, interval, date, kind, expression)

        async def ask(plane: ControlPlane) -> Preview:
            shown_in = zone or await plane.zone(flow)
            since = None if after is None else moment_of(after, shown_in, "--after")
            return await plane.preview(
                flow, n=n, after=since, kind=trigger[0], expression=trigger[1], zone=zone
            )

        found = asking.ask(ask)
        asking.answer(lambda: {"preview": found}, lambda: _show_preview(found))


@app.command("pause")
def pause_schedule(
    flow: OneFlow = None,
    every: Annotated[bool, typer.Option("--all", help="Pause every schedule.")] = False,
    package: Packages = None,
    database: Database = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make no new runs of a flow's schedule, or of any. Runs that are there, triggers and backfills go on."""
    _set_paused(Asking(package, database, as_json, debug), flow, every=every, paused=True)


@app.command("resume")
def resume_schedule(
    flow: OneFlow = None,
    every: Annotated[bool, typer.Option("--all", help="Resume after pause --all.")] = False,
    package: Packages = None,
    database: Database = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make runs of a schedule again."""
    _set_paused(Asking(package, database, as_json, debug), flow, every=every, paused=False)


def _set_paused(asking: Asking, flow: str | None, *, every: bool, paused: bool) -> None:
    with asking.told():
        if (flow is None) != every:
            raise typer.BadParameter("name one flow, or give --all")

        async def ask(plane: ControlPlane) -> tuple[bool, str]:
            if flow is None:
                return await plane.pause_all(paused=paused), ""
            done = await (plane.pause(flow, by=who_asks()) if paused else plane.resume(flow))
            return done, await plane.paused_all()

        done, paused_all = asking.ask(ask)
        whose = "every schedule" if flow is None else flow
        told = f"{whose} is {'' if done else 'already '}{'paused' if paused else 'not paused'}"
        told = told if paused or done else f"{whose} was not paused"
        told = f"{whose} is resumed" if done and not paused else told
        if paused_all and not paused:
            told += f"; but {paused_all}: piko-flow schedule resume --all"
        values = {"flow": flow, "paused": paused or bool(paused_all), "changed": done}
        asking.answer(lambda: values, lambda: typer.echo(told))


def _show_list(views: list[ScheduleView]) -> None:
    from piko_flow.cli.tables import show_table

    empty = "no schedule row: a flow that brings a schedule gets its row when a replica leads"
    show_table(
        TITLES,
        map(_row, views),
        right={"at once", "version"},
        wraps={"flow", "schedule", "group"},
        drops=("version", "group", "at once"),
        empty=empty,
    )
    note_without_code(not views or any(view.standing != "unregistered" for view in views))
    for view in views:
        if view.standing == "refused":
            typer.echo(f"\n{view.row.flow}: {view.refused}")


def _row(view: ScheduleView) -> tuple[object, ...]:
    from piko_flow.cli.tables import when

    row = view.row
    shown = str(view.trigger) if view.trigger else f"{row.schedule_type} {row.schedule_expr}"
    coming = when(view.next_fires[0], view.zone) if view.next_fires else None
    return row.flow, shown, view.standing, coming, row.max_instances, row.concurrency_group, row.version


def _show_one(view: ScheduleView) -> None:
    from piko_flow.cli.tables import show_facts, when

    row = view.row
    show_facts(
        [
            ("flow", row.flow),
            ("schedule", view.trigger),
            ("enabled", "yes" if row.enabled else "no"),
            ("paused", view.paused),
            *(("next", when(fire, view.zone)) for fire in view.next_fires),
            ("at once", row.max_instances),
            ("group", row.concurrency_group),
            ("misfire grace", f"{row.misfire_grace.total_seconds():g} s"),
            ("coalesce", "yes" if row.coalesce else "no"),
            ("jitter", f"{row.jitter.total_seconds():g} s" if row.jitter else ""),
            ("lookback", f"{row.max_lookback_window} windows" if row.max_lookback_window else ""),
            ("version", row.version),
        ]
    )


def _show_preview(found: Preview) -> None:
    from piko_flow.cli.tables import show_table, when

    typer.echo(found.trigger)
    rows = [(when(one.fire, found.zone), when(one.fire, "UTC"), NOTES[one.note]) for one in found.fires]
    show_table((found.zone, "UTC", ""), rows, wraps={""}, empty="it does not fire any more")


NOTES = {
    "": "",
    "shifted": "shifted: the clock skips its time",
    "doubled": "doubled: its time comes twice",
}
