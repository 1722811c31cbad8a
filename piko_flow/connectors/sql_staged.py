"""Rows as a text that waits in the ledger's database, and back."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from math import isfinite
from types import NoneType
from typing import Any, Final
from uuid import UUID

import orjson

from piko_flow.connectors.sql_rows import Rows

JSON: Final = frozenset({int, str, bool, NoneType})
READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "bytes": b64decode,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "Decimal": Decimal,
    "UUID": UUID,
    "timedelta": lambda parts: timedelta(*parts),
    "int": int,
    "float": float,
}
LONG: Final = range(-(2**63), 2**63)  # integers that JSON is written with


def staged_text(rows: Rows) -> str:
    """The rows as JSON; a value that JSON does not have is an object of its type and a text."""
    kinds = set(map(type, chain.from_iterable(rows)))
    if kinds <= JSON or (kinds <= JSON | {float} and _finite(rows)):
        try:
            return "p" + orjson.dumps(rows).decode()
        except TypeError:  # an integer that is too long
            pass
    told = [[told_value(value) for value in row] for row in rows]
    return "t" + orjson.dumps(told, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()


def staged_rows(text: str) -> Rows:
    """The rows that `staged_text` was given."""
    rows: Rows = orjson.loads(text[1:])
    if text[0] == "p":
        return rows
    return [[read_value(value) if type(value) is dict else value for value in row] for row in rows]


def _finite(rows: Rows) -> bool:
    return all(isfinite(value) for row in rows for value in row if type(value) is float)


def told_value(value: Any) -> Any:
    """The value as JSON has it, or as an object of its type and a text. Raises TypeError for any other."""
    kind = type(value)
    if kind in JSON:
        return value if kind is not int or value in LONG else {"int": str(value)}
    if kind is float:
        return value if isfinite(value) else {"float": str(value)}
    if kind is bytes:
        return {"bytes": b64encode(value).decode()}
    if kind is timedelta:
        return {"timedelta": [value.days, value.seconds, value.microseconds]}
    if isinstance(value, datetime):
        return {"datetime": value.isoformat()}
    if isinstance(value, date | time):
        return {kind.__name__: value.isoformat()}
    if isinstance(value, Decimal | UUID):
        return {"UUID" if isinstance(value, UUID) else "Decimal": str(value)}
    raise TypeError(f"a value of type {kind.__name__} cannot be kept as text")


def read_value(value: Any) -> Any:
    """The value that `told_value` was given."""
    if type(value) is not dict:
        return value
    ((kind, told),) = value.items()
    return READERS[kind](told)
