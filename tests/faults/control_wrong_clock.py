"""A program: a replica whose host's clock is wrong by the number of seconds that is its argument."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta

from piko_flow import App
from piko_flow.clock import SystemClock


class WrongClock(SystemClock):
    """The host's clock, set wrongly; seconds pass as they do."""

    def __init__(self, by: timedelta) -> None:
        self._by = by

    def now(self) -> datetime:
        """What this host takes for the present."""
        return super().now() + self._by


if __name__ == "__main__":
    clock = WrongClock(timedelta(seconds=float(sys.argv[1])))
    App("wrong", packages=["tests.faults.control_flows"], clock=clock).run(port=0)
