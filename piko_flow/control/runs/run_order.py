"""What one attempt of a run is made from: the order, and the tools that the runs of a replica share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from piko_flow.clock import Clock
from piko_flow.control.dead_letters.letter_files import LetterFiles
from piko_flow.control.flows.flow import Flow
from piko_flow.control.runs.emitting import Writer
from piko_flow.control.runs.failure_record import ToldAttempt
from piko_flow.control.runs.journal import Ask
from piko_flow.control.runs.outcome import Outcome
from piko_flow.dataflow.reports.observer import Observer
from piko_flow.dataflow.reports.report import RunReport
from piko_flow.dataflow.running.run import ActiveRun
from piko_flow.dataflow.stages.resource import RunInfo
from piko_flow.dataflow.stages.resource_host import ResourcePool
from piko_flow.dataflow.workers.pool import WorkerPool
from piko_flow.store.records import ParamsVersion, RunRecord


@dataclass(frozen=True, slots=True)
class RunOrder:
    """A claimed run, its flow, and the version of the parameters that it was queued with (None: there was no row)."""

    record: RunRecord
    flow: Flow
    version: ParamsVersion | None = None

    def info(self) -> RunInfo:
        """What resources and sinks may know of the run."""
        record = self.record
        return RunInfo(
            run=str(record.id),
            flow=record.flow,
            attempt=record.attempt,
            window_start=None if record.window is None else record.window.start,
            window_end=None if record.window is None else record.window.end,
            claim=max(record.claim, 1),
        )


class Details(Protocol):
    """What keeps the lines, the reports and the spans of runs."""

    def told(self, order: RunOrder, /) -> ToldAttempt:
        """What is to be known of an attempt that begins."""
        ...

    async def follow(
        self, order: RunOrder, told: ToldAttempt, work: Callable[[], Awaitable[Outcome]], /
    ) -> Outcome:
        """The outcome of an attempt's work, done in the name of its run."""
        ...

    def observer(self) -> Observer:
        """The observer of a pipeline of the current run."""
        ...

    def watching(
        self, order: RunOrder, active: ActiveRun, /
    ) -> AbstractContextManager[Callable[[RunReport], None]]:
        """Inside the block a pipeline is looked at; the function takes its report."""
        ...


@dataclass(frozen=True, slots=True)
class RunTools:
    """What the runs of a replica share, on the loop that executes them.

    `ledger` is the URL of the store's database without password. `observer` gives the observer of a run's
    pipeline. `workers_per_run` is how many workers of `pool` one run may keep busy. `redact` names fields of items
    whose values are kept nowhere when an item fails, besides those of the flow. `files` take large ones. `details` keeps what runs leave for people.
    """

    ask: Ask
    clock: Clock
    ledger: str = ""
    resources: ResourcePool | None = None
    pool: WorkerPool | None = None
    writer: Writer | None = None
    observer: Callable[[RunOrder], Observer] | None = None
    workers_per_run: int = 8
    redact: tuple[str, ...] = ()
    files: LetterFiles | None = None
    details: Details | None = None
