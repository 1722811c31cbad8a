"""The least that can be done with a file: a line for each list, synchronised before it counts as kept."""

from __future__ import annotations

import os
from pathlib import Path
from statistics import median
from time import perf_counter

import orjson

from tests.benchmarks.delivery_spool_items import JOBS, ONE_BY_ONE, folder, lists_of

AT_ONCE = 1000  # items that are read and acknowledged together, at least


def appended(size: int) -> float:
    """Seconds for all lists."""
    lists = lists_of(size, JOBS[size])
    with folder() as place, (place / "items").open("ab", buffering=0) as file:
        began = perf_counter()
        for items in lists:
            file.write(orjson.dumps(items) + b"\n")
            os.fdatasync(file.fileno())
        return perf_counter() - began


def passed(size: int) -> float:
    """Seconds for all lists to be appended, read again, counted, and noted as done."""
    lists = lists_of(size, JOBS[size])
    with folder() as place:
        began = perf_counter()
        with (place / "items").open("ab", buffering=0) as file:
            for items in lists:
                file.write(orjson.dumps(items) + b"\n")
                os.fdatasync(file.fileno())
        count = _acknowledged(place)
        seconds = perf_counter() - began
    assert count == size * JOBS[size]
    return seconds


def _acknowledged(place: Path) -> int:
    count = waiting = 0
    with (place / "items").open("rb") as file, (place / "done").open("wb", buffering=0) as done:
        while line := file.readline():
            items = len(orjson.loads(line))
            count, waiting = count + items, waiting + items
            if waiting >= AT_ONCE:
                done.write(file.tell().to_bytes(8, "big"))
                os.fdatasync(done.fileno())
                waiting = 0
        done.write(file.tell().to_bytes(8, "big"))
        os.fdatasync(done.fileno())
    return count


def synced() -> float:
    """Seconds for one item; the median of many."""
    (items,) = lists_of(1, 1)
    taken = []
    with folder() as place, (place / "items").open("ab", buffering=0) as file:
        for _ in range(ONE_BY_ONE):
            began = perf_counter()
            file.write(orjson.dumps(items) + b"\n")
            os.fdatasync(file.fileno())
            taken.append(perf_counter() - began)
    return median(taken)
