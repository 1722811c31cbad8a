"""The page of a run: each attempt with who had it and what it left, and nothing offered that would be refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest

from piko_flow.control.operations.plane_backfills import BackfillRequest
from piko_flow.errors import RequestRefused
from piko_flow.ops.console.attempt_rows import attempt_rows, has_begun
from piko_flow.ops.console.formats import DASH, tone
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.batch import Batch, Ending, Requeue
from piko_flow.store.ops_records import RunDetail
from piko_flow.store.records import NewRun, ReplicaRecord, RunRecord
from tests.unit.api_worlds import PlaneProcess
from tests.unit.planes import DAY, NOW, ONE, Scene, begun, ended, hour, lead, queued, running, scene
from tests.unit.test_console_answers import client

TWO = ReplicaRecord("two", host="host-2", pid=22, slots=4, started_at=NOW - DAY)
REPORT = {
    "seconds": 2.0,
    "stages": [
        {"name": "check", "kind": "Sink", "where": "f.py:1", "operator": 0, "received": 41, "busy": 1.0}
    ],
}


async def page_of(it: Scene, path: str) -> str:
    """The main part of a page, without its tags."""
    process: Any = PlaneProcess(it.plane)
    async with client(process=process) as browser:
        answer = await browser.get(path)
    assert answer.status_code == 200
    return words(answer.text)


def words(page: str) -> str:
    """What a page says in its main part."""
    main = page[page.index("<main") :]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())


async def again(it: Scene, run: RunRecord, replica: ReplicaRecord = TWO) -> RunRecord:
    """The run, claimed by another replica a minute later."""
    await it.clock.advance(60)
    await it.store.beat(replica, ttl=DAY)
    [claimed] = (await it.store.write(Batch(replica.id, claim=[run.id]))).claimed
    return claimed


async def rescued(it: Scene) -> RunRecord:
    """A run whose replica has died, which waits to be run by another."""
    run = await running(it, "mail")
    rescue = Requeue(run.id, run.claim, Reason.RESCUED, rescue=True)
    assert not (await it.store.write(Batch("two", requeues=[rescue]))).stale
    return run


async def test_a_rescue_stands_among_the_attempts_with_who_had_it() -> None:
    it = scene()
    await lead(it)
    run = await rescued(it)
    waits = await page_of(it, f"/runs/{run.id}")
    assert re.search(
        r"Attempts 1 .{10,60} host-1, process 11 its replica died, and .{5,40} rescued 1 not begun", waits
    )
    await again(it, run)
    runs = await page_of(it, f"/runs/{run.id}")
    assert re.search(r"rescued 1 \S+ \S+ UTC host-2, process 22 running", runs)


async def test_a_run_that_waits_for_its_next_attempt_tells_of_the_last_one_under_it_alone() -> None:
    it = scene()
    failed = await ended(
        it, "mail", status=RunStatus.FAILED, error_type="OSError", error_msg="no luck at all"
    )
    await it.store.keep_details([RunDetail(failed.id, 1, json.dumps(REPORT))])
    before = await page_of(it, f"/runs/{failed.id}")
    assert before.index("no luck at all") < before.index("Stages")
    assert before.index("41") < before.index("Attempts")
    await it.plane.retry(failed.id)
    after = await page_of(it, f"/runs/{failed.id}")
    head, attempts = after.split("Attempts")
    assert "OSError" not in head.split("What it is doing, and why")[0]
    assert "host-1" not in head
    assert "41" not in head
    assert f"Began {DASH} Ended {DASH}" in head
    assert re.search(
        r"1 .* host-1, process 11 no luck at all Its stages .* 41 .* failed 2 not begun .*queued", attempts
    )
    running_again = await again(it, failed)
    assert running_again.attempt == 2
    assert "no luck at all" not in (await page_of(it, f"/runs/{failed.id}")).split("Attempts")[0]


async def test_a_plain_job_has_no_stages_to_be_looked_for() -> None:
    it = scene()
    run = await ended(it, "mail", status=RunStatus.FAILED)
    assert "Stages" not in await page_of(it, f"/runs/{run.id}")
    it.plane.registry = type(it.registry)()
    assert "Nothing is kept of its stages" in await page_of(it, f"/runs/{run.id}")


async def test_a_list_tells_of_a_waiting_runs_attempt_before_by_its_number() -> None:
    it = scene()
    run = await running(it, "mail")
    retry = Requeue(
        *(run.id, run.claim, Reason.RETRY_WAIT), attempt=True, error_type="OSError", error_msg="no luck"
    )
    await it.store.write(Batch("one", requeues=[retry]))
    for path in ("/runs", "/flows/mail"):
        assert "queued attempt 1: no luck" in await page_of(it, path)
    await again(it, run)
    for path in ("/runs", "/flows/mail"):
        assert "no luck" not in await page_of(it, path)


async def test_an_attempt_that_was_cancelled_before_it_began_is_not_taken_for_the_one_before() -> None:
    it = scene()
    failed = await ended(it, "mail", status=RunStatus.FAILED, error_msg="no luck")
    await it.plane.retry(failed.id)
    await it.plane.cancel(failed.id)
    view = await it.plane.run(failed.id)
    assert not has_begun(view.run, view.attempts)
    last = attempt_rows(view.run, view.attempts, {}, {})[-1]
    assert (last.number, last.state, last.start, last.host) == (2, "cancelled", None, "")


@pytest.mark.parametrize(
    ("flow", "why"),
    [("mail", "somebody cancelled it"), ("orders", "somebody cancelled it; its window is a gap")],
)
async def test_only_a_cancelled_run_with_a_window_has_left_a_gap(flow: str, why: str) -> None:
    it = scene()
    given = {"window": hour(8)} if flow == "orders" else {}
    run = await ended(it, flow, status=RunStatus.CANCELLED, reason=Reason.CANCELLED, **given)
    view = await it.plane.run(run.id)
    assert attempt_rows(view.run, view.attempts, {}, {})[-1].why == why


async def test_a_list_of_runs_in_a_state_that_there_is_not_says_so_and_lists_none() -> None:
    it = scene()
    await ended(it, "mail", status=RunStatus.SUCCESS)
    assert "No run matches" in (page := await page_of(it, "/runs?status=NOPE"))
    assert "No state is named NOPE; there are QUEUED, RUNNING" in page
    assert "No run matches" not in await page_of(it, "/runs?status=SUCCESS")


async def test_an_attempt_never_took_less_than_no_time() -> None:
    it = scene()
    run = await rescued(it)
    view = await it.plane.run(run.id)
    [lost] = view.attempts
    assert lost.end_time is not None
    early = replace(lost, start_time=lost.end_time + timedelta(milliseconds=5))
    assert [row.milliseconds for row in attempt_rows(run, [early], {}, {})] == [0, None]


async def test_what_was_kept_of_a_lost_attempt_goes_with_the_last_that_had_its_number() -> None:
    it = scene()
    run = await rescued(it)
    view = await it.plane.run(run.id)
    reports = {1: json.dumps(REPORT)}
    [lost, waits] = attempt_rows(view.run, view.attempts, reports, {})
    assert (lost.state, lost.stages is not None, waits.stages) == ("rescued", True, None)
    view = replace(view, run=await again(it, run))
    assert [row.stages for row in attempt_rows(view.run, view.attempts, reports, {})] == [None, None]


@pytest.mark.parametrize("live", [False, True])
async def test_a_retry_is_offered_where_it_would_not_be_refused(*, live: bool) -> None:
    it = scene()
    await lead(it)
    await begun(it, "orders", since=8, planned=12)
    failed = await ended(it, "orders", hour(8), RunStatus.FAILED)
    assert " Retry " in await page_of(it, f"/runs/{failed.id}")
    if live:
        says = f"run {(await running(it, 'orders', hour(8), origin='trigger')).id} works on its window"
    else:
        await ended(it, "orders", hour(8))
        says = "its window is settled"
    told = await page_of(it, f"/runs/{failed.id}")
    assert f"No retry: {says}" in told
    assert " Retry " not in told
    assert await it.plane.why_not_retried(failed) == says
    with pytest.raises(RequestRefused):
        await it.plane.retry(failed.id)


async def test_why_it_waits_and_that_it_waits_are_of_one_reading() -> None:
    it = scene()
    await lead(it)
    run = await queued(it, "mail")
    seen = await it.store.run(run.id)
    assert seen is not None
    await it.store.write(Batch("one", claim=[run.id]))
    await it.store.beat(ONE, ttl=DAY)
    told = await it.plane.explain_run(run.id, seen=seen)
    assert told.run == seen
    assert not any("it is running" in line.text for line in told.lines)


async def test_other_runs_of_a_window_are_told_however_old_they_are() -> None:
    it = scene()
    first = await ended(it, "orders", hour(1), status=RunStatus.FAILED)
    again = await queued(it, "orders", hour(1), origin="trigger")
    newer = [NewRun("orders", NOW, f"newer {number}") for number in range(250)]
    await it.store.write(Batch("one", queue=newer))
    page = await page_of(it, f"/runs/{first.id}")
    assert f"Other runs of this window Run {again.id} trigger queued" in page
    assert "Other runs of this window" not in await page_of(it, f"/runs/{again.id + 1}")


async def test_a_replay_whose_items_failed_again_is_not_shown_as_all_well() -> None:
    it = scene()
    run = await ended(it, "mail", error_msg="48 of 48 dead letters failed again")
    assert (tone(run), tone(await ended(it, "mail"))) == ("incomplete", "success")
    said = await page_of(it, f"/runs/{run.id}")
    assert "Not all of it succeeded 48 of 48 dead letters failed again" in said
    assert "It failed" not in said


@pytest.mark.parametrize("path", ["/backfills", "/flows/orders"])
async def test_a_backfill_whose_windows_failed_is_not_shown_as_done(path: str) -> None:
    it = scene()
    await begun(it, "orders", since=8, planned=12)
    asked = BackfillRequest(flow="orders", span=hour(4, 4))
    made = await it.plane.apply_backfill(asked, digest=(await it.plane.plan_backfill(asked)).digest)
    for place in range(4):
        run = await running(it, "orders", hour(4 + place), backfill=made.id)
        ending = Ending(run.id, run.claim, "orders", RunStatus.FAILED, "error", window=run.window)
        assert not (await it.store.write(Batch("one", endings=[ending]))).stale
    await it.store.set_backfill(made.id, state="done")
    assert "ended, 4 failed" in await page_of(it, path)
