"""Whether what one stage gives is what the next one takes, judged by annotations.

A refusal needs certainty: what cannot be decided is allowed, and then fails or fits when it runs.
"""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Iterable
from typing import Any, TypeVar

from typing_extensions import is_typeddict

from piko_flow.dataflow.graph.generics import (
    UNIONS,
    arguments_of,
    class_of,
    members_of,
    seen_as,
    substitute,
    union_of,
)

# PEP 484: where the one is required, the others are welcome.
_PROMOTED: dict[Any, tuple[type, ...]] = {
    float: (int,),
    complex: (int, float),
    bytes: (bytearray, memoryview),
}
_WRAPPERS = (typing.Annotated, typing.ClassVar, typing.Final, typing.Required, typing.NotRequired)
_CALLABLE: Any = collections.abc.Callable
_GUARDS = ("TypeGuard", "TypeIs")


def compatible(given: Any, taken: Any) -> bool:
    """Whether a value annotated `given` may go where `taken` is required; what cannot be decided is allowed."""
    given, taken = plain(given), _required(plain(taken))
    if isinstance(given, TypeVar):
        return True
    if Any in (given, taken) or taken is object or given == taken or given in (typing.Never, typing.NoReturn):
        return True
    if typing.get_origin(given) in UNIONS:
        return all(compatible(member, taken) for member in members_of(given))
    if typing.get_origin(given) is typing.Literal:
        return all(_value_fits(value, taken) for value in typing.get_args(given))
    if typing.get_origin(taken) in UNIONS:
        return any(compatible(given, member) for member in members_of(taken))
    return _classes_fit(given, taken)


def plain(annotation: Any) -> Any:
    """The annotation without what only qualifies it: Annotated, NewType, aliases, Required; None as a class."""
    if annotation is None:
        return type(None)
    if isinstance(annotation, (str, typing.ForwardRef)) or annotation is typing.Self:
        return Any
    if annotation is typing.LiteralString:
        return str
    if isinstance(annotation, typing.NewType):
        return plain(annotation.__supertype__)
    if typing.get_origin(annotation) in _WRAPPERS:
        return plain(typing.get_args(annotation)[0])
    if type(annotation).__name__ == "TypeAliasType":
        return plain(annotation.__value__)
    alias: Any = typing.get_origin(annotation)
    if type(alias).__name__ == "TypeAliasType":
        meanings = dict(zip(alias.__type_params__, typing.get_args(annotation), strict=False))
        return plain(substitute(alias.__value__, meanings))
    if isinstance(annotation, (typing.ParamSpec, typing.TypeVarTuple)):
        return Any
    return bool if _name_of_form(annotation) in _GUARDS else annotation


def guarded(annotation: Any) -> Any:
    """The type that a predicate annotated TypeGuard[X] or TypeIs[X] promises; Any for other annotations."""
    return typing.get_args(annotation)[0] if _name_of_form(annotation) in _GUARDS else Any


def all_are(annotation: Any, classes: Iterable[type[Any]]) -> bool:
    """Whether everything of that type is an instance of one of the classes."""
    annotation = plain(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return all(isinstance(value, tuple(classes)) for value in typing.get_args(annotation))
    found = dict if is_typeddict(class_of(annotation)) else class_of(annotation)
    try:
        return isinstance(found, type) and issubclass(found, tuple(classes))
    except TypeError:  # classes that refuse issubclass
        return False


def has_items(annotation: Any, subclasses: Iterable[type[Any]]) -> bool:
    """Whether the type is known to have items besides those of `subclasses`: it is neither abstract nor a protocol."""
    found = class_of(plain(annotation))
    if not isinstance(found, type) or found is Any or getattr(found, "_is_protocol", False):
        return False
    return not (inspect.isabstract(found) and any(all_are(one, (found,)) for one in subclasses))


def show(annotation: Any) -> str:
    """An annotation as users write it, without modules."""
    if annotation in (None, type(None)):
        return "None"
    if typing.get_origin(annotation) in UNIONS:
        return " | ".join(show(member) for member in members_of(annotation))
    kind, arguments = class_of(annotation), arguments_of(annotation)
    if not isinstance(kind, type) or kind is _CALLABLE:
        return str(annotation).replace("typing.", "").replace("collections.abc.", "")
    name = kind.__qualname__.rpartition("<locals>.")[2]
    shown = ["..." if one is Ellipsis else show(one) for one in arguments]
    return f"{name}[{', '.join(shown)}]" if shown else name


def _name_of_form(annotation: Any) -> str:
    return str(getattr(typing.get_origin(annotation), "_name", ""))


def _required(taken: Any) -> Any:
    """What a type variable requires: its bound, or one of its constraints."""
    if not isinstance(taken, TypeVar):
        return taken
    if taken.__constraints__:
        return union_of([plain(one) for one in taken.__constraints__])
    return Any if taken.__bound__ is None else plain(taken.__bound__)


def _value_fits(value: Any, taken: Any) -> bool:
    return any(
        value in typing.get_args(member)
        if typing.get_origin(member) is typing.Literal
        else compatible(type(value), member)
        for member in members_of(taken)
    )


def _classes_fit(given: Any, taken: Any) -> bool:
    have, want = class_of(given), class_of(taken)
    if is_typeddict(have):
        have, given = dict, dict
    if is_typeddict(want):
        want, taken = dict, dict
    if not isinstance(have, type) or not isinstance(want, type) or getattr(want, "_is_protocol", False):
        return True
    try:
        if any(issubclass(have, promoted) for promoted in _PROMOTED.get(want, ())):
            return True
        if not issubclass(have, want):
            return False
    except TypeError:  # classes that refuse issubclass
        return True
    return _arguments_fit(given, taken, have, want)


def _arguments_fit(given: Any, taken: Any, have: type, want: type) -> bool:
    right = arguments_of(taken)
    if not right or want is _CALLABLE:
        return True
    if have is tuple and want is tuple:
        return _tuples_fit(arguments_of(given), right)
    left = seen_as(given, want)
    if left is None or len(left) != len(right):
        return True
    variables = getattr(want, "__parameters__", ()) or (None,) * len(right)
    return all(
        _argument_fits(one, other, variable)
        for one, other, variable in zip(left, right, variables, strict=False)
    )


def _argument_fits(given: Any, taken: Any, variable: Any) -> bool:
    """A covariant argument must fit; of other classes it is not known which way round their users mean it."""
    if compatible(given, taken):
        return True
    own_class = isinstance(variable, TypeVar) and not variable.__covariant__
    return own_class and compatible(taken, given)


def _tuples_fit(left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    if not left:
        return True
    if len(right) == 2 and right[1] is Ellipsis:
        return all(compatible(kind, right[0]) for kind in left if kind is not Ellipsis)
    if len(left) == 2 and left[1] is Ellipsis:
        return all(compatible(left[0], kind) for kind in right)
    if any(isinstance(kind, types.GenericAlias) and kind.__unpacked__ for kind in (*left, *right)):
        return True
    return len(left) == len(right) and all(compatible(a, b) for a, b in zip(left, right, strict=True))
