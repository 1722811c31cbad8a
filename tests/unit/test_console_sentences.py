"""Sentences show their instants as the page shows every other; spans are as exact as they have to be."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from piko_flow.control.operations.explained_facts import Line
from piko_flow.ops.console.formats import ago, moment, window
from piko_flow.ops.console.sentences import MARKED, plain, sentence
from piko_flow.ops.console.steps import Step, step_of
from piko_flow.planning.run_state import Reason
from piko_flow.planning.window import Window

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def text(markup: str) -> str:
    return re.sub(r"<[^>]*>", "", markup)


def test_an_instant_in_a_sentence_is_an_element_and_all_else_is_text() -> None:
    made = sentence(f"<b> waits until {MARKED.at(NOON)} & on")
    assert made == f"&lt;b&gt; waits until {moment(NOON, 'dated')} &amp; on"
    assert plain(f"until {MARKED.at(NOON)}") == "until 2026-03-10 12:00:00 UTC"
    assert text(sentence(MARKED.span(Window(NOON, NOON + SECOND)))).count("UTC") == 2


@pytest.mark.parametrize("inside", ["", "<script>", "now", "2026-99-99", "2026-03-10T12:00:00", "x" * 60])
def test_what_only_looks_like_a_marked_instant_stays_text(inside: str) -> None:
    made = sentence(f"a \ue000{inside}\ue001 b")
    assert "<" not in made
    assert made.startswith("a ")
    assert made.endswith(" b")


def test_a_long_sentence_is_cut_and_counts_no_instant() -> None:
    made = sentence(f"{MARKED.at(NOON)} {'x' * 50}", 20)
    assert text(made) == f"{text(moment(NOON))} {'x' * 18}…"


@pytest.mark.parametrize(
    ("start", "long", "told"),
    [
        (NOON, timedelta(hours=1), "2026-03-10 12:00 - 13:00 UTC"),
        (NOON, 20 * SECOND, "2026-03-10 12:00:00 - 12:00:20 UTC"),
        (NOON + 30 * SECOND, timedelta(days=1), "2026-03-10 12:00:30 - 2026-03-11 12:00:30 UTC"),
        (NOON, SECOND / 4, "2026-03-10 12:00:00.000 - 12:00:00.250 UTC"),
        (NOON, timedelta(microseconds=5), "2026-03-10 12:00:00.000 - 12:00:00.000005 UTC"),
    ],
)
def test_a_span_has_seconds_where_one_of_its_ends_has_any(
    start: datetime, long: timedelta, told: str
) -> None:
    assert text(window(Window(start, start + long))).replace("\N{EN DASH}", "-") == told


def test_what_is_less_than_a_second_away_is_now() -> None:
    assert [text(ago(NOON + SECOND * away, NOON)) for away in (-0.4, 0, 0.4, -2, 90)] == [
        "now",
        "now",
        "now",
        "2 s ago",
        "in 1 min 30 s",
    ]


@pytest.mark.parametrize(
    ("line", "step"),
    [
        (Line(Reason.NO_SCHEDULE, "none"), Step("/flows/a%20b#schedule", "Give it a schedule")),
        (Line(Reason.PAUSED, "paused by me"), Step("/flows/a%20b/resume", "Resume the flow", sends=True)),
        (
            Line(Reason.PAUSED, "all are", "piko-flow schedule resume --all"),
            Step("/schedules/resume-all", "Resume all schedules", sends=True),
        ),
        (Line(Reason.PAUSED, "backfill 3 is paused"), Step("/backfills", "Look at the backfills")),
        (Line(Reason.WAITS_FOR_UPSTREAM, "it waits"), Step("/flows/up", "To up")),
        (
            Line(None, "there is a gap", "piko-flow backfill plan x --kind gap"),
            Step("/flows/a%20b/backfill?what=gap", "Close the gap"),
        ),
        (Line(Reason.ERROR, "its last run, 12: it failed"), Step("/runs/12", "To run 12")),
        (Line(Reason.LIVE_WINDOW, "it waits for run 7"), None),  # which is the page itself
        (Line(Reason.NOT_DUE, "nothing is due"), None),
    ],
)
def test_a_reason_leads_to_what_can_be_done_about_it(line: Line, step: Step | None) -> None:
    assert step_of(line, "a b", "up", page_of_run=7) == step
