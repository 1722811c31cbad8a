"""What cannot travel to the interpreter of a unit, or home from it: a clear error or a stand-in, never a hang."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from piko_flow import Receipt, ResourcePool, Sink, SinkTarget, Source, Transform, run
from piko_flow.dataflow.workers.errors import RemoteError
from piko_flow.engines.subprocess import SubprocessEngine
from piko_flow.engines.unit_errors import CannotTravel, Shown
from piko_flow.errors import PipelineError
from piko_flow.testing.observing import RecordingObserver
from tests.runs import error_of, failure


class InMemory(SinkTarget[int]):
    """Keeps what it is given."""

    durable = False

    def __init__(self) -> None:
        self.kept: list[int] = []

    async def write(self, items: Sequence[int], /) -> None:
        self.kept += items


class WritesOnly:
    """The least that a sink can be."""

    def write(self, items: Sequence[int], /) -> None:
        """Forget them."""


@pytest.mark.parametrize("target", [InMemory(), WritesOnly()], ids=["declared", "write alone"])
async def test_a_sink_that_keeps_items_in_memory_is_refused_when_planning(target: Any) -> None:
    sink = Sink(target, name="kept")
    pipeline = Source([1, 2]) >> sink
    with pytest.raises(PipelineError, match="is not durable: what it is given stays in memory") as caught:
        pipeline.plan(engine=SubprocessEngine())
    assert (caught.value.what, caught.value.where) == ("Sink 'kept'", str(sink.origin))
    await error_of(pipeline, PipelineError, match="is not durable", engine=SubprocessEngine())


class LockedSplit:
    """A split that says what it is, and holds what no other interpreter can be given."""

    split_id = "one"

    def __init__(self) -> None:
        self.lock = threading.Lock()


def locked(lock: threading.Lock) -> Any:
    def locked(item: int) -> int:
        with lock:
            return item

    return locked


def read(split: LockedSplit) -> list[int]:
    return [1]


# The pipeline up to its sink, the stage that is named, and what holds it back.
STAYS_HERE: dict[str, tuple[Any, str, str]] = {
    "a lock": (
        Source([1]) >> Transform(locked(threading.Lock())),
        "Transform 'locked'",
        r"closure variable 'lock' .*_thread.lock",
    ),
    "a split": (
        Source(read, splits=lambda: [LockedSplit()]),
        "Source 'read'",
        r"split <.*LockedSplit object.*_thread.lock",
    ),
}


@pytest.mark.parametrize(("chain", "what", "words"), STAYS_HERE.values(), ids=STAYS_HERE)
async def test_what_cannot_travel_is_named_with_what_holds_it_back(chain: Any, what: str, words: str) -> None:
    observer = RecordingObserver()
    pipeline = chain >> Sink(print)
    caught = await error_of(pipeline, CannotTravel, match=words, engine=SubprocessEngine(), observer=observer)
    assert (caught.what, caught.where) == (what, str(list(chain.leaves())[-1].origin))
    assert [fact for fact in observer.facts if "stage started" in fact] == []


async def test_a_module_that_cannot_be_imported_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("homemade_module")
    exec("def double(item): return item * 2", vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    await error_of(
        Source([1]) >> Transform(module.double) >> Sink(print),
        CannotTravel,
        match="ModuleNotFoundError: No module named 'homemade_module'",
        engine=SubprocessEngine(),
    )


async def test_an_error_that_cannot_travel_comes_home_as_text() -> None:
    class Locked(Exception):
        def __init__(self, item: int) -> None:
            super().__init__(f"locked at {item}")
            self.lock = threading.Lock()

    def fail(item: int) -> int:
        raise Locked(item)

    caught = await failure(
        Source([1]) >> Transform(fail) >> Sink(print), match="locked at 1", engine=SubprocessEngine()
    )
    cause = caught.__cause__
    assert isinstance(cause, RemoteError)
    assert "locked at 1" in cause.message
    assert "in fail\n    raise Locked(item)" in cause.traceback
    assert any("raise Locked(item)" in note for note in cause.__notes__)


async def test_the_causes_of_an_error_come_home_with_it() -> None:
    def fail(item: int) -> int:
        try:
            return {1: 1}[item + 1]
        except KeyError as error:
            raise ValueError("no entry") from error

    caught = await failure(Source([1]) >> Transform(fail) >> Sink(print), engine=SubprocessEngine())
    cause = caught.__cause__
    assert isinstance(cause, ValueError)
    assert isinstance(cause.__cause__, KeyError)
    assert "{1: 1}[item + 1]" in "".join(cause.__cause__.__notes__)


async def test_an_item_that_cannot_travel_is_shown() -> None:
    def make(item: int) -> Any:
        return threading.Lock()

    def fail(item: Any) -> Any:
        raise ValueError("no locks")

    start = Source([1]) >> Transform(make)
    caught = await failure(
        start >> Transform(fail) >> Sink(print),
        match=r"on item <unlocked _thread.lock object at .*: ValueError",
        engine=SubprocessEngine(),
    )
    assert isinstance(caught.item, Shown)
    observer = RecordingObserver()
    report = await run(
        start >> Transform(fail, on_error="dead_letter") >> Sink(print),
        engine=SubprocessEngine(),
        observer=observer,
    )
    assert repr(report.dead_letters[0].item).startswith("<unlocked _thread.lock object at ")
    assert [letter.error for letter in observer.letters] == ["ValueError: no locks"]


class LockedReceipt(SinkTarget[int]):
    """Its receipt cannot leave the interpreter."""

    async def write(self, items: Sequence[int], /) -> None:
        """Forget them."""

    async def prepare(self) -> Receipt:
        return Receipt(self.part, self.items, {"lock": threading.Lock()})


async def test_a_receipt_that_cannot_travel_fails_its_sink() -> None:
    caught = await failure(
        Source([1]) >> Sink(LockedReceipt()),
        match="its receipt must be picklable to reach the run",
        engine=SubprocessEngine(),
    )
    assert caught.stage == "LockedReceipt"


async def test_resources_of_the_application_are_opened_by_the_unit_itself() -> None:
    @asynccontextmanager
    async def client() -> AsyncIterator[int]:
        yield 5

    async def use(item: int, client: int) -> int:
        assert client == 5
        return item

    async with ResourcePool() as resources:
        report = await run(
            Source([1, 2]) >> Transform(use, uses={"client": client}) >> Sink(id),
            engine=SubprocessEngine(),
            resources=resources,
        )
    assert report.stages[-1].emitted == 2
