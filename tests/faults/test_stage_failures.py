"""Whatever a function of a stage raises, and wherever it runs: its run fails at that item, or loses that item alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest

from piko_flow import (
    Batch,
    CallCancelled,
    CpuMap,
    Filter,
    FlatMap,
    Fold,
    LocalEngine,
    On,
    Retry,
    Route,
    Sink,
    Source,
    StageFailed,
    Transform,
    WorkerPool,
    run,
    run_sync,
)
from piko_flow.dataflow.stages.stage_options import OnError
from piko_flow.dataflow.workers.errors import RemoteError
from piko_flow.errors import CallExited
from piko_flow.testing import CollectingSink, RecordingObserver, items
from tests.runs import failure

BAD, GOOD = 3, [0, 1, 2, 4, 5, 6, 7, 8, 9]


class Broken(Exception):
    """What breaks here."""


class Refused(Exception):
    """What breaks in the run inside."""


FAILED_INSIDE = Exception("stands for a run that the function starts, and that fails")
ERRORS: dict[str, tuple[BaseException, type[BaseException], str]] = {
    "an error": (Broken("three"), Broken, "Broken: three"),
    "an exit": (SystemExit("no more"), CallExited, "no more"),
    "a cancellation": (asyncio.CancelledError(), CallCancelled, "CancelledError"),
    "a StopIteration": (StopIteration(), Exception, "StopIteration"),
    "a failed run inside": (FAILED_INSIDE, StageFailed, "Refused: three"),
}


def refuse(item: int) -> int:
    raise Refused("three")


class Forms:
    """One function, which raises the error for one item, in every form that a stage takes."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def plain(self, item: int) -> int:
        if item == BAD and self.error.args == FAILED_INSIDE.args:
            run_sync(Source([item]) >> Transform(refuse, name="inside") >> CollectingSink(), run_id="inner")
        if item == BAD:
            raise self.error
        return item

    async def later(self, item: int) -> int:
        return self.plain(item)

    def keeps(self, item: int) -> bool:
        return self.plain(item) == item

    async def keeps_later(self, item: int) -> bool:
        return self.keeps(item)

    def several(self, item: int) -> Iterator[int]:
        yield self.plain(item)

    def listed(self, item: int) -> list[int]:
        return [self.plain(item)]

    async def several_later(self, item: int) -> AsyncIterator[int]:
        yield self.plain(item)

    async def listed_later(self, item: int) -> list[int]:
        return self.listed(item)

    def adding(self, total: int, item: int) -> int:
        return total + self.plain(item)


async def same(item: int) -> int:
    return item


THREE: dict[str, Any] = {"concurrency": 3}
TWICE: dict[str, Any] = {"retry": Retry(2, first=0)}
POLICED: dict[str, Callable[..., Any]] = {
    "Transform": lambda forms, **o: Transform(forms.plain, **o),
    "Transform tried again": lambda forms, **o: Transform(forms.plain, **TWICE, **o),
    "Transform on a thread": lambda forms, **o: Transform(forms.plain, on="thread", **THREE, **o),
    "Transform awaited": lambda forms, **o: Transform(forms.later, **o),
    "Transform awaited, tried again": lambda forms, **o: Transform(forms.later, **THREE, **TWICE, **o),
    "Transform in order": lambda forms, **o: Transform(forms.later, **THREE, **o),
    "Transform unordered": lambda forms, **o: Transform(forms.later, ordered=False, **THREE, **o),
    "Transform by key": lambda forms, **o: Transform(forms.later, key=str, **THREE, **o),
    "Filter": lambda forms, **o: Filter(forms.keeps, **o),
    "Filter awaited": lambda forms, **o: Filter(forms.keeps_later, **THREE, **o),
    "FlatMap": lambda forms, **o: FlatMap(forms.several, **o),
    "FlatMap of lists": lambda forms, **o: FlatMap(forms.listed, **o),
    "FlatMap tried again": lambda forms, **o: FlatMap(forms.listed, **TWICE, **o),
    "FlatMap on a thread": lambda forms, **o: FlatMap(forms.several, on="thread", **o),
    "FlatMap awaited": lambda forms, **o: FlatMap(forms.several_later, **o),
    "FlatMap of awaited lists": lambda forms, **o: FlatMap(forms.listed_later, **THREE, **o),
    "CpuMap": lambda forms, **o: CpuMap(forms.plain, workers=1, **o),
    "Route": lambda forms, **o: Route(On(forms.keeps, Transform(abs)), **o),
    "Sink": lambda forms, **o: Sink(forms.plain, **o),
    "Sink awaited": lambda forms, **o: Sink(forms.later, **THREE, **o),
    "Sink on a thread": lambda forms, **o: Sink(forms.plain, on="thread", **o),
}
FAILING: dict[str, Callable[..., Any]] = {
    "Fold": lambda forms, **o: Fold(forms.adding, start=int, **o),
    "Fold by key": lambda forms, **o: Fold(forms.adding, start=int, key=str, **o),
    "Fold's key": lambda forms, **o: Fold(lambda total, item: total, start=int, key=forms.plain, **o),
    "Transform's key": lambda forms, **o: Transform(same, key=forms.plain, **o),
    "Batch's weight": lambda forms, **o: Batch(3, weight=forms.plain, **o),
}


def pipeline_of(stage: Any, sink: CollectingSink[int]) -> Any:
    """The stage between ten items of two units and the sink, or as the sink."""
    return items(10, units=2) >> stage if isinstance(stage, Sink) else items(10, units=2) >> stage >> sink


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("kind", [*POLICED, *FAILING])
async def test_the_failure_names_stage_place_item_and_run_and_leads_to_the_users_error(
    kind: str, error: str, pool: WorkerPool
) -> None:
    raised, cause, words = ERRORS[error]
    stage = (POLICED | FAILING)[kind](Forms(raised), name="work")
    sink: CollectingSink[int] = CollectingSink()
    failed = await failure(pipeline_of(stage, sink), run_id="r1", engine=LocalEngine(parallel=2), pool=pool)
    assert (failed.stage, failed.where, failed.run) == ("work", str(stage.origin), "r1")
    escaped = not isinstance(raised, Exception)
    assert failed.item == BAD
    assert "stage 'work'" in str(failed)
    assert words in str(failed)
    assert sink.items == []
    assert isinstance(failed.__cause__, RemoteError if escaped and kind == "CpuMap" else cause)
    contexts = [failed.__context__, getattr(failed.__context__, "__context__", None)]
    if raised is not FAILED_INSIDE:
        assert not any(isinstance(one, BaseExceptionGroup | StageFailed) for one in contexts)


@pytest.mark.parametrize("on_error", ["skip", "dead_letter"])
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("kind", POLICED)
async def test_one_item_is_lost_as_the_stage_says(
    kind: str, error: str, on_error: OnError, pool: WorkerPool
) -> None:
    raised, _, words = ERRORS[error]
    stage = POLICED[kind](Forms(raised), on_error=on_error, name="work")
    sink, observer = CollectingSink[int](), RecordingObserver()
    report = await run(pipeline_of(stage, sink), pool=pool, observer=observer)
    assert sorted(sink.items) == ([] if isinstance(stage, Sink) else GOOD)
    work, dead = report.stage("work"), on_error == "dead_letter"
    assert (work.received, work.emitted) == (10, 9)
    assert (work.skipped, work.dead) == ((0, 1) if dead else (1, 0))
    assert [(one.stage, one.item, one.where) for one in report.dead_letters] == (
        [("work", BAD, str(stage.origin))] if dead else []
    )
    assert all(words in one.error for one in report.dead_letters)
    assert all(one.error.startswith(one.error_type) for one in report.dead_letters if kind != "CpuMap")
    assert observer.letters == list(report.dead_letters)


def read(error: BaseException) -> Iterator[int]:
    yield from range(3)
    Forms(error).plain(BAD)


async def read_later(error: BaseException) -> AsyncIterator[int]:
    for item in read(error):
        yield item


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("capacity", [1, 1024])
@pytest.mark.parametrize(("reads", "on"), [(read, "loop"), (read, "thread"), (read_later, "loop")])
async def test_a_source_that_fails_is_named(reads: Any, on: Any, capacity: int, error: str) -> None:
    raised, cause, words = ERRORS[error]
    sink: CollectingSink[int] = CollectingSink()
    source: Source[int] = Source(partial(reads, raised), on=on, name="source")
    failed = await failure(source >> sink, match="stage 'source'", capacity=capacity)
    assert words in str(failed)
    assert failed.item is None
    assert isinstance(failed.__cause__, cause)
    assert sink.items == []
