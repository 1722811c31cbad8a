"""Type arguments: what a class is when seen as one of its bases, and what type variables stand for."""

from __future__ import annotations

import collections
import collections.abc as abc
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

UNIONS = (typing.Union, types.UnionType)

_ONE: tuple[type, ...] = (abc.Iterable, abc.Container, abc.AsyncIterable)
_WHOLE: dict[type, Any] = {str: str, bytes: int, bytearray: int, memoryview: int, range: int}


def class_of(annotation: Any) -> Any:
    """The class behind an annotation, without its arguments; the annotation itself where there is none."""
    return typing.get_origin(annotation) or _pydantic(annotation).get("origin") or annotation


def arguments_of(annotation: Any) -> tuple[Any, ...]:
    """The type arguments as written; those of a generic Pydantic model too."""
    return typing.get_args(annotation) or tuple(_pydantic(annotation).get("args") or ())


def union_of(kinds: list[Any]) -> Any:
    """One type for what may be any of these; Any if one of them is unknown."""
    if not kinds or Any in kinds:
        return Any
    return typing.Union[tuple(kinds)]  # noqa: UP007  # built from values, not written


def members_of(annotation: Any) -> list[Any]:
    """The members of a union; the annotation alone if it is none."""
    return list(typing.get_args(annotation)) if typing.get_origin(annotation) in UNIONS else [annotation]


def seen_as(annotation: Any, base: type) -> tuple[Any, ...] | None:
    """The type arguments that the annotation has as a `base`: `dict[str, int]` as Iterable has (str,).

    None where they are not known.
    """
    kind, given = class_of(annotation), arguments_of(annotation)
    if not isinstance(kind, type):
        return None
    if kind is base:
        return given or None
    inherited = _through_bases(kind, given, base)
    return inherited if inherited is not None else _container(kind, given, base)


def bind(pattern: Any, given: Any) -> dict[Any, Any]:
    """What the type variables of `pattern` stand for when `given` comes; Any for what comes unknown."""
    if isinstance(pattern, TypeVar):
        return {pattern: given}
    found: dict[Any, Any] = {}
    kind = class_of(pattern)
    if kind in UNIONS or not isinstance(kind, type):
        return found
    seen = seen_as(given, kind) or ()
    for inner, part in zip(arguments_of(pattern), seen, strict=False):
        found |= bind(inner, part)
    return found


def substitute(annotation: Any, meanings: Mapping[Any, Any]) -> Any:
    """The annotation with its type variables replaced; Any for those without a meaning."""
    if isinstance(annotation, TypeVar):
        return meanings.get(annotation, Any)
    variables = getattr(annotation, "__parameters__", ())
    if not variables or isinstance(annotation, type):
        return annotation
    values = tuple(meanings.get(variable, Any) for variable in variables)
    try:
        return annotation[values]
    except TypeError:  # parameter specifications and variadic variables take other forms
        return Any


def _through_bases(kind: type, given: tuple[Any, ...], base: type) -> tuple[Any, ...] | None:
    """Follow the bases as they were written, `class Ints(list[int])`, to the one that is `base`."""
    meanings = dict(zip(getattr(kind, "__parameters__", ()), given, strict=False))
    for parent in vars(kind).get("__orig_bases__", kind.__bases__):
        if kind in (object, parent) or not _is_subclass(class_of(parent), base):
            continue
        found = seen_as(substitute(parent, meanings), base)
        if found is not None:
            return found
    return None


def _container(kind: type, given: tuple[Any, ...], base: type) -> tuple[Any, ...] | None:
    """The built-in containers and the abstract ones above them share the meaning of their arguments."""
    if not _is_subclass(kind, base):
        return None
    if issubclass(base, abc.Mapping):
        return (given[0], int) if issubclass(kind, collections.Counter) and given else given or None
    if not issubclass(base, _ONE):
        return None
    if kind in _WHOLE:
        return (_WHOLE[kind],)
    if kind is tuple:
        return (union_of([one for one in given if one is not Ellipsis]),) if given else None
    if kind.__module__ not in ("builtins", "collections", "collections.abc") or not given:
        return None
    return (tuple[given],) if issubclass(kind, abc.ItemsView) else given[:1]  # type: ignore[valid-type]


def _is_subclass(kind: Any, base: type) -> bool:
    try:
        return isinstance(kind, type) and issubclass(kind, base)
    except TypeError:  # classes that refuse issubclass
        return False


def _pydantic(annotation: Any) -> Mapping[str, Any]:
    """What a generic Pydantic model knows of its arguments; each of its forms is a class of its own."""
    known: Any = (
        vars(annotation).get("__pydantic_generic_metadata__") if isinstance(annotation, type) else None
    )
    return known if isinstance(known, dict) else {}
