"""What functions log in worker processes is logged where the run is."""

from __future__ import annotations

import logging
import os
import threading
from functools import partial
from typing import Any

import pytest

from piko_flow.dataflow.workers.lines import LONGEST_LINE, MOST_LINES
from piko_flow.dataflow.workers.pool import WorkerPool
from piko_flow.dataflow.workers.shipping import pack

log = logging.getLogger("tests.worker")


def warns(count: int) -> int:
    for number in range(count):
        log.warning("line %d", number)
    log.info("not from the level on that the run has")
    return count


def fails(item: int) -> None:
    try:
        raise OSError("the disk is full")
    except OSError:
        log.exception("it went wrong: 100%")


def dies(item: int) -> None:
    log.warning("the last words")
    os._exit(3)


def on_threads(count: int) -> None:
    threads = [threading.Thread(target=warns, args=(count,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def forks(item: int) -> int:
    child = os.fork()
    if child == 0:
        log.warning("from a child")
        os._exit(0)
    os.waitpid(child, 0)
    log.warning("from the worker")
    return item


async def called(function: Any, item: int) -> Any:
    async with WorkerPool(1) as pool:
        return await pool.call(pack(function, stage="stage", where="here"), [item])


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "tests.worker"]


async def test_lines_come_in_order_from_the_level_of_the_run_on(caplog: pytest.LogCaptureFixture) -> None:
    await called(warns, 3)
    assert messages(caplog) == ["line 0", "line 1", "line 2"]
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert {record.funcName for record in caplog.records} == {"warns"}


async def test_more_lines_than_a_chunk_may_have_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    await called(warns, MOST_LINES + 500)
    assert len(messages(caplog)) == MOST_LINES + 1
    assert messages(caplog)[-1].startswith("more than 1,000 lines")


async def test_a_traceback_comes_along_and_a_percent_sign_does_no_harm(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await called(fails, 1)
    [message] = messages(caplog)
    assert message.startswith("it went wrong: 100%\nTraceback")
    assert "OSError: the disk is full" in message


async def test_lines_of_a_worker_that_dies_have_arrived_before(caplog: pytest.LogCaptureFixture) -> None:
    await called(dies, 1)
    assert messages(caplog)[0] == "the last words"


async def test_threads_of_a_function_may_log_side_by_side(caplog: pytest.LogCaptureFixture) -> None:
    await called(on_threads, 100)
    assert sorted(messages(caplog)) == sorted(f"line {number}" for number in range(100) for _ in range(4))


async def test_a_child_of_the_function_has_nobody_to_tell(caplog: pytest.LogCaptureFixture) -> None:
    await called(forks, 1)
    assert messages(caplog) == ["from the worker"]


async def test_a_long_line_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    await called(partial(says, length=LONGEST_LINE * 2), 1)
    assert [len(message) for message in messages(caplog)] == [LONGEST_LINE]


def says(item: int, *, length: int) -> None:
    log.warning("x" * length)
