"""Options of runs, pools, engines and resources that are refused before anything runs."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from piko_flow import Resource, ResourcePool, Transform, WorkerPool, run
from piko_flow.dataflow.stages.resource import RunInfo
from piko_flow.engines.subprocess import SubprocessEngine
from piko_flow.testing import CollectingSink, items
from tests.unit.composing import each_refusal, message, refused
from tests.unit.unchecked import Sink

OPTIONS = """
run_sync(PIPELINE, capacity=0)
    the run: capacity must be a whole number of at least 1; got 0
run_sync(PIPELINE, capacity=-1)
    the run: capacity must be a whole number of at least 1; got -1
run_sync(PIPELINE, capacity=True)
    the run: capacity must be a whole number of at least 1; got True
run_sync(PIPELINE, capacity=1.5)
    the run: capacity must be a whole number of at least 1; got 1.5
run_sync(PIPELINE, capacity='10')
    the run: capacity must be a whole number of at least 1; got '10'
run_sync(PIPELINE, capacity=None)
    the run: capacity must be a whole number of at least 1; got None
run_sync(PIPELINE, max_errors=1.5)
    the run: max_errors as a share lies between 0.0 and 1.0; got 1.5. Give a whole number for a count of items
run_sync(PIPELINE, max_errors=-1)
    the run: max_errors must be a number of items (int) or a share of them (float); got -1
run_sync(PIPELINE, max_errors=True)
    the run: max_errors must be a number of items (int) or a share of them (float); got True
run_sync(PIPELINE, max_errors='3')
    the run: max_errors must be a number of items (int) or a share of them (float); got '3'
run_sync(PIPELINE, max_erors=1)
    the run: an option of a run is one of max_errors, capacity, validate, engine, pool, resources, observer, journal, run_id, since, teardown; got max_erors=. Did you mean max_errors=?
run_sync(PIPELINE, pool=3)
    the run: pool must be a WorkerPool; got 3
run_sync(PIPELINE, resources={})
    the run: resources must be a ResourcePool; got {}
run_sync(PIPELINE, observer=print)
    the run: observer must have the methods of Observer; <built-in function print> has no run_started, run_ended, stage_started, stage_ended, chunk_finished, sender_waited, dead_letter
run_sync(PIPELINE, engine=LocalEngine)
    the run: engine must be an object of a class; got the class LocalEngine. Make one: engine=LocalEngine()
run_sync(PIPELINE, journal='night.db')
    the run: journal must have the methods of Journal; 'night.db' has no prepared, record, fingerprint, decide, decision, committed, live
run_sync(PIPELINE, journal=MemoryJournal)
    the run: journal must be an object of a class; got the class MemoryJournal. Make one: journal=MemoryJournal()
run_sync(PIPELINE, validate='no')
    the run: validate must be True or False; got 'no'
run_sync(PIPELINE, run_id='a/b')
    the run: run_id is a name of at most 100 letters, digits and . _ : - (sinks make file names of it); got 'a/b'
run_sync(PIPELINE, run_id='n' * 101)
    the run: run_id is a name of at most 100 letters, digits and . _ : - (sinks make file names of it); got 'nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn'
run_sync(PIPELINE, run_id='')
    the run: run_id is a name of at most 100 letters, digits and . _ : - (sinks make file names of it); got ''
run_sync(PIPELINE, run_id=7)
    the run: run_id is a name of at most 100 letters, digits and . _ : - (sinks make file names of it); got 7
LocalEngine(None)
    LocalEngine: parallel must be a whole number of at least 1; got None
Resource(0)
    Resource: it opens an async context manager function or an object with acquire(info); got int 0. Give a function that opens it: @contextlib.asynccontextmanager, async def, yield
Resource(True)
    Resource: it opens an async context manager function or an object with acquire(info); got bool True. Give a function that opens it: @contextlib.asynccontextmanager, async def, yield
Resource('2')
    Resource: it opens an async context manager function or an object with acquire(info); got str '2'. Give a function that opens it: @contextlib.asynccontextmanager, async def, yield
Capacity(size=5)
    the run: size and weigh of a Capacity go together: the bound, and a function that tells one item's share; got only size
Capacity(weigh=len)
    the run: size and weigh of a Capacity go together: the bound, and a function that tells one item's share; got only weigh
Capacity(size=0, weigh=len)
    the run: size of a Capacity must be above 0; got 0
Capacity(size=-1, weigh=len)
    the run: size of a Capacity must be above 0; got -1
"""


SINK: CollectingSink[int] = CollectingSink()
PIPELINE = items(1) >> SINK
SCOPE = vars()


@each_refusal(OPTIONS)
def test_what_a_run_cannot_work_with_is_refused_where_it_is_written(code: str, said: str) -> None:
    error = refused(code, **SCOPE)
    assert (message(error), error.where, SINK.record.calls) == (said, "composed.py:1", [])


def test_left_out_a_pool_and_an_engine_take_as_many_processes_as_there_are_cores() -> None:
    assert {WorkerPool(None).workers, WorkerPool().workers, SubprocessEngine(None).parallel} == {
        os.cpu_count()
    }


async def test_names_of_runs_may_be_times_and_numbers() -> None:
    report = await run(items(1) >> CollectingSink(), run_id="2024-01-31T02:00:00.Z_7")
    assert report.run == "2024-01-31T02:00:00.Z_7"


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
