"""One attempt of a run, from its parameters to its outcome."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from piko_flow.clock import Clock
from piko_flow.control.emitting import Writer
from piko_flow.control.flow import Flow
from piko_flow.control.outcome import Outcome
from piko_flow.dataflow.running.observer import Observer
from piko_flow.dataflow.running.worker_pool import WorkerPool
from piko_flow.dataflow.stages.resource import ResourcePool
from piko_flow.planning.run_state import Reason
from piko_flow.store.protocols import RunStore
from piko_flow.store.records import ParamsVersion, RunRecord

__all__ = ["ActiveExecution", "Ask", "Outcome", "RunOrder", "RunTools", "execute"]

T = TypeVar("T")


class Ask(Protocol):
    """How a run reaches the store, which may belong to another thread's loop."""

    async def __call__(self, question: Callable[[RunStore], Awaitable[T]], /) -> T: ...


@dataclass(frozen=True, slots=True)
class RunOrder:
    """A claimed run, its flow, and the version of the parameters that it was queued with (None: there was no row)."""

    record: RunRecord
    flow: Flow
    version: ParamsVersion | None = None


@dataclass(frozen=True, slots=True)
class RunTools:
    """What the runs of a replica share, on the loop that executes them.

    `ledger` is the URL of the store's database without password. `observer` gives the observer of a run's
    pipeline. `workers_per_run` is how many workers of `pool` one run may keep busy.
    """

    ask: Ask
    clock: Clock
    ledger: str = ""
    resources: ResourcePool | None = None
    pool: WorkerPool | None = None
    writer: Writer | None = None
    observer: Callable[[RunOrder], Observer] | None = None
    workers_per_run: int = 8


class ActiveExecution:
    """One attempt in progress."""

    def __init__(self, order: RunOrder, tools: RunTools) -> None:
        self.order, self._tools = order, tools

    async def run(self) -> Outcome:
        """Work to the end, on the loop it is called on; gives how it ended, and raises nothing that a flow can cause."""
        raise NotImplementedError

    def drain(self) -> None:
        """Let a pipeline read no more and what is inside flow out; a job just goes on."""

    def cancel(self, reason: Reason = Reason.CANCELLED) -> None:
        """Stop now: CANCELLED for a person's wish, RELEASED to go back to the queue. Too late once it is decided."""


async def execute(order: RunOrder, tools: RunTools) -> Outcome:
    """Run one attempt to its end; see ActiveExecution."""
    return await ActiveExecution(order, tools).run()
