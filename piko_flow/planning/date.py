"""Once, at a given time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from piko_flow.planning.moment import read_local, utc
from piko_flow.planning.trigger import FireNote, Trigger
from piko_flow.planning.wall_clock import comes_twice


@dataclass(frozen=True, init=False, repr=False)
class Date(Trigger):
    """Fires once. A `run_date` without an offset is a local time of `zone`; kept in UTC. Raises ScheduleError.

    A local time that the clock skips takes the offset before the gap; one that comes twice means the first.
    """

    run_date: datetime
    _note: FireNote = field(compare=False)

    def __init__(
        self,
        run_date: datetime | str,
        *,
        zone: str | tzinfo | None = "UTC",
        jitter: float | None = None,
    ) -> None:
        super().__init__(zone=zone, jitter=jitter)
        written = read_local(run_date, self._zone_info, "run_date")
        fire = utc(written, "run_date")
        here = fire.astimezone(self._zone_info)
        note: FireNote = ""
        if written.tzinfo is self._zone_info:  # otherwise it came with an offset, which leaves no doubt
            skipped = here.replace(tzinfo=None) != written.replace(tzinfo=None)
            note = "shifted" if skipped else "doubled" if comes_twice(self._zone_info, fire) else ""
        self._set(run_date=fire, _note=note)

    def fires(self, after: datetime) -> Iterator[datetime]:
        """The one fire, when it lies strictly after the instant; see Trigger."""
        return iter((self.run_date,) if self.run_date > utc(after, "after") else ())

    def at_or_before(self, instant: datetime) -> datetime | None:
        """The one fire, when it does not lie later than the instant; see Trigger."""
        return self.run_date if self.run_date <= utc(instant, "at") else None

    def note(self, fire: datetime) -> FireNote:
        """See `explain_fire`."""
        return self._note if utc(fire, "fire") == self.run_date else ""

    def __str__(self) -> str:
        local = self.run_date.astimezone(self._zone_info).replace(tzinfo=None)
        return f"once at {local}{self._suffix()}"

    def _given(self) -> str:
        return repr(self.run_date.isoformat())
