"""How often Python looks for garbage in cycles, while a loop is at work that makes none.

The thresholds belong to the process, so the loop of plain rows and the page of metrics share this one place.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import ClassVar, Final

FIRST_GENERATION: Final = 50_000  # objects; most of those that such a loop makes are gone by then


class _Blocks:
    """The thresholds that blocks ask for which are open, and what was in force before the first."""

    lock: ClassVar[Lock] = Lock()  # threads may each run a pipeline, and the thresholds are the process's
    thresholds: ClassVar[list[int]] = []
    before: ClassVar[tuple[int, int, int]] = (0, 0, 0)

    @classmethod
    def follow(cls) -> None:
        """Set what the most patient of them asks for."""
        first, *others = cls.before
        if first:  # else a person has switched it off
            gc.set_threshold(max(first, *cls.thresholds), *others)


@contextmanager
def fewer_collections(first_generation: int = FIRST_GENERATION) -> Iterator[None]:
    """Collect garbage in cycles more seldom while the block is open: what it makes has none and goes by itself.

    Not before so many objects have been made that are still there. Blocks may overlap, also in several threads:
    the largest number counts, and what was in force before the first is again after the last.
    """
    with _Blocks.lock:
        if not _Blocks.thresholds:
            _Blocks.before = gc.get_threshold()
        _Blocks.thresholds.append(first_generation)
        _Blocks.follow()
    try:
        yield
    finally:
        with _Blocks.lock:
            _Blocks.thresholds.remove(first_generation)
            if _Blocks.thresholds:
                _Blocks.follow()
            else:
                gc.set_threshold(*_Blocks.before)
