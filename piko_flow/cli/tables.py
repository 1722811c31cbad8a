"""Tables and facts for people, as wide as the terminal; as wide as they need where nobody looks."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from piko_flow.cli.mistakes import printable
from piko_flow.control.explained_facts import time_text
from piko_flow.planning.window import Window

NOTHING = "-"
WITHOUT_END = 1000  # columns where standard output is no terminal, so that a line stays a line
STYLES = {
    "SUCCESS": "green",
    "RUNNING": "cyan",
    "QUEUED": "yellow",
    "FAILED": "red",
    "CANCELLED": "bright_black",
    "SKIPPED": "bright_black",
    "active": "green",
    "paused": "yellow",
    "refused": "red",
    "unregistered": "red",
    "running": "cyan",
}


def show_table(
    titles: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Collection[str] = (),
    wraps: Collection[str] = (),
    drops: Sequence[str] = (),
    empty: str,
) -> None:
    """Print a table; `empty` where it has no rows.

    Where there is no room, columns in `drops` are left out, the first one first, until there is; then those in
    `wraps` are broken into lines.
    """
    cells = [[_text(value) for value in row] for row in rows]
    if not cells:
        typer.echo(empty)
        return
    titles, cells = _fitting(titles, cells, drops)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(
            title,
            justify="right" if title in right else "left",
            no_wrap=title not in wraps,
            overflow="fold",
        )
    for row in cells:
        table.add_row(*row)
    _print(table)


def _fitting(
    titles: Sequence[str], cells: list[list[Text]], drops: Sequence[str]
) -> tuple[Sequence[str], list[list[Text]]]:
    """Without the columns that may be left out, as far as the terminal is too narrow for them."""
    widths = [max(map(len, (title, *column))) for title, *column in zip(titles, *cells, strict=True)]
    left = dict(zip(titles, widths, strict=True))
    for title in drops:
        if sum(left.values()) + 2 * len(left) <= terminal_width():
            break
        del left[title]
    places = [place for place, title in enumerate(titles) if title in left]
    return list(left), [[row[place] for place in places] for row in cells]


def show_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names with values, one a line; a value that is None or empty is left out."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        if value is not None and value != "":
            table.add_row(name, _text(value))
    _print(table)


def when(instant: datetime | None, zone: str) -> str:
    """An instant in the zone, with its offset; a dash for None."""
    return NOTHING if instant is None else time_text(instant, zone)


def span_text(window: Window | None, zone: str) -> str:
    """A window in the zone; on one day with one offset the day and the offset are said once."""
    if window is None:
        return NOTHING
    start, end = (time_text(instant, zone) for instant in window)
    first, last = (instant.astimezone(ZoneInfo(zone)) for instant in window)
    if first.date() != last.date() or first.utcoffset() != last.utcoffset():
        return f"{start} .. {end}"
    return f"{start[:-6]} .. {end[11:]}"


def took(milliseconds: int | None) -> str:
    """A duration; a dash for None."""
    from piko_flow.dataflow.running.report_words import duration

    if milliseconds is None:
        return NOTHING
    return f"{milliseconds} ms" if milliseconds < 1000 else duration(milliseconds / 1000)


def terminal_width() -> int:
    """The columns of standard output."""
    return shutil.get_terminal_size().columns if _is_terminal() else WITHOUT_END


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _text(value: object) -> Text:
    if isinstance(value, Text):
        return value
    text = NOTHING if value is None else printable(str(value))
    return Text(text, style=STYLES.get(text, ""))


def _print(table: Table) -> None:
    console = Console(file=sys.stdout, highlight=False, width=terminal_width())
    if _is_terminal():
        console.print(table)
        return
    with console.capture() as printed:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))
