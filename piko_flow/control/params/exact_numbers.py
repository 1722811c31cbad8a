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

from piko_flow.control.params.secret_fields import field_type, inner_type, shapes_in

_LONG: Final = re.compile(r"\d(?:[\d.]{15}|[eE][-+]?\d{3})")
"""What a text has where a number in it may have more digits, or be nearer to 0, than a float can say."""

_WHOLE: Final = re.compile(r"-?\d+")
_BITS: Final = range(-(2**63), 2**64)
"""The whole numbers that what reads and writes JSON here has; others are floats with their text."""


class ExactNumber(float):
    """A float that does not hold all digits of its text."""

    text: str

    def __new__(cls, text: str) -> ExactNumber:
        made = super().__new__(cls, text)
        made.text = text
        return made


def exact_number(text: str) -> float:
    """The number of this text: a float, with the text where that says more. For `parse_float` of `json.loads`."""
    found = float(text)
    try:
        same = not math.isfinite(found) or Decimal(text) == Decimal(repr(found))
    except InvalidOperation:  # an exponent that no Decimal has either
        same = True
    return found if same else ExactNumber(text)


def exact_whole_number(text: str) -> float:
    """The whole number of this text, beyond 64 bits as a float with the text. For `parse_int` of `json.loads`.

    Raises ValueError where no float is as large.
    """
    if len(text) <= 20 and (found := int(text)) in _BITS:
        return found
    written = ExactNumber(text)
    if not math.isfinite(written):
        raise ValueError(f"a number of {len(text)} digits is larger than JSON may have here")
    return written


def read_json(text: str) -> Any:
    """The values of a JSON text with its numbers as they were written. Raises ValueError for what is no JSON."""
    return as_written(text, json.loads(text))


def as_written(text: str, values: Any) -> Any:
    """The values that were read of this JSON text, with its numbers as they were written; the same where they say all.

    Values that are nested deeper than Python's own reader goes stay as they were read.
    """
    if not _LONG.search(text):
        return values
    try:
        return json.loads(text, parse_float=exact_number, parse_int=exact_whole_number)
    except RecursionError:
        return values


def json_text(values: object, *, sort_keys: bool = False) -> str:
    """The values as JSON, numbers as they were written. Raises TypeError for what JSON does not have."""
    option = orjson.OPT_SORT_KEYS if sort_keys else 0
    try:
        return orjson.dumps(values, default=_fragment, option=option).decode()
    except TypeError:  # orjson has no whole numbers beyond 64 bits, and asks `default` for none
        return orjson.dumps(_with_texts(values), default=_fragment, option=option).decode()


def as_the_model_reads(annotation: object, value: Any) -> Any:
    """The JSON value with the text of a written number where the type, None for an unknown one, has a Decimal, and a
    plain float elsewhere; a whole number stays one, unless the type has floats alone."""
    while isinstance(annotation, type) and issubclass(annotation, RootModel):
        annotation = annotation.model_fields["root"].annotation
    if isinstance(value, ExactNumber):
        kinds = set(_kinds(annotation))
        if _WHOLE.fullmatch(value.text) and (int in kinds or float not in kinds):
            return int(value.text)
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


def _with_texts(value: Any) -> Any:
    """The value with the text of each whole number beyond 64 bits."""
    if isinstance(value, dict):
        return {name: _with_texts(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_texts(inner) for inner in value]
    if isinstance(value, int) and value not in _BITS:
        try:
            return exact_whole_number(str(value))
        except ValueError as error:
            raise TypeError(str(error)) from None
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
    if isinstance(value, ExactNumber):
        return orjson.Fragment(value.text)
    raise TypeError(f"JSON has no {type(value).__name__}")
