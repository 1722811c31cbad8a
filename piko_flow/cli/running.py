"""`piko-flow run`: run a pipeline and tell what it did."""

from __future__ import annotations

from contextlib import nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from piko_flow.cli.arguments import AsJson, Debug, Target
from piko_flow.cli.mistakes import mistakes_told
from piko_flow.cli.stopping import signals_taken

if TYPE_CHECKING:
    from piko_flow.dataflow.running.engine import Engine
    from piko_flow.dataflow.running.run_options import RunValues


class Where(StrEnum):
    """Where units run."""

    LOCAL = "local"
    SUBPROCESS = "subprocess"


def errors_allowed(value: str) -> int | float:
    """`N` as a number of items, `N%` as a share of them."""
    text = value.strip()
    try:
        found = float(text[:-1]) / 100 if text.endswith("%") else int(text)
    except ValueError:
        raise typer.BadParameter(f"{value!r} is neither a number of items (5) nor a share (2.5%)") from None
    if found < 0 or (isinstance(found, float) and not found <= 1):
        raise typer.BadParameter(f"{value!r} must be at least 0, and a share at most 100%")
    return found


MaxErrors = Annotated[
    int | None,
    typer.Option(
        parser=errors_allowed,
        metavar="N|N%",
        help="How many items, or which share of them, may be skipped or become dead letters; without it any number.",
        show_default=False,
    ),
]


def run(
    target: Target,
    max_errors: MaxErrors = None,
    capacity: Annotated[int, typer.Option(min=1, help="Items that a channel holds.")] = 1024,
    validate: Annotated[bool, typer.Option("--validate", help="Check values at every joint.")] = False,
    engine: Annotated[Where, typer.Option(help="Where units run.")] = Where.LOCAL,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no report.")] = False,
    debug: Debug = False,
) -> None:
    """Run a pipeline to its end and report. Ctrl-C drains, a second one cancels; nothing is committed then."""
    with mistakes_told(debug=debug), signals_taken() as signals:
        from piko_flow.cli.following import follow
        from piko_flow.cli.json_output import standard_output_kept, write_json
        from piko_flow.cli.loading import load_pipeline
        from piko_flow.cli.views import error_console, view_for

        values: RunValues = {
            "max_errors": max_errors,
            "capacity": capacity,
            "validate": validate,
            "engine": engine_for(engine),
        }
        with standard_output_kept() if as_json else nullcontext():
            pipeline = load_pipeline(target)
            ended = follow(pipeline, view_for(error_console(), quiet=quiet), values, signals)
        if as_json:
            write_json(ended.report.to_dict())
        elif not quiet:
            from piko_flow.cli.report_output import write_report

            write_report(ended.report)
    raise typer.Exit(ended.exit_code)


def engine_for(where: Where) -> Engine | None:
    """The engine; None is the one that runs units in this process."""
    if where is Where.LOCAL:
        return None
    from piko_flow.engines.subprocess import SubprocessEngine

    return SubprocessEngine()
