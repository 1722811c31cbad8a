"""What the control half knows, as values for JSON: times in UTC with offset, durations in seconds, windows as pairs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel

from piko_flow.control.flows.flow import Flow
from piko_flow.planning.trigger import Trigger
from piko_flow.planning.window import Window

RAW = {
    "RunRecord": "params",
    "BackfillRecord": "params",
    "ParamsVersion": "text",
    "ConfigRecord": "text",
    "DeadLetterRecord": "payload",
}
"""Texts that may hold secrets; who shows them shows their values, hidden where they are to be."""


def json_values(value: Any) -> Any:
    """The value with records as objects, each field by its name."""
    match value:
        case Window():
            return {"start": value.start.isoformat(), "end": value.end.isoformat()}
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Enum():
            return value.value
        case Flow():
            return value.name
        case Trigger() | PurePath():
            return str(value)
        case BaseModel():
            return value.model_dump(mode="json")
        case Mapping():
            return {str(json_values(key)): json_values(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [json_values(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        left_out = RAW.get(type(value).__name__)
        names = [field.name for field in dataclasses.fields(value) if field.name != left_out]
        return {name: json_values(getattr(value, name)) for name in names}
    return value
