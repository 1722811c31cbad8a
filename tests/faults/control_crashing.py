"""A program: a replica that dies at a step of a run, once for each flow that is named for a step.

A step of a flow in the control half is before or after a call of the store that has to do with its runs.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from piko_flow import App, BackfillPolicy, Flow, Pipeline, RunContext, Sink, Source
from piko_flow.connectors.files import JsonLinesSink
from piko_flow.dataflow.stages.sink import Receipt
from piko_flow.store.batch import Batch, Written
from piko_flow.store.protocols import Store
from piko_flow.store.records import ReplicaRecord, RunRecord
from tests.faults.control_flows import Written as WrittenRows
from tests.faults.control_flows import note

DEATHS = Path("deaths")
STEPS = (
    "before_queueing",
    "after_queueing",
    "before_claiming",
    "after_claiming",
    "at_work",
    "after_work",
    "before_ending",
    "after_ending",
)
# What is written once and together with others cannot be told apart for certain, so a job has no such step.
JOBS = {f"job_{step}": step for step in ("before_queueing", "at_work", "after_work", "before_ending")}
WINDOWS = {f"windows_{step}": step for step in STEPS}
REMEMBERED = (
    "before_deciding",
    "after_deciding",
    "before_committing",
    "amid_committing",
    "after_committing",
    "before_ending",
)
"""From here on nothing has to be read again: what the units prepared is in the store."""
FILES = {
    f"files_{step}": step for step in ("before_preparing", "after_preparing", *REMEMBERED, "after_ending")
}
FOLDER = Path("out")
SPLITS = (0, 1)


def die(flow: str, step: str) -> None:
    """End the process without a word if the flow is named for this step and nobody has died of it yet."""
    if step not in (JOBS.get(flow), WINDOWS.get(flow), FILES.get(flow)):
        return
    try:
        os.close(os.open(DEATHS / flow, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


class CrashingStore:
    """A store at whose calls the process dies."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._flows: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, batch: Batch) -> Written:
        """As the store does, before and after which steps of runs lie."""
        ended = [ending.flow for ending in batch.endings]
        claimed = [self._flows.get(run, "") for run in batch.claim]
        queued = [*(one.flow for one in batch.decisions), *(run.flow for run in batch.queue)]
        self._die("before", queued, claimed, ended)
        written = await self._store.write(batch)
        made = [run for one in written.decided if not isinstance(one, Exception) for run in one[1]]
        made += [run for run in written.queued if run is not None]
        self._know([*made, *written.claimed])
        self._die("after", [run.flow for run in made], [run.flow for run in written.claimed], ended)
        return written

    async def claim(
        self, replica: ReplicaRecord, *, limit: int, known: Callable[[str], bool]
    ) -> list[RunRecord]:
        """As the store does; the claim of a run that another replica has admitted."""
        claimed = await self._store.claim(replica, limit=limit, known=known)
        self._know(claimed)
        self._die("after", [], [run.flow for run in claimed], [])
        return claimed

    async def live(self) -> list[RunRecord]:
        """As the store does; so a leader knows of the runs that it has not queued itself."""
        found = await self._store.live()
        self._know(found)
        return found

    async def decide(self, run: int, claim: int, text: str) -> bool:
        """As the store does; from then on a run is carried out."""
        die(self._flows[run], "before_deciding")
        decided = await self._store.decide(run, claim, text)
        die(self._flows[run], "after_deciding")
        return decided

    def _know(self, runs: Iterable[RunRecord]) -> None:
        self._flows |= {run.id: run.flow for run in runs}

    def _die(self, when: str, queued: list[str], claimed: list[str], ended: list[str]) -> None:
        for doing, flows in (("queueing", queued), ("claiming", claimed), ("ending", ended)):
            for flow in flows:
                die(flow, f"{when}_{doing}")


class CrashingApp(App):
    """An application on such a store."""

    @asynccontextmanager
    async def _open_store(self) -> AsyncIterator[Store]:
        async with super()._open_store() as store:
            yield cast(Store, CrashingStore(store))


class CrashingRows(WrittenRows):
    """Dies with what it has prepared."""

    async def prepare(self) -> Receipt:
        """Prepared, and not yet told to anyone."""
        receipt = await super().prepare()
        die(self.part.flow, "after_work")
        return receipt


class CrashingFiles(JsonLinesSink):
    """Dies with what it has prepared, and with what it has published or not."""

    async def prepare(self) -> Receipt:
        """Before and after it lie steps."""
        die(self.part.flow, "before_preparing")
        receipt = await super().prepare()
        die(self.part.flow, "after_preparing")
        return receipt

    async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
        """Before and after it lie steps; one within it is `die_renaming`."""
        die(receipts[0].part.flow, "before_committing")
        written = await super().commit(receipts)
        die(receipts[0].part.flow, "after_committing")
        return written


def die_renaming(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: dies before the last of a run's files gets its name."""
    if event == "os.rename":
        name = Path(arguments[1]).name
        if name.endswith(f"-{SPLITS[-1]:05d}.jsonl"):
            die(name.partition("-")[0], "amid_committing")


async def job(run: RunContext[dict[str, Any]]) -> None:
    """Has an effect; before and after it lie steps."""
    die(run.flow, "at_work")
    note(run.flow, run.id, "ran")
    die(run.flow, "after_work")


def pipeline(run: RunContext[dict[str, Any]]) -> Pipeline:
    """Writes a row for each window, with the end of its run."""
    die(run.flow, "at_work")
    return Source([run.id]) >> Sink(CrashingRows(), batch=1)


def files(run: RunContext[dict[str, Any]]) -> Pipeline:
    """Writes for each window a file by each split, which says of the window and the split."""
    assert run.window is not None
    start = run.window.start.isoformat()

    def read(split: int) -> list[dict[str, Any]]:
        note(run.flow, run.id, f"read {split}")
        return [{"start": start, "split": split}]

    path = FOLDER / f"{run.flow}-{run.window.start:%d%H}-{{unit}}.jsonl"
    return Source(read, splits=SPLITS) >> Sink(CrashingFiles(path), batch=1)


if __name__ == "__main__":
    sys.addaudithook(die_renaming)
    for name in JOBS:
        Flow.register(name, job)
    for name in WINDOWS:
        Flow.register(name, pipeline, stateful=True, backfill=BackfillPolicy.CATCH_UP)
    for name in FILES:
        Flow.register(name, files, stateful=True, backfill=BackfillPolicy.CATCH_UP)
    CrashingApp("crashing").run(port=0)
