"""Names in parameters, also inside of values, that the model of their place surely does not have and would ignore."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, PlainValidator, RootModel, WrapValidator
from pydantic.fields import FieldInfo

from piko_flow.control.params.field_names import Place, read_names
from piko_flow.control.params.secret_fields import field_of

FIRST: Final = (BeforeValidator, PlainValidator, WrapValidator)  # they see a value before a model does


@dataclass(frozen=True, slots=True)
class UnknownName:
    """Where the name stands in the values, the model that does not have it, and the names that the model has, sorted."""

    place: Place
    model: str
    known: tuple[str, ...]

    @property
    def nearest(self) -> str:
        """The name of the model that was meant, perhaps; empty where none is near."""
        return next(iter(get_close_matches(str(self.place[-1]), self.known, n=1)), "")

    @property
    def known_told(self) -> str:
        """The names that the model has, in words."""
        return f"{self.model} has {', '.join(self.known) or 'no field'}"


def unknown_names(
    model: type[BaseModel], values: Mapping[str, Any], *, read: bool = False
) -> Iterator[UnknownName]:
    """The names in the values that models surely do not have: those of the whole first, then those further inside.

    With `read` a field's own name is none where the model takes its alias alone. Nothing is said of a model that takes
    any name, that has aliases which are no plain names, or whose validators see the values before it does; nor of what
    is inside of a field with such a validator, or of one that may be of several models.
    """
    waiting: list[tuple[object, Any, Place]] = [(model, values, ())]
    # A list that grows while it is read: values may be nested deeper than Python calls.
    for annotation, value, place in waiting:
        inner = _without_none(annotation)
        if isinstance(value, list) and get_origin(inner) in (list, Sequence):
            [item] = get_args(inner)
            waiting += [(item, one, (*place, at)) for at, one in enumerate(value)]
        elif isinstance(value, Mapping) and get_origin(inner) in (dict, Mapping):
            waiting += [(get_args(inner)[1], one, (*place, name)) for name, one in value.items()]
        elif isinstance(value, Mapping) and (found := _model(inner)) is not None:
            if _says_its_names(found):
                names = read_names(found) | (set() if read else set(found.model_fields))
                known = tuple(sorted(names))
                yield from (
                    UnknownName((*place, name), found.__name__, known) for name in value if name not in names
                )
            waiting += _inside(found, value, place)


def _inside(
    model: type[BaseModel], value: Mapping[str, Any], place: Place
) -> Iterator[tuple[object, Any, Place]]:
    """What fields of the model hold that is made of parts, with its type."""
    for name, one in value.items():
        field = field_of(model, name) if isinstance(one, (list, Mapping)) else None
        if field is not None and not _is_seen_first(model, field):
            yield field.annotation, one, (*place, name)


def _without_none(annotation: object) -> object:
    """The type itself, of one that may be None as well, or that has a name of its own."""
    annotation = getattr(annotation, "__value__", annotation)
    inside = [one for one in get_args(annotation) if one is not NoneType]
    union = get_origin(annotation) in (Union, UnionType)
    return _without_none(inside[0]) if union and len(inside) == 1 else annotation


def _model(annotation: object) -> type[BaseModel] | None:
    """The model with names that the type is; None for others, and where validators see the values before it does."""
    if not isinstance(annotation, type) or not issubclass(annotation, BaseModel):
        return None
    return None if issubclass(annotation, RootModel) or _sees_first(annotation) else annotation


def _says_its_names(model: type[BaseModel]) -> bool:
    plain = all(isinstance(field.validation_alias, str | None) for field in model.model_fields.values())
    return plain and model.model_config.get("extra") != "allow"


def _sees_first(model: type[BaseModel]) -> bool:
    """A validator of the model has the values before the model reads them, and may know other names."""
    return any(one.info.mode != "after" for one in model.__pydantic_decorators__.model_validators.values())


def _is_seen_first(model: type[BaseModel], field: FieldInfo) -> bool:
    """A validator has the field's value before the field's type does."""
    names = {own for own, one in model.model_fields.items() if one is field} | {"*"}
    written = model.__pydantic_decorators__.field_validators.values()
    decorated = any(names & set(one.info.fields) and one.info.mode != "after" for one in written)
    return decorated or any(isinstance(one, FIRST) for one in field.metadata)
