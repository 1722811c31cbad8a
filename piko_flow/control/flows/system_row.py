"""What the row of the application itself says."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from piko_flow.control.flows.flow_options import RESERVED
from piko_flow.errors import shorten

SHOWN = 80  # characters of what came
ALL_PAUSED = "all schedules are paused"


@dataclass(frozen=True, slots=True)
class SystemRow:
    """`poll_interval` in seconds; None where the row does not say so, or what nobody can use. `paused` tells whether all
    is paused, and is None where nobody can tell. `why_paused` is empty where nothing is: who wrote what nobody can use
    may have wanted a pause, and runs that were not wanted cannot be taken back. `refused` tells what is wrong, key by
    key. `values` are all its keys, also those that mean nothing."""

    poll_interval: float | None = None
    paused: bool | None = False
    why_paused: str = ""
    refused: tuple[str, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)


def read_system_row(text: str | None) -> SystemRow:
    """What the row's text says; None stands for no row."""
    try:
        values = {} if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        values = None
    if not isinstance(values, dict):
        return _unknown("config_json must be a JSON object")
    interval, paused = values.get("poll_interval_s"), values.get("paused")
    refused = []
    if interval is not None and not _positive(interval):
        refused.append(f"poll_interval_s must be a number above 0, got {shorten(interval, SHOWN)}")
        interval = None
    interval = None if interval is None else float(interval)
    if paused is not None and not isinstance(paused, bool):
        wrong = _unknown(f"paused must be true or false, got {shorten(paused, SHOWN)}")
        refused += wrong.refused
        return replace(wrong, poll_interval=interval, refused=tuple(refused), values=values)
    return SystemRow(interval, bool(paused), ALL_PAUSED if paused else "", tuple(refused), values)


def _unknown(wrong: str) -> SystemRow:
    """A row of which nobody can tell whether it pauses all."""
    why = f"{ALL_PAUSED}, because {wrong} in the row {RESERVED}"
    return SystemRow(paused=None, why_paused=why, refused=(f"{wrong}; until then {ALL_PAUSED}",))


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
