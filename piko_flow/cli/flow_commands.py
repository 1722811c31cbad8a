"""`piko-flow flow`: which flows there are, and where each stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from piko_flow.cli.answering import WITHOUT_CODE, Asking, note_without_code
from piko_flow.cli.asking_commands import asks
from piko_flow.cli.control_arguments import FlowName, Limit
from piko_flow.cli.waiting_notes import leader_notes, show_notes

if TYPE_CHECKING:
    from piko_flow.control.flows.told_times import Times
    from piko_flow.control.operations.plane import ControlPlane
    from piko_flow.control.operations.plane_flows import FlowPage, FlowView

app = typer.Typer(
    help="Which flows there are, where each stands and when it runs next.", no_args_is_help=True
)
TITLES = ("flow", "health", "next", "live", "gaps", "last", "due", "schedule")
SHOWN = 20  # stretches that are listed


@app.command("list")
@asks(times=True)
def list_flows(
    asking: Asking,
    after: Annotated[str, typer.Option(help="Only names after this one, to go on after a page.")] = "",
    limit: Limit = 100,
) -> None:
    """List the flows of the code and of the rows, with where they stand and when they run next."""

    async def ask(plane: ControlPlane) -> tuple[FlowPage, bool, list[str]]:
        page = await plane.flows(after=after, limit=limit)
        waits = not asking.as_json and any(map(_waits, page.flows))
        return page, bool(plane.registry), await leader_notes(plane) if waits else []

    def show() -> None:
        _show_page(page, asking.times(), coded=coded)
        show_notes(notes)

    page, coded, notes = asking.ask(ask)
    asking.answer(lambda: {"flows": page.flows, "after": page.after}, show)


@app.command("show")
@asks(times=True)
def show_flow(
    asking: Asking,
    name: FlowName,
) -> None:
    """Show one flow: its schedule and next fires, its windows, its last run."""
    view = asking.ask(lambda plane: plane.flow(name))
    from piko_flow.control.operations.view_values import flow_values

    asking.answer(lambda: {"flow": view, "code": flow_values(view.flow)}, lambda: _show(view, asking.times()))


def _waits(view: FlowView) -> bool:
    """Whether somebody who leads would have something to do for the flow."""
    found = view.schedule
    return view.queued > 0 or (found is not None and found.row.enabled and not found.paused)


def _show_page(page: FlowPage, times: Times, *, coded: bool) -> None:
    from piko_flow.cli.tables import show_table

    known = coded or not page.flows
    empty = "no flow: name a package with --package or in the setting packages"
    show_table(
        TITLES,
        [_row(view, times, known) for view in page.flows],
        right={"live", "gaps"},
        wraps={"flow", "schedule"},
        drops=("due", "schedule"),
        notes={"next": times.name},
        empty=empty,
    )
    note_without_code(known)
    if page.after is not None:
        typer.echo(f"more with --after {page.after!r}", err=True)


def _row(view: FlowView, times: Times, known: bool) -> tuple[object, ...]:
    from piko_flow.cli.tables import NOTHING, when

    coming = view.schedule.next_fires if view.schedule is not None else ()
    live = view.queued + view.running
    return (
        view.name,
        view.health if known else WITHOUT_CODE,
        when(coming[0], times) if coming else None,
        live or NOTHING,
        len(view.gaps) or NOTHING,
        view.last.status if view.last is not None else None,
        when(view.last.scheduled_time, times) if view.last is not None else None,
        _trigger(view),
    )


def _trigger(view: FlowView) -> str | None:
    if view.schedule is None:
        return None
    row = view.schedule.row
    return str(view.schedule.trigger) if view.schedule.trigger else f"{row.schedule_type} {row.schedule_expr}"


def _show(view: FlowView, times: Times) -> None:
    from piko_flow.cli.tables import show_facts, span_text, when

    flow = view.flow
    standing = f"{view.standing}: {view.why}" if view.why else view.standing
    facts: list[tuple[str, object]] = [("flow", view.name), ("standing", standing)]
    facts.append(("health", f"{view.health}: {view.health_why}"))
    facts += [("", f"{one.word}: {one.why}") for one in view.concerns if one.word != view.health]
    if flow is not None:
        kind = f"{flow.kind}, stateful ({flow.backfill})" if flow.stateful else flow.kind
        facts += [
            ("about", flow.description),
            ("kind", kind),
            ("registered", f"{flow.site.origin}"),
            ("params", flow.params.__name__ if flow.params is not None else ""),
            ("after", flow.after),
            ("tags", ", ".join(flow.tags)),
        ]
    facts.append(("schedule", _trigger(view)))
    if view.schedule is not None:
        facts += [("next", when(fire, times)) for fire in view.schedule.next_fires]
    facts.append(("live", f"{view.running} running, {view.queued} queued"))
    if view.last is not None:
        facts.append(
            ("last run", f"{view.last.id}: {view.last.status}, {when(view.last.scheduled_time, times)}")
        )
    if view.watermark is not None:
        facts.append(("settled up to", when(view.watermark, times)))
    facts += [("gap", span_text(gap, times)) for gap in view.gaps[:SHOWN]]
    if len(view.gaps) > SHOWN:
        facts.append(("", f"and {len(view.gaps) - SHOWN} more"))
    facts += [("failed", span_text(gap, times)) for gap in view.failed[:SHOWN]]
    show_facts([*facts, ("times in", times.name)])
