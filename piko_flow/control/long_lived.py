"""What a leader remembers for long is left out of garbage collection."""

from __future__ import annotations

import gc
from typing import Final

from piko_flow.control.reign import Reign


class LongLived:
    """Keeps the collector from walking over a leader's memory again and again.

    Ten thousand schedules are some hundred thousand objects, and a full collection of these stops every thread of
    the process for 100 ms and more. What was read when a large reign began is set aside by `gc.freeze` until it ends.
    Objects set aside are freed as usual when nothing refers to them; only cycles among them wait for the end.
    """

    MANY: Final = 1_000  # schedules; a collection over fewer is a matter of milliseconds

    def __init__(self) -> None:
        self._reign: Reign | None = None
        self._set_aside = False

    def follow(self, reign: Reign | None) -> None:
        """Told which reign goes on: a new one is set aside as it is now, the former one is let go of."""
        if reign is self._reign:
            return
        self._reign = reign
        if self._set_aside:
            gc.unfreeze()
            self._set_aside = False
        # Where the application itself sets objects aside, it decides for the whole process.
        if reign is not None and len(reign.schedules) >= self.MANY and gc.get_freeze_count() == 0:
            gc.freeze()
            self._set_aside = True
