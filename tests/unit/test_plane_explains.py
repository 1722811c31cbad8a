"""Every reason is told where it holds, with what to do; and what is well is told so, too."""

import re
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from piko_flow.control.flows.reasons import MEANINGS
from piko_flow.errors import RequestRefused
from piko_flow.ops.console.run_detail import read_why
from piko_flow.ops.console.sentences import MARKED
from piko_flow.planning.flow_state import Change, FlowState
from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.batch import Batch, Decided, Decision
from piko_flow.store.records import MarkedSchedule, ParamsVersion, ScheduleRecord
from tests.architecture.checkout import ROOT
from tests.unit.explained import CASES, backfilled, led, told
from tests.unit.planes import NOW, begun, ended, hour, lead, planned_fires, queued, row, running, scene

PAGE = ROOT / "docs" / "semantics" / "reasons.md"


@pytest.mark.parametrize("reason", list(Reason))
async def test_each_reason_is_told_where_it_holds(reason: Reason) -> None:
    it = await led(group_limits={"slow": 1})
    case = await CASES[reason](it)
    lines = {line.reason: line for line in (await told(it, case.about)).lines}
    assert reason in lines, lines
    assert case.told in lines[reason].text


def test_the_page_and_the_code_agree_on_every_reason() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.*?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(reason.value, meaning.text, meaning.advice) for reason, meaning in MEANINGS.items()]
    assert MEANINGS.keys() == set(Reason)


async def test_a_flow_for_which_all_is_well_is_told_its_next_fire_and_nothing_blocks() -> None:
    it = await led()
    await planned_fires(it, "mail", hour(12).start)
    lines = (await told(it, "mail")).lines
    assert [(line.reason, line.blocks) for line in lines] == [(Reason.NOT_DUE, False)]


async def test_a_flow_that_nobody_meant_to_schedule_lacks_nothing() -> None:
    it = await led()
    (line,) = (await told(it, "idle")).lines
    assert (line.reason, line.text) == (
        Reason.NO_SCHEDULE,
        "it has no schedule: it runs when somebody asks",
    )
    assert not line.blocks


async def test_names_of_params_that_count_for_nothing_are_told_and_block_nothing() -> None:
    it = await led()
    await it.store.keep_params([ParamsVersion("orders", '{"limt": 9}')])
    lines = (await told(it, "orders")).lines
    [found] = [line for line in lines if "limt" in line.text]
    assert "did you mean 'limit'?" in found.text
    assert not found.blocks


async def test_a_fire_that_is_put_off_by_jitter_is_told_with_its_delay() -> None:
    it = await led()
    await planned_fires(it, "mail", hour(11.5).start, jitter=timedelta(hours=12))
    (line,) = (await told(it, "mail")).lines
    assert "its next fire is at 2026-03-02 12:00+00:00, put off to " in line.text


async def test_a_schedule_that_has_ended_and_a_date_that_is_done_are_told() -> None:
    it = await led()
    past = '{"cron": "0 * * * *", "end_date": "2026-03-01"}'
    await it.plane.set_schedule("mail", "cron", past)
    assert "does not fire any more" in (await told(it, "mail")).lines[0].text
    await it.store.set_schedule(ScheduleRecord("idle", "date", '{"run_date": "2026-03-01 10:00:00"}'))
    await it.store.complete("idle", hour(-14).start)
    assert "2026-03-01 10:00+00:00, has been dealt with" in (await told(it, "idle")).lines[0].text


async def test_what_is_due_is_told_to_be_queued_by_the_leader_and_without_one_it_is_not() -> None:
    it = scene()
    await begun(it, "orders", since=10, planned=10)
    assert [line.reason for line in (await told(it, "orders")).lines] == [Reason.NO_LEADER]
    await lead(it)
    (line,) = (await told(it, "orders")).lines
    assert (line.reason, line.blocks) == (None, False)
    assert "2 windows from 2026-03-02 10:00+00:00" in line.text


async def test_an_upstream_that_has_not_begun_is_told_so() -> None:
    it = await led()
    await begun(it, "report", since=9, planned=9)
    (line,) = (await told(it, "report")).lines
    assert line.reason is Reason.WAITS_FOR_UPSTREAM
    assert "has not begun" in line.text


async def test_in_strict_order_the_run_that_is_waited_for_is_named() -> None:
    it = await led()
    await begun(it, "audit", since=8, planned=9)
    works = await running(it, "audit", hour(8))
    lines = {line.reason: line.text for line in (await told(it, "audit")).lines}
    assert f"run {works.id} works on it" in lines[Reason.STRICT_ORDER]
    assert "it is running" in lines[None]


async def test_gaps_are_told_with_what_to_do() -> None:
    it = await led()
    await begun(it, "orders", since=8, planned=12)
    for number in (8, 10, 11):
        await ended(it, "orders", hour(number))
    await ended(it, "orders", hour(9), RunStatus.FAILED, error_type="KeyError")
    lines = (await told(it, "orders")).lines
    (gap,) = [line for line in lines if "gap" in line.text]
    assert "2026-03-02 09:00+00:00 to 2026-03-02 10:00+00:00" in gap.text
    assert "--kind gap" in gap.advice
    assert any("its last run" in line.text and "KeyError" in line.text for line in lines)


async def test_a_paused_backfill_and_one_that_waits_for_a_live_run_are_told_with_the_flow() -> None:
    it = await led()
    number = await backfilled(it, state="paused")
    lines = {line.reason: line for line in (await told(it, "orders")).lines}
    assert lines[Reason.PAUSED].text == f"backfill {number} is paused with 4 windows left"
    await it.plane.resume_backfill(number)
    works = await running(it, "orders", hour(2), origin="trigger")
    lines = {line.reason: line for line in (await told(it, "orders")).lines}
    assert f"waits for run {works.id}" in lines[Reason.LIVE_WINDOW].text


async def test_a_run_of_a_paused_backfill_waits_for_it_to_be_resumed() -> None:
    it = await led()
    number = await backfilled(it, state="paused")
    waits = await queued(it, "orders", hour(2), backfill=number)
    (line,) = (await told(it, waits.id)).lines
    assert (line.reason, line.text) == (Reason.PAUSED, f"backfill {number} is paused")


async def test_a_run_that_may_start_at_once_is_told_so_and_one_that_was_admitted_waits_for_a_replica() -> (
    None
):
    it = await led()
    waits = await queued(it, "mail")
    (line,) = (await told(it, waits.id)).lines
    assert line.text == "nothing holds it back, and 4 of 4 slots are free: it starts with the next step"
    assert (line.reason, line.blocks) == (None, False)
    from piko_flow.store.batch import Batch

    await it.store.write(Batch("one", admit=[waits.id]))
    (line,) = (await told(it, waits.id)).lines
    assert "waits for a replica that takes it" in line.text


async def test_a_running_run_and_one_that_is_asked_to_stop_are_told_so() -> None:
    it = await led()
    works = await running(it, "mail")
    assert (await told(it, works.id)).lines[0].text == (
        "it is running since 2026-03-02 12:30+00:00 on host-1, process 11"
    )
    await it.plane.cancel(works.id, by="ada")
    assert "ada asked to cancel it" in (await told(it, works.id)).lines[1].text


async def test_a_run_that_succeeded_ended_well() -> None:
    it = await led()
    run = await ended(it, "mail")
    (line,) = (await told(it, run.id)).lines
    assert (line.reason, line.text) == (None, "it ended as SUCCESS at 2026-03-02 12:30+00:00")


async def test_a_flow_with_many_live_runs_tells_of_the_first_few() -> None:
    it = await led()
    await planned_fires(it, "mail", NOW)
    for _ in range(8):
        await queued(it, "mail")
    texts = [line.text for line in (await told(it, "mail")).lines]
    assert "and 3 more live runs" in texts


async def test_times_are_told_in_the_zone_of_the_row() -> None:
    it = await led()
    await planned_fires(it, "mail", hour(12).start, timezone="Europe/Berlin")
    (line,) = (await told(it, "mail")).lines
    assert line.text == "its next fire is at 2026-03-02 14:00+01:00"


async def test_what_nobody_knows_is_not_explained() -> None:
    it = await led()
    with pytest.raises(RequestRefused, match="did you mean 'orders'"):
        await it.plane.explain_flow("ordres")
    with pytest.raises(RequestRefused, match="no such run"):
        await it.plane.explain_run(99)


async def test_a_row_that_a_leader_could_not_plan_is_told_with_what_it_said() -> None:
    it = await led()
    await it.store.set_schedule(row("mail"))
    await it.store.note_refusals({"mail": "planning failed: OverflowError"})
    assert "planning failed: OverflowError" in (await told(it, "mail")).lines[0].text


async def test_a_run_whose_replica_gives_no_sign_of_life_is_told_as_lost() -> None:
    it = await led()
    run = await running(it, "mail")
    await it.clock.advance(timedelta(days=2).total_seconds())
    [told] = [line for line in (await it.plane.explain_run(run.id)).lines if line.reason is Reason.RESCUED]
    assert told.text.endswith("its replica counts as dead: it is rescued when somebody leads")


async def test_only_rows_that_concern_the_flow_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """An explanation costs the same with thousands of other flows; those that run take part in its limits."""
    it = await led(group_limits={"slow": 1})
    await running(it, "mail")
    asked: list[set[str]] = []
    read = it.store.marked_schedules

    async def noted(flows: Collection[str]) -> list[MarkedSchedule]:
        asked.append(set(flows))
        return await read(flows)

    async def all_of_them() -> list[ScheduleRecord]:
        raise AssertionError("all rows were read")

    monkeypatch.setattr(it.store, "marked_schedules", noted)
    monkeypatch.setattr(it.store, "schedules", all_of_them)
    await told(it, "orders")
    assert set().union(*asked) == {"orders", "mail"}


async def test_a_run_over_what_its_upstream_skipped_is_told_so() -> None:
    it = await led()
    await begun(it, "orders", since=8, planned=10)
    await begun(it, "report", since=8, planned=10)
    run = await ended(it, "report", hour(8))
    assert "skipped" not in str((await told(it, run.id)).lines)

    def edited(state: FlowState, now: datetime) -> Decided:
        return Decided(Change(replace(state, ledger=state.ledger.settle(hour(8), Mark.SKIPPED))))

    await it.store.write(Batch("one", decisions=[Decision("orders", edited)]))
    line = (await told(it, run.id)).lines[-1]
    assert (line.text, line.blocks) == (
        "'orders', which it comes after, skipped this window, and made nothing for it",
        False,
    )
    assert await read_why(it.plane, run, MARKED) == ((line,), it.clock.now())
