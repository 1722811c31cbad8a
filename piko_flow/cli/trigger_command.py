"""`piko-flow trigger`: run a flow now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from piko_flow.cli.answering import Asking
from piko_flow.cli.asking_commands import asks
from piko_flow.cli.control_arguments import (
    FlowName,
    Params,
    ParamsObject,
    given_params,
    window_of,
)
from piko_flow.cli.waiting_notes import show_notes, waiting_notes
from piko_flow.planning.run_state import LIVE, RunStatus

if TYPE_CHECKING:
    from piko_flow.control.flows.told_times import Times
    from piko_flow.control.operations.plane import ControlPlane
    from piko_flow.control.operations.plane_triggers import TriggerPlan
    from piko_flow.store.records import RunRecord

WindowText = Annotated[
    str | None,
    typer.Option(
        metavar="START..END",
        help="The window of a stateful flow; without it the oldest gap. Times without an offset "
        "are of the flow's zone.",
        show_default=False,
    ),
]
Key = Annotated[
    str,
    typer.Option(help="A second trigger of the same key gives the first run again.", show_default=False),
]
LOOK_EVERY = 0.5  # seconds between two looks at a run that is waited for


@asks(times=True)
def trigger(
    asking: Asking,
    flow: FlowName,
    window: WindowText = None,
    param: Params = None,
    params: ParamsObject = None,
    key: Key = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and show, queue nothing.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the end; exit with 1 unless it succeeds.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds that --wait waits at most.")] = 3600.0,
) -> None:
    """Queue a run of a flow now; some replica runs it. Parameters go over those in force."""

    notes: list[str] = []

    async def ask(plane: ControlPlane) -> tuple[TriggerPlan | RunRecord, str]:
        zone = await plane.zone(flow)
        given = given_params(param, params, plane.registered(flow).params)
        span = None if window is None else window_of(window, zone, "--window")
        if dry_run:
            return await plane.plan_trigger(flow, params=given, window=span, key=key), zone
        run = await plane.trigger(flow, params=given, window=span, key=key)
        if wait:
            return await ended(plane, run, timeout, asking.times().exact), zone
        notes.extend(await waiting_notes(plane, run, asking.times()))
        return run, zone

    found, zone = asking.ask(ask)
    asking.answer(lambda: _values(found), lambda: _show(found, asking.times(), zone))
    show_notes(notes)
    from piko_flow.store.records import RunRecord

    if wait and isinstance(found, RunRecord) and found.status is not RunStatus.SUCCESS:
        raise typer.Exit(1)


async def ended(plane: ControlPlane, run: RunRecord, timeout: float, times: Times) -> RunRecord:
    """The run when it has ended, or as it is after so many seconds; says on standard error what it waits for."""
    until, told = plane.clock.monotonic() + timeout, ""
    while run.status in LIVE and plane.clock.monotonic() < until:
        why = (await plane.explain_run(run.id, times=times)).lines[0].text
        if why != told:
            typer.echo(f"run {run.id}: {why}", err=True)
            told = why
        await plane.clock.sleep(LOOK_EVERY)
        run = await plane.store.run(run.id) or run
    return run


def _values(found: TriggerPlan | RunRecord) -> dict[str, Any]:
    from piko_flow.control.operations.view_values import trigger_plan_values
    from piko_flow.store.records import RunRecord

    return {"run": found} if isinstance(found, RunRecord) else {"plan": trigger_plan_values(found)}


def _show(found: TriggerPlan | RunRecord, times: Times, zone: str) -> None:
    from piko_flow.cli.tables import dead_letters, show_facts, span_text, zones
    from piko_flow.control.runs.failure_record import error_text
    from piko_flow.store.records import RunRecord

    if isinstance(found, RunRecord):
        over = f" over {times.exact.span(found.window)}" if found.window is not None else ""
        error = error_text(found.error_type, found.error_msg) if found.status is RunStatus.FAILED else ""
        told = f"run {found.id} of {found.flow}{over} is {found.status}"
        dead = dead_letters(found.dead_items)
        typer.echo(": ".join(filter(None, (f"{told}, {dead}" if dead else told, error))))
        return
    earlier = found.earlier
    done = f"nothing: the key has made run {earlier.id} already, which is {earlier.status}" if earlier else ""
    show_facts(
        [
            ("would run", done or found.flow),
            ("window", span_text(found.window, times)),
            *(zones(times, zone) if found.window is not None else ()),
            ("params", json.dumps(found.shown, ensure_ascii=False)),
        ]
    )
