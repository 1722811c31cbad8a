"""Whether what one stage gives is what the next one takes, judged by annotations."""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from typing import Any, TypeVar

from piko_flow.dataflow.stages.routing import Fork, Merge, On, RouteFork
from piko_flow.dataflow.stages.stage import SinkLike, Stage
from piko_flow.errors import StageTypeError

_UNIONS = (typing.Union, types.UnionType)
_PROMOTED: dict[Any, tuple[Any, ...]] = {float: (int,), complex: (int, float)}  # PEP 484, the numeric tower


def outgoing(stage: Stage, incoming: Any = Any, before: Stage | None = None) -> Any:
    """The type that leaves a stage which gets `incoming` from `before`; Any where unknown.

    Raises StageTypeError at the first joint inside that does not fit, naming both stages and both types.
    """
    if isinstance(stage, Merge):
        return union_of([outgoing(source) for source in stage.sources])
    parts: tuple[Stage, ...] | None = getattr(stage, "parts", None)
    if parts is not None:
        for part in parts:
            incoming = outgoing(part, incoming, before)
            before = last_of(part)
        return incoming
    if isinstance(stage, Fork):
        return _through_fork(stage, incoming, before)
    if before is not None and not compatible(incoming, stage.takes):
        _mismatch(stage, stage.takes, before, incoming)
    return stage.gives(incoming)


def last_of(stage: Stage) -> Stage:
    """The leaf that a message names when something that comes out of `stage` does not fit."""
    parts: tuple[Stage, ...] | None = getattr(stage, "parts", None)
    return last_of(parts[-1]) if parts else stage


def compatible(given: Any, taken: Any) -> bool:
    """Whether a value annotated `given` may go where `taken` is asked for; what cannot be decided is allowed."""
    given, taken = _plain(given), _plain(taken)
    if (
        Any in (given, taken)
        or taken is object
        or given == taken
        or given is typing.Never
        or given is typing.NoReturn
    ):
        return True
    if typing.get_origin(given) in _UNIONS:
        return all(compatible(member, taken) for member in typing.get_args(given))
    if typing.get_origin(taken) in _UNIONS:
        return any(compatible(given, member) for member in typing.get_args(taken))
    if typing.get_origin(given) is typing.Literal:
        values = typing.get_args(given)
        if typing.get_origin(taken) is typing.Literal:
            return set(values) <= set(typing.get_args(taken))
        return all(compatible(type(value), taken) for value in values)
    return _classes_fit(given, taken)


def union_of(kinds: list[Any]) -> Any:
    """One type for what several branches give; Any if one of them is unknown."""
    if not kinds or Any in kinds:
        return Any
    return typing.Union[tuple(kinds)]  # noqa: UP007  # built from values, not written


def show(annotation: Any) -> str:
    """An annotation as users write it."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation.__qualname__
    return str(annotation).replace("typing.", "")


def _plain(annotation: Any) -> Any:
    """The annotation without Annotated, NewType, type aliases and type variables."""
    if annotation is None:
        return type(None)
    if isinstance(annotation, TypeVar):
        bound = annotation.__bound__
        return Any if bound is None else _plain(bound)
    if isinstance(annotation, typing.NewType):
        return _plain(annotation.__supertype__)
    if typing.get_origin(annotation) is typing.Annotated:
        return _plain(typing.get_args(annotation)[0])
    value = getattr(annotation, "__value__", None)
    if type(annotation).__name__ == "TypeAliasType" and value is not None:
        return _plain(value)
    return Any if isinstance(annotation, str) else annotation


def _classes_fit(given: Any, taken: Any) -> bool:
    have, want = typing.get_origin(given) or given, typing.get_origin(taken) or taken
    if typing.is_typeddict(have):
        have = dict
    if typing.is_typeddict(want):
        return have is dict
    if not isinstance(have, type) or not isinstance(want, type) or getattr(want, "_is_protocol", False):
        return True
    if want in _PROMOTED and have in _PROMOTED[want]:
        return True
    try:
        if not issubclass(have, want):
            return False
    except TypeError:  # classes that refuse issubclass
        return True
    return _arguments_fit(given, taken, have, want)


def _arguments_fit(given: Any, taken: Any, have: type, want: type) -> bool:
    left, right = typing.get_args(given), typing.get_args(taken)
    if not left or not right or want is collections.abc.Callable or not _same_parameters(have, want):
        return True
    if have is tuple and want is tuple:
        return _tuples_fit(left, right)
    if have is tuple:
        left = (union_of([kind for kind in left if kind is not Ellipsis]),)
    return len(left) != len(right) or all(compatible(a, b) for a, b in zip(left, right, strict=True))


def _same_parameters(have: type, want: type) -> bool:
    """Whether the type arguments of the two classes mean the same: built-in containers and the abstract ones above them."""
    return have is want or (
        inspect.getmodule(have) in (None, typing.cast(Any, collections.abc), inspect.getmodule(int))
        and have.__module__ in ("builtins", "collections.abc", "collections")
    )


def _tuples_fit(left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    if len(right) == 2 and right[1] is Ellipsis:
        return all(compatible(kind, right[0]) for kind in left if kind is not Ellipsis)
    if len(left) == 2 and left[1] is Ellipsis:
        return all(compatible(left[0], kind) for kind in right)
    return len(left) == len(right) and all(compatible(a, b) for a, b in zip(left, right, strict=True))


def _through_fork(stage: Any, incoming: Any, before: Stage | None) -> Any:
    if isinstance(stage, RouteFork):
        _check_covered(stage, incoming, before)
        sent = _routed(stage.ons, incoming)
    else:
        sent = [incoming] * len(stage.branches)
    gives = [
        outgoing(branch, kind, before or stage) for branch, kind in zip(stage.branches, sent, strict=True)
    ]
    opened = [
        kind for branch, kind in zip(stage.branches, gives, strict=True) if not isinstance(branch, SinkLike)
    ]
    return union_of(opened) if opened else Any


def _routed(ons: tuple[On[Any, Any, Any, Any], ...], incoming: Any) -> list[Any]:
    """What each branch is sent: members of its classes where it has some, else what is left of the incoming type."""
    left, sent = _members(incoming), []
    for on in ons:
        if not on.classes:
            sent.append(incoming if incoming is Any else union_of(left))
            continue
        narrowed = [kind for kind in left if isinstance(kind, type) and issubclass(kind, on.classes)]
        sent.append(union_of(narrowed or list(on.classes)) if on.classes != (object,) else union_of(left))
        left = [kind for kind in left if kind not in narrowed]
    return sent


def _members(annotation: Any) -> list[Any]:
    annotation = _plain(annotation)
    return list(typing.get_args(annotation)) if typing.get_origin(annotation) in _UNIONS else [annotation]


def _check_covered(stage: RouteFork, incoming: Any, before: Stage | None) -> None:
    if before is None or incoming is Any or any(not on.classes for on in stage.ons):
        return
    classes = tuple(kind for on in stage.ons for kind in on.classes)
    missing = [
        kind
        for kind in _members(incoming)
        if isinstance(typing.get_origin(kind) or kind, type)
        and not issubclass(typing.get_origin(kind) or kind, classes)
    ]
    if missing:
        names = ", ".join(show(kind) for kind in missing)
        raise StageTypeError(
            what=typing.cast(Stage, stage).title,
            where=str(typing.cast(Stage, stage).origin),
            rule="a Route has a branch for everything that comes",
            came=f"{before.title} ({before.origin}) gives {show(incoming)} and no branch takes {names}",
            advice=f"Add On({names.split(', ')[0]}, ...), or On(object, ...) last",
        )


def _mismatch(stage: Stage, taken: Any, before: Stage, given: Any) -> typing.NoReturn:
    raise StageTypeError(
        what=stage.title,
        where=str(stage.origin),
        rule=f"it takes {show(taken)}",
        came=f"{before.title} ({before.origin}) gives {show(given)}",
        advice="Change one of the two annotations, or put a Transform or Parse between them",
    )
