"""`piko-flow backfill`: a past range, run on request."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from piko_flow.cli.answering import Asking
from piko_flow.cli.asking_commands import asks
from piko_flow.cli.backfill_options import BackfillOptions
from piko_flow.cli.control_arguments import BackfillNumber, Limit, OnlyFlow
from piko_flow.cli.mistakes import CommandMistake
from piko_flow.cli.unknown_flow_notes import unknown_flow_notes
from piko_flow.cli.waiting_notes import leader_notes, show_notes
from piko_flow.counting import counted

if TYPE_CHECKING:
    from piko_flow.control.flows.told_times import Times
    from piko_flow.control.operations.plane import ControlPlane
    from piko_flow.control.operations.plane_backfills import BackfillPlan, BackfillView
    from piko_flow.store.records import BackfillRecord

app = typer.Typer(
    help="A past range, run on request: plan, apply, list, pause, resume, cancel.", no_args_is_help=True
)
TITLES = ("number", "flow", "state", "kind", "span", "done", "left", "running", "failed")
FIRST, LAST = 5, 2  # windows of a plan that are shown; of a few more all are
Digest = Annotated[
    str | None,
    typer.Option(
        "--plan",
        metavar="DIGEST",
        help="The plan that was shown; another one is refused.",
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Run what the plan is now, unseen.")]


@app.command("plan")
@asks(times=True)
def plan(asking: Asking, wanted: BackfillOptions) -> None:
    """Show what a backfill would run: windows, order, parameters, a guess at the time. Nothing is changed."""

    async def ask(plane: ControlPlane) -> BackfillPlan:
        return await plane.plan_backfill(await wanted.request(plane))

    found = asking.ask(ask)
    asking.answer(lambda: {"plan": found}, lambda: _show_plan(found, asking.times()))
    if not asking.as_json:
        typer.echo(f"\nto run it: piko-flow backfill apply, with the same words and --plan {found.digest}")


@app.command("apply")
@asks(times=True)
def apply(asking: Asking, wanted: BackfillOptions, digest: Digest = None, yes: Yes = False) -> None:
    """Begin a backfill. Shows its plan and asks, unless the plan that was shown is named, or --yes is given."""

    async def ask(plane: ControlPlane) -> tuple[BackfillRecord, list[str]]:
        request = await wanted.request(plane)
        chosen = digest
        if chosen is None:
            found = await plane.plan_backfill(request)
            chosen = found.digest
            if not yes:
                _confirm(found, asking)
        return await plane.apply_backfill(request, digest=chosen), await leader_notes(plane)

    made, notes = asking.ask(ask)
    told = f"backfill {made.id} of {made.flow} runs {counted(len(made.windows), 'window')}, {made.concurrency} at once"
    asking.answer(lambda: {"backfill": made}, lambda: typer.echo(told))
    show_notes(notes)


@app.command("list")
@asks(times=True)
def list_backfills(
    asking: Asking,
    flow: OnlyFlow = None,
    open_only: Annotated[bool, typer.Option("--open", help="Only those that are running or paused.")] = False,
    limit: Limit = 20,
) -> None:
    """List backfills and how far each is, the newest first."""
    from piko_flow.control.operations.view_values import backfill_values

    async def ask(plane: ControlPlane) -> tuple[list[BackfillView], list[str]]:
        found = await plane.backfills(flow=flow, open_only=open_only, limit=limit)
        return found, await unknown_flow_notes(plane, flow, found)

    views, notes = asking.ask(ask)
    asking.answer(
        lambda: {"backfills": list(map(backfill_values, views))}, lambda: _show_list(views, asking.times())
    )
    show_notes(notes)


@app.command("pause")
@asks(code=False)
def pause(
    asking: Asking,
    number: BackfillNumber,
) -> None:
    """Queue no more of its windows; its runs go on."""
    _tell(asking, asking.ask(lambda plane: plane.pause_backfill(number)))


@app.command("resume")
@asks(code=False)
def resume(
    asking: Asking,
    number: BackfillNumber,
) -> None:
    """Go on with a paused one."""

    async def resumed(plane: ControlPlane) -> tuple[BackfillRecord, list[str]]:
        return await plane.resume_backfill(number), await leader_notes(plane)

    record, notes = asking.ask(resumed)
    _tell(asking, record)
    show_notes(notes)


@app.command("cancel")
@asks(code=False)
def cancel(
    asking: Asking,
    number: BackfillNumber,
) -> None:
    """End it: its queued runs are cancelled, its running ones asked to stop. What is done stays done."""
    _tell(asking, asking.ask(lambda plane: plane.cancel_backfill(number)))


def _tell(asking: Asking, record: BackfillRecord) -> None:
    told = f"backfill {record.id} of {record.flow} is {record.state}"
    asking.answer(lambda: {"backfill": record}, lambda: typer.echo(told))


def _confirm(found: BackfillPlan, asking: Asking) -> None:
    if asking.as_json or not sys.stdin.isatty():
        raise CommandMistake(
            "nobody is there to be asked: name the plan with --plan, as backfill plan shows it, or give --yes"
        )
    _show_plan(found, asking.times())
    typer.confirm(f"\nrun {counted(len(found.windows), 'window')}?", abort=True, err=True)


def _show_plan(found: BackfillPlan, times: Times) -> None:
    from piko_flow.cli.tables import show_facts, zones

    windows, request = found.windows, found.request
    order = "newest first" if request.newest_first else "oldest first"
    shown = windows if len(windows) <= FIRST + LAST + 1 else (*windows[:FIRST], None, *windows[-LAST:])
    left_out = len(windows) - FIRST - LAST
    show_facts(
        [
            ("flow", request.flow),
            ("kind", request.kind),
            ("windows", f"{len(windows)}, {order}, {request.concurrency} at once"),
            *(("  ", f"... {left_out} more" if one is None else times.span(one)) for one in shown),
            *(("only a part", f"{times.span(one.part)} of {times.span(one.whole)}") for one in found.parts),
            ("params", json.dumps(found.params, ensure_ascii=False)),
            ("takes about", _about(found)),
            *zones(times, found.zone),
            ("plan", found.digest),
        ]
    )


def _about(found: BackfillPlan) -> str | None:
    from piko_flow.cli.tables import took

    if found.estimate is None:
        return "nobody knows: no run of the flow has succeeded yet"
    return took(round(found.estimate.total_seconds() * 1000))


def _show_list(views: list[BackfillView], times: Times) -> None:
    from piko_flow.cli.tables import NOTHING, show_table
    from piko_flow.planning.run_state import RunStatus
    from piko_flow.planning.window import Window

    rows = [
        (
            one.backfill.id,
            one.backfill.flow,
            one.told,
            one.backfill.kind,
            times.span(Window(one.backfill.start, one.backfill.end)),
            f"{one.done:.0%}",
            one.left,
            one.counts.get(RunStatus.RUNNING, 0),
            one.counts.get(RunStatus.FAILED, 0) or NOTHING,
        )
        for one in views
    ]
    numbers = {"number", "done", "left", "running", "failed"}
    show_table(
        TITLES,
        rows,
        right=numbers,
        wraps={"flow", "span"},
        drops=("running", "kind", "failed"),
        notes={"span": times.name},
        empty="no backfill",
    )
