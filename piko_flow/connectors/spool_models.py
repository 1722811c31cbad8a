"""The classes of models whose items a spool can keep, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError


class UnknownModel(LookupError):
    """No class of this name is among those that the spool knows."""


class Models:
    """Makes JSON of models and dataclasses and models of JSON, for the classes that it was given and no others."""

    def __init__(self, classes: Iterable[type]) -> None:
        self._classes = {name_of(one): one for one in classes}
        self._lists: dict[type, TypeAdapter[list[Any]]] = {}

    def __contains__(self, kind: type) -> bool:
        return self._classes.get(name_of(kind)) is kind

    @property
    def names(self) -> list[str]:
        """The names of the classes, sorted."""
        return sorted(self._classes)

    def encode(self, kind: type, items: list[Any]) -> bytes:
        """The items, all of the class, as one JSON array. Raises ValueError for one that would not come back equal."""
        body = self._list(kind).dump_json(items, by_alias=False)
        try:
            back = self.decode(name_of(kind), body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"][1:])) or "it"
            raise ValueError(
                f"the JSON that {kind.__qualname__} makes of it is not taken back: {place}: {first['msg']}"
            ) from None
        if back == items:
            return body
        for one, other in zip(items, back, strict=True):
            if one != other:
                raise ValueError(
                    f"the JSON that {kind.__qualname__} makes of it comes back with {_difference(one, other)}"
                )
        return body

    def decode(self, name: str, body: bytes) -> list[Any]:
        """The items again. Raises UnknownModel, and ValidationError where the class does not take them."""
        kind = self._known(name)
        return self._list(kind).validate_json(body, by_name=True)

    def _known(self, name: str) -> type:
        if name in self._classes:
            return self._classes[name]
        # A module that was run as a script was called __main__ then.
        short = name.rpartition(".")[2]
        alike = [one for known, one in self._classes.items() if known.rpartition(".")[2] == short]
        if len(alike) == 1 and "__main__" in (name.rpartition(".")[0], alike[0].__module__):
            return alike[0]
        raise UnknownModel(f"{name} is not among the models of the spool ({', '.join(self.names) or 'none'})")

    def _list(self, kind: type) -> TypeAdapter[list[Any]]:
        if kind not in self._lists:
            self._lists[kind] = TypeAdapter(list[kind])  # type: ignore[valid-type]  # made while running
        return self._lists[kind]


def is_model(kind: object) -> bool:
    """Whether items of this class are kept as models."""
    return isinstance(kind, type) and (issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind))


def name_of(kind: type) -> str:
    """The name under which a class is kept."""
    return f"{kind.__module__}.{kind.__qualname__}"


def _difference(one: Any, other: Any) -> str:
    before, after = (getattr(value, "__dict__", {}) for value in (one, other))
    for name in before:
        if before[name] != after.get(name):
            return f"another {name}"
    return "another value"
