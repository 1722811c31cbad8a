"""What the row of the application itself says."""

from __future__ import annotations

import json
from dataclasses import dataclass

from piko_flow.errors import shorten

SHOWN = 80  # characters of what came


@dataclass(frozen=True, slots=True)
class SystemRow:
    """`poll_interval` in seconds and whether all is `paused`; None where the row does not say so, or what nobody can
    use. `refused` tells of that, key by key; with `unread` nothing of the row can be used."""

    poll_interval: float | None = None
    paused: bool | None = None
    refused: tuple[str, ...] = ()
    unread: bool = False

    @property
    def keeps_pause(self) -> bool:
        """Whether it says of the pause what nobody can use, so that what is in force stays."""
        return self.paused is None and any(told.startswith("paused ") for told in self.refused)


def read_system_row(text: str | None) -> SystemRow:
    """What the row's text says; None stands for no row."""
    try:
        values = {} if text is None else json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        return SystemRow(refused=("config_json must be a JSON object",), unread=True)
    interval, paused = values.get("poll_interval_s"), values.get("paused")
    refused = []
    if interval is not None and not _positive(interval):
        refused.append(f"poll_interval_s must be a number above 0, got {shorten(interval, SHOWN)}")
        interval = None
    if paused is not None and paused not in (0, 1):
        refused.append(f"paused must be true or false, got {shorten(paused, SHOWN)}")
        paused = None
    interval = None if interval is None else float(interval)
    return SystemRow(interval, None if paused is None else bool(paused), tuple(refused))


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
