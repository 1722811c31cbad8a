"""`piko-flow db`: the database of the control half."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from piko_flow.cli.answering import Asking
from piko_flow.cli.asking_commands import asks
from piko_flow.counting import are, counted

if TYPE_CHECKING:
    from piko_flow.control.operations.plane import ControlPlane
    from piko_flow.settings import Settings

app = typer.Typer(
    help="The database: make, upgrade and check its tables, delete old runs.", no_args_is_help=True
)


@app.command("init")
@asks(code=False)
def init(asking: Asking) -> None:
    """Make the tables, in a new file where the database is one. Tables that are there are brought up to date."""
    _upgrade(asking, new=True)


@app.command("upgrade")
@asks(code=False)
def upgrade(asking: Asking) -> None:
    """Bring the tables up to date. Replicas of the version before go on with them; each does it at its start, too."""
    _upgrade(asking, new=False)


@app.command("check")
@asks(code=False)
def check(asking: Asking) -> None:
    """Compare the tables with what this version needs. Exits with 1 when they differ."""
    from piko_flow.store.migrations.running import check as differences

    settings = _settings(asking, new=False)
    found = asyncio.run(differences(settings.database_url))
    lines = found or [f"the tables of {settings.database_shown} are as they should be"]
    asking.answer(lambda: {"differences": found}, lambda: typer.echo("\n".join(lines)))
    if found:
        raise typer.Exit(1)


@app.command("prune")
@asks(code=False)
def prune(
    asking: Asking,
    days: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Delete runs that ended longer ago; as the settings say without it.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Of each flow keep so many at most; as the settings say without it.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Delete ended runs with all that belongs to them. What is settled stays settled. A leader does it by itself, too."""

    async def ask(plane: ControlPlane) -> int:
        options = plane.options
        older = options.runs_kept_for if days is None else timedelta(days=days)
        return await plane.prune(older_than=older, keep=options.runs_kept if keep is None else keep)

    gone = asking.ask(ask)
    asking.answer(
        lambda: {"deleted": gone},
        lambda: typer.echo(f"{counted(gone, 'run')} {are(gone)} deleted"),
    )


def _upgrade(asking: Asking, *, new: bool) -> None:
    from piko_flow.store.migrations.running import upgrade as bring_up_to_date

    settings = _settings(asking, new=new)
    version = asyncio.run(bring_up_to_date(settings.database_url))
    told = f"the tables of {settings.database_shown} are of version {version}"
    asking.answer(lambda: {"version": version}, lambda: typer.echo(told))


def _settings(asking: Asking, *, new: bool) -> Settings:
    """The settings. Refused where there is no database to look into, unless a new one is to be made."""
    from piko_flow.cli.application import need_database, settings_in_force

    settings = settings_in_force(asking.database)
    if not new:
        need_database(settings)
    return settings
