"""A stage's function that calls `sys.exit` fails its stage; the program and the event loop go on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from piko_flow import CpuMap, Filter, FlatMap, Source, StageFailed, Transform, run
from piko_flow.errors import CallExited
from piko_flow.testing import CollectingSink


def leave(item: int) -> int:
    if item == 3:
        sys.exit("no more")
    return item


async def leave_later(item: int) -> int:
    return leave(item)


async def several(item: int) -> list[int]:
    return [leave(item)]


def generated(item: int) -> Iterator[int]:
    yield leave(item)


def read() -> Any:
    yield 1
    sys.exit(2)


STAGES = {
    "inline": Transform(leave),
    "async": Transform(leave_later),
    "in order": Transform(leave_later, concurrency=3),
    "by key": Transform(leave_later, concurrency=3, key=lambda item: item),
    "on a thread": Transform(leave, on="thread"),
    "flat map": FlatMap(several),
}


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
async def test_an_exit_is_the_failure_of_its_stage(stage: Any) -> None:
    with pytest.raises(StageFailed, match=r"SystemExit\('no more'\)") as caught:
        await run(Source(range(10)) >> stage >> CollectingSink())
    assert caught.value.item == 3
    assert isinstance(caught.value.__cause__, CallExited)
    assert caught.value.__cause__.code == "no more"


POLICED: dict[str, Any] = {
    "inline": lambda on_error: Transform(leave, on_error=on_error, name="work"),
    "filter": lambda on_error: Filter(leave, on_error=on_error, name="work"),
    "flat map": lambda on_error: FlatMap(several, on_error=on_error, name="work"),
    "flat map, inline": lambda on_error: FlatMap(lambda item: [leave(item)], on_error=on_error, name="work"),
    "generator": lambda on_error: FlatMap(generated, on_error=on_error, name="work"),
    "async": lambda on_error: Transform(leave_later, on_error=on_error, name="work"),
    "on a thread": lambda on_error: Transform(leave, on="thread", on_error=on_error, name="work"),
    "worker": lambda on_error: CpuMap(leave, workers=1, on_error=on_error, name="work"),
}


@pytest.mark.parametrize("on_error", ["skip", "dead_letter"])
@pytest.mark.parametrize("stage", POLICED)
async def test_an_exit_follows_the_policy_of_its_stage_wherever_it_runs(stage: str, on_error: str) -> None:
    report = await run(Source(range(10)) >> POLICED[stage](on_error) >> CollectingSink())
    work = report.stage("work")
    assert (work.skipped, work.dead) == ((1, 0) if on_error == "skip" else (0, 1))
    assert work.received == 10
    assert all("SystemExit" in dead_letter.error for dead_letter in report.dead_letters)


async def test_a_worker_tells_of_an_exit() -> None:
    with pytest.raises(StageFailed, match="SystemExit") as caught:
        await run(Source(range(10)) >> CpuMap(leave, workers=1) >> CollectingSink())
    assert caught.value.item == 3


async def test_an_exit_while_reading_is_the_failure_of_the_source() -> None:
    with pytest.raises(StageFailed, match=r"SystemExit\(2\)") as caught:
        await run(Source(read) >> CollectingSink())
    assert caught.value.stage == "read"
