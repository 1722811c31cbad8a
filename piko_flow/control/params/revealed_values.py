"""Values of a model in clear, as JSON that the model reads again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, RootModel, TypeAdapter

from piko_flow.control.params.field_names import names_of

NOWHERE: Final = object()
"""What stands for a value where there is none, as null is one."""
_ANY: Final[TypeAdapter[Any]] = TypeAdapter(Any)


def revealed(value: Any) -> Any:
    """The value as JSON values that its model reads again, secrets in clear; NOWHERE for one that has no such form."""
    if callable(reveal := getattr(value, "get_secret_value", None)):
        return revealed(reveal())
    if isinstance(value, RootModel):
        return revealed(value.root)
    if isinstance(value, BaseModel):
        model = type(value)
        read = {own: next(iter(names_of(model, own)), own) for own in model.model_fields}
        return {name: revealed(getattr(value, own, None)) for own, name in read.items()}
    if is_dataclass_value(value):
        return {one.name: revealed(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(revealed(name)): revealed(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [revealed(inner) for inner in value]
    try:
        return _ANY.dump_python(value, mode="json")
    except ValueError:  # Pydantic's, of a type that it does not know
        return NOWHERE


def is_dataclass_value(value: Any) -> bool:
    """Whether it is a value of a dataclass, and no such class."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type)
