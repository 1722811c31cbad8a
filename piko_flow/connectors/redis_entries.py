"""Entries of a stream, and items in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import orjson

from piko_flow.connectors.json_lines_sink import json_line
from piko_flow.connectors.plain_values import fields_of, plain
from piko_flow.errors import ItemRejected, shorten

DIGITS_AS_ONES: Final = bytes(ord("1") if chr(byte) in "0123456789" else byte for byte in range(256))
BEYOND_64_BITS: Final = b"1" * 19  # orjson reads longer whole numbers as floats, without a word


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """An entry as it stands in its stream: names and values of `fields` are bytes."""

    id: str
    fields: Mapping[bytes, bytes]

    def texts(self) -> dict[str, str]:
        """The fields as text. Raises ValueError for what is not UTF-8."""
        return {_text(name): _text(value) for name, value in self.fields.items()}

    def json(self, field: str = "json") -> Any:
        """The JSON value in a field. Raises ValueError where there is none."""
        value = self.fields.get(field.encode())
        if value is None:
            has = ", ".join(name.decode(errors="replace") for name in self.fields)
            raise ValueError(f"there is no field {field!r}; it has {shorten(has)}")
        return json_value(value)


def json_value(data: bytes) -> Any:
    """The JSON value; whole numbers of more than 18 digits are read exactly. Raises ValueError."""
    if len(data) >= len(BEYOND_64_BITS) and BEYOND_64_BITS in data.translate(DIGITS_AS_ONES):
        import json

        try:
            return json.loads(data, parse_constant=_no_json)
        except ValueError as error:
            got = shorten(data.decode(errors="replace"))
            raise ValueError(f"it must hold JSON ({error}), got {got}") from None
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        got = shorten(data.decode(errors="replace"))
        raise ValueError(f"it must hold JSON ({error.msg} at column {error.colno}), got {got}") from None


def as_json(index: int, item: object) -> bytes:
    """The item as JSON. Raises ItemRejected."""
    return json_line(index, item)[:-1]


def as_fields(index: int, item: object) -> bytes:
    """The item's fields and their values as text, one after the other in a JSON array. Raises ItemRejected.

    What is None is left out; a whole number of any size is its digits, a boolean is true or false.
    """
    listed: list[str] = []
    try:
        for name, value in fields_of(item).items():
            if not isinstance(name, str):
                raise TypeError(f"the name of a field must be text, got {name!r:.80}")
            if value is not None:
                listed += [name, flat_text(name, value)]
        if not listed:
            raise TypeError("an entry needs a field that is not None")
        return orjson.dumps(listed)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise ItemRejected(index, str(error)) from None


def flat_text(name: str, value: object) -> str:
    """The value as the text of a field. Raises TypeError for what has none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        known = plain(value)
    except TypeError as error:
        raise TypeError(f"field {name!r}: {error}") from None
    return format(value, "f") if isinstance(value, Decimal) and value.is_finite() else str(known)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueError(f"it must hold UTF-8, got {shorten(data)}") from None


def _no_json(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
