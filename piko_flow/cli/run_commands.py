"""`piko-flow run list`, `show`, `cancel`, `retry`: the runs of flows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from piko_flow.cli.answering import Asking
from piko_flow.cli.asking_commands import asks
from piko_flow.cli.control_arguments import Limit, OnlyFlow, RunNumber
from piko_flow.cli.unknown_flow_notes import unknown_flow_notes
from piko_flow.cli.waiting_notes import show_notes, waiting_notes
from piko_flow.counting import counted
from piko_flow.planning.run_state import RunStatus

if TYPE_CHECKING:
    from piko_flow.control.flows.told_times import Times
    from piko_flow.control.operations.plane import ControlPlane
    from piko_flow.control.operations.plane_runs import RunPage, RunView
    from piko_flow.control.runs.failure_record import ToldFailure
    from piko_flow.control.runs.run_counts import ToldCounts
    from piko_flow.store.records import AttemptRecord, RunRecord

app = typer.Typer(help="The runs of flows: list, show, cancel and retry them.", no_args_is_help=True)
NAMES = ("list", "show", "cancel", "retry")
TITLES = ("run", "flow", "status", "for", "took", "attempt", "why")


@app.command("list")
@asks(times=True)
def list_runs(
    asking: Asking,
    flow: OnlyFlow = None,
    status: Annotated[
        list[RunStatus] | None,
        typer.Option(
            case_sensitive=False,
            metavar="STATUS",
            help="Only these: queued, running, success, failed, cancelled, skipped; may be given again.",
            show_default=False,
        ),
    ] = None,
    backfill: Annotated[
        int | None, typer.Option(help="Only those of this backfill.", show_default=False)
    ] = None,
    before: Annotated[
        int | None,
        typer.Option(help="Only runs before this number, to go on after a page.", show_default=False),
    ] = None,
    limit: Limit = 20,
) -> None:
    """List runs, the newest first."""
    from piko_flow.store.protocols import RunFilter

    which = RunFilter(flow=flow, statuses=set(status or ()), backfill=backfill, before=before, limit=limit)

    async def ask(plane: ControlPlane) -> tuple[RunPage, list[str]]:
        found = await plane.runs(which)
        return found, await unknown_flow_notes(plane, flow, found.runs)

    page, notes = asking.ask(ask)
    asking.answer(
        lambda: {"runs": page.runs, "before": page.before}, lambda: _show_page(page, asking.times())
    )
    show_notes(notes)


@app.command("show")
@asks(times=True)
def show_run(
    asking: Asking,
    run: RunNumber,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Print the tracebacks whole, as --debug does.")
    ] = False,
) -> None:
    """Show one run: its attempts, the parameters it is pinned to, its errors and where they were raised."""
    from piko_flow.control.runs.failure_record import failures_of
    from piko_flow.control.runs.run_counts import counts_in

    async def read(plane: ControlPlane) -> tuple[RunView, dict[int, ToldFailure], ToldCounts | None]:
        found, reports = await plane.run(run), await plane.store.reports(run)
        return found, failures_of(found.run, reports), counts_in(reports)

    def show() -> None:
        _show(view, counts, asking.times())
        for attempt, failure in failures.items():
            _show_failure(attempt, failure, whole=traceback or asking.debug)

    view, failures, counts = asking.ask(read)
    asking.answer(lambda: {"run": view, "failures": failures, "counts": counts}, show)


@app.command("cancel")
@asks()
def cancel_run(
    asking: Asking,
    run: RunNumber,
) -> None:
    """End a queued run, stop a running one. Its window stays a gap."""
    found = asking.ask(lambda plane: plane.cancel(run))
    told = "is cancelled" if found.status is RunStatus.CANCELLED else "is asked to stop"
    asking.answer(lambda: {"run": found}, lambda: typer.echo(f"run {found.id} of {found.flow} {told}"))


@app.command("retry")
@asks()
def retry_run(
    asking: Asking,
    run: RunNumber,
) -> None:
    """Queue a failed or cancelled run again, as its next attempt."""

    async def ask(plane: ControlPlane) -> tuple[RunRecord, list[str]]:
        queued = await plane.retry(run)
        return queued, await waiting_notes(plane, queued, asking.times())

    found, notes = asking.ask(ask)
    told = f"run {found.id} of {found.flow} is queued for attempt {found.attempt}"
    asking.answer(lambda: {"run": found}, lambda: typer.echo(told))
    show_notes(notes)


def _show_page(page: RunPage, times: Times) -> None:
    from piko_flow.cli.tables import show_table

    rows = [_row(run, times) for run in page.runs]
    show_table(
        TITLES,
        rows,
        right={"run", "took", "attempt"},
        wraps={"flow", "for", "why"},
        drops=("attempt", "took"),
        notes={"for": times.name},
        empty="no run",
    )
    if page.before is not None:
        typer.echo(f"more with --before {page.before}", err=True)


def _row(run: RunRecord, times: Times) -> tuple[object, ...]:
    from piko_flow.cli.tables import dead_letters, span_text, took, when

    covers = span_text(run.window, times) or when(run.scheduled_time, times)
    ended = ": ".join(filter(None, (run.reason, run.error_type)))
    why = ", ".join(filter(None, (ended, dead_letters(run.dead_items))))
    return run.id, run.flow, run.status, covers, took(run.duration_ms), run.attempt, why or None


def _show(view: RunView, counts: ToldCounts | None, times: Times) -> None:
    from piko_flow.cli.tables import show_facts, show_table

    facts = [*_what_it_is(view, times), *_how_it_went(view, times), ("moved", _moved(view, counts))]
    show_facts([*facts, ("times in", times.name)])
    if not view.attempts:
        return
    typer.echo("")
    waits = view.run.status is RunStatus.QUEUED  # what it says of an error is the attempt's before
    begun: list[AttemptRecord | RunRecord] = [*view.attempts, *([] if waits else [view.run])]
    rows = [_attempt(one, times) for one in begun]
    show_table(("attempt", "started", "ended", "reason", "error"), rows, wraps={"error"}, empty="")


def _show_failure(attempt: int, failure: ToldFailure, *, whole: bool) -> None:
    """Where the attempt failed: the last lines of the flow's own code, or the traceback; nothing where none is known."""
    from piko_flow.cli.mistakes import printable

    if not failure.traceback:
        return
    stage = f" in stage {failure.stage!r}" if failure.stage else ""
    if whole:
        lines = [f"attempt {attempt} failed{stage}:", failure.traceback.rstrip()]
    elif failure.frames:
        lines = [
            f"attempt {attempt} failed{stage}; the traceback with --traceback, its last lines of the flow:"
        ]
        lines += [f"  {frame}" for frame in failure.frames]
    else:
        lines = [
            f"attempt {attempt} failed{stage} outside the flow's own code; the traceback with --traceback"
        ]
    if failure.item is not None:
        lines.append(f"  item: {failure.item}")
    typer.echo("\n" + printable("\n".join(lines)))


def _attempt(one: AttemptRecord | RunRecord, times: Times) -> tuple[object, ...]:
    from piko_flow.cli.tables import when
    from piko_flow.control.runs.failure_record import error_text

    error = error_text(one.error_type, one.error_msg) or None
    return one.attempt, when(one.start_time, times), when(one.end_time, times), one.reason or None, error


def _moved(view: RunView, counts: ToldCounts | None) -> str:
    """What the pipeline moved, as far as that is known; of which attempt, where that is not the run's last."""
    if counts is None:
        return ""
    return str(counts) if counts.attempt == view.run.attempt else f"in attempt {counts.attempt}: {counts}"


def _what_it_is(view: RunView, times: Times) -> list[tuple[str, object]]:
    from piko_flow.cli.tables import span_text, when

    run = view.run
    source = "the model's defaults" if view.version is None else f"version {view.version.version} of the row"
    given = f", with {', '.join(view.given)} given" if view.given else ""
    fires = f"{counted(run.fires, 'fire')}, from {when(run.first_fire, times)} on" if run.fires > 1 else ""
    return [
        ("run", f"{run.id} of {run.flow}"),
        ("status", run.status),
        ("reason", run.reason),
        ("origin", f"{run.origin}, by {run.requested_by}" if run.requested_by else run.origin),
        ("due", when(run.scheduled_time, times)),
        ("window", span_text(run.window, times)),
        ("stands for", fires),
        ("params", source + given),
        ("", json.dumps(view.params, ensure_ascii=False) if view.params else ""),
    ]


def _how_it_went(view: RunView, times: Times) -> list[tuple[str, object]]:
    from piko_flow.cli.tables import took, when
    from piko_flow.control.runs.failure_record import error_text

    run = view.run
    return [
        ("attempt", run.attempt),
        ("rescues", f"{run.rescues}: a replica died while it ran" if run.rescues else ""),
        ("not before", when(run.not_before, times) if run.not_before != run.scheduled_time else ""),
        ("queued", when(run.created_at, times)),
        ("started", when(run.start_time, times)),
        ("ended", when(run.end_time, times)),
        ("took", took(run.duration_ms)),
        ("host", f"{run.host}, process {run.pid}" if run.host else ""),
        ("error", error_text(run.error_type, run.error_msg)),
        ("dead letters", run.dead_items or ""),
        ("cancelled by" if run.status is RunStatus.CANCELLED else "asked to stop by", run.cancel_requested),
    ]
