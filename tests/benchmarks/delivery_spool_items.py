"""The items that go through spools and files."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

JOBS = {1: 2000, 100: 500, 1000: 200}
"""Lists of one measurement, by their items."""
WRITERS, ONE_BY_ONE = 16, 51


def lists_of(size: int, count: int) -> list[list[dict[str, Any]]]:
    """So many lists of so many items."""
    return [
        [
            {"id": number, "name": f"customer {number:07}", "amount": number * 1.25, "note": "x" * 80}
            for number in range(first, first + size)
        ]
        for first in range(0, size * count, size)
    ]


@contextmanager
def folder() -> Iterator[Path]:
    """A new folder, which is removed after the block."""
    made = Path(tempfile.mkdtemp(prefix="piko-spool-"))
    try:
        yield made
    finally:
        shutil.rmtree(made)
