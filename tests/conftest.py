"""What every test may rely on: Hypothesis never judges by the clock, CI tries the same examples each time, and a
test that leaves a task, thread, process, file or socket behind fails."""

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from hypothesis import settings

from piko_flow import WorkerPool
from piko_flow.testing.leaks import no_leaks

pytest_plugins = [
    "tests.databases.plugin",
    "tests.databases.buckets",
    "tests.databases.redis",
]

settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half as many workers again as cores, as tests wait for leases and processes; where nothing is left out, servers
    and browsers fill the cores."""
    from tests.databases.plugin import required  # a plugin is not imported before it is registered

    cores = len(os.sched_getaffinity(0))
    return cores if required() else cores * 3 // 2


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No thread, child process or open descriptor outlives a test; the test's event loop has ended by then."""
    with no_leaks(grace=10):
        yield


@pytest.fixture(autouse=True)
def no_task_left(nothing_left: None, request: pytest.FixtureRequest) -> None:
    """No task outlives a test that runs in an event loop. It comes second, so that it is asked first."""
    if inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        request.getfixturevalue("tasks_of_the_loop")


@pytest_asyncio.fixture
async def tasks_of_the_loop() -> AsyncIterator[None]:
    """Asks inside the test's own event loop, while it still runs."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    for _ in range(100):  # what is just ending may: a second of looks, of which a standstill is one
        if left:
            _, left = await asyncio.wait(left, timeout=0.01)
    assert [task.get_name() for task in left] == [], "tasks left over"


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    """Two workers that several runs of a test share; they start when they are first needed."""
    async with WorkerPool(2) as shared:
        yield shared
