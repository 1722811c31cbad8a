"""What tells one split from another, in every process alike, so that a resumed run finds the units that it has done."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

DEEPEST: Final = 50  # levels of values inside values


class NoIdentity(Exception):
    """A split does not say what it is; the message says what was found."""


def split_id(split: Any) -> str:
    """Give a text that is the same for equal splits of one type, in every process, and differs for all others.

    Plain values, containers of them, enums, dataclasses and Pydantic models are told apart by their type and what they
    hold; any other object by its `split_id`, a text. Raises NoIdentity for what has none.
    """
    digest = hashlib.sha256()
    for piece in _pieces(split, 0):
        digest.update(
            len(piece).to_bytes(8, "big") + piece
        )  # lengths, so that pieces cannot run into each other
    return digest.hexdigest()[:16]


def _pieces(value: Any, depth: int) -> Iterator[bytes]:
    """The value as pieces of bytes, its type first."""
    kind = type(value)
    if depth > DEEPEST:
        raise NoIdentity("a split that is nested too deep")
    yield f"{kind.__module__}.{kind.__qualname__}".encode()
    if isinstance(value, Enum):
        yield value.name.encode()
    elif (text := _plain(value)) is not None:
        yield text
    elif isinstance(value, (tuple, list)):
        yield from _inside(value, depth)
    elif isinstance(value, (set, frozenset)):
        yield from sorted(_joined(one, depth) for one in value)
    elif isinstance(value, dict):
        pairs = sorted((_joined(key, depth), _joined(one, depth)) for key, one in value.items())
        yield from (part for pair in pairs for part in pair)
    elif isinstance(found := getattr(value, "split_id", None), str):
        yield found.encode("utf-8", "surrogatepass")
    elif found is not None:
        raise NoIdentity(f"a split_id of type {type(found).__name__}")
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _inside([getattr(value, field.name) for field in fields(value)], depth)
    elif isinstance(value, (range, slice)):
        yield from _inside([value.start, value.stop, value.step], depth)
    else:
        yield from _inside(_of_a_model(value), depth)


def _of_a_model(value: Any) -> list[Any]:
    """The values of a Pydantic model's fields. Raises NoIdentity for anything else."""
    from pydantic import BaseModel  # a slow import, and most splits are no models

    if not isinstance(value, BaseModel):
        raise NoIdentity(f"a split that holds {type(value).__qualname__}")
    return [getattr(value, name) for name in type(value).model_fields]


def _plain(value: Any) -> bytes | None:
    """The bytes of a plain value; None for any other."""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, (datetime, date, time)):
        return value.isoformat().encode()
    if value is None or isinstance(value, (bool, int, float, timedelta, Decimal, UUID, PurePath)):
        return (
            str(value).encode("utf-8", "surrogateescape")
            if isinstance(value, PurePath)
            else repr(value).encode()
        )
    return None


def _inside(values: Iterable[Any], depth: int) -> Iterator[bytes]:
    for value in values:
        yield _joined(value, depth)


def _joined(value: Any, depth: int) -> bytes:
    """One value's pieces as one, with their lengths."""
    return b"".join(len(piece).to_bytes(8, "big") + piece for piece in _pieces(value, depth + 1))
