"""A window that was settled with items missing is told to be complete when replays have made it so."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from piko_flow import Pipeline, Sink, Source, Transform
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.operations.plane_dead_letters import WhichLetters
from piko_flow.control.runs.outcome import Outcome
from piko_flow.planning.interval import Interval
from piko_flow.planning.ledger import Mark
from tests.unit.dead_letter_worlds import World
from tests.unit.executing import DAY


class Windows(World):
    """A world with a stateful flow, some of whose items fail at the stages named; `windows` are those of its runs."""

    def __init__(self) -> None:
        super().__init__()
        self.windows: list[Any] = []

    def flow(self, *failing: str, out: list[Any] | None = None) -> Any:
        def fails(item: tuple[int, str]) -> tuple[int, str]:
            if "check" in failing and item[0] % 2:
                raise ValueError("odd")
            return item

        def behind(item: tuple[int, str]) -> tuple[int, str]:
            if "behind" in failing:
                raise KeyError("behind")
            return item

        def last(item: tuple[int, str]) -> tuple[int, str]:
            if "last" in failing:
                raise KeyError("last")
            return item

        written: list[Any] = [] if out is None else out

        def build(run: RunContext[Any]) -> Pipeline:
            self.windows.append(run.window)
            items = [(number, str(run.window)) for number in range(4)]
            check = Transform(fails, name="check", on_error="dead_letter")
            return (
                Source(items)
                >> check
                >> Transform(behind, name="behind", on_error="dead_letter")
                >> Transform(last, name="last", on_error="dead_letter")
                >> Sink(written.append)
            )

        return self.register(build, stateful=True, schedule=Interval(days=1))

    async def complete(self, letter: int = 1) -> tuple[int, int, int, int]:
        """What was replayed, is open, was dropped and was only counted."""
        found = (await self.plane.dead_letter(letter)).window
        assert found is not None
        assert found.complete == (found.open + found.dropped + found.counted == 0)
        return found.replayed, found.open, found.dropped, found.counted


@pytest.fixture
def world() -> Windows:
    return Windows()


async def windowed(world: Windows, flow: Any) -> Outcome:
    return await world.run(flow, window=DAY)


async def test_a_replay_works_over_the_window_of_its_letters(world: Windows) -> None:
    out: list[Any] = []
    outcome = await windowed(world, world.flow("check"))
    assert outcome.mark is Mark.INCOMPLETE
    assert await world.complete() == (0, 2, 0, 0)
    world.flow(out=out)
    await world.replay(1, 2)
    assert out == [(1, str(DAY)), (3, str(DAY))]
    assert await world.complete() == (2, 0, 0, 0)
    [run] = {one.replay_run for one in await world.letters("replayed")}
    assert run is not None
    found = await world.store.run(run)
    assert found is not None
    assert (
        found.window is None
    )  # or it would settle the window once more, and be in the way of others over it


async def test_letters_of_replays_and_dropped_ones_leave_it_incomplete(world: Windows) -> None:
    await windowed(world, world.flow("check"))
    world.flow("behind")
    await world.replay(1)
    assert await world.complete() == await world.complete(3) == (1, 2, 0, 0)
    await world.plane.drop(WhichLetters((2,)))
    await world.replay(3)
    world.flow()
    await world.replay(3)
    assert await world.complete() == await world.complete(3) == (2, 0, 1, 0)


async def test_a_letter_of_a_replay_of_a_replay_tells_of_the_window_of_the_first_run(world: Windows) -> None:
    await windowed(world, world.flow("check"))
    world.flow("behind")
    await world.replay(1)
    world.flow("last")
    await world.replay(3)
    assert await world.complete(4) == await world.complete() == (2, 2, 0, 0)
    world.flow()
    await world.replay(4)
    assert await world.complete(4) == await world.complete() == (3, 1, 0, 0)


async def test_without_the_letter_that_a_replay_had_its_own_tell_of_no_window(world: Windows) -> None:
    await windowed(world, world.flow("check"))
    world.flow("behind")
    await world.replay(1)
    first = (await world.store.dead_letters_of([1]))[0]
    assert first.created_at is not None
    assert await world.store.prune_dead_letters(before=first.created_at + timedelta(seconds=1), limit=1) == 1
    assert (await world.plane.dead_letter(3)).window is None


async def test_a_replay_that_fails_again_and_then_does_not_makes_it_complete(world: Windows) -> None:
    await windowed(world, world.flow("check"))
    await world.replay(1, 2)
    assert await world.complete() == (0, 2, 0, 0)
    world.flow()
    await world.replay(1, 2)
    assert await world.complete() == (2, 0, 0, 0)


async def test_letters_of_two_windows_are_replayed_by_two_runs(world: Windows) -> None:
    next_day = type(DAY)(DAY.end, DAY.end + timedelta(days=1))
    flow = world.flow("check")
    await windowed(world, flow)
    await world.run(flow, window=next_day)
    world.flow()
    asked = await world.plane.replay(WhichLetters(flow="orders"))
    assert [one.letters for one in asked.replays] == [(1, 2), (3, 4)]
    assert not asked.more


async def test_a_letter_that_says_nothing_of_its_run_is_replayed_as_that_run_was(world: Windows) -> None:
    """As one that a spool made of an item, later, which knows its run alone."""
    out: list[Any] = []
    await windowed(world, world.flow("check"))
    first, _ = await world.letters()
    await world.plane.drop(WhichLetters((1, 2)))
    await world.store.keep_dead_letters(
        [replace(first, window=None, payload='{"type":"tuple","value":[7,"x"]}')]
    )
    world.flow("behind", out=out)
    await world.replay(3)
    [made] = await world.letters()
    assert (made.stage, made.window) == ("behind", DAY)
    world.flow(out=out)
    seen = world.windows
    await world.replay(made.id)
    assert out == [(7, "x")]
    assert seen == [DAY] * 5
