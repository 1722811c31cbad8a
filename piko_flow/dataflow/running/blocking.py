"""Waiting for a coroutine from plain code, whether or not an event loop is running."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


def blocking(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The result of the coroutine that `make()` gives, or its error.

    Where a loop is running (a notebook) the coroutine gets a thread and a loop of its own. An interrupt of the
    caller (Ctrl-C) cancels it and is raised when it has ended.
    """
    if not _in_a_loop():
        return asyncio.run(make())
    result: Future[T] = Future()
    cancels: list[Callable[[], object]] = []

    async def main() -> T:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        cancels.append(lambda: loop.call_soon_threadsafe(task.cancel))
        return await make()

    def work() -> None:
        try:
            result.set_result(asyncio.run(main()))
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


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
