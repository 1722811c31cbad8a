"""Chains and pipelines are frozen values: shared, compared by identity, closed by a sink, one place for each sink."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from piko_flow import Pipeline, run, run_sync, start
from piko_flow.dataflow.graph.boxes import graph_of
from piko_flow.dataflow.stages.pipeline import closed
from piko_flow.dataflow.stages.stage import SinkLike, SourceLike, Stage, TransformLike
from piko_flow.errors import PipelineError
from tests.unit.composing import Numbers, Order, numbers, plus, refusal, text, upper
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

ADD_SINK = "Add >> Sink(...), or use collect(), take() or preview()"
EVERY_KIND: list[Callable[[], Any]] = [
    lambda: Source(numbers),
    lambda: Transform(text),
    lambda: Filter(text),
    lambda: FlatMap(text),
    lambda: CpuMap(text),
    lambda: Parse(Order),
    lambda: Batch(3),
    lambda: Fold(plus, start=int),
    lambda: Throttle(3),
    lambda: Sink(print),
    lambda: Sink(Numbers()),
    lambda: On(Order, Sink(print)),
    lambda: Route(On(Order, Sink(print))),
    lambda: Broadcast(Sink(print), Transform(text)),
    lambda: Merge(Source([1]), Source([2])),
    lambda: Source(numbers) >> Transform(text),
    lambda: Transform(text) >> Transform(upper),
    lambda: Transform(text) >> Sink(print),
    lambda: Source(numbers) >> Sink(print),
]
every_kind = pytest.mark.parametrize("make", EVERY_KIND, ids=lambda make: make().kind)


def test_source_transforms_and_sink_make_what_they_should() -> None:
    source, transform, sink = Source(numbers), Transform(text), Sink(print)
    assert isinstance(source >> transform, SourceLike)
    assert isinstance(transform >> Transform(upper), TransformLike)
    assert isinstance(transform >> sink, SinkLike)
    assert isinstance(source >> sink, Pipeline)
    assert isinstance(source >> (transform >> sink), Pipeline)
    assert isinstance(source >> Route(On(int, sink), On(object, Sink(print))), Pipeline)
    assert isinstance(source >> Route(On(int, transform), On(object, sink)), SourceLike)
    assert isinstance(source >> Broadcast(sink, Sink(print)), Pipeline)
    assert isinstance(Merge(source, source >> transform), SourceLike)


def test_joining_is_the_same_wherever_the_brackets_stand() -> None:
    a, b, c, d = Source(numbers), Transform(text), Transform(upper), Sink(print)
    assert [(a >> b >> c >> d).parts] == [(a >> (b >> (c >> d))).parts] == [((a >> b) >> (c >> d)).parts]
    assert (a >> b >> c >> d).name == "numbers >> text >> upper >> print"


@every_kind
def test_a_stage_is_frozen(make: Callable[[], Any]) -> None:
    stage = make()
    with pytest.raises(AttributeError, match=r"is frozen: make a new stage instead of setting 'name'"):
        stage.name = "other"
    with pytest.raises(AttributeError, match=r"is frozen: 'name' cannot be removed"):
        del stage.name
    with pytest.raises(AttributeError, match=r"is frozen: make a new stage instead of setting 'extra'"):
        stage.extra = 1


@every_kind
def test_a_stage_is_itself_and_no_other(make: Callable[[], Any]) -> None:
    stage, other = make(), make()
    assert stage == stage  # identity is what this is about
    assert stage != other
    assert len({stage, other}) == 2
    assert repr(stage) == f"<{stage.title} at {stage.origin}>"


@every_kind
def test_a_stage_can_be_copied(make: Callable[[], Any]) -> None:
    stage = make()
    assert vars(copy.copy(stage)) == vars(stage)


async def test_a_chain_serves_two_pipelines() -> None:
    chain, first, second = Transform(text) >> Transform(len), [], []  # type: ignore[var-annotated]
    one = Source([1, 22]) >> chain >> Sink(first.append)
    two = Source([333]) >> chain >> Sink(second.append)
    await run(one)
    await run(two)
    await run(one)
    assert (first, second) == ([1, 2, 1, 2], [3])


async def test_a_chain_serves_two_branches_of_one_pipeline() -> None:
    chain = Transform(text) >> Filter(str.isdigit)
    pipeline = Source([1, -22]) >> Broadcast(chain, chain >> Transform(len))
    assert set(await pipeline.collect()) == {"1", 1}
    assert [box.name for box in graph_of(pipeline).boxes] == [
        "list",
        "broadcast",
        "text",
        "isdigit",
        "text#2",
        "isdigit#2",
        "len",
        "after broadcast",
    ]


def test_a_source_serves_two_branches_of_a_merge() -> None:
    source = Source(numbers)
    assert [box.name for box in graph_of(Merge(source, source >> Transform(text))).boxes] == [
        "numbers",
        "numbers#2",
        "text",
        "merge",
    ]


@pytest.mark.parametrize(
    ("value", "got", "advice"),
    [
        (lambda: Source(numbers), "it has no sink", ADD_SINK),
        (lambda: Source(numbers) >> Transform(text), "it has no sink", ADD_SINK),
        (lambda: Source(numbers) >> Broadcast(Sink(print), Transform(text)), "it has no sink", ADD_SINK),
        (lambda: Merge(Source([1]), Source([2])), "it has no sink", ADD_SINK),
        (
            lambda: Transform(text),
            "it has neither source nor sink",
            "Put a Source before it and a Sink behind it",
        ),
        (lambda: Transform(text) >> Sink(print), "it has no source", "Put a Source before it"),
        (lambda: Sink(print), "it has no source", "Put a Source before it"),
        (lambda: [1], "got list [1]", ""),
        (lambda: print, "got the function print", ""),
    ],
)
async def test_what_is_not_closed_does_not_run(value: Callable[[], Any], got: str, advice: str) -> None:
    made = value()
    at = made.origin if isinstance(made, Stage) else None
    for why, use in (("run_sync()", lambda: run_sync(made)), ("check", lambda: closed(made, why="check"))):
        error = refusal(use, at=at)
        assert error.rule == f"{why} needs a closed pipeline: source >> ... >> sink"
        assert (error.got, error.advice) == (got, advice)
    with pytest.raises(PipelineError, match=r"^.*: run\(\) needs a closed pipeline"):
        await run(made)
    with pytest.raises(PipelineError, match=r"^.*: start\(\) needs a closed pipeline"):
        async with start(made):
            pass


@pytest.mark.parametrize(
    ("compose", "what"),
    [
        pytest.param(lambda sink: Broadcast(sink, sink), "Broadcast", id="broadcast"),
        pytest.param(lambda sink: Route(On(int, sink), On(object, sink)), "Route", id="route"),
        pytest.param(
            lambda sink: Broadcast(sink, Transform(text) >> Broadcast(Sink(print), sink)),
            "Broadcast",
            id="nested",
        ),
        pytest.param(
            lambda sink: Source([1]) >> Broadcast(sink, Transform(text)) >> sink,
            "Pipeline 'list >> broadcast >> write'",
            id="before and behind",
        ),
        pytest.param(
            lambda sink: Merge(*[Source([1]) >> Broadcast(sink, Transform(text)) for _ in range(2)]),
            "Merge",
            id="merge",
        ),
    ],
)
def test_a_sink_has_one_place(compose: Callable[[Any], object], what: str) -> None:
    sink = Sink(print, name="write")
    error = refusal_of_sink(lambda: compose(sink))
    assert error.what == what
    assert error.got == f"Sink 'write' ({sink.origin}) is in two"
    assert error.advice == "Let the branches meet before it, or make two sinks"


def test_a_target_has_one_place_as_well() -> None:
    target = Numbers()
    error = refusal(lambda: Broadcast(Sink(target), Sink(target)))
    assert (error.rule, error.what) == ("a sink has one place in a pipeline", "Broadcast")


def test_two_sinks_of_one_function_are_two_places() -> None:
    assert len(list(Broadcast(Sink(print), Sink(print)).leaves())) == 3


def refusal_of_sink(compose: Callable[[], object]) -> PipelineError:
    with pytest.raises(PipelineError) as caught:
        compose()
    assert caught.value.rule == "a sink has one place in a pipeline"
    return caught.value


@pytest.mark.parametrize(
    ("compose", "what", "rule", "got", "advice"),
    [
        pytest.param(
            lambda: Source(numbers) >> text,
            ">> after Source 'numbers'",
            "a transform or a sink must follow",
            "got the function text",
            "Wrap it: Transform(...), Filter(...), CpuMap(...) or Sink(...)",
            id="function behind",
        ),
        pytest.param(
            lambda: Transform(text) >> Transform,
            ">> after Transform 'text'",
            "a transform or a sink must follow",
            "got the class Transform",
            "Wrap it: Transform(...), Filter(...), CpuMap(...) or Sink(...)",
            id="class behind",
        ),
        pytest.param(
            lambda: Source(numbers) >> Source(numbers),
            ">> after Source 'numbers'",
            "a transform or a sink must follow",
            "got Source 'numbers'",
            "Use Merge(a, b) to read two sources",
            id="source behind",
        ),
        pytest.param(
            lambda: Source(numbers) >> 5,
            ">> after Source 'numbers'",
            "a transform or a sink must follow",
            "got int 5",
            "",
            id="number behind",
        ),
        pytest.param(
            lambda: [1] >> Transform(text),
            ">> before Transform 'text'",
            "a pipeline is made of stages",
            "got list [1]",
            "Wrap it: Source(...) for what is read, Transform(...) for a function",
            id="list before",
        ),
        pytest.param(
            lambda: numbers >> Transform(text),
            ">> before Transform 'text'",
            "a pipeline is made of stages",
            "got the function numbers",
            "Wrap it: Source(...) for what is read, Transform(...) for a function",
            id="function before",
        ),
        pytest.param(
            lambda: Sink(print) >> Transform(text),
            "Sink 'print'",
            "nothing can follow a sink",
            "got Transform 'text' after it",
            "Use Broadcast to feed two sinks",
            id="behind a sink",
        ),
        pytest.param(
            lambda: Source(numbers) >> Sink(print) >> Sink(print),
            "Pipeline 'numbers >> print'",
            "a pipeline is closed: nothing can follow it",
            "got Sink 'print' after it",
            "",
            id="behind a pipeline",
        ),
    ],
)
def test_a_joint_needs_stages_on_both_sides(
    compose: Callable[[], object], what: str, rule: str, got: str, advice: str
) -> None:
    error = refusal(compose)
    assert (error.what, error.rule, error.got, error.advice) == (what, rule, got, advice)
