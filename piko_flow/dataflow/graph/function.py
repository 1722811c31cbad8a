"""What can be known of a user's function before it is called."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from piko_flow.dataflow.graph.generics import bind, class_of, members_of, seen_as, substitute, union_of
from piko_flow.dataflow.graph.typing import plain

Shape = Literal["plain", "async", "generator", "async_generator"]
_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)


@dataclass(frozen=True)
class Signature:
    """A function's name, how it runs, and the types of its parameters and of what it returns (Any if unknown)."""

    name: str
    shape: Shape
    takes: Any  # its first parameter
    returns: Any
    keywords: frozenset[str] | None  # names it accepts besides by keyword; None when it accepts any
    unresolved: str = ""  # why annotations could not be read, where they could not
    positional: tuple[Any, ...] = ()  # the types of all parameters that can be filled by position

    @property
    def is_async(self) -> bool:
        return self.shape in ("async", "async_generator")


def signature_of(function: Callable[..., Any], items: int = 1) -> Signature:
    """Look through partials and callable objects; annotations that cannot be resolved count as Any.

    `items` is how many parameters are filled by position when the function is called.
    """
    inner = unwrap(function)
    hints, unresolved = _hints(inner)
    parameters = _parameters(function)
    positional = tuple(hints.get(one.name, Any) for one in parameters or () if one.kind in _POSITIONAL)
    return Signature(
        name=name_of(function),
        shape=_shape(inner),
        takes=positional[0] if positional else Any,
        returns=inner if isinstance(inner, type) else hints.get("return", Any),
        keywords=_keywords(parameters, items),
        unresolved=unresolved,
        positional=positional,
    )


def misfit(function: Callable[..., Any], items: int, names: Iterable[str] = ()) -> str:
    """Why the function cannot be called with `items` positional arguments and these names; empty if it can."""
    try:
        inspect.signature(function).bind(*[None] * items, **dict.fromkeys(names))
    except TypeError as error:
        return str(error)
    except ValueError:  # some builtins have no signature
        return ""
    return ""


def unwrap(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function inside partials and callable objects."""
    while isinstance(function, functools.partial):
        function = function.func
    if not (inspect.isroutine(function) or isinstance(function, type)):
        call = getattr(type(function), "__call__", None)
        if call is not None and inspect.isfunction(inspect.unwrap(call)):
            return typing.cast("Callable[..., Any]", call.__get__(function))
    return function


def name_of(function: object) -> str:
    """The function's own name, without its module; a partial has that of its function."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None) or type(function).__name__
    return "lambda" if name == "<lambda>" else str(name)


def item_of(annotation: Any) -> Any:
    """The item type of an annotated iterable or async iterable, or of an awaitable of one; Any where unknown."""
    found = []
    for member in map(plain, members_of(plain(annotation))):
        kind = class_of(member)
        if not isinstance(kind, type):
            return Any
        if issubclass(kind, Awaitable):
            result = seen_as(member, kind)
            found.append(item_of(result[-1]) if result else Any)
            continue
        items = next((seen for base in (Iterable, AsyncIterable) if (seen := seen_as(member, base))), None)
        found.append(items[0] if items else _by_method(kind))
    return union_of(found)


def _by_method(kind: type) -> Any:
    """What the class says of its items where it defines how to iterate it."""
    method = getattr(kind, "__iter__", None) or getattr(kind, "__aiter__", None)
    if not inspect.isfunction(method):
        return Any
    returns = _hints(method)[0].get("return", Any)
    return Any if class_of(returns) is kind else item_of(returns)


def gives_items(annotation: Any) -> bool:
    """Whether something annotated so can be iterated, or awaited for what can; True where that is not known."""
    kinds = [class_of(plain(member)) for member in members_of(plain(annotation))]
    known = [type(None) if kind is None else kind for kind in kinds]
    return any(
        not isinstance(kind, type)
        or kind in (object, Any)
        or getattr(kind, "_is_protocol", False)
        or issubclass(kind, (Iterable, AsyncIterable, Awaitable))
        or hasattr(kind, "__getitem__")
        for kind in known
    )


def never_awaitable(annotation: Any) -> bool:
    """Whether what is annotated so is known not to need an await; False where that is not known."""
    kinds = [class_of(plain(member)) for member in members_of(plain(annotation))]
    return all(
        kind is None
        or (
            isinstance(kind, type)
            and kind not in (object, Any)
            and not getattr(kind, "_is_protocol", False)
            and not issubclass(kind, Awaitable)
        )
        for kind in kinds
    )


def through(signature: Signature, incoming: Any, outgoing: Any) -> Any:
    """The outgoing type, with the function's type variables replaced by what they stand for when `incoming` comes."""
    return substitute(outgoing, bind(signature.takes, incoming))


def _shape(inner: Callable[..., Any]) -> Shape:
    if inspect.isasyncgenfunction(inner):
        return "async_generator"
    if inspect.iscoroutinefunction(inner):
        return "async"
    return "generator" if inspect.isgeneratorfunction(inner) else "plain"


def _keywords(parameters: list[inspect.Parameter] | None, items: int) -> frozenset[str] | None:
    if parameters is None or any(one.kind is one.VAR_KEYWORD for one in parameters):
        return None
    filled = parameters[:items] if all(one.kind in _POSITIONAL for one in parameters[:items]) else []
    by_name = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return frozenset(one.name for one in parameters if one.kind in by_name and one not in filled)


def _hints(inner: Callable[..., Any]) -> tuple[dict[str, Any], str]:
    target: Any = inner.__init__ if isinstance(inner, type) else inner  # type: ignore[misc]
    written: dict[str, Any] = getattr(target, "__annotations__", None) or {}
    try:
        return (typing.get_type_hints(target) if written else {}), ""
    except Exception:  # any error may come out of evaluating a user's annotation: find out which are good
        return _one_by_one(getattr(inspect.unwrap(target), "__globals__", {}), written)


def _one_by_one(names: dict[str, Any], written: dict[str, Any]) -> tuple[dict[str, Any], str]:
    hints: dict[str, Any] = {}
    unresolved = []
    for name, annotation in written.items():
        try:
            probe: Any = types.SimpleNamespace(__annotations__={name: annotation})
            hints |= typing.get_type_hints(probe, globalns=names)
        except Exception as error:  # as above
            unresolved.append(f"{name}: {annotation!r} ({type(error).__name__}: {error})")
    return hints, "; ".join(unresolved)


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some builtins have no signature
        return None
