"""How fast the stages of live runs are now, from what was shown of them at two moments."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

from piko_flow.ops.console.stage_rows import Stages

KEPT = 256  # runs whose last moments are remembered


class LiveRates:
    """Remembers the last two moments of each run; of a run seen once the rate is that since it began."""

    def __init__(self) -> None:
        self._moments: OrderedDict[int, tuple[Stages | None, Stages]] = OrderedDict()

    def now(self, run: int, stages: Stages | None) -> Stages | None:
        """The stages with the rates of the last moments, and where their time went in these."""
        if stages is None:
            return None
        older, newer = self._moments.get(run, (None, stages))
        if stages.seconds > newer.seconds:
            older, newer = newer, stages
        elif stages.seconds < newer.seconds:  # another attempt
            older, newer = None, stages
        self._moments[run] = older, newer
        self._moments.move_to_end(run)
        if len(self._moments) > KEPT:
            self._moments.popitem(last=False)
        return newer if older is None else _between(older, newer)


def _between(older: Stages, newer: Stages) -> Stages:
    span = newer.seconds - older.seconds
    before: Mapping[str, int] = {row.name: row.emitted or row.received for row in older.rows}
    rows = tuple(
        replace(row, rate=max((row.emitted or row.received) - before.get(row.name, 0), 0) / span)
        for row in newer.rows
    )
    return replace(newer, rows=rows)
