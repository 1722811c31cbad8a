"""What the row of the application itself says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from piko_flow.errors import shorten

SHOWN = 80  # characters of what came


@dataclass(frozen=True, slots=True)
class SystemRow:
    """`poll_interval` in seconds and whether all is `paused`; None where the row does not say so, or what nobody can
    use. `refused` tells of that, key by key; with `unread` nothing of the row can be used. With `keeps_pause` it says of
    the pause what nobody can use, so that what is in force stays. `values` are all its keys, also those that mean
    nothing."""

    poll_interval: float | None = None
    paused: bool | None = None
    refused: tuple[str, ...] = ()
    unread: bool = False
    keeps_pause: bool = False
    values: dict[str, Any] = field(default_factory=dict)


def read_system_row(text: str | None) -> SystemRow:
    """What the row's text says; None stands for no row."""
    try:
        values = {} if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        values = None
    if not isinstance(values, dict):
        return SystemRow(refused=("config_json must be a JSON object",), unread=True)
    interval, paused = values.get("poll_interval_s"), values.get("paused")
    refused, keeps_pause = [], False
    if interval is not None and not _positive(interval):
        refused.append(f"poll_interval_s must be a number above 0, got {shorten(interval, SHOWN)}")
        interval = None
    if paused is not None and not isinstance(paused, bool):
        refused.append(f"paused must be true or false, got {shorten(paused, SHOWN)}")
        paused, keeps_pause = None, True
    interval = None if interval is None else float(interval)
    return SystemRow(interval, paused, tuple(refused), keeps_pause=keeps_pause, values=values)


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
