"""The outcomes as a table for people and as JSON for programs."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from statistics import median
from typing import Any

from tests.benchmarks.figure import OURS, Outcome


def table(outcomes: Sequence[Outcome]) -> str:
    """A line for each outcome, ours with its target and aim, the others with the same score beside it.

    There is a column for each name that a contender has. The last column is the share of the machine that other
    processes had meanwhile.
    """
    names = list(dict.fromkeys(name for outcome in outcomes for name in outcome.scores if name != OURS))
    headings = ("figure", OURS, "target", "aim", *names, "others")
    rows = [headings, *(_row(outcome, names) for outcome in outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(headings))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def _row(outcome: Outcome, names: Sequence[str]) -> tuple[str, ...]:
    figure, scores = outcome.figure, outcome.scores
    sign = "<=" if figure.better == "less" else ">="
    wanted = [] if figure.target is None else [f"{sign} {figure.target:g}"]
    wanted += [f"{times:.2g} x {name}" for name, times in figure.multiples]
    target = f"{', '.join(wanted)} {'met' if outcome.met else 'MISSED'}" if wanted else ""
    aim = "" if figure.aim is None else f"{sign} {figure.aim:g} {'met' if outcome.aimed else 'missed'}"
    beside = [_score(scores[name], figure.unit) if name in scores else "-" for name in names]
    ours = _score(scores[OURS], figure.unit) if OURS in scores else "-"
    return (figure.name, ours, target, aim, *beside, f"{outcome.others:.0%}")


def _score(value: float, unit: str) -> str:
    if unit == "of limit" or unit == "of ideal":
        return f"{value:.0%} {unit}"
    if unit == "of a core":
        return f"{value:.1%} {unit}"
    if unit.endswith("/s") and value >= 100:
        return f"{value:,.0f} {unit}"
    return f"{value:.2f} {unit}"


def details(outcome: Outcome) -> str:
    """What was measured, contender by contender: the median, the spread, what was written."""
    figure = outcome.figure
    kind = {"MB": " MB", "queries": "", "queries/s": "", "a run": "", "of a core": ""}.get(figure.unit, " s")
    width = max(len(contender.name) for contender in figure.contenders)
    lines = [
        f"{figure.name}: {figure.title}",
        f"  {figure.how}; other processes had {outcome.others:.0%} of the machine",
    ]
    for contender in figure.contenders:
        values = outcome.measured[contender.name]
        spread = f"{median(values):.4g}{kind} ({min(values):.4g} to {max(values):.4g})"
        part = "" if contender.share == 1 else f", {contender.share:.0%} of the job, scaled"
        score = _score(outcome.scores[contender.name], figure.unit)
        lines.append(f"  {contender.name:<{width}} {score:<14} {spread:<32} {contender.expression}{part}")
    lines += [
        f"  {OURS} is {outcome.times_as_fast(name):.2f} x as fast as {name}, at least {wanted:.2g} x wanted"
        for name, wanted in figure.multiples
    ]
    return "\n".join(lines)


def machine() -> str:
    """Where this was measured, and how busy the machine was."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load}"


def as_values(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The outcomes as JSON-able values."""
    return [
        {
            "name": outcome.figure.name,
            "title": outcome.figure.title,
            "how": outcome.figure.how,
            "unit": outcome.figure.unit,
            "better": outcome.figure.better,
            "target": outcome.figure.target,
            "aim": outcome.figure.aim,
            "met": outcome.met,
            "aim_met": outcome.aimed,
            "times_as_fast": {name: outcome.times_as_fast(name) for name, _ in outcome.figure.multiples},
            "others": outcome.others,
            "scores": outcome.scores,
            "measured": outcome.measured,
        }
        for outcome in outcomes
    ]
