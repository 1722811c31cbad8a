"""Items of dead letters as people write them, out of the JSON that is kept of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

LONGEST = 20_000  # characters of an item that a page shows
PARSED = 512 * 1024  # characters of JSON that is looked into; a payload in a row has fewer
VALUE = '"value":'


@dataclass(frozen=True, slots=True)
class ShownItem:
    """The text of an item: with `whole` what it is, else only how Python showed it. `cut` says that there was more."""

    text: str
    whole: bool
    cut: bool = False

    def in_line(self, most: int) -> str:
        """The beginning, in one line."""
        line = " ".join(self.text[: 4 * most].split())
        return line if len(line) <= most and not self.cut else line[: most - 1] + "…"


def shown_item(payload: str) -> ShownItem:
    """The item of a payload: a text as it is, all else as JSON; of what is no payload the text itself."""
    if len(payload) > PARSED:
        return ShownItem(
            payload.partition(VALUE)[2][:LONGEST] or payload[:LONGEST], VALUE in payload, cut=True
        )
    try:
        kept = json.loads(payload)
    except (ValueError, RecursionError):  # RecursionError: thousands of brackets
        kept = None
    if not isinstance(kept, dict) or not ("value" in kept or "repr" in kept):
        return _of(payload, whole=False)
    return of_value(kept["value"]) if "value" in kept else _of(str(kept["repr"]), whole=False)


def of_failure(text: str) -> ShownItem:
    """The item of a failure, of which a text is kept: JSON where some of it was hidden, else how Python showed it."""
    try:
        return of_value(json.loads(text))
    except (ValueError, RecursionError):
        return of_repr(text)


def of_value(value: Any) -> ShownItem:
    """A JSON value as one writes it."""
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return _of(text, whole=True)


def of_repr(text: str) -> ShownItem:
    """What Python showed of an item."""
    return _of(text, whole=False)


def _of(text: str, *, whole: bool) -> ShownItem:
    return ShownItem(text[:LONGEST], whole, cut=len(text) > LONGEST)
