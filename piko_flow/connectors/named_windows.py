"""Windows in the names of files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

MOMENT: Final = r"\d{8}T\d{6}(?:\.\d{6})?Z"


@dataclass(frozen=True)
class Window:
    """The span `[start, end)` that a file covers."""

    start: datetime
    end: datetime

    def lies(self, other: Window) -> Literal["inside", "apart", "across"]:
        """Where this window lies, seen from another."""
        if other.start <= self.start and self.end <= other.end:
            return "inside"
        return "apart" if self.end <= other.start or other.end <= self.start else "across"

    def __str__(self) -> str:
        return f"{moment_text(self.start)} to {moment_text(self.end)}"


def moment_text(moment: datetime) -> str:
    """A moment in UTC as ISO 8601's basic format has it, which any file name can hold: `20260131T060000Z`."""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds" if moment.microsecond else "seconds")
    return text.removesuffix("+00:00").replace("-", "").replace(":", "") + "Z"


def moment_of(text: str) -> datetime:
    """The moment that `moment_text` has written. Raises ValueError for one that does not exist."""
    return datetime.fromisoformat(text)
