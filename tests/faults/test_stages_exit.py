"""A stage's function that calls `sys.exit` fails its stage; the program and the event loop go on."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from piko_flow import CpuMap, FlatMap, Source, StageFailed, Transform, run
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


async def test_a_worker_tells_of_an_exit() -> None:
    with pytest.raises(StageFailed, match="SystemExit") as caught:
        await run(Source(range(10)) >> CpuMap(leave, workers=1) >> CollectingSink())
    assert caught.value.item == 3


async def test_an_exit_while_reading_is_the_failure_of_the_source() -> None:
    with pytest.raises(StageFailed, match=r"SystemExit\(2\)") as caught:
        await run(Source(read) >> CollectingSink())
    assert caught.value.stage == "read"
