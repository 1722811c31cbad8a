"""What a leader remembers for long is left out of garbage collection."""

from __future__ import annotations

import gc

from piko_flow.control.leader.reign import Reign


class LongLived:
    """Keeps the collector from walking over a leader's memory again and again.

    The modules of an application alone are a hundred thousand objects, over which a full collection stops every thread
    of the process for 30 to 40 ms; ten thousand schedules are as many again and more. What is there when a reign begins
    is set aside by `gc.freeze` until it ends. Objects set aside are freed as usual when nothing refers to them; only
    cycles among them wait for the end. Nothing is collected before: that would stop every thread at the moment when
    another replica's runs are taken over, for the little that a start leaves behind.
    """

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
        if reign is not None and gc.get_freeze_count() == 0:
            gc.freeze()
            self._set_aside = True
