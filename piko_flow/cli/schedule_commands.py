"""`piko-flow schedule`: when flows run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from piko_flow.cli.answering import WITHOUT_CODE, Asking, note_without_code
from piko_flow.cli.asking_commands import asks
from piko_flow.cli.control_arguments import FlowName, moment_of
from piko_flow.cli.schedule_options import ColumnOptions, TriggerOptions
from piko_flow.counting import counted

if TYPE_CHECKING:
    from piko_flow.control.flows.told_times import Times
    from piko_flow.control.operations.plane import ControlPlane
    from piko_flow.control.operations.plane_rows import Preview, ScheduleView

app = typer.Typer(
    help="When flows run: list, set, delete, preview, pause and resume schedules.", no_args_is_help=True
)
TITLES = ("flow", "schedule", "standing", "next", "at once", "group", "version")
OneFlow = Annotated[
    str | None, typer.Argument(metavar="FLOW", help="The name of a flow.", show_default=False)
]


@app.command("list")
@asks(times=True)
def list_schedules(asking: Asking) -> None:
    """List the schedule rows: what each means, or why it is refused."""

    async def ask(plane: ControlPlane) -> tuple[list[ScheduleView], bool]:
        return await plane.schedules(), bool(plane.registry)

    views, coded = asking.ask(ask)
    asking.answer(
        lambda: {"schedules": views, "after": None},
        lambda: _show_list(views, asking.times(), coded=coded),
    )


@app.command("set")
@asks(times=True)
def set_schedule(asking: Asking, flow: FlowName, trigger: TriggerOptions, others: ColumnOptions) -> None:
    """Write a flow's schedule row, checked first. What is not given stays as it is."""
    kind, expression = trigger.trigger()
    columns = others.columns() if trigger.zone is None else {"timezone": trigger.zone, **others.columns()}
    view = asking.ask(lambda plane: plane.set_schedule(flow, kind, expression, **columns))
    asking.answer(lambda: {"schedule": view}, lambda: _show_one(view, asking.times()))


@app.command("delete")
@asks()
def delete_schedule(
    asking: Asking,
    flow: FlowName,
) -> None:
    """Delete a flow's schedule row. What is queued or running goes on; what is settled stays settled."""
    asking.ask(lambda plane: plane.delete_schedule(flow))
    told = f"{flow} has no schedule any more; its history stays"
    asking.answer(lambda: {"deleted": flow}, lambda: typer.echo(told))


@app.command("preview")
@asks(times=True)
def preview_schedule(
    asking: Asking,
    flow: FlowName,
    trigger: TriggerOptions,
    n: Annotated[int, typer.Option("-n", min=1, max=10_000, help="How many fires.")] = 10,
    after: Annotated[
        str | None,
        typer.Option(
            metavar="MOMENT",
            help="From this moment on, a time of the schedule's zone; without it from now.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show when a flow fires next, and which fires a change of clocks shifts or doubles.

    With a trigger that one is tried on, and nothing is written.
    """
    kind, expression = trigger.trigger()

    async def ask(plane: ControlPlane) -> Preview:
        read_in = trigger.zone or await plane.zone(flow)
        since = None if after is None else moment_of(after, read_in, "--after")
        return await plane.preview(
            flow, n=n, after=since, kind=kind, expression=expression, zone=trigger.zone
        )

    found = asking.ask(ask)
    asking.answer(lambda: {"preview": found}, lambda: _show_preview(found, asking.times()))


@app.command("pause")
@asks()
def pause_schedule(
    asking: Asking,
    flow: OneFlow = None,
    every: Annotated[bool, typer.Option("--all", help="Pause every schedule.")] = False,
) -> None:
    """Make no new runs of a flow's schedule, or of any. Runs that are there, triggers and backfills go on."""
    _set_paused(asking, flow, every=every, paused=True)


@app.command("resume")
@asks()
def resume_schedule(
    asking: Asking,
    flow: OneFlow = None,
    every: Annotated[bool, typer.Option("--all", help="Resume after pause --all.")] = False,
) -> None:
    """Make runs of a schedule again."""
    _set_paused(asking, flow, every=every, paused=False)


def _set_paused(asking: Asking, flow: str | None, *, every: bool, paused: bool) -> None:
    if (flow is None) != every:
        raise typer.BadParameter("name one flow, or give --all")

    async def ask(plane: ControlPlane) -> tuple[bool, str]:
        if flow is None:
            return await plane.pause_all(paused=paused), ""
        done = await (plane.pause(flow) if paused else plane.resume(flow))
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


def _show_list(views: list[ScheduleView], times: Times, *, coded: bool) -> None:
    from piko_flow.cli.tables import show_table

    known = coded or not views
    empty = "no schedule row: a flow that brings a schedule gets its row when a replica leads"
    show_table(
        TITLES,
        [_row(view, times, known) for view in views],
        right={"at once", "version"},
        wraps={"flow", "schedule", "group"},
        drops=("version", "group", "at once"),
        notes={"next": times.name},
        empty=empty,
    )
    note_without_code(known)
    for view in views:
        if view.standing == "refused":
            typer.echo(f"\n{view.row.flow}: {view.refused}")


def _row(view: ScheduleView, times: Times, known: bool) -> tuple[object, ...]:
    from piko_flow.cli.tables import when

    row = view.row
    shown = str(view.trigger) if view.trigger else f"{row.schedule_type} {row.schedule_expr}"
    coming = when(view.next_fires[0], times) if view.next_fires else None
    stands = view.standing if known else WITHOUT_CODE
    return row.flow, shown, stands, coming, row.max_instances, row.concurrency_group, row.version


def _show_one(view: ScheduleView, times: Times) -> None:
    from piko_flow.cli.tables import show_facts, when

    row = view.row
    show_facts(
        [
            ("flow", row.flow),
            ("schedule", view.trigger),
            ("enabled", "yes" if row.enabled else "no"),
            ("paused", view.paused),
            *(("next", when(fire, times)) for fire in view.next_fires),
            ("at once", row.max_instances),
            ("group", row.concurrency_group),
            ("misfire grace", f"{row.misfire_grace.total_seconds():g} s"),
            ("coalesce", "yes" if row.coalesce else "no"),
            ("jitter", f"{row.jitter.total_seconds():g} s" if row.jitter else ""),
            ("lookback", counted(row.max_lookback_window, "window") if row.max_lookback_window else ""),
            ("version", row.version),
            ("times in", times.name if view.next_fires else ""),
        ]
    )


def _show_preview(found: Preview, times: Times) -> None:
    """The fires; also in the zone of the schedule, where that is another, because its clock decides."""
    from piko_flow.cli.tables import show_table
    from piko_flow.control.flows.told_times import Times
    from piko_flow.planning.zones import find_zone

    typer.echo(found.trigger)
    clocks = {one.name: one for one in (times, Times(find_zone(found.zone), offsets=False))}
    rows = [(*(clock.at(one.fire) for clock in clocks.values()), NOTES[one.note]) for one in found.fires]
    show_table((*clocks, ""), rows, wraps={""}, empty="it does not fire any more")


NOTES = {
    "": "",
    "shifted": "shifted: the clock skips its time",
    "doubled": "doubled: its time comes twice",
}
