"""JSON on one line of whatever is to be told: a line is never lost because of what is in it."""

from __future__ import annotations

import orjson


def json_line(values: dict[str, object]) -> str:
    """The values as JSON; what JSON does not have is shown as text, a character that cannot be written as its code."""
    try:
        return _dumped(values)
    except TypeError:  # halves of characters, as names of files have them, or very large numbers
        return _dumped(_plain(values))


def _dumped(values: object) -> str:
    return orjson.dumps(values, default=_text).decode()


def _plain(value: object) -> object:
    match value:
        case str():
            return _text(value)
        case dict():
            return {_text(name): _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case int() if value.bit_length() > 63:  # a bool has one
            return str(value)
        case _:
            return value


def _text(value: object) -> str:
    try:
        text = str(value)
    except Exception:  # the class is the user's
        text = object.__repr__(value)
    return text.encode("utf-8", "backslashreplace").decode()
