"""Options of runs, pools, engines and resources that are refused before anything runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from piko_flow import LocalEngine, MemoryJournal, Resource, ResourcePool, Transform, WorkerPool, run, run_sync
from piko_flow.dataflow.stages.resource import RunInfo
from piko_flow.engines.subprocess import SubprocessEngine
from piko_flow.errors import PipelineError
from piko_flow.testing import CollectingSink, items
from tests.unit.unchecked import Fold, Retry, Sink

OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"pool": 3}, "pool must be a WorkerPool; got 3"),
    ({"resources": {}}, r"resources must be a ResourcePool; got \{\}"),
    (
        {"observer": print},
        "observer must have the methods of Observer; <built-in function print> has no run_st",
    ),
    ({"engine": LocalEngine}, r"got the class LocalEngine. Make one: engine=LocalEngine\(\)"),
    ({"journal": "night.db"}, "journal must have the methods of Journal; 'night.db' has no"),
    ({"journal": MemoryJournal}, "got the class MemoryJournal"),
    ({"validate": "no"}, "validate must be True or False; got 'no'"),
    ({"run_id": "a/b"}, "run_id is a name of at most 100 .*; got 'a/b'"),
    ({"run_id": "n" * 101}, "run_id is a name of at most 100"),
    ({"run_id": ""}, "run_id is a name"),
    ({"run_id": 7}, "run_id is a name"),
]


@pytest.mark.parametrize(("options", "told"), OPTIONS, ids=str)
def test_an_option_of_a_run_is_refused_where_the_run_is_written(options: Any, told: str) -> None:
    pipeline = items(1) >> CollectingSink()
    with pytest.raises(PipelineError, match=told) as caught:
        run_sync(pipeline, **options)
    assert "test_options_refused.py:" in caught.value.where


async def test_names_of_runs_may_be_times_and_numbers() -> None:
    report = await run(items(1) >> CollectingSink(), run_id="2024-01-31T02:00:00.Z_7")
    assert report.run == "2024-01-31T02:00:00.Z_7"


COUNTS: dict[str, Callable[[Any], object]] = {
    "LocalEngine": lambda bad: LocalEngine(bad),
    "SubprocessEngine": lambda bad: SubprocessEngine(bad),
    "WorkerPool": lambda bad: WorkerPool(bad),
}


@pytest.mark.parametrize("make", COUNTS.values(), ids=COUNTS)
@pytest.mark.parametrize("bad", [True, 0, -1, 1.5, "2", None])
def test_engines_and_pools_refuse_what_is_no_number_of_them(make: Callable[[Any], Any], bad: Any) -> None:
    if bad is None and make is not COUNTS["LocalEngine"]:
        make(None)  # as many as there are cores
        return
    with pytest.raises(PipelineError, match=r"must be a whole number of at least 1; got ") as caught:
        make(bad)
    assert caught.value.got == f"got {bad!r}"
    assert caught.value.what in COUNTS
    assert caught.value.where.endswith(f"test_options_refused.py:{make.__code__.co_firstlineno}")


def test_a_resource_of_another_kind_is_refused_with_its_line() -> None:
    with pytest.raises(PipelineError, match="got 0") as caught:
        Resource(0)  # type: ignore[arg-type]
    assert "test_options_refused.py:" in caught.value.where


def test_options_that_nothing_would_read_are_refused() -> None:
    with pytest.raises(PipelineError, match="got max_keys= without key="):
        Fold(lambda total, item: total + item, start=int, max_keys=3)
    with pytest.raises(PipelineError, match="got ordered="):
        Sink(print, ordered=False)


@pytest.mark.parametrize("times", [{"limit": float("inf")}, {"first": 1e12}])
def test_waits_between_attempts_are_no_longer_than_timers_take(times: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at most 100,000,000 seconds"):
        Retry(2, **times)


async def test_a_pool_of_resources_that_was_not_entered_is_refused() -> None:
    with pytest.raises(Exception, match="the resource pool is not open"):
        await ResourcePool().get(Resource(opened, scope="app"), RunInfo("night"))


class Unhashable:
    """An object with `acquire` that cannot be a key of a dict."""

    __hash__ = None  # type: ignore[assignment]
    times = 0

    @asynccontextmanager
    async def acquire(self, info: RunInfo) -> AsyncIterator[int]:
        self.times += 1
        yield self.times


@asynccontextmanager
async def opened() -> AsyncIterator[int]:
    yield 1


async def plus(item: int, more: int) -> int:
    return item + more


async def test_a_resource_for_the_application_need_not_be_hashable() -> None:
    resource, sink = Resource(Unhashable(), scope="app"), CollectingSink[int]()
    pipeline = items(2) >> Transform(plus, uses={"more": resource}) >> sink
    async with ResourcePool() as pool:
        await run(pipeline, resources=pool)
        await run(pipeline, resources=pool)
    assert sink.items == [1, 2, 1, 2]  # opened once


async def test_a_plain_write_may_give_anything() -> None:
    class File:
        def write(self, items: list[int]) -> int:
            return len(items)

    report = await run(items(5) >> Sink(File(), batch=2, name="file"))
    assert report.stage("file").emitted == 5
