"""A store in memory that keeps what it was asked to write and can be told to fail, and runs to end in it."""

from collections.abc import Callable, Sequence

from piko_flow.control.runs.recorder import Recorder
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Batch, Ending, Written
from piko_flow.store.memory.store import MemoryStore
from piko_flow.store.records import NewRun, RunRecord
from piko_flow.testing.manual_clock import ManualClock

REPLICA = "a"


class WatchedStore(MemoryStore):
    """Keeps every batch that it was given; `failures` are raised one by one by the next writes, nothing is done then.

    `wrong` says of a batch whether its write raises, as a database does that cannot take one of its rows.
    """

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.batches: list[Batch] = []
        self.failures: list[Exception] = []
        self.wrong: Callable[[Batch], bool] = lambda batch: False

    async def write(self, batch: Batch) -> Written:
        """Write it, or fail as told."""
        self.batches.append(batch)
        if self.failures:
            raise self.failures.pop(0)
        if self.wrong(batch):
            raise ValueError("one of the rows is wrong")
        return await super().write(batch)


class Desk:
    """A recorder over such a store; what it writes it writes when `flush` is called."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = WatchedStore(self.clock)
        self.recorder = Recorder(store=self.store, replica=REPLICA, clock=self.clock)

    async def claimed(self, count: int) -> Sequence[RunRecord]:
        """So many running runs of this replica; the batches that made them are not kept."""
        at = self.clock.now()
        runs = [NewRun("flow", at, f"run {number}", claim=True) for number in range(count)]
        records = (await self.store.write(Batch(REPLICA, queue=runs))).queued
        self.store.batches.clear()
        return [record for record in records if record is not None]

    async def status(self, run: RunRecord) -> RunStatus:
        """Where the run stands by the store."""
        found = await self.store.run(run.id)
        assert found is not None
        return found.status


def success(run: RunRecord) -> Ending:
    """The run's good end."""
    return Ending(run.id, run.claim, run.flow, RunStatus.SUCCESS)
