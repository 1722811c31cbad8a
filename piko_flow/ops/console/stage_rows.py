"""The stages of a run as a page shows them, from the report that was kept or from what a replica shows of a live run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from piko_flow.dataflow.reports.facts import Progress, StageReport
from piko_flow.dataflow.reports.words import bottleneck_line, shares, title

KNOWN = frozenset(each.name for each in fields(StageReport))
COUNTS = ("filtered", "skipped", "dead", "dropped", "retried")
BLOCKED = 0.25  # the share of its time above which a stage is told to be held up by what follows


@dataclass(frozen=True, slots=True)
class StageRow:
    """A line of the table: `shared` says that its time is that of the loop above; `rate` is items out a second."""

    name: str
    title: str
    where: str
    counts: Mapping[str, int]
    received: int
    emitted: int
    busy: float
    waiting: float
    blocked: float
    shared: bool
    bottleneck: bool
    rate: float | None

    @property
    def held_up(self) -> bool:
        """Whether it stands still for much of the time because what follows takes nothing."""
        return self.blocked >= BLOCKED

    @property
    def told(self) -> str:
        """Where its time went, in words."""
        return f"busy {self.busy:.0%}, waiting for input {self.waiting:.0%}, blocked {self.blocked:.0%}"


@dataclass(frozen=True, slots=True)
class Stages:
    """All stages of a run: the columns that have something to say, the sentence on the bottleneck, what was written."""

    rows: tuple[StageRow, ...]
    columns: tuple[str, ...]
    seconds: float
    bottleneck: str
    written: tuple[str, ...]
    dead_letters: tuple[Mapping[str, Any], ...]
    more: bool

    def named(self) -> dict[str, StageRow]:
        """The rows by the names of their stages."""
        return {row.name: row for row in self.rows}


def stages_of(text: str | None) -> Stages | None:
    """What the JSON says; None without any, and for one that is not a report."""
    if not text:
        return None
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):  # RecursionError: thousands of brackets
        return None
    if not isinstance(values, dict) or not isinstance(values.get("stages"), list):
        return None
    found = [(_stage(one), one) for one in values["stages"] if isinstance(one, dict)]
    if not found:
        return None
    return _stages(values, found)


def _stages(values: Mapping[str, Any], found: Sequence[tuple[StageReport, Mapping[str, Any]]]) -> Stages:
    reports = tuple(stage for stage, _ in found)
    seconds = _number(values.get("seconds"))
    progress = Progress("", seconds, reports, ())
    rates = values.get("rates")
    met: set[int] = set()
    rows = []
    for stage, one in found:
        busy, waiting, blocked = shares(stage, seconds)
        rows.append(
            StageRow(
                stage.name,
                title(stage),
                stage.where,
                {name: getattr(stage, name) for name in COUNTS},
                stage.received,
                stage.emitted,
                busy,
                waiting,
                blocked,
                stage.operator in met,
                stage.name == progress.bottleneck,
                _rate(stage, one, rates, seconds),
            )
        )
        met.add(stage.operator)
    letters = values.get("dead_letters")
    return Stages(
        tuple(rows),
        tuple(name for name in COUNTS if any(row.counts[name] for row in rows)),
        seconds,
        bottleneck_line(progress),
        tuple(str(line) for line in values.get("written") or ()),
        tuple(one for one in letters if isinstance(one, dict)) if isinstance(letters, list) else (),
        bool(values.get("more")),
    )


def _stage(values: Mapping[str, Any]) -> StageReport:
    known: dict[str, Any] = {name: value for name, value in values.items() if name in KNOWN}
    texts: dict[str, Any] = {name: str(known.get(name, "")) for name in ("name", "kind", "where")}
    numbers = {
        name: _number(value) if name in ("busy", "waiting", "blocked") else int(_number(value))
        for name, value in known.items()
        if name not in texts
    }
    return StageReport(**{"operator": 0, **texts, **numbers})


def _rate(stage: StageReport, one: Mapping[str, Any], rates: object, seconds: float) -> float | None:
    """The rate that was told, else that of the whole run."""
    told = one.get("rate")
    if told is None and isinstance(rates, dict):
        told = rates.get(stage.name)
    if told is not None:
        return _number(told)
    return (stage.emitted or stage.received) / seconds if seconds > 0 else None


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
