"""Resources of a job: opened for it, given by name, closed whatever happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from piko_flow import Resource, ResourcePool
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.run_context import RunContext
from piko_flow.dataflow.stages.resource import RunInfo
from piko_flow.planning.run_state import RunStatus
from tests.unit.executing import DAY, Place


class Clients:
    """Opens numbered clients and notes what becomes of them."""

    def __init__(self, *, swallows: bool = False, fails: Exception | None = None) -> None:
        self.swallows, self.fails = swallows, fails
        self.told: list[str] = []
        self.infos: list[RunInfo] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        self.told.append("opened")
        try:
            yield f"client {self.told.count('opened')}"
        except OSError:
            if not self.swallows:
                raise
        finally:
            self.told.append("closed")
        if self.fails is not None:
            raise self.fails

    def acquire(self, info: RunInfo) -> AbstractAsyncContextManager[str]:
        self.infos.append(info)
        return self.open()


@pytest.fixture
def place() -> Place:
    return Place()


def using(resource: Any, *, error: Exception | None = None, seen: list[str] | None = None) -> Flow:
    async def job(run: RunContext, client: str) -> None:
        if seen is not None:
            seen.append(client)
        if error is not None:
            raise error

    return Flow.register("job", job, stateful=True, resources={"client": resource}, registry=Registry())


async def test_a_resource_is_opened_for_each_run_and_closed(place: Place) -> None:
    clients, seen = Clients(), list[str]()
    for _ in range(2):
        await place.execute(using(clients.open, seen=seen))
    assert seen == ["client 1", "client 2"]
    assert clients.told == ["opened", "closed"] * 2


async def test_an_object_is_told_of_the_run_that_acquires_it(place: Place) -> None:
    clients = Clients()
    record = (await place.order(using(clients))).record
    await place.execute(using(clients), window=DAY)
    (info,) = clients.infos
    assert (info.run, info.flow, info.attempt, info.claim) == (str(record.id + 1), "job", 1, 1)
    assert (info.window_start, info.window_end) == DAY


async def test_a_resource_is_closed_after_a_failure(place: Place) -> None:
    clients = Clients()
    outcome = await place.execute(using(clients.open, error=ValueError("bad")))
    assert (outcome.status, outcome.error_type, clients.told) == (
        RunStatus.FAILED,
        "ValueError",
        ["opened", "closed"],
    )


async def test_a_resource_that_swallows_the_error_does_not_hide_it(place: Place) -> None:
    outcome = await place.execute(using(Clients(swallows=True).open, error=OSError("bad")))
    assert outcome.status is RunStatus.FAILED
    assert outcome.error_msg.startswith("OSError: bad (")


async def test_a_resource_that_fails_while_it_closes_fails_the_run(place: Place) -> None:
    outcome = await place.execute(using(Clients(fails=OSError("cannot close")).open))
    assert outcome.status is RunStatus.FAILED
    assert outcome.error_msg.startswith("OSError: cannot close (")


async def test_the_jobs_own_error_is_told_before_that_of_closing(place: Place) -> None:
    outcome = await place.execute(
        using(Clients(swallows=True, fails=OSError("cannot close")).open, error=OSError("bad"))
    )
    assert outcome.error_msg.startswith("OSError: bad (")


async def test_a_resource_that_cannot_be_opened_fails_the_run_and_closes_the_others(place: Place) -> None:
    clients = Clients()

    @asynccontextmanager
    async def broken() -> AsyncIterator[str]:
        raise ConnectionError("no server")
        yield ""

    async def job(run: RunContext, client: str, other: str) -> None:
        raise AssertionError("it ran")

    resources = {"client": clients.open, "other": broken}
    outcome = await place.execute(Flow.register("job", job, resources=resources, registry=Registry()))
    assert outcome.error_msg.startswith("ConnectionError: no server (")
    assert clients.told == ["opened", "closed"]


async def test_a_resource_of_the_application_is_opened_once(place: Place) -> None:
    clients, seen = Clients(), list[str]()
    async with ResourcePool() as pool:
        place.with_tools(resources=pool)
        flow = using(Resource(clients.open, scope="app"), seen=seen)
        await place.execute(flow)
        await place.execute(flow)
        assert (seen, clients.told) == (["client 1", "client 1"], ["opened"])
    assert clients.told == ["opened", "closed"]
