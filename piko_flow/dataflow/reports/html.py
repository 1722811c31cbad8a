"""A report as HTML for a notebook."""

from __future__ import annotations

from html import escape

from piko_flow.counting import counted
from piko_flow.dataflow.reports.facts import RunFacts
from piko_flow.dataflow.reports.words import (
    GROUPS_SHOWN,
    TIMES,
    bottleneck_line,
    columns_of,
    dead_groups,
    dead_line,
    headline,
    more_lines,
    number,
    one_line,
    shares,
)
from piko_flow.errors import shorten

COLOURS = {"busy": "#3b82f6", "waiting": "#94a3b8", "blocked": "#f59e0b"}
SHARED = '<span style="opacity:.6">in the loop above</span>'
CELL = "padding:3px 10px;border:0;background:none;"
LINE = "border-bottom:1px solid rgba(127,127,127,.35);"


def report_html(report: RunFacts) -> str:
    """The same facts as the text, with a bar for where the time of each stage went; readable on light and dark pages."""
    mark = "#16a34a" if report.outcome == "succeeded" else "#d97706"
    parts = [
        '<div style="font-size:13px;line-height:1.5">',
        f'<p style="margin:4px 0 8px"><span style="color:{mark}">●</span> <b>{escape(headline(report))}</b></p>',
        _table(report),
    ]
    if line := bottleneck_line(report):
        parts.append(f'<p style="margin:8px 0">{escape(line)}</p>')
    if report.written:
        parts.append(_list("Written", [escape(line) for line in report.written]))
    if report.dead:
        parts.append(_list(escape(dead_line(report)), _dead(report)))
    parts += [f'<p style="margin:8px 0">{escape(line)}</p>' for line in more_lines(report)]
    return "".join((*parts, "</div>"))


def _table(report: RunFacts) -> str:
    if not report.stages:
        return ""
    columns = [column for column in columns_of(report.stages, report.seconds) if column[0] not in TIMES]
    headers = [header for header, _ in columns]
    rows = [_row("th", [*map(escape, headers), _legend()])]
    met: set[int] = set()
    for place, stage in enumerate(report.stages):
        cells = [escape(cells[place]) for _, cells in columns]
        bar = SHARED if stage.operator in met else _bar(shares(stage, report.seconds))
        met.add(stage.operator)
        rows.append(_row("td", [*cells, bar]))
    return f'<table style="border-collapse:collapse;margin:4px 0;font-size:13px">{"".join(rows)}</table>'


def _row(tag: str, cells: list[str]) -> str:
    last = len(cells) - 1
    line = LINE if tag == "th" else ""
    drawn = (
        f'<{tag} style="{CELL}{line}text-align:{"left" if place in (0, last) else "right"}">{cell}</{tag}>'
        for place, cell in enumerate(cells)
    )
    return f"<tr>{''.join(drawn)}</tr>"


def _legend() -> str:
    return " ".join(f'<span style="color:{COLOURS[name]}">■</span> {name}' for name in TIMES)


def _bar(parts: tuple[float, float, float]) -> str:
    shares = ", ".join(f"{name} {share:.0%}" for name, share in zip(TIMES, parts, strict=True))
    drawn = "".join(
        f'<span style="display:inline-block;height:10px;width:{share * 160:.0f}px;background:{COLOURS[name]}"></span>'
        for name, share in zip(TIMES, parts, strict=True)
    )
    return (
        f'<span title="{shares}" style="display:inline-block;width:165px;white-space:nowrap">{drawn}</span>'
    )


def _dead(report: RunFacts) -> list[str]:
    groups = dead_groups(report)
    lines = [
        f"{number(group.count)}x <code>{escape(group.error_type)}</code> at <b>{escape(group.stage)}</b> "
        f"({escape(group.where)}): {escape(shorten_line(group.reason))}"
        f"<br>item <code>{escape(shorten(group.first.item))}</code>"
        for group in groups[:GROUPS_SHOWN]
    ]
    return (
        [*lines, f"and {counted(len(groups) - GROUPS_SHOWN, 'more kind')}"]
        if len(groups) > GROUPS_SHOWN
        else lines
    )


def shorten_line(text: str) -> str:
    """The text on one line of at most 200 characters."""
    line = one_line(text)
    return line if len(line) <= 200 else line[:199] + "…"


def _list(title: str, lines: list[str]) -> str:
    drawn = "".join(f"<li>{line}</li>" for line in lines)
    return f'<p style="margin:8px 0 0"><b>{title}</b></p><ul style="margin:2px 0 8px">{drawn}</ul>'
