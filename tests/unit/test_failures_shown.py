"""Where attempts failed, as the API and the page of a run tell it."""

from __future__ import annotations

from dataclasses import asdict, fields, replace

import orjson

from piko_flow.control.runs.failure_record import ToldFailure
from piko_flow.ops.api.answers.runs import Failure
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.ops_records import RunDetail
from tests.unit.api_worlds import api_world
from tests.unit.planes import ended, scene
from tests.unit.test_console_answers import Answering, client

HTML = "<img src=x onerror=alert(1)>"
FAILURE = ToldFailure(
    error_type="ValueError",
    message=f"no {HTML}",
    stage="parse",
    place="shop.py:3 in read",
    item=f"item {HTML}",
    frames=("shop.py:1 in main", "shop.py:3 in read"),
    traceback=f'Traceback:\n  File "shop.py", line 3, in read\nValueError: no {HTML}',
)


def report(failure: ToldFailure, **account: object) -> str:
    return orjson.dumps({**account, "failure": asdict(failure)}).decode()


def test_the_api_tells_all_that_is_kept_of_a_failure() -> None:
    assert set(Failure.model_fields) == {field.name for field in fields(ToldFailure)}


async def test_failures_come_by_attempt_beside_the_reports() -> None:
    async with api_world() as world:
        run = await ended(world.scene, "mail", status=RunStatus.FAILED)
        await world.scene.store.keep_details([RunDetail(run.id, 1, report(FAILURE))])
        await world.scene.store.keep_details([RunDetail(run.id, 2, report(FAILURE, stages=[]))])
        shown = await world.get(f"/runs/{run.id}")
    told = {**asdict(FAILURE), "frames": list(FAILURE.frames)}
    assert shown["failures"] == {"1": told, "2": told}
    assert shown["reports"] == {"2": {"stages": []}}


async def test_the_page_of_a_run_shows_the_item_and_the_traceback_as_text() -> None:
    where = scene()
    process = Answering()
    process._plane = where.plane
    run = await ended(where, "mail", status=RunStatus.FAILED, error_type="ValueError", error_msg="no")
    await where.store.keep_details([RunDetail(run.id, run.attempt, report(FAILURE))])
    async with client(process=process) as browser:
        page = (await browser.get(f"/runs/{run.id}")).text
        assert "<summary>at <code>shop.py:3 in read</code></summary>" in page
        assert "item &lt;img src=x onerror=alert(1)&gt;" in page
        assert "ValueError: no &lt;img" in page
        assert HTML not in page
        await where.store.keep_details(
            [RunDetail(run.id, run.attempt, report(replace(FAILURE, place="", item=None)))]
        )
        page = (await browser.get(f"/runs/{run.id}")).text
        assert "<summary>Traceback</summary>" in page
        assert "Item of attempt" not in page
