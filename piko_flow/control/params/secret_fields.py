"""Which values of a model's JSON form may be secrets, also where they came in a wrong place or form."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

from pydantic import AliasChoices, AliasPath, BaseModel, RootModel
from pydantic.fields import FieldInfo
from typing_extensions import is_typeddict

from piko_flow.url_passwords import SECRET_WORDS

SECRET: Final = re.compile(SECRET_WORDS, re.IGNORECASE)
OPEN: Final = "allow"  # what a model says that takes any name


def may_be_secret(model: type[BaseModel], path: Sequence[Any]) -> bool:
    """Whether the value at this path of the model's JSON may be one that nobody should read; the whole always may.

    So may one in whose place something with a secret inside is expected, one beside a secret in an inner model, and
    one of a name that a model with secrets does not know.
    """
    if not path or any(SECRET.search(str(part)) for part in path):
        return True
    at: object = model
    for depth, part in enumerate(path):
        within = list(shapes_in(at))
        if depth and any(holds_secret(shape) for shape in within):
            return True
        known = [found for shape in within if (found := field_type(shape, str(part))) is not None]
        if within and not known and not isinstance(part, int) and unknown_may_be_secret(at):
            return True
        at = known[0] if known else at
    return holds_secret(at)


def holds_secret(annotation: object, seen: frozenset[object] = frozenset()) -> bool:
    """Whether the type is one for secrets, or has a field for one, however deep."""
    if SECRET.search(repr(annotation)):
        return True
    for shape in shapes_in(annotation):
        if shape not in seen and any(
            SECRET.search(name) or holds_secret(inner, seen | {shape})
            for name, inner in fields_of(shape).items()
        ):
            return True
    return any(
        holds_secret(root.model_fields["root"].annotation, seen | {root})
        for root in _roots_in(annotation, seen)
    )


def unknown_may_be_secret(annotation: object) -> bool:
    """Whether a value of a name that the type does not know may be a secret, with its name misspelt."""
    shapes = list(shapes_in(annotation))
    return any(map(holds_secret, shapes)) and not any(map(_takes_any_name, shapes))


def shapes_in(annotation: object) -> Iterator[type]:
    """The types with fields that the type is, or holds: Login, Login | None, list[Login], dict[str, Login]."""
    inner = getattr(annotation, "__value__", None)  # of `type Logins = list[Login]`
    if inner is not None:
        yield from shapes_in(inner)
    elif isinstance(annotation, type) and not get_args(annotation):
        if issubclass(annotation, RootModel):
            yield from shapes_in(annotation.model_fields["root"].annotation)
        elif _has_fields(annotation):
            yield annotation
    for one in get_args(annotation):
        yield from shapes_in(one)


def _roots_in(annotation: object, seen: frozenset[object]) -> Iterator[type[BaseModel]]:
    """The models of one value each that the type is, or holds, without those that were seen."""
    inner = getattr(annotation, "__value__", None)
    if isinstance(annotation, type) and not get_args(annotation) and issubclass(annotation, RootModel):
        yield from [annotation] if annotation not in seen else []
    for one in get_args(annotation) if inner is None else (inner,):
        yield from _roots_in(one, seen)


def inner_type(annotation: object, kind: type) -> object:
    """Of what a mapping to values, or a collection of them, is; None for a type that is none, also with None beside."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if not isinstance(origin, type) or issubclass(origin, UnionType):
        return next((found for one in inside if (found := inner_type(one, kind)) is not None), None)
    return inside[-1] if inside and issubclass(origin, kind) and not issubclass(origin, tuple) else None


def field_type(shape: object, name: str) -> object:
    """The type of the field of this name or alias; None where there is none."""
    return fields_of(shape).get(name)


def fields_of(shape: object) -> Mapping[str, object]:
    """Types by name and alias, of a model, a dataclass, a typed dictionary or a named tuple; empty for others."""
    if not isinstance(shape, type) or not _has_fields(shape):
        return {}
    if issubclass(shape, BaseModel):
        return {
            name: field.annotation for own, field in shape.model_fields.items() for name in _names(own, field)
        }
    try:
        return get_type_hints(shape)
    except (NameError, TypeError):  # a name that only a type checker sees
        return dict(shape.__annotations__)


def field_of(model: object, name: str) -> FieldInfo | None:
    """The field of a model whose value stands under this name, its own or an alias; None where there is none.

    Not one that is inside of what stands there, as with an alias that is a path.
    """
    if not isinstance(model, type) or not issubclass(model, BaseModel):
        return None
    fields = model.model_fields.items()
    return next((field for own, field in fields if name in _names(own, field, whole=True)), None)


def _has_fields(shape: type) -> bool:
    named = issubclass(shape, tuple) and hasattr(shape, "_fields")
    return issubclass(shape, BaseModel) or dataclasses.is_dataclass(shape) or is_typeddict(shape) or named


def _takes_any_name(shape: type) -> bool:
    return issubclass(shape, BaseModel) and shape.model_config.get("extra") == OPEN


def _names(own: str, field: FieldInfo, *, whole: bool = False) -> Iterator[str]:
    """Under which names a value for the field may stand; with `whole` only those under which it stands alone."""
    yield own
    other = field.validation_alias
    for one in (field.alias, *(other.choices if isinstance(other, AliasChoices) else [other])):
        path = one.path if isinstance(one, AliasPath) else [one]
        if isinstance(path[0], str) and not (whole and len(path) > 1):
            yield path[0]
