"""The rules by which a dead worker's items are tried again or given up, alone and played to the end."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from piko_flow.dataflow.workers.suspects import FALSE_STARTS, Attempt, judge
from piko_flow.dataflow.workers.transport import LOADING, PACKING, UNPACKING


def test_a_chunk_that_was_not_begun_is_tried_again_as_it_is() -> None:
    verdict = judge(Attempt((4, 5, 6), deaths=1), None, late=False)
    assert verdict.again == [Attempt((4, 5, 6), deaths=1, false_starts=1)]
    assert verdict.guilty == ()


def test_a_chunk_that_is_never_begun_is_given_up_at_last() -> None:
    assert judge(Attempt((4, 5), false_starts=FALSE_STARTS - 1), None, late=False).guilty == (4, 5)


def test_the_suspect_runs_alone_after_the_others() -> None:
    verdict = judge(Attempt((4, 5, 6)), 1, late=False)
    assert verdict.again == [Attempt((4, 6)), Attempt((5,), deaths=1)]


def test_a_suspect_that_ends_its_worker_again_is_given_up() -> None:
    assert judge(Attempt((5,), deaths=1), 0, late=False).guilty == (5,)


def test_an_item_that_is_late_is_given_up_at_once() -> None:
    verdict = judge(Attempt((4, 5, 6)), 2, late=True)
    assert (verdict.late, verdict.guilty, verdict.again) == ((6,), (), [Attempt((4, 5))])


def test_a_chunk_that_dies_while_it_is_packed_or_unpacked_is_halved() -> None:
    for place in (PACKING, UNPACKING):
        assert judge(Attempt((1, 2, 3)), place, late=False).again == [Attempt((1,)), Attempt((2, 3))]


def test_a_function_that_ends_two_workers_is_to_blame() -> None:
    once = judge(Attempt((1, 2)), LOADING, late=False)
    assert once.again == [Attempt((1, 2), deaths=1)]
    assert judge(once.again[0], LOADING, late=False).function


@given(
    count=st.integers(1, 30),
    deadly=st.sets(st.integers(0, 29)),
    deadly_to_pack=st.sets(st.integers(0, 29)),
    late=st.sets(st.integers(0, 29)),
)
def test_exactly_the_deadly_items_are_given_up(
    count: int, deadly: set[int], deadly_to_pack: set[int], late: set[int]
) -> None:
    attempts = deque([Attempt(tuple(range(count)))])
    done: list[int] = []
    guilty: list[int] = []
    overdue: list[int] = []
    deaths = 0
    while attempts:
        attempt = attempts.popleft()
        places = [place for place, item in enumerate(attempt.indices) if item in deadly | late]
        if places:
            at = places[0]
        elif deadly_to_pack.intersection(attempt.indices):
            at = PACKING
        else:
            done += attempt.indices
            continue
        deaths += 1
        is_late = bool(places) and attempt.indices[at] in late
        verdict = judge(attempt, at, late=is_late)
        guilty += verdict.guilty
        overdue += verdict.late
        attempts.extend(verdict.again)
    everything = set(range(count))
    assert sorted(overdue) == sorted(late & everything)
    assert sorted(guilty) == sorted((deadly | deadly_to_pack) & everything - late)
    assert sorted(done + guilty + overdue) == sorted(everything)
    assert deaths <= 4 * count
