"""How a run is shown while it goes on: a live table in a terminal, lines in a log, or nothing."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence
from itertools import accumulate, pairwise

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from piko_flow.cli.following import View
from piko_flow.counting import counted
from piko_flow.dataflow.reports.facts import Progress, StageReport
from piko_flow.dataflow.reports.report import RunReport
from piko_flow.dataflow.reports.words import bottleneck_line, duration, number, shares, title

RATE_WINDOW = 3.0  # seconds over which the rate is taken
BAR = 20  # columns of the bar at most
MARKS = (("busy", "█", "blue"), ("waiting", "░", "bright_black"), ("blocked", "▒", "yellow"))
LEGEND = [part for name, mark, style in MARKS for part in ((mark, style), f" {name}  ")]
HEADERS = ("in", "out", "out/s")
FIRST_LINE, LAST_GAP = (
    2.0,
    30.0,
)  # seconds to the first line of a log; the gap between two doubles up to the last


def view_for(console: Console, *, quiet: bool) -> View:
    """The view that suits the console: live where it is a terminal, lines where it is not, none if it shall be quiet."""
    if quiet:
        return SilentView(console)
    return LiveView(console) if console.is_terminal and not console.is_dumb_terminal else LineView(console)


def error_console() -> Console:
    """Standard error as a console; plain where it is not a terminal."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


class SilentView:
    """Shows nothing but what happens to signals."""

    every = 0.5

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, progress: Progress) -> None:
        """Say nothing."""

    def say(self, message: str) -> None:
        """Print the message."""
        self._console.print(message, markup=False)

    def close(self) -> None:
        """Nothing is open."""


class LineView(SilentView):
    """A line of progress after 2 seconds, then after longer and longer times up to 30 seconds."""

    every = 0.5

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._due, self._gap = FIRST_LINE, FIRST_LINE

    def show(self, progress: Progress) -> None:
        """Print a line if it is time for one."""
        if progress.seconds < self._due or isinstance(progress, RunReport):
            return
        self._due = progress.seconds + self._gap
        self._gap = min(2 * self._gap, LAST_GAP)
        self.say(summary(progress))


class LiveView(SilentView):
    """A table that is drawn again ten times a second: counts, rates and where the time of each stage goes."""

    every = 0.1

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._rates = Rates()
        self._message = "Ctrl-C drains"

    def show(self, progress: Progress) -> None:
        """Draw the table."""
        self._rates.note(progress)
        self._live.start()
        self._live.update(self._drawn(progress), refresh=True)

    def say(self, message: str) -> None:
        """Show the message below the table from now on."""
        self._message = message

    def close(self) -> None:
        """Wipe the table; the report takes its place."""
        self._live.stop()

    def _drawn(self, progress: Progress) -> RenderableType:
        width = self._console.width
        bar = BAR if width >= 90 else BAR // 2
        rows = [self._cells(stage) for stage in progress.stages]
        numbers = [max(map(len, cells)) for cells in zip(HEADERS, *(row[1:] for row in rows), strict=True)]
        named = max((len(row[0]) for row in rows), default=0)
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
        table.add_column("stage", no_wrap=True, width=min(named, max(width - sum(numbers) - bar - 8, 12)))
        for header, columns in zip(HEADERS, numbers, strict=True):
            table.add_column(header, justify="right", no_wrap=True, width=columns)
        table.add_column("time", no_wrap=True, width=bar)
        leads: set[int] = set()
        for stage, row in zip(progress.stages, rows, strict=True):
            shared = Text("same loop", style="bright_black") if stage.operator in leads else None
            leads.add(stage.operator)
            table.add_row(*map(Text, row), shared or time_bar(stage, progress, bar))
        where = Text(summary(progress), no_wrap=True, overflow="ellipsis")
        return Group(where, Text(), table, Text(), Text.assemble(*LEGEND, (self._message, "bold")))

    def _cells(self, stage: StageReport) -> list[str]:
        received = "" if stage.kind == "Source" else number(stage.received)
        return [title(stage), received, number(stage.emitted), number(round(self._rates.of(stage.name)))]


class Rates:
    """Items a second of each stage over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, dict[str, int]]] = deque()

    def note(self, progress: Progress) -> None:
        """Remember the counts of this moment."""
        self._seen.append((progress.seconds, {stage.name: stage.emitted for stage in progress.stages}))
        while len(self._seen) > 2 and progress.seconds - self._seen[0][0] > RATE_WINDOW:
            self._seen.popleft()

    def of(self, stage: str) -> float:
        """The stage's rate; 0 before there is anything to compare."""
        if len(self._seen) < 2:
            return 0.0
        (began, before), (ended, after) = self._seen[0], self._seen[-1]
        return (after[stage] - before[stage]) / (ended - began) if ended > began else 0.0


def summary(progress: Progress) -> str:
    """Where the run stands, in one line."""
    read = sum(stage.emitted for stage in progress.stages if stage.kind == "Source")
    parts = [f"{duration(progress.seconds)}: {counted(read, 'item')} read"]
    if progress.units > 1:
        parts.append(f"{progress.units_done:,} of {progress.units:,} units done")
    if bad := sum(stage.dead + stage.skipped for stage in progress.stages):
        parts.append(f"{bad:,} failed")
    if slowest := bottleneck_line(progress):
        parts.append(slowest[0].lower() + slowest[1:])
    return ", ".join(parts)


def time_bar(stage: StageReport, progress: Progress, width: int = BAR) -> Text:
    """Busy, waiting and blocked as shares of the run, in different marks and colours."""
    bar = Text()
    for (_, mark, style), cells in zip(MARKS, cells_of(shares(stage, progress.seconds), width), strict=True):
        bar.append(mark * cells, style=style)
    return bar


def cells_of(parts: Sequence[float], width: int) -> list[int]:
    """How many of the cells each part gets; together never more than there are."""
    edges = [min(round(reached * width), width) for reached in accumulate(parts, initial=0.0)]
    return [end - begin for begin, end in pairwise(edges)]
