"""What a commit sweeps away, and what it must leave."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from piko_flow import MemoryJournal, Part, Sink, Transform, run, start
from piko_flow.connectors.files import JsonLinesSink
from piko_flow.testing import RecordingTarget, Script, Stall, items
from tests.runs import failure


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_commit_leaves_alone_what_a_run_that_can_be_resumed_has_prepared() -> None:
    journal = MemoryJournal()
    target: RecordingTarget[int] = RecordingTarget(durable=True)
    first = items(6, units=3) >> Transform(Script({4: [OSError("x")]})) >> Sink(target, batch=10)
    await failure(first, journal=journal, run_id="r1")
    await run(items(2) >> Sink(target, batch=10), journal=journal, run_id="r2")
    await run(first, journal=journal, run_id="r1")
    assert sorted(target.record.published) == sorted([0, 1, *range(6)])
    assert await journal.live() == []


async def test_a_journal_that_does_not_answer_leaves_the_remains_and_is_told_of() -> None:
    class Deaf(MemoryJournal):
        async def live(self) -> Collection[Part]:
            raise OSError("gone")

    target: RecordingTarget[int] = RecordingTarget(durable=True)
    report = await run(items(2) >> Sink(target, batch=10), journal=Deaf())
    assert report.outcome == "succeeded"
    assert report.leftovers == ("remains of sinks, as the journal did not answer (OSError: gone)",)
    assert target.record.published == [0, 1]
    assert "sweep" not in target.record.steps()


async def test_a_commit_leaves_alone_what_the_run_beside_it_has_prepared() -> None:
    target: RecordingTarget[int] = RecordingTarget(durable=True)
    last = Stall()
    async with start(items(4, units=2) >> Transform(Script({3: [last]})) >> Sink(target, batch=10)):
        await last.reached.wait()
        await run(items(2) >> Sink(target, batch=10))
        last.release()
    assert sorted(target.record.published) == sorted([0, 1, *range(4)])
    assert target.record.holding == []


@pytest.mark.parametrize("fails", [False, True])
async def test_a_file_sink_keeps_its_prepared_parts_from_the_run_beside_it(
    fails: bool, tmp_path: Path
) -> None:
    out = tmp_path / "x.jsonl"
    last = Stall()
    other = {1: [OSError("x")]} if fails else {}
    async with start(items(4, units=2) >> Transform(Script({3: [last]})) >> Sink(JsonLinesSink(out))):
        await last.reached.wait()
        beside = items(4, units=2) >> Transform(Script(other)) >> Sink(JsonLinesSink(out))
        if fails:
            await failure(beside)
        else:
            await run(beside)
        last.release()
    assert sorted(out.read_text().split()) == ["0", "1", "2", "3"]
    assert names(tmp_path) == ["x.jsonl"]
