"""The option `uses`: what a stage needs is opened where it runs, once, and closed whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from piko_flow import (
    Filter,
    FlatMap,
    PipelineError,
    Resource,
    ResourceFailed,
    ResourcePool,
    RunInfo,
    Sink,
    Source,
    Transform,
    run,
)
from piko_flow.testing import CollectingSink, items, turns
from tests.runs import error_of, failure


class Opened:
    """A resource on record."""

    def __init__(self, *, turns_to_open: int = 0, fails: Exception | None = None) -> None:
        self.log: list[str] = []
        self.infos: list[RunInfo] = []
        self.open = 0
        self.turns_to_open, self.fails = turns_to_open, fails

    @asynccontextmanager
    async def acquire(self, info: RunInfo) -> AsyncIterator[Opened]:
        self.infos.append(info)
        self.log.append("open")
        await turns(self.turns_to_open)
        if self.fails is not None:
            raise self.fails
        self.open += 1
        try:
            yield self
        finally:
            await turns(1)
            self.open -= 1
            self.log.append("close")

    def check(self, item: int) -> int:
        assert self.open == 1
        return item


def plain(item: int, *, client: Opened) -> int:
    return client.check(item)


async def waiting(item: int, *, client: Opened) -> int:
    await turns(1)
    return client.check(item)


def keep(item: int, client: Opened) -> bool:
    return client.check(item) == item


async def spread(item: int, client: Opened) -> AsyncIterator[int]:
    yield client.check(item)


def read(*, client: Opened) -> Iterator[int]:
    for item in range(5):
        yield client.check(item)


async def test_every_kind_of_stage_is_given_what_it_uses() -> None:
    client = Opened()
    uses = {"client": client}
    pipeline = (
        Source(read, uses=uses)
        >> Transform(plain, uses=uses)
        >> Filter(keep, uses=uses)
        >> Transform(plain, uses=uses, on="thread")
        >> FlatMap(spread, uses=uses)
        >> Transform(waiting, uses=uses, concurrency=3)
        >> Sink(plain, uses=uses, name="sink")
    )
    report = await run(pipeline)
    assert report.stage("sink").emitted == 5
    assert client.log == ["open", "close"]


async def test_a_resource_is_opened_once_a_run_though_opening_takes_time() -> None:
    client = Opened(turns_to_open=5)
    stages = Transform(waiting, uses={"client": client}) >> Transform(waiting, uses={"client": client})
    await run(items(10, units=3) >> stages >> CollectingSink())
    assert client.log == ["open", "close"]


async def test_a_resource_is_told_of_the_run() -> None:
    client = Opened()
    report = await run(items(1) >> Transform(plain, uses={"client": client}) >> CollectingSink(), run_id="r7")
    assert client.infos == [RunInfo(run="r7", attempt=1)]
    assert report.run == "r7"

    @asynccontextmanager
    async def named(info: RunInfo) -> AsyncIterator[str]:
        yield info.run

    def name_of_run(item: int, name: str) -> str:
        return name

    sink: CollectingSink[str] = CollectingSink()
    await run(items(1) >> Transform(name_of_run, uses={"name": named}) >> sink, run_id="r8")
    assert sink.items == ["r8"]


async def test_resources_outlive_every_stage_and_close_in_reverse() -> None:
    order: list[str] = []

    def resource(name: str) -> Any:
        @asynccontextmanager
        async def opened() -> AsyncIterator[str]:
            yield name
            order.append(f"close {name}")

        return opened

    def work(item: int, first: str, second: str) -> int:
        order.append(f"work {item}")
        return item

    uses = {"first": resource("first"), "second": resource("second")}
    await run(items(2) >> Transform(work, uses=uses) >> CollectingSink())
    assert order == ["work 0", "work 1", "close second", "close first"]


@pytest.mark.parametrize("function", [plain, waiting])
async def test_a_resource_that_cannot_be_opened_fails_the_stage_that_uses_it(function: Any) -> None:
    client, refused = Opened(fails=ConnectionError("refused")), Opened(turns_to_open=1)
    before = Transform(plain, uses={"client": refused}, name="before")
    pipeline = (
        items(5) >> before >> Transform(function, uses={"client": client}, name="work") >> CollectingSink()
    )
    caught = await failure(pipeline, match="refused")
    assert caught.stage == "work"
    assert isinstance(caught.__cause__, ConnectionError)
    assert refused.open == 0


async def test_what_gives_no_context_manager_is_named() -> None:
    def client() -> int:
        return 5

    await failure(
        items(1) >> Transform(plain, uses={"client": client}) >> CollectingSink(),
        match="async context manager",
    )


async def test_a_resource_of_the_application_stays_open_over_runs() -> None:
    client = Opened(turns_to_open=3)
    shared = Resource(client, scope="app")
    pipeline = (
        items(3) >> Transform(waiting, uses={"client": shared}) >> Sink(waiting, uses={"client": shared})
    )
    async with ResourcePool() as pool:
        await asyncio.gather(run(pipeline, resources=pool), run(pipeline, resources=pool))
        await run(pipeline, resources=pool)
        assert client.log == ["open"]
    assert client.log == ["open", "close"]


async def test_without_a_pool_a_resource_of_the_application_lives_as_long_as_its_run() -> None:
    client = Opened()
    pipeline = (
        items(3) >> Transform(plain, uses={"client": Resource(client, scope="app")}) >> CollectingSink()
    )
    await run(pipeline)
    await run(pipeline)
    assert client.log == ["open", "close"] * 2


def test_a_scope_that_is_none_is_refused() -> None:
    bad: Any = "session"
    with pytest.raises(ValueError, match="scope"):
        Resource(Opened(), scope=bad)


@asynccontextmanager
async def well() -> AsyncIterator[str]:
    yield "open"


@asynccontextmanager
async def is_refused() -> AsyncIterator[str]:
    raise OSError("no route")
    yield ""


@asynccontextmanager
async def cancels_itself() -> AsyncIterator[str]:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await turns(1)
    yield ""


@asynccontextmanager
async def exits() -> AsyncIterator[str]:
    raise SystemExit(3)
    yield ""


@asynccontextmanager
async def loses_a_task() -> AsyncIterator[str]:
    async def lost() -> None:
        await turns(3)
        raise OSError("lost")

    async with asyncio.TaskGroup() as group:
        group.create_task(lost())
        yield "open"


async def joined(item: int, first: str, second: str, third: str) -> str:
    await asyncio.Event().wait()
    return first + second + third


OPENED = {
    is_refused: r"OSError: no route \(while opening the resource 'second' \(is_refused\)\)",
    cancels_itself: "^resource 'cancels_itself' failed while it was opened",
    exits: "^resource 'exits' failed while it was opened",
    loses_a_task: "^resource 'loses_a_task' failed while stages used it: ExceptionGroup",
}


@pytest.mark.parametrize("fails", OPENED)
async def test_of_several_resources_the_one_that_failed_is_named(fails: Any) -> None:
    uses = {"first": well, "second": fails, "third": well}
    pipeline = items(1) >> Transform(joined, uses=uses) >> CollectingSink()
    kind: Any = ResourceFailed if OPENED[fails].startswith("^") else Exception
    await error_of(pipeline, kind, match=OPENED[fails])


class Model:
    """No resource, though it can be called."""

    def __call__(self, info: object) -> int:
        return 5


class Entered:
    """A context manager; what `uses=` takes is a function that gives one."""

    async def __aenter__(self) -> Entered:
        return self

    async def __aexit__(self, *error: object) -> None:
        """Nothing is open."""


class Connections:
    """A pool as drivers have one: its acquire takes no RunInfo."""

    def acquire(self) -> AbstractAsyncContextManager[Entered]:
        return Entered()


async def client() -> AsyncIterator[str]:
    yield "open"


REFUSED = [
    (Model(), "got Model <.*>. Give a function that opens it: @contextlib.asynccontextmanager"),
    (Entered(), "got Entered <.*>, which can be entered once or is open. Give a function that opens it"),
    (Connections(), r"acquire\(info\) of Connections <.*>: too many positional arguments. Give a function"),
    (asyncio.Lock(), "the acquire of Lock <.*> is not one that gives a context manager. Give a function"),
    (client, "got the function client, which gives no context manager. Decorate the function with"),
    (dict, "got the class dict, whose objects are no async context managers. Give a function"),
    (Connections, r"got the class Connections. Make one: Connections\(...\)"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_what_is_no_resource_is_refused_when_composing(given: Any, message: str) -> None:
    rule = r"Transform 'waiting' \(.*:\d+\): uses\['client'\] must be an async context manager function or an object"
    with pytest.raises(PipelineError, match=f"{rule} with acquire.info.; {message}"):
        Transform(waiting, uses={"client": given})
    with pytest.raises(PipelineError, match=message):
        Resource(given)


async def test_a_class_whose_objects_are_context_managers_is_a_resource() -> None:
    def work(item: int, client: Entered) -> bool:
        return isinstance(client, Entered)

    kept: CollectingSink[bool] = CollectingSink()
    await run(items(1) >> Transform(work, uses={"client": Entered}) >> kept)
    assert kept.items == [True]
