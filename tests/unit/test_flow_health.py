"""How a flow stands is decided in one place: what is worst has the word, and nothing that needs a person is hidden by it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from piko_flow import Cron, Flow, Registry, RunContext
from piko_flow.control.flows.flow_health import ATTENTION, MEANINGS, Health, Judge, Known, due_of
from piko_flow.control.flows.schedule_rows import understand
from piko_flow.control.flows.told_times import Times
from piko_flow.ops.console.overview_rows import TONES
from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.ledger import Ledger, Mark
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.planning.zones import find_zone
from piko_flow.store.records import FlowRecord, ParamsVersion, RunRecord, ScheduleRecord
from tests.unit.planes import begun, scene

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROW = ScheduleRecord("first", "cron", '{"cron": "0 * * * *"}')
ROOT = Path(__file__).parents[2]
UTC_TIMES = Times(find_zone("UTC"))


async def job(run: RunContext) -> None: ...


FLOWS: Registry[Flow] = Registry()
for name, after in (("first", None), ("second", "first"), ("third", "second")):
    Flow.register(name, job, stateful=True, after=after, schedule=Cron("0 * * * *"), registry=FLOWS)


def run(flow: str = "first", status: RunStatus = RunStatus.SUCCESS, **facts: Any) -> RunRecord:
    return RunRecord(7, flow, status, NOW - HOUR, **facts)


def known(flow: str = "first", *, behind: int = 0, settled: int | None = None, **facts: Any) -> Known:
    """A flow that has been planned up to so many hours ago, and is settled as far, or up to `settled` hours ago."""
    row = ScheduleRecord(flow, "cron", '{"cron": "0 * * * *"}')
    until, mark = (NOW - hours * HOUR for hours in (behind, behind if settled is None else settled))
    record = FlowRecord(flow, planned_until=until, watermark=mark)
    values: dict[str, Any] = {"record": record, "last": run(flow)}
    made = Known(flow=FLOWS[flow], understood=understand(row, FLOWS, "UTC"), **{**values, **facts})
    return replace(made, due=due_of(made, NOW, ""))


def health(*flows: Known, paused_all: str = "") -> Health:
    """How the last of these stands."""
    named = {one.flow.name: one for one in flows if one.flow is not None}
    judge = Judge(named, now=NOW, paused_all=paused_all, times=lambda name: UTC_TIMES)
    return judge.health(list(named)[-1])


def test_each_word_has_a_meaning_and_a_colour() -> None:
    assert set(TONES) == set(MEANINGS)
    assert set(ATTENTION) < set(MEANINGS)
    assert [word for word in MEANINGS if word in ATTENTION] == list(ATTENTION)


@pytest.mark.parametrize("paused", ["", "all schedules are paused"])
def test_the_words_stand_in_the_order_in_which_a_flow_is_judged(paused: str) -> None:
    failed = run(status=RunStatus.FAILED)
    wrong: dict[str, Any] = {"letters": 1, "params_refused": "no", "last": failed, "settled": 5}
    first, second = known(behind=3, **wrong), known("second", behind=2, **wrong)
    off = replace(first, understood=understand(replace(ROW, enabled=False), FLOWS, "UTC"))
    bad = replace(first, understood="its cron is wrong")
    gone = replace(first, flow=None)
    seen = set[str]()
    for one in (first, off, bad, gone):
        judge = Judge(
            {"first": one, "second": second}, now=NOW, paused_all=paused, times=lambda name: UTC_TIMES
        )
        for name in ("first", "second"):
            judge.health(name)
            words = [found.word for found in judge._findings(name, judge._waits_for(name))]
            assert words == sorted(words, key=list(MEANINGS).index)
            seen |= set(words)
    wanted = {"unregistered", "refused", "params refused", "failing", "disabled", "gaps", "dead letters"}
    assert wanted | ({"paused"} if paused else {"late", "held up"}) <= seen


def test_the_manual_has_the_words_in_their_order() -> None:
    manual = (ROOT / "docs" / "how-to" / "use-the-console.md").read_text("utf-8")
    table = re.search(r"\| health \| it means \|\n\|---\|---\|\n((?:\|.*\n)+)", manual)
    assert table is not None
    cells = re.findall(r"^\| ([^|]+) \|", table[1], re.MULTILINE)
    assert ", ".join(cells).split(", ") == list(MEANINGS)


def test_a_flow_with_open_dead_letters_is_not_healthy() -> None:
    assert health(known()).word == "healthy"
    found = health(known(letters=1))
    assert (found.word, found.told) == (
        "dead letters",
        "1 item failed for good and can be looked at and replayed",
    )


def test_what_is_worst_has_the_word_and_the_rest_is_told_besides() -> None:
    failed = run(status=RunStatus.FAILED, error_msg="OSError: disk full")
    found = health(known(settled=2, letters=3, last=failed))
    assert (found.word, found.told) == ("failing", "OSError: disk full")
    assert [one.word for one in found.also] == ["gaps", "dead letters"]
    assert [one.word for one in found.concerns] == ["failing", "gaps", "dead letters"]


def test_a_paused_flow_still_tells_of_its_gaps() -> None:
    found = health(known(settled=2), paused_all="all schedules are paused")
    assert (found.word, found.told) == ("paused", "all schedules are paused")
    assert [one.word for one in found.concerns] == ["gaps"]


def test_gaps_are_counted_where_the_ledger_is_known() -> None:
    ledger = Ledger().settle(Window(NOW - 4 * HOUR, NOW - 3 * HOUR), Mark.DONE)
    ledger = ledger.fail(Window(NOW - 3 * HOUR, NOW - 2 * HOUR)).settle(
        Window(NOW - 2 * HOUR, NOW - HOUR), Mark.DONE
    )
    state = FlowState("first", origin=NOW - 4 * HOUR, planned_until=NOW, ledger=ledger)
    assert (
        health(known(state=state)).told
        == "there are 2 gaps, the first from 2026-03-10 09:00+00:00 to 2026-03-10 10:00+00:00"
    )


def test_a_window_that_failed_before_the_flow_began_is_a_gap_unless_a_run_works_on_it() -> None:
    early = Window(NOW - 30 * HOUR, NOW - 29 * HOUR)
    one = known()
    assert one.record is not None
    one = replace(one, record=replace(one.record, first_failed=early.start))
    assert health(one).told == "there is a gap from 2026-03-09 06:00+00:00 on"
    assert health(replace(one, live=(run(status=RunStatus.RUNNING, window=early),))).word == "running"
    state = FlowState("first", origin=NOW - HOUR, planned_until=NOW, ledger=Ledger().fail(early))
    state = replace(state, ledger=state.ledger.settle(Window(NOW - HOUR, NOW), Mark.DONE))
    told = "there is a gap from 2026-03-09 06:00+00:00 to 2026-03-09 07:00+00:00"
    assert health(replace(one, state=state)).told == told


@pytest.mark.parametrize(
    ("waits", "word"), [(timedelta(minutes=5), "waiting"), (timedelta(minutes=7), "late")]
)
def test_a_run_that_waits_beyond_its_grace_is_late(waits: timedelta, word: str) -> None:
    queued = RunRecord(8, "first", RunStatus.QUEUED, NOW - waits)
    found = health(known(live=(queued,), last=None))
    assert found.word == word
    works = run(status=RunStatus.RUNNING)
    assert health(known(live=(queued, works))).word == "running"  # which waits for its turn


def test_a_flow_is_held_up_by_one_that_does_not_get_on_and_says_which_window_waits() -> None:
    failed = run(status=RunStatus.FAILED, error_msg="OSError: disk full")
    upstream = known(settled=4, last=failed)
    found = health(upstream, known("second", behind=3))
    assert (found.word, found.upstream) == ("held up", "first")
    assert found.told == (
        "its window up to 2026-03-10 10:00+00:00 waits for 'first', which is settled up to "
        "2026-03-10 08:00+00:00 (failing: OSError: disk full)"
    )


def test_a_flow_waits_for_one_that_works_and_needs_nobody() -> None:
    works = run(status=RunStatus.RUNNING, window=Window(NOW - 4 * HOUR, NOW - 3 * HOUR))
    upstream = known(behind=3, settled=4, live=(works,), last=works)
    found = health(upstream, known("second", behind=3))
    assert (found.word, found.concerns) == ("waiting", ())
    assert found.told == "it comes after 'first', which has not got so far"


def test_what_holds_up_one_flow_holds_up_those_after_it() -> None:
    found = health(known(settled=5), known("second", behind=4), known("third", behind=4))
    assert (found.word, found.upstream) == ("held up", "second")


def test_a_flow_without_a_row_runs_when_somebody_asks() -> None:
    bare = Known(flow=FLOWS["first"], last=run())
    assert health(bare).word == "unscheduled"
    assert health(replace(bare, live=(run(status=RunStatus.RUNNING),))).word == "running"
    assert health(replace(bare, letters=2)).word == "dead letters"


async def test_refused_parameters_need_a_person_and_are_told_until_they_are_mended() -> None:
    it = scene()
    await begun(it, "orders", since=10, planned=12)
    await it.store.keep_params([ParamsVersion("orders", "[]", refused="params are a JSON object")])
    view = await it.plane.flow("orders")
    assert ("params refused", "params are a JSON object") in [(one.word, one.why) for one in view.concerns]
    [listed] = [one for one in (await it.plane.flows()).flows if one.name == "orders"]
    assert listed.concerns == view.concerns
    await it.plane.set_params("orders", values={"limit": 3})
    assert "params refused" not in [one.word for one in (await it.plane.flow("orders")).concerns]
