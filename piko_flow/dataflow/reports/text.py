"""A report as text for a terminal or a log."""

from __future__ import annotations

from textwrap import wrap

from piko_flow.counting import counted
from piko_flow.dataflow.reports.facts import RunFacts
from piko_flow.dataflow.reports.words import (
    GROUPS_SHOWN,
    bottleneck_line,
    columns_of,
    dead_groups,
    dead_line,
    headline,
    more_lines,
    number,
    one_line,
)
from piko_flow.errors import shorten

WIDTH = 100
SHORTEST_NAME = 18


def report_text(report: RunFacts, *, width: int = WIDTH) -> str:
    """The report in lines of `width` columns, unless counts are very long: outcome, stages, bottleneck, what was written, what failed."""
    blocks = [wrap(headline(report), width), _table(report, width)]
    if line := bottleneck_line(report):
        blocks.append(wrap(line, width))
    if report.written:
        blocks.append(["Written", *(f"  {line}" for line in report.written)])
    if report.dead:
        blocks.append(_dead(report, width))
    blocks.append(more_lines(report))
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _table(report: RunFacts, widest: int) -> list[str]:
    if not report.stages:
        return []
    (header, names), *counts = columns_of(report.stages, report.seconds)
    drawn = []
    for title, cells in counts:
        width = max(map(len, (title, *cells)))
        drawn.append([cell.rjust(width) for cell in (title, *cells)])
    room = widest - sum(len(cells[0]) + 2 for cells in drawn)
    width = max(SHORTEST_NAME, min(room, max(map(len, names))))
    named = [text.ljust(width) for text in (header, *(_short(name, width) for name in names))]
    rows = ["  ".join(cells).rstrip() for cells in zip(named, *drawn, strict=True)]
    return [rows[0], "─" * max(map(len, rows)), *rows[1:]]


def _short(name: str, width: int) -> str:
    return name if len(name) <= width else f"{name[: width - 7]}…{name[-6:]}"


def _dead(report: RunFacts, width: int) -> list[str]:
    lines, groups = [dead_line(report)], dead_groups(report)
    for group in groups[:GROUPS_SHOWN]:
        error = one_line(group.reason)
        lines.append(f"  {number(group.count)}x {group.error_type} at {group.stage} ({group.where})")
        lines.append(f"      {error if len(error) <= width - 6 else error[: width - 7] + '…'}")
        lines.append(f"      item {shorten(group.first.item, width - 11)}")
    if len(groups) > GROUPS_SHOWN:
        lines.append(f"  and {counted(len(groups) - GROUPS_SHOWN, 'more kind')}")
    return lines
