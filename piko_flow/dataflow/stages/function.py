"""What can be known of a user's function before it is called."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

Shape = Literal["plain", "async", "generator", "async_generator"]
_ITERATING = {Iterator, Iterable, AsyncIterator, AsyncIterable}


@dataclass(frozen=True)
class Signature:
    """A function's name, how it runs, and the types of its first parameter and of what it returns (Any if unknown)."""

    name: str
    shape: Shape
    takes: Any
    returns: Any
    keywords: frozenset[str] | None  # names it accepts by keyword; None when it accepts any
    unresolved: str = ""  # why annotations could not be read, where they could not

    @property
    def is_async(self) -> bool:
        return self.shape in ("async", "async_generator")


def signature_of(function: Callable[..., Any]) -> Signature:
    """Look through partials and callable objects; annotations that cannot be resolved count as Any."""
    inner, skip = unwrap(function)
    hints, unresolved = _hints(inner)
    parameters = _parameters(function)
    positional = [
        p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)
    ]
    takes: Any = hints.get(positional[0].name, Any) if positional else Any
    if isinstance(inner, type):
        returns: Any = inner
    else:
        returns = hints.get("return", Any)
    del skip
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters)
    names = frozenset(p.name for p in parameters[1:] if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD))
    if parameters and parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
        names |= {parameters[0].name}
    return Signature(
        name=name_of(function),
        shape=_shape(inner),
        takes=takes,
        returns=returns,
        keywords=None if anything or not parameters else names,
        unresolved=unresolved,
    )


def accepts_first(function: Callable[..., Any]) -> bool:
    """Whether the function can be called with one positional argument; True where that cannot be known."""
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def unwrap(function: Callable[..., Any]) -> tuple[Callable[..., Any], int]:
    """The function inside partials and callable objects, and how many arguments the partials have filled."""
    filled = 0
    while isinstance(function, functools.partial):
        filled += len(function.args)
        function = function.func
    if not (inspect.isroutine(function) or isinstance(function, type)):
        call = getattr(type(function), "__call__", None)
        if call is not None and inspect.isfunction(inspect.unwrap(call)):
            return typing.cast("Callable[..., Any]", call.__get__(function)), filled
    return function, filled


def name_of(function: object) -> str:
    """The function's own name, without its module; a partial has that of its function."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None) or type(function).__name__
    return "lambda" if name == "<lambda>" else str(name)


def item_of(annotation: Any) -> Any:
    """The item type of an annotated iterable, awaitable of one, or generator; Any where unknown."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if not arguments or not isinstance(origin, type):
        return Any
    if issubclass(origin, Awaitable):
        return item_of(arguments[-1])
    if issubclass(origin, dict):
        return arguments[0]
    if issubclass(origin, tuple):
        return arguments[0] if len(arguments) == 2 and arguments[1] is Ellipsis else Any
    if issubclass(origin, (Iterable, AsyncIterable)):
        return arguments[0]
    return Any


def _shape(inner: Callable[..., Any]) -> Shape:
    if inspect.isasyncgenfunction(inner):
        return "async_generator"
    if inspect.iscoroutinefunction(inner):
        return "async"
    return "generator" if inspect.isgeneratorfunction(inner) else "plain"


def _hints(inner: Callable[..., Any]) -> tuple[dict[str, Any], str]:
    target: Any = inner.__init__ if isinstance(inner, type) else inner  # type: ignore[misc]
    try:
        return typing.get_type_hints(target), ""
    except Exception as error:  # any error may come out of evaluating a user's annotation
        return {}, f"{type(error).__name__}: {error}"


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some builtins have no signature
        return []
