"""How fast the stages of live runs are now, from what was shown of them at their last moments."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import replace

from piko_flow.ops.console.stage_rows import Stages

KEPT = 256  # runs whose last moments are remembered
MOMENTS = 6  # of each; a replica shows one in two seconds, and a stage that is held up moves in bursts


class LiveRates:
    """Remembers the last moments of each run; of a run seen once the rate is that since it began."""

    def __init__(self) -> None:
        self._moments: OrderedDict[int, deque[Stages]] = OrderedDict()

    def now(self, run: int, stages: Stages | None) -> Stages | None:
        """The stages with the rates of the last moments."""
        if stages is None:
            return None
        known = self._moments.setdefault(run, deque(maxlen=MOMENTS))
        if known and stages.seconds < known[-1].seconds:  # another attempt
            known.clear()
        if not known or stages.seconds > known[-1].seconds:
            known.append(stages)
        self._moments.move_to_end(run)
        if len(self._moments) > KEPT:
            self._moments.popitem(last=False)
        return known[-1] if len(known) == 1 else _between(known[0], known[-1])


def _between(older: Stages, newer: Stages) -> Stages:
    span = newer.seconds - older.seconds
    before: Mapping[str, int] = {row.name: row.emitted or row.received for row in older.rows}
    rows = tuple(
        replace(row, rate=max((row.emitted or row.received) - before.get(row.name, 0), 0) / span)
        for row in newer.rows
    )
    return replace(newer, rows=rows)
