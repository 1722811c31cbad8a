"""Walking through the fires of a cron rule in a zone, across changes of its clocks (Vixie cron's rule)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from piko_flow.planning.cron_rule import CronRule
from piko_flow.planning.moment import SECOND
from piko_flow.planning.wall_clock import Stretch, stretch_at

LONGEST_SHIFT = timedelta(days=2)  # more than any zone has ever put its clocks forward or back


class CronFires(NamedTuple):
    """The fires of a rule in a zone. Fires fall on whole seconds."""

    rule: CronRule
    zone: ZoneInfo

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """The fires from `start`, a whole second, up to `end`, itself left out."""
        while start < end:
            stretch = stretch_at(self.zone, start)
            if start == stretch.start and self.makes_up(stretch):
                yield start
                start += SECOND
            until = min(stretch.end, end)
            yield from self.rule.instants(self._begin(stretch, start), until, stretch.offset)
            # Over the months without a date, but not over what a change of clocks near one may bring.
            day = self.rule.dates.first_from((stretch.end + stretch.offset - LONGEST_SHIFT).date())
            if day is None:
                return
            start = max(stretch.end, datetime.combine(day, time(), UTC) - LONGEST_SHIFT)

    def last_between(self, start: datetime, until: datetime) -> datetime | None:
        """The last fire from `start` to `until`, both included; None when there is none."""
        while until >= start:
            stretch = stretch_at(self.zone, until)
            begin = max(self._begin(stretch, stretch.start), start)
            found = self.rule.latest(begin, until, stretch.offset)
            if found is not None:
                return found
            if stretch.start >= start and self.makes_up(stretch):
                return stretch.start
            day = self.rule.dates.last_until((stretch.start + stretch.offset + LONGEST_SHIFT).date())
            if day is None:
                return None
            until = min(stretch.start - SECOND, datetime.combine(day, time(), UTC) + 2 * LONGEST_SHIFT)
        return None

    def makes_up(self, stretch: Stretch) -> bool:
        """Does the stretch begin with a fire that stands for fixed times in the gap before it?"""
        if self.rule.follows_clock or stretch.fresh >= stretch.start:
            return False
        return next(self.rule.instants(stretch.fresh, stretch.start, stretch.offset), None) is not None

    def _begin(self, stretch: Stretch, start: datetime) -> datetime:
        # A fixed time does not fire again while the clock shows old readings for the second time.
        return start if self.rule.follows_clock else max(start, stretch.fresh)
