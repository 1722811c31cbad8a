"""`piko-flow serve`: schedule and run the flows of packages, and answer HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from piko_flow.cli.arguments import Debug
from piko_flow.cli.control_arguments import Database
from piko_flow.cli.mistakes import mistakes_told


def serve(
    packages: Annotated[
        list[str] | None,
        typer.Argument(
            help="Packages or folders whose flows are discovered; without them those of the settings."
        ),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; 127.0.0.1 unless the settings say so.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = None,
    name: Annotated[str, typer.Option(help="Name of the application.")] = "piko-flow",
    link: Annotated[
        bool | None,
        typer.Option(
            "--link/--no-link",
            help="Print a link that logs a browser in, once; without either where a person looks at it.",
            show_default=False,
        ),
    ] = None,
    database: Database = None,
    debug: Debug = False,
) -> None:
    """Schedule and run flows, and answer HTTP, until Ctrl-C or SIGTERM; then finish what runs.

    Without any setting the database is the SQLite file piko.db in the current folder.
    """
    with mistakes_told(debug=debug):
        from piko_flow.app import App
        from piko_flow.cli.application import settings_in_force
        from piko_flow.ops.server import INTERRUPTED, end_soon

        settings = settings_in_force(database)
        try:
            App(name, settings=settings, packages=packages or ()).run(host=host, port=port, link=link)
        except KeyboardInterrupt:
            end_soon(INTERRUPTED)
            raise
        end_soon(0)
