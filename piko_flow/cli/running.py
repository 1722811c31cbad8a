"""`piko-flow run`: run a pipeline and tell what it did."""

from __future__ import annotations

from contextlib import ExitStack
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from piko_flow.cli.arguments import AsJson, Debug, Target
from piko_flow.cli.mistakes import mistakes_told
from piko_flow.cli.stopping import signals_taken

if TYPE_CHECKING:
    from piko_flow.dataflow.reports.report import RunReport
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
        from piko_flow.cli.json_output import failure_told, standard_output_kept
        from piko_flow.cli.loading import load_pipeline
        from piko_flow.cli.views import error_console, view_for

        values: RunValues = {
            "max_errors": max_errors,
            "capacity": capacity,
            "validate": validate,
            "engine": engine_for(engine),
        }
        with ExitStack() as stack:
            if as_json:
                stack.enter_context(failure_told())
                stack.enter_context(standard_output_kept())
            pipeline = load_pipeline(target)
            ended = follow(pipeline, view_for(error_console(), quiet=quiet), values, signals)
        _tell(ended.report, as_json=as_json, quiet=quiet)
    raise typer.Exit(ended.exit_code)


def _tell(report: RunReport, *, as_json: bool, quiet: bool) -> None:
    from piko_flow.cli.json_output import write_json
    from piko_flow.cli.report_output import print_or_tell, write_report

    if quiet and not as_json:
        return
    print_or_tell(report, lambda: write_json(report.to_dict()) if as_json else write_report(report))


def engine_for(where: Where) -> Engine | None:
    """The engine; None is the one that runs units in this process."""
    if where is Where.LOCAL:
        return None
    from piko_flow.engines.subprocess import SubprocessEngine

    return SubprocessEngine()
