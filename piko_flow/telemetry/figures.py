"""What the process has counted so far: plain numbers, added up where things happen, read when somebody asks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

Labels = tuple[str, ...]
"""The values of a metric's attributes, in the order in which `names` lists them."""
Numbers = Mapping[Labels, float]
STAGES: Final = 500
"""How many stages of one flow have series of their own."""
OTHER: Final = "other"
"""The stage under which all others of a flow are counted."""

log = logging.getLogger("piko_flow.telemetry")


class Measures(Protocol):
    """A histogram, as OpenTelemetry has it."""

    def record(self, amount: float, attributes: Mapping[str, str] | None = None) -> None: ...


def none() -> Numbers:
    """Nothing is there to be told."""
    return {}


@dataclass
class Figures:
    """The counts of one process, by metric. They outlive runs, and only grow but for what is told of now.

    Each dictionary is written by one thread and may be read by others. `duration`, `lateness` and `reconcile` are
    None while nobody measures; `spool_failing` has what the sink of a spool last failed with, where it does not take what
    it gets. The functions give what is so at the moment; they are called on other threads.
    """

    runs: dict[Labels, float] = field(default_factory=dict)
    run_retries: dict[Labels, float] = field(default_factory=dict)
    stage_items: dict[Labels, float] = field(default_factory=dict)
    stage_time: dict[Labels, float] = field(default_factory=dict)
    stage_retries: dict[Labels, float] = field(default_factory=dict)
    stage_errors: dict[Labels, float] = field(default_factory=dict)
    stages: dict[str, set[str]] = field(default_factory=dict)
    channel_fill: Numbers = field(default_factory=dict)
    gaps: Numbers = field(default_factory=dict)
    backfill_windows: Numbers = field(default_factory=dict)
    spool_items: Numbers = field(default_factory=dict)
    spool_age: Numbers = field(default_factory=dict)
    spool_failing: dict[str, str] = field(default_factory=dict)
    dead_letters: Numbers = field(default_factory=dict)
    active: Callable[[], Numbers] = none
    watermark_lag: Callable[[], Numbers] = none
    leader: Callable[[], Numbers] = none
    term: Callable[[], Numbers] = none
    statements: Callable[[], Numbers] = none
    duration: Measures | None = None
    lateness: Measures | None = None
    reconcile: Measures | None = None

    def run_ended(self, flow: str, state: str, milliseconds: int | None) -> None:
        """The end of a run has been written; `milliseconds` is None for one that never began."""
        add(self.runs, (flow, state), 1)
        if self.duration is not None and milliseconds is not None:
            self.duration.record(milliseconds / 1000, {"flow": flow, "state": state})

    def run_began(self, flow: str, late: float) -> None:
        """The first attempt of a scheduled run begins, so many seconds after its time."""
        if self.lateness is not None:
            self.lateness.record(max(late, 0.0), {"flow": flow})

    def run_retried(self, flow: str) -> None:
        """An attempt failed and another follows."""
        add(self.run_retries, (flow,), 1)

    def stage_of(self, flow: str, stage: str) -> str:
        """The name under which a stage of the flow is counted: OTHER once STAGES others have one of their own."""
        known = self.stages.setdefault(flow, set())
        if stage in known:
            return stage
        if len(known) < STAGES:
            known.add(stage)
            return stage
        if OTHER not in known:
            known.add(OTHER)
            log.warning("stages of %r have more than %s names: others are counted as %r", flow, STAGES, OTHER)
        return OTHER

    def reconciled(self, seconds: float) -> None:
        """The rows were compared with what is in force."""
        if self.reconcile is not None:
            self.reconcile.record(seconds)


def add(numbers: dict[Labels, float], labels: Labels, amount: float) -> None:
    """Count so much more under the labels."""
    numbers[labels] = numbers.get(labels, 0) + amount
