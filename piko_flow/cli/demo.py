"""`piko-flow demo`: half a century of storms through one pipeline."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from shlex import quote
from shutil import which
from typing import TYPE_CHECKING, Annotated, Any

import typer

from piko_flow.cli.arguments import AsJson, Debug
from piko_flow.cli.mistakes import mistakes_told
from piko_flow.cli.stopping import signals_taken

if TYPE_CHECKING:
    from piko_flow.cli.following import Followed
    from piko_flow.dataflow.reports.report import RunReport
    from piko_flow.demo.output import Threat


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
        from piko_flow.cli.json_output import failure_told
        from piko_flow.cli.views import error_console, view_for
        from piko_flow.demo.output import DEFAULT_OUTPUT, claim_folder
        from piko_flow.demo.pipeline import storm_pipeline

        folder = output or DEFAULT_OUTPUT
        claim_folder(folder)
        pipeline = storm_pipeline(folder)
        if not as_json:
            typer.echo(f"{INTRODUCTION}\n\n{pipeline.text()}\n")
        with failure_told() if as_json else nullcontext():
            ended = follow(pipeline, view_for(error_console(), quiet=False), {}, signals)
        _tell(ended.report, _values(ended, folder) if as_json else None, _threats(ended, folder))
    raise typer.Exit(ended.exit_code)


INTRODUCTION = """\
Every position report of an Atlantic storm since 1975 is parsed, located by an
asynchronous lookup, judged by a simulation on worker processes, and written to
SQLite (cyclones) or to a gzip file (everything else)."""


def _values(ended: Followed, folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = {"report": ended.report.to_dict()}
    if ended.report.outcome == "succeeded":
        from dataclasses import asdict

        from piko_flow.demo.output import written

        values["written"] = [asdict(file) | {"path": str(file.path)} for file in written(folder)]
        values["threats"] = [asdict(threat) for threat in _threats(ended, folder)]
    return values


def _threats(ended: Followed, folder: Path) -> list[Threat]:
    from piko_flow.demo.output import greatest_threats

    return greatest_threats(folder) if ended.report.outcome == "succeeded" else []


def _tell(report: RunReport, values: dict[str, Any] | None, threats: list[Threat]) -> None:
    from piko_flow.cli.json_output import write_json
    from piko_flow.cli.report_output import print_or_tell, write_report

    def tell() -> None:
        if values is not None:
            write_json(values)
            return
        write_report(report)
        if report.outcome == "succeeded":
            _tell_threats(threats)

    print_or_tell(report, tell)


def _tell_threats(threats: list[Threat]) -> None:
    typer.echo("\nNearest to a catastrophe while at sea, by the share of simulated tracks that hit")
    typer.echo("(a toy simulation, not a forecast)")
    for threat in threats:
        place = f"{threat.distance_km:>4.0f} km from {threat.place}"
        storm = f"{threat.at:.10}  {threat.name:<10} {threat.wind:>3} kn"
        typer.echo(f"  {storm}  {place:<36.36}{threat.strike_share:>5.0%}")
    command = typed_command()
    typer.echo("\nNext: write a pipeline in a flows.py of your own and run it, or see how this ran")
    typer.echo(f"  {command} explain piko_flow.demo.pipeline:storms")


def typed_command() -> str:
    """The command as it was typed, so that it can be typed again."""
    given = Path(sys.argv[0])
    if given.name != "piko-flow":
        return "python -m piko_flow.cli.main"
    if which(given.name) == str(given):
        return given.name
    return quote(str(given.relative_to(Path.cwd()) if given.is_relative_to(Path.cwd()) else given))
