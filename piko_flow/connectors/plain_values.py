"""Python's values in the forms that text files know."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from enum import Enum
from numbers import Integral, Rational, Real
from pathlib import PurePath
from typing import Any, TypeAlias
from uuid import UUID

from pydantic import BaseModel

Plain: TypeAlias = str | int | float | bool | None


def plain(value: object) -> Plain:
    """The value as text, number, bool or None, without loss.

    Dates and times become ISO 8601 text, decimals, UUIDs and paths their text, members of an enum their
    value. Raises TypeError for everything else: bytes, fractions, time spans, containers.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real) and not isinstance(value, Rational):
        return float(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID | PurePath):
        return str(value)
    raise TypeError(f"a value of type {type(value).__name__} cannot be written without loss")


def fields_of(item: object, *, json: bool = True) -> Mapping[Any, Any]:
    """The fields of a mapping, a model or a dataclass, in their order; models as their JSON values if `json`.

    Raises TypeError for anything else.
    """
    if isinstance(item, Mapping):
        return item
    if isinstance(item, BaseModel):
        return item.model_dump(mode="json" if json else "python")
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        return {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    raise TypeError(f"a row is a dict, a model or a dataclass, got {type(item).__name__}")


def names_of(row_type: type) -> tuple[str, ...] | None:
    """The names of the fields that `fields_of` finds in items of a model or dataclass; None for other types."""
    if issubclass(row_type, BaseModel):
        return (*row_type.model_fields, *row_type.model_computed_fields)
    if dataclasses.is_dataclass(row_type):
        return tuple(field.name for field in dataclasses.fields(row_type))
    return None
