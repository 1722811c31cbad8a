"""SQL text with `:names`, turned once into what a driver takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

NAME = re.compile(r"(?<![:\w]):([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Statement:
    """One text for any number of rows, so that nothing is compiled again.

    `names` are its values, in order; `columns` those of the rows that it is given, as one value named `rows`.
    With `each` the driver is handed the rows one by one instead, and the names of columns stand for theirs.
    """

    sql: str
    names: tuple[str, ...]
    columns: tuple[str, ...] = ()
    each: bool = False


def statement(text: str, mark: str, columns: Iterable[str] = (), *, each: bool = False) -> Statement:
    """The text with each `:name` replaced by the driver's mark; `mark` "$" is numbered."""
    names: list[str] = []

    def replace(found: re.Match[str]) -> str:
        names.append(found[1])
        return f"${len(names)}" if mark == "$" else mark

    sql = NAME.sub(replace, text.replace("%", "%%") if mark == "%s" else text)
    return Statement(sql, tuple(names), tuple(columns), each)


def values_of(names: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """What gives the values of these names, in order."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda row: tuple(row[name] for name in names)


def moment_text(moment: datetime) -> str:
    """The instant as all three databases read it in a session whose zone is UTC; texts are in order of time."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(" ", "microseconds")[:26]


def maybe_text(moment: datetime | None) -> str | None:
    """As `moment_text`; None stays None."""
    return None if moment is None else moment_text(moment)
