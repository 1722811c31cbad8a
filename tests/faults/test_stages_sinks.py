"""Sinks that fail at each step; decisions that are rolled forward; units that are not done again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

import pytest

from piko_flow import Broadcast, Pipeline, PipelineError, Receipt, Sink, Source, Transform, run, start
from piko_flow.dataflow.commit.accounts import UnitResult
from piko_flow.dataflow.commit.commit import MemoryJournal
from piko_flow.dataflow.running.engine import LocalEngine
from piko_flow.errors import AlreadyCommitted, CommitFailed, ResumeRefused
from piko_flow.testing import RecordingTarget, Script, Stall, Turns, cancel_everywhere, items
from tests.runs import error_of, failure

BROKEN = OSError("disk full")


@pytest.mark.parametrize("step", ["open", "write", "prepare"])
async def test_a_sink_that_fails_before_the_decision_fails_the_run(step: Any) -> None:
    target: RecordingTarget[int] = RecordingTarget(faults={step: [BROKEN]})
    caught = await failure(items(5) >> Sink(target, batch=2, name="sink"), match="disk full", run_id="r1")
    assert (caught.stage, caught.run) == ("sink", "r1")
    assert caught.__cause__ is BROKEN
    assert target.record.steps()[-1] == "abort"
    assert (target.record.published, target.record.unpublished) == ([], {})
    assert target.record.count("commit") == 0


class Numbered(RecordingTarget[int]):
    """Counts its copies, of which one cannot be made; the copy that is locked is the one that commits."""

    def __init__(self, broken: int | None = None) -> None:
        super().__init__()
        self.broken, self.copies, self.number = broken, [0], 0
        self.locked: list[int] = []
        self.committed: list[int] = []

    def __copy__(self) -> Numbered:
        if self.copies[0] == self.broken:
            raise BROKEN
        self.copies[0] += 1
        made = object.__new__(Numbered)
        made.__dict__ = self.__dict__ | {"number": self.copies[0]}
        return made

    async def lock(self, run: str) -> AbstractContextManager[object]:
        self.locked.append(self.number)
        return await super().lock(run)

    async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
        self.committed.append(self.number)
        return await super().commit(receipts)


@pytest.mark.parametrize("broken", [0, 1])
async def test_a_target_that_cannot_be_copied_fails_the_run_before_the_decision(broken: int) -> None:
    target = Numbered(broken)
    caught = await failure(items(3) >> Sink(target, name="sink"), match="cannot be copied")
    assert caught.stage == "sink"
    assert (target.committed, target.record.published, target.record.holding) == ([], [], [])


async def test_a_sink_commits_through_the_copy_that_was_locked() -> None:
    target = Numbered()
    await run(items(3, units=2) >> Sink(target))
    assert target.committed == target.locked == [1]
    assert sorted(target.record.published) == [0, 1, 2]


@pytest.mark.parametrize("step", ["open", "prepare"])
async def test_the_sinks_beside_one_that_fails_are_aborted(step: Any) -> None:
    before: RecordingTarget[int] = RecordingTarget()
    failing: RecordingTarget[int] = RecordingTarget(faults={step: [BROKEN]})
    branches = Broadcast(Sink(before, name="before"), Sink(failing, name="failing"))
    caught = await failure(items(5) >> branches)
    assert caught.stage == "failing"
    assert before.record.steps()[-1] == "abort"
    assert before.record.unpublished == {}


async def test_a_sink_that_fails_to_commit_says_that_the_run_is_decided() -> None:
    first: RecordingTarget[int] = RecordingTarget()
    second: RecordingTarget[int] = RecordingTarget(faults={"commit": [BROKEN]})
    branches = Broadcast(Sink(first, name="first"), Sink(second, name="second"))
    caught = await error_of(items(3) >> branches, CommitFailed, match="do not run it again", run_id="r1")
    assert (caught.sink, caught.run) == ("second", "r1")
    assert caught.__cause__ is BROKEN
    assert first.record.published == [0, 1, 2]
    assert (first.record.count("abort"), second.record.count("abort")) == (0, 0)


async def test_a_decided_run_is_rolled_forward_and_reads_nothing_again() -> None:
    journal = MemoryJournal()
    target: RecordingTarget[int] = RecordingTarget(faults={"commit": [BROKEN]})
    script: Script[int] = Script()
    pipeline = items(6, units=2) >> Transform(script) >> Sink(target, name="sink")
    await error_of(pipeline, CommitFailed, journal=journal, run_id="r1")
    report = await run(pipeline, journal=journal, run_id="r1")
    assert report.outcome == "succeeded"
    assert sorted(target.record.published) == list(range(6))
    assert len(script.calls) == 6
    assert (report.stage("sink").emitted, report.items) == (6, 6)
    assert await journal.live() == []


async def test_a_decided_run_needs_nothing_of_its_input_any_more() -> None:
    there = [[1, 2], [3]]
    journal = MemoryJournal()
    target: RecordingTarget[int] = RecordingTarget(faults={"commit": [BROKEN]}, durable=True)

    def read(split: list[int]) -> list[int]:
        return split

    pipeline = Source(read, splits=lambda: there) >> Sink(target, name="sink")
    await error_of(pipeline, CommitFailed, journal=journal, run_id="r1")
    there.clear()
    await error_of(pipeline, PipelineError, match="splits gave nothing")
    other = Source(read, splits=lambda: there) >> Sink(target, name="other")
    await error_of(other, ResumeRefused, journal=journal, run_id="r1")
    report = await run(pipeline, journal=journal, run_id="r1")
    assert (report.outcome, report.units, report.items) == ("succeeded", 2, 3)
    assert target.record.published == [1, 2, 3]


async def test_receipts_come_in_the_order_of_the_units_and_sinks_commit_in_the_order_declared() -> None:
    order: list[str] = []

    class Named(RecordingTarget[int]):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
            order.append(f"{self.name} {[receipt.part.number for receipt in receipts]}")
            return await super().commit(receipts)

    branches = Broadcast(Sink(Named("one")), Sink(Named("two")))
    await run(items(9, units=3) >> branches, engine=LocalEngine(parallel=3))
    assert order == ["one [0, 1, 2]", "two [0, 1, 2]"]


def failing_in_the_second_unit(target: RecordingTarget[int], script: Script[int]) -> Pipeline:
    return items(6, units=3) >> Transform(script) >> Sink(target, batch=10, name="sink")


async def test_units_that_have_prepared_lastingly_are_not_done_again() -> None:
    journal = MemoryJournal()
    target: RecordingTarget[int] = RecordingTarget(durable=True)
    script = Script({4: [BROKEN]})
    pipeline = failing_in_the_second_unit(target, script)
    await failure(pipeline, journal=journal, run_id="r1")
    assert script.calls == [0, 3, 1, 4]
    report = await run(pipeline, journal=journal, run_id="r1")
    assert script.calls == [0, 3, 1, 4, 1, 4, 2, 5]
    assert sorted(target.record.published) == list(range(6))
    assert (report.items, report.units, report.units_done) == (6, 3, 3)


async def test_units_held_in_memory_are_done_again() -> None:
    journal = MemoryJournal()
    target: RecordingTarget[int] = RecordingTarget(durable=False)
    script = Script({4: [BROKEN]})
    pipeline = failing_in_the_second_unit(target, script)
    await failure(pipeline, journal=journal, run_id="r1")
    report = await run(pipeline, journal=journal, run_id="r1")
    assert script.calls == [0, 3, 1, 4, 0, 3, 1, 4, 2, 5]
    assert sorted(target.record.published) == list(range(6))
    assert report.items == 6


async def test_all_but_its_id_is_forgotten_once_a_run_is_committed() -> None:
    journal = MemoryJournal()
    target: RecordingTarget[int] = RecordingTarget(durable=True)
    script: Script[int] = Script()
    pipeline = items(4, units=2) >> Transform(script) >> Sink(target)
    await run(pipeline, journal=journal, run_id="r1")
    assert await journal.prepared("r1") == {}
    await error_of(pipeline, AlreadyCommitted, journal=journal, run_id="r1")
    assert len(script.calls) == 4


async def test_remains_are_swept_after_the_commit_and_a_sweep_that_fails_is_told() -> None:
    target: RecordingTarget[int] = RecordingTarget()
    await run(items(3) >> Sink(target))
    assert target.record.steps()[-2:] == ["commit", "sweep"]
    broken: RecordingTarget[int] = RecordingTarget(faults={"sweep": [BROKEN]})
    report = await run(items(3) >> Sink(broken, name="sink"))
    assert report.outcome == "succeeded"
    assert broken.record.published == [0, 1, 2]
    assert any("disk full" in line for line in report.leftovers)


class HesitantJournal(MemoryJournal):
    """A journal whose every call takes a few turns, as one in a database does."""

    async def decide(self, run: str, results: Sequence[UnitResult]) -> None:
        await Turns(2).happen()
        await super().decide(run, results)
        await Turns(2).happen()

    async def decision(self, run: str) -> Sequence[UnitResult] | None:
        await Turns(1).happen()
        return await super().decision(run)

    async def record(self, run: str, fingerprint: str, result: UnitResult) -> None:
        await Turns(1).happen()
        await super().record(run, fingerprint, result)

    async def committed(self, run: str) -> None:
        await Turns(1).happen()
        await super().committed(run)


@pytest.mark.parametrize("durable", [True, False])
async def test_a_run_interrupted_anywhere_ends_whole_when_it_is_run_again(durable: bool) -> None:
    """However often it is cancelled, wherever: it commits once, each item once, and nothing is lost."""
    journal = HesitantJournal()
    target: RecordingTarget[int] = RecordingTarget(durable=durable, faults={"commit": [Turns(2)] * 999})
    pipeline = (
        items(6, units=3) >> Transform(Script[int](), concurrency=2) >> Sink(target, batch=2, name="sink")
    )

    async def once() -> None:
        with suppress(AlreadyCommitted):
            await run(pipeline, journal=journal, run_id="r1")

    await cancel_everywhere(once, lambda task: None)
    assert sorted(target.record.published) == list(range(6))
    assert await journal.live() == []
    await error_of(
        pipeline, AlreadyCommitted, match="run r1 has been committed already", journal=journal, run_id="r1"
    )


async def test_a_cancel_while_the_decision_is_stored_comes_too_late() -> None:
    storing = Stall()

    class Slow(MemoryJournal):
        async def decide(self, run: str, results: Sequence[UnitResult]) -> None:
            await super().decide(run, results)
            await storing.happen()

    target: RecordingTarget[int] = RecordingTarget()
    async with start(items(3) >> Sink(target), journal=Slow()) as active:
        await storing.reached.wait()
        active.cancel()
        storing.release()
        report = await active.wait()
    assert report.outcome == "succeeded"
    assert target.record.published == [0, 1, 2]


async def test_a_decision_that_cannot_be_stored_commits_nothing() -> None:
    class Broken(MemoryJournal):
        async def decide(self, run: str, results: Sequence[UnitResult]) -> None:
            raise BROKEN

    target: RecordingTarget[int] = RecordingTarget()
    await error_of(items(3) >> Sink(target), OSError, match="disk full", journal=Broken())
    assert target.record.published == []
