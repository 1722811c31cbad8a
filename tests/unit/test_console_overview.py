"""How the overview judges flows: each health has its cause, the worst comes first, and nothing is judged twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from piko_flow import Cron, Flow, Interval, Registry, RunContext
from piko_flow.control.flows.flow_health import Health
from piko_flow.control.flows.system_row import read_system_row
from piko_flow.control.operations.plane_overview import FlowsInDetail, FlowsNow
from piko_flow.control.operations.plane_replicas import LeaderView
from piko_flow.ops.console import overview_rows
from piko_flow.ops.console.overview_rows import Standings
from piko_flow.ops.console.strip import BARS, HEIGHT, WIDTH, strip_of
from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.ledger import Ledger, Mark
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.records import (
    FlowRecord,
    Lease,
    RunRecord,
    ScheduleRecord,
)

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ODD = ("waiting", "gaps", "unscheduled", "paused")
HOURLY = '{"cron": "0 * * * *"}'


async def job(run: RunContext) -> None: ...


def flows() -> Registry[Flow]:
    found: Registry[Flow] = Registry()
    Flow.register("jobs", job, registry=found, schedule=Interval(hours=1))
    Flow.register("windows", job, registry=found, stateful=True, schedule=Cron("0 * * * *"))
    Flow.register("report", job, registry=found, stateful=True, after="windows", schedule=Cron("0 * * * *"))
    Flow.register("bare", job, registry=found)
    return found


def row(flow: str, **columns: Any) -> ScheduleRecord:
    return ScheduleRecord(flow, "cron", HOURLY, **columns)


def run(flow: str, status: RunStatus = RunStatus.SUCCESS, number: int = 1, **facts: Any) -> RunRecord:
    return RunRecord(number, flow, status, NOW - HOUR, **facts)


def now(**changes: Any) -> FlowsNow:
    lease = Lease("default", "one", 3, NOW + HOUR)
    rows = {name: row(name) for name in ("jobs", "windows", "report")}
    planned = {name: FlowRecord(name, planned_until=NOW) for name in rows}
    made = FlowsNow(
        now=NOW,
        leader=LeaderView("default", lease, True, True, (), NOW),
        names=("bare", "jobs", "report", "windows"),
        rows=rows,
        records=planned,
        last={name: run(name) for name in rows},
        live=(),
        letters={},
        paused_all="",
    )
    return replace(made, **changes)


def health(flow: str, **changes: Any) -> tuple[str, str]:
    judged = {one.name: one for one in Standings(flows(), "UTC").of(now(**changes))}
    return judged[flow].health, judged[flow].told


def test_a_flow_that_does_what_it_should_is_healthy_and_tells_its_next_fire() -> None:
    [standing] = [one for one in Standings(flows(), "UTC").of(now()) if one.name == "jobs"]
    assert (standing.health, standing.due, standing.tone) == ("healthy", NOW + HOUR, "success")


def test_each_health_has_its_cause() -> None:
    record, past = FlowRecord("jobs", planned_until=NOW), NOW - 3 * HOUR
    failed = run("jobs", RunStatus.FAILED, error_type="OSError", error_msg="OSError: disk full")
    assert health("jobs", rows={"jobs": row("jobs", max_instances=0)}, names=("jobs",))[0] == "refused"
    assert health("jobs", records={"jobs": replace(record, refused="broken")}) == ("refused", "broken")
    assert health("jobs", last={"jobs": failed}) == ("failing", "OSError: disk full")
    assert health("jobs", rows={"jobs": row("jobs", enabled=False)})[0] == "disabled"
    assert health("jobs", records={"jobs": replace(record, paused="paused by me")}) == (
        "paused",
        "paused by me",
    )
    assert health("jobs", paused_all="all schedules are paused")[0] == "paused"
    assert health("jobs", records={"jobs": replace(record, planned_until=past)})[0] == "late"
    assert health("jobs", live=(run("jobs", RunStatus.RUNNING),))[0] == "running"
    assert health("jobs", last={})[0] == "waiting"
    assert health("bare")[0] == "unscheduled"
    assert health("gone", names=("gone",), rows={"gone": row("gone")})[0] == "unregistered"


def test_windows_behind_what_was_planned_are_gaps_unless_somebody_works_on_them() -> None:
    behind = {"windows": FlowRecord("windows", planned_until=NOW, watermark=NOW - 2 * HOUR)}
    assert health("windows", records=behind)[0] == "gaps"
    first, second = (Window(NOW - (hours + 1) * HOUR, NOW - hours * HOUR) for hours in (1, 0))
    works = run("windows", RunStatus.RUNNING, window=first)
    assert health("windows", records=behind, live=(works,))[0] == "running"
    elsewhere = replace(works, window=second)  # the window at the watermark is still nobody's
    assert health("windows", records=behind, live=(elsewhere,))[0] == "gaps"


def test_a_flow_that_waits_for_another_is_not_late() -> None:
    records = {
        "report": FlowRecord("report", planned_until=NOW - 3 * HOUR),
        "windows": FlowRecord("windows", planned_until=NOW - 4 * HOUR, watermark=NOW - 4 * HOUR),
    }
    works = run("windows", RunStatus.RUNNING, window=Window(NOW - 4 * HOUR, NOW - 3 * HOUR))
    assert health("report", records=records, live=(works,)) == (
        "waiting",
        "it comes after 'windows', which has not got so far",
    )
    records["windows"] = replace(records["windows"], planned_until=NOW, watermark=NOW)
    assert health("report", records=records)[0] == "late"


def test_a_row_is_read_once_until_it_changes() -> None:
    standings, first = Standings(flows(), "UTC"), now()
    one, two = standings.of(first), standings.of(first)
    assert all(before.schedule is after.schedule for before, after in zip(one, two, strict=True))
    changed = {**first.rows, "jobs": row("jobs", version=2)}
    three = standings.of(replace(first, rows=changed))
    assert [
        after.name for before, after in zip(two, three, strict=True) if before.schedule is not after.schedule
    ] == ["jobs"]


def test_attention_comes_worst_first_and_no_leader_before_all() -> None:
    found = now(
        last={"jobs": run("jobs", RunStatus.FAILED, reason="error")},
        rows={"jobs": row("jobs"), "windows": row("windows", max_instances=0)},
        letters={"bare": 3},
        leader=LeaderView("default", None, False, True, (), NOW),
        paused_all="all schedules are paused",
        failing_spools={"shop": "ConnectionError: nobody is there"},
    )
    standings = Standings(flows(), "UTC").of(found)
    told = [(one.what, one.flow) for one in overview_rows.attentions(standings, found)]
    assert told == [
        ("Nobody leads", ""),
        ("All schedules are paused", ""),
        ("spool shop fails", ""),
        ("refused", "windows"),
        ("failing", "jobs"),
        ("dead letters", "bare"),
    ]
    assert [one.name for one in overview_rows.chosen(standings, "", "attention")] == [
        "bare",
        "jobs",
        "windows",
    ]
    assert [one.name for one in overview_rows.chosen(standings, "JO B", "")] == ["jobs"]
    assert list(overview_rows.counts(standings)) == ["refused", "failing", "dead letters", "unscheduled"]
    some = [replace(one, judged=Health(word, "")) for one, word in zip(standings, ODD, strict=False)]
    assert list(overview_rows.counts(some)) == ["paused", "gaps", "unscheduled", "waiting"]


def test_a_pause_of_all_that_nobody_wrote_for_certain_is_told_with_its_reason() -> None:
    found = now(paused_all=read_system_row('{"paused": "<maybe>"}').why_paused)
    [one] = overview_rows.attentions(Standings(flows(), "UTC").of(found), found)
    wrong = "paused must be true or false, got '<maybe>' in the row piko_system_settings"
    assert one.text == f"no flow makes new runs by itself, because {wrong}"


def test_a_line_tells_lag_and_gaps_of_windows() -> None:
    found = now()
    standing = next(one for one in Standings(flows(), "UTC").of(found) if one.name == "windows")
    ledger = Ledger().settle(Window(NOW - 5 * HOUR, NOW - 3 * HOUR), Mark.DONE)
    state = FlowState("windows", origin=NOW - 5 * HOUR, planned_until=NOW, ledger=ledger)
    detail = FlowsInDetail({"windows": [run("windows")]}, {"windows": state})
    line = overview_rows.flow_row(standing, flows()["windows"], detail, found, "UTC")
    assert (line.lag, line.gaps, len(line.strip.bars)) == (3 * HOUR, 1, 1)


def test_the_strip_has_the_newest_run_on_the_right_and_stays_in_its_frame() -> None:
    runs = [run("jobs", number=number, duration_ms=number * 100) for number in range(40, 0, -1)]
    runs[0] = replace(runs[0], status=RunStatus.FAILED)
    strip = strip_of(runs)
    assert len(strip.bars) == BARS
    assert strip.bars[-1].tone == "failed"
    assert "Run 40: failed" in strip.bars[-1].title
    assert all(bar.top >= 0 and bar.top + bar.height <= HEIGHT + 0.1 for bar in strip.bars)
    assert strip.bars[-1].left + strip.bars[-1].width <= WIDTH
    assert strip.told == "The last 20 runs: 19 success, 1 failed"
    assert strip_of([]).told == "No runs yet"
