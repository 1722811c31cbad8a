"""The only place that reads time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

monotonic: Final = time.perf_counter
"""Seconds on a clock that never goes back; only differences mean something."""


def now() -> datetime:
    """The present as an aware UTC datetime."""
    return datetime.now(UTC)
