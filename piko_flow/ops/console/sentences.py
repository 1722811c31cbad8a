"""Sentences with instants in them, which a page shows in the viewer's zone like every other time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from piko_flow.control.flows.told_times import Times
from piko_flow.ops.console.formats import moment
from piko_flow.planning.window import Window

# Two characters of the private use area, which no text of people has, around each instant. Where one has them all the
# same, what stands between them is an instant, or it is shown as it is.
_OPEN, _CLOSE = "\ue000", "\ue001"
_MARK: Final = re.compile(f"{_OPEN}([0-9T:+.-]{{1,40}}){_CLOSE}")

_CODE: Final = re.compile("`([^`<>]+)`")  # in markup, only within one piece of text


@dataclass(frozen=True, slots=True)
class MarkedTimes(Times):
    """Writes instants so that `sentence` finds them again."""

    def at(self, instant: datetime) -> str:
        """The instant to the second, marked."""
        return f"{_OPEN}{instant.isoformat(timespec='seconds')}{_CLOSE}"

    def span(self, window: Window) -> str:
        """The window, whose ends are marked."""
        return f"{self.at(window.start)} to {self.at(window.end)}"


MARKED: Final = MarkedTimes(ZoneInfo("UTC"))


def sentence(text: str, longest: int = 600) -> Markup:
    """The text with each marked instant as an element of its own, and all else escaped; cut at `longest` characters."""
    parts: list[Markup] = []
    left, at = longest, 0
    for found in _MARK.finditer(text):
        parts.append(_cut(text[at : found.start()], left))
        left -= found.start() - at
        at = found.end()
        if left <= 0:
            return Markup("").join(parts)
        parts.append(_instant(found))
    return Markup("").join([*parts, _cut(text[at:], left)])


def _cut(text: str, left: int) -> Markup:
    return escape(text if len(text) <= left else text[: max(left - 1, 0)] + "…")


def _instant(found: re.Match[str]) -> Markup:
    try:
        instant = datetime.fromisoformat(found[1])
    except ValueError:
        return escape(found[1])
    return escape(found[1]) if instant.tzinfo is None else moment(instant, "dated")


def coded(text: str) -> Markup:
    """The text with what stands between backticks as code, and all else escaped, unless it is markup already."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


def plain(text: str) -> str:
    """The text for where no elements are, as in a title: its instants in UTC, which they say."""

    def written(found: re.Match[str]) -> str:
        try:
            return f"{datetime.fromisoformat(found[1]).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        except ValueError:
            return found[1]

    return _MARK.sub(written, text)
