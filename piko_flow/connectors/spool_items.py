"""Lists of items as the rows of a spool file hold them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from piko_flow.connectors.spool_errors import NotKept
from piko_flow.connectors.spool_models import Models, is_model, name_of
from piko_flow.connectors.spool_values import decode_values, encode_values

_MODEL = "model:"
_PLAIN = frozenset({dict, str, int, float, tuple, list, bytes, bool})


@dataclass(frozen=True, slots=True)
class Kept:
    """Items that follow each other, as bytes: `kind` says how to read them, `first` is where in the list they begin."""

    kind: str
    body: bytes
    items: int
    first: int = 0


class ItemForms:
    """Turns items into bytes and back; models only of the classes in `models`."""

    def __init__(self, models: Models, *, most: int) -> None:
        self._models, self._most = models, most

    def encode(self, items: Sequence[Any]) -> list[Kept]:
        """The items in their order, at most `most` in one. Raises NotKept for the first that cannot be kept."""
        kept: list[Kept] = []
        first = 0
        for kind, same in _alike(items):
            for start in range(0, len(same), self._most):
                part = same if len(same) <= self._most else same[start : start + self._most]
                kept.append(self._encoded(kind, part, first))
                first += len(part)
        return kept

    def decode(self, kind: str, body: bytes) -> list[Any]:
        """The items again. Raises UnknownModel, and ValueError for what is no such JSON or not taken by its class."""
        if kind.startswith(_MODEL):
            return self._models.decode(kind.removeprefix(_MODEL), body)
        return decode_values(kind, body)

    def _encoded(self, kind: type | None, items: list[Any], first: int) -> Kept:
        try:
            return self._attempt(kind, items, first)
        except (TypeError, ValueError) as error:
            if len(items) == 1:
                raise NotKept(first, items[0], str(error)) from error
        for index, item in enumerate(items):  # which one is it?
            self._encoded(kind, [item], first + index)
        raise AssertionError(f"{len(items)} items cannot be kept together, though each can alone")

    def _attempt(self, kind: type | None, items: list[Any], first: int) -> Kept:
        if kind is None:
            name, body = encode_values(items)
            return Kept(name, body, len(items), first)
        if kind not in self._models:
            known = ", ".join(self._models.names) or "none"
            raise TypeError(
                f"the spool could not make a {name_of(kind)} again after a restart, as its models are: {known} "
                f"(name it in models=[{kind.__qualname__}], or annotate what the sink's write takes)"
            )
        return Kept(_MODEL + name_of(kind), self._models.encode(kind, items), len(items), first)


def _alike(items: Sequence[Any]) -> Iterator[tuple[type | None, list[Any]]]:
    """The items in runs of the same model; None stands for all that are no models."""
    types = set(map(type, items))
    models = types - _PLAIN and set(filter(is_model, types))
    if not models or len(types) == 1:
        yield next(iter(models), None), items if isinstance(items, list) else list(items)
        return
    for kind, same in groupby(items, key=lambda item: type(item) if type(item) in models else None):
        yield kind, list(same)


def joined(bodies: Sequence[bytes]) -> bytes:
    """One JSON array of several of the same kind."""
    if len(bodies) == 1:
        return bodies[0]
    return b"[" + b",".join(body[1:-1] for body in bodies) + b"]"
