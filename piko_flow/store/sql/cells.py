"""The cells of a row that people edit: each read as what it is to be, or told why it cannot be."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

from piko_flow.errors import shorten
from piko_flow.planning.moment import EARLIEST, IN_REACH, LATEST
from piko_flow.store.sql.columns import read_moment

T = TypeVar("T")
MOST_NUMBER = 2**31 - 1  # what a column of whole numbers holds in every database but SQLite
MOST_VERSION = 2**63 - 2  # the next one is stored, too
SHOWN = 60  # characters of what came


class Cells:
    """One row. SQLite lets a person write anything into any column, the servers let moments stand that are none.

    A cell that cannot be read gives the column's default, and `unreadable` then has the column with the reason.
    """

    def __init__(self, columns: Iterable[str], row: Iterable[Any]) -> None:
        self._cells = dict(zip(columns, row, strict=True))
        self._unreadable: list[tuple[str, str]] = []

    @property
    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """The columns that could not be read so far, each with the reason, which begins with its name."""
        return tuple(self._unreadable)

    def text(self, column: str, default: str = "", *, secret: bool = False) -> str:
        """A text; one that is missing is the default. What cannot be read is not shown where it may be secret."""
        value = self._cells[column]
        if value is None:
            return default
        if isinstance(value, str):
            return value
        got = f"a value of type {type(value).__name__}" if secret else ""
        return self._refuse(column, "it is text", default, got)

    def number(self, column: str, default: int, *, most: int = MOST_NUMBER) -> int:
        """A whole number; one that is missing is the default."""
        value = self._cells[column]
        if value is None:
            return default
        if isinstance(value, int) and -most - 1 <= value <= most:
            return int(value)
        return self._refuse(column, f"it is a whole number up to {most}", default)

    def yes_or_no(self, column: str, default: bool) -> bool:
        """A truth value; one that is missing is the default."""
        value = self._cells[column]
        if value is None:
            return default
        return bool(value) if value in (0, 1) else self._refuse(column, "it is 1 or 0", default)

    def moment(self, column: str) -> datetime | None:
        """An instant in UTC; None where none stands there."""
        value = self._cells[column]
        try:
            found = read_moment(value)
        except OverflowError:  # its offset leads out of what datetime can hold
            return self._refuse(column, IN_REACH, None)
        except ValueError:
            rule = "it is an instant such as '2026-01-08 10:00:00', in UTC, or NULL"
            return self._refuse(column, rule, None)
        if found is None or EARLIEST <= found <= LATEST:
            return found
        return self._refuse(column, IN_REACH, None)

    def _refuse(self, column: str, rule: str, default: T, got: str = "") -> T:
        got = got or shorten(self._cells[column], SHOWN)
        self._unreadable.append((column, f"{column}: {rule}; got {got}"))
        return default
