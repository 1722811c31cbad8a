"""A function whose result is to be awaited, also once it was, fails its stage on that item, however late it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any

import pytest

from piko_flow import Batch, Filter, FlatMap, Fold, On, Retry, Route, Sink, Source, Transform, run
from piko_flow.errors import CoroutineReturned
from piko_flow.testing import CollectingSink, items
from tests.runs import failure

ITEMS = 100_001
RESULTS: dict[str, Callable[[int], Any]] = {
    "Transform": lambda item: item,
    "Filter": lambda item: True,
    "FlatMap": lambda item: (item,),
    "Sink": lambda item: None,
    "Route": lambda item: True,
    "Fold": lambda item: item,
    "Fold's key": lambda item: item % 7,
}


async def coroutine(item: int) -> int:
    return item


def late(kind: str, at: int) -> Callable[..., Any]:
    """A function without annotations for this kind of stage; for the item `at` it returns a coroutine."""
    result = RESULTS[kind]
    return lambda *given: coroutine(at) if given[-1] == at else result(given[-1])


class Callee:
    def __init__(self, work: Callable[..., Any]) -> None:
        self.work = work

    def __call__(self, *given: Any):  # type: ignore[no-untyped-def]
        return self.work(*given)

    def method(self, *given: Any):  # type: ignore[no-untyped-def]
        return self.work(*given)


def second(_: str, work: Callable[..., Any], *given: Any):  # type: ignore[no-untyped-def]
    return work(*given)


def defined(work: Callable[..., Any]) -> Callable[..., Any]:
    def inner(*given):  # type: ignore[no-untyped-def]
        return work(*given)

    return inner


FORMS: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "lambda": lambda work: lambda *given: work(*given),
    "def": defined,
    "partial": lambda work: partial(second, "first", work),
    "object": Callee,
    "method": lambda work: Callee(work).method,
}


def pipeline_of(kind: str, work: Any, got: list[Any], **options: Any) -> Any:
    """A pipeline with the function in a stage of this kind, named work, whose sink puts what it gets into the list."""
    source: Source[Any] = Source(range(ITEMS))
    sink: Sink[Any] = Sink(got.append)
    if kind == "Sink":
        return source >> Sink(work, name="work", **options)
    if kind == "Route":
        return source >> Route(On(work, sink), name="work", **options)
    if kind == "Fold":
        return source >> Fold(work, start=int, name="work") >> sink
    if kind == "Fold's key":
        return source >> Fold(lambda value, item: item, start=int, key=work, name="work") >> sink
    stages: dict[str, Any] = {"Transform": Transform, "Filter": Filter, "FlatMap": FlatMap}
    return source >> stages[kind](work, name="work", **options) >> sink


@pytest.mark.parametrize("at", [0, 1, 63, 64, 65, 1000, 100_000])
@pytest.mark.parametrize("kind", RESULTS)
@pytest.mark.parametrize("form", FORMS)
async def test_a_coroutine_is_refused_after_any_number_of_plain_results(
    form: str, kind: str, at: int
) -> None:
    got: list[Any] = []
    caught = await failure(pipeline_of(kind, FORMS[form](late(kind, at)), got), match="returned a coroutine")
    assert isinstance(caught.__cause__, CoroutineReturned)
    assert (caught.stage, caught.item) == ("work", at)
    assert got == list(range(len(got)))
    assert len(got) <= at


class Promise:
    def __await__(self) -> Generator[None, None, int]:
        yield
        return 1


@pytest.mark.parametrize(
    "make", [Promise, lambda: asyncio.get_running_loop().create_future()], ids=["class", "future"]
)
async def test_anything_else_to_be_awaited_is_refused_too(make: Callable[[], Awaitable[Any]]) -> None:
    got: list[Any] = []
    caught = await failure(
        pipeline_of("Transform", lambda item: make() if item == 1000 else item, got),
        match="which is to be awaited",
    )
    assert (caught.stage, caught.item) == ("work", 1000)


@pytest.mark.parametrize("kind", ["Transform", "Filter", "FlatMap", "Sink", "Route"])
async def test_every_coroutine_is_skipped_where_failures_are(kind: str) -> None:
    """Also between results of ever other classes."""
    got: list[Any] = []
    plain = RESULTS[kind]
    shapes: list[Callable[[Any], Any]] = [
        lambda value: value,
        lambda value: type("New", (list,), {})([value]),
    ]

    def work(item):  # type: ignore[no-untyped-def]
        return coroutine(item) if item % 3 == 0 else shapes[item % 2 if item < 5000 else 0](plain(item))

    report = await run(pipeline_of(kind, work, got, on_error="skip"))
    (stage,) = [one for one in report.stages if one.name == "work"]
    assert (stage.skipped, stage.received) == (ITEMS // 3 + 1, ITEMS)
    assert not any(isinstance(one, Awaitable) for one in got)


def coroutine_of(item: int) -> Any:
    return coroutine(item)


async def same(item: int) -> int:
    return item


ALONE: dict[str, Any] = {
    "Transform": Transform(coroutine_of, name="work"),
    "Transform's key": Transform(same, concurrency=5, key=coroutine_of, name="work"),
    "Transform, thread": Transform(coroutine_of, on="thread", name="work"),
    "Transform, tried": Transform(coroutine_of, retry=Retry(2, first=0), name="work"),
    "Transform, keyed": Transform(coroutine_of, key=abs, name="work"),
    "FlatMap, thread": FlatMap(coroutine_of, on="thread", name="work"),
    "FlatMap, tried": FlatMap(coroutine_of, retry=Retry(2, first=0), name="work"),
    "Route into a list": Route(On(coroutine_of, Batch(1)), name="work"),
}


async def test_a_fold_that_begins_with_a_coroutine_fails() -> None:
    fold: Any = Fold(lambda value, item: item, start=lambda: coroutine(1), name="work")
    caught = await failure(items(5) >> Transform(abs) >> fold >> CollectingSink(), match="a coroutine")
    assert caught.stage == "work"


@pytest.mark.parametrize("stage", ALONE.values(), ids=ALONE)
async def test_a_coroutine_is_refused_by_stages_of_every_kind(stage: Any) -> None:
    before: Any = Filter(lambda item: item >= 50)  # the stage meets its first item late
    caught = await failure(items(99) >> before >> stage >> CollectingSink(), match="returned a coroutine")
    assert isinstance(caught.__cause__, CoroutineReturned)
    assert (caught.stage, caught.item) == ("work", 50)


def forgotten(at: int, plain: Callable[[int], Any]) -> Callable[[int], Any]:
    """An async function that forgets an `await` for the item `at`."""

    async def work(item: int) -> Any:
        return coroutine(item) if item == at else plain(item)

    return work


FORGETTING: dict[str, Callable[[int], Any]] = {
    "Transform": lambda at: Transform(forgotten(at, abs), name="work"),
    "Transform, concurrent": lambda at: Transform(forgotten(at, abs), concurrency=4, name="work"),
    "Transform, unordered": lambda at: Transform(
        forgotten(at, abs), concurrency=4, ordered=False, name="work"
    ),
    "Transform, tried": lambda at: Transform(forgotten(at, abs), retry=Retry(2, first=0), name="work"),
    "Transform, timed": lambda at: Transform(forgotten(at, abs), timeout=9, name="work"),
    "Transform, keyed": lambda at: Transform(forgotten(at, abs), key=abs, name="work"),
    "Filter": lambda at: Filter(forgotten(at, lambda item: True), name="work"),
    "FlatMap": lambda at: FlatMap(forgotten(at, lambda item: [item]), name="work"),
    "Sink": lambda at: Sink(forgotten(at, abs), name="work"),
}


@pytest.mark.parametrize("at", [0, 1000])
@pytest.mark.parametrize("stage", FORGETTING.values(), ids=FORGETTING)
async def test_a_forgotten_await_in_an_async_function_is_refused(
    stage: Callable[[int], Any], at: int
) -> None:
    made = stage(at)
    caught = await failure(
        items(1001) >> (made if isinstance(made, Sink) else made >> CollectingSink()),
        match="an async function returned a coroutine; write `await`",
    )
    assert isinstance(caught.__cause__, CoroutineReturned)
    assert (caught.stage, caught.item) == ("work", at)
