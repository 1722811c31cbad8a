"""`piko-flow run show` tells where attempts failed: folded for people, whole where that is asked for."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from piko_flow import Sink, Source, Transform, run
from piko_flow.control.runs.failure_record import ToldFailure
from piko_flow.store.opening import open_store
from piko_flow.store.ops_records import RunDetail
from tests.system.control_command import Desk

TRACE = (
    'Traceback (most recent call last):\n  File "/shop/shop.py", line 3, in read\nOSError: torn \x1b[31m\n'
)


def failure(**other: str) -> ToldFailure:
    facts = {
        "error_type": "OSError",
        "message": "OSError: torn",
        "stage": "",
        "place": "shop.py:3 in read",
        **other,
    }
    return ToldFailure(**facts, item=None, frames=("shop.py:1 in main", "shop.py:3 in read"), traceback=TRACE)


async def keep(database: str, failure: ToldFailure) -> None:
    """Let the first attempt of run 1 have failed so."""
    await keep_report(database, json.dumps({"failure": asdict(failure)}))


async def keep_report(database: str, report: str) -> None:
    """Let the first attempt of run 1 have left this report."""
    store = await open_store(database)
    try:
        await store.keep_details([RunDetail(1, 1, report)])
    finally:
        await store.close()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A database with a run that waits for its second attempt."""
    monkeypatch.chdir(tmp_path)
    desk = Desk(tmp_path)
    desk.does("db", "init")
    desk.does("trigger", "send_mail")
    desk.does("run", "cancel", "1")
    desk.does("run", "retry", "1")
    return desk


def test_the_last_lines_of_the_flow_are_printed_and_all_where_that_is_asked_for(desk: Desk) -> None:
    asyncio.run(keep(desk.database, failure(stage="parse")))
    folded = desk.does("run", "show", "1").lines
    assert folded[-3:] == [
        "attempt 1 failed in stage 'parse'; the traceback with --traceback, its last lines of the flow:",
        "shop.py:1 in main",
        "shop.py:3 in read",
    ]
    for option in ("--traceback", "--debug"):
        whole = desk.does("run", "show", "1", option).out
        assert whole.endswith("attempt 1 failed in stage 'parse':\n" + TRACE.replace("\x1b", "�"))


def test_an_item_is_printed_and_an_error_outside_the_flow_told(desk: Desk) -> None:
    told = {**asdict(failure(place="")), "frames": (), "item": "{'order': 17}"}
    asyncio.run(keep(desk.database, ToldFailure(**told)))
    assert desk.does("run", "show", "1").lines[-2:] == [
        "attempt 1 failed outside the flow's own code; the traceback with --traceback",
        "item: {'order': 17}",
    ]


def test_the_document_has_failures_by_attempt(desk: Desk) -> None:
    assert desk.json("run", "show", "1")["failures"] == {}
    asyncio.run(keep(desk.database, failure()))
    assert desk.json("run", "show", "1")["failures"] == {
        "1": {**asdict(failure()), "frames": ["shop.py:1 in main", "shop.py:3 in read"]}
    }


def test_what_the_run_moved_is_printed_and_in_the_document(desk: Desk) -> None:
    assert "moved" not in desk.does("run", "show", "1").out
    assert desk.json("run", "show", "1")["counts"] is None
    asyncio.run(keep_report(desk.database, asyncio.run(lossy())))
    assert "in attempt 1: 5 items read, 3 to its sinks, 2 skipped" in " ".join(
        desk.does("run", "show", "1").out.split()
    )
    counts = {"attempt": 1, "read": 5, "to_sinks": 3, "skipped": 2, "dead": 0}
    assert desk.json("run", "show", "1")["counts"] == counts


async def lossy() -> str:
    """The report of a run that skips two of its five items."""
    odd = Transform(lambda item: 1 // (item % 2), on_error="skip", name="odd")
    return json.dumps((await run(Source([1, 2, 3, 4, 5]) >> odd >> Sink(str))).to_dict())
