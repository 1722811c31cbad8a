"""Waiting for a coroutine from plain code, whether or not an event loop is running."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from piko_flow.tasks import CANCEL_GRACE_SECONDS

T = TypeVar("T")


def blocking(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The result of the coroutine that `make()` gives, or its error.

    Where a loop is running (a notebook) the coroutine gets a thread and a loop of its own. An interrupt of the
    caller (Ctrl-C) cancels it and is raised when it has ended.
    """
    if not _in_a_loop():
        return run_and_leave(make())
    result: Future[T] = Future()
    cancels: list[Callable[[], object]] = []

    async def main() -> T:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        cancels.append(lambda: loop.call_soon_threadsafe(task.cancel))
        return await make()

    def work() -> None:
        try:
            result.set_result(run_and_leave(main()))
        except BaseException as error:
            result.set_exception(error)

    thread = threading.Thread(target=work, name="piko-flow run")
    thread.start()
    try:
        thread.join()
    except BaseException:
        with suppress(IndexError, RuntimeError):  # not begun yet, or its loop has closed already
            cancels[0]()
        thread.join()
        raise
    return result.result()


def run_and_leave(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a loop of its own, as `asyncio.run` does, which also says how an interrupt cancels it.

    The work itself is waited for. Tasks that it leaves behind are cancelled and have CANCEL_GRACE_SECONDS to end; `asyncio.run`
    would wait for ever for one that swallows its cancellation.
    """
    runner, tasks = asyncio.Runner(), list[asyncio.Task[Any]]()

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        return await work

    try:
        return runner.run(main())
    finally:
        loop = runner.get_loop()
        for task in tasks:
            if not task.done():  # a second interrupt does not wait for what the first one cancelled
                task.cancel()
                loop.run_until_complete(asyncio.wait([task]))
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            left = loop.run_until_complete(asyncio.wait(left, timeout=CANCEL_GRACE_SECONDS))[1]
        if left:
            asyncio.set_event_loop(None)
            loop.close()
        else:
            runner.close()


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
