"""Whole numbers: which values are some, and how people read them with their nouns."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeGuard


def counted(number: int, thing: str, things: str = "") -> str:
    """`1 row`, `1,234 rows`; `things` is the plural where an s does not make it."""
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"


def are(number: int) -> str:
    """`is` for one, else `are`."""
    return "is" if number == 1 else "are"


def is_whole(value: object, least: int = 1) -> TypeGuard[int]:
    """Whether the value is a whole number of at least `least`. True and False are none, nor is 3.0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def whole_number(
    option: str, value: object, refuse: Callable[[str, str], NoReturn], *, least: int = 1
) -> int:
    """Give the value of an option that must be a whole number of at least `least`.

    Calls `refuse` with the rule and with what it got for any other value.
    """
    if not is_whole(value, least):
        refuse(f"{option} must be a whole number of at least {least}", f"got {value!r:.80}")
    return value
