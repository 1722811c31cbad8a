"""A JSON lines file as a sink of values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Final

import orjson
from pydantic import BaseModel

from piko_flow.connectors.file_target import FileTarget
from piko_flow.connectors.plain_values import fields_of, plain
from piko_flow.errors import ItemRejected

# What orjson would write on its own terms: times without the seconds of their offset, dataclasses
# without the fields that begin with an underscore.
_OPTIONS: Final = (
    orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_APPEND_NEWLINE
)


class JsonLinesSink(FileTarget[object]):
    """Values as JSON, one a line, compressed if the name ends in `.gz`: `Sink(JsonLinesSink("out.jsonl"), batch=500)`.

    An item is a dict, a Pydantic model, a dataclass, or any other value that JSON has. Dates and times are
    ISO 8601 text; decimals, UUIDs and paths are text; members of an enum are their value; tuples are arrays. What
    JSON cannot hold is rejected and never altered: NaN and infinities, whole numbers beyond 64 bits, bytes,
    sets, keys that are not text, text that is not Unicode.

    The same values give the same bytes. Order: as written, units one after the other. For what happens at
    commit, `{unit}` and several units see FileTarget.
    """

    async def write(self, items: Sequence[object], /) -> None:
        """Add the values, all or none. Raises ItemRejected, and OSError with the path (a full disk)."""
        self.opened()
        await self.append(b"".join([json_line(index, item) for index, item in enumerate(items)]))
        self.items += len(items)


def json_line(index: int, item: object) -> bytes:
    """The item as JSON with a line feed. Raises ItemRejected, which names it by its index."""
    value = item.model_dump(mode="json") if isinstance(item, BaseModel) else item
    try:
        line = orjson.dumps(value, _json_value, _OPTIONS)
    except orjson.JSONEncodeError as error:
        raise ItemRejected(index, _fault(value, "") or str(error)) from None
    # orjson writes NaN and infinities as null.
    if b"null" in line and (fault := _fault(value, "")):
        raise ItemRejected(index, fault)
    return line


def _json_value(value: object) -> object:
    """What orjson does not know, in terms of what it knows. Raises TypeError."""
    if isinstance(value, Mapping | BaseModel) or dataclasses.is_dataclass(value):
        return dict(fields_of(value))
    return plain(value)


def _fault(value: Any, where: str) -> str:
    """Why JSON cannot hold the value, and where in it; empty if it can."""
    place = f"{where.removeprefix('.')}: " if where else ""
    if isinstance(value, Mapping | BaseModel) or (
        dataclasses.is_dataclass(value) and not isinstance(value, type)
    ):
        fields = fields_of(value)
        if unknown := [key for key in fields if not isinstance(key, str)]:
            return f"{place}a key must be text, got {unknown[0]!r:.80}"
        return next(filter(None, (_fault(inner, f"{where}.{key}") for key, inner in fields.items())), "")
    if isinstance(value, list | tuple):
        faults = (_fault(inner, f"{where}[{index}]") for index, inner in enumerate(value))
        return next(filter(None, faults), "")
    return place + fault if (fault := _fault_of_one(value)) else ""


def _fault_of_one(value: object) -> str:
    try:
        known = plain(value)
    except TypeError as error:
        return str(error)
    if isinstance(known, str):
        try:
            known.encode()
        except UnicodeEncodeError:
            return f"text must be Unicode, {known!r:.80} holds half of a surrogate pair"
    elif isinstance(known, Integral) and not -(2**63) <= known < 2**64:
        return f"a whole number must fit into 64 bits, got {known!r:.80}; write it as text"
    elif isinstance(known, Real) and not math.isfinite(known):
        return f"JSON has no {known}; write None or text"
    return ""
