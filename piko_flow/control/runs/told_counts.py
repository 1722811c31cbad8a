"""How much a run moved, and how much of it was lost on the way, from the report that is kept of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from piko_flow.counting import counted


@dataclass(frozen=True, slots=True)
class ToldCounts:
    """Items of one attempt: read by its sources, that came to its sinks, skipped, made dead letters."""

    attempt: int
    read: int
    to_sinks: int
    skipped: int
    dead: int

    def __str__(self) -> str:
        return moved_text(self.read, self.to_sinks, self.skipped, self.dead)


def moved_text(read: int, to_sinks: int, skipped: int, dead: int) -> str:
    """The counts as people read them; of what was lost only what there is."""
    lost = (f", {skipped:,} skipped" if skipped else "") + (
        f", {counted(dead, 'dead letter')}" if dead else ""
    )
    return f"{counted(read, 'item')} read, {to_sinks:,} to its sinks{lost}"


def counts_in(reports: Mapping[int, str]) -> ToldCounts | None:
    """Those of the last attempt that left an account of its stages, written as this version does; None where none did."""
    for attempt in sorted(reports, reverse=True):
        found = _counts(attempt, reports[attempt])
        if found is not None:
            return found
    return None


def _counts(attempt: int, text: str) -> ToldCounts | None:
    try:
        stages = json.loads(text)["stages"]
        return ToldCounts(
            attempt,
            read=_sum(stages, "emitted", kind="Source"),
            to_sinks=_sum(stages, "received", kind="Sink"),
            skipped=_sum(stages, "skipped"),
            dead=_sum(stages, "dead"),
        )
    except (ValueError, LookupError, TypeError, RecursionError):  # RecursionError: thousands of brackets
        return None


def _sum(stages: list[dict[str, Any]], count: str, kind: str = "") -> int:
    return sum(int(stage[count]) for stage in stages if not kind or stage["kind"] == kind)
