"""`piko-flow params`: the parameters of flows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from piko_flow.cli.answering import Asking
from piko_flow.cli.asking_commands import asks
from piko_flow.cli.control_arguments import (
    FlowName,
    Limit,
    ParamsObject,
    given_params,
    moment_of,
)

if TYPE_CHECKING:
    from piko_flow.control.flows.told_times import Times
    from piko_flow.control.operations.plane import ControlPlane
    from piko_flow.control.operations.plane_params import ParamsView, SeenParams
    from piko_flow.store.records import ParamsVersion

    Written: TypeAlias = tuple[ParamsVersion, tuple[ParamsVersion, ...]]

app = typer.Typer(help="The parameters of flows: show, set, history, rollback.", no_args_is_help=True)
TITLES = ("version", "id", "seen", "in force from", "values", "refused")

Pairs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME=VALUE]...", help="Changes to what is set, name by name.", show_default=False
    ),
]
EffectiveFrom = Annotated[
    str | None,
    typer.Option(
        metavar="MOMENT",
        help="Runs queued from then on have them; a time of the flow's zone. Without it at once.",
        show_default=False,
    ),
]
SchemaVersion = Annotated[int | None, typer.Option(help="The row's schema_version.", show_default=False)]


@app.command("show")
@asks(times=True)
def show_params(
    asking: Asking,
    flow: FlowName,
) -> None:
    """Show the parameters in force, where they come from, and what is about to change."""
    view = asking.ask(lambda plane: plane.params(flow))
    asking.answer(lambda: {"params": view}, lambda: _show(view, asking.times()))


@app.command("set")
@asks(times=True)
def set_params(
    asking: Asking,
    flow: FlowName,
    pairs: Pairs = None,
    params: ParamsObject = None,
    effective_from: EffectiveFrom = None,
    schema_version: SchemaVersion = None,
) -> None:
    """Set parameters: NAME=VALUE changes one, --params puts a whole object in the place of what is set.

    They are checked against the flow's model before they are written. Runs that are queued keep what they have.
    """

    async def ask(plane: ControlPlane) -> Written:
        zone, model = await plane.zone(flow), plane.registered(flow).params
        since = None if effective_from is None else moment_of(effective_from, zone, "--effective-from")
        values: Any = None if params is None else given_params(None, params, model)
        version = await plane.set_params(
            flow,
            values=values,
            changes=given_params(pairs, None, model) or None,
            schema_version=schema_version,
            effective_from=since,
        )
        return version, await plane.given_up_params(version)

    written = asking.ask(ask)
    asking.answer(lambda: _values(written), lambda: _tell(written, asking.times()))


@app.command("history")
@asks(times=True)
def show_history(
    asking: Asking,
    flow: FlowName,
    limit: Limit = 20,
) -> None:
    """List the versions that were seen, the newest first."""
    found = asking.ask(lambda plane: plane.params_history(flow, limit=limit))
    asking.answer(lambda: {"versions": found}, lambda: _show_history(found, asking.times()))


@app.command("rollback")
@asks(times=True)
def rollback_params(
    asking: Asking,
    flow: FlowName,
    version: Annotated[int, typer.Argument(help="The version to go back to.", show_default=False)],
    number: Annotated[
        int | None,
        typer.Option("--id", help="Which one, where several had this version.", show_default=False),
    ] = None,
) -> None:
    """Write an earlier version's values as the newest version, in force at once; what was to come is given up."""

    async def ask(plane: ControlPlane) -> Written:
        made = await plane.rollback_params(flow, version, number=number)
        return made, await plane.given_up_params(made)

    written = asking.ask(ask)
    asking.answer(lambda: _values(written), lambda: _tell(written, asking.times()))


def _values(written: Written) -> dict[str, Any]:
    version, given_up = written
    return {"version": version, "given_up": given_up}


def _tell(written: Written, times: Times) -> None:
    version, given_up = written
    since = f"from {times.exact.at(version.effective_from)} on" if version.effective_from else "from now on"
    typer.echo(f"version {version.version} of the params of {version.flow} holds {since}")
    for one in given_up:
        assert one.effective_from is not None
        typer.echo(
            f"version {one.version}, which was to hold from {times.exact.at(one.effective_from)} on, is given up"
        )


def _show(view: ParamsView, times: Times) -> None:
    from piko_flow.cli.tables import show_facts, when

    version = view.version
    source = "the model's defaults" if version is None else f"version {version.version} of the row"
    facts: list[tuple[str, object]] = [("flow", view.flow), ("in force", source)]
    facts += [(f"  {name}", json.dumps(value, ensure_ascii=False)) for name, value in view.values.items()]
    for one in view.coming:
        facts.append(("to come", f"version {one.version} from {when(one.effective_from, times)} on"))
    if view.refused is not None:
        facts.append(("refused", f"version {view.refused.version}: {view.refused.refused}"))
    if view.lacking:
        facts.append(("lacking", f"each run would fail: {view.lacking}"))
    if view.ignored:
        facts.append(("ignored", view.ignored))
    if view.unseen is not None:
        told = f"version {view.unseen.version} of the row, which no replica has looked at yet"
        facts.append(("not seen", told))
    if view.coming:
        facts.append(("times in", times.name))
    show_facts(facts)


def _told_values(seen: SeenParams) -> str:
    if seen.deleted:
        return "the row was deleted: the model's defaults"
    return "no JSON object" if seen.values is None else json.dumps(seen.values, ensure_ascii=False)


def _show_history(found: list[SeenParams], times: Times) -> None:
    from piko_flow.cli.tables import show_table, when

    rows = [
        (
            one.version.version,
            one.version.id,
            when(one.version.seen_at, times),
            when(one.version.effective_from, times) if one.version.effective_from else "at once",
            _told_values(one),
            one.version.refused or None,
        )
        for one in found
    ]
    empty = "no version was seen: the model's defaults hold"
    show_table(
        TITLES,
        rows,
        right={"version", "id"},
        wraps={"values", "refused"},
        drops=("seen", "id"),
        notes={"in force from": times.name},
        empty=empty,
    )
