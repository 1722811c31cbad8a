"""A clock that is wrong, as the clocks of hosts are."""

from __future__ import annotations

from datetime import datetime, timedelta

from piko_flow.testing.manual_clock import ManualClock


class SimulatedClock:
    """One replica's clock over a world's: `skew` puts its wall clock wrong and may be changed at any time.

    Its monotonic clock begins somewhere and runs at `rate` of the true speed; it does not jump.
    """

    def __init__(
        self, true: ManualClock, *, skew: timedelta = timedelta(0), begin: float = 0.0, rate: float = 1.0
    ) -> None:
        self._true, self.skew, self._begin, self._rate = true, skew, begin, rate

    def now(self) -> datetime:
        """What this host believes to be the present."""
        return self._true.now() + self.skew

    def monotonic(self) -> float:
        """Seconds since an unknown moment."""
        return self._begin + self._true.monotonic() * self._rate

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds; cancelling is safe."""
        await self._true.sleep(seconds)
