"""The command `piko-flow`."""

from __future__ import annotations

from typing import Annotated

import typer

from piko_flow.cli import (
    audit_commands,
    backfill_commands,
    db_commands,
    dead_letter_commands,
    flow_commands,
    leader_commands,
    params_commands,
    run_commands,
    schedule_commands,
    token_commands,
)
from piko_flow.cli.check_command import check
from piko_flow.cli.demo import demo
from piko_flow.cli.drawing import graph
from piko_flow.cli.explain_command import explain
from piko_flow.cli.run_groups import RUNS, Commands
from piko_flow.cli.running import run
from piko_flow.cli.serving import serve
from piko_flow.cli.trigger_command import trigger

app = typer.Typer(
    name="piko-flow",
    cls=Commands,
    help="Typed dataflow pipelines: run them, schedule them, draw them, explain them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"piko-flow {version('piko-flow')}")
        except PackageNotFoundError:
            typer.echo("piko-flow, not installed")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """Typed dataflow pipelines: run them, schedule them, draw them, explain them."""


app.command()(demo)
app.command(epilog="About the runs of flows: piko-flow run list, run show, run cancel, run retry.")(run)
app.command()(graph)
app.command()(explain)
app.command()(serve)
app.command()(check)
app.command()(trigger)
app.add_typer(flow_commands.app, name="flow")
app.add_typer(run_commands.app, name=RUNS, hidden=True)
app.add_typer(schedule_commands.app, name="schedule")
app.add_typer(backfill_commands.app, name="backfill")
app.add_typer(dead_letter_commands.app, name="dead-letter")
app.add_typer(params_commands.app, name="params")
app.add_typer(leader_commands.app, name="leader")
app.add_typer(token_commands.app, name="token")
app.add_typer(audit_commands.app, name="audit")
app.add_typer(db_commands.app, name="db")


def main() -> None:
    """Run the command line and exit: 0 when it worked, 1 for an error, 2 for wrong usage, 130 after Ctrl-C."""
    app(prog_name="piko-flow")


if __name__ == "__main__":
    main()
