"""Rows as drivers take and give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Row = Sequence[Any]
Rows = Sequence[Row]
