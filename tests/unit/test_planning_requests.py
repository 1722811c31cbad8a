"""What a person may ask of a stateful flow, and what is refused with which words."""

from dataclasses import replace

import pytest

from piko_flow.errors import RequestRefused
from piko_flow.planning.cron import Cron
from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.interval import Interval
from piko_flow.planning.ledger import Ledger, Mark
from piko_flow.planning.requests import check_retry, check_trigger, why_not_retried
from piko_flow.planning.window import Window
from tests.unit.planning_flow import HOURLY, at, seen, span, with_live

NOW = at(12.5)


def gapped() -> FlowState:
    ledger = Ledger().settle(span(0, 2), Mark.DONE).fail(span(2, 5)).settle(span(5, 12), Mark.DONE)
    return replace(seen(0, planned=12), ledger=ledger)


def test_a_named_window_is_run_as_it_is_named_even_when_it_is_done() -> None:
    assert check_trigger(gapped(), HOURLY, span(0, 1), NOW) == span(0, 1)
    assert check_trigger(gapped(), HOURLY, span(0, 3), NOW) == span(0, 3)
    assert check_trigger(FlowState("f"), HOURLY, span(-5, -4), NOW) == span(-5, -4)


@pytest.mark.parametrize(
    ("named", "told", "around"),
    [
        (span(10.25, 11.25), "begins and ends between two", [(10, 11), (11, 12), (10, 12)]),
        (span(10.25, 10.5), "begins and ends between two", [(10, 11)]),
        (span(9, 10.5), "2026-03-01T09:00:00Z..2026-03-01T10:30:00Z ends between two", [(10, 11), (9, 11)]),
        (span(9.5, 10), "begins between two", [(9, 10)]),
    ],
)
def test_a_window_that_begins_or_ends_inside_another_is_refused_with_those_around_it(
    named: Window, told: str, around: list[tuple[int, int]]
) -> None:
    with pytest.raises(RequestRefused) as refused:
        check_trigger(gapped(), HOURLY, named, NOW)
    assert refused.value.rule == "a window begins and ends at fires of the schedule"
    assert refused.value.got.endswith(told)
    monthly = Cron("0 0 1 * *")
    with pytest.raises(RequestRefused, match="2026-04-01T00:00:00Z, has not ended"):
        check_trigger(gapped(), monthly, named, NOW)
    windows = [f"2026-03-01T{start:02}:00:00Z..2026-03-01T{end:02}:00:00Z" for start, end in around]
    assert refused.value.advice == f"Name {' or '.join(windows)}"


def test_where_the_ledger_has_an_edge_a_named_window_may_have_one() -> None:
    """A failed window that an older schedule cut, and what lies before a schedule's first fire and after its last."""
    older = replace(gapped(), ledger=gapped().ledger.clear(span(5.5, 6.25)).fail(span(5.5, 6.25)))
    assert check_trigger(older, HOURLY, span(5.5, 6.25), NOW) == span(5.5, 6.25)
    assert check_trigger(replace(seen(0.5), ledger=Ledger()), HOURLY, span(0.5, 1), NOW) == span(0.5, 1)
    later = Interval(hours=1, start_date=at(11))
    assert check_trigger(gapped(), later, span(3.5, 4.5), NOW) == span(3.5, 4.5)


def test_without_a_window_it_is_the_oldest_gap_cut_by_todays_schedule() -> None:
    assert check_trigger(gapped(), HOURLY, None, NOW) == span(2, 3)
    assert check_trigger(gapped(), Interval(days=1), None, NOW) == span(2, 5)
    assert check_trigger(with_live(gapped(), span(2, 3.5)), HOURLY, None, NOW) == span(3.5, 4)


def test_where_nothing_planned_is_missing_it_is_the_next_window_that_is_due() -> None:
    state = replace(gapped(), ledger=gapped().ledger.settle(span(2, 5), Mark.DONE), planned_until=at(11))
    state = replace(state, ledger=state.ledger.clear(span(11, 12)))
    assert check_trigger(state, HOURLY, None, NOW) == span(11, 12)


def test_where_nothing_is_missing_it_is_refused() -> None:
    state = replace(gapped(), ledger=gapped().ledger.settle(span(2, 5), Mark.DONE))
    for whole in (state, FlowState("f")):
        with pytest.raises(RequestRefused, match="the oldest gap; there is none"):
            check_trigger(whole, HOURLY, None, NOW)


def test_a_window_that_has_not_ended_is_refused() -> None:
    with pytest.raises(RequestRefused, match="a window is run when it has ended"):
        check_trigger(gapped(), HOURLY, span(12, 13), NOW)


def test_a_window_that_overlaps_a_live_run_is_refused_by_the_number_of_that_run() -> None:
    state = with_live(gapped(), span(3, 4))
    with pytest.raises(RequestRefused, match="run 1 is live over"):
        check_trigger(state, HOURLY, span(2, 4), NOW)
    assert check_trigger(state, HOURLY, span(2, 3), NOW) == span(2, 3)


def test_a_retry_is_refused_once_its_window_is_settled_even_in_part() -> None:
    check_retry(gapped(), span(2, 3))
    with pytest.raises(RequestRefused, match="; its window is settled"):
        check_retry(gapped(), span(0, 1))
    with pytest.raises(RequestRefused, match="; part of its window is settled"):
        check_retry(gapped(), span(1, 3))


def test_a_retry_is_refused_while_a_live_run_overlaps_its_window() -> None:
    state = with_live(gapped(), span(2.5, 4), queued=False)
    with pytest.raises(RequestRefused, match="run 1 is live"):
        check_retry(state, span(2, 3))
    assert why_not_retried(state, span(2, 3)) == "run 1 works on its window"
    assert why_not_retried(gapped(), span(2, 3)) == ""
