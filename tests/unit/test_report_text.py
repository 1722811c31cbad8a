"""A report is told so that a person sees what happened, where time went, and what was lost."""

from textwrap import dedent

import pytest

from piko_flow.dataflow.reports.facts import DeadLetter, EdgeReport, StageReport
from piko_flow.dataflow.reports.html import report_html
from piko_flow.dataflow.reports.report import RunReport
from piko_flow.dataflow.reports.text import report_text
from piko_flow.dataflow.reports.words import duration
from piko_flow.errors import ErrorBudgetExceeded

STAGES = (
    StageReport("reports", "Source", "storms.py:3", 0, emitted=19_537, busy=0.4, blocked=7.6),
    StageReport(
        "parse", "Parse", "storms.py:4", 0, received=19_537, emitted=19_525, dead=12, busy=0.4, blocked=7.6
    ),
    StageReport("assess", "CpuMap", "storms.py:5", 1, received=19_525, emitted=19_525, busy=7.9, waiting=0.1),
    StageReport("route", "Route", "storms.py:6", 2, received=19_525, emitted=19_525, waiting=8.0),
    StageReport(
        "storms.sqlite", "Sink", "storms.py:7", 3, received=19_525, emitted=19_525, busy=1.0, waiting=7.0
    ),
)


def letters(count: int, stage: str = "parse", error: str = "ValidationError") -> tuple[DeadLetter, ...]:
    return tuple(
        DeadLetter(stage, "storms.py:4", {"wind": f"row {n}"}, f"{error}: bad\n\x1b wind {n}", error)
        for n in range(count)
    )


def report(**values: object) -> RunReport:
    given = {"run": "r1", "seconds": 8.0, "stages": STAGES, "edges": ()} | values
    return RunReport(**given)  # type: ignore[arg-type]  # each test gives fields of the right type


def test_a_report_tells_outcome_counts_time_bottleneck_and_what_was_written() -> None:
    told = report_text(report(written=("out/storms.sqlite: 19,525 rows",), dead_letters=letters(12)))
    assert told == dedent(
        """\
        Run r1 succeeded: 19,537 items in 8.0 s (2,442/s)

        stage               received  emitted  dead  busy  waiting  blocked
        ───────────────────────────────────────────────────────────────────
        Source reports                 19,537     0    5%        -      95%
        Parse                 19,537   19,525    12     ″        ″        ″
        CpuMap assess         19,525   19,525     0   99%       1%        -
        Route                 19,525   19,525     0     -     100%        -
        Sink storms.sqlite    19,525   19,525     0   12%      88%        -

        Bottleneck: CpuMap assess, busy 99% of the time

        Written
          out/storms.sqlite: 19,525 rows

        Dead letters: 12
          12x ValidationError at parse (storms.py:4)
              bad wind 0
              item {'wind': 'row 0'}"""
    )


@pytest.mark.parametrize("told", [report_text, report_html])
def test_a_stopped_run_says_that_nothing_was_committed(told: object) -> None:
    assert callable(told)
    assert "was drained, nothing was committed" in told(report(outcome="drained"))
    assert "was cancelled, nothing was committed" in told(report(outcome="cancelled"))


def test_a_stopped_run_says_how_many_units_were_done() -> None:
    assert "/s), 3 of 5 units\n" in report_text(report(outcome="drained", units=5, units_done=3))
    assert "/s), 5 units\n" in report_text(report(units=5, units_done=5))


def test_a_run_without_an_item_that_came_through_has_a_warning() -> None:
    def told(dead: int, skipped: int, written: int) -> str:
        read = dead + skipped + written
        source = StageReport("reports", "Source", "a.py:1", 0, emitted=read)
        sink = StageReport(
            "out", "Sink", "a.py:2", 0, received=read, emitted=written, dead=dead, skipped=skipped
        )
        return report_text(report(stages=(source, sink), edges=(EdgeReport("reports", "out", read, read),)))

    assert "Warning: every item was skipped or is a dead letter" in told(2, 3, 0)
    assert "Warning" not in told(2, 3, 1)
    assert "Warning" not in told(0, 0, 0)


def test_a_stage_that_was_hardly_busy_is_no_bottleneck() -> None:
    idle = (StageReport("one", "Transform", "a.py:1", 0, 5, 5, busy=0.03, waiting=7.0),)
    assert "Bottleneck" not in report_text(report(stages=idle))


@pytest.mark.parametrize(
    ("of", "told"),
    [
        (None, "1 item was skipped or became a dead letter;"),
        (9, "1 of 9 items were skipped or became dead letters;"),
    ],
)
def test_one_item_too_many_is_one_item(of: int | None, told: str) -> None:
    assert str(ErrorBudgetExceeded(bad=1, of=of, allowed=0, run="r1")).startswith(told)


def test_counts_that_are_zero_everywhere_have_no_column() -> None:
    header = report_text(report()).splitlines()[2]
    assert header.split() == ["stage", "received", "emitted", "dead", "busy", "waiting", "blocked"]


def test_stages_of_one_loop_share_the_blame() -> None:
    slow = tuple(StageReport(name, "Transform", "a.py:1", 0, 5, 5, busy=3.0) for name in ("one", "two"))
    assert "Bottleneck: one + two (one loop), busy 75% of the time" in report_text(
        report(stages=slow, seconds=4.0)
    )


def test_times_of_units_side_by_side_are_shares_of_them_all() -> None:
    busy = (StageReport("one", "Transform", "a.py:1", 0, 5, 5, busy=6.0, waiting=2.0),)
    assert "75%      25%" in report_text(report(stages=busy, seconds=2.0))


def test_dead_letters_are_grouped_and_the_largest_group_comes_first() -> None:
    kept = letters(2, "enrich", "KeyError") + letters(30)
    lines = report_text(report(dead_letters=kept, stages=(StageReport("parse", "Parse", "", 0, dead=2_000),)))
    told = [line for line in lines.splitlines() if "x Va" in line or "x Key" in line or "Dead" in line]
    assert told == [
        "Dead letters: 2,000 (the first 32 are kept)",
        "  30x ValidationError at parse (storms.py:4)",
        "  2x KeyError at enrich (storms.py:4)",
    ]


def test_threads_left_behind_and_waiting_input_are_named() -> None:
    told = report_text(report(leftovers=("thread of fetch (a.py:3)",), more=True))
    assert "Left behind: thread of fetch (a.py:3)" in told
    assert "More input is waiting" in told


def test_the_table_and_the_dead_letters_fit_in_100_columns() -> None:
    long = "a_name_that_goes_on_and_on_for_more_than_anybody_would_want"
    many = StageReport(long, "Transform", "a.py:1", 0, 123_456_789, 123_456_780, dead=9, busy=1.0)
    letter = DeadLetter(long[:30], "a.py:1", "x" * 500, "ValueError: " + "y" * 500, "ValueError")
    told = report_text(report(stages=(many,), dead_letters=(letter,)))
    assert max(len(line) for line in told.splitlines() if "Bottleneck" not in line) <= 100
    assert long[-6:] in told


def test_the_page_escapes_what_items_and_names_hold() -> None:
    letter = DeadLetter("<b>", "a.py:1", "<script>alert()</script>", "ValueError: <img>", "ValueError")
    stage = StageReport("<i>", "Sink", "a.py:1", 0, 3, 2, dead=1)
    drawn = report_html(report(stages=(stage,), dead_letters=(letter,), written=("<out>",)))
    for markup in ("<script", "<img", "<out", "<i>"):
        assert markup not in drawn
    assert "&lt;script&gt;" in drawn


def test_an_empty_run_has_a_report() -> None:
    assert report_text(report(stages=(), seconds=0.0)) == "Run r1 succeeded: 0 items in 0.0 ms"
    assert "succeeded" in report_html(report(stages=(), seconds=0.0))


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.0042, "4.2 ms"), (0.5, "0.50 s"), (8.23, "8.2 s"), (59.97, "1 min 00 s"), (7_300.0, "2 h 01 min")],
)
def test_times_are_told_as_people_read_them(seconds: float, told: str) -> None:
    assert duration(seconds) == told
