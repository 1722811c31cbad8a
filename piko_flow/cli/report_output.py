"""A report on standard output, for people."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable

import typer

from piko_flow.cli.json_output import output_given_up
from piko_flow.cli.mistakes import printable
from piko_flow.dataflow.reports.report import RunReport
from piko_flow.dataflow.reports.text import report_text
from piko_flow.dataflow.reports.words import how_it_ended

UNKNOWN_WIDTH = 100  # columns where standard output is no terminal
NARROWEST, WIDEST = 60, 120


def write_report(report: RunReport) -> None:
    """Write the report as wide as the terminal is, within reason."""
    typer.echo(printable(report_text(report, width=output_width())))


def print_or_tell(report: RunReport, write: Callable[[], None]) -> None:
    """Print what a run did by calling `write`; where that cannot be printed, one line on standard error says how it ended.

    The run is what it is by then, so this is no error of the command.
    """
    try:
        if sys.stdout is None:
            raise OSError("it is closed")
        write()
        sys.stdout.flush()
    except OSError as error:
        output_given_up()
        told = "; ".join((f"run {report.run} {how_it_ended(report)}", *report.written))
        reason = f"its report could not be written to standard output: {error.strerror or error}"
        print(f"{printable(told)}; {reason}", file=sys.stderr, flush=True)


def output_width() -> int:
    """The columns of standard output."""
    if sys.stdout is None or not sys.stdout.isatty():
        return UNKNOWN_WIDTH
    return min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)
