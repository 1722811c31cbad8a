"""A run whose stages never wait leaves the other threads of the process their turns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from piko_flow import Filter, FlatMap, Sink, Source, Transform, run_sync

WAKES = 5  # how often the thread has to wake up before the source ends
BOUND = 20_000_000  # items of a source that no thread ends


async def goes_on(item: int) -> int:
    return item


async def gives_way(item: int) -> int:
    await asyncio.sleep(0)
    return item


CHAINS: dict[str, Any] = {
    "fused": lambda: Transform(lambda item: item + 1) >> Filter(lambda item: item % 3),
    "flat map": lambda: FlatMap(lambda item: [item]) >> Filter(lambda item: item % 3),
    "keyed": lambda: Transform(lambda item: item + 1, key=lambda item: item % 5),
    "ordered": lambda: Transform(goes_on, concurrency=4),
    "unordered": lambda: Transform(goes_on, concurrency=4, ordered=False),
    "giving way": lambda: Transform(gives_way, concurrency=4),
    "in two": lambda: Transform(lambda item: item + 1) >> Transform(lambda item: item, key=abs),
}


@pytest.mark.parametrize("chain", CHAINS)
def test_a_thread_wakes_up_beside_a_busy_run(chain: str) -> None:
    woken = 0
    over = threading.Event()

    def wake() -> None:
        nonlocal woken
        while woken < WAKES and not over.wait(0.01):
            woken += 1

    def until_woken() -> Iterator[int]:
        for item in range(BOUND):
            if woken == WAKES:
                return
            yield item

    thread = threading.Thread(target=wake)
    thread.start()
    try:
        run_sync(Source(until_woken) >> CHAINS[chain]() >> Sink(lambda item: None))
    finally:
        over.set()
        thread.join()
    assert woken == WAKES
