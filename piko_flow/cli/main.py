"""The command `piko-flow`."""

from __future__ import annotations

from typing import Annotated

import typer

from piko_flow.cli.demo import demo
from piko_flow.cli.drawing import explain, graph
from piko_flow.cli.running import run
from piko_flow.cli.serving import serve

app = typer.Typer(
    name="piko-flow",
    help="Typed dataflow pipelines: run them, draw them, explain them.",
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
    """Typed dataflow pipelines: run them, draw them, explain them."""


app.command()(demo)
app.command()(run)
app.command()(serve)
app.command()(graph)
app.command()(explain)


def main() -> None:
    """Run the command line and exit: 0 when it worked, 1 for an error, 2 for wrong usage, 130 after Ctrl-C."""
    app(prog_name="piko-flow")


if __name__ == "__main__":
    main()
