"""Interpreters of units that die, cannot start, or outlive their run, and what that costs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from piko_flow import CpuMap, Pipeline, Receipt, Sink, SinkTarget, Source, Transform, run, start
from piko_flow.connectors.files import JsonLinesSink
from piko_flow.engines import unit_process
from piko_flow.engines.subprocess import SubprocessEngine
from piko_flow.engines.unit_errors import InterpretersCannotStart, UnitDied
from piko_flow.testing import until
from piko_flow.testing.observing import RecordingObserver
from tests.contract.bell import PATIENCE, Bell, hung_bell, note, notes
from tests.faults.test_worker_death import is_gone
from tests.runs import error_of, stopped

FOLDER = Path(__file__).resolve().parents[2]


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Bell]:
    with hung_bell(tmp_path / "bell") as bell:
        yield bell


def read(split: int) -> range:
    return range(split * 100, split * 100 + 100)


def once(path: Path) -> bool:
    """Whether this is the first time that anybody asks, in whatever process."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def die_once(item: int, flag: Path) -> int:
    if item == 150 and once(flag):
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


class Attempts(SinkTarget[int]):
    """Writes its parts nowhere and says at commit which attempts they came from."""

    async def write(self, items: Sequence[int], /) -> None:
        self.items += len(items)

    async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
        return [f"{receipt.part.number}: attempt {receipt.part.attempt}" for receipt in receipts]


async def test_a_unit_whose_interpreter_is_killed_is_tried_again(tmp_path: Path) -> None:
    observer = RecordingObserver()
    out = tmp_path / "out" / "x.jsonl"
    pipeline = (
        Source(read, splits=[0, 1, 2])
        >> Transform(partial(die_once, flag=tmp_path / "flag"), on="thread", name="die")
        >> Sink(JsonLinesSink(out), batch=10)
    )
    report = await run(pipeline, engine=SubprocessEngine(2), observer=observer)
    assert [json.loads(line) for line in out.read_text().splitlines()] == list(range(300))
    assert [stage.emitted for stage in report.stages] == [300, 300, 300]
    assert (report.outcome, report.units_done) == ("succeeded", 3)
    assert files(out.parent) == ["x.jsonl"]
    assert observer.running == []


async def test_a_part_knows_which_attempt_it_is(tmp_path: Path) -> None:
    pipeline = (
        Source(read, splits=[0, 1])
        >> Transform(partial(die_once, flag=tmp_path / "flag"), on="thread", name="die")
        >> Sink(Attempts())
    )
    report = await run(pipeline, engine=SubprocessEngine())
    assert report.written == ("0: attempt 1", "1: attempt 2")


class HangsInSweep(Attempts):
    """A target that cannot remove what a dead attempt has left."""

    def __init__(self, begun: Path) -> None:
        super().__init__()
        self.begun = begun

    async def sweep(self, live: object) -> None:
        self.begun.touch()
        await asyncio.Event().wait()


def dies_once_and_cannot_be_swept(folder: Path) -> Pipeline:
    return (
        Source(read, splits=[0, 1])
        >> Transform(partial(die_once, flag=folder / "flag"), on="thread", name="die")
        >> Sink(HangsInSweep(folder / "begun"), name="table")
    )


async def test_remains_of_a_dead_interpreter_that_cannot_be_removed_are_named_and_the_unit_is_tried_again(
    tmp_path: Path,
) -> None:
    pipeline = dies_once_and_cannot_be_swept(tmp_path)
    async with asyncio.timeout(PATIENCE):
        report = await run(pipeline, engine=SubprocessEngine(), teardown=0.1)
    assert report.written == ("0: attempt 1", "1: attempt 2")
    assert {line.partition(" (")[0] for line in report.leftovers} == {"remains of sink 'table'"}


async def test_a_cancel_while_remains_are_removed_ends_the_run(tmp_path: Path) -> None:
    pipeline = dies_once_and_cannot_be_swept(tmp_path)
    begun = until((tmp_path / "begun").exists)
    async with asyncio.timeout(PATIENCE):
        report = await stopped(pipeline, "cancel", begun, engine=SubprocessEngine(1), teardown=0.1)
    assert (report.outcome, report.units_done) == ("cancelled", 1)
    assert report.leftovers


async def test_a_unit_that_kills_its_interpreter_each_time_ends_the_run(
    tmp_path: Path, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        unit_process, "UNIT_END_SECONDS", PATIENCE
    )  # for the unit beside it, which takes its part back

    async def wait_or_die(item: int) -> int:
        if item == 150:
            note(tmp_path / "log", "dies")
            if len(notes(tmp_path / "log")) == 3:
                await bell.heard()  # a unit beside it is in work
            os.kill(os.getpid(), signal.SIGSEGV)
        if item == 50:
            bell.ring()
            await asyncio.Event().wait()
        return item

    observer = RecordingObserver()
    pipeline = (
        Source(read, splits=[0, 1])
        >> Transform(wait_or_die)
        >> Sink(JsonLinesSink(tmp_path / "out" / "x.jsonl"), batch=10)
    )
    caught = await error_of(pipeline, UnitDied, engine=SubprocessEngine(2), run_id="night", observer=observer)
    died = caught
    assert (died.attempts, died.code, died.split, died.run) == (3, -signal.SIGSEGV, "1", "night")
    assert "was tried 3 times" in str(died)
    assert "signal 11 (SIGSEGV)" in str(died)
    assert len(notes(tmp_path / "log")) == 3
    assert files(tmp_path / "out") == []
    assert observer.running == []


async def test_a_stage_that_ends_its_interpreter_is_told_with_the_exit_code() -> None:
    def leave(item: int) -> None:
        os._exit(7)

    caught = await error_of(
        Source([1, 2]) >> Sink(leave),
        UnitDied,
        match=r"exit code 7 after at least [012] items were read",
        engine=SubprocessEngine(),
    )
    assert (caught.code, caught.split) == (7, "")


async def test_worker_processes_go_with_their_interpreter(tmp_path: Path) -> None:
    def work(item: int) -> int:
        note(tmp_path / "pids", str(os.getpid()))
        os.kill(os.getppid(), signal.SIGKILL)
        return item

    await error_of(Source([1]) >> CpuMap(work, workers=1) >> Sink(print), UnitDied, engine=SubprocessEngine())
    workers = notes(tmp_path / "pids")
    assert len(workers) == 3
    assert all(is_gone(int(pid)) for pid in workers)


async def test_interpreters_that_cannot_start_are_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 42\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    await error_of(
        Source([1]) >> Sink(print),
        InterpretersCannotStart,
        match="end with exit code 42 before they are ready",
        engine=SubprocessEngine(),
    )
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    await error_of(
        Source([1]) >> Sink(print),
        InterpretersCannotStart,
        match="FileNotFoundError",
        engine=SubprocessEngine(),
    )


async def test_a_unit_that_does_not_give_way_is_killed_after_a_grace(
    monkeypatch: pytest.MonkeyPatch, bell: Bell, tmp_path: Path
) -> None:
    def stuck(item: int) -> int:
        note(tmp_path / "pid", str(os.getpid()))
        bell.ring()
        while True:
            pass

    monkeypatch.setattr(unit_process, "UNIT_END_SECONDS", 0.1)
    report = await stopped(Source([1]) >> Sink(stuck), "cancel", bell.heard(), engine=SubprocessEngine())
    assert report.outcome == "cancelled"
    assert is_gone(int(notes(tmp_path / "pid")[0]))


async def test_a_drain_ends_the_attempts(tmp_path: Path, bell: Bell) -> None:
    async def read(split: int) -> AsyncIterator[int]:
        note(tmp_path / "pids", str(os.getpid()))
        bell.ring()
        while True:
            yield split
            await asyncio.sleep(0)

    async with start(Source(read, splits=[1]) >> Sink(id), engine=SubprocessEngine()) as active:
        await bell.heard()
        (unit,) = map(int, notes(tmp_path / "pids"))
        os.kill(unit, signal.SIGSTOP)  # so that it dies before it hears of the drain
        active.drain()
        os.kill(unit, signal.SIGKILL)
        report = await active.wait()
    assert (report.outcome, report.units_done) == ("drained", 0)
    assert notes(tmp_path / "pids") == [str(unit)]


async def test_a_unit_does_not_hear_ctrl_c(tmp_path: Path) -> None:
    def interrupt(item: int) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        return item

    report = await run(Source([1, 2]) >> Transform(interrupt) >> Sink(id), engine=SubprocessEngine())
    assert report.stages[-1].emitted == 2


PARENT = """
import asyncio, os, sys
from piko_flow import Sink, Source
from piko_flow.connectors.files import JsonLinesSink
from piko_flow.engines import unit_program
from piko_flow.engines.subprocess import SubprocessEngine

async def read():
    yield 1
    yield 2
    if sys.argv[1] == "waiting":
        unit_program.ORPHANED = 3600  # only what never gives way is killed for it
    print(os.getpid(), flush=True)
    if sys.argv[1] == "stuck":
        while True:
            pass
    await asyncio.Event().wait()

class Slow(JsonLinesSink):
    async def abort(self):
        await super().abort()
        print("aborted", flush=True)

if __name__ == "__main__":
    pipeline = Source(read) >> Sink(Slow(sys.argv[2]))
    pipeline.run_sync(engine=SubprocessEngine())
"""


@pytest.mark.parametrize("state", ["waiting", "stuck"])
def test_interpreters_go_with_a_run_that_is_killed(state: str, tmp_path: Path) -> None:
    script, out = tmp_path / "parent.py", tmp_path / "out" / "x.jsonl"
    script.write_text(PARENT)
    with subprocess.Popen(
        [sys.executable, str(script), state, str(out)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(FOLDER)},
    ) as parent:
        assert parent.stdout is not None
        unit = int(parent.stdout.readline())
        parent.kill()
        assert is_gone(unit)
        rest = parent.stdout.read()
    if state == "waiting":
        assert rest == "aborted\n"
        # The killed run's lock is nobody's now; the next run sweeps the file.
        assert [name for name in files(out.parent) if not name.endswith("-held.part")] == []
