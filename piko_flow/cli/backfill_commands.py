"""`piko-flow backfill`: a past range, run on request."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from piko_flow.cli.answering import Asking
from piko_flow.cli.arguments import AsJson, Debug
from piko_flow.cli.control_arguments import (
    BackfillNumber,
    Database,
    FlowName,
    Limit,
    Packages,
    Params,
    ParamsObject,
    given_params,
    who_asks,
    window_of,
)
from piko_flow.cli.mistakes import CommandMistake

if TYPE_CHECKING:
    from piko_flow.control.plane import ControlPlane
    from piko_flow.control.plane_backfills import BackfillPlan, BackfillRequest, BackfillView
    from piko_flow.store.records import BackfillRecord

app = typer.Typer(
    help="A past range, run on request: plan, apply, list, pause, resume, cancel.", no_args_is_help=True
)
TITLES = ("number", "flow", "state", "kind", "span", "done", "left", "running", "failed")
FIRST, LAST = 5, 2  # windows of a plan that are shown; of a few more all are
Span = Annotated[
    str,
    typer.Argument(
        metavar="START..END",
        help="The span, the end left out; times without an offset are of the flow's zone.",
        show_default=False,
    ),
]
What = Annotated[
    str,
    typer.Option(
        "--kind",
        help="missing (and what was skipped), failed (and what was done with items missing), or all.",
    ),
]
Newest = Annotated[bool, typer.Option("--newest-first", help="Run the newest window first.")]
AtOnce = Annotated[int, typer.Option("--concurrency", min=1, help="How many of its runs go at once.")]

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
def plan(
    flow: FlowName,
    span: Span,
    kind: What = "missing",
    newest_first: Newest = False,
    concurrency: AtOnce = 1,
    param: Params = None,
    params: ParamsObject = None,
    package: Packages = None,
    database: Database = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what a backfill would run: windows, order, parameters, a guess at the time. Nothing is changed."""
    asking = Asking(package, database, as_json, debug)
    with asking.told():
        request = _request(flow, span, kind, newest_first, concurrency, param, params)

        async def ask(plane: ControlPlane) -> BackfillPlan:
            return await plane.plan_backfill(await request(plane))

        found = asking.ask(ask)
        asking.answer(lambda: {"plan": found}, lambda: _show_plan(found))
        if not as_json:
            typer.echo(
                f"\nto run it: piko-flow backfill apply, with the same words and --plan {found.digest}"
            )


@app.command("apply")
def apply(
    flow: FlowName,
    span: Span,
    kind: What = "missing",
    newest_first: Newest = False,
    concurrency: AtOnce = 1,
    param: Params = None,
    params: ParamsObject = None,
    digest: Digest = None,
    yes: Yes = False,
    package: Packages = None,
    database: Database = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Begin a backfill. Shows its plan and asks, unless the plan that was shown is named, or --yes is given."""
    asking = Asking(package, database, as_json, debug)
    with asking.told():
        request = _request(flow, span, kind, newest_first, concurrency, param, params)

        async def ask(plane: ControlPlane) -> BackfillRecord:
            wanted = await request(plane)
            chosen = digest
            if chosen is None:
                found = await plane.plan_backfill(wanted)
                chosen = found.digest
                if not yes:
                    _confirm(found, as_json=as_json)
            return await plane.apply_backfill(wanted, digest=chosen, by=who_asks())

        made = asking.ask(ask)
        told = (
            f"backfill {made.id} of {made.flow} runs {len(made.windows)} windows, {made.concurrency} at once"
        )
        asking.answer(lambda: {"backfill": made}, lambda: typer.echo(told))


@app.command("list")
def list_backfills(
    flow: Annotated[str | None, typer.Option(help="Only this flow's.", show_default=False)] = None,
    open_only: Annotated[bool, typer.Option("--open", help="Only those that are running or paused.")] = False,
    limit: Limit = 20,
    package: Packages = None,
    database: Database = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List backfills and how far each is, the newest first."""
    asking = Asking(package, database, as_json, debug)
    with asking.told():
        views = asking.ask(lambda plane: plane.backfills(flow=flow, open_only=open_only, limit=limit))
        asking.answer(lambda: {"backfills": list(map(_values, views))}, lambda: _show_list(views))


@app.command("pause")
def pause(
    number: BackfillNumber, database: Database = None, as_json: AsJson = False, debug: Debug = False
) -> None:
    """Queue no more of its windows; its runs go on."""
    _set(Asking(None, database, as_json, debug), lambda plane: plane.pause_backfill(number))


@app.command("resume")
def resume(
    number: BackfillNumber, database: Database = None, as_json: AsJson = False, debug: Debug = False
) -> None:
    """Go on with a paused one."""
    _set(Asking(None, database, as_json, debug), lambda plane: plane.resume_backfill(number))


@app.command("cancel")
def cancel(
    number: BackfillNumber, database: Database = None, as_json: AsJson = False, debug: Debug = False
) -> None:
    """End it: its queued runs are cancelled, its running ones asked to stop. What is done stays done."""
    _set(Asking(None, database, as_json, debug), lambda plane: plane.cancel_backfill(number, by=who_asks()))


def _set(asking: Asking, change: Callable[[ControlPlane], Awaitable[BackfillRecord]]) -> None:
    with asking.told():
        record = asking.ask(change)
        told = f"backfill {record.id} of {record.flow} is {record.state}"
        asking.answer(lambda: {"backfill": record}, lambda: typer.echo(told))


def _request(
    flow: str,
    span: str,
    kind: str,
    newest_first: bool,
    concurrency: int,
    param: list[str] | None,
    params: str | None,
) -> Callable[[ControlPlane], Awaitable[BackfillRequest]]:
    """What the words of the command ask for; the flow's zone and model are known only to the plane."""

    async def request(plane: ControlPlane) -> BackfillRequest:
        from piko_flow.control.plane_backfills import BackfillRequest

        model = plane.registered(flow).params
        return BackfillRequest(
            flow=flow,
            span=window_of(span, await plane.zone(flow), "the span"),
            kind=kind,
            newest_first=newest_first,
            concurrency=concurrency,
            params=given_params(param, params, model),
        )

    return request


def _confirm(found: BackfillPlan, *, as_json: bool) -> None:
    if as_json or not sys.stdin.isatty():
        raise CommandMistake(
            "nobody is there to be asked: name the plan with --plan, as backfill plan shows it, or give --yes"
        )
    _show_plan(found)
    typer.confirm(f"\nrun {len(found.windows)} windows?", abort=True, err=True)


def _show_plan(found: BackfillPlan) -> None:
    from piko_flow.cli.tables import show_facts, span_text

    windows, request = found.windows, found.request
    order = "newest first" if request.newest_first else "oldest first"
    shown = windows if len(windows) <= FIRST + LAST + 1 else (*windows[:FIRST], None, *windows[-LAST:])
    left_out = len(windows) - FIRST - LAST
    show_facts(
        [
            ("flow", request.flow),
            ("kind", request.kind),
            ("windows", f"{len(windows)}, {order}, {request.concurrency} at once"),
            *(("  ", f"... {left_out} more" if one is None else span_text(one, found.zone)) for one in shown),
            ("params", json.dumps(found.params, ensure_ascii=False)),
            ("takes about", _about(found)),
            ("plan", found.digest),
        ]
    )


def _about(found: BackfillPlan) -> str:
    from piko_flow.cli.tables import took

    if found.estimate is None:
        return "nobody knows: no run of the flow has succeeded yet"
    return took(round(found.estimate.total_seconds() * 1000))


def _values(view: BackfillView) -> dict[str, object]:
    return {"backfill": view.backfill, "counts": view.counts, "done": view.done, "left": view.left}


def _show_list(views: list[BackfillView]) -> None:
    from piko_flow.cli.tables import NOTHING, show_table, span_text
    from piko_flow.planning.run_state import RunStatus
    from piko_flow.planning.window import Window

    rows = [
        (
            one.backfill.id,
            one.backfill.flow,
            one.backfill.state,
            one.backfill.kind,
            span_text(Window(one.backfill.start, one.backfill.end), one.zone),
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
        empty="no backfill",
    )
