"""`piko-flow demo`: half a century of storms through one pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from piko_flow.cli.arguments import AsJson, Debug
from piko_flow.cli.mistakes import mistakes_told
from piko_flow.cli.stopping import signals_taken

if TYPE_CHECKING:
    from piko_flow.cli.following import Followed


def demo(
    output: Annotated[
        Path | None,
        typer.Option(help="The folder to write to; ./piko-flow-demo unless given.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run a pipeline on real data: the Atlantic's storms since 1975, what was near them and what they might have struck."""
    with mistakes_told(debug=debug), signals_taken() as signals:
        from piko_flow.cli.following import follow
        from piko_flow.cli.views import error_console, view_for
        from piko_flow.demo.output import DEFAULT_OUTPUT, claim_folder
        from piko_flow.demo.pipeline import storm_pipeline

        folder = output or DEFAULT_OUTPUT
        claim_folder(folder)
        pipeline = storm_pipeline(folder)
        if not as_json:
            typer.echo(f"{INTRODUCTION}\n\n{pipeline.text()}\n")
        ended = follow(pipeline, view_for(error_console(), quiet=False), {}, signals)
        if as_json:
            from piko_flow.cli.json_output import write_json

            write_json(_values(ended, folder))
        else:
            _tell(ended, folder)
    raise typer.Exit(ended.exit_code)


INTRODUCTION = """\
Every position report of an Atlantic storm since 1975 is parsed, located by an
asynchronous lookup, judged by a simulation on worker processes, and written to
SQLite (cyclones) or to a gzip file (everything else)."""


def _values(ended: Followed, folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = {"report": ended.report.to_dict()}
    if ended.report.outcome == "succeeded":
        from dataclasses import asdict

        from piko_flow.demo.output import greatest_threats, written

        values["written"] = [asdict(file) | {"path": str(file.path)} for file in written(folder)]
        values["threats"] = [asdict(threat) for threat in greatest_threats(folder)]
    return values


def _tell(ended: Followed, folder: Path) -> None:
    from piko_flow.cli.report_output import write_report

    write_report(ended.report)
    if ended.report.outcome != "succeeded":
        return
    from piko_flow.demo.output import greatest_threats

    typer.echo("\nNearest to a catastrophe while at sea, by the share of simulated tracks that hit")
    typer.echo("(a toy simulation, not a forecast)")
    for threat in greatest_threats(folder):
        place = f"{threat.distance_km:>4.0f} km from {threat.place}"
        storm = f"{threat.at:.10}  {threat.name:<10} {threat.wind:>3} kn"
        typer.echo(f"  {storm}  {place:<36.36}{threat.strike_share:>5.0%}")
    typer.echo("\nNext: see how it ran; then write a pipeline in flows.py and run it")
    typer.echo("  piko-flow explain piko_flow.demo.pipeline:storms")
    typer.echo("  piko-flow run flows.py")
