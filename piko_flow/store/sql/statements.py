"""SQL text with `:names`, turned once into what a driver takes, and rows turned into the one JSON text it is given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

NAME = re.compile(r"(?<![:\w]):([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Statement:
    """One text for any number of rows, so that nothing is compiled again. `names` are its values, in order."""

    sql: str
    names: tuple[str, ...]


def statement(text: str, mark: str) -> Statement:
    """The text with each `:name` replaced by the driver's mark; `mark` "$" is numbered."""
    names: list[str] = []

    def replace(found: re.Match[str]) -> str:
        names.append(found[1])
        return f"${len(names)}" if mark == "$" else mark

    return Statement(NAME.sub(replace, text.replace("%", "%%") if mark == "%s" else text), tuple(names))


def moment_text(moment: datetime) -> str:
    """The instant as all three databases read it in a session whose zone is UTC; texts are in order of time."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(" ", "microseconds")[:26]


def maybe_text(moment: datetime | None) -> str | None:
    """As `moment_text`; None stays None."""
    return None if moment is None else moment_text(moment)


def rows_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as one JSON text. Instants must be text already."""
    return orjson.dumps(list(rows)).decode()
