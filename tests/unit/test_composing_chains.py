"""Stages and chains are frozen values: shared, compared by identity, copied, sent to another interpreter; a sink closes them."""

from __future__ import annotations

import copy
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import pytest
from pydantic import BaseModel

from piko_flow import Pipeline, PipelineError, SinkLike, SourceLike, StageTypeError, TransformLike, run, start
from piko_flow.dataflow.graph.boxes import graph_of
from tests.architecture.checkout import ROOT
from tests.runs import error_of
from tests.unit.composing import composed, numbers, refused, text
from tests.unit.unchecked import (
    Batch,
    Broadcast,
    Filter,
    Merge,
    On,
    Parse,
    Route,
    Sink,
    Source,
    Throttle,
    Transform,
)

STAGES = """
Source([1, 2], name='two', retry=Retry(2))
Source(numbers)
Source(lambda split: [split], splits=lambda: [1, 2])
Transform(with_client, uses={'client': Resource(opened, scope='app')}, retry=Retry(3), on='thread')
Transform(text_later, concurrency=3, timeout=1, key=str)
Transform(same)
Filter(lambda number: number > 1)
FlatMap(lambda number: [number])
CpuMap(text, workers=2)
Parse(Order, on_error='skip')
Parse(list[Order])
Parse(TypeAdapter(Order))
Batch(3, within=1, weight=len)
Fold(plus, start=int, key=str)
Throttle(3)
Sink(print)
Sink(Numbers(), batch=3)
On(Order, Sink(print))
Route(On(Order, Sink(print)), On(is_refund, Transform(text)))
Broadcast(Sink(print), Transform(text))
Merge(Source([1]), Source([2]))
Source(numbers) >> Transform(text)
Transform(text) >> Transform(upper)
Transform(text) >> Sink(print)
Source([1]) >> Transform(text) >> Sink(print)
"""
each_stage = pytest.mark.parametrize("code", STAGES.strip().splitlines())


@asynccontextmanager
async def opened():  # type: ignore[no-untyped-def]  # what it gives does not matter here
    yield 1


def with_client(number: int, client: Any) -> int:
    return number


def made(code: str) -> Any:
    return composed(code, opened=opened, with_client=with_client)


@each_stage
def test_a_stage_is_frozen(code: str) -> None:
    stage = made(code)
    with pytest.raises(AttributeError, match=r"is frozen: make a new stage instead of setting 'name'"):
        stage.name = "other"
    with pytest.raises(AttributeError, match=r"is frozen: 'name' cannot be removed"):
        del stage.name
    with pytest.raises(AttributeError, match=r"is frozen: make a new stage instead of setting 'extra'"):
        stage.extra = 1


@each_stage
def test_a_stage_is_itself_and_no_other(code: str) -> None:
    stage, other = made(code), made(code)
    assert stage == stage  # identity is what this is about
    assert stage != other
    assert len({stage, other}) == 2
    assert repr(stage) == f"<{stage.title} at {stage.origin}>"


@each_stage
@pytest.mark.parametrize("copied", [copy.copy, lambda stage: cloudpickle.loads(cloudpickle.dumps(stage))])
def test_a_stage_can_be_copied_and_travels_to_another_interpreter(code: str, copied: Any) -> None:
    stage = made(code)
    other = copied(stage)
    assert type(other) is type(stage)
    assert (repr(other), list(vars(other))) == (repr(stage), list(vars(stage)))
    assert [leaf.title for leaf in other.leaves()] == [leaf.title for leaf in stage.leaves()]
    with pytest.raises(AttributeError, match="is frozen"):
        other.name = "other"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("Source(numbers) >> Transform(text)", SourceLike),
        ("Transform(text) >> Transform(upper)", TransformLike),
        ("Transform(text) >> Sink(print)", SinkLike),
        ("Source(numbers) >> Sink(print)", Pipeline),
        ("Source(numbers) >> (Transform(text) >> Sink(print))", Pipeline),
        ("Source(numbers) >> Route(On(int, Sink(print)), On(object, Sink(print)))", Pipeline),
        ("Source(numbers) >> Route(On(int, Transform(text)), On(object, Sink(print)))", SourceLike),
        ("Source(numbers) >> Broadcast(Sink(print), Sink(print))", Pipeline),
        ("Merge(Source(numbers), Source(numbers) >> Transform(text))", SourceLike),
    ],
)
def test_source_transforms_and_sink_make_what_they_should(code: str, kind: type) -> None:
    assert isinstance(composed(code), kind)


def test_joining_is_the_same_wherever_the_brackets_stand() -> None:
    a, b, c, d = Source(numbers), Transform(text), Transform(len), Sink(print)
    assert [(a >> b >> c >> d).parts] == [(a >> (b >> (c >> d))).parts] == [((a >> b) >> (c >> d)).parts]
    assert (a >> b >> c >> d).name == "numbers >> text >> len >> print"


def test_a_stage_has_the_name_of_its_function_and_its_times_in_seconds() -> None:
    assert Transform(partial(pow, 1)).name == "pow"
    assert Transform("a".join).name == "join"
    assert (
        composed("Transform(text_later, timeout=minute)", minute=timedelta(minutes=1)).options.timeout == 60
    )
    assert Batch(3, within=timedelta(milliseconds=1)).within == 0.001
    assert Throttle(3, per=2).per == 2
    assert Route(On(str | int, Sink(print)), On(object, Sink(print))).labels == ("str | int", "object")


async def test_a_chain_serves_two_pipelines() -> None:
    chain, first, second = Transform(text) >> Transform(len), list[int](), list[int]()
    one = Source([1, 22]) >> chain >> Sink(first.append)
    two = Source([333]) >> chain >> Sink(second.append)
    for pipeline in (one, two, one):
        await run(pipeline)
    assert (first, second) == ([1, 2, 1, 2], [3])


async def test_a_chain_serves_two_branches_of_one_pipeline() -> None:
    chain = Transform(text) >> Filter(str.isdigit)
    pipeline = Source([1, -22]) >> Broadcast(chain, chain >> Transform(len))
    assert set(await pipeline.collect()) == {"1", 1}
    names = ["list", "broadcast", "text", "isdigit", "text#2", "isdigit#2", "len", "after broadcast"]
    assert [box.name for box in graph_of(pipeline).boxes] == names


def test_a_source_serves_two_branches_of_a_merge() -> None:
    source = Source(numbers)
    merged = graph_of(Merge(source, source >> Transform(text)))
    assert [box.name for box in merged.boxes] == ["numbers", "numbers#2", "text", "merge"]


def test_two_sinks_of_one_function_are_two_places() -> None:
    assert len(list(Broadcast(Sink(print), Sink(print)).leaves())) == 3


async def test_what_is_not_closed_neither_runs_nor_starts() -> None:
    await error_of(Source(numbers), PipelineError, match=r"^.*: run\(\) needs a closed pipeline")
    with pytest.raises(PipelineError, match=r"^.*: start\(\) needs a closed pipeline: .* it has no sink"):
        async with start(Source(numbers)):
            pass


def local_pipeline(lowest: int) -> Any:
    """A pipeline whose functions and model exist in this call only."""

    class Reading(BaseModel):
        value: int

    @dataclass
    class High:
        value: int

    def sort(reading: Reading) -> Reading | High:
        return High(reading.value) if reading.value > lowest else reading

    def show(item: Any) -> None:
        print(type(item).__name__, item.value)

    return (
        Source([{"value": 1}, b'{"value": 9}'])
        >> Parse(Reading)
        >> Transform(sort)
        >> Route(On(High, Sink(show, name="high")), On(Reading, Sink(show, name="low")))
    )


def test_a_pipeline_made_of_local_things_runs_in_another_interpreter() -> None:
    runs = "import pickle, sys; pickle.load(sys.stdin.buffer).run_sync()"
    sent = cloudpickle.dumps(local_pipeline(5))
    run = subprocess.run([sys.executable, "-c", runs], input=sent, capture_output=True, cwd=ROOT, check=False)
    assert run.stderr.decode() == ""
    assert sorted(run.stdout.decode().splitlines()) == ["High 9", "Reading 1"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [("Transform(text, timeout=1)", PipelineError), ("Transform(text) >> Transform(text)", StageTypeError)],
)
def test_a_refusal_travels_with_its_facts(code: str, kind: type[PipelineError]) -> None:
    error = refused(code, kind)
    copied = cloudpickle.loads(cloudpickle.dumps(error))
    assert type(copied) is kind
    assert (str(copied), vars(copied)) == (str(error), vars(error))
