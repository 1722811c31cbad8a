"""The number of a run, a backfill or a dead letter in an address."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from piko_flow.ops.console.forms import LARGEST_NUMBER

Number = Annotated[int, Path(ge=1, le=LARGEST_NUMBER)]
"""What no row can have is refused before a database is asked, which would fail on it."""
