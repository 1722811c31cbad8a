"""The generated loop: it gives what the stages give, counts it, and tells which stage failed on which item."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piko_flow import Batch, Filter, FlatMap, Fold, On, Route, Sink, Transform
from piko_flow.dataflow.running.operators.loop import FusedStage, Loop, build_loop
from piko_flow.dataflow.stages.stage import Stage
from piko_flow.errors import CoroutineReturned, NoBranch


def same(item: Any) -> Any:
    return item


def is_even(item: int) -> bool:
    return item % 2 == 0


def add(total: int, item: int) -> int:
    return total + item


def twice(item: int) -> list[int]:
    return [item, item]


def loop_of(*stages: tuple[Stage, Callable[..., Any]], careful: bool = False, **held: Any) -> Loop:
    fused = [FusedStage(number, stage, call) for number, (stage, call) in enumerate(stages)]
    return build_loop(fused, held, careful=careful)


def ran(loop: Loop, chunk: list[Any], outputs: int = 1) -> tuple[list[list[Any]], dict[tuple[int, str], int]]:
    out: list[list[Any]] = [[] for _ in range(outputs)]
    counts = started(loop, chunk, out)
    counts = finished(counts) if loop.pauses else counts
    return out, dict(zip(loop.counters, counts, strict=True))


def started(loop: Loop, chunk: list[Any], out: list[list[Any]]) -> Any:
    return loop.run(iter(chunk), out, 3, math.inf)


def finished(running: Iterator[None]) -> Any:
    """What a loop that pauses returns in the end."""
    while True:
        try:
            next(running)
        except StopIteration as ended:
            return ended.value


@pytest.mark.parametrize("careful", [True, False])
def test_one_for_one_stages_need_no_counters(careful: bool) -> None:
    step = Transform(same)
    loop = loop_of((step, lambda item: item + 1), (step, lambda item: item * 2), careful=careful)
    assert ran(loop, [1, 2, 3]) == ([[4, 6, 8]], {})
    assert not loop.pauses


def test_a_filter_counts_what_it_keeps_back() -> None:
    loop = loop_of((Filter(is_even), is_even), (Filter(is_even), lambda item: item > 4))
    assert ran(loop, list(range(10))) == ([[6, 8]], {(0, "filtered"): 5, (1, "filtered"): 3})


def test_a_flat_map_counts_what_it_gives_and_pauses() -> None:
    loop = loop_of((FlatMap(twice), twice))
    assert ran(loop, [1, 2]) == ([[1, 1, 2, 2]], {(0, "emitted"): 4})
    assert loop.pauses
    out: list[list[int]] = [[]]
    running = started(loop, list(range(1000)), out)
    next(running)
    running.send(10)
    assert len(out[0]) == 10


def test_what_is_taken_out_at_a_pause_is_not_given_again() -> None:
    loop = loop_of((FlatMap(twice), twice))
    out: list[list[int]] = [[]]
    taken: list[int] = []
    for _ in started(loop, list(range(1000)), out):
        taken += out[0]
        out[0].clear()
    assert taken + out[0] == [number for number in range(1000) for _ in range(2)]


def test_a_fold_and_a_batch_hold_their_values_over_chunks() -> None:
    held: dict[str, Any] = {}
    fold = build_loop([FusedStage(0, Fold(add, start=int), add)], held, careful=False)
    ran(fold, [1, 2, 3])
    ran(fold, [4])
    assert held["value"] == 10
    held = {}
    batch: Batch[int] = Batch(3)
    loop = build_loop([FusedStage(0, batch, same)], held, careful=False)
    assert ran(loop, [1, 2, 3, 4])[0] == [[[1, 2, 3]]]
    assert ran(loop, [5, 6])[0] == [[[4, 5, 6]]]


def test_a_careful_and_a_quick_loop_share_what_they_hold() -> None:
    held: dict[str, Any] = {}
    stages = [FusedStage(0, Fold(add, start=int), add)]
    careful, quick = build_loop(stages, held, careful=True), build_loop(stages, held, careful=False)
    ran(careful, [1])
    ran(quick, [2])
    assert held["value"] == 3


def test_a_route_sends_each_item_to_the_first_branch_that_takes_it() -> None:
    sink: Sink[Any] = Sink(same, name="a")
    route: Any = Route(On(bool, sink), On(int, Sink(same, name="b")), On(str, Sink(same, name="c")))
    loop = loop_of((route, same))
    assert ran(loop, [1, True, "x", 2], outputs=3)[0] == [[True], [1, 2], ["x"]]
    with pytest.raises(NoBranch, match="float"):
        ran(loop, [1.5], outputs=3)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.integers(0, 7), st.integers(0, 30))
def test_the_stage_and_the_item_of_a_failure_are_known_without_a_second_call(
    kinds: list[int], failing: int, bad: int
) -> None:
    """Any chain of stages, any of them failing on any item: blame is right and nothing is called twice for it."""
    failing %= len(kinds)
    calls: list[Counter[int]] = [Counter() for _ in kinds]

    def step(place: int) -> Callable[[int], Any]:
        def call(item: int) -> Any:
            calls[place][item] += 1
            if place == failing and item == bad:
                raise KeyError(item)
            return [item] if kinds[place] in (3, 4) else item if kinds[place] < 2 else True

        return call

    makers: tuple[Any, ...] = (Transform, Transform, Filter, FlatMap, FlatMap)
    stages = [(makers[kind](step(place)), step(place)) for place, kind in enumerate(kinds)]
    for careful in (True, False):
        loop = loop_of(*stages, careful=careful)
        for counter in calls:
            counter.clear()
        if bad > 20:
            assert ran(loop, list(range(21)))[0] == [list(range(21))]
            continue
        with pytest.raises(KeyError) as caught:
            ran(loop, list(range(21)))
        assert loop.blame(caught.value) == (failing, bad)
        assert all(count == 1 for counter in calls for count in counter.values())
        assert [max(counter, default=-1) for counter in calls] == [
            bad if place <= failing else bad - 1 for place in range(len(kinds))
        ]


def test_an_error_from_elsewhere_is_nobody_s() -> None:
    loop = loop_of((Transform(same), same))
    assert loop.blame(KeyError()) is None
    with pytest.raises(ZeroDivisionError) as caught:
        1 // 0  # noqa: B018
    assert loop.blame(caught.value) is None


@pytest.mark.parametrize("stage", [Transform(same), FlatMap(twice)], ids=["plain", "pausing"])
def test_a_generator_that_runs_dry_inside_a_function_is_the_function_s_failure(stage: Stage) -> None:
    def dry(item: int) -> Iterator[int]:
        if item == 3:
            raise StopIteration
        yield item

    def listed(item: int) -> list[int]:
        return list(dry(item))

    loop = loop_of((Transform(same), same), (stage, listed), (Transform(same), same))
    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        ran(loop, list(range(10)))
    assert loop.blame(caught.value) == (1, 3)


def test_a_stop_iteration_in_a_loop_that_pauses_is_of_the_stage_that_raised_it() -> None:
    loop = loop_of((Transform(same), same), (FlatMap(twice), lambda item: next(iter([]))))
    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        ran(loop, [7])
    assert loop.blame(caught.value) == (1, 7)


def test_a_careful_loop_refuses_a_coroutine_and_closes_it() -> None:
    async def forgotten(item: int) -> int:
        return item

    loop = loop_of((Transform(same), forgotten), careful=True)
    with pytest.raises(CoroutineReturned) as caught:
        ran(loop, [7])
    assert loop.blame(caught.value) == (0, 7)


def test_a_future_is_refused_and_given_up() -> None:
    events = asyncio.new_event_loop()
    promised = events.create_future()
    loop = loop_of((Transform(same), lambda item: promised))
    with pytest.raises(CoroutineReturned, match="Future"):
        ran(loop, [7])
    assert promised.cancelled()
    events.close()


def test_failures_that_a_policy_takes_do_not_end_the_loop() -> None:
    failed: list[tuple[Any, str]] = []

    def refuse_odd(item: int) -> int:
        if item % 2:
            raise ValueError(item)
        return item

    def on_failure(item: Any, error: BaseException) -> None:
        failed.append((item, type(error).__name__))

    stages = [FusedStage(0, Transform(same), refuse_odd, on_failure), FusedStage(1, Filter(is_even), is_even)]
    loop = build_loop(stages, {}, careful=False)
    assert ran(loop, [1, 2, 3, 4]) == ([[2, 4]], {(1, "filtered"): 0})
    assert failed == [(1, "ValueError"), (3, "ValueError")]
