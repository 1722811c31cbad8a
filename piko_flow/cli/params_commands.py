"""`piko-flow params`: the parameters of flows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from piko_flow.cli.answering import Asking
from piko_flow.cli.arguments import AsJson, Debug
from piko_flow.cli.control_arguments import (
    Database,
    FlowName,
    Limit,
    Packages,
    ParamsObject,
    given_params,
    moment_of,
)

if TYPE_CHECKING:
    from piko_flow.control.plane import ControlPlane
    from piko_flow.control.plane_params import ParamsView, SeenParams
    from piko_flow.store.records import ParamsVersion

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
def show_params(
    flow: FlowName,
    package: Packages = None,
    database: Database = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show the parameters in force, where they come from, and what is about to change."""
    asking = Asking(package, database, as_json, debug)
    with asking.told():
        view = asking.ask(lambda plane: plane.params(flow))
        asking.answer(lambda: {"params": view}, lambda: _show(view))


@app.command("set")
def set_params(
    flow: FlowName,
    pairs: Pairs = None,
    params: ParamsObject = None,
    effective_from: EffectiveFrom = None,
    schema_version: SchemaVersion = None,
    package: Packages = None,
    database: Database = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Set parameters: NAME=VALUE changes one, --params puts a whole object in the place of what is set.

    They are checked against the flow's model before they are written. Runs that are queued keep what they have.
    """
    asking = Asking(package, database, as_json, debug)
    with asking.told():

        async def ask(plane: ControlPlane) -> tuple[ParamsVersion, str]:
            zone, model = await plane.zone(flow), plane.registered(flow).params
            since = None if effective_from is None else moment_of(effective_from, zone, "--effective-from")
            values: Any = None if params is None else given_params(None, params, model)
            version = await plane.set_params(
                flow,
                values=values,
                changes=given_params(pairs, None, model),
                schema_version=schema_version,
                effective_from=since,
            )
            return version, zone

        version, zone = asking.ask(ask)
        asking.answer(lambda: {"version": version}, lambda: _tell(version, zone))


@app.command("history")
def show_history(
    flow: FlowName,
    limit: Limit = 20,
    package: Packages = None,
    database: Database = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the versions that were seen, the newest first."""
    asking = Asking(package, database, as_json, debug)
    with asking.told():

        async def ask(plane: ControlPlane) -> tuple[list[SeenParams], str]:
            return await plane.params_history(flow, limit=limit), await plane.zone(flow)

        found, zone = asking.ask(ask)
        asking.answer(lambda: {"versions": found}, lambda: _show_history(found, zone))


@app.command("rollback")
def rollback_params(
    flow: FlowName,
    version: Annotated[int, typer.Argument(help="The version to go back to.", show_default=False)],
    number: Annotated[
        int | None,
        typer.Option("--id", help="Which one, where several had this version.", show_default=False),
    ] = None,
    package: Packages = None,
    database: Database = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write an earlier version's values as the newest version."""
    asking = Asking(package, database, as_json, debug)
    with asking.told():

        async def ask(plane: ControlPlane) -> tuple[ParamsVersion, str]:
            return await plane.rollback_params(flow, version, number=number), await plane.zone(flow)

        made, zone = asking.ask(ask)
        asking.answer(lambda: {"version": made}, lambda: _tell(made, zone))


def _tell(version: ParamsVersion, zone: str) -> None:
    from piko_flow.cli.tables import when

    since = f"from {when(version.effective_from, zone)} on" if version.effective_from else "from now on"
    typer.echo(f"version {version.version} of the params of {version.flow} holds {since}")


def _show(view: ParamsView) -> None:
    from piko_flow.cli.tables import show_facts, when

    version = view.version
    source = "the model's defaults" if version is None else f"version {version.version} of the row"
    facts: list[tuple[str, object]] = [("flow", view.flow), ("in force", source)]
    facts += [(f"  {name}", json.dumps(value, ensure_ascii=False)) for name, value in view.values.items()]
    for one in view.coming:
        facts.append(("to come", f"version {one.version} from {when(one.effective_from, view.zone)} on"))
    if view.refused is not None:
        facts.append(("refused", f"version {view.refused.version}: {view.refused.refused}"))
    if view.lacking:
        facts.append(("lacking", f"each run would fail: {view.lacking}"))
    if view.unseen is not None:
        told = f"version {view.unseen.version} of the row, which no replica has looked at yet"
        facts.append(("not seen", told))
    show_facts(facts)


def _show_history(found: list[SeenParams], zone: str) -> None:
    from piko_flow.cli.tables import show_table, when

    rows = [
        (
            one.version.version,
            one.version.id,
            when(one.version.seen_at, zone),
            when(one.version.effective_from, zone) if one.version.effective_from else "at once",
            "no JSON object" if one.values is None else json.dumps(one.values, ensure_ascii=False),
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
        empty=empty,
    )
