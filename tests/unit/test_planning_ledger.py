"""Spans with marks: settling, failing, clearing, and what is left."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from piko_flow.planning.ledger import SETTLED, Ledger, Mark, Span, joined, minus
from piko_flow.planning.window import Window

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
LENGTH = 40


def hour(count: float) -> datetime:
    return MIDNIGHT + timedelta(hours=count)


def span(start: float, end: float) -> Window:
    return Window(hour(start), hour(end))


def marks(ledger: Ledger) -> list[tuple[float, float, str]]:
    return [((s.start - MIDNIGHT) / timedelta(hours=1), (s.end - MIDNIGHT) / timedelta(hours=1), s.mark.value) for s in ledger.spans]  # fmt: skip


def test_neighbours_of_one_mark_are_one_span() -> None:
    ledger = (
        Ledger().settle(span(1, 2), Mark.DONE).settle(span(3, 4), Mark.DONE).settle(span(2, 3), Mark.DONE)
    )
    assert marks(ledger) == [(1, 4, "done")]


def test_settling_a_part_with_another_mark_cuts_the_span() -> None:
    ledger = Ledger().settle(span(0, 10), Mark.SKIPPED).settle(span(3, 4), Mark.DONE)
    assert marks(ledger) == [(0, 3, "skipped"), (3, 4, "done"), (4, 10, "skipped")]


def test_a_failure_takes_back_nothing_that_was_settled() -> None:
    ledger = Ledger().settle(span(1, 2), Mark.DONE).fail(span(0, 3))
    assert marks(ledger) == [(0, 1, "failed"), (1, 2, "done"), (2, 3, "failed")]


def test_filling_settles_the_holes_and_drops_failed_marks() -> None:
    ledger = Ledger().settle(span(1, 2), Mark.DONE).fail(span(3, 4)).fill(span(0, 5), Mark.SKIPPED)
    assert marks(ledger) == [(0, 1, "skipped"), (1, 2, "done"), (2, 5, "skipped")]


def test_a_failed_span_is_not_settled_but_touched() -> None:
    ledger = Ledger().fail(span(1, 2)).settle(span(2, 3), Mark.INCOMPLETE)
    assert ledger.unsettled(span(0, 4)) == (span(0, 2), span(3, 4))
    assert ledger.untouched(span(0, 4)) == (span(0, 1), span(3, 4))
    assert ledger.settled_until(hour(1)) == hour(1)
    assert ledger.settled_until(hour(2.5)) == hour(3)


def test_the_settled_stretch_ends_at_the_first_hole() -> None:
    ledger = (
        Ledger().settle(span(0, 2), Mark.DONE).settle(span(2, 3), Mark.SKIPPED).settle(span(4, 5), Mark.DONE)
    )
    assert ledger.settled_until(hour(0)) == hour(3)
    assert ledger.settled_until(hour(-1)) == hour(-1)
    assert ledger.settled_until(hour(3)) == hour(3)


def test_cutting_out_leaves_no_empty_pieces() -> None:
    assert minus([span(0, 4)], [span(0, 1), span(2, 3), span(4, 5)]) == (span(1, 2), span(3, 4))
    assert minus([span(0, 4)], [span(0, 4)]) == ()
    assert joined([span(0, 1), span(1, 2), span(3, 4)]) == (span(0, 2), span(3, 4))


@pytest.mark.parametrize("seed", range(40))
def test_a_ledger_is_what_marks_on_single_hours_would_be(seed: int) -> None:
    draw, ledger = random.Random(seed), Ledger()
    hours: list[Mark | None] = [None] * LENGTH
    for _ in range(60):
        start = draw.randrange(LENGTH)
        end = draw.randint(start + 1, LENGTH)
        window, inside = span(start, end), range(start, end)
        mark = draw.choice([Mark.DONE, Mark.SKIPPED, Mark.INCOMPLETE])
        action = draw.randrange(5)
        if action == 0:
            ledger = ledger.settle(window, mark)
            hours[start:end] = [mark] * len(inside)
        elif action == 1:
            ledger = ledger.clear(window)
            hours[start:end] = [None] * len(inside)
        elif action == 2:
            ledger = ledger.add(ledger.untouched(window), mark)
            hours[start:end] = [hours[at] or mark for at in inside]
        else:
            mark = Mark.FAILED if action == 3 else mark
            ledger = ledger.fail(window) if action == 3 else ledger.fill(window, mark)
            hours[start:end] = [hours[at] if hours[at] in SETTLED else mark for at in inside]
        assert [_at(ledger, hour(at)) for at in range(LENGTH)] == hours
        assert all(_apart(*pair) for pair in pairwise(ledger.spans))
        settled = [at for at in inside if hours[at] not in SETTLED]
        assert sum((piece.length for piece in ledger.unsettled(window)), timedelta()) == timedelta(
            hours=len(settled)
        )


def _at(ledger: Ledger, instant: datetime) -> Mark | None:
    return next((span.mark for span in ledger.spans if span.start <= instant < span.end), None)


def _apart(one: Span, two: Span) -> bool:
    return one.end < two.start or (one.end == two.start and one.mark is not two.mark)
