"""Tables and facts for people, as wide as the terminal; as wide as they need where nobody looks."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from piko_flow.cli.mistakes import printable
from piko_flow.control.flows.told_times import Times
from piko_flow.counting import counted
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
    notes: Mapping[str, str] | None = None,
    empty: str,
) -> None:
    """Print a table; `empty` where it has no rows. A title with a note has it behind itself in parentheses.

    Where there is no room, columns in `drops` are left out, the first one first, until there is; then those in
    `wraps` are broken into lines.
    """
    cells = [[_text(value) for value in row] for row in rows]
    if not cells:
        typer.echo(empty)
        return
    columns = dict(zip(titles, zip(*cells, strict=True), strict=True))
    headers = {title: _header(title, (notes or {}).get(title, ""), columns[title]) for title in titles}
    for title in _without_room(headers, columns, drops):
        del columns[title]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for title in columns:
        table.add_column(
            headers[title],
            justify="right" if title in right else "left",
            no_wrap=title not in wraps,
            overflow="fold",
        )
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    _print(table)


def _header(title: str, note: str, column: Sequence[Text]) -> str:
    """The title with its note; in a terminal on two lines where one would make the column wider."""
    if not note:
        return title
    fits = len(f"{title} ({note})") <= max(map(len, column)) or not _is_terminal()
    return f"{title} ({note})" if fits else f"{title}\n({note})"


def _without_room(
    headers: Mapping[str, str], columns: Mapping[str, Sequence[Text]], drops: Sequence[str]
) -> Iterator[str]:
    """The columns that may be left out, as far as the terminal is too narrow for them."""
    needs = {
        title: 2 + max(*map(len, column), *map(len, headers[title].split("\n")))
        for title, column in columns.items()
    }
    for title in drops:
        if sum(needs.values()) <= terminal_width():
            return
        del needs[title]
        yield title


def show_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names with values, one a line; a value that is None or empty is left out."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        if value is not None and value != "":
            table.add_row(name, _text(value))
    _print(table)


def when(instant: datetime | None, times: Times) -> str | None:
    """An instant; None for None, which a table shows as a dash and facts leave out."""
    return None if instant is None else times.at(instant)


def span_text(window: Window | None, times: Times) -> str | None:
    """A window; None for None."""
    return None if window is None else times.span(window)


def zones(times: Times, read_in: str) -> list[tuple[str, object]]:
    """The facts that say in which zone times are shown, and in which they are read, where that is another."""
    read = f"{read_in}, the flow's zone, where they are given without an offset"
    return [("times in", times.name), ("read in", read if read_in != times.name else "")]


def took(milliseconds: int | None) -> str | None:
    """A duration; None for None."""
    from piko_flow.dataflow.reports.words import duration

    if milliseconds is None:
        return None
    return f"{milliseconds} ms" if milliseconds < 1000 else duration(milliseconds / 1000)


def dead_letters(count: int) -> str:
    """So many dead letters, in words; empty for none."""
    return counted(count, "dead letter") if count else ""


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
