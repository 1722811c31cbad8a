"""Python's plain values as JSON that comes back as it was."""

from __future__ import annotations

import json
import math
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import chain
from types import NoneType
from typing import Any, Final
from uuid import UUID

import orjson

PLAIN, ROWS, TAGGED = "plain", "rows", "tagged"
_AS_THEY_ARE: Final = frozenset({str, int, bool, NoneType})
_STRICT: Final = (
    orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS
)
_MARK: Final = "$"


def encode_values(items: list[Any]) -> tuple[str, bytes]:
    """The items as one JSON array, and how to read it again.

    Raises TypeError or ValueError for what cannot be kept. Kept are JSON's own values, whole numbers of any size,
    NaN and infinity, tuples, sets, bytes, Decimal, UUID, dates, times and spans. A member of an enum becomes its
    value, a subclass of a built-in type that type; a time zone becomes its offset.
    """
    types = set(map(type, items))
    kind = ROWS if types == {tuple} else PLAIN
    try:
        body = orjson.dumps(items, option=_STRICT)
    except TypeError:
        return TAGGED, _tagged(items)
    if types == {dict}:
        types = set(map(type, chain.from_iterable(map(dict.values, items))))
    elif types == {tuple}:
        types = set(map(type, chain.from_iterable(items)))
    types -= _AS_THEY_ARE
    # The library writes NaN as null, and text for a UUID; only where that may be it is worth looking.
    if not types or (types == {float} and b"null" not in body) or decode_values(kind, body) == items:
        return kind, body
    return TAGGED, _tagged(items)


def decode_values(kind: str, body: bytes) -> list[Any]:
    """The items that were encoded. Raises ValueError for what is no such JSON."""
    if kind == TAGGED:
        return list(map(_untag, json.loads(body)))
    values: list[Any] = orjson.loads(body)
    return list(map(tuple, values)) if kind == ROWS else values


def _tagged(items: list[Any]) -> bytes:
    try:
        return json.dumps(list(map(_tag, items)), separators=(",", ":"), allow_nan=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _tag(value: Any) -> Any:
    """The value with an object `{"$type": ...}` in place of everything that JSON does not know."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return _tag(value.value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, Mapping):
        return _tag_mapping(value)
    for kind, name, give, _ in _FORMS:
        if isinstance(value, kind):
            return {_MARK + name: give(value)}
    if isinstance(value, list):
        return list(map(_tag, value))
    raise TypeError(
        f"a value of type {type(value).__qualname__} has no form in JSON that comes back as it was"
    )


def _tag_mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    if all(isinstance(key, str) and not key.startswith(_MARK) for key in value):
        return {str.__str__(key): _tag(one) for key, one in value.items()}
    return {"$dict": [[_tag(key), _tag(one)] for key, one in value.items()]}


def _untag(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(_untag, value))
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, inner),) = value.items()
        if name.startswith(_MARK):
            return _TAKE[name](inner)
    return {key: _untag(one) for key, one in value.items()}


def _each(value: Any) -> list[Any]:
    return list(map(_tag, value))


# A type, its name, how it is given as JSON and how it is taken back; the narrower before the wider.
_FORMS: Final[tuple[tuple[type, str, Callable[[Any], Any], Callable[[Any], Any]], ...]] = (
    (tuple, "tuple", _each, lambda inner: tuple(map(_untag, inner))),
    (set, "set", _each, lambda inner: set(map(_untag, inner))),
    (frozenset, "frozenset", _each, lambda inner: frozenset(map(_untag, inner))),
    (bytes, "bytes", lambda value: b64encode(value).decode(), b64decode),
    (Decimal, "decimal", str, Decimal),
    (UUID, "uuid", str, UUID),
    (datetime, "datetime", datetime.isoformat, datetime.fromisoformat),
    (date, "date", date.isoformat, date.fromisoformat),
    (time, "time", time.isoformat, time.fromisoformat),
    (
        timedelta,
        "timedelta",
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda inner: timedelta(*inner),
    ),
)
_TAKE: Final[dict[str, Callable[[Any], Any]]] = {
    **{_MARK + name: take for _, name, _, take in _FORMS},
    "$float": float,
    "$dict": lambda pairs: {_untag(key): _untag(one) for key, one in pairs},
}
