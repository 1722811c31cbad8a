"""`piko-flow check`: is anything wrong with the flows or the rows?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from piko_flow.cli.answering import Asking
from piko_flow.cli.asking_commands import asks
from piko_flow.counting import counted

if TYPE_CHECKING:
    from piko_flow.control.operations.checking import Finding
    from piko_flow.control.operations.plane import ControlPlane


@asks(code=False)
def check(
    asking: Asking,
    named: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PACKAGES]...",
            help="Packages, folders or files whose flows are discovered; without them those of the settings.",
            show_default=False,
        ),
    ] = None,
    rows: Annotated[
        bool, typer.Option("--rows/--no-rows", help="Look at the rows of the database, too.")
    ] = True,
) -> None:
    """Import all flows, build their pipelines, and compare the rows of the database with them. Nothing runs.

    Exits with 1 when something is wrong.
    """
    found, flows, seen = _found(replace(asking, packages=named), rows=rows)
    wrong = sum(one.wrong for one in found)
    values = {"findings": found, "wrong": wrong, "flows": flows, "rows": seen}
    asking.answer(lambda: values, lambda: _show(found, flows, seen))
    if wrong:
        raise typer.Exit(1)


def _found(asking: Asking, *, rows: bool) -> tuple[list[Finding], int, int | None]:
    """The findings, how many flows there are, and how many rows; None where there is no database of ours to look at."""
    import asyncio

    from piko_flow.cli.application import flows_of, opened, settings_in_force, tables_are_there
    from piko_flow.clock import now
    from piko_flow.control.operations.checking import check_flows

    settings = settings_in_force(asking.database)
    with asking.kept():
        registry = flows_of(asking.packages or settings.packages)
        found = list(check_flows(registry.values(), now()))
    if not rows:
        return found, len(registry), None

    async def look() -> tuple[list[Finding], int | None]:
        if not await tables_are_there(settings):
            return [], None
        async with opened(settings, registry) as plane:
            return await _rows(plane)

    in_rows, seen = asyncio.run(look())
    return found + in_rows, len(registry), seen


async def _rows(plane: ControlPlane) -> tuple[list[Finding], int]:
    from piko_flow.control.operations.checking import check_lacking, check_rows

    schedules, configs = await plane.store.schedules(), await plane.store.configs()
    found = check_rows(schedules, configs, plane.registry, plane.options.zone)
    lacking = check_lacking(plane.registry.values(), configs)
    return [*found, *lacking], len(schedules) + len(configs)


def _show(found: list[Finding], flows: int, rows: int | None) -> None:
    for one in found:
        typer.echo(f"{'wrong' if one.wrong else 'note '}  {one.where}: {one.told}")
    if not flows:
        typer.echo("note   no flow is registered: name a package, or set PIKO_PACKAGES")
    seen = "no database yet" if rows is None else counted(rows, "row")
    wrong = sum(one.wrong for one in found)
    typer.echo(f"{counted(flows, 'flow')}, {seen}: {f'{wrong} wrong' if wrong else 'nothing wrong'}")
