"""Runs whose code goes on after it was cancelled: it is told, and it keeps no replica from ending."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from piko_flow import Flow, Registry, RunContext
from piko_flow.control.options import ReplicaOptions
from piko_flow.control.replica import replica_loops
from piko_flow.control.runs import execution, executions, runs_thread
from piko_flow.control.service import ControlService
from piko_flow.planning.run_state import RunStatus
from tests.databases.stored import stored
from tests.system.running_app import eventually

SOON = 0.05


class Stubborn:
    """A job that takes no notice of being cancelled until it is `freed`, or holds its loop."""

    def __init__(self, *, blocks: bool = False) -> None:
        self.blocks = blocks
        self.began, self.freed, self.over = threading.Event(), threading.Event(), threading.Event()

    async def __call__(self, run: RunContext) -> None:
        self.began.set()
        if self.blocks:
            self.freed.wait()
        while not self.freed.is_set():
            try:
                await asyncio.sleep(SOON)
            except asyncio.CancelledError:
                continue
        self.over.set()


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (execution, executions, runs_thread):
        monkeypatch.setattr(module, "STOPPING", SOON)
    monkeypatch.setattr(replica_loops, "LONGEST_WAIT", SOON)


@pytest.fixture(params=[False, True], ids=["swallows", "blocks"])
def job(request: pytest.FixtureRequest) -> Iterator[Stubborn]:
    job = Stubborn(blocks=request.param)
    yield job
    job.freed.set()
    for thread in threading.enumerate():
        if thread.name == "piko-flow runs":
            thread.join(60)


async def started(job: Stubborn, folder: Path, **flow: object) -> ControlService:
    registry: Registry[Flow] = Registry()

    async def target(run: RunContext) -> None:
        await job(run)

    Flow.register("stubborn", target, registry=registry, **flow)  # type: ignore[call-overload]
    url = f"sqlite+aiosqlite:///{folder}/piko.db"
    options = ReplicaOptions(slots=2, drain=timedelta(seconds=SOON))
    service = ControlService(open_store=lambda: stored(url), registry=registry, options=options)
    await service.start()
    await service.call(lambda plane: plane.trigger("stubborn"))
    assert await asyncio.to_thread(job.began.wait, 60)
    return service


async def test_a_replica_ends_without_a_run_that_does_not(
    job: Stubborn, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = await started(job, tmp_path)
    async with asyncio.timeout(60):
        await service.stop()
    assert not job.over.is_set()
    assert "1 run unfinished after a stop; another replica runs it again" in caplog.text
    assert "the thread 'piko-flow runs' has not ended" in caplog.text
    async with stored(f"sqlite+aiosqlite:///{tmp_path}/piko.db") as store:
        assert await store.replicas() == []


async def test_a_run_that_goes_on_past_its_timeout_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = Stubborn()
    service = await started(job, tmp_path, timeout=SOON)

    async def told() -> bool:
        return "run 1 of 'stubborn' was told to stop 0.1 s ago (timeout) and goes on" in caplog.text

    await eventually(told)
    job.freed.set()

    async def ended() -> bool:
        run = await service.call(lambda plane: plane.store.run(1))
        assert run is not None
        return run.status is RunStatus.FAILED

    await eventually(ended)
    await service.stop()
    assert caplog.text.count("was told to stop") < 20
