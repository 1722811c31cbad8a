"""Items as JSON text, for people to read and for a replay."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ConfigDict, TypeAdapter

from piko_flow.errors import shorten

LONGEST = 256 * 1024  # bytes of one payload
SHOWN = 2000  # characters of the repr of what cannot be kept as it is

_ITEM: TypeAdapter[Any] = TypeAdapter(
    Any, config=ConfigDict(ser_json_inf_nan="strings", ser_json_bytes="base64")
)


@dataclass(frozen=True)
class StoredPayload:
    """An item that is known only as its JSON text any more."""

    text: str

    def __repr__(self) -> str:
        return self.text


def encode_payload(item: Any, *, most: int = LONGEST) -> str:
    """A JSON object: `type` names the item's class, `value` is the item; `repr` comes instead where it is no value.

    Models, dataclasses, dates, Decimals (as text), sets (as lists), bytes (as base64) and numbers of any size are
    kept; NaN and infinity become text. More than `most` bytes, and what JSON cannot hold, is kept as its repr. Secret
    values are masked.
    """
    if isinstance(item, StoredPayload):
        return item.text
    kind = kind_of(item)
    try:
        value = _ITEM.dump_json(item, round_trip=True)
    except (ValueError, TypeError, RecursionError):
        value = None  # no JSON: shown as text below
    if value is None or len(value) > most:
        return orjson.dumps({"type": kind, "repr": shorten(item, SHOWN)}).decode()
    return f'{{"type":{orjson.dumps(kind).decode()},"value":{value.decode()}}}'


def kind_of(item: Any) -> str:
    """The name of the item's class with its module, without that of Python's own."""
    return f"{type(item).__module__}.{type(item).__qualname__}".removeprefix("builtins.")


def values_of(payload: str) -> Any:
    """The item of a payload as JSON values, numbers of any size as they are; None where only its repr was kept."""
    return json.loads(payload).get("value")
