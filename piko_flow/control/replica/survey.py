"""What a leader looks up now and then for people who watch: lag, gaps, backfills, dead letters."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from piko_flow.control.leader.reign import Reign
from piko_flow.control.replica.replica import Replica
from piko_flow.errors import StoreUnavailable
from piko_flow.planning.flow_state import FlowState
from piko_flow.store.protocols import Store
from piko_flow.telemetry.figures import Figures, Labels, Numbers

EVERY = 15.0  # seconds between two surveys
SLICE = 50  # flows whose states are read at once: others wait for this loop


@dataclass(frozen=True)
class Seen:
    """What one survey found, by flow; `letters` are the open ones, `chained` the states of flows that come after another
    and of those others."""

    watermarks: dict[str, datetime]
    gaps: dict[str, int]
    chained: dict[str, FlowState]
    letters: dict[str, int]


class Survey:
    """Reads what no run tells, while its replica leads; another's figures are empty, so that sums over replicas hold.

    `seen` is what the last step found, for others who look at the same: None while another leads, and where the store
    did not answer.
    """

    def __init__(self, *, replica: Replica, store: Store, figures: Figures) -> None:
        self._replica, self._store, self._figures = replica, store, figures
        self._watermarks: dict[str, datetime] = {}
        self.seen: Seen | None = None
        figures.watermark_lag = self._lag
        figures.active = self._active
        figures.leader = lambda: {(): float(replica.leads)}
        figures.term = self._term
        figures.statements = lambda: {(): store.statements}

    async def step(self) -> None:
        """Look once. Figures that the store does not answer stay as they were."""
        self.seen = None
        reign = self._replica.reign
        if not self._replica.leads or reign is None:
            self._forget()
            return
        try:
            seen = await self._look(reign)
        except StoreUnavailable:
            return  # which the ticks tell
        self.seen, self._watermarks = seen, seen.watermarks
        self._figures.gaps = {(flow,): count for flow, count in seen.gaps.items()}
        self._figures.dead_letters = {(flow,): count for flow, count in seen.letters.items()}
        self._figures.backfill_windows = backfill_windows(reign)

    async def _look(self, reign: Reign) -> Seen:
        names = [name for name, schedule in reign.schedules.items() if schedule.flow.stateful]
        links = chained(reign)
        watermarks, gaps, states = dict[str, datetime](), dict[str, int](), dict[str, FlowState]()
        for first in range(0, len(names), SLICE):
            for name, state in (await self._store.states(names[first : first + SLICE])).items():
                gaps[name] = len(state.gaps())
                if (watermark := state.watermark) is not None:
                    watermarks[name] = watermark
                if name in links:
                    states[name] = state
        return Seen(watermarks, gaps, states, await self._store.open_letters())

    def _forget(self) -> None:
        self._watermarks = {}
        self._figures.gaps = self._figures.backfill_windows = self._figures.dead_letters = {}

    def _lag(self) -> Numbers:
        now = self._replica.time.now()
        return {(name,): max((now - mark).total_seconds(), 0.0) for name, mark in self._watermarks.items()}

    def _active(self) -> Numbers:
        active = Counter[Labels]((run.flow,) for run in list(self._replica.worker.active.values()))
        return dict(active)

    def _term(self) -> Numbers:
        term = self._replica.leadership.term
        return {(): 0 if term is None or not self._replica.leads else term.number}


def chained(reign: Reign) -> set[str]:
    """The flows that come after another one, and those others."""
    links = [(name, schedule.flow.after) for name, schedule in reign.schedules.items()]
    return {name for link in links if link[1] is not None for name in link if name is not None}


def backfill_windows(reign: Reign) -> dict[Labels, float]:
    """The windows of open backfills by flow: those that wait, and those that were queued or found settled."""
    windows: dict[Labels, float] = {}
    for backfill in list(reign.backfills.values()):
        for state, count in (
            ("waiting", len(backfill.windows) - backfill.position),
            ("queued", backfill.position),
        ):
            labels = (backfill.flow, state)
            windows[labels] = windows.get(labels, 0) + count
    return windows
