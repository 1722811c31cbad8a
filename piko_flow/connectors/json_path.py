"""Finding a value inside a value: `at_path(answer, "data.items")`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ABSENT: Final[Any] = object()


def at_path(value: Any, path: str, default: Any = ABSENT) -> Any:
    """What lies at the path: names with dots between, each a key of a mapping or an attribute; "" is the value itself.

    A key may hold dots if the whole rest of the path is that key. Gives `default` for what is not there; without one
    raises ValueError, which says how far the path goes.
    """
    found, rest = value, path
    while rest:
        if isinstance(found, Mapping) and rest in found:
            return found[rest]
        name, _, rest = rest.partition(".")
        found = _inside(found, name)
        if found is ABSENT:
            if default is not ABSENT:
                return default
            there = f"it has {', '.join(map(str, value))[:200]}" if isinstance(value, Mapping) else ""
            raise ValueError(f"there is no {path!r}; {there or f'got a {type(value).__name__}'}")
    return found


def _inside(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name, ABSENT)
    return getattr(value, name, ABSENT) if name.isidentifier() and not name.startswith("_") else ABSENT
