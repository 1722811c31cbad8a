"""Addresses that are filled from items, and the query parameters behind them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, TypeAlias
from urllib.parse import quote
from uuid import UUID

from piko_flow.connectors.json_path import at_path
from piko_flow.errors import shorten

Params: TypeAlias = Mapping[str, Any]
PLACE: Final = re.compile(r"\{([^{}]*)\}")
NO_ITEM: Final = object()


@dataclass(frozen=True)
class Address:
    """An address to ask: a text with places for fields of an item, or a function of the item, and parameters.

    In a text `{city}` is the item's field or key of that name, `{place.city}` one inside it, `{}` the item itself.
    What is filled in is percent-encoded, so it stays one piece of the path.
    """

    text: str | Callable[[Any], str]
    params: Params | Callable[[Any], Params] | None = None

    @property
    def takes_item(self) -> bool:
        """Whether it cannot be made without an item."""
        return callable(self.text) or callable(self.params) or PLACE.search(self.text) is not None

    def fill(self, item: Any = NO_ITEM) -> tuple[str, dict[str, Any]]:
        """The address for the item, and its parameters as texts. Raises ValueError for what cannot be filled in."""
        text = self.text(item) if callable(self.text) else self._filled(self.text, item)
        if not isinstance(text, str):
            raise ValueError(f"the function must give the address as a text, it gave {shorten(text)}")
        params = self.params(item) if callable(self.params) else self.params or {}
        if not isinstance(params, Mapping):
            raise ValueError(f"the function must give the parameters as a mapping, it gave {shorten(params)}")
        return text, param_texts(params)

    def _filled(self, text: str, item: Any) -> str:
        return text if item is NO_ITEM else PLACE.sub(lambda found: _piece(found[1], item), text)


def param_texts(params: Params) -> dict[str, Any]:
    """The parameters as texts, a list as a list of them; None leaves a parameter out. Raises ValueError.

    A datetime is written in UTC as RFC 3339 does, with a Z; it must have a zone.
    """
    texts: dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, (list, tuple)):
            texts[name] = [_text(one, f"parameter {name!r}") for one in value]
        elif value is not None:
            texts[name] = _text(value, f"parameter {name!r}")
    return texts


def _piece(path: str, item: Any) -> str:
    value = at_path(item, path)
    text = _text(value, f"{{{path}}}")
    if text in ("", ".", ".."):  # it would name another address
        raise ValueError(f"{{{path}}} must not be empty, . or .. in an address, got {shorten(value)}")
    return quote(text, safe="")


def _text(value: object, what: str) -> str:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{what} must be a datetime with a zone, got {value!r}")
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (str, int, float, Decimal, UUID)):
        return str(value)
    raise ValueError(f"{what} must be a text, a number or a date, got {shorten(value)}")
