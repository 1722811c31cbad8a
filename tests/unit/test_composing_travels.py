"""A description travels: every kind of stage, and a whole pipeline, can be sent to another interpreter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import pytest
from pydantic import BaseModel, TypeAdapter

from piko_flow import Resource, Retry
from piko_flow.errors import PipelineError, StageTypeError
from tests.architecture.checkout import ROOT
from tests.unit.composing import Numbers, Order, is_refund, numbers, plus, same, text, text_later
from tests.unit.unchecked import (
    Batch,
    Broadcast,
    CpuMap,
    Filter,
    FlatMap,
    Fold,
    Merge,
    On,
    Parse,
    Route,
    Sink,
    Source,
    Throttle,
    Transform,
)


@asynccontextmanager
async def client():  # type: ignore[no-untyped-def]  # what it gives does not matter here
    yield 1


def with_client(number: int, client: Any) -> int:
    return number


STAGES: list[Callable[[], Any]] = [
    lambda: Source([1, 2], name="two", retry=Retry(2)),
    lambda: Source(numbers),
    lambda: Source(lambda split: [split], splits=lambda: [1, 2]),
    lambda: Transform(
        with_client, uses={"client": Resource(client, scope="app")}, retry=Retry(3), on="thread"
    ),
    lambda: Transform(text_later, concurrency=3, timeout=1, key=str),
    lambda: Transform(same),
    lambda: Filter(lambda number: number > 1),
    lambda: FlatMap(lambda number: [number]),
    lambda: CpuMap(text, workers=2),
    lambda: Parse(Order, on_error="skip"),
    lambda: Parse(list[Order]),
    lambda: Parse(TypeAdapter(Order)),
    lambda: Batch(3, within=1, weight=len),
    lambda: Fold(plus, start=int, key=str),
    lambda: Throttle(3),
    lambda: Sink(print),
    lambda: Sink(Numbers(), batch=3),
    lambda: On(Order, Sink(print)),
    lambda: Route(On(Order, Sink(print)), On(is_refund, Transform(text))),
    lambda: Broadcast(Sink(print), Transform(text)),
    lambda: Merge(Source([1]), Source([2])),
    lambda: Source([1]) >> Transform(text),
    lambda: Transform(text) >> Sink(print),
    lambda: Source([1]) >> Transform(text) >> Sink(print),
]


@pytest.mark.parametrize("make", STAGES)
def test_every_kind_of_stage_travels(make: Callable[[], Any]) -> None:
    stage = make()
    copy = cloudpickle.loads(cloudpickle.dumps(stage))
    assert type(copy) is type(stage)
    assert (copy.title, copy.origin, list(vars(copy))) == (stage.title, stage.origin, list(vars(stage)))
    assert [leaf.title for leaf in copy.leaves()] == [leaf.title for leaf in stage.leaves()]
    with pytest.raises(AttributeError, match="is frozen"):
        copy.name = "other"


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
    ("compose", "kind"),
    [
        (lambda: Transform(text, timeout=1), PipelineError),
        (lambda: Transform(text) >> Transform(text), StageTypeError),
    ],
)
def test_a_refusal_travels_with_its_facts(compose: Callable[[], object], kind: type[PipelineError]) -> None:
    with pytest.raises(kind) as caught:
        compose()
    copy = cloudpickle.loads(cloudpickle.dumps(caught.value))
    assert type(copy) is kind
    assert (str(copy), vars(copy)) == (str(caught.value), vars(caught.value))
