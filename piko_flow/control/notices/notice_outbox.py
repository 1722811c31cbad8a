"""The notices that wait for one place."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from piko_flow.clock import Clock
from piko_flow.control.notices.notice_delivery import Deliver
from piko_flow.control.notices.notice_post import NotDelivered

MOST = 1000  # notices that wait
TRIES = 5  # of one notice, a step apart
SENDING = 10.0  # seconds after which a step begins no other notice

log = logging.getLogger("piko_flow.notices")


@dataclass(slots=True)
class _Waiting:
    notice: Mapping[str, object]
    ended: Callable[[], None]
    tries: int = 0


class Outbox:
    """Notices in order; one that cannot be delivered now holds up the others until it is given up."""

    def __init__(self, deliver: Deliver, clock: Clock) -> None:
        self._deliver, self._clock = deliver, clock
        self._waiting: deque[_Waiting] = deque()

    def add(self, notice: Mapping[str, object], ended: Callable[[], None]) -> None:
        """Deliver it with the next steps; of more than MOST the oldest goes, and the log has a line.

        `ended` is called once it is delivered or given up.
        """
        if len(self._waiting) >= MOST:
            self._give_up(f"{MOST:,} later ones wait")
        self._waiting.append(_Waiting(notice, ended))

    async def send(self) -> None:
        """One step: deliver until one does not arrive, or the time of a step is over."""
        began = self._clock.monotonic()
        while self._waiting and self._clock.monotonic() - began < SENDING:
            one = self._waiting[0]
            one.tries += 1
            try:
                await self._deliver(one.notice)
            except NotDelivered as error:
                if one.tries < TRIES:
                    return
                self._give_up(str(error))
            except Exception:  # an error that nobody expected must not hold up the others for ever, either
                if one.tries >= TRIES:
                    self._give_up("an error that should not happen")
                raise
            else:
                self._waiting.popleft().ended()

    def _give_up(self, why: str) -> None:
        given_up = self._waiting.popleft()
        given_up.ended()
        notice = given_up.notice
        which = f"{notice['state']}: {notice['kind']} of {notice['subject']!r}"
        log.warning("a notice was not delivered: %s", f"{why} ({which})")
