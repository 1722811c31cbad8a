"""A report on standard output, for people."""

from __future__ import annotations

import shutil
import sys

import typer

from piko_flow.cli.mistakes import printable
from piko_flow.dataflow.running.report import RunReport
from piko_flow.dataflow.running.report_text import report_text

UNKNOWN_WIDTH = 100  # columns where standard output is no terminal
NARROWEST, WIDEST = 60, 120


def write_report(report: RunReport) -> None:
    """Write the report as wide as the terminal is, within reason."""
    typer.echo(printable(report_text(report, width=output_width())))


def output_width() -> int:
    """The columns of standard output."""
    if not sys.stdout.isatty():
        return UNKNOWN_WIDTH
    return min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)
