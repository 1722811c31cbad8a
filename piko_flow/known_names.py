"""Names that nobody knows, and the one that was probably meant."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, TypeVar

T = TypeVar("T")


def did_you_mean(option: str, known: Iterable[str]) -> str:
    """The advice that names the known option which is most like this one; empty where none is."""
    close = get_close_matches(option, list(known), n=1)
    return f"Did you mean {close[0]}=?" if close else ""


def unknown_options_refused(kind: type[T]) -> type[T]:
    """Make the constructor of a class name its options, and the one most like it, when it is given one it does not have.

    It raises TypeError, as Python does. Its signature stays what it is, also for type checkers.
    """
    constructor: Any = kind.__init__
    parameters = [*inspect.signature(constructor).parameters.values()][1:]
    known = [one.name for one in parameters if one.kind is not one.POSITIONAL_ONLY]

    @functools.wraps(constructor)
    def checked(self: Any, *arguments: Any, **options: Any) -> None:
        for option in options:
            if option not in known:
                rule = f"{type(self).__name__}: the options are {', '.join(known)}; got {option}="
                raise TypeError(f"{rule}. {did_you_mean(option, known)}".removesuffix(". "))
        constructor(self, *arguments, **options)

    setattr(kind, "__init__", checked)  # noqa: B010  # mypy would see another signature
    return kind
