"""The kit for testing pipelines does what it says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from piko_flow import Parse, Retry, Sink, Source, Transform, run
from piko_flow.testing import (
    CollectingSink,
    Fail,
    FailingSink,
    RecordingTarget,
    Script,
    Stall,
    Turns,
    arriving,
    cancel_everywhere,
    items,
    turns,
    until,
)
from tests.runs import failure


async def test_items_come_in_units() -> None:
    sink: CollectingSink[int] = CollectingSink()
    report = await run(items(7, units=3) >> sink)
    assert (report.units, sink.items) == (3, [0, 3, 6, 1, 4, 2, 5])


async def test_arriving_items_leave_time_for_others() -> None:
    sink: CollectingSink[str] = CollectingSink()
    await run(arriving("abc", turns=3) >> sink)
    assert sink.items == ["a", "b", "c"]


async def test_a_script_plays_its_outcomes_in_turn() -> None:
    script = Script(
        {1: [OSError("first"), Turns(2), Fail(ValueError("third"))]}, function=lambda item: item * 10
    )
    with pytest.raises(OSError, match="first"):
        await script(1)
    assert await script(1) == 10
    with pytest.raises(ValueError, match="third"):
        await script(1)
    assert (await script(1), await script(2)) == (10, 20)
    assert (script.calls, script.ended, script.running) == ([1, 1, 1, 1, 2], [1, 1, 2], 0)


@dataclass
class Order:
    """Can be no key of a dict."""

    a: int


async def test_a_script_takes_what_a_typed_stage_gives_and_finds_it_by_equality() -> None:
    sink: CollectingSink[Order] = CollectingSink()
    script = Script[Order](pairs=[(Order(2), [OSError("busy")])])
    enrich = Transform(script, retry=Retry(2, first=0))
    await run(Source([{"a": 1}, {"a": 2}]) >> Parse(Order) >> enrich >> Transform(Script[Order]({})) >> sink)
    await script.reached(Order(2))
    assert sink.items == [Order(1), Order(2)]
    assert script.calls == [Order(1), Order(2), Order(2)]


def test_items_are_a_number() -> None:
    with pytest.raises(TypeError, match=r"got it takes a number of items, \[1, 2\]; a Source gives"):
        items([1, 2])  # type: ignore[arg-type]  # the mistake under test


async def test_a_stall_waits_for_the_test() -> None:
    stall = Stall(error=OSError("late"))
    script = Script({1: [stall]})
    task = asyncio.create_task(script(1))
    await stall.reached.wait()
    await script.reached(1)
    assert script.running == 1
    stall.release()
    with pytest.raises(OSError, match="late"):
        await task


async def test_a_script_as_a_plain_function_cannot_wait() -> None:
    script = Script({1: [OSError("no"), Turns(1), Fail(KeyError("k"))]})
    with pytest.raises(OSError, match="no"):
        script.plain(1)
    with pytest.raises(TypeError, match="cannot wait"):
        script.plain(1)
    with pytest.raises(KeyError):
        script.plain(1)
    assert script.plain(1) == 1


async def test_a_failing_sink_takes_some_and_then_none() -> None:
    sink: FailingSink[int] = FailingSink(after=3, error=OSError("disk full"))
    caught = await failure(items(10) >> sink, match="sink", capacity=2)
    assert caught.__cause__ is sink.error
    assert sink.taken == [0, 1, 2]


async def test_a_recording_target_tells_every_step_of_every_part() -> None:
    target: RecordingTarget[int] = RecordingTarget()
    await run(items(4, units=2) >> Sink(target, batch=1))
    steps = target.record.steps()
    assert steps == ["open", "write", "write", "prepare"] * 2 + ["commit", "sweep"]
    first = target.record.calls[0].part
    assert first is not None
    assert target.record.steps(first) == ["open", "write", "write", "prepare"]


async def test_a_collecting_sink_keeps_what_was_committed_apart_from_what_was_written() -> None:
    sink: CollectingSink[int] = CollectingSink()
    await failure(items(5) >> Transform(Script({3: [OSError("no")]})) >> sink, capacity=1)
    assert sink.items == []
    assert sink.written == [0, 1, 2][: len(sink.written)]
    assert sink.kind == "Sink"


async def test_cancel_everywhere_visits_every_turn() -> None:
    seen: list[bool] = []

    async def three_turns() -> str:
        await turns(3)
        return "done"

    assert await cancel_everywhere(three_turns, lambda task: seen.append(task.cancelled())) == 4
    assert seen == [True, True, True, True, False]


async def test_cancel_everywhere_says_when_it_finds_no_end() -> None:
    with pytest.raises(AssertionError, match="still running after 20 turns"):
        await cancel_everywhere(lambda: turns(1000), lambda task: None, at_most=20)


async def test_until_gives_up() -> None:
    with pytest.raises(AssertionError, match=r"within 0\.01 s"):
        await until(lambda: False, within=0.01)
