"""How often Python looks for garbage in cycles, while a loop is at work that makes none."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import ClassVar, Final

FIRST_GENERATION: Final = 50_000  # objects; most of those that such a loop makes are gone by then


class _Loops:
    """How many loops are at work for which fewer collections are enough, and what was in force before the first."""

    lock: ClassVar[Lock] = Lock()  # threads may each run a pipeline, and the thresholds are the process's
    count: ClassVar[int] = 0
    before: ClassVar[tuple[int, int, int]] = (0, 0, 0)


@contextmanager
def fewer_collections() -> Iterator[None]:
    """Collect garbage in cycles more seldom while the block is open: what it makes has none and goes by itself.

    Blocks may overlap, also in several threads: what was in force before the first is again after the last.
    """
    with _Loops.lock:
        if _Loops.count == 0:
            _Loops.before = gc.get_threshold()
            first, *others = _Loops.before
            if first:  # else a person has switched it off
                gc.set_threshold(max(first, FIRST_GENERATION), *others)
        _Loops.count += 1
    try:
        yield
    finally:
        with _Loops.lock:
            _Loops.count -= 1
            if _Loops.count == 0:
                gc.set_threshold(*_Loops.before)
