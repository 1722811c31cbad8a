"""Instants and windows as people read them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from piko_flow.planning.window import Window

MIDNIGHT = time()


@dataclass(frozen=True, slots=True)
class Times:
    """Tells instants and windows in a zone, to the second, as short as it can be said.

    With `offsets` each instant has its offset. Without, whoever shows them names the zone once; an instant whose
    local time comes twice, because clocks were set back, has its offset all the same.
    """

    zone: ZoneInfo
    offsets: bool = True

    @property
    def name(self) -> str:
        """The zone's name."""
        return self.zone.key

    @property
    def exact(self) -> Times:
        """The same with offsets, for a sentence that stands alone."""
        return Times(self.zone)

    def at(self, instant: datetime) -> str:
        """The instant."""
        local = self._local(instant)
        return f"{local.date()} {_clock(local)}{self._offset(local)}"

    def span(self, window: Window) -> str:
        """The window; on one day with one offset both are said once, and of whole days only the dates."""
        start, end = (self._local(instant) for instant in window)
        if not self.offsets and start.time() == end.time() == MIDNIGHT:
            return f"{start.date()} .. {end.date()}"
        if start.date() != end.date() or start.utcoffset() != end.utcoffset():
            return f"{self.at(window.start)} .. {self.at(window.end)}"
        return f"{start.date()} {_clock(start)} .. {_clock(end)}{self._offset(end) or self._offset(start)}"

    def _local(self, instant: datetime) -> datetime:
        return instant.astimezone(self.zone)

    def _offset(self, local: datetime) -> str:
        return local.isoformat(timespec="seconds")[19:] if self.offsets or _comes_twice(local) else ""


def _clock(local: datetime) -> str:
    return f"{local:%H:%M:%S}" if local.second or local.microsecond else f"{local:%H:%M}"


def _comes_twice(local: datetime) -> bool:
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
