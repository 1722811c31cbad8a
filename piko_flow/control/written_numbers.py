"""Numbers of JSON with all digits that they were written with: what a float loses, a Decimal of a model keeps."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, get_args, get_origin

import orjson
from pydantic import RootModel

from piko_flow.control.secret_fields import field_type, inner_type, shapes_in

_LONG: Final = re.compile(r"\d(?:[\d.]{15}|[eE][-+]?\d{3})")
"""What a text has where a number in it may have more digits, or be nearer to 0, than a float can say."""


class WrittenNumber(float):
    """A float that does not hold all digits of its text."""

    text: str


def written_number(text: str) -> float:
    """The number of this text: a float, with the text where that says more. For `parse_float` of `json.loads`."""
    found = float(text)
    try:
        same = not math.isfinite(found) or Decimal(text) == Decimal(repr(found))
    except InvalidOperation:  # an exponent that no Decimal has either
        same = True
    if same:
        return found
    written = WrittenNumber(found)
    written.text = text
    return written


def read_json(text: str) -> Any:
    """The values of a JSON text with its numbers as they were written. Raises ValueError for what is no JSON."""
    return as_written(text, json.loads(text))


def as_written(text: str, values: Any) -> Any:
    """The values that were read of this JSON text, with its numbers as they were written; the same where they say all."""
    return json.loads(text, parse_float=written_number) if _LONG.search(text) else values


def json_text(values: object, *, sort_keys: bool = False) -> str:
    """The values as JSON, numbers as they were written. Raises TypeError for what JSON does not have."""
    option = orjson.OPT_SORT_KEYS if sort_keys else 0
    return orjson.dumps(values, default=_fragment, option=option).decode()


def as_the_model_reads(annotation: object, value: Any) -> Any:
    """The JSON value with the text of a written number where the type, None for an unknown one, has a Decimal, and a
    plain float elsewhere."""
    while isinstance(annotation, type) and issubclass(annotation, RootModel):
        annotation = annotation.model_fields["root"].annotation
    if isinstance(value, WrittenNumber):
        kinds = set(_kinds(annotation))
        return value.text if Decimal in kinds and not kinds & {float, str} else float(value)
    if isinstance(value, dict):
        mapped = inner_type(annotation, Mapping)
        shapes = [] if mapped is not None else list(shapes_in(annotation))
        return {
            name: as_the_model_reads(
                next((found for shape in shapes if (found := field_type(shape, name)) is not None), mapped),
                inner,
            )
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [as_the_model_reads(_of_item(annotation, at), item) for at, item in enumerate(value)]
    return value


def _of_item(annotation: object, at: int) -> object:
    """The type of an item of a list."""
    inside = get_args(annotation)
    if get_origin(annotation) is tuple and Ellipsis not in inside:
        return inside[at] if at < len(inside) else None
    return inner_type(annotation, Collection) or annotation


def _kinds(annotation: object) -> Iterator[type]:
    """The plain types that a type is, or has inside: Decimal and None of `Decimal | None`."""
    alias = getattr(annotation, "__value__", None)  # of `type Price = Decimal`
    inside = get_args(annotation) if alias is None else (alias,)
    if isinstance(annotation, type) and not inside:
        yield annotation
    for one in inside:
        yield from _kinds(one)


def _fragment(value: object) -> orjson.Fragment:
    if isinstance(value, WrittenNumber):
        return orjson.Fragment(value.text)
    raise TypeError(f"JSON has no {type(value).__name__}")
